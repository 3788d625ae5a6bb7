"""Columns of a flux-point table as plain arrays."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import Table

from gammax.errors import DataValueError, GeometryError, UnitError
from gammax.estimators._sed_quantities import BY_DATASET, SCANS
from gammax.units import parse_unit


def read_values(table: Table, name: str, unit: str, file: Any) -> np.ndarray:
    """Numbers of a column in `unit`, missing ones NaN.

    Raises
    ------
    DataValueError : not numbers. GeometryError : vectors where numbers belong. UnitError : no unit, or a wrong one.
    """
    column = table[name]
    if column.dtype.kind not in "iufb":
        raise DataValueError(
            "GX-FLUX-128", f"column {name} does not hold numbers", file=file, column=name, found=column.dtype
        )
    if column.ndim != 1 and name not in (*BY_DATASET, *SCANS):
        raise GeometryError("GX-FLUX-134", f"column {name} holds vectors", file=file, column=name, found=column.shape)
    values = np.ma.filled(np.ma.asarray(column.data).astype(np.float64), np.nan)
    if not unit and not column.unit:
        return values
    if not column.unit:
        raise UnitError(
            "GX-FLUX-129", f"column {name} has no unit", file=file, column=name, expected=unit,
            do=f"set it, for example table['{name}'].unit = '{unit}'; gammax does not guess",
        )  # fmt: skip
    found, wanted = _without_photons(parse_unit(str(column.unit))), parse_unit(unit)
    if not found.is_equivalent(wanted):
        raise UnitError(
            "GX-FLUX-130", f"column {name} has the wrong unit", file=file, column=name,
            found=str(column.unit), expected=unit or "no unit",
        )  # fmt: skip
    return values * found.to(wanted)


def _without_photons(unit: u.UnitBase) -> u.UnitBase:
    """The field's files count photons in some units ("ph cm-2 s-1"), which changes no number."""
    kept = [(base, power) for base, power in zip(unit.bases, unit.powers, strict=True) if base not in (u.ph, u.ct)]
    return u.CompositeUnit(unit.scale, [base for base, _ in kept], [power for _, power in kept])


def read_flags(table: Table, name: str, file: Any) -> np.ndarray:
    """Truth values of a column, 0 and 1 accepted, missing ones false.

    Raises
    ------
    DataValueError : anything else.
    """
    data = np.ma.filled(np.ma.asarray(table[name].data), False)
    if data.dtype.kind not in "biu" or np.any((data != 0) & (data != 1)):
        raise DataValueError(
            "GX-FLUX-131", f"column {name} does not hold truth values", file=file, column=name, found=data.dtype
        )
    return data.astype(bool)


def read_texts(table: Table, name: str) -> np.ndarray:
    """Texts of a column, missing ones empty."""
    return np.ma.filled(np.ma.asarray(table[name].data), "").astype(str)
