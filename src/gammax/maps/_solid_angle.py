"""Solid angle of pixels in any projection."""

from __future__ import annotations

import numpy as np
from astropy.wcs import WCS

from gammax.maps._wcs_projection import pix_to_lonlat

_BLOCK = 2**17  # pixels at a time: a block takes some 20 MB


def solid_angle(wcs: WCS, npix: tuple[int, int]) -> np.ndarray:
    """Solid angle of each pixel [sr], shape (ny, nx); NaN where a corner is off the sky.

    The outline of a pixel is taken through its corners and the middles of its edges, drawn in the equal-area
    azimuthal projection about the pixel centre (Calabretta & Greisen 2002, section 5.1.7), and its area is that of
    the polygon plus those of the parabolas over its sides: relative error of fourth order in the size of the pixel.
    """
    nx, ny = npix
    rows = max(1, _BLOCK // nx)
    return np.concatenate([_rows(wcs, nx, start, min(start + rows, ny)) for start in range(0, ny, rows)])


def _rows(wcs: WCS, nx: int, start: int, stop: int) -> np.ndarray:
    ny = stop - start
    # every corner and edge middle once: a grid of half pixels
    points = _unit_vectors(wcs, np.arange(2 * nx + 1) / 2 - 0.5, np.arange(2 * ny + 1) / 2 + start - 0.5)
    center = points[1::2, 1::2]
    steps = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
    outline = [_equal_area(points[dy : dy + 2 * ny : 2, dx : dx + 2 * nx : 2], center) for dy, dx in steps]
    area = np.zeros((ny, nx))
    for k in range(0, 8, 2):
        begin, middle, end = outline[k], outline[k + 1], outline[(k + 2) % 8]
        normal = np.cross(begin, end) / 2 - np.cross(end - begin, middle - begin) * 2 / 3
        area += np.sum(normal * center, axis=-1)
    return np.abs(area)


def _unit_vectors(wcs: WCS, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    lon, lat = np.radians(pix_to_lonlat(wcs, *np.meshgrid(x, y)))
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def _equal_area(vectors: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Vectors in the tangential plane at `center` (three components), areas as on the sphere."""
    cosine = np.sum(vectors * center, axis=-1, keepdims=True)
    return (vectors - cosine * center) * np.sqrt(2 / (1 + cosine))
