"""The ``BANDS`` tables of maps: one row per bin of all axes together, the first axis fastest."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.time import ScaleValueError, Time

from gammax._fits import get_column, get_keyword
from gammax.errors import SchemaError, UnitError
from gammax.maps._axes import MapAxes
from gammax.maps._axis import MapAxis
from gammax.maps._columns import column_unit
from gammax.maps._energy_table import axis_from_bins
from gammax.maps._label_axis import LabelMapAxis
from gammax.maps._time_axis import TimeMapAxis
from gammax.units import parse_unit, same_dimension


def _column_names(axis: Any) -> tuple[str, str, str]:
    """Names of the columns for centre, lower and upper edge; reconstructed energy has short ones for its edges."""
    name = axis.name.upper()
    return (name, "E_MIN", "E_MAX") if axis.name == "energy" else (name, f"{name}_MIN", f"{name}_MAX")


def axis_cards(axes: MapAxes) -> dict[str, Any]:
    """Header cards that tell the columns and the interpolation of each axis, and the reference of a time axis."""
    cards: dict[str, Any] = {}
    for k, axis in enumerate(axes, start=1):
        center, low, high = _column_names(axis)
        cards[f"AXCOLS{k}"] = f"{low},{high}" if axis.node_type in ("edges", "intervals") else center
        if axis.node_type != "label":
            cards[f"INTERP{k}"] = axis.interp
        if isinstance(axis, TimeMapAxis):
            cards |= _time_cards(axis.reference_time)
    return cards


def _time_cards(time: Time) -> dict[str, Any]:
    whole = int(np.floor(time.tt.mjd))
    return {"MJDREFI": whole, "MJDREFF": float(time.tt.jd1 - 2400000.5 - whole + time.tt.jd2), "TIMESYS": "tt"}


def bands_hdu(axes: MapAxes, name: str) -> fits.BinTableHDU:
    """Bands table of some axes."""
    grid = np.indices(axes.array_shape)
    columns = [fits.Column("CHANNEL", "K", array=np.arange(grid[0].size))]
    for axis in axes:
        idx = grid[axes.array_position(axis.name)].ravel()
        names = _column_names(axis)
        if isinstance(axis, LabelMapAxis):
            columns.append(fits.Column(names[0], f"{axis.labels.dtype.itemsize // 4}A", array=axis.labels[idx]))
            continue
        for column, values in zip(names, (axis.center, axis.edges_min, axis.edges_max), strict=True):
            columns.append(fits.Column(column, "D", unit=axis.unit, array=values.value[idx]))
    hdu = fits.BinTableHDU.from_columns(columns, name=name)
    hdu.header.update(axis_cards(axes))
    return hdu


def read_bands(hdu: fits.BinTableHDU, file: str | None = None) -> MapAxes:
    """Axes of a bands table, in the units of the file.

    Raises
    ------
    SchemaError : AXCOLS or a column is missing, an axis of another kind, rows that are no grid.
    UnitError : an energy without unit. DataValueError : edges not increasing, not finite, overlapping.
    """
    count = next(n for n in range(len(hdu.header) + 1) if f"AXCOLS{n + 1}" not in hdu.header)
    if count == 0:
        get_keyword(hdu, "AXCOLS1", file)
    axes = MapAxes(_read_axis(hdu, k, count, file) for k in range(1, count + 1))
    _check_grid(hdu, axes, file)
    return axes


def _read_axis(hdu: fits.BinTableHDU, k: int, count: int, file: str | None) -> Any:
    names = [name.strip() for name in str(hdu.header[f"AXCOLS{k}"]).split(",")]
    name = "energy" if names[0].upper() == "E_MIN" else names[0].lower().removesuffix("_min")
    interp = str(hdu.header.get(f"INTERP{k}", "lin")).strip()
    values = [get_column(hdu, column, None, file) for column in names]
    if count > 1:
        # the same bin stands in many rows: keep the first of each, in the order of the file
        _, first = np.unique(values[0], return_index=True)
        values = [column[np.sort(first)] for column in values]
    kind = values[0].dtype.kind
    if len(names) == 1 and kind in "SU":
        return LabelMapAxis(np.char.strip(values[0].astype(str)), name)
    if len(names) > 2 or kind not in "iuf" or (name == "time" and len(names) == 1):
        raise SchemaError(
            "GX-MAPS-070",
            f"axis {name!r} is no axis of numbers, time intervals or labels",
            file=file,
            hdu=hdu.name,
            keyword=f"AXCOLS{k}",
            found=",".join(names),
            expected="<NAME>_MIN,<NAME>_MAX",
        )
    unit = _axis_unit(hdu, names[0], name, file)
    values = [np.asarray(column, float) for column in values]
    if name == "time":
        return _time_axis(hdu, values, unit, file)
    if len(values) == 1:
        return MapAxis(values[0], name, interp, unit, node_type="center")
    return axis_from_bins(*values, name, unit, interp, file=file, hdu=hdu.name, column=names[0])


def _time_axis(hdu: fits.BinTableHDU, edges: list[np.ndarray], unit: str, file: str | None) -> TimeMapAxis:
    whole, part = (get_keyword(hdu, keyword, file) for keyword in ("MJDREFI", "MJDREFF"))
    scale = str(hdu.header.get("TIMESYS", "tt")).strip().lower()
    try:
        reference = Time(float(whole), float(part), format="mjd", scale=scale)
    except (TypeError, ValueError, ScaleValueError) as error:
        raise SchemaError("GX-MAPS-073", f"no reference time: {error}", file=file, hdu=hdu.name) from error
    low, high = (u.Quantity(values, parse_unit(unit)) for values in edges)
    return TimeMapAxis(low, high, reference)


def _axis_unit(hdu: fits.BinTableHDU, column: str, name: str, file: str | None) -> str:
    unit = column_unit(hdu, column, file)
    if name in ("energy", "energy_true") and not same_dimension(unit, "TeV"):
        raise UnitError(
            "GX-MAPS-071",
            f"column {column} is not an energy",
            file=file,
            hdu=hdu.name,
            column=column,
            found=unit or "no unit",
            expected="TeV or a unit that converts to it",
        )
    return unit


def _check_grid(hdu: fits.BinTableHDU, axes: MapAxes, file: str | None) -> None:
    """Rows must be the grid of the axes, first axis fastest: no other order is read as if it were this one."""
    columns = []
    for k, axis in enumerate(axes, start=1):
        column = str(hdu.header[f"AXCOLS{k}"]).split(",")[0].strip()
        nodes = axis.edges_min.value if isinstance(axis, TimeMapAxis) else getattr(axis, "nodes", axis.center)
        columns.append((get_column(hdu, column, None, file), nodes[: axis.nbin]))
    # Gammapy 2.1 writes the rows of three axes and more in an order of its own: second, first, and the last fastest
    own = [list(range(len(axes)))[::-1], [1, 0, *range(2, len(axes))]]
    good = any(_is_grid(columns, order) for order in own[: 2 if len(axes) > 2 else 1])
    if not good:
        raise SchemaError(
            "GX-MAPS-072",
            "rows of the bands table are not a grid of its axes",
            file=file,
            hdu=hdu.name,
            found=f"{len(hdu.data)} rows",
            expected=f"bins {' x '.join(str(axis.nbin) for axis in axes)}",
        )


def _is_grid(columns: list[tuple[np.ndarray, np.ndarray]], order: list[int]) -> bool:
    """Whether the rows run over all bins, axes from slowest to fastest in this order."""
    shape = [columns[k][1].size for k in order]
    if len(columns[0][0]) != np.prod(shape):
        return False
    grid = np.indices(shape)
    found = [(columns[k][0], columns[k][1][grid[i].ravel()]) for i, k in enumerate(order)]
    return all(np.array_equal(np.char.strip(a.astype(str)) if a.dtype.kind in "SU" else a, b) for a, b in found)
