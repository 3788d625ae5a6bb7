"""Arrays of DL3 responses: which axis runs fastest, bad cells, header cards.

The first axis of a FITS array runs fastest. Which one that is, a file tells by ``CREFn`` (OGIP; GADF 0.2, IRF axes).
Without it the recommended order holds (energy fastest), unless the shape fits the reverse alone: so are the
backgrounds of the H.E.S.S. and first CTA releases stored, as (energy, DETX, DETY) with DETY fastest, whatever the
order of their columns; 395 698 events of 89 H.E.S.S. runs prefer it to every other order by 2 100 and more in ln L.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy.io import fits

from gammax._fits import get_column
from gammax.errors import DataValueError, GammaxWarning, GeometryError, SchemaError
from gammax.irf._dl3_axes import AXES, axis_prefix
from gammax.maps import MapAxes
from gammax.maps._columns import column_units
from gammax.units import parse_unit

# negative cells that sum to more than this fraction of the positive ones are no noise of a simulation
NEGATIVE_FRACTION = 0.01
# cards that describe the table and not what it holds
_STRUCTURE = re.compile(
    r"(XTENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|TFIELDS|THEAP|EXTNAME|CHECKSUM|DATASUM|COMMENT|HISTORY|CREF\d+|"
    r"T(TYPE|FORM|UNIT|NULL|SCAL|ZERO|DISP|DIM)\d+|)$"
)


def read_meta(header: fits.Header) -> dict[str, Any]:
    """Cards that say something about the response."""
    return {key: value for key, value in header.items() if not _STRUCTURE.match(key)}


def is_pointlike(header: Mapping[str, Any]) -> bool:
    """Whether a cut on the distance to the source is in a response (HDUCLAS3)."""
    return str(header.get("HDUCLAS3", "")).strip().upper().replace("_", "-") == "POINT-LIKE"


def read_cube(
    hdu: fits.BinTableHDU, column: str, unit: str | None, axes: MapAxes, file: str | None = None
) -> tuple[np.ndarray, str]:
    """Array of a column in the order of `axes`, float64, and its unit as the file spells it.

    Parameters
    ----------
    unit : unit that the column must convert to; None where the format gives none.

    Raises
    ------
    SchemaError : column missing. UnitError : unit missing or wrong. GeometryError : the array does not fit the axes.
    DataValueError : cells that are no finite number, with their count and the first of them.
    """
    if unit is not None:
        get_column(hdu, column, unit, file)
    raw = np.asarray(get_column(hdu, column, None, file)[0], dtype=np.float64)
    data = _in_axis_order(hdu, column, raw, axes, file)
    bad = ~np.isfinite(data)
    if bad.any():
        raise DataValueError(
            "GX-IRF-030",
            f"{hdu.name} has {bad.sum()} NaN or infinite of {bad.size} cells",
            file=file,
            hdu=hdu.name,
            column=column,
            cell=cell_name(axes, np.argwhere(bad)[0]),
            do="ask the provider for a repaired file, or write 0 where nothing is known",
        )
    return np.ascontiguousarray(data), column_units(hdu)[column]


def cell_name(axes: MapAxes, index: Sequence[int]) -> str:
    """One cell in words."""
    return ", ".join(f"{axis.name} {axis.center[int(k)]:.4g}" for axis, k in zip(axes, index, strict=True))


def _in_axis_order(hdu: fits.BinTableHDU, column: str, raw: np.ndarray, axes: MapAxes, file: str | None) -> np.ndarray:
    lengths = {axis.name: axis.nbin for axis in axes}
    orders = _orders(hdu, column, axes.names, file)
    for k, (source, order) in enumerate(orders):
        shape = tuple(lengths[name] for name in order)
        flat = raw.ndim == 1 and raw.size == np.prod(shape)
        if flat or _long(raw.shape) == _long(shape):
            if k > 0 and orders[0][0] == "CREF":
                warnings.warn(
                    f"{file}: CREF of column {column} in HDU {hdu.name} does not fit its array; {source} is used",
                    GammaxWarning,
                    stacklevel=5,
                )
            return raw.reshape(shape).transpose([order.index(name) for name in axes.names])
    raise GeometryError(
        "GX-IRF-031",
        f"array {column} does not fit its axes",
        file=file,
        hdu=hdu.name,
        column=column,
        found=raw.shape,
        expected=" or ".join(str(tuple(lengths[n] for n in order)) for _, order in orders),
    )


def _long(shape: Sequence[int]) -> tuple[int, ...]:
    """Shape without axes of one bin, which some writers leave out."""
    return tuple(n for n in shape if n > 1)


def _orders(
    hdu: fits.BinTableHDU, column: str, names: tuple[str, ...], file: str | None
) -> list[tuple[str, tuple[str, ...]]]:
    """Orders to try, slowest axis first, the most trusted one first."""
    columns = list(column_units(hdu))
    prefixes = {axis_prefix(hdu, name, file): name for name in names}
    recommended, reverse = ("the recommended order", names[::-1]), ("the reverse order", names)
    energy, others = axis_prefix(hdu, names[0], file), [axis_prefix(hdu, name, file) for name in names[1:]]
    energy_last = all(columns.index(f"{energy}_LO") > columns.index(f"{other}_LO") for other in others)
    # decides only where both orders fit, that is where the outer axes have the same number of bins
    orders = [reverse, recommended] if energy_last else [recommended, reverse]
    cref = hdu.header.get(f"CREF{columns.index(column) + 1}")
    if cref is None:
        return orders
    listed = re.findall(r"(\w+)_LO\s*:\s*\w+_HI", str(cref).upper())
    if sorted(listed) != sorted(prefixes):
        raise SchemaError(
            "GX-IRF-032",
            "CREF names other axes than the response has",
            file=file,
            hdu=hdu.name,
            keyword=f"CREF{columns.index(column) + 1}",
            found=cref,
            expected=", ".join(prefixes),
        )
    return [("CREF", tuple(prefixes[prefix] for prefix in reversed(listed))), *orders]


def without_negative_cells(
    data: np.ndarray, axes: MapAxes, hdu: fits.BinTableHDU, column: str, file: str | None
) -> np.ndarray:
    """The array with its few negative cells set to 0, and one warning.

    Raises
    ------
    DataValueError : no cell is positive, or the negative ones sum to 1 % of the positive ones or more.
    """
    negative = data < 0
    positive_sum = data[~negative].sum()
    where = {"file": file, "hdu": hdu.name, "column": column}
    if positive_sum == 0:
        raise DataValueError("GX-IRF-033", f"{hdu.name} is zero or negative in every cell", **where)
    if not negative.any():
        return data
    if -data[negative].sum() > NEGATIVE_FRACTION * positive_sum:
        raise DataValueError(
            "GX-IRF-034",
            f"{hdu.name} has {negative.sum()} negative of {negative.size} cells",
            found=f"smallest {data.min():.4g}",
            cell=cell_name(axes, np.unravel_index(np.argmin(data), data.shape)),
            **where,
        )
    warnings.warn(
        f"{file}: HDU {hdu.name} has {negative.sum()} negative of {negative.size} cells "
        f"(smallest {data.min():.4g}), set to 0",
        GammaxWarning,
        stacklevel=4,
    )
    return np.where(negative, 0.0, data)


def response_header(header: fits.Header, meta: Mapping[str, Any], cards: Mapping[str, Any]) -> None:
    """Write the cards of `meta`, then those of the format, which win."""
    for key, value in {**meta, **cards}.items():
        if value is not None:
            header[key] = value


def cref(names: Sequence[str]) -> str:
    """Order of the axes of an array, first axis fastest."""
    prefixes = [AXES[name].prefixes[0] for name in names]
    return "(" + ",".join(f"{prefix}_LO:{prefix}_HI" for prefix in prefixes) + ")"


def check_unit(unit: str, expected: str) -> bool:
    """Whether a unit converts to another."""
    return parse_unit(unit).is_equivalent(parse_unit(expected))
