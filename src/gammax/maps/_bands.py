"""The ``BANDS`` tables of maps: one row per bin of all axes together, the first axis fastest."""

from __future__ import annotations

import numpy as np
from astropy.io import fits

from gammax._fits import get_column, get_keyword
from gammax.errors import SchemaError, UnitError
from gammax.maps._axes import MapAxes
from gammax.maps._axis import MapAxis
from gammax.maps._columns import column_unit
from gammax.maps._energy_table import axis_from_bins
from gammax.units import same_dimension


def _column_names(axis: MapAxis) -> tuple[str, str, str]:
    """Names of the columns for centre, lower and upper edge; reconstructed energy has short ones for its edges."""
    name = axis.name.upper()
    return (name, "E_MIN", "E_MAX") if axis.name == "energy" else (name, f"{name}_MIN", f"{name}_MAX")


def axis_cards(axes: MapAxes) -> dict[str, str]:
    """Header cards that tell the columns and the interpolation of each axis."""
    cards = {}
    for k, axis in enumerate(axes, start=1):
        center, low, high = _column_names(axis)
        cards[f"AXCOLS{k}"] = f"{low},{high}" if axis.node_type == "edges" else center
        cards[f"INTERP{k}"] = axis.interp
    return cards


def bands_hdu(axes: MapAxes, name: str) -> fits.BinTableHDU:
    """Bands table of some axes."""
    grid = np.indices(axes.array_shape)
    columns = [fits.Column("CHANNEL", "K", array=np.arange(grid[0].size))]
    for axis in axes:
        idx = grid[axes.array_position(axis.name)].ravel()
        edges, center = axis.edges_value(axis.unit), axis.center_value(axis.unit)
        for column, values in zip(_column_names(axis), (center[idx], edges[idx], edges[idx + 1]), strict=True):
            columns.append(fits.Column(column, "D", unit=axis.unit, array=values))
    hdu = fits.BinTableHDU.from_columns(columns, name=name)
    hdu.header.update(axis_cards(axes))
    return hdu


def read_bands(hdu: fits.BinTableHDU, file: str | None = None) -> MapAxes:
    """Axes of a bands table, in the units of the file.

    Raises
    ------
    SchemaError : AXCOLS or a column is missing, an axis of time or of labels, rows that are no grid.
    UnitError : an energy without unit. DataValueError : edges not increasing, not finite, overlapping.
    """
    count = next(n for n in range(len(hdu.header) + 1) if f"AXCOLS{n + 1}" not in hdu.header)
    if count == 0:
        get_keyword(hdu, "AXCOLS1", file)
    axes = MapAxes(_read_axis(hdu, k, count, file) for k in range(1, count + 1))
    _check_grid(hdu, axes, file)
    return axes


def _read_axis(hdu: fits.BinTableHDU, k: int, count: int, file: str | None) -> MapAxis:
    names = [name.strip() for name in str(hdu.header[f"AXCOLS{k}"]).split(",")]
    name = "energy" if names[0].upper() == "E_MIN" else names[0].lower().removesuffix("_min")
    interp = str(hdu.header.get(f"INTERP{k}", "lin")).strip()
    values = [get_column(hdu, column, None, file) for column in names]
    if name == "time" or len(names) > 2 or values[0].dtype.kind not in "iuf":
        raise SchemaError(
            "GX-MAPS-070",
            f"axis {name!r} is not an axis of numbers",
            file=file,
            hdu=hdu.name,
            keyword=f"AXCOLS{k}",
            found=",".join(names),
            expected="<NAME>_MIN,<NAME>_MAX",
        )
    unit = _axis_unit(hdu, names[0], name, file)
    values = [np.asarray(column, float) for column in values]
    if count > 1:
        # the same bin stands in many rows: keep the first of each, in the order of the file
        _, first = np.unique(values[0], return_index=True)
        values = [column[np.sort(first)] for column in values]
    if len(values) == 1:
        return MapAxis(values[0], name, interp, unit, node_type="center")
    return axis_from_bins(*values, name, unit, interp, file=file, hdu=hdu.name, column=names[0])


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
    good = len(hdu.data) == np.prod(axes.array_shape)
    if good:
        grid = np.indices(axes.array_shape)
        for k, axis in enumerate(axes, start=1):
            column = str(hdu.header[f"AXCOLS{k}"]).split(",")[0].strip()
            expected = axis.nodes[grid[axes.array_position(axis.name)].ravel()]
            good &= np.array_equal(get_column(hdu, column, None, file), expected)
    if not good:
        raise SchemaError(
            "GX-MAPS-072",
            "rows of the bands table are not a grid of its axes",
            file=file,
            hdu=hdu.name,
            found=f"{len(hdu.data)} rows",
            expected=f"bins {' x '.join(str(axis.nbin) for axis in axes)}",
        )
