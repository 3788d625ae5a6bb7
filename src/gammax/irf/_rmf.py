"""OGIP redistribution matrices (RMF) read and written (CAL/GEN/92-002, 92-002a).

A row of ``MATRIX`` holds `N_GRP` runs of neighbouring channels: run k has `N_CHAN[k]` values and starts at channel
`F_CHAN[k]`. The number of the first channel is the ``TLMIN`` keyword of the column F_CHAN. The memo takes 1 where the
keyword is missing; the channels of ``EBOUNDS``, which are numbered likewise and start at 0 in gamma-ray files, tell
it better, so they come second and the memo's 1 last. In all published joint-Crab files ``TLMIN4 = 0``.
"""

from __future__ import annotations

import warnings

import numpy as np
from astropy.io import fits

from gammax._fits import get_column, get_hdu
from gammax.errors import DataValueError, GammaxWarning, SchemaError
from gammax.irf._probabilities import check_probabilities, without_negative
from gammax.maps import MapAxis
from gammax.maps._columns import column_units
from gammax.maps._energy_table import check_channels, ebounds_hdu, energy_columns, read_energy_axis

_MATRIX_NAMES = ("MATRIX", "SPECRESP MATRIX")


def read_rmf(hdus: fits.HDUList, file: str | None = None) -> tuple[tuple[MapAxis, MapAxis], np.ndarray]:
    """Axes (energy_true, energy) in the units of the file, and the matrix (n_true, n_reco).

    Raises
    ------
    SchemaError : HDU or column missing. DataValueError : a group that leaves the channels or lacks values, or
        numbers that are no probabilities.
    """
    name = next((name for name in _MATRIX_NAMES if name in hdus), _MATRIX_NAMES[0])
    matrix, ebounds = get_hdu(hdus, name), get_hdu(hdus, "EBOUNDS")
    energy_true = read_energy_axis(matrix, "ENERG_LO", "ENERG_HI", "energy_true", file)
    energy = read_energy_axis(ebounds, "E_MIN", "E_MAX", "energy", file)
    first = _first_channel(matrix, ebounds, file)
    columns = [get_column(matrix, column, None, file) for column in ("N_GRP", "F_CHAN", "N_CHAN", "MATRIX")]
    data = np.zeros((energy_true.nbin, energy.nbin))
    for row, cells in enumerate(zip(*columns, strict=True)):
        _fill_row(data[row], *cells, first, file=file, hdu=matrix.name, row=row)
    data = without_negative(data, file)
    check_probabilities(data, file=file, hdu=matrix.name)
    return (energy_true, energy), data


def _first_channel(matrix: fits.BinTableHDU, ebounds: fits.BinTableHDU, file: str | None) -> int:
    names = list(column_units(matrix))
    if "F_CHAN" not in names:
        raise SchemaError("GX-IRF-010", "column F_CHAN is missing", file=file, hdu=matrix.name, column="F_CHAN")
    keyword = f"TLMIN{names.index('F_CHAN') + 1}"
    channel = check_channels(ebounds, file)
    stated = matrix.header.get(keyword)
    if stated is None:
        return 1 if channel is None else channel
    if not isinstance(stated, int | float) or stated != round(stated):
        raise DataValueError(
            "GX-IRF-014",
            f"keyword {keyword} is not a channel number",
            file=file,
            hdu=matrix.name,
            keyword=keyword,
            found=repr(stated),
        )
    if channel is not None and int(stated) != channel:
        warnings.warn(
            f"{file}: {keyword} = {stated}, but EBOUNDS starts at channel {channel}; {keyword} is used",
            GammaxWarning,
            stacklevel=2,
        )
    return int(stated)


def _fill_row(
    out: np.ndarray, n_grp: int, f_chan: np.ndarray, n_chan: np.ndarray, values: np.ndarray, first: int, **where
) -> None:
    """Add the groups of one row to `out` (n_reco,)."""
    starts, lengths, values = np.atleast_1d(f_chan), np.atleast_1d(n_chan), np.atleast_1d(values)
    if not 0 <= n_grp <= min(len(starts), len(lengths)):
        raise DataValueError(
            "GX-IRF-011", "N_GRP is not the number of channel groups", found=n_grp, expected=len(starts), **where
        )
    used = 0
    for start, length in zip(starts[:n_grp].astype(int) - first, lengths[:n_grp].astype(int), strict=True):
        if length == 0:
            continue
        if start < 0 or length < 0 or start + length > len(out):
            raise DataValueError(
                "GX-IRF-012",
                "a channel group leaves the channels of EBOUNDS",
                **where,
                found=f"channels {start + first} to {start + first + length - 1}",
                expected=f"{first} to {first + len(out) - 1}",
            )
        if used + length > len(values):
            raise DataValueError("GX-IRF-013", "MATRIX holds fewer values than N_CHAN says", found=len(values), **where)
        out[start : start + length] += values[used : used + length]
        used += length


def rmf_hdus(energy_true: MapAxis, energy: MapAxis, data: np.ndarray) -> list[fits.BinTableHDU]:
    """HDUs ``MATRIX`` and ``EBOUNDS``; only runs of non-zero values are stored, channels count from 0.

    Energies and probabilities are written in 64 bits, so that they come back to the bit.
    """
    runs = [_runs(row) for row in data]
    starts = [start for start, _ in runs]
    lengths = [length for _, length in runs]
    values = [row[row != 0] for row in data]
    columns = [
        *energy_columns(energy_true, "ENERG_LO", "ENERG_HI"),
        fits.Column("N_GRP", "J", array=np.array([len(start) for start in starts])),
        fits.Column("F_CHAN", "PJ()", array=_ragged(starts)),
        fits.Column("N_CHAN", "PJ()", array=_ragged(lengths)),
        fits.Column("MATRIX", "PD()", array=_ragged(values)),
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="MATRIX")
    hdu.header.update(
        HDUCLASS="OGIP",
        HDUCLAS1="RESPONSE",
        HDUCLAS2="RSP_MATRIX",
        HDUCLAS3="REDIST",
        HDUVERS="1.3.0",
        CHANTYPE="PHA",
        DETCHANS=energy.nbin,
        TLMIN4=0,
        TLMAX4=energy.nbin - 1,
        NUMGRP=sum(map(len, starts)),
        NUMELT=sum(map(len, values)),
        LO_THRES=0.0,
    )
    return [hdu, ebounds_hdu(energy)]


def _runs(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First index and length of each run of non-zero values."""
    borders = np.flatnonzero(np.diff(np.concatenate([[0], row != 0, [0]])))
    return borders[::2], borders[1::2] - borders[::2]


def _ragged(rows: list[np.ndarray]) -> np.ndarray:
    out = np.empty(len(rows), dtype=object)
    out[:] = rows
    return out
