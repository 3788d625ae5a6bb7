"""Event lists: what the telescope saw, one row per event (GADF 0.2, also the columns of OGIP and Fermi-LAT files)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time

from gammax._fits import get_hdu, open_fits, write_fits
from gammax.data._arrays import readonly
from gammax.data._event_selection import EventSelection
from gammax.data._header import read_location
from gammax.data._pointing import FixedPointingInfo
from gammax.data._times import DEFAULT_REFERENCE, TimeReference
from gammax.errors import DataValueError
from gammax.units import to_value, unit_string

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class EventList(EventSelection):
    """Events.

    Parameters
    ----------
    time_s : seconds since the reference, float64 (n,).
    energy_tev : energies [TeV].
    ra_deg, dec_deg : arrival directions, ICRS [deg]; right ascension as in the file, not wrapped.
    reference : moment from which the seconds count.
    columns : the other columns of the table, by name, as they are in the file.
    units : units of those of them that have one.
    meta : header of the table.

    Raises
    ------
    DataValueError : columns of different lengths.
    """

    time_s: np.ndarray
    energy_tev: np.ndarray
    ra_deg: np.ndarray
    dec_deg: np.ndarray
    reference: TimeReference
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        for name in ("time_s", "energy_tev", "ra_deg", "dec_deg"):
            object.__setattr__(self, name, readonly(np.atleast_1d(getattr(self, name))))
        for name in ("columns", "units", "meta"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        for name, values in {"ENERGY": self.energy_tev, "RA": self.ra_deg, "DEC": self.dec_deg, **self.columns}.items():
            if len(values) != len(self.time_s):
                raise DataValueError(
                    "GX-DATA-040",
                    f"column {name} has another length than TIME",
                    column=name,
                    found=len(values),
                    expected=len(self.time_s),
                )

    @classmethod
    def create(
        cls,
        time: Time | u.Quantity,
        energy: u.Quantity,
        radec: SkyCoord,
        reference_time: Time | str | None = None,
        columns: Mapping[str, np.ndarray] | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> EventList:
        """Events from astropy objects; times as Quantities count from the reference (2000-01-01 TT unless given)."""
        reference = DEFAULT_REFERENCE if reference_time is None else TimeReference.from_time(reference_time)
        seconds = to_value(time, "s", "time") if isinstance(time, u.Quantity) else reference.to_seconds(time)
        icrs = radec.icrs
        tev = to_value(energy, "TeV", "energy")
        return cls(seconds, tev, icrs.ra.deg, icrs.dec.deg, reference, columns or {}, meta=meta or {})

    @classmethod
    def from_hdu(cls, hdu: fits.BinTableHDU, file: str | None = None, drop_bad_events: bool = False) -> EventList:
        """Events of a table HDU.

        Parameters
        ----------
        drop_bad_events : leave out events whose time, energy or direction cannot be right instead of raising; their
            number is kept in ``meta["NDROPPED"]``.

        Raises
        ------
        SchemaError : TIME, ENERGY, RA, DEC or a keyword of the reference time is missing. UnitError : a unit is
            missing or wrong. DataValueError : events that cannot be right.
        """
        from gammax.data._event_table import read_events

        return read_events(cls, hdu, file, drop_bad_events)

    @classmethod
    def read(cls, path: str | Path, hdu: str = "EVENTS", drop_bad_events: bool = False) -> EventList:
        """Events in a FITS file; errors as `from_hdu`."""
        with open_fits(path) as hdus:
            return cls.from_hdu(get_hdu(hdus, hdu), str(path), drop_bad_events)

    def to_hdu(self) -> fits.BinTableHDU:
        """GADF table; everything in 64 bits, so that it comes back to the bit."""
        from gammax.data._event_table import events_hdu

        return events_hdu(self)

    def write(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write as a GADF FITS file, events alone; `Observation.write` adds intervals and responses."""
        return write_fits(fits.HDUList([fits.PrimaryHDU(), self.to_hdu()]), path, overwrite)

    @property
    def energy(self) -> u.Quantity:
        """Energies [TeV]."""
        return u.Quantity(self.energy_tev, "TeV")

    @property
    def time(self) -> Time:
        """Arrival times."""
        return self.reference.to_time(self.time_s)

    @property
    def time_ref(self) -> Time:
        """Reference time."""
        return self.reference.time

    @property
    def radec(self) -> SkyCoord:
        """Arrival directions, ICRS."""
        return SkyCoord(self.ra_deg, self.dec_deg, unit="deg", frame="icrs")

    @property
    def galactic(self) -> SkyCoord:
        """Arrival directions, Galactic."""
        return self.radec.transform_to("galactic")

    @property
    def pointing(self) -> FixedPointingInfo:
        """Pointing in the header; errors as `FixedPointingInfo.from_header`."""
        return FixedPointingInfo.from_header(self.meta)

    @property
    def location(self) -> EarthLocation | None:
        """Site of the telescope, None where the header has none."""
        return read_location(self.meta)

    @property
    def offset(self) -> u.Quantity:
        """Angles to the pointing [deg]; of a drifting telescope to where it pointed when the event came."""
        return self.pointing.get_icrs(self.time, self.location).separation(self.radec).to("deg")

    @property
    def table(self) -> Table:
        """The events as a table (TIME in seconds since the reference, header in its meta)."""
        table = Table(
            {"TIME": self.time_s * u.s, "ENERGY": self.energy, "RA": self.ra_deg * u.deg, "DEC": self.dec_deg * u.deg}
        )
        for name, values in self.columns.items():
            table[name] = values
            if name in self.units:
                table[name].unit = unit_string(self.units[name])
        table.meta = {**self.meta, **self.reference.header()}
        return table

    def select_rows(self, rows: Any) -> EventList:
        """Events of a boolean mask, a slice or row numbers."""
        names = ("time_s", "energy_tev", "ra_deg", "dec_deg")
        chosen = {name: getattr(self, name)[rows] for name in names}
        return replace(self, columns={name: values[rows] for name, values in self.columns.items()}, **chosen)

    @classmethod
    def from_stack(cls, event_lists: Iterable[EventList]) -> EventList:
        """Events of all lists, one list after the other, times counted from the first one's reference.

        Columns and cards that not all of them have, or that differ between headers, are left out.

        Raises
        ------
        DataValueError : nothing to stack.
        """
        parts = list(event_lists)
        if not parts:
            raise DataValueError("GX-DATA-041", "no events to stack")
        first, rest = parts[0], parts[1:]
        times = [part.time_s + first.reference.shift_from(part.reference) for part in parts]
        names = [
            name
            for name, values in first.columns.items()
            if all(name in part.columns and part.columns[name].shape[1:] == values.shape[1:] for part in rest)
        ]
        return cls(
            np.concatenate(times),
            *(np.concatenate([getattr(p, name) for p in parts]) for name in ("energy_tev", "ra_deg", "dec_deg")),
            first.reference,
            {name: np.concatenate([part.columns[name] for part in parts]) for name in names},
            {name: unit for name, unit in first.units.items() if name in names},
            {key: value for key, value in first.meta.items() if all(part.meta.get(key) == value for part in rest)},
        )

    def stack(self, other: EventList) -> EventList:
        """Events of both; rules as `from_stack`."""
        return self.from_stack([self, other])

    def peek(self) -> Figure:
        """Figure for a quick look: directions, energies, rate, distances to the pointing."""
        from gammax.data._peek import peek_events

        return peek_events(self)

    def __len__(self) -> int:
        return len(self.time_s)

    def __reduce__(self):
        # a mapping proxy cannot be pickled
        names = ("time_s", "energy_tev", "ra_deg", "dec_deg", "reference")
        mappings = (dict(self.columns), dict(self.units), dict(self.meta))
        return type(self), (*(getattr(self, name) for name in names), *mappings)

    def __repr__(self) -> str:
        if not len(self):
            return "EventList(0 events)"
        low, high = self.energy_tev.min(), self.energy_tev.max()
        return f"EventList({len(self)} events, {low:.3g} to {high:.3g} TeV, OBS_ID {self.meta.get('OBS_ID', 'none')})"
