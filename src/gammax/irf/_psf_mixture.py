"""A radial density as a sum of Gaussians of fixed widths, which integrate over pixels in closed form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from gammax.errors import DataValueError
from gammax.irf._psf_profile import SR, integral_to

# numbers of Gaussians that are tried, where a tolerance is asked for
STEPS = (4, 6, 8, 10, 12, 16, 20, 24, 32)
# widths that are tried span from a multiple of the 5 % radius of the narrowest density to one of the last node
_NARROWEST = (0.4, 0.6, 0.8, 1.0, 1.3)
_WIDEST = (0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7)
# of the density in the sum of squares, against the containment; and of the weights themselves
_DENSITY, _RIDGE = 0.3, 1e-4
# a table that ends where the density does not cannot be met at its end: from this fraction missing, all counts less
_MISSING, _LEAST = 0.03, 0.1
# ranges of widths, the best without bounds, that are compared with bounds; points of the table at which the bounds hold
_CANDIDATES, _EVERY = 4, 3
# radii beyond the table, in units of its last node, at which the density must not be negative either
_TAIL = np.geomspace(1.01, 4.0, 40)


class GaussianMixture(NamedTuple):
    """Density ``sum_k weights[t, k] exp(-r^2 / 2 sigma[k]^2) / 2 pi sigma[k]^2``.

    sigma : widths [deg], shape (K,), increasing. weights : shape (T, K), some may be negative, the density is not;
    rows sum to 1, or are 0 where there is no density. error : largest difference of containment over all radii and
    densities; inner_error : the same within the radius that holds 97 %.
    """

    sigma: np.ndarray
    weights: np.ndarray
    error: float
    inner_error: float


class _Target(NamedTuple):
    """Radii, containment (T, m) and density [deg-2] (T, m) to meet there, how much each counts, and the core's size."""

    rad: np.ndarray
    contained: np.ndarray
    density: np.ndarray
    counts: np.ndarray
    core: float


def gaussian_mixture(
    rad: np.ndarray, values: np.ndarray, n: int | None = 16, tolerance: float = 1e-3
) -> GaussianMixture:
    """Fit densities by Gaussians whose widths are the same for all of them, spaced evenly in the logarithm.

    Least squares in containment and in density together, with the density kept from being negative (Lawson & Hanson
    1974, chapter 23) and the weights from growing against each other. The range of widths is the best of 35.

    Parameters
    ----------
    rad : nodes [deg], from 0, shape (nrad,). values : densities [sr-1] that are linear between the nodes and 0 beyond,
        shape (T, nrad), of any norm; as `PSFMap.profile` gives them.
    n : number of Gaussians; with None the smallest of 4, 6, 8, 10, 12, 16, 20, 24, 32 that meets `tolerance`.
    tolerance : inner error of containment to meet.

    Raises
    ------
    DataValueError : densities that are negative or not finite, nodes that do not increase from 0, no Gaussians.
    """
    rad, values = np.asarray(rad, float), np.asarray(values, float)
    _check(rad, values, n)
    norm = integral_to(rad, values, rad[-1:])[:, 0]
    given = norm > 0
    if not given.any():
        count = STEPS[0] if n is None else n
        return GaussianMixture(np.geomspace(rad[1], rad[-1], count), np.zeros((len(values), count)), 0.0, 0.0)
    target = _target(rad, values[given] / norm[given, np.newaxis])
    for count in STEPS if n is None else (n,):
        sigma, rows = _best(target, count)
        error, inner = _errors(target, sigma, rows)
        if inner <= tolerance:
            break
    weights = np.zeros((len(values), count))
    weights[given] = rows / rows.sum(axis=1, keepdims=True)
    return GaussianMixture(sigma, weights, error, inner)


def _check(rad: np.ndarray, values: np.ndarray, n: int | None) -> None:
    if rad.ndim != 1 or len(rad) < 2 or rad[0] != 0 or not np.all(np.diff(rad) > 0):
        raise DataValueError("GX-IRF-100", "the nodes of a radial density increase from 0", found=rad)
    if values.ndim != 2 or values.shape[1] != len(rad) or not np.all(np.isfinite(values)) or values.min() < 0:
        raise DataValueError(
            "GX-IRF-101", "no densities on these nodes", found=f"shape {values.shape}", expected="finite, not negative"
        )
    if n is not None and n < 1:
        raise DataValueError("GX-IRF-102", "a mixture has at least one Gaussian", found=n)


