"""Values of one image on the pixels of another, by the area that they share."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from scipy.sparse import coo_array, csr_array

from gammax.errors import GeometryError
from gammax.maps._map_data import frozen
from gammax.maps._wcs_projection import celestial_frame, pix_to_lonlat, pixel_period, sky_to_pix

_BLOCK = 2**20  # squares at a time: a block takes some 200 MB


def resample(source: Any, geom: Any, weights: Any, preserve_counts: bool) -> Any:
    """Map on another geometry; parameters as `WcsNDMap.resample`."""
    idx = geom.coord_to_idx(source.geom.get_coord())
    flat, inside = np.zeros((), int), np.ones((), bool)
    for k, n in zip(reversed(idx), geom.data_shape, strict=True):
        flat, inside = flat * n + k, inside & (k >= 0)
    inside = np.broadcast_to(inside, source.data.shape)
    flat = np.broadcast_to(flat, source.data.shape)[inside]
    values = source.data if weights is None else source.data * getattr(weights, "data", weights)
    size = int(np.prod(geom.data_shape))
    total = np.bincount(flat, values[inside], minlength=size).reshape(geom.data_shape)
    if source.is_mask:
        return source.replace(geom=geom, data=total > 0)
    if not preserve_counts:
        number = np.bincount(flat, minlength=size).reshape(geom.data_shape)
        total = np.divide(total, number, out=np.zeros(geom.data_shape), where=number > 0)
    return source.replace(geom=geom, data=frozen(total))


def reproject(source: Any, geom: Any, preserve_counts: bool, precision_factor: int) -> Any:
    """Map on the pixels of another image; parameters and errors as `WcsNDMap.reproject_to_geom`."""
    if geom.axes and (difference := source.geom.axes.difference(geom.axes)):
        raise GeometryError("GX-MAPS-174", "the geometries have different axes", found=difference)
    image = geom.to_image()
    shares = _shares(source.geom.to_image(), image, precision_factor)
    planes = source.data.reshape(-1, source.geom.npix[0] * source.geom.npix[1]).T.astype(float)
    if preserve_counts and not source.is_mask:
        result = shares @ planes
    else:
        area = np.nan_to_num(source.geom.solid_angle().value.reshape(-1, 1))
        known = np.isfinite(planes)
        norm = shares @ (area * known)
        total = shares @ (area * np.where(known, planes, 0.0))
        result = np.divide(total, norm, out=np.zeros(norm.shape), where=norm > 0)
    target = image.to_cube(source.geom.axes)
    result = np.ascontiguousarray(result.T).reshape(target.data_shape)
    return source.replace(geom=target, data=result > 0.5 if source.is_mask else frozen(result))


def _shares(source: Any, target: Any, precision_factor: int) -> csr_array:
    """Part of each source pixel (columns) that lies in each target pixel (rows)."""
    ratio = source.pixel_scales.to_value("deg") / target.pixel_scales.to_value("deg")
    factor = max(1, int(np.ceil(precision_factor * ratio.max() - 1e-9)))
    side = ratio / factor
    nx, ny = source.npix
    rows = max(1, _BLOCK // (nx * factor**2))
    x = (np.arange(nx * factor) + 0.5) / factor - 0.5
    parts = []
    for start in range(0, ny, rows):
        stop = min(start + rows, ny)
        y = (np.arange(start * factor, stop * factor) + 0.5) / factor - 0.5
        column = np.repeat(np.repeat(np.arange(start * nx, stop * nx).reshape(-1, nx), factor, axis=0), factor, axis=1)
        lon, lat = pix_to_lonlat(source.wcs, *np.meshgrid(x, y))
        good = np.isfinite(lon) & np.isfinite(lat)
        sky = SkyCoord(lon[good], lat[good], unit="deg", frame=celestial_frame(source.wcs))
        part = _overlaps(sky, column[good], target, side, nx * ny)
        parts.append(part * factor**-2.0)
    return sum(parts[1:], start=parts[0])


def _overlaps(sky: SkyCoord, column: np.ndarray, target: Any, side: np.ndarray, n_columns: int) -> csr_array:
    """Number of squares of size `side` [target pixels] in each pixel, shared where they lie over its border."""
    x, y = sky_to_pix(target.wcs, sky, target.center_pix[0])
    good = np.isfinite(x) & np.isfinite(y)
    column = column[good]
    low, weight = [], []
    for pix, width in ((x[good], side[0]), (y[good], side[1])):
        begin = pix - width / 2 + 0.5
        first = np.floor(begin)
        low.append(first.astype(int))
        weight.append(np.clip((begin + width - first - 1) / width, 0.0, 1.0))
    (nx, ny), period = target.npix, pixel_period(target.wcs)
    closed = period is not None and abs(period - nx) < 1e-6
    rows, columns, values = [], [], []
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        share = (weight[0] if dx else 1 - weight[0]) * (weight[1] if dy else 1 - weight[1])
        i, j = (low[0] + dx) % nx if closed else low[0] + dx, low[1] + dy
        keep = (share > 0) & (i >= 0) & (i < nx) & (j >= 0) & (j < ny)
        rows.append((j * nx + i)[keep])
        columns.append(column[keep])
        values.append(share[keep])
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return coo_array(entries, shape=(nx * ny, n_columns)).tocsr()
