"""Event tables in FITS: columns taken, checked and written."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

from gammax._fits import get_column
from gammax.data._header import read_meta
from gammax.data._times import TimeReference, get_seconds
from gammax.errors import DataValueError, GammaxWarning

if TYPE_CHECKING:
    from gammax.data._events import EventList

_MAIN = ("TIME", "ENERGY", "RA", "DEC")


def read_events(cls: type[EventList], hdu: fits.BinTableHDU, file: str | None, drop_bad_events: bool) -> EventList:
    """Event list of a table; see `EventList.from_hdu`."""
    time = get_seconds(hdu, "TIME", file)
    energy = get_column(hdu, "ENERGY", "TeV", file)
    ra, dec = (get_column(hdu, name, "deg", file) for name in ("RA", "DEC"))
    others = {column.name: column for column in hdu.columns if column.name.upper() not in _MAIN}
    columns = {name: _native(hdu.data[name]) for name in others}
    units = {name: column.unit for name, column in others.items() if column.unit}
    reference = TimeReference.from_header(hdu.header, file, hdu.name)
    meta = read_meta(hdu.header)
    events = cls(time, energy, ra, dec, reference, columns, units, meta)
    events = _without_bad(events, file, hdu.name, drop_bad_events)
    _warn_of_duplicates(events, file)
    return events


def _native(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    values = values.astype(values.dtype.newbyteorder("="))
    values.setflags(write=False)
    return values


def _without_bad(events: EventList, file: str | None, hdu: str, drop: bool) -> EventList:
    """The events, if all of them can be right.

    Raises
    ------
    DataValueError : otherwise, unless they are to be dropped.
    """
    kinds = {
        "TIME not finite": ~np.isfinite(events.time_s),
        "ENERGY not finite or not above 0": ~(np.isfinite(events.energy_tev) & (events.energy_tev > 0)),
        "RA not finite": ~np.isfinite(events.ra_deg),
        "DEC not within -90 to 90 deg": ~(np.abs(events.dec_deg) <= 90),
    }
    bad = np.logical_or.reduce(list(kinds.values()))
    if not bad.any():
        return events
    if not drop:
        raise DataValueError(
            "GX-DATA-045",
            f"{bad.sum()} of {len(events)} events cannot be right",
            file=file,
            hdu=hdu,
            row=int(np.argmax(bad)),
            found="; ".join(f"{kind.sum()} with {name}" for name, kind in kinds.items() if kind.any()),
            do="pass drop_bad_events=True to leave them out; their number is kept",
        )
    kept = events.select_rows(~bad)
    return replace(kept, meta={**kept.meta, "NDROPPED": int(bad.sum())})


def _warn_of_duplicates(events: EventList, file: str | None) -> None:
    """Warn of rows that repeat EVENT_ID, TIME, RA, DEC and ENERGY of another; EVENT_ID alone repeats in real files."""
    by_time = np.sort(events.time_s)
    ties = by_time[1:][by_time[1:] == by_time[:-1]]
    if not len(ties):
        return
    rows = np.flatnonzero(np.isin(events.time_s, ties))
    keys: list[Any] = [events.time_s, events.ra_deg, events.dec_deg, events.energy_tev]
    keys += [events.columns["EVENT_ID"]] if "EVENT_ID" in events.columns else []
    seen = set(zip(*(key[rows].tolist() for key in keys), strict=True))
    n_repeated = len(rows) - len(seen)
    if n_repeated:
        warnings.warn(
            f"{file}: {n_repeated} of {len(events)} events repeat another one; they are kept",
            GammaxWarning,
            stacklevel=2,
        )


def events_hdu(events: EventList) -> fits.BinTableHDU:
    """Table HDU of events; see `EventList.to_hdu`."""
    table = events.table
    header = {key: value for key, value in table.meta.items() if key != "EXTNAME"}
    table.meta = {}
    order = [name for name in ("EVENT_ID", *_MAIN) if name in table.colnames]
    hdu = fits.BinTableHDU(table[order + [name for name in table.colnames if name not in order]], name="EVENTS")
    hdu.header.update(header)
    hdu.header.update({"HDUCLASS": "GADF", "HDUVERS": "0.2", "HDUCLAS1": "EVENTS"})
    return hdu
