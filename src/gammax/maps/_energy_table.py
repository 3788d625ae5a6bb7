"""Energy axes as two columns of a table, one row per bin: EBOUNDS, ARF and RMF, the bands of maps."""

from __future__ import annotations

import numpy as np
from astropy.io import fits

from gammax._fits import get_column
from gammax.errors import DataValueError, FileFormatError, UnitError
from gammax.maps._axis import MapAxis
from gammax.maps._columns import column_unit, column_units

# float32 edges of one boundary differ by 6e-7 (VERITAS); a missing or doubled bin by 1e-2 and more
CONTIGUOUS_RTOL = 1e-4


def axis_from_bins(
    low: np.ndarray, high: np.ndarray, name: str, unit: str, interp: str = "log", **where: str | None
) -> MapAxis:
    """Axis from lower and upper edges of its bins; the lower ones and the last upper one are kept.

    Raises
    ------
    DataValueError : edges not finite, not increasing, or bins that overlap or leave gaps of more than 1e-4
        relative; with the first bad row.
    """
    if len(low) == 0:
        raise FileFormatError("GX-MAPS-050", f"axis {name!r} has no bins", **where)
    edges = np.append(low, high[-1])
    finite = np.isfinite(low) & np.isfinite(high)
    if not finite.all():
        row = int(np.argmin(finite))
        raise DataValueError("GX-MAPS-051", f"edges of axis {name!r} are not finite", row=row, **where)
    bad = (np.diff(edges) <= 0) | (high <= low)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataValueError(
            "GX-MAPS-052",
            f"edges of axis {name!r} do not increase",
            row=row,
            found=f"bin {low[row]:.9g} to {high[row]:.9g}",
            **where,
        )
    gap = np.abs(high[:-1] - low[1:]) > CONTIGUOUS_RTOL * np.abs(high[:-1])
    if gap.any():
        row = int(np.argmax(gap))
        word = "overlap" if high[row] > low[row + 1] else "leave a gap"
        raise DataValueError(
            "GX-MAPS-053",
            f"bins of axis {name!r} {word}",
            row=row,
            found=f"upper edge {high[row]:.9g}, next lower edge {low[row + 1]:.9g}",
            **where,
        )
    if interp == "log" and low[0] <= 0:
        raise DataValueError("GX-MAPS-054", f"a logarithmic axis cannot start at {low[0]:g}", row=0, axis=name, **where)
    return MapAxis(edges, name, interp, unit)


def read_energy_axis(
    hdu: fits.BinTableHDU, low: str, high: str, name: str = "energy", file: str | None = None
) -> MapAxis:
    """Energy axis of a table with one row per bin, in the unit of the file.

    Parameters
    ----------
    hdu : table. low, high : names of its columns (``E_MIN``, ``E_MAX``; ``ENERG_LO``, ``ENERG_HI``).

    Raises
    ------
    SchemaError : a column is missing. UnitError : no unit, or not an energy. DataValueError : as `axis_from_bins`.
    """
    # asked for in TeV first, so that a missing or wrong unit is told; then taken as they are, without rounding
    for column in (low, high):
        get_column(hdu, column, "TeV", file)
    unit, other = (column_unit(hdu, column, file) for column in (low, high))
    if unit != other:
        raise UnitError(
            "GX-MAPS-055",
            f"columns {low} and {high} have different units",
            file=file,
            hdu=hdu.name,
            found=f"{unit} and {other}",
        )
    lows, highs = (get_column(hdu, column, None, file).astype(float) for column in (low, high))
    return axis_from_bins(lows, highs, name, unit, file=file, hdu=hdu.name, column=low)


def check_channels(hdu: fits.BinTableHDU, file: str | None = None) -> int | None:
    """Number of the first channel of a table with one row per channel; None where it does not number them.

    Raises
    ------
    DataValueError : rows that are not in the order of the channels, or leave some out.
    """
    if "CHANNEL" not in column_units(hdu):
        return None
    channels = get_column(hdu, "CHANNEL", None, file)
    if channels.dtype.kind not in "iuf" or channels.ndim != 1:
        raise DataValueError(
            "GX-MAPS-057", "channels are not numbers", file=file, hdu=hdu.name, column="CHANNEL", found=channels.dtype
        )
    channels = channels.astype(np.float64)
    bad = ~np.isfinite(channels) | (channels != channels[:1] + np.arange(len(channels)))
    if bad.any():
        row = int(np.argmax(bad))
        raise DataValueError(
            "GX-MAPS-056",
            "channels must follow one another, row by row",
            file=file,
            hdu=hdu.name,
            column="CHANNEL",
            row=row,
            found=f"{channels[row]:g}",
            expected=f"{channels[0] + row:g}",
        )
    return int(channels[0]) if len(channels) else None


def energy_columns(axis: MapAxis, low: str, high: str) -> list[fits.Column]:
    """Two float64 columns with the edges of an axis, in its unit; inverse of `read_energy_axis`."""
    edges = axis.edges_value(axis.unit)
    return [
        fits.Column(low, "D", unit=axis.unit, array=edges[:-1]),
        fits.Column(high, "D", unit=axis.unit, array=edges[1:]),
    ]


def ebounds_hdu(axis: MapAxis) -> fits.BinTableHDU:
    """OGIP ``EBOUNDS`` table of a reconstructed energy axis, channels from 0 (CAL/GEN/92-002 section 3.2)."""
    channel = fits.Column("CHANNEL", "J", array=np.arange(axis.nbin))
    hdu = fits.BinTableHDU.from_columns([channel, *energy_columns(axis, "E_MIN", "E_MAX")], name="EBOUNDS")
    hdu.header.update(
        HDUCLASS="OGIP",
        HDUCLAS1="RESPONSE",
        HDUCLAS2="EBOUNDS",
        HDUVERS="1.2.0",
        CHANTYPE="PHA",
        DETCHANS=axis.nbin,
        TLMIN1=0,
        TLMAX1=axis.nbin - 1,
    )
    return hdu
