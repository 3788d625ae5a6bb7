"""Parts of an image: where they begin, and which pixels of the whole and of the part are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord

from gammax.errors import GeometryError, SchemaError
from gammax.maps._wcs_create import angles
from gammax.maps._wcs_projection import celestial_frame, pix_to_lonlat, pixel_period, sky_to_pix

PIX_ATOL = 1e-6  # pixels by which two images may differ and be the same
Slices = tuple[slice, slice]


def odd_up(number: Any) -> np.ndarray:
    """Smallest odd number that is not below; what is above a whole number by rounding alone counts as that."""
    return np.ceil(np.asarray(number) - 1e-9).astype(int) // 2 * 2 + 1


def cutout_range(
    geom: Any, position: SkyCoord, width: Any, mode: str, odd_npix: bool, min_npix: int
) -> tuple[np.ndarray, np.ndarray]:
    """First pixel and number of pixels in x and y; parameters and errors as `WcsGeom.cutout`."""
    if mode not in ("trim", "partial", "strict"):
        raise SchemaError("GX-MAPS-155", f"unknown mode {mode!r}", expected="trim, partial or strict")
    size = np.maximum(angles(width, "width") / geom.pixel_scales.to_value("deg"), min_npix)
    npix = odd_up(size) if odd_npix else np.round(size).astype(int)
    pix = np.array(sky_to_pix(geom.wcs, position, geom.center_pix[0]))
    where = position.to_string(precision=4)
    if pix.shape != (2,) or not np.all(np.isfinite(pix)):
        raise GeometryError("GX-MAPS-156", "the projection does not reach the middle of the cutout", found=where)
    # of the pixels whose centres are as near, the upper one begins: the rule of astropy.nddata.overlap_slices
    start = np.ceil(pix - npix / 2).astype(int)
    stop = start + npix
    low, high = np.maximum(start, 0), np.minimum(stop, geom.npix)
    if np.any(low >= high):
        raise GeometryError("GX-MAPS-157", "the cutout lies outside the image", found=where, expected=geom)
    if mode == "strict" and np.any((low > start) | (high < stop)):
        raise GeometryError("GX-MAPS-158", "the cutout reaches beyond the image", found=where, do="use mode 'trim'")
    return (start, npix) if mode == "partial" else (low, high - low)


def pixel_offset(part: Any, whole: Any, atol_pix: float = PIX_ATOL) -> tuple[int, int] | None:
    """Pixel of `whole` on which pixel (0, 0) of `part` lies, which may be outside; None if their pixels do not match.

    Where the sky repeats, the copy whose middle is nearest to the middle of `whole`.
    """
    if part.frame != whole.frame or part.proj != whole.proj:
        return None
    x, y = np.meshgrid(*(np.unique(np.linspace(0, n - 1, 7).round()) for n in part.npix))
    # a shift of one pixel or a stretch shows between neighbours in an image of one pixel, too
    x, y = np.append(x, x[0, 0] + 0.5), np.append(y, y[0, 0] - 0.5)
    lon, lat = pix_to_lonlat(part.wcs, x, y)
    on_sky = np.isfinite(lon) & np.isfinite(lat)
    if not on_sky.any():
        return None
    sky = SkyCoord(lon[on_sky], lat[on_sky], unit="deg", frame=celestial_frame(part.wcs))
    shift = np.array(sky_to_pix(whole.wcs, sky)) - (x[on_sky], y[on_sky])
    period = pixel_period(whole.wcs)
    if period is not None:
        shift[0] -= period * np.round((shift[0] - (whole.center_pix[0] - part.center_pix[0])) / period)
    first = np.round(shift[:, 0])
    if not np.all(np.abs(shift - first[:, np.newaxis]) <= atol_pix):
        return None
    return int(first[0]), int(first[1])


def overlap(offset: tuple[int, int], part: Any, whole: Any) -> tuple[Slices, Slices]:
    """Slices (latitude, longitude) of the same pixels in the whole and in the part; empty where nothing overlaps."""
    whole_slices, part_slices = [], []
    for start, n_part, n_whole in zip(reversed(offset), part.image_shape, whole.image_shape, strict=True):
        low, high = max(start, 0), min(start + n_part, n_whole)
        high = max(low, high)
        whole_slices.append(slice(low, high))
        part_slices.append(slice(low - start, high - start))
    return (whole_slices[0], whole_slices[1]), (part_slices[0], part_slices[1])
