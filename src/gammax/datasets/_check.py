"""What a spectrum dataset must satisfy before it exists: maps present, on one set of energy bins, masks boolean."""

from __future__ import annotations

from typing import Any

import numpy as np

from gammax.errors import DataValueError, GeometryError, SchemaError
from gammax.irf import EDispKernel
from gammax.maps import RegionGeom, RegionNDMap
from gammax.units import to_value


def check_map(value: Any, field: str, axis: str, dataset: str) -> RegionNDMap:
    """`value` if it is a region map over the one axis named `axis`.

    Raises
    ------
    SchemaError : not a map. GeometryError : other axes. DataValueError : booleans where numbers belong.
    """
    if not isinstance(value, RegionNDMap):
        raise SchemaError(
            "GX-DATASETS-010",
            f"{field} of a dataset must be a RegionNDMap",
            found=type(value).__name__,
            dataset=dataset,
        )
    if value.geom.axes.names != (axis,):
        raise GeometryError(
            "GX-DATASETS-011",
            f"{field} must have the axis {axis!r} and no other",
            dataset=dataset,
            found=", ".join(value.geom.axes.names) or "no axis",
        )
    if value.is_mask and not field.startswith("mask"):
        raise DataValueError("GX-DATASETS-018", f"{field} must hold numbers", found=value.data.dtype, dataset=dataset)
    return value


def check_same_axis(mine: Any, theirs: Any, field: str, other: str, dataset: str) -> None:
    """Raise GeometryError unless two axes of one dataset have the same bins (to 1e-6)."""
    if difference := mine.difference(theirs):
        raise GeometryError(
            "GX-DATASETS-012",
            f"{field} and {other} have different axes {mine.name!r}",
            dataset=dataset,
            found=difference,
        )


def check_edisp(edisp: Any, energy_axis: Any, energy_axis_true: Any, dataset: str) -> None:
    """Raise unless `edisp` is a kernel over the axes of counts and exposure."""
    if not isinstance(edisp, EDispKernel):
        raise SchemaError(
            "GX-DATASETS-013",
            "edisp of a spectrum dataset must be an EDispKernel",
            found=type(edisp).__name__,
            dataset=dataset,
        )
    check_same_axis(edisp.energy_axis, energy_axis, "edisp", "counts", dataset)
    check_same_axis(edisp.energy_axis_true, energy_axis_true, "edisp", "exposure", dataset)


def check_mask(mask: RegionNDMap, field: str, dataset: str) -> RegionNDMap:
    """`mask` if it holds booleans.

    Raises
    ------
    DataValueError : it holds anything else.
    """
    if not mask.is_mask:
        raise DataValueError("GX-DATASETS-014", f"{field} must hold booleans", found=mask.data.dtype, dataset=dataset)
    return mask


def check_livetime(livetime: Any, dataset: str) -> float | None:
    """Seconds as a float; a Quantity or a string is converted.

    Raises
    ------
    DataValueError : not a finite number > 0. UnitError : not a time.
    """
    if livetime is None:
        return None
    seconds = float(livetime if isinstance(livetime, (int, float, np.number)) else to_value(livetime, "s", "livetime"))
    if not (np.isfinite(seconds) and seconds > 0):
        raise DataValueError(
            "GX-DATASETS-015", "livetime must be a finite number > 0", found=f"{seconds} s", dataset=dataset
        )
    return seconds


def as_region_map(value: Any, geom: RegionGeom, name: str) -> RegionNDMap:
    """Region map on `geom` from a map, a number or an array of shape (R,).

    Raises
    ------
    GeometryError : a map with other axes, or an array of another length.
    """
    if isinstance(value, RegionNDMap):
        if difference := value.geom.axes.difference(geom.axes):
            raise GeometryError("GX-DATASETS-016", f"{name} does not fit the dataset", found=difference)
        return value
    data = np.asarray(value, dtype=np.float64)
    size = geom.axes["energy"].nbin
    if data.size not in (1, size):
        raise GeometryError(
            "GX-DATASETS-017",
            f"{name} does not fit the dataset",
            found=f"shape {data.shape}",
            expected=f"a number or {size} values",
        )
    return RegionNDMap(geom, np.broadcast_to(data.reshape(-1), (size,)))
