"""Axes of DL3 responses: ``<NAME>_LO`` and ``<NAME>_HI`` columns of one row (GADF 0.2, IRF axes)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from astropy.io import fits

from gammax._fits import get_column
from gammax.errors import DataValueError, GeometryError, SchemaError
from gammax.maps import MapAxis
from gammax.maps._columns import column_units
from gammax.units import parse_unit, unit_string

# float32 edges of one boundary differ by 6e-7; a missing or doubled bin by far more
CONTIGUOUS_RTOL = 1e-4
# a response known at one value of a coordinate (LO = HI, one bin) is a bin of this width that has no limits
_POINT = 1e-9


class AxisColumns(NamedTuple):
    """How an axis is stored."""

    prefixes: tuple[str, ...]
    interp: str
    unit: str


AXES = {
    "energy_true": AxisColumns(("ENERG", "ETRUE"), "log", "TeV"),
    "energy": AxisColumns(("ENERG",), "log", "TeV"),
    "offset": AxisColumns(("THETA",), "lin", "deg"),
    "rad": AxisColumns(("RAD",), "lin", "deg"),
    "migra": AxisColumns(("MIGRA",), "lin", ""),
    "fov_lon": AxisColumns(("DETX",), "lin", "deg"),
    "fov_lat": AxisColumns(("DETY",), "lin", "deg"),
}


def is_point(axis: MapAxis) -> bool:
    """Whether an axis stands for a single value, without bin."""
    low, high = axis.edges_value(axis.unit)[[0, -1]]
    return axis.nbin == 1 and high - low < 4 * _POINT * max(1.0, abs(low))


def point_axis(value: float, name: str, interp: str, unit: str) -> MapAxis:
    """Axis that stands for a single value."""
    half = _POINT * max(1.0, abs(value))
    return MapAxis.from_edges([value - half, value + half], name, interp, unit)


def axis_prefix(hdu: fits.BinTableHDU, name: str, file: str | None) -> str:
    """Prefix of the columns of an axis.

    Raises
    ------
    SchemaError : the columns are missing.
    """
    names = column_units(hdu)
    for prefix in AXES[name].prefixes:
        if f"{prefix}_LO" in names:
            return prefix
    prefix = AXES[name].prefixes[0]
    raise SchemaError(
        "GX-IRF-020",
        f"axis column {prefix}_LO is missing",
        file=file,
        hdu=hdu.name,
        column=f"{prefix}_LO",
        found=", ".join(names),
    )


def read_axis(hdu: fits.BinTableHDU, name: str, file: str | None = None) -> MapAxis:
    """Axis in the unit of the file; bins where LO < HI, nodes where LO = HI.

    Raises
    ------
    SchemaError : a column is missing, or the table has not one row. UnitError : unit missing or wrong.
    DataValueError : edges not finite, not increasing, with gaps or overlaps, or not positive on a logarithmic axis;
        with the index of the first. GeometryError : LO and HI differ in length.
    """
    prefix, spec = axis_prefix(hdu, name, file), AXES[name]
    where = {"file": file, "hdu": hdu.name, "column": f"{prefix}_LO"}
    if len(hdu.data) != 1:
        raise SchemaError("GX-IRF-021", "a response table has one row", found=len(hdu.data), **where)
    # asked for in the canonical unit, so that a missing or wrong one is told; then taken without rounding
    for side in ("LO", "HI"):
        get_column(hdu, f"{prefix}_{side}", spec.unit, file)
    units = column_units(hdu)
    unit = unit_string(units[f"{prefix}_LO"])
    low, high = (np.atleast_1d(get_column(hdu, f"{prefix}_{s}", None, file)[0]).astype(float) for s in ("LO", "HI"))
    if low.shape != high.shape or low.ndim != 1 or low.size == 0:
        raise GeometryError(
            "GX-IRF-022",
            f"{prefix}_LO and {prefix}_HI do not fit each other",
            found=f"{low.shape}, {high.shape}",
            **where,
        )
    high = high * float(parse_unit(units[f"{prefix}_HI"]).to(parse_unit(unit)))
    _check_edges(low, high, name, spec.interp, **where)
    if not np.allclose(low, high, rtol=1e-7, atol=1e-9):
        return MapAxis.from_edges(np.append(low, high[-1]), name, spec.interp, unit)
    if len(low) == 1:
        return point_axis(float(low[0]), name, spec.interp, unit)
    return MapAxis.from_nodes(low, name, spec.interp, unit)


def _check_edges(low: np.ndarray, high: np.ndarray, name: str, interp: str, **where: str | None) -> None:
    def refuse(code: str, what: str, bad: np.ndarray) -> None:
        if bad.any():
            k = int(np.argmax(bad))
            raise DataValueError(
                code, f"{what} of axis {name!r}", index=k, found=f"bin {low[k]:.9g} to {high[k]:.9g}", **where
            )

    refuse("GX-IRF-023", "edges that are not finite", ~np.isfinite(low) | ~np.isfinite(high))
    refuse("GX-IRF-024", "decreasing edges", np.append(np.diff(low) <= 0, False) | (high < low))
    if interp == "log":
        refuse("GX-IRF-025", "edges of a logarithmic scale that are not positive", low <= 0)
    width = high - low
    if np.allclose(low, high, rtol=1e-7, atol=1e-9):
        return
    slack = CONTIGUOUS_RTOL * np.maximum(np.abs(high[:-1]), width[:-1])
    refuse("GX-IRF-026", "empty bins", width <= 0)
    refuse("GX-IRF-027", "gaps or overlaps between bins", np.append(np.abs(high[:-1] - low[1:]) > slack, False))


def axis_columns(axis: MapAxis) -> list[fits.Column]:
    """Columns LO and HI of an axis; inverse of `read_axis`."""
    prefix = AXES[axis.name].prefixes[0]
    if axis.node_type == "center" or is_point(axis):
        low = high = axis.center_value(axis.unit)
    else:
        edges = axis.edges_value(axis.unit)
        low, high = edges[:-1], edges[1:]
    return [cell(f"{prefix}_{side}", values, axis.unit) for side, values in (("LO", low), ("HI", high))]


def cell(name: str, values: np.ndarray, unit: str) -> fits.Column:
    """Column of one row that holds an array; 32 bits where they hold the numbers without loss."""
    single = values.astype(np.float32)
    exact = np.array_equal(single.astype(np.float64), values)
    code, values = ("E", single) if exact else ("D", values)
    shape = "(" + ",".join(str(n) for n in reversed(values.shape)) + ")"
    dim = shape if values.ndim > 1 else None
    return fits.Column(name, f"{values.size}{code}", unit=unit or None, array=values[np.newaxis], dim=dim)
