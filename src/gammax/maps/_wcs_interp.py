"""Interpolation between the pixels of a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gammax.errors import SchemaError, did_you_mean
from gammax.maps._wcs_projection import pixel_period

_SCALES = {
    "lin": (np.asarray, np.asarray),
    "log": (lambda values: np.log(np.maximum(values, np.finfo(float).tiny)), np.exp),
    "sqrt": (np.sqrt, np.square),
}


def interpolate_map(geom: Any, data: np.ndarray, pix: Sequence[Any], method: str, scale: str) -> np.ndarray:
    """Values at pixel numbers x, y and those along the axes, extrapolated outside; NaN where one is NaN."""
    forward, backward = _scale(method, scale)
    values = forward(np.where(np.isfinite(data), data, 0.0))
    values, first = _wrapped(geom, values)
    pix = np.broadcast_arrays(*pix)
    grid = [np.arange(n, dtype=float) for n in values.shape]
    grid[-1] += first
    wide = [k for k, n in enumerate(values.shape) if n > 1]
    if not wide:
        return np.where(np.isfinite(pix[0]), backward(values.reshape(())), np.nan)
    points = np.stack([pix[data.ndim - 1 - k] for k in wide], axis=-1)
    table = values.reshape([values.shape[k] for k in wide])
    return backward(_evaluate([grid[k] for k in wide], table, points, method))


def interpolate_image(geom: Any, data: np.ndarray, pix: Sequence[Any], method: str, scale: str) -> np.ndarray:
    """Values at pixel numbers x, y in every bin of the axes, shape (axes ..., shape of x)."""
    forward, backward = _scale(method, scale)
    values = forward(np.where(np.isfinite(data), data, 0.0))
    values, first = _wrapped(geom, values)
    x, y = np.broadcast_arrays(*pix)
    planes = np.moveaxis(values.reshape(-1, *values.shape[-2:]), 0, -1)
    grid = [np.arange(values.shape[-2], dtype=float), np.arange(values.shape[-1]) + first]
    for k in (0, 1):
        if planes.shape[k] == 1:  # one pixel: constant
            planes, grid[k] = np.repeat(planes, 2, axis=k), np.array([0.0, 1.0])
    result = backward(_evaluate(grid, planes, np.stack([y, x], axis=-1), method))
    return np.moveaxis(result, -1, 0).reshape(*data.shape[:-2], *x.shape)


def _evaluate(grid: list[np.ndarray], table: np.ndarray, points: np.ndarray, method: str) -> np.ndarray:
    # the nearest of pixels is by half up, as everywhere
    points = np.floor(points + 0.5) if method == "nearest" else points
    # its import takes a tenth of a second, and reading and fitting a cube never interpolate
    from scipy.interpolate import RegularGridInterpolator

    interpolator = RegularGridInterpolator(
        grid, np.ascontiguousarray(table), method=method, bounds_error=False, fill_value=None
    )
    bad = ~np.isfinite(points).all(axis=-1)
    if not bad.any():
        return interpolator(points)
    values = interpolator(np.where(bad[..., np.newaxis], 0.0, points))
    values[bad] = np.nan
    return values


def _scale(method: str, scale: str) -> tuple[Any, Any]:
    for word, known, what in ((method, ("linear", "nearest"), "method"), (scale, _SCALES, "scale")):
        if word not in known:
            raise SchemaError("GX-MAPS-173", f"unknown {what} {word!r}", do=did_you_mean(word, known))
    return _SCALES[scale]


def _wrapped(geom: Any, values: np.ndarray) -> tuple[np.ndarray, int]:
    """Values with one column more at either end where the image closes upon itself, and the number of the first."""
    period = pixel_period(geom.wcs)
    if period is None or abs(period - geom.npix[0]) > 1e-6:
        return values, 0
    return np.concatenate([values[..., -1:], values, values[..., :1]], axis=-1), -1
