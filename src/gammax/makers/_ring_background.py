"""Background of each pixel of a cube from the ring around it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gammax.data import Observation
from gammax.datasets import MapDataset, MapDatasetOnOff
from gammax.errors import DataValueError, GeometryError, SchemaError, did_you_mean
from gammax.makers._exclusion import usable
from gammax.maps import WcsNDMap
from gammax.units import to_value

METHODS = ("fixed_width", "fixed_r_in")
# of a pixel: centres on the border of a ring are in it
_EDGE = 1e-9


@dataclass(frozen=True)
class RingBackgroundMaker:
    """OFF counts of each pixel and energy from the pixels of a ring around it, weighted with the expected background.

    Acceptances are the expected background: in the pixel, and summed over the ring. Pixels of the ring count whole,
    with their centre inside; excluded ones do not count. As the peer has it, mask_safe does not matter for the ring.

    Parameters
    ----------
    r_in, width : inner radius and width of the ring; bare numbers are degrees.
    exclusion_mask : False where sources are; what it does not cover is left out, too.

    Raises
    ------
    DataValueError : a radius or width that is none.
    """

    r_in: Any
    width: Any
    exclusion_mask: WcsNDMap | None = None

    def __post_init__(self):
        for name in ("r_in", "width"):
            object.__setattr__(self, name, _angle(getattr(self, name), name))

    def run(self, dataset: MapDataset, observation: Observation | None = None) -> MapDatasetOnOff:
        """ON-OFF dataset; pixels without OFF acceptance are taken out of mask_safe.

        Raises
        ------
        GeometryError : the dataset is of a region, or its pixels are no squares. SchemaError : it has no background.
        """
        counts, background, allowed = _parts(dataset, self.exclusion_mask)
        ring = _disk(dataset, self.r_in, self.r_in + self.width)
        return _on_off(dataset, background, *_ring_sums(counts, background, allowed, ring))


@dataclass(frozen=True)
class AdaptiveRingBackgroundMaker:
    """As `RingBackgroundMaker`, with a ring that grows until it holds enough acceptance.

    For each pixel and energy the first ring is taken with alpha, the expected background within `theta` over that of
    the ring, of at most `threshold_alpha`; where there is none, the pixel has no OFF counts.

    Parameters
    ----------
    r_in, width : inner radius and width of the smallest ring; bare numbers are degrees, here and below.
    r_out_max : the outer radius stays below it.
    stepsize : by which inner and outer radius ("fixed_width") or the outer radius alone ("fixed_r_in") grow.
    threshold_alpha : largest alpha.
    theta : radius about the pixel for which alpha is computed.
    method : "fixed_width" or "fixed_r_in".
    exclusion_mask : as for `RingBackgroundMaker`.

    Raises
    ------
    SchemaError : unknown method. DataValueError : an angle or threshold that is none, or not one ring.
    """

    r_in: Any
    r_out_max: Any
    width: Any
    stepsize: Any = "0.02 deg"
    threshold_alpha: float = 0.1
    theta: Any = "0.22 deg"
    method: str = "fixed_width"
    exclusion_mask: WcsNDMap | None = None

    def __post_init__(self):
        for name in ("r_in", "r_out_max", "width", "stepsize", "theta"):
            object.__setattr__(self, name, _angle(getattr(self, name), name))
        if self.method not in METHODS:
            raise SchemaError("GX-MAKERS-100", f"unknown method {self.method!r}", do=did_you_mean(self.method, METHODS))
        if not (self.threshold_alpha > 0 and self.stepsize > 0 and self.r_in + self.width < self.r_out_max):
            raise DataValueError(
                "GX-MAKERS-101",
                "there is no such ring",
                found=f"{self.r_in:g} to {self.r_in + self.width:g} deg in steps of {self.stepsize:g} deg, "
                f"alpha {self.threshold_alpha}",
                expected=f"an outer radius below {self.r_out_max:g} deg, positive steps and alpha",
            )

    def run(self, dataset: MapDataset, observation: Observation | None = None) -> MapDatasetOnOff:
        """ON-OFF dataset; pixels without a ring are taken out of mask_safe. Errors as `RingBackgroundMaker.run`."""
        counts, background, allowed = _parts(dataset, self.exclusion_mask)
        near = _convolved(background, _disk(dataset, 0.0, self.theta))
        found = np.zeros(counts.shape, bool)
        counts_off, acceptance_off = np.zeros(counts.shape), np.zeros(counts.shape)
        for r_in, r_out in self._radii():
            off, acceptance = _ring_sums(counts, background, allowed, _disk(dataset, r_in, r_out))
            enough = ~found & (acceptance > 0) & (near <= self.threshold_alpha * acceptance)
            counts_off[enough], acceptance_off[enough] = off[enough], acceptance[enough]
            found |= enough
            if found.all():
                break
        return _on_off(dataset, background, counts_off, acceptance_off)

    def _radii(self) -> Iterator[tuple[float, float]]:
        """Inner and outer radii [deg] of the rings, smallest first."""
        for k in itertools.count():
            grown = k * self.stepsize
            if self.r_in + self.width + grown >= self.r_out_max:
                return
            r_in = self.r_in + (grown if self.method == "fixed_width" else 0.0)
            yield r_in, self.r_in + self.width + grown


def _angle(value: Any, name: str) -> float:
    angle = float(value if isinstance(value, int | float) else to_value(value, "deg", name))
    if not angle >= 0:
        raise DataValueError("GX-MAKERS-102", f"{name} is no angle", found=value, expected="0 or more")
    return angle


def _parts(dataset: MapDataset, exclusion_mask: WcsNDMap | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts, expected background, and the pixels of which a ring may be made, shape (R, ny, nx)."""
    if not isinstance(dataset.counts, WcsNDMap):
        raise GeometryError("GX-MAKERS-103", "there is no ring in a region", dataset=dataset.name)
    if dataset.background is None:
        raise SchemaError("GX-MAKERS-104", "a ring is weighted with the background", dataset=dataset.name)
    background = np.nan_to_num(dataset.background.values(), nan=0.0)
    return dataset.counts.values(), background, usable(exclusion_mask, dataset.geom)


