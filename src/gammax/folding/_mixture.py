"""Points and Gaussians through a PSF that is a sum of Gaussians: closed forms in pixels, smooth in position and size.

A Gaussian source of width s seen through the PSF component k is a Gaussian of width sqrt(s^2 + sigma_k^2), and its
integral over a pixel is a product of two differences of error functions. Along each axis these add up to 1, so that
nothing is lost or moved by pixels however small the source; a point is s = 0.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import erf
from scipy import special

from gammax.folding._plane import Plane, namespace

_ROOT_TWO = 2.0**0.5
# bins in a matrix product that cost as much as the look-up of one, measured
_LOOK_UP = 10


class Terms(NamedTuple):
    """A source in an image of (ny, nx) pixels as sums over K Gaussians and M monomials of the distance to its centre.

    Attributes
    ----------
    columns, rows : fraction of each Gaussian in every column (nx, K) and row (ny, K).
    dx, dy : distance [deg] of the columns (nx,) and rows (ny,) from the centre.
    coefficients : of component and monomial at every true energy, (T, K, M); M is 1, or 6 for 1, x, y, x^2, xy, y^2.
    weights : of the Gaussians at every reconstructed energy, (R, K), for a PSF in reconstructed energy; else None, they
        are in the coefficients, whose K may be 1 otherwise.
    """

    columns: Array
    rows: Array
    dx: Array
    dy: Array
    coefficients: Array
    weights: Array | None = None

    def contract(self, weight: Array) -> Array:
        """Coefficients (R, K, M) summed over true energies with flux times energy dispersion (R, T)."""
        contracted = jnp.einsum("rt,tkm->rkm", weight, self.coefficients)
        return contracted if self.weights is None else contracted * self.weights[:, :, None]


class Mixture(eqx.Module):
    """How a dataset sees a point or a Gaussian near an anchor.

    The exposure is taken at the true position, before the PSF: A(x) is a quadratic about the anchor, and of a Gaussian
    source seen at p by the component k the true positions are Gaussian too, about c + r (p - c) with variance
    r sigma_k^2 along each axis, r = s^2 / (s^2 + sigma_k^2), c the centre. With `exposure` in place of `area` it is
    taken at the reconstructed position, after the PSF.

    Attributes
    ----------
    plane : of the image.
    sigma : widths [deg] of the Gaussians, (K,).
    weights : of the Gaussians at every true energy, (T, K); at every reconstructed one, (R, K), with `reco`.
    area : quadratic of the exposure [cm2 s] in 1, x, y, x^2, xy, y^2 [deg along the pixel axes] about the anchor,
        (T, 6), or the same everywhere, (T, 1); else None.
    exposure : [cm2 s] in the cutout, (T, ny, nx); else None.
    corner : pixel numbers x and y of the first pixel of the cutout.
    shape : (ny, nx) of the cutout.
    reco : the PSF is one in reconstructed energy, which comes after exposure and energy dispersion.
    """

    plane: Plane
    sigma: Array
    weights: Array
    area: Array | None
    exposure: Array | None
    corner: Array
    shape: tuple[int, int] = eqx.field(static=True)
    reco: bool = eqx.field(static=True, default=False)

    def widened(self, width: Array) -> Mixture:
        """Mixture of a PSF that is wider by a factor."""
        return dataclasses.replace(self, sigma=self.sigma * width)

    def terms(self, lon: Array, lat: Array, size: Array | None = None) -> Terms:
        """Terms of a source at a position [deg]: a Gaussian of width `size` [deg], else a point."""
        xp = namespace(lon)
        scale = xp.linalg.norm(self.plane.sky_per_pixel, axis=0)
        x, y = self.plane.pixels(lon, lat)
        spread = self.sigma if size is None else xp.sqrt(self.sigma**2 + size**2)
        columns, dx = _along(x - self.corner[0], spread, scale[0], self.shape[1])
        rows, dy = _along(y - self.corner[1], spread, scale[1], self.shape[0])
        if self.area is None:
            return Terms(columns, rows, dx, dy, self.weights[:, :, None])
        x_0, y_0 = self.plane.coefficients[:, 0, 0]
        area = self._seen(self.area, (x - x_0) * scale[0], (y - y_0) * scale[1], size)
        if self.reco:
            return Terms(columns, rows, dx, dy, area, self.weights)
        return Terms(columns, rows, dx, dy, self.weights[:, :, None] * area)

    def _seen(self, area: Array, u: Array, v: Array, size: Array | None) -> Array:
        """Exposure behind a pixel, (T, K or 1, M), of a source at a distance [deg] from the anchor."""
        xp = namespace(u)
        if area.shape[1] == 1:
            return area[:, :, None]
        if size is None:
            return (area @ xp.stack([xp.ones_like(u), u, v, u * u, u * v, v * v]))[:, None, None]
        ratio = size**2 / (size**2 + self.sigma**2)
        return _seen_area(area, u, v, ratio, ratio * self.sigma**2)

    def counts(self, lon: Array, lat: Array, size: Array | None, weight: Array) -> Array:
        """Counts in the cutout, (R, ny, nx), of a flux times energy dispersion (R, T) [cm-2 s-1]."""
        terms = self.terms(lon, lat, size)
        powers_y, powers_x = _monomials(terms)
        return jnp.einsum("rkm,ykm,xkm->ryx", terms.contract(weight), powers_y, powers_x)

    def basis(self, lon: Array, lat: Array, size: Array | None = None) -> Array:
        """Exposure times fraction of the source [cm2 s] in pixels of the cutout and true-energy bins, (T, ny, nx).

        Not of a PSF in reconstructed energy: `counts`.
        """
        terms = self.terms(lon, lat, size)
        powers_y, powers_x = _monomials(terms)
        basis = namespace(lon).einsum("tkm,ykm,xkm->tyx", terms.coefficients, powers_y, powers_x)
        return basis if self.exposure is None else basis * self.exposure


def at_pixels(terms: Terms, x: Array, y: Array, energy: Array, contracted: Array) -> Array:
    """Sums over Gaussians and monomials in some bins, (N,).

    Parameters
    ----------
    x, y : columns and rows in the cutout, (N,). energy : reconstructed bins, (N,).
    contracted : coefficients (R, K, M), contracted with spectrum and energy dispersion.
    """
    bins = contracted.shape[0] * terms.rows.shape[0] * terms.columns.shape[0]
    if bins < _LOOK_UP * x.shape[0] * contracted.shape[-1]:
        # two matrix products for all bins cost less than so many look-ups, whose derivatives scatter
        powers_y, powers_x = _monomials(terms)
        along_y = jnp.einsum("rkm,ykm->rykm", contracted, powers_y)
        return jnp.einsum("rykm,xkm->ryx", along_y, powers_x)[energy, y, x]
    shape = terms.columns[x] * terms.rows[y]
    chosen = contracted[energy]
    factor = chosen[..., 0]
    if contracted.shape[-1] > 1:
        dx, dy = terms.dx[x], terms.dy[y]
        powers = (dx, dy, dx * dx, dx * dy, dy * dy)
        factor = factor + sum(chosen[..., m] * power[:, None] for m, power in enumerate(powers, start=1))
    return jnp.sum(shape * factor, axis=-1)


def in_masks(terms: Terms, masks: Array | None) -> Array:
    """Gaussians and monomials summed over the pixels of some masks (U, ny, nx), or of the cutout: (U or 1, K, M)."""
    xp = namespace(terms.dx)
    powers_y, powers_x = _monomials(terms)
    if masks is None:
        return (powers_y.sum(axis=0) * powers_x.sum(axis=0))[None]
    along_x = xp.einsum("uyx,xkm->uykm", masks, powers_x)
    return xp.einsum("uykm,ykm->ukm", along_x, powers_y)


def _monomials(terms: Terms) -> tuple[Array, Array]:
    """Fractions in rows (ny, K, M) and columns (nx, K, M), times the powers of the distances."""
    if terms.coefficients.shape[-1] == 1:
        return terms.rows[..., None], terms.columns[..., None]
    xp = namespace(terms.dx)
    one_x, one_y = xp.ones_like(terms.dx), xp.ones_like(terms.dy)
    powers_x = xp.stack([one_x, terms.dx, one_x, terms.dx**2, terms.dx, one_x], axis=-1)
    powers_y = xp.stack([one_y, one_y, terms.dy, one_y, terms.dy, terms.dy**2], axis=-1)
    return terms.rows[..., None] * powers_y[:, None], terms.columns[..., None] * powers_x[:, None]


def _along(center: Array, spread: Array, scale: Array, size: int) -> tuple[Array, Array]:
    """Fractions (size, K) of Gaussians in pixels along one axis, and distances [deg] of the pixels, (size,)."""
    edges = (np.arange(size + 1) - 0.5 - center) * scale
    x = edges[:, None] / (_ROOT_TWO * spread)
    xp, below = namespace(center), 0.5 * (erf if isinstance(center, Array) else special.erf)(x)
    return xp.diff(below, axis=0), (xp.arange(size) - center) * scale


def _seen_area(area: Array, u: Array, v: Array, ratio: Array, variance: Array) -> Array:
    """Mean exposure at the true positions behind a pixel, as a quadratic of its distance to the centre, (T, K, 6).

    Parameters
    ----------
    area : quadratic about the anchor, (T, 6). u, v : centre of the source from the anchor [deg].
    ratio, variance : of the true positions behind a pixel, (K,).
    """
    a, ax, ay, axx, axy, ayy = (area[:, m, None] for m in range(6))
    constant = a + ax * u + ay * v + axx * u * u + axy * u * v + ayy * v * v + variance * (axx + ayy)
    slope_x, slope_y = (ax + 2 * axx * u + axy * v) * ratio, (ay + axy * u + 2 * ayy * v) * ratio
    bends = (axx * ratio**2, axy * ratio**2, ayy * ratio**2)
    xp = namespace(u)
    return xp.stack([constant, slope_x, slope_y, *bends], axis=-1)


def _bilinear(images: np.ndarray, x: float, y: float) -> np.ndarray:
    """Values (T,) of images (T, ny, nx) at a pixel position; outside, those at the border."""
    (j, k, u), (i, m, v) = (_neighbours(at, n) for at, n in ((x, images.shape[2]), (y, images.shape[1])))
    below, above = ((1 - u) * images[:, row, j] + u * images[:, row, k] for row in (i, m))
    return (1 - v) * below + v * above


def _neighbours(at: float, size: int) -> tuple[int, int, float]:
    """Pixels on both sides of a position, and the fraction of the way between them."""
    at = min(max(at, 0.0), size - 1.0)
    return int(at), min(int(at) + 1, size - 1), at - int(at)


def local_quadratic(exposure: np.ndarray, x: float, y: float, scale: np.ndarray, radius: float) -> np.ndarray:
    """Quadratics (T, 6) of maps (T, ny, nx) about a pixel position, least squares within a radius [deg].

    The constant is the map itself at the position (bilinear), so that what the quadratic misses vanishes there.

    Parameters
    ----------
    scale : degrees per pixel along x and y.
    """
    rows, columns = np.indices(exposure.shape[1:])
    u, v = (columns - x) * scale[0], (rows - y) * scale[1]
    near = np.hypot(u, v) <= max(radius, 2.5 * scale.max())
    u, v, values = u[near], v[near], exposure[:, near]
    constant = _bilinear(exposure, x, y)
    terms = np.stack([u, v, u * u, u * v, v * v])
    sizes = np.abs(terms).max(axis=1, keepdims=True)
    terms = terms / sizes
    # normal equations: five terms of order one, and ten times as fast
    slopes = np.linalg.solve(terms @ terms.T, terms @ (values - constant[:, None]).T)
    return np.concatenate([constant[:, None], (slopes / sizes).T], axis=1)
