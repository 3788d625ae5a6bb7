"""Where the telescope looked: a fixed sky position (POINTING) or a fixed altitude and azimuth (DRIFT)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time

from gammax.errors import DataValueError, SchemaError


@dataclass(frozen=True, eq=False)
class FixedPointingInfo:
    """Pointing of one observation; give one of the two.

    Parameters
    ----------
    fixed_icrs : position on the sky that is tracked.
    fixed_altaz : direction above the ground, through which the sky drifts.

    Raises
    ------
    DataValueError : both, none, or not finite.
    """

    fixed_icrs: SkyCoord | None = None
    fixed_altaz: AltAz | None = None

    def __post_init__(self):
        if (self.fixed_icrs is None) == (self.fixed_altaz is None):
            raise DataValueError(
                "GX-DATA-020", "a pointing is either fixed on the sky or fixed above the ground", expected="one of them"
            )
        if self.fixed_icrs is not None:
            object.__setattr__(self, "fixed_icrs", SkyCoord(self.fixed_icrs).icrs)
            values = (self.fixed_icrs.ra.deg, self.fixed_icrs.dec.deg)
        else:
            values = (self.fixed_altaz.alt.deg, self.fixed_altaz.az.deg)
        if not np.all(np.isfinite(values)):
            raise DataValueError("GX-DATA-021", "the pointing is not finite", found=values)

    @classmethod
    def from_header(cls, meta: Mapping[str, Any], file: str | None = None) -> FixedPointingInfo:
        """Pointing in the header of an event list; every OBS_MODE but DRIFT is a tracked position.

        RA_PNT and DEC_PNT are taken as ICRS whatever RADECSYS says (FK5 differs by 0.02 arcsec), as Gammapy does.

        Raises
        ------
        SchemaError : the two angles are missing. DataValueError : they are no angles.
        """
        drift = str(meta.get("OBS_MODE", "POINTING")).strip().upper() == "DRIFT"
        keywords = ("ALT_PNT", "AZ_PNT") if drift else ("RA_PNT", "DEC_PNT")
        values = [_angle(meta, keyword, drift, file) for keyword in keywords]
        latitude = values[0] if drift else values[1]
        if abs(latitude) > 90:
            raise DataValueError(
                "GX-DATA-023", "the pointing is beyond the pole", file=file, found=latitude, expected="-90 to 90 deg"
            )
        if drift:
            return cls(fixed_altaz=AltAz(alt=values[0] * u.deg, az=values[1] * u.deg))
        return cls(fixed_icrs=SkyCoord(*values, unit="deg", frame="icrs"))

    @property
    def mode(self) -> str:
        """The text "POINTING" or "DRIFT"."""
        return "DRIFT" if self.fixed_icrs is None else "POINTING"

    def get_icrs(self, obstime: Time | None = None, location: EarthLocation | None = None) -> SkyCoord:
        """Position on the sky at a time; a drifting telescope needs the time and its site.

        Raises
        ------
        DataValueError : time or site are missing.
        """
        if self.fixed_icrs is not None:
            return SkyCoord(self.fixed_icrs.data, obstime=obstime, location=location)
        return self.get_altaz(obstime, location).transform_to("icrs")

    def get_altaz(self, obstime: Time | None = None, location: EarthLocation | None = None) -> SkyCoord:
        """Altitude and azimuth at a time; errors as `get_icrs`."""
        if obstime is None or location is None:
            raise DataValueError(
                "GX-DATA-024",
                "time and site are needed to go between sky and ground",
                found=f"time {obstime}, site {location}",
                do="are GEOLON, GEOLAT and ALTITUDE in the header of the events?",
            )
        frame = AltAz(obstime=obstime, location=location)
        if self.fixed_icrs is not None:
            return self.fixed_icrs.transform_to(frame)
        alt, az = (np.broadcast_to(angle.deg, obstime.shape) for angle in (self.fixed_altaz.alt, self.fixed_altaz.az))
        return SkyCoord(alt=alt, az=az, unit="deg", frame=frame)

    def header(self) -> dict[str, Any]:
        """Keywords for a file."""
        if self.fixed_icrs is not None:
            names, values = ("RA_PNT", "DEC_PNT"), (self.fixed_icrs.ra.deg, self.fixed_icrs.dec.deg)
        else:
            names, values = ("ALT_PNT", "AZ_PNT"), (self.fixed_altaz.alt.deg, self.fixed_altaz.az.deg)
        return {"OBS_MODE": self.mode} | {name: float(value) for name, value in zip(names, values, strict=True)}

    def __repr__(self) -> str:
        values = ", ".join(f"{name} {value:.4f}" for name, value in list(self.header().items())[1:])
        return f"FixedPointingInfo({self.mode}: {values} deg)"


def _angle(meta: Mapping[str, Any], keyword: str, drift: bool, file: str | None) -> float:
    if keyword not in meta:
        raise SchemaError(
            "GX-DATA-022",
            f"keyword {keyword} is missing",
            file=file,
            keyword=keyword,
            expected=f"it, for a {'drifting' if drift else 'tracking'} telescope",
        )
    try:
        value = float(meta[keyword])
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        raise DataValueError(
            "GX-DATA-025", f"keyword {keyword} is not an angle", file=file, keyword=keyword, found=repr(meta[keyword])
        )
    return value