def _disk(dataset: MapDataset, r_in: float, r_out: float) -> np.ndarray:
    """Pixels with their centre within radii [deg] of the middle one, 0 or 1, shape (n, n), n odd."""
    x, y = np.asarray(dataset.geom.pixel_scales.to_value("deg"))
    if not np.isclose(x, y, rtol=1e-6):
        raise GeometryError("GX-MAKERS-105", "a ring needs square pixels", found=f"{x:.6g} x {y:.6g} deg")
    half = int(r_out / x + _EDGE)
    row, column = np.ogrid[-half : half + 1, -half : half + 1]
    radius = np.hypot(row, column)
    return ((radius >= r_in / x - _EDGE) & (radius <= r_out / x + _EDGE)).astype(float)


def _ring_sums(
    counts: np.ndarray, background: np.ndarray, allowed: np.ndarray, ring: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Counts and background in the allowed pixels of the ring about each pixel."""
    # what a Fourier transform leaves where there is nothing is no acceptance, and sums of whole numbers are whole
    some = np.rint(_convolved((allowed & (background > 0)).astype(float), ring)) > 0
    sums = (np.where(some, _convolved(np.where(allowed, part, 0.0), ring), 0.0) for part in (counts, background))
    counts_off, acceptance = (np.maximum(part, 0.0) for part in sums)
    return np.rint(counts_off) if np.array_equal(counts, np.rint(counts)) else counts_off, acceptance


def _convolved(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    from scipy import signal  # half a second, for those who do not need it

    return signal.fftconvolve(values, kernel[np.newaxis], mode="same", axes=(-2, -1))


def _on_off(
    dataset: MapDataset, background: np.ndarray, counts_off: np.ndarray, acceptance_off: np.ndarray
) -> MapDatasetOnOff:
    made = MapDatasetOnOff.from_map_dataset(dataset, background, acceptance_off, counts_off)
    safe = np.ones(counts_off.shape, bool) if dataset.mask_safe is None else dataset.mask_safe.values()
    return made.replace(mask_safe=dataset._to_map(safe & (acceptance_off > 0)))
