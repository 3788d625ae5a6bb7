"""Radial densities on pixels."""

from __future__ import annotations

import astropy.units as u
import numpy as np

from gammax.maps import WcsGeom, WcsNDMap

# points per pixel and direction
MAX_FACTOR = 4


def odd_geom(geom: WcsGeom, radius: float, factor: int = 1) -> WcsGeom:
    """Image around the middle of another: an odd number of its pixels that holds `radius` [deg], cut by `factor`."""
    return geom.to_image().to_odd_npix(radius * u.deg).upsample(factor)


def kernel_map(
    geom: WcsGeom,
    rad: np.ndarray,
    tables: np.ndarray,
    radii: np.ndarray,
    r68: np.ndarray,
    precision_factor: int,
    reach: float | None,
) -> WcsNDMap:
    """Densities summed over the points of each pixel, not normalised; parameters as `PSFMap.get_psf_kernel`.

    rad, tables : centres of the rings [deg] and densities there, (T, n). radii, r68 : per energy [deg], NaN for none.
    """
    largest = float(np.nanmax(radii)) if reach is None else reach
    image = odd_geom(geom, largest)
    binsz = float(geom.pixel_scales.to_value("deg").max())
    data = np.zeros((len(tables), *image.image_shape))
    size = image.npix[0]
    for t, (table, radius, width) in enumerate(zip(tables, radii, r68, strict=True)):
        if not np.isfinite(radius):
            continue
        points = precision_factor * binsz / (2 * width) if width > 0 else MAX_FACTOR
        factor = int(np.clip(np.ceil(points), 1, MAX_FACTOR))
        fine = odd_geom(geom, radius, factor)
        density = np.maximum(_lines(fine.separation(geom.center_skydir).to_value("deg"), rad, table), 0.0)
        n = fine.npix[0] // factor
        pixels = density.reshape(n, factor, n, factor).sum(axis=(1, 3))
        low = (size - n) // 2
        data[t, low : low + n, low : low + n] = pixels
    return WcsNDMap(image.to_cube(geom.axes), data)


def _lines(x: np.ndarray, nodes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Linear interpolation, the outer lines going on outside."""
    if len(nodes) == 1:
        return np.full(x.shape, values[0])
    k = np.clip(np.searchsorted(nodes, x, side="right") - 1, 0, len(nodes) - 2)
    part = (x - nodes[k]) / (nodes[k + 1] - nodes[k])
    return values[k] * (1 - part) + values[k + 1] * part
