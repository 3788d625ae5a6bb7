"""A PSF whose width a fit moves: kernels of pixels, and what a region holds, as smooth functions of a factor on it."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import ndtr

from gammax.folding._grid import NARROW, kernel_size
from gammax.folding._region import RegionImage

# variance of a kernel, in pixels squared, below which there is no PSF
_POINT = 1e-8


class PSFWidth(NamedTuple):
    """Factor on all angles of a PSF, and whether a fit moves it."""

    value: float = 1.0
    moves: bool = False


# of a PSF as it is
AS_GIVEN = PSFWidth()


class PixelPSF(eqx.Module):
    """Kernels of pixels for a PSF that is a sum of K Gaussians, as `pixel_kernels` makes them.

    Which Gaussians are too narrow to be sampled is settled by their widths at the start.

    Attributes
    ----------
    sigma, weights : widths (K,) [deg] and weights (T, K) at the width 1.
    wider : variance [deg^2] that nodes or soft edges add.
    x, y : pixels of the kernel, (kx,) and (ky,). sky_per_pixel : [deg], (2, 2).
    narrow : along x and y, (2, K).
    """

    sigma: Array
    weights: Array
    wider: Array
    x: Array
    y: Array
    sky_per_pixel: Array
    narrow: Array

    def transform(self, width: Array, shape: tuple[int, int], padded: tuple[int, int]) -> Array:
        """Fourier transform (T, fy, fx // 2 + 1) of the PSF with another width, for maps of a shape."""
        kernels = self._kernels(width)
        cut = [max(k // 2 - (n - 1), 0) for k, n in zip(kernels.shape[1:], shape, strict=True)]
        kernels = kernels[:, cut[0] : kernels.shape[1] - cut[0], cut[1] : kernels.shape[2] - cut[1]]
        halves = [k // 2 for k in kernels.shape[1:]]
        whole = jnp.zeros((len(kernels), *padded)).at[:, : kernels.shape[1], : kernels.shape[2]].set(kernels)
        return jnp.fft.rfft2(jnp.roll(whole, [-half for half in halves], axis=(1, 2)))

    def _kernels(self, width: Array) -> Array:
        step = jnp.linalg.norm(self.sky_per_pixel, axis=0)
        variance = (self.sigma * width) ** 2 + self.wider
        variance = jnp.where(variance > _POINT * step.min() ** 2, variance, _POINT * step.min() ** 2)
        east, north = jnp.einsum("ab,byx->ayx", self.sky_per_pixel, jnp.stack(jnp.meshgrid(self.x, self.y)))
        wide = jnp.exp(-0.5 * (east**2 + north**2) / variance[:, None, None])
        wide = wide / wide.sum(axis=(1, 2), keepdims=True)
        columns = _along(self.x, variance / step[0] ** 2, self.narrow[0])
        rows = _along(self.y, variance / step[1] ** 2, self.narrow[1])
        narrow = (self.narrow[0] | self.narrow[1])[:, None, None]
        shapes = jnp.where(narrow, rows[:, :, None] * columns[:, None, :], wide)
        kernels = jnp.tensordot(self.weights, shapes, axes=1)
        total = kernels.sum(axis=(1, 2), keepdims=True)
        return kernels / jnp.where(total > 0, total, 1.0)


def _along(pixels: Array, variance: Array, narrow: Array) -> Array:
    """Gaussians of some variances (K,) [pixels squared] along one axis, each of sum 1, (K, k): see `pixel_kernels`."""
    distance = pixels[None] ** 2
    three = jnp.where(distance == 0, 1.0 - variance[:, None], 0.5 * variance[:, None] * (distance == 1))
    sampled = jnp.exp(-0.5 * distance / jnp.where(narrow, 1.0, variance)[:, None])
    return jnp.where(narrow[:, None], three, sampled / sampled.sum(axis=1, keepdims=True))


def pixel_psf(
    gaussians: tuple[np.ndarray, np.ndarray], wider: float, sky_per_pixel: np.ndarray, reach: float, start: float
) -> PixelPSF:
    """Kernels over a half width `reach` [deg], arguments as `PixelPSF`, the Gaussians at the width `start`."""
    sigma, weights = gaussians
    step = np.linalg.norm(sky_per_pixel, axis=0)
    x, y = (np.arange(-half, half + 1) for half in kernel_size(sky_per_pixel, reach))
    now = np.sqrt(np.maximum(sigma**2 + wider, 0.0))
    return PixelPSF(sigma / start, weights, np.array(wider), x, y, sky_per_pixel, now < NARROW * step[:, None])


class RegionPSF(eqx.Module):
    """What a region holds of the events of places, as `shares` says.

    Attributes
    ----------
    sigma, weights : of the PSF as Gaussians, (K,) [pixels of the region's image] and (T, K), at the width 1.
    coverage : part of each pixel inside the region, (ny, nx). x, y : columns and rows of the places.
    """

    sigma: Array
    weights: Array
    coverage: Array
    x: Array
    y: Array

    def share(self, width: Array) -> Array:
        """Part of the events of places that are reconstructed in the region, (T, places)."""
        sigma = (self.sigma * width)[:, None, None]
        ny, nx = self.coverage.shape
        along_y, along_x = (
            jnp.diff(ndtr((jnp.arange(n + 1) - 0.5 - places[:, None]) / sigma), axis=-1)
            for places, n in ((self.y, ny), (self.x, nx))
        )
        seen = jnp.einsum("kyi,ij,kxj->kyx", along_y, self.coverage, along_x, optimize=True)
        return jnp.tensordot(self.weights, seen, axes=1).reshape(len(self.weights), -1)


def region_psf(
    image: RegionImage, gaussians: tuple[np.ndarray, np.ndarray], x: np.ndarray, y: np.ndarray, start: float
) -> RegionPSF:
    """Shares of places, arguments as `shares`, the Gaussians at the width `start`."""
    sigma, weights = gaussians
    return RegionPSF(sigma / image.scale / start, weights, image.coverage, x, y)
