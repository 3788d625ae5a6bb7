"""Good time intervals: when the telescope took data that count."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time

from gammax._fits import get_hdu, open_fits, write_fits
from gammax.data._arrays import readonly
from gammax.data._header import read_meta
from gammax.data._times import DEFAULT_REFERENCE, TimeReference, get_seconds, interval_seconds
from gammax.errors import DataValueError, GammaxWarning
from gammax.units import to_value

# what is left of an interval that the cut only touches: seconds in 64 bits resolve 1e-8
RESOLUTION_S = 1e-6


@dataclass(frozen=True, eq=False)
class GTI:
    """Good time intervals.

    Parameters
    ----------
    start_s, stop_s : ends of the intervals, seconds since the reference, shape (n,).
    reference : moment from which the seconds count.
    meta : other cards of the header.

    Raises
    ------
    DataValueError : no interval's ends are finite, or one stops before it starts.
    """

    start_s: np.ndarray
    stop_s: np.ndarray
    reference: TimeReference = DEFAULT_REFERENCE
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        start, stop = readonly(np.atleast_1d(self.start_s)), readonly(np.atleast_1d(self.stop_s))
        if start.shape != stop.shape or start.ndim != 1:
            raise DataValueError("GX-DATA-030", "starts and stops differ in shape", found=(start.shape, stop.shape))
        _check_ends(start, stop)
        object.__setattr__(self, "start_s", start)
        object.__setattr__(self, "stop_s", stop)

    @classmethod
    def create(cls, start: Any, stop: Any, reference_time: Time | str | None = None) -> GTI:
        """Intervals from times, or from Quantities counted from the reference (2000-01-01 TT unless given)."""
        reference = DEFAULT_REFERENCE if reference_time is None else TimeReference.from_time(reference_time)
        return cls(_seconds(start, reference), _seconds(stop, reference), reference)

    @classmethod
    def from_hdu(cls, hdu: fits.BinTableHDU, file: str | None = None) -> GTI:
        """Intervals of a GADF or OGIP table.

        Raises
        ------
        SchemaError : a column or keyword is missing. UnitError : no unit in TUNIT nor TIMEUNIT.
        DataValueError : no row, or as the class.
        """
        start, stop = (get_seconds(hdu, name, file) for name in ("START", "STOP"))
        if not len(start):
            raise DataValueError("GX-DATA-032", "the table of good time intervals is empty", file=file, hdu=hdu.name)
        reference = TimeReference.from_header(hdu.header, file, hdu.name)
        _check_ends(start, stop, file=file, hdu=hdu.name)
        gti = cls(start, stop, reference, read_meta(hdu.header))
        n_overlaps = len(gti) - len(gti.union(merge_equal=False))
        if n_overlaps:
            warnings.warn(
                f"{file}: {n_overlaps} good time intervals overlap, their time counts twice; GTI.union() joins them",
                GammaxWarning,
                stacklevel=2,
            )
        return gti

    @classmethod
    def read(cls, path: str | Path, hdu: str = "GTI") -> GTI:
        """Intervals in a FITS file; errors as `from_hdu`."""
        with open_fits(path) as hdus:
            return cls.from_hdu(get_hdu(hdus, hdu), str(path))

    def to_hdu(self) -> fits.BinTableHDU:
        """GADF table."""
        hdu = fits.BinTableHDU(self.table, name="GTI")
        hdu.header.update({"HDUCLASS": "GADF", "HDUVERS": "0.2", "HDUCLAS1": "GTI"})
        return hdu

    def write(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write as a GADF FITS file."""
        return write_fits(fits.HDUList([fits.PrimaryHDU(), self.to_hdu()]), path, overwrite)

    @property
    def table(self) -> Table:
        """START and STOP [s], with the reference time in the table's meta, as datasets carry it."""
        return Table({"START": self.start_s, "STOP": self.stop_s}, units=["s", "s"], meta=self.reference.header())

    @property
    def time_ref(self) -> Time:
        """Reference time."""
        return self.reference.time

    @property
    def time_start(self) -> Time:
        """Starts."""
        return self.reference.to_time(self.start_s)

    @property
    def time_stop(self) -> Time:
        """Stops."""
        return self.reference.to_time(self.stop_s)

    @property
    def time_delta(self) -> u.Quantity:
        """Lengths."""
        return (self.stop_s - self.start_s) * u.s

    @property
    def time_sum(self) -> u.Quantity:
        """Sum of the lengths: the on time."""
        return self.time_delta.sum()

    @property
    def time_intervals(self) -> list[tuple[Any, Any]]:
        """Pairs of start and stop."""
        return list(zip(self.time_start, self.time_stop, strict=True))

    def contains(self, seconds: np.ndarray, tolerance: float = 0.0) -> np.ndarray:
        """Whether times [s since this reference] lie in START <= t < STOP, widened at both ends by `tolerance` [s]."""
        merged = replace(self, start_s=self.start_s - tolerance, stop_s=self.stop_s + tolerance).union()
        index = np.searchsorted(merged.start_s, seconds, side="right") - 1
        return (index >= 0) & (seconds < merged.stop_s[index])

    def select_time(self, time_interval: Any) -> GTI:
        """Intervals cut to a time interval (start, stop); there may be none left."""
        ends = interval_seconds(time_interval, self.reference)
        start, stop = np.clip(self.start_s, *ends), np.clip(self.stop_s, *ends)
        keep = stop - start > RESOLUTION_S
        return replace(self, start_s=start[keep], stop_s=stop[keep])

    def to_reference(self, reference: TimeReference) -> GTI:
        """The same intervals, counted from another moment."""
        shift = reference.shift_from(self.reference)
        return replace(self, start_s=self.start_s + shift, stop_s=self.stop_s + shift, reference=reference)

    @classmethod
    def from_stack(cls, gtis: Iterable[GTI]) -> GTI:
        """Intervals of all, one after the other, counted from the first one's reference.

        Raises
        ------
        DataValueError : nothing to stack.
        """
        parts = list(gtis)
        if not parts:
            raise DataValueError("GX-DATA-033", "no good time intervals to stack")
        parts = [part.to_reference(parts[0].reference) for part in parts]
        ends = [np.concatenate([getattr(part, name) for part in parts]) for name in ("start_s", "stop_s")]
        return cls(ends[0], ends[1], parts[0].reference)

    def stack(self, other: GTI) -> GTI:
        """Intervals of both."""
        return self.from_stack([self, other])

    def union(self, overlap_ok: bool = True, merge_equal: bool = True) -> GTI:
        """Intervals in order of time, those that overlap joined.

        Parameters
        ----------
        overlap_ok : False refuses intervals that overlap.
        merge_equal : join intervals that only touch.

        Raises
        ------
        DataValueError : intervals overlap and may not.
        """
        if not len(self):
            return self
        order = np.argsort(self.start_s, kind="stable")
        start, stop = self.start_s[order], np.maximum.accumulate(self.stop_s[order])
        if not overlap_ok and np.any(start[1:] < stop[:-1]):
            first = int(np.argmax(start[1:] < stop[:-1])) + 1
            raise DataValueError("GX-DATA-034", "good time intervals overlap", found=f"at {start[first]} s")
        apart = start[1:] > stop[:-1] if merge_equal else start[1:] >= stop[:-1]
        return replace(self, start_s=start[np.append(True, apart)], stop_s=stop[np.append(apart, True)])

    def __len__(self) -> int:
        return len(self.start_s)

    def __repr__(self) -> str:
        if not len(self):
            return "GTI(0 intervals)"
        start, stop = self.reference.to_time([self.start_s.min(), self.stop_s.max()]).iso
        scale = self.reference.scale.upper()
        return f"GTI({len(self)} intervals, {self.time_sum.value:.3f} s, {start} to {stop} {scale})"


def _check_ends(start: np.ndarray, stop: np.ndarray, **where: Any) -> None:
    # written so that NaN fails too
    wrong = np.flatnonzero(~((stop >= start) & np.isfinite(start) & np.isfinite(stop)))
    if len(wrong):
        raise DataValueError(
            "GX-DATA-031",
            f"{len(wrong)} of {len(start)} good time intervals are not finite or stop before they start",
            found=f"row {wrong[0]}: {start[wrong[0]]} to {stop[wrong[0]]} s",
            **where,
        )


def _seconds(value: Any, reference: TimeReference) -> np.ndarray:
    return to_value(value, "s", "time") if isinstance(value, u.Quantity) else reference.to_seconds(value)
