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
_LOOK_UP = 60
# of the monomials 1, x, y, x^2, xy, y^2
_POWERS_X, _POWERS_Y = [0, 1, 0, 2, 1, 0], [0, 0, 1, 0, 1, 2]


class Terms(NamedTuple):
    """A source in an image of (ny, nx) pixels as sums over K Gaussians and M monomials of the distance to its centre.

    M is 1, or 6 for 1, x, y, x^2, xy, y^2 [deg]; then P is 3, else 1.

    Attributes
    ----------
    columns, rows : fraction of each Gaussian in every column (nx, K, P) and row (ny, K, P), times the powers of the
        distance.
    coefficients : of component and monomial at every true energy, (T, K, M); K may be 1 with weights.
    weights : of the Gaussians at every reconstructed energy, (R, K), for a PSF in reconstructed energy; else None, they
        are in the coefficients.
    """

    columns: Array
    rows: Array
    coefficients: Array
    weights: Array | None = None

    def contract(self, weight: Array) -> Array:
        """Coefficients (R, K, M) summed over true energies with flux times energy dispersion (R, T)."""
        return contract(self.coefficients, self.weights, weight)


class Place(NamedTuple):
    """Where a source is in a cutout: its centre [pixels], and the widths [deg] of its Gaussians through the PSF."""

    x: Array
    y: Array
    spread: Array


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
        coefficients = self.coefficients(lon, lat, size)
        columns, rows = self.along(self.place(lon, lat, size), coefficients.shape[-1])
        return Terms(columns, rows, coefficients, self.weights if self.reco else None)

    def place(self, lon: Array, lat: Array, size: Array | None) -> Place:
        """Place of a source, arguments as `terms`."""
        x, y = self.plane.pixels(lon, lat)
        spread = self.sigma if size is None else namespace(lon).sqrt(self.sigma**2 + size**2)
        return Place(x - self.corner[0], y - self.corner[1], spread)

    def along(self, place: Place, monomials: int) -> tuple[Array, Array]:
        """Columns and rows of `Terms`."""
        scale, (ny, nx), powers = self.scale(place.x), self.shape, 1 if monomials == 1 else 3
        return (
            along_axis(place.x, place.spread, scale[0], nx, powers),
            along_axis(place.y, place.spread, scale[1], ny, powers),
        )

    def coefficients(self, lon: Array, lat: Array, size: Array | None) -> Array:
        """Coefficients of `Terms`, arguments as `terms`."""
        if self.area is None:
            return self.weights[:, :, None]
        scale, (x, y), (x_0, y_0) = self.scale(lon), self.plane.pixels(lon, lat), self.plane.coefficients[:, 0, 0]
        area = self._seen(self.area, (x - x_0) * scale[0], (y - y_0) * scale[1], size)
        return area if self.reco else self.weights[:, :, None] * area

    def scale(self, number: Array) -> Array:
        """Degrees per pixel along x and y."""
        return namespace(number).linalg.norm(self.plane.sky_per_pixel, axis=0)

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
        return jnp.einsum("rykp,xkp->ryx", _in_rows(terms.rows, terms.contract(weight)), terms.columns)

    def basis(self, lon: Array, lat: Array, size: Array | None = None) -> Array:
        """Exposure times fraction of the source [cm2 s] in pixels of the cutout and true-energy bins, (T, ny, nx).

        Not of a PSF in reconstructed energy: `counts`.
        """
        terms = self.terms(lon, lat, size)
        along_y, over = _in_rows(terms.rows, terms.coefficients), ((2, 3), (1, 2))
        basis = namespace(lon).tensordot(along_y, terms.columns, axes=over)
        return basis if self.exposure is None else basis * self.exposure


def contract(coefficients: Array, weights: Array | None, weight: Array) -> Array:
    """Coefficients (R, K, M) summed over true energies with flux times energy dispersion (R, T); others as `Terms`."""
    contracted = jnp.einsum("rt,tkm->rkm", weight, coefficients)
    return contracted if weights is None else contracted * weights[:, :, None]


def at_pixels(columns: Array, rows: Array, x: Array, y: Array, energy: Array, contracted: Array) -> Array:
    """Sums over Gaussians and monomials in some bins, (N,).

    Parameters
    ----------
    columns, rows : as in `Terms`.
    x, y : columns and rows in the cutout, (N,). energy : reconstructed bins, (N,).
    contracted : coefficients (R, K, M), contracted with spectrum and energy dispersion.
    """
    along_y = _in_rows(rows, contracted)
    if are_many(x, along_y, columns):
        # a matrix product for all bins costs less than so many look-ups, whose derivatives scatter
        return jnp.einsum("rykp,xkp->ryx", along_y, columns)[energy, y, x]
    return jnp.sum(along_y[energy, y] * columns[x], axis=(1, 2))


def are_many(x: Array, rows: Array, columns: Array) -> bool:
    """Whether some bins (N,) of reconstructed energies and rows (R, ny, ...) and of columns (nx, ...) are so many."""
    return rows.shape[0] * rows.shape[1] * columns.shape[0] < _LOOK_UP * x.shape[0]


def _in_rows(rows: Array, contracted: Array) -> Array:
    """Coefficients (R, K, M) times the fractions in rows, (R, ny, K, P): what multiplies the columns."""
    if contracted.shape[-1] == 1:
        return rows * contracted[:, None]
    one, y, y_2 = (rows[..., p] for p in range(3))
    by = [contracted[:, None, :, m] for m in range(6)]
    return namespace(rows).stack([by[0] * one + by[2] * y + by[5] * y_2, by[1] * one + by[4] * y, by[3] * one], axis=-1)


def in_masks(columns: Array, rows: Array, masks: Array | None) -> Array:
    """Gaussians and monomials summed over the pixels of some masks (U, ny, nx), or of the cutout: (U or 1, K, M)."""
    xp = namespace(columns)
    if masks is None:
        return monomials(rows.sum(axis=0)[:, None, :] * columns.sum(axis=0)[:, :, None])[None]
    along_x = xp.einsum("uyx,xkp->uykp", masks, columns)
    return monomials(xp.einsum("uykp,ykq->ukpq", along_x, rows))


def monomials(products: Array) -> Array:
    """Those of the products of powers of x and y, (..., P, P), that are monomials of `Terms`, (..., M)."""
    return products[..., 0] if products.shape[-1] == 1 else products[..., _POWERS_X, _POWERS_Y]


def along_axis(center: Array, spread: Array, scale: Array, size: int, powers: int) -> Array:
    """Fractions of Gaussians (K,) in pixels along one axis, times the powers from 0 on of the distance [deg] to the
    centre, (size, K, powers)."""
    edges = (np.arange(size + 1) - 0.5 - center) * scale
    x = edges[:, None] / (_ROOT_TWO * spread)
    xp, below = namespace(center), 0.5 * (erf if isinstance(center, Array) else special.erf)(x)
    fractions = xp.diff(below, axis=0)
    if powers == 1:
        return fractions[..., None]
    distance = ((xp.arange(size) - center) * scale)[:, None]
    return xp.stack([fractions, fractions * distance, fractions * distance**2], axis=-1)


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