def _target(rad: np.ndarray, values: np.ndarray) -> _Target:
    """Points on the table, even in r and in ln r."""
    even = np.linspace(0, rad[-1], 300)
    x = np.unique(np.concatenate([even, np.geomspace(rad[-1] / 1000, rad[-1], 200)]))
    contained = integral_to(rad, values, x)
    core = min(float(np.interp(0.05, curve, x)) for curve in contained)
    density = np.array([np.interp(x, rad, row) for row in values]) * SR
    counts = np.clip((1 - contained).max(axis=0) / _MISSING, _LEAST, 1.0)
    return _Target(x, contained, density, counts, core)


def _best(target: _Target, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Widths and weights of the smallest error, as it counts."""

    def distance(sigma: np.ndarray, weights: np.ndarray) -> float:
        return float(np.max(_difference(target, sigma, weights) * target.counts))

    grids = sorted(_grids(target, n), key=lambda sigma: distance(sigma, _least_squares(target, sigma)))
    found = [(s, _not_negative(target, s, _least_squares(target, s))) for s in grids[:_CANDIDATES]]
    return min(found, key=lambda pair: distance(*pair))


def _grids(target: _Target, n: int) -> Iterator[np.ndarray]:
    last = target.rad[-1]
    for low in _NARROWEST:
        for high in _WIDEST:
            if low * target.core < high * last:
                yield np.geomspace(low * target.core, high * last, n)


def _curves(rad: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Containment and density [deg-2] of each Gaussian, shape (m, K)."""
    half = rad[:, np.newaxis] ** 2 / (2 * sigma**2)
    return -np.expm1(-half), np.exp(-half) / (2 * np.pi * sigma**2)


def _difference(target: _Target, sigma: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.abs(weights @ _curves(target.rad, sigma)[0].T - target.contained)


def _errors(target: _Target, sigma: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    difference = _difference(target, sigma, weights)
    return float(difference.max()), float(difference[target.contained <= 1 - _MISSING].max())


def _system(target: _Target, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Matrix and right-hand sides of the sum of squares in K - 1 unknowns z, weights = start + basis z summing to 1."""
    contained, density = _curves(target.rad, sigma)
    counts = target.counts[:, np.newaxis]
    scale = _DENSITY * np.pi * (target.rad**2 + (target.core / 2) ** 2)[:, np.newaxis] * counts
    matrix = np.vstack([contained * counts, density * scale, _RIDGE * np.eye(len(sigma))])
    zeros = np.zeros((len(sigma), len(target.contained)))
    wanted = np.vstack([target.contained.T * counts, target.density.T * scale, zeros])
    start = np.full(len(sigma), 1 / len(sigma))
    basis = np.linalg.svd(np.ones((1, len(sigma))))[2][1:].T
    return matrix @ basis, wanted - (matrix @ start)[:, np.newaxis], start, basis


def _least_squares(target: _Target, sigma: np.ndarray) -> np.ndarray:
    matrix, wanted, start, basis = _system(target, sigma)
    return start + (basis @ np.linalg.lstsq(matrix, wanted, rcond=None)[0]).T


def _not_negative(target: _Target, sigma: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The same with each negative density replaced by the least squares among those that are not.

    Without negative density the containment grows to 1 beyond the table, so the error there is that at its end.
    """
    everywhere = np.concatenate([target.rad[::_EVERY], target.rad[-1] * _TAIL])
    density = _curves(everywhere, sigma)[1]
    # farther out the widest Gaussian is alone
    bounds = np.vstack([density / density.max(axis=1, keepdims=True), np.eye(len(sigma))[-1:]])
    bad = (weights @ bounds.T).min(axis=1) < 0
    if not bad.any() or len(sigma) == 1:
        return weights
    matrix, wanted, start, basis = _system(target, sigma)
    q, r = np.linalg.qr(matrix)
    rows = weights.copy()
    for t in np.flatnonzero(bad):
        free = q.T @ wanted[:, t]
        # with y = R z - Q^T b: the shortest y with bounds (start + basis R^-1 (y + Q^T b)) >= 0
        inner = np.linalg.solve(r.T, (bounds @ basis).T).T
        limit = -(bounds @ start) - inner @ free
        residual = np.zeros(len(free) + 1)
        residual[-1] = 1.0
        system = np.vstack([inner.T, limit])
        dual = nnls(system, residual)[0]
        short = system @ dual - residual
        rows[t] = start + basis @ np.linalg.solve(r, -short[:-1] / short[-1] + free)
    return rows
