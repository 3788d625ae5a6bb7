"""Sky regions: from DS9 strings, as lists and unions, their centre and a small tangential projection around it."""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Iterable
from functools import reduce
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from gammax import _regions as sky_regions
from gammax.errors import GeometryError

WCS_BIN_DEG = 0.1
_FINE = 10
_CTYPES = {
    "icrs": ["RA---TAN", "DEC--TAN"],
    "fk5": ["RA---TAN", "DEC--TAN"],
    "galactic": ["GLON-TAN", "GLAT-TAN"],
}


def parse_region(region: Any) -> sky_regions.SkyRegion | None:
    """Region from a DS9 string (``icrs;circle(83.63, 22.01, 0.11)``), a list of regions (their union), or as it is.

    Raises
    ------
    GeometryError : not a region, or a region in pixels.
    """
    if region is None or isinstance(region, sky_regions.SkyRegion):
        return region
    if isinstance(region, str):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # regions warns of a line that it does not understand, and leaves it out
                region = list(sky_regions.Regions.parse(region, format="ds9"))
        except Exception as error:
            raise GeometryError(
                "GX-MAPS-030",
                f"cannot read region: {error}",
                found=repr(region),
                expected="a DS9 string such as 'icrs;circle(83.63, 22.01, 0.11)'",
            ) from error
    parts = list(region) if isinstance(region, Iterable) else [region]
    strange = next((part for part in parts if not isinstance(part, sky_regions.SkyRegion)), None)
    if strange is not None or not parts:
        raise GeometryError(
            "GX-MAPS-031",
            "not a sky region",
            found=type(strange).__name__ if parts else "no shape",
            do="give a sky region, or a DS9 string such as 'icrs;circle(83.63, 22.01, 0.11)'",
        )
    return union_of(parts)


def union_of(parts: Iterable[sky_regions.SkyRegion]) -> sky_regions.SkyRegion:
    """Union of regions as one compound region (a single region stays itself)."""
    return reduce(lambda left, right: sky_regions.CompoundSkyRegion(left, right, operator.or_), parts)


def parts_of(region: sky_regions.SkyRegion | None) -> list[sky_regions.SkyRegion]:
    """Parts of a union, in the order in which `union_of` took them; inverse of `union_of`.

    Raises
    ------
    GeometryError : a compound that is no union (an intersection or a difference).
    """
    parts: list[sky_regions.SkyRegion] = []
    stack = [] if region is None else [region]
    while stack:
        part = stack.pop()
        if not isinstance(part, sky_regions.CompoundSkyRegion):
            parts.append(part)
        elif part.operator is operator.or_:
            stack += [part.region2, part.region1]
        else:
            raise GeometryError("GX-MAPS-032", "only unions of regions are supported", found=part.operator.__name__)
    return parts


def region_center(region: sky_regions.SkyRegion) -> SkyCoord:
    """Centre of a region; of a union or a polygon the mean direction of its parts or vertices."""
    parts = [_points(part) for part in parts_of(region)]
    if len(parts) == 1 and parts[0].isscalar:
        return parts[0]
    frame = parts[0].frame.replicate_without_data()
    points = np.vstack([np.column_stack(_lonlat(part.transform_to(frame))) for part in parts])
    lon, lat = np.radians(points).T
    x, y, z = (np.cos(lat) * np.cos(lon)).mean(), (np.cos(lat) * np.sin(lon)).mean(), np.sin(lat).mean()
    return SkyCoord(np.arctan2(y, x), np.arctan2(z, np.hypot(x, y)), unit="rad", frame=frame)


def _lonlat(points: SkyCoord) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude [deg] in the frame of the points."""
    representation = points.represent_as("unitspherical")  # pyright: ignore[reportOptionalCall]
    return representation.lon.deg, representation.lat.deg


def _points(part: sky_regions.SkyRegion) -> SkyCoord:
    for name in ("center", "vertices"):
        if hasattr(part, name):
            return getattr(part, name)
    raise GeometryError("GX-MAPS-033", f"a {type(part).__name__} has no centre")


def create_wcs(region: sky_regions.SkyRegion, bin_deg: float = WCS_BIN_DEG) -> WCS:
    """Tangential projection centred on a region and just large enough for it; its size is its ``pixel_shape``."""
    center = region_center(region)
    fine = tangential(center, bin_deg / _FINE, 1)
    try:
        half = max(_half_extent(part, fine) for part in parts_of(region)) / _FINE
    except ValueError as error:
        raise GeometryError(
            "GX-MAPS-034",
            "the region does not fit one tangential projection",
            found=repr(region),
            do="pass the wcs to use",
        ) from error
    return tangential(center, bin_deg, max(1, 2 * math.ceil(half - 1e-6)))


def tangential(center: Any, bin_deg: float, npix: int) -> WCS:
    """Tangential projection of square pixels with `center`, in the middle; in ICRS where its frame is no usual one."""
    center = center if center.frame.name in _CTYPES else center.icrs
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = _CTYPES[center.frame.name]
    wcs.wcs.crval = _lonlat(center)
    wcs.wcs.cdelt = [-bin_deg, bin_deg]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crpix = [(npix + 1) / 2] * 2
    if center.frame.name != "galactic":
        wcs.wcs.radesys = center.frame.name.upper()
    if center.frame.name == "fk5":
        wcs.wcs.equinox = center.frame.equinox.jyear
    wcs.wcs.set()
    wcs.pixel_shape = (npix, npix)
    return wcs


def _half_extent(part: sky_regions.SkyRegion, wcs: WCS) -> float:
    """Largest distance in x or y [pixel, rounded] of a region from the centre of a one-pixel projection."""
    if isinstance(part, sky_regions.PointSkyRegion):
        return float(np.max(np.abs(part.to_pixel(wcs).center.xy)))
    box = part.to_pixel(wcs).bounding_box
    return max(-box.ixmin, -box.iymin, box.ixmax - 1, box.iymax - 1)
