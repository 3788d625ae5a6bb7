"""OFF regions at the same distance from the pointing as the ON region (Berge, Funk & Hinton 2007, section 4.2)."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from gammax import _regions as sky_regions
from gammax.errors import DataValueError, GammaxWarning, GeometryError
from gammax.maps import RegionGeom, WcsGeom, WcsNDMap
from gammax.maps._region import region_center
from gammax.maps._wcs_region import region_to_pixel, region_to_sky
from gammax.units import to_value

MARGIN_DEG = 0.3


@dataclass(frozen=True)
class ReflectedRegionsFinder:
    """As many regions as fit, found by turning the ON region about the pointing.

    The field's rule: the step is the angle over which the pixel centres of the ON region are seen from the pointing,
    on a tangential image with pixels of `binsz`. That is a little less than the angle of the circle itself, so
    neighbours may overlap by less than a pixel; an event in two regions counts once.

    Parameters
    ----------
    angle_increment : turn after a region that holds an excluded pixel centre. Bare numbers are radians.
    min_distance : angle left free between regions.
    min_distance_input : angle left free on both sides of the ON region.
    max_region_number : most regions to find.
    binsz : size of the pixels. Bare numbers are degrees.

    Raises
    ------
    DataValueError : an angle that is negative or, for `angle_increment` and `binsz`, zero.
    """

    angle_increment: Any = 0.1
    min_distance: Any = 0.0
    min_distance_input: Any = 0.1
    max_region_number: int = 10000
    binsz: Any = 0.01

    def __post_init__(self):
        for name in ("angle_increment", "min_distance", "min_distance_input"):
            unit, positive = "rad", name == "angle_increment"
            object.__setattr__(self, name, _angle(getattr(self, name), unit, name, positive))
        object.__setattr__(self, "binsz", _angle(self.binsz, "deg", "binsz", True))

    def run(
        self, region: sky_regions.SkyRegion, center: SkyCoord, exclusion_mask: WcsNDMap | None = None
    ) -> list[sky_regions.SkyRegion]:
        """OFF regions, counter-clockwise from the ON region as the sky is seen; none where the pointing is inside it.

        Parameters
        ----------
        region : ON region. center : pointing. exclusion_mask : False where no OFF region may lie.

        Raises
        ------
        GeometryError : a region without extent. DataValueError : the exclusion mask is not bool.
        """
        pixels, geom = self.find(region, center, exclusion_mask)
        return [region_to_sky(part, geom.wcs) for part in pixels]

    def find(
        self, region: sky_regions.SkyRegion, center: SkyCoord, exclusion_mask: WcsNDMap | None = None
    ) -> tuple[list[sky_regions.PixelRegion], WcsGeom]:
        """As `run`, in pixels, with the image on which they are drawn."""
        geom = reference_geom(region, center, self.binsz)
        if RegionGeom.create(region).contains(center):
            return [], geom
        on = _OnRegion.place(region, center, geom)
        step = on.angle_seen() + self.min_distance
        angle, last = step + self.min_distance_input, 2 * math.pi - step - self.min_distance_input
        found: list[sky_regions.PixelRegion] = []
        while angle < last and len(found) < self.max_region_number:
            candidate = on.turned(angle)
            if _is_excluded(candidate, geom, exclusion_mask):
                angle += self.angle_increment
            else:
                found.append(candidate)
                angle += step
        return found, geom


@dataclass(frozen=True)
class WobbleRegionsFinder:
    """A fixed number of regions, evenly spread with the ON region on the circle about the pointing.

    Parameters
    ----------
    n_off_regions : number of OFF regions, less those that hold an excluded pixel centre.
    binsz : size of the pixels on which exclusion and overlap are seen. Bare numbers are degrees.

    Raises
    ------
    DataValueError : less than one region, or pixels of no size.
    """

    n_off_regions: int
    binsz: Any = 0.01

    def __post_init__(self):
        if self.n_off_regions < 1:
            raise DataValueError("GX-MAKERS-001", "there must be an OFF region", found=self.n_off_regions)
        object.__setattr__(self, "binsz", _angle(self.binsz, "deg", "binsz", True))

    def run(
        self, region: sky_regions.SkyRegion, center: SkyCoord, exclusion_mask: WcsNDMap | None = None
    ) -> list[sky_regions.SkyRegion]:
        """OFF regions as `ReflectedRegionsFinder.run`; none, with a warning, where two regions share a pixel centre."""
        pixels, geom = self.find(region, center, exclusion_mask)
        return [region_to_sky(part, geom.wcs) for part in pixels]

    def find(
        self, region: sky_regions.SkyRegion, center: SkyCoord, exclusion_mask: WcsNDMap | None = None
    ) -> tuple[list[sky_regions.PixelRegion], WcsGeom]:
        """As `run`, in pixels, with the image on which they are drawn."""
        geom = reference_geom(region, center, self.binsz)
        on = _OnRegion.place(region, center, geom)
        step = 2 * math.pi / (self.n_off_regions + 1)
        turned = [on.turned(k * step) for k in range(self.n_off_regions + 1)]
        numbers = np.concatenate([np.ravel_multi_index(_pixels_inside(part, geom), geom.npix) for part in turned])
        if len(np.unique(numbers)) < len(numbers):
            message = f"{self.n_off_regions} OFF regions overlap at this offset; none is taken"
            warnings.warn(message, GammaxWarning, stacklevel=3)
            return [], geom
        return [part for part in turned[1:] if not _is_excluded(part, geom, exclusion_mask)], geom


def reference_geom(region: sky_regions.SkyRegion, center: SkyCoord, binsz: float) -> WcsGeom:
    """Tangential image around the pointing, 4 offsets and 0.3 deg wide, in the frame of the region.

    The image is part of the rule: regions are drawn, and events counted in them, as they lie on it.
    """
    on_center = region_center(region)
    width = 4 * float(center.separation(on_center).deg) + MARGIN_DEG
    return WcsGeom.create(skydir=center, binsz=binsz, width=width, proj="TAN", frame=on_center.frame.name)


def _angle(value: Any, unit: str, name: str, positive: bool) -> float:
    """Angle in `unit`; bare numbers are in it."""
    bare = isinstance(value, (int, float))
    angle = float(value) if bare else float(to_value(value, unit, name))
    if not math.isfinite(angle) or angle < 0 or (positive and angle == 0):
        expected = "more than 0" if positive else "0 or more"
        raise DataValueError("GX-MAKERS-002", f"{name} is out of range", found=value, expected=expected)
    return angle


@dataclass(frozen=True)
class _OnRegion:
    """ON region and pointing on the image."""

    pixels: sky_regions.PixelRegion
    pivot: sky_regions.PixCoord
    geom: WcsGeom

    @classmethod
    def place(cls, region: sky_regions.SkyRegion, center: SkyCoord, geom: WcsGeom) -> _OnRegion:
        if isinstance(region, sky_regions.CompoundSkyRegion) or not hasattr(region, "center"):
            raise GeometryError("GX-MAKERS-003", "an ON region must be one shape", found=type(region).__name__)
        pixels = region_to_pixel(region, geom.wcs)
        if pixels is None:
            raise GeometryError(
                "GX-MAKERS-006", "the ON region is 90 deg or more from the pointing", found=repr(region)
            )
        return cls(pixels, sky_regions.PixCoord.from_sky(center, geom.wcs), geom)

    def turned(self, angle: float) -> sky_regions.PixelRegion:
        """ON region turned about the pointing by an angle [rad]."""
        return self.pixels.rotate(self.pivot, angle * u.rad)

    def angle_seen(self) -> float:
        """Angle [rad] that the pixel centres inside the region cover as seen from the pointing."""
        x, y = _pixels_inside(self.pixels, self.geom)
        if len(x) < 2:
            raise GeometryError(
                "GX-MAKERS-004",
                "the ON region has no extent in pixels",
                found=f"{type(self.pixels).__name__} with {len(x)} pixel centres",
                do="choose a smaller binsz; for a point use WobbleRegionsFinder",
            )
        # counted from the middle of the region, so that none is torn at 180 deg
        middle = self.pixels.center - self.pivot
        angle = np.arctan2(y - self.pivot.y, x - self.pivot.x) - np.arctan2(middle.y, middle.x)
        return float(np.ptp((angle + math.pi) % (2 * math.pi)))


def _pixels_inside(pixels: sky_regions.PixelRegion, geom: WcsGeom) -> tuple[np.ndarray, np.ndarray]:
    """Pixel numbers x and y of the image with their centre inside a region; of a point the pixel that holds it."""
    if isinstance(pixels, sky_regions.PointPixelRegion):
        x, y = np.floor(np.array([[pixels.center.x], [pixels.center.y]]) + 0.5).astype(int)
        return x, y
    box = pixels.bounding_box
    (left, right), (bottom, top) = (
        np.clip(ends, 0, n) for ends, n in zip(((box.ixmin, box.ixmax), (box.iymin, box.iymax)), geom.npix, strict=True)
    )
    x, y = np.meshgrid(np.arange(left, right), np.arange(bottom, top))
    inside = pixels.contains(sky_regions.PixCoord(x, y))
    return x[inside], y[inside]


def _is_excluded(pixels: sky_regions.PixelRegion, geom: WcsGeom, mask: WcsNDMap | None) -> bool:
    """Whether a pixel centre inside a region is excluded; what lies outside the mask is not."""
    if mask is None:
        return False
    if not mask.is_mask:
        raise DataValueError("GX-MAKERS-005", "the exclusion mask is not bool", do="read it with mask=True, or compare")
    centers = geom.pix_to_coord(_pixels_inside(pixels, geom))["skycoord"]
    return bool(np.any(mask.geom.contains(centers) & ~mask.get_by_coord(centers)))
