"""Times in files: seconds since a reference time that the header gives (FITS time paper, Rots et al. 2015)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.time import Time, TimeDelta

from gammax._fits import get_column
from gammax.errors import DataValueError, SchemaError, UnitError, did_you_mean
from gammax.units import parse_unit

SECONDS_PER_DAY = 86400.0
# other names of the FITS standard for scales that astropy knows
_SCALES = {"tt": "tt", "tdt": "tt", "et": "tt", "tai": "tai", "iat": "tai", "utc": "utc", "gmt": "utc"} | {
    name: name for name in ("tdb", "tcg", "tcb", "ut1")
}


@dataclass(frozen=True)
class TimeReference:
    """Moment from which the seconds of a file count.

    Parameters
    ----------
    mjdrefi, mjdreff : whole days and fraction of the modified Julian date.
    scale : time scale ("tt", "utc", "tai" ...). Seconds are SI seconds: with "utc" they run through leap seconds.
    """

    mjdrefi: int
    mjdreff: float
    scale: str = "tt"

    @classmethod
    def from_header(cls, header: Mapping[str, Any], file: str | None = None, hdu: str | None = None) -> TimeReference:
        """Reference in the keywords MJDREFI, MJDREFF and TIMESYS; without TIMESYS it is TT, as Gammapy takes it.

        Raises
        ------
        SchemaError : a keyword is missing. DataValueError : it is no number, or TIMESYS is unknown.
        """
        values = []
        for keyword in ("MJDREFI", "MJDREFF"):
            if keyword not in header:
                raise SchemaError("GX-DATA-001", f"keyword {keyword} is missing", file=file, hdu=hdu, keyword=keyword)
            values.append(_number(header[keyword], keyword, file, hdu))
        system = str(header.get("TIMESYS", "TT")).strip()
        if system.lower() not in _SCALES:
            raise DataValueError(
                "GX-DATA-002",
                "unknown time system",
                file=file,
                hdu=hdu,
                keyword="TIMESYS",
                found=repr(system),
                do=did_you_mean(system.lower(), _SCALES),
            )
        # some files write the whole date into one of the two
        whole = int(np.floor(values[0]))
        return cls(whole, values[0] - whole + values[1], _SCALES[system.lower()])

    @classmethod
    def from_time(cls, time: Time | str) -> TimeReference:
        """Reference at a moment; its scale is kept (UTC for a text)."""
        moment = Time(time)
        whole = np.floor(moment.mjd)
        # the two doubles of a Time hold more digits than its mjd
        fraction = (moment.jd1 - 2400000.5 - whole) + moment.jd2
        return cls(int(whole), float(fraction), _SCALES[moment.scale])

    @property
    def time(self) -> Time:
        """The reference itself."""
        return cast(Time, Time(self.mjdrefi, self.mjdreff, format="mjd", scale=self.scale))

    def to_time(self, seconds: Any) -> Time:
        """Moments that many seconds after the reference."""
        return cast(Time, self.time + TimeDelta(np.asarray(seconds, dtype=np.float64), format="sec"))

    def to_seconds(self, time: Any) -> np.ndarray:
        """Seconds [float64] from the reference to moments, whatever their scale.

        Raises
        ------
        DataValueError : not a time.
        """
        try:
            return np.asarray((Time(time) - self.time).to_value(u.s), dtype=np.float64)
        except (ValueError, TypeError) as error:
            raise DataValueError(
                "GX-DATA-003", f"cannot read as a time: {error}", found=repr(time), expected="an astropy Time"
            ) from error

    def shift_from(self, other: TimeReference) -> float:
        """Seconds to add to a time counted from `other`, to count it from here."""
        if other == self:
            return 0.0
        if other.scale == self.scale != "utc":
            days, fraction = other.mjdrefi - self.mjdrefi, other.mjdreff - self.mjdreff
            return days * SECONDS_PER_DAY + fraction * SECONDS_PER_DAY
        return float(self.to_seconds(other.time))

    def header(self) -> dict[str, Any]:
        """Keywords for a file."""
        return {
            "MJDREFI": self.mjdrefi,
            "MJDREFF": self.mjdreff,
            "TIMESYS": self.scale.upper(),
            "TIMEUNIT": "s",
            "TIMEREF": "LOCAL",
        }


DEFAULT_REFERENCE = TimeReference(51544, 0.0)


def _number(value: Any, keyword: str, file: str | None, hdu: str | None) -> float:
    try:
        number = float(value)  # some files have it as text
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise DataValueError(
            "GX-DATA-004", f"keyword {keyword} is not a number", file=file, hdu=hdu, keyword=keyword, found=repr(value)
        )
    return number


def interval_seconds(interval: Any, reference: TimeReference) -> tuple[float, float]:
    """Start and stop [s since the reference] of a pair of times.

    Raises
    ------
    DataValueError : not a pair, or it ends before it starts.
    """
    seconds = reference.to_seconds(interval)
    if seconds.shape != (2,):
        raise DataValueError(
            "GX-DATA-005",
            "a time interval needs a start and a stop",
            found=f"shape {seconds.shape}",
            expected="Time([start, stop])",
        )
    if not seconds[0] <= seconds[1]:
        raise DataValueError("GX-DATA-006", "the time interval ends before it starts", found=str(interval))
    return float(seconds[0]), float(seconds[1])


def get_seconds(hdu: fits.BinTableHDU, name: str, file: str | None = None) -> np.ndarray:
    """Column of times in seconds; a column without TUNIT is in the unit that the header's TIMEUNIT states.

    Raises
    ------
    SchemaError : no such column. UnitError : neither TUNIT nor TIMEUNIT, or no unit of time.
    """
    unit = next((column.unit for column in hdu.columns if column.name.upper() == name), None)
    stated = hdu.header.get("TIMEUNIT")
    if unit or not stated:
        return get_column(hdu, name, "s", file)
    if not parse_unit(stated).is_equivalent(u.s):
        raise UnitError(
            "GX-DATA-007", "TIMEUNIT is no unit of time", file=file, hdu=hdu.name, keyword="TIMEUNIT", found=stated
        )
    return get_column(hdu, name, None, file).astype(np.float64) * parse_unit(stated).to(u.s)
