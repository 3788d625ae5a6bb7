"""Any shape through any PSF: the shape at fixed nodes of the sky, times exposure, convolved by FFT."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.fft import next_fast_len

if TYPE_CHECKING:
    from gammax.folding._psf_width import PixelPSF
    from gammax.models import SpatialModel

# pixels; what a Gaussian of 1.25 pixels becomes is met to 4e-3 on both sides, to 1e-5 from one pixel on
NARROW = 0.62


class Grid(eqx.Module):
    """How a dataset sees a source of any shape near an anchor.

    Attributes
    ----------
    lon, lat : nodes [deg] in the frame of the source, `factor` x `factor` in each pixel of the box, (by f, bx f).
    spacing : of the nodes [deg].
    solid_angle : of the pixels of the box [sr], (by, bx).
    exposure : [cm2 s] in the cutout, (T, ny, nx).
    energy : true energies [TeV] at which shapes that depend on energy are evaluated, (T,).
    transform : Fourier transform of the PSF, (T, fy, fx // 2 + 1), R of them with `reco`; None: no PSF.
    corner : row and column in the cutout where the box begins; the box may reach beyond the cutout and the image.
    factor : nodes per pixel and direction.
    padded : (fy, fx).
    after : exposure is taken at the reconstructed position, after the PSF.
    whole : the box holds the whole source: what its nodes add up to is made 1.
    reco : the PSF is one in reconstructed energy, which comes after exposure and energy dispersion.
    psf : the PSF, where a fit moves its width; else None.
    """

    lon: Array
    lat: Array
    spacing: Array
    solid_angle: Array
    exposure: Array
    energy: Array
    transform: Array | None
    corner: tuple[int, int] = eqx.field(static=True)
    factor: int = eqx.field(static=True)
    padded: tuple[int, int] = eqx.field(static=True)
    after: bool = eqx.field(static=True)
    whole: bool = eqx.field(static=True)
    reco: bool = eqx.field(static=True, default=False)
    psf: PixelPSF | None = None

    def widened(self, width: Array) -> Grid:
        """Grid with another width of the PSF."""
        transform = self.psf.transform(width, self.exposure.shape[1:], self.padded)
        return dataclasses.replace(self, transform=transform)

    def at_scale(self, scale: Array) -> Grid:
        """Grid whose sources have energies lower by a factor 1 + scale than those that the responses name."""
        return dataclasses.replace(self, energy=self.energy / (1.0 + scale))

    def basis(self, model: SpatialModel) -> Array:
        """Exposure times fraction of the source [cm2 s] in pixels of the cutout and true-energy bins, (T, ny, nx).

        Before a PSF in reconstructed energy, which `blur` applies.
        """
        shape = self.fractions(model)
        if self.reco:
            return shape * self.exposure
        if self.after or self.transform is None:
            seen = shape if self.transform is None else convolve(shape, self.transform, self.padded)
            return seen * self.exposure
        return convolve(shape * self.exposure, self.transform, self.padded)

    def blur(self, counts: Array) -> Array:
        """Counts in the cutout (R, ny, nx) through a PSF in reconstructed energy."""
        return convolve(counts, self.transform, self.padded)

    def fractions(self, model: SpatialModel) -> Array:
        """Fraction of the source in the pixels of the cutout, (T or 1, ny, nx)."""
        if model.is_energy_dependent:
            energy = self.energy[:, None, None]
            brightness = model.values_at_nodes(self.lon[None], self.lat[None], self.spacing, energy)
        else:
            brightness = model.values_at_nodes(self.lon, self.lat, self.spacing)[None]
        (rows, columns), factor = self.solid_angle.shape, self.factor
        cells = brightness.reshape(-1, rows, factor, columns, factor).mean(axis=(2, 4)) * self.solid_angle
        if self.whole:
            total = cells.sum(axis=(1, 2), keepdims=True)
            cells = cells / jnp.where(total > 0, total, 1.0)
        shape = self.exposure.shape[1:]
        inside, parts = [], []
        for first, length, size in zip(self.corner, (rows, columns), shape, strict=True):
            start, stop = max(first, 0), max(min(first + length, size), max(first, 0))
            inside.append(slice(start, stop))
            parts.append(slice(start - first, stop - first))
        return jnp.zeros((len(cells), *shape)).at[:, *inside].set(cells[:, *parts])


def convolve(maps: Array, transform: Array, padded: tuple[int, int]) -> Array:
    """Maps (T or 1, ny, nx) convolved with kernels given by their `kernel_transform`, (T, ny, nx)."""
    ny, nx = maps.shape[-2:]
    return jnp.fft.irfft2(jnp.fft.rfft2(maps, padded) * transform, padded)[..., :ny, :nx]


def kernel_transform(kernels: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """Fourier transform of centred kernels (T, ky, kx), ky and kx odd, for maps of a shape; and the padded shape."""
    # what a kernel carries beyond the map would wrap around
    for axis, n in enumerate(shape, start=1):
        extra = max(kernels.shape[axis] // 2 - (n - 1), 0)
        kernels = np.take(kernels, np.arange(extra, kernels.shape[axis] - extra), axis=axis)
    halves = [k // 2 for k in kernels.shape[1:]]
    rows, columns = (int(next_fast_len(n + half, True)) for n, half in zip(shape, halves, strict=True))
    whole = np.zeros((len(kernels), rows, columns))
    whole[:, : kernels.shape[1], : kernels.shape[2]] = kernels
    return np.fft.rfft2(np.roll(whole, [-half for half in halves], axis=(1, 2))), (rows, columns)


def pixel_kernels(sigma: np.ndarray, weights: np.ndarray, sky_per_pixel: np.ndarray, radius: float) -> np.ndarray:
    """PSF as it acts on what pixels hold, (T, ky, kx), each of sum 1 (0 where the PSF is).

    The PSF itself, not its mean over pixels: what pixels hold is a mean already, and the mean of a mean is wider than
    what they hold of the convolved shape, by a twelfth of a pixel squared.

    Parameters
    ----------
    sigma, weights : the PSF as Gaussians, widths (K,) [deg] and weights (T, K).
    sky_per_pixel : displacement on the sky [deg] per pixel, (2, 2).
    radius : half width of the kernels [deg].
    """
    scale = np.linalg.norm(sky_per_pixel, axis=0)
    half_x, half_y = kernel_size(sky_per_pixel, radius)
    x, y = np.arange(-half_x, half_x + 1), np.arange(-half_y, half_y + 1)
    east, north = np.einsum("ab,byx->ayx", sky_per_pixel, np.stack(np.meshgrid(x, y)))
    shapes = np.stack([_gaussian(s, (x, y), scale, east**2 + north**2) for s in sigma])
    kernels = np.tensordot(weights, shapes, axes=1)
    total = kernels.sum(axis=(1, 2), keepdims=True)
    return kernels / np.where(total > 0, total, 1.0)


def kernel_size(sky_per_pixel: np.ndarray, radius: float) -> tuple[int, int]:
    """Half widths along x and y, in pixels, of kernels of a half width [deg]."""
    half_x, half_y = (max(int(np.ceil(radius / step)), 1) for step in np.linalg.norm(sky_per_pixel, axis=0))
    return half_x, half_y


def _gaussian(
    sigma: float, pixels: tuple[np.ndarray, np.ndarray], scale: np.ndarray, distance_2: np.ndarray
) -> np.ndarray:
    """Gaussian at the pixels of a kernel, of sum 1; along an axis where it is too narrow to be sampled, three pixels
    that have its variance."""
    if np.all(sigma >= NARROW * scale):
        kernel = np.exp(-0.5 * distance_2 / sigma**2)
        return kernel / kernel.sum()
    columns, rows = (_along(x, sigma / step) for x, step in zip(pixels, scale, strict=True))
    return np.outer(rows, columns)


def _along(pixels: np.ndarray, sigma: float) -> np.ndarray:
    if sigma < NARROW:
        return np.where(pixels == 0, 1.0 - sigma**2, 0.5 * sigma**2 * (np.abs(pixels) == 1))
    values = np.exp(-0.5 * (pixels / sigma) ** 2)
    return values / values.sum()
