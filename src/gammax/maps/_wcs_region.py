"""Regions drawn in a projection: which pixels lie in them.

Circles are drawn with the scale of the projection along the meridian at their centre, measured over one arc second.
The `regions` package takes other scales in other versions (1e-5 of the radius, 0.5 deg from the middle of a tangential
image), and which events a region holds must not depend on the version; this one is Gammapy's with regions 0.11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from gammax import _regions as sky_regions
from gammax.errors import GeometryError
from gammax.maps._wcs_projection import nearest_copy, pixel_period, sky_to_pix


def region_to_pixel(region: sky_regions.SkyRegion, wcs: WCS) -> sky_regions.PixelRegion | None:
    """Region in pixels, vertices on one copy of the sky; None where the projection does not reach it.

    Raises
    ------
    GeometryError : a shape marked as excluded ("-circle" in DS9 files).
    """
    # versions of `regions` differ in what is inside such a shape, and a union with its outside is never meant
    if not region.meta.get("include", True):
        raise GeometryError(
            "GX-MAPS-113", "an excluded shape has no inside", found=repr(region), do="leave out the minus sign"
        )
    has_vertices = hasattr(region, "vertices")
    points = region.vertices if has_vertices else region.center
    x, y = sky_to_pix(wcs, points)
    if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
        return None
    if isinstance(region, sky_regions.CircleSkyRegion):
        radius = region.radius.to_value("deg") * _scale(points, wcs)
        return sky_regions.CirclePixelRegion(sky_regions.PixCoord(float(x), float(y)), radius, region.meta.copy())
    if isinstance(region, sky_regions.CircleAnnulusSkyRegion):
        inner, outer = (r.to_value("deg") * _scale(points, wcs) for r in (region.inner_radius, region.outer_radius))
        center = sky_regions.PixCoord(float(x), float(y))
        return sky_regions.CircleAnnulusPixelRegion(center, inner, outer, region.meta.copy())
    pixels = region.to_pixel(wcs)
    if has_vertices:
        pixels.vertices = sky_regions.PixCoord(nearest_copy(x, x[0], pixel_period(wcs)), y)
    return pixels


def region_to_sky(pixels: sky_regions.PixelRegion, wcs: WCS) -> sky_regions.SkyRegion:
    """Inverse of `region_to_pixel`."""
    if not isinstance(pixels, sky_regions.CirclePixelRegion | sky_regions.CircleAnnulusPixelRegion):
        return pixels.to_sky(wcs)
    center = pixels.center.to_sky(wcs)
    size = u.deg / _scale(center, wcs)
    if isinstance(pixels, sky_regions.CirclePixelRegion):
        return sky_regions.CircleSkyRegion(center, pixels.radius * size, pixels.meta.copy())
    return sky_regions.CircleAnnulusSkyRegion(
        center, pixels.inner_radius * size, pixels.outer_radius * size, pixels.meta.copy()
    )


def _scale(center: SkyCoord, wcs: WCS) -> float:
    """Pixels per degree towards the north."""
    there = center.directional_offset_by(0 * u.deg, 1 * u.arcsec)
    (x, y), (x_there, y_there) = sky_to_pix(wcs, center), sky_to_pix(wcs, there)
    return float(np.hypot(nearest_copy(x_there, x, pixel_period(wcs)) - x, y_there - y) * 3600)


def contains_pix(region: sky_regions.SkyRegion, wcs: WCS, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether pixel positions lie inside a region that is drawn in the projection, as DS9 draws it.

    A circle becomes a circle of pixels; where the projection is distorted over the region, that is not the circle of
    the sky. Borders are outside. A point has no inside, and what the projection does not reach is nowhere inside.
    """
    return _combine(region, lambda shape: _inside(shape, wcs, x, y))


def image_mask(region: sky_regions.SkyRegion, wcs: WCS, npix: tuple[int, int]) -> np.ndarray:
    """Pixels of an image with their centre inside a region, shape (ny, nx); a point marks the pixel that holds it."""
    x, y = np.meshgrid(np.arange(npix[0], dtype=float), np.arange(npix[1], dtype=float))

    def inside(shape: Any) -> np.ndarray:
        if not isinstance(shape, sky_regions.PointSkyRegion):
            return _inside(shape, wcs, x, y)
        point = sky_to_pix(wcs, shape.center, (npix[0] - 1) / 2)
        return (x == np.floor(point[0] + 0.5)) & (y == np.floor(point[1] + 0.5))

    return _combine(region, inside)


def _combine(region: Any, evaluate: Callable[[Any], np.ndarray]) -> np.ndarray:
    """Values of the shapes of a compound, combined by its operators; without recursion, for unions of thousands."""
    waiting, order = [region], []
    while waiting:
        order.append(waiting.pop())
        if isinstance(order[-1], sky_regions.CompoundSkyRegion):
            waiting += [order[-1].region1, order[-1].region2]
    values: list[np.ndarray] = []
    for node in reversed(order):
        if isinstance(node, sky_regions.CompoundSkyRegion):
            right, left = values.pop(), values.pop()
            values.append(node.operator(left, right))
        else:
            values.append(evaluate(node))
    return values.pop()


def _inside(shape: Any, wcs: WCS, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    pixels = None if isinstance(shape, sky_regions.PointSkyRegion) else region_to_pixel(shape, wcs)
    if pixels is None:
        return np.zeros(np.shape(x), bool)
    x = nearest_copy(x, _middle(pixels), pixel_period(wcs))
    good = np.isfinite(x) & np.isfinite(y)
    return good & pixels.contains(sky_regions.PixCoord(np.where(good, x, 0.0), np.where(good, y, 0.0)))


def _middle(pixels: Any) -> float:
    return float(np.mean(pixels.vertices.x)) if hasattr(pixels, "vertices") else float(pixels.center.x)
