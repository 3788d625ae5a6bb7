"""Solid angle of regions."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np

from gammax import _regions as sky_regions
from gammax.maps._region import WCS_BIN_DEG, create_wcs, region_center, tangential
from gammax.maps._solid_angle import solid_angle
from gammax.maps._wcs_region import image_mask

_PIXELS_ACROSS = 500


def region_solid_angle(region: sky_regions.SkyRegion) -> float:
    """Solid angle [sr] of a region; 0 of a point.

    Circles and annuli: that of the caps on the sphere. Other shapes: their area in a tangential plane at their centre,
    too large by their size squared (1e-4 for 1 deg). Unions: pixels of such a plane, to 1e-3; what two parts share
    counts once.
    """
    if isinstance(region, sky_regions.PointSkyRegion):
        return 0.0
    if isinstance(region, sky_regions.CircleSkyRegion):
        return _cap(region.radius)
    if isinstance(region, sky_regions.CircleAnnulusSkyRegion):
        return _cap(region.outer_radius) - _cap(region.inner_radius)
    wcs = create_wcs(region)
    if not isinstance(region, sky_regions.CompoundSkyRegion):
        pixel = float(np.prod(np.radians(wcs.wcs.cdelt)))
        return abs(region.to_pixel(wcs).area * pixel)  # pyright: ignore[reportAttributeAccessIssue]
    npix = (_PIXELS_ACROSS, _PIXELS_ACROSS)
    width: Any = wcs.pixel_shape
    fine = tangential(region_center(region), width[0] * WCS_BIN_DEG / _PIXELS_ACROSS, _PIXELS_ACROSS)
    return float(solid_angle(fine, npix)[image_mask(region, fine, npix)].sum())


def _cap(radius: u.Quantity) -> float:
    # 2 pi (1 - cos r) without its loss of digits
    return float(4 * np.pi * np.sin(radius.to_value("rad") / 2) ** 2)
