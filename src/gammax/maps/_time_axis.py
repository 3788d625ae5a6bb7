"""Axis of time intervals, which may have gaps between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import astropy.units as u
import numpy as np
from astropy.time import Time, TimeDelta

from gammax.errors import DataValueError, GeometryError, SchemaError
from gammax.maps._fixed_bins import FixedBins
from gammax.units import parse_unit, to_quantity, unit_string

_RTOL = 1e-6  # of an interval, by which two axes may differ and be the same


@dataclass(frozen=True, eq=False)
class TimeMapAxis(FixedBins):
    """Axis of time intervals.

    Times are `Time` objects, or Quantities and `TimeDelta` that count from the reference time.
    Intervals are half open [min, max).

    Parameters
    ----------
    edges_min, edges_max : starts and ends of the intervals, times since the reference time, in order, not overlapping.
    reference_time : `Time` or a text that it understands.
    name : name, by which maps look the axis up.
    interp : "lin".

    Raises
    ------
    UnitError : the edges are no times. DataValueError : edges that are not finite, fall, or overlap.
    GeometryError : different numbers of edges. SchemaError : another `interp`.
    """

    edges_min: Any
    edges_max: Any
    reference_time: Any
    name: str = "time"
    interp: str = "lin"

    node_type = "intervals"

    def __post_init__(self):
        if self.interp != "lin":
            raise SchemaError("GX-MAPS-200", f"unknown interpolation {self.interp!r}", axis=self.name, expected="lin")
        high = np.atleast_1d(to_quantity(self.edges_max, "s", "edges_max"))
        low = np.atleast_1d(to_quantity(self.edges_min, "s", "edges_min")).to(high.unit)
        if low.shape != high.shape or low.ndim != 1 or not len(low):
            raise GeometryError("GX-MAPS-201", "starts and ends differ in shape", found=low.shape, expected=high.shape)
        edges = np.column_stack([low.value, high.value]).ravel()
        if not np.all(np.isfinite(edges)) or np.any(high <= low) or np.any(np.diff(edges) < 0):
            raise DataValueError(
                "GX-MAPS-202", f"intervals of axis {self.name!r} must be finite, in order and without overlap"
            )
        for name, values in (("edges_min", low), ("edges_max", high)):
            values = values.copy()
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        object.__setattr__(self, "reference_time", Time(self.reference_time))

    @classmethod
    def from_time_edges(cls, time_min: Time, time_max: Time, unit: str = "d", name: str = "time") -> TimeMapAxis:
        """Axis of intervals between times; the reference time is the first start."""
        reference = time_min[0]
        low, high = ((time - reference).to(parse_unit(unit)) for time in (time_min, time_max))
        return cls(low, high, reference, name)

    @classmethod
    def from_time_bounds(
        cls, time_min: Time, time_max: Time, nbin: int, unit: str = "d", name: str = "time"
    ) -> TimeMapAxis:
        """Axis of `nbin` equal intervals from one time to another."""
        length = (time_max - time_min).to(parse_unit(unit))
        edges = length * np.linspace(0, 1, nbin + 1)
        return cls(edges[:-1], edges[1:], time_min, name)

    @classmethod
    def from_gti(cls, gti: Any, name: str = "time") -> TimeMapAxis:
        """Axis of good time intervals (`gammax.data.GTI`)."""
        return cls(gti.start_s * u.s, gti.stop_s * u.s, gti.time_ref, name)

    @classmethod
    def from_stack(cls, axes: Sequence[TimeMapAxis]) -> TimeMapAxis:
        """Axis of the intervals of several, which must follow each other."""
        first = axes[0]
        low, high = zip(*(first._relative(axis) for axis in axes), strict=True)
        return replace(first, edges_min=np.concatenate(low) * first._unit, edges_max=np.concatenate(high) * first._unit)

    @property
    def _unit(self) -> u.UnitBase:
        return self.edges_max.unit

    def _relative(self, other: TimeMapAxis) -> tuple[np.ndarray, np.ndarray]:
        """Edges of another axis since this reference time, in this unit."""
        shift = (other.reference_time - self.reference_time).to_value(self._unit)
        return other.edges_min.to_value(self._unit) + shift, other.edges_max.to_value(self._unit) + shift

    @property
    def unit(self) -> str:
        """Unit of the edges."""
        return unit_string(self._unit)

    @property
    def nbin(self) -> int:
        """Number of intervals."""
        return len(self.edges_min)

    @property
    def is_contiguous(self) -> bool:
        """Whether there are no gaps."""
        return bool(np.all(self.edges_min[1:] == self.edges_max[:-1]))

    @property
    def edges(self) -> u.Quantity:
        """Edges, shape (nbin + 1,).

        Raises
        ------
        GeometryError : there are gaps.
        """
        if not self.is_contiguous:
            raise GeometryError("GX-MAPS-203", f"axis {self.name!r} has gaps", do="use edges_min and edges_max")
        return cast(u.Quantity, np.append(self.edges_min, self.edges_max[-1]))

    @property
    def center(self) -> u.Quantity:
        """Middles of the intervals since the reference time."""
        return (self.edges_min + self.edges_max) / 2

    @property
    def bin_width(self) -> u.Quantity:
        """Lengths of the intervals."""
        return self.edges_max - self.edges_min

    @property
    def bounds(self) -> u.Quantity:
        """First and last edge since the reference time."""
        return u.Quantity([self.edges_min[0], self.edges_max[-1]])

    @property
    def time_min(self) -> Time:
        """Starts."""
        return self.reference_time + self.edges_min

    @property
    def time_max(self) -> Time:
        """Ends."""
        return self.reference_time + self.edges_max

    @property
    def time_mid(self) -> Time:
        """Middles."""
        return self.reference_time + self.center

    @property
    def time_delta(self) -> Any:
        """Lengths, as `TimeDelta`."""
        return self.time_max - self.time_min

    def _values(self, coord: Any) -> np.ndarray:
        since = coord - self.reference_time if isinstance(coord, Time) else coord
        since = since if isinstance(since, TimeDelta) else to_quantity(since, "s", self.name)
        return np.asarray(since.to_value(self._unit), float)

    def coord_to_idx(self, coord: Any, clip: bool = False) -> np.ndarray:
        """Number of the interval that holds a time; -1 outside and in gaps, or with `clip` the nearest at the ends."""
        values = self._values(coord)
        idx = np.searchsorted(self.edges_min.value, values, side="right") - 1
        inside = (idx >= 0) & (values < self.edges_max.value[idx])
        if clip:
            idx = np.where(values < self.edges_min.value[0], 0, idx)
            inside |= (values < self.edges_min.value[0]) | (values >= self.edges_max.value[-1])
        return np.where(inside, idx, -1)

    def coord_to_pix(self, coord: Any) -> np.ndarray:
        """Pixel number (fraction) of a time; NaN outside and in gaps."""
        values, idx = self._values(coord), self.coord_to_idx(coord)
        pix = idx - 0.5 + (values - self.edges_min.value[idx]) / self.bin_width.value[idx]
        return np.where(idx < 0, np.nan, pix)

    def pix_to_coord(self, pix: Any) -> Time:
        """Time of a pixel number: interval i has its middle at i, its ends at i - 0.5 and i + 0.5.

        Raises
        ------
        GeometryError : a number outside of the axis.
        """
        pix = np.asarray(pix, float)
        idx = np.floor(pix + 0.5)
        if not np.all((idx >= 0) & (idx < self.nbin)):
            raise GeometryError("GX-MAPS-204", f"axis {self.name!r} has no such bin", found=pix, expected=self.nbin)
        k = idx.astype(int)
        return self.reference_time + (self.edges_min[k] + (pix - idx + 0.5) * self.bin_width[k])

    def slice(self, idx: slice) -> TimeMapAxis:
        """Axis of a range of intervals."""
        return replace(self, edges_min=self.edges_min[idx], edges_max=self.edges_max[idx])

    def squash(self) -> TimeMapAxis:
        """Axis of one interval from the first start to the last end."""
        return replace(self, edges_min=self.edges_min[:1], edges_max=self.edges_max[-1:])

    def rename(self, name: str) -> TimeMapAxis:
        """Axis under another name."""
        return replace(self, name=name)

    def is_allclose(self, other: Any, rtol: float = _RTOL) -> bool:
        """Whether both axes have the same name and intervals, whatever their reference times."""
        return isinstance(other, TimeMapAxis) and not self.difference(other, rtol)

    def difference(self, other: TimeMapAxis, rtol: float = _RTOL) -> str:
        """First difference in words, "" where there is none; `rtol` in lengths of the intervals."""
        if self.name != other.name:
            return f"name {self.name!r} against {other.name!r}"
        if self.nbin != other.nbin:
            return f"{self.nbin} intervals against {other.nbin}"
        low, high = self._relative(other)
        apart = np.maximum(np.abs(low - self.edges_min.value), np.abs(high - self.edges_max.value))
        differs = apart > rtol * self.bin_width.value
        k = int(np.argmax(differs))
        return f"interval {k} {apart[k]:.3g} {self.unit} apart" if differs.any() else ""

    def __repr__(self) -> str:
        first, last = self.time_min[0].isot, self.time_max[-1].isot
        return f"TimeMapAxis({self.name!r}, {self.nbin} intervals, {first} to {last} {self.reference_time.scale})"
