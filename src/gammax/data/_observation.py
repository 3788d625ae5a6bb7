"""One observation: events, good time, pointing and responses, each read when it is first asked for."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import astropy.units as u
import numpy as np
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.time import Time

from gammax._paths import resolve_path
from gammax.data._events import EventList
from gammax.data._gti import GTI
from gammax.data._hdu_index import HDU_TYPES, IRF_TYPES
from gammax.data._hdu_sniff import find_parts
from gammax.data._header import location_header, obs_number, read_deadc, read_location, read_meta
from gammax.data._lazy import LazyParts
from gammax.data._pointing import FixedPointingInfo
from gammax.data._times import DEFAULT_REFERENCE, TimeReference
from gammax.errors import DataValueError, GammaxWarning, SchemaError, did_you_mean
from gammax.units import to_value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GTI_MODES = ("as-gammapy", "strict")
# H.E.S.S. DL3 DR1 truncates STOP: its last events come up to 0.93 s later
GTI_TOLERANCE_S = 1.0


@dataclass(frozen=True, eq=False, repr=False)
class Observation:
    """One observation; made by `DataStore.obs`, `Observation.read` or `Observation.create`.

    Parameters
    ----------
    obs_id : its number.
    parts : events, intervals, responses, or where they are.
    intervals : time intervals (start, stop) to which it is cut.
    gti_mode : "as-gammapy" keeps events outside of the good time intervals (the published H.E.S.S. runs have up to 11
        of them each, less than a second late, and Gammapy counts them); "strict" leaves them out.

    Raises
    ------
    SchemaError : unknown `gti_mode`.
    """

    obs_id: int | str
    parts: LazyParts
    intervals: tuple[Any, ...] = ()
    gti_mode: str = "as-gammapy"

    def __post_init__(self):
        if self.gti_mode not in GTI_MODES:
            raise SchemaError(
                "GX-DATA-080", f"unknown gti mode {self.gti_mode!r}", do=did_you_mean(self.gti_mode, GTI_MODES)
            )

    def __getstate__(self) -> dict[str, Any]:
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @classmethod
    def read(
        cls,
        path: str | Path,
        irf_path: str | Path | None = None,
        gti: str = "as-gammapy",
        drop_bad_events: bool = False,
    ) -> Self:
        """Observation in one DL3 file, or in one for the events and one for the responses.

        What an HDU holds is told by its columns, not by its name.

        Raises
        ------
        SchemaError : the file holds no events, or they have no OBS_ID.
        """
        path = resolve_path(path)
        locations = find_parts(path)
        if "events" not in locations:
            raise SchemaError("GX-DATA-081", "the file holds no events", file=path, expected="an HDU named EVENTS")
        if irf_path is not None:
            others = find_parts(resolve_path(irf_path))
            locations |= {name: others[name] for name in IRF_TYPES if name in others}
        parts = LazyParts(locations, drop_bad_events=drop_bad_events)
        return cls(obs_number(parts.header("events"), str(path)), parts, gti_mode=gti)

    @classmethod
    def create(
        cls,
        pointing: FixedPointingInfo | SkyCoord,
        location: EarthLocation | None = None,
        obs_id: int = 0,
        livetime: Any = None,
        tstart: Any = None,
        tstop: Any = None,
        irfs: Mapping[str, Any] | None = None,
        deadtime_fraction: float = 0.0,
        reference_time: Time | str | None = None,
        events: EventList | None = None,
    ) -> Self:
        """Observation in memory, for simulations.

        Parameters
        ----------
        livetime : length, where `tstop` is not given (as the peer, it is the on time, dead time included).
        tstart, tstop : Times, or Quantities from `reference_time`; the start is the reference unless given.
        reference_time : moment from which the seconds of events and intervals count; 2000-01-01 TT unless given.
        irfs : responses by type ("aeff", "edisp", "psf", "bkg", "rad_max").

        Raises
        ------
        SchemaError : neither `livetime` nor `tstop`, or an unknown type of response.
        """
        irfs = dict(irfs or {})
        unknown = next((name for name in irfs if name not in IRF_TYPES), None)
        if unknown is not None:
            raise SchemaError("GX-DATA-082", f"unknown response {unknown!r}", do=did_you_mean(unknown, IRF_TYPES))
        reference = DEFAULT_REFERENCE if reference_time is None else TimeReference.from_time(reference_time)
        start, stop = (_seconds(time, reference) for time in (0 * u.s if tstart is None else tstart, tstop))
        if stop is None:
            if livetime is None:
                raise SchemaError("GX-DATA-083", "the length of the observation is missing", expected="livetime, tstop")
            stop = start + to_value(livetime, "s", "livetime")
        info = pointing if isinstance(pointing, FixedPointingInfo) else FixedPointingInfo(pointing)
        times = {"TSTART": float(start), "TSTOP": float(stop), "DEADC": 1.0 - deadtime_fraction}
        meta = {"OBS_ID": obs_id, **reference.header(), **times, **info.header(), **location_header(location)}
        given = {"meta": meta, "gti": GTI([start], [stop], reference), **irfs}
        return cls(obs_id, LazyParts({}, given if events is None else {**given, "events": events}))

    @property
    def meta(self) -> Mapping[str, Any]:
        """Header of the events; SchemaError if the observation has none."""
        return self.parts.remember("meta", self._read_meta)

    def _read_meta(self) -> Mapping[str, Any]:
        header = self.parts.header("events")
        if header is None:
            given = self.parts.get("meta")
            return MappingProxyType(dict(self._require("events").meta if given is None else given))
        stated = obs_number(header, self._file) if "OBS_ID" in header else self.obs_id
        if str(stated) != str(self.obs_id):
            warnings.warn(
                f"{self._file}: the events say OBS_ID {stated}, the index says {self.obs_id}; the index is used",
                GammaxWarning,
                stacklevel=2,
            )
        return MappingProxyType(read_meta(header))

    @property
    def _file(self) -> str | None:
        location = self.parts.locations.get("events")
        return None if location is None else str(location.path)

    def _require(self, name: str) -> Any:
        part = self.parts.get(name)
        if part is None:
            raise SchemaError(
                "GX-DATA-084",
                f"the observation has no {name}",
                obs_id=self.obs_id,
                found=", ".join(self.available_hdus) or "nothing",
            )
        return part

    @cached_property
    def events(self) -> EventList:
        """Events, cut to the time intervals chosen.

        Raises
        ------
        SchemaError : there are none. DataValueError : they and the good time intervals are of different times.
        """
        events: EventList = self._require("events")
        if "gti" in self.parts:
            good = self.parts.get("gti")
            self.parts.remember("times", lambda: self._compare_times(events, good))
            events = events.select_gti(good) if self.gti_mode == "strict" else events
        for interval in self.intervals:
            events = events.select_time(interval)
        return events

    def _compare_times(self, events: EventList, gti: GTI) -> None:
        if not len(events):
            return
        seconds = events.time_s + gti.reference.shift_from(events.reference)
        n_far = int(np.sum(~gti.contains(seconds, GTI_TOLERANCE_S)))
        if n_far == len(events):
            raise DataValueError(
                "GX-DATA-085",
                "no event lies in the good time intervals",
                file=self._file,
                obs_id=self.obs_id,
                found=f"events from {seconds.min():.3f} to {seconds.max():.3f} s",
                expected=f"within {gti.start_s.min():.3f} to {gti.stop_s.max():.3f} s",
                do="compare MJDREFI, MJDREFF and TIMESYS of the two tables",
            )
        if n_far and self.gti_mode != "strict":
            warnings.warn(
                f"{self._file}: {n_far} of {len(events)} events lie more than {GTI_TOLERANCE_S:g} s outside of the "
                "good time intervals; they are kept (gti='strict' leaves them out)",
                GammaxWarning,
                stacklevel=2,
            )

    @cached_property
    def gti(self) -> GTI:
        """Good time intervals, cut to the time intervals chosen; SchemaError if there are none."""
        gti = self._require("gti")
        for interval in self.intervals:
            gti = gti.select_time(interval)
        return gti

    @property
    def aeff(self) -> Any:
        """Effective area, None if there is none (so for all responses)."""
        return self.parts.get("aeff")

    @property
    def edisp(self) -> Any:
        """Energy dispersion."""
        return self.parts.get("edisp")

    @property
    def psf(self) -> Any:
        """Point spread function."""
        return self.parts.get("psf")

    @cached_property
    def bkg(self) -> Any:
        """Background rate, aligned as the header of the events tells (`Background3D.with_events_header`)."""
        bkg = self.parts.get("bkg")
        return None if bkg is None else bkg.with_events_header(self.meta)

    @cached_property
    def rad_max(self) -> Any:
        """Radius of the directional cut: the RAD_MAX table, else the keyword RAD_MAX of point-like responses.

        The keyword is looked for in the headers of the effective area, the energy dispersion and the events.
        """
        from gammax.irf import RadMax2D

        if "rad_max" in self.parts:
            return self.parts.get("rad_max")
        pointlike = [part for part in (self.aeff, self.edisp) if part is not None and part.is_pointlike]
        if not pointlike:
            return None
        stated = next((part for part in pointlike if "RAD_MAX" in part.meta), None)
        if stated is None and "RAD_MAX" in self.meta:
            return RadMax2D.from_keyword(pointlike[0], self.meta["RAD_MAX"])
        return RadMax2D.from_irf(pointlike[0] if stated is None else stated)

    @cached_property
    def pointing(self) -> FixedPointingInfo:
        """Pointing; errors as `FixedPointingInfo.from_header`."""
        return FixedPointingInfo.from_header(self.meta, self._file)

    @cached_property
    def location(self) -> EarthLocation | None:
        """Site of the telescope, None where the header has none."""
        return read_location(self.meta)

    @property
    def deadtime_fraction(self) -> float:
        """1 - DEADC.

        Raises
        ------
        SchemaError : DEADC is missing. DataValueError : DEADC is not in (0, 1].
        """
        where = {"file": self._file, "obs_id": self.obs_id}
        return 1.0 - self.parts.remember("deadc", lambda: read_deadc(self.meta, **where))

    @property
    def ontime(self) -> u.Quantity:
        """Sum of the good time intervals."""
        return self.gti.time_sum

    @property
    def livetime(self) -> u.Quantity:
        """On time without the dead time."""
        return self.ontime * (1.0 - self.deadtime_fraction)

    @property
    def tstart(self) -> Time:
        """Start of the first good time interval."""
        return self.gti.reference.to_time(self._gti_ends()[0])

    @property
    def tstop(self) -> Time:
        """Stop of the last good time interval."""
        return self.gti.reference.to_time(self._gti_ends()[1])

    @property
    def tmid(self) -> Time:
        """Half-way between start and stop."""
        return self.gti.reference.to_time(sum(self._gti_ends()) / 2)

    def _gti_ends(self) -> tuple[float, float]:
        if not len(self.gti):
            raise DataValueError("GX-DATA-086", "no good time is left of the observation", obs_id=self.obs_id)
        return float(self.gti.start_s.min()), float(self.gti.stop_s.max())

    def get_pointing_icrs(self, time: Time | None = None) -> SkyCoord:
        """Where on the sky it pointed, at half-time unless a time is given."""
        return self.pointing.get_icrs(self.tmid if time is None else time, self.location)

    def get_pointing_altaz(self, time: Time | None = None) -> SkyCoord:
        """Altitude and azimuth, at half-time unless a time is given."""
        return self.pointing.get_altaz(self.tmid if time is None else time, self.location)

    @property
    def available_hdus(self) -> list[str]:
        """Types of what there is, read or not."""
        return [name for name in HDU_TYPES if name in self.parts]

    @property
    def available_irfs(self) -> list[str]:
        """Types of the responses there are, read or not."""
        return [name for name in IRF_TYPES if name in self.parts]

    def select_time(self, time_interval: Any) -> Self:
        """The observation cut to start <= time < stop; what was read is shared."""
        return replace(self, intervals=(*self.intervals, Time(time_interval)))

    def unread(self) -> Self:
        """The same observation with nothing read; for loops over many that keep memory low."""
        parts = LazyParts(self.parts.locations, self.parts.given, self.parts.drop_bad_events)
        return replace(self, parts=parts)

    def write(self, path: str | Path, overwrite: bool = False, include_irfs: bool = True) -> Path:
        """Write one GADF file: events, intervals, and the responses unless they are left out."""
        from gammax.data._observation_files import write_observation

        return write_observation(self, path, overwrite, include_irfs)

    def peek(self) -> Figure:
        """Figure for a quick look at what there is: directions and energies of the events, and each response."""
        from gammax.data._peek import peek_observation

        return peek_observation(self)

    def __repr__(self) -> str:
        cut = f", {len(self.intervals)} time cuts" if self.intervals else ""
        return f"Observation({self.obs_id}: {', '.join(self.available_hdus)}{cut})"


def _seconds(value: Any, reference: TimeReference) -> float | None:
    if value is None:
        return None
    seconds = to_value(value, "s", "time") if isinstance(value, u.Quantity) else reference.to_seconds(value)
    return float(seconds)
