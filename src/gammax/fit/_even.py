"""Bounds at which a prediction is an even function of a parameter: the extent of a source at zero, where its square
counts.

There the gradient vanishes, and so does the Fisher information: a minimum on the bound is not held there by a slope,
and one nearby has a curvature that is no error. Both are at the bound if the statistic does not tell them from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import equinox as eqx
import jax
import numpy as np
from jax import Array

from gammax.likelihood import Derivatives, Problem

T = TypeVar("T")

# error of the square by which it may be above zero, unseen: a millionth in the statistic
_UNSEEN = 1e-3
# squared errors within which a minimum may be at a bound. A minimum that is flat to fourth order is left 9 edm squared
# errors away, where the statistic is higher by 1.5 edm
_REACH, _REACH_PER_EDM, _RISE_PER_EDM = 1e-4, 20.0, 2.0
# slope by a factor that is none but for rounding
_LEVEL = 1e-6
# factor from the bound at which there is information, and the part of it, or of the curvature, that there may be at the
# bound: none but for rounding
_BESIDE, _NONE = 1e-3, 1e-6


class Diagonals(NamedTuple):
    """Statistic (...), and diagonals of Fisher matrix and Hessian, (..., P)."""

    value: np.ndarray
    information: np.ndarray
    curvature: np.ndarray


def diagonals_of(derivatives: Derivatives) -> Diagonals:
    """Of the derivatives at one point."""
    fisher, hessian = (np.diag(np.asarray(matrix)) for matrix in (derivatives.fisher, derivatives.hessian))
    return Diagonals(np.asarray(derivatives.value), fisher, hessian)


def near_bounds(
    theta: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    gradient: np.ndarray,
    active: np.ndarray,
    covariance: np.ndarray,
    converged: np.ndarray | bool,
    edm: float,
) -> np.ndarray:
    """The bounds beside the end of a search, (..., P); NaN for parameters that are not next to one.

    Parameters
    ----------
    theta, lower, upper, gradient : where the search ended, its bounds and the slope there, factors, (..., P).
    active : parameters that a slope holds at a bound, or that are held, (..., P): of these no more is asked.
    covariance : (..., P, P). converged : whether it is a minimum, (...): else only what is on its bound, without a
        slope, is next to it.
    edm : with which a minimum is accepted.
    """
    nearest = np.where(theta - lower <= upper - theta, lower, upper)
    # without a bound the distance is infinite
    room = np.where(np.isfinite(nearest), theta - np.where(np.isfinite(nearest), nearest, 0.0), np.inf)
    variance = np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), 0.0)
    within = np.abs(room) <= np.sqrt(max(_REACH, _REACH_PER_EDM * edm) * variance)
    level = (room == 0.0) & (np.abs(gradient) < _LEVEL)
    near = ~active & np.where(np.expand_dims(converged, -1), within, level)
    return np.where(near, nearest, np.nan)


def inside(bounds: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Points beside the bounds of `near_bounds`, within both."""
    step = np.where(bounds > lower, -_BESIDE, _BESIDE)
    return np.clip(bounds + step, lower, upper)


def are_even(bounds: np.ndarray, there: Diagonals, beside: Diagonals) -> np.ndarray:
    """Which of the bounds (..., P), NaN where there is none, are of parameters of which the statistic knows nothing to
    first order, and that do not fall to second.

    Parameters
    ----------
    there, beside : with the parameters on these bounds, and at `inside`.
    """
    known = np.maximum(beside.information, there.curvature)
    falls = there.curvature < -_UNSEEN * np.sqrt(2.0 * np.maximum(beside.information, 0.0)) / _BESIDE
    return np.isfinite(bounds) & (there.information < _NONE * known) & ~falls


def is_as_low(bounds: np.ndarray, here: Diagonals, there: Diagonals, edm: float) -> np.ndarray:
    """Whether the statistic is the same on the bounds as at the end of a search, (...)."""
    each = max(_UNSEEN**2, _RISE_PER_EDM * edm)
    slack = np.isfinite(bounds).sum(axis=-1) * each + 1e-13 * np.abs(here.value)
    return there.value - here.value <= slack


def pinned(bounds: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds that hold parameters at those of `near_bounds`."""
    held = np.isfinite(bounds)
    return np.where(held, bounds, lower), np.where(held, bounds, upper)


def bounded(problem: Problem, lower: Array | np.ndarray, upper: Array | np.ndarray) -> Problem:
    """A problem with other bounds, on the devices of its own."""
    if problem.mesh is not None:
        lower, upper = jax.device_put(lower, problem.lower.sharding), jax.device_put(upper, problem.upper.sharding)
    return eqx.tree_at(lambda p: (p.lower, p.upper), problem, (lower, upper))


def on_even_bounds(
    bounds: np.ndarray,
    limits: tuple[np.ndarray, np.ndarray],
    here: Diagonals,
    visit: Callable[[np.ndarray], tuple[T, Diagonals]],
    edm: float,
) -> T | None:
    """What a visit to those of the bounds (P,) finds that are even; None if there are none, or the statistic is higher
    there.

    Parameters
    ----------
    limits : lower and upper bounds. here : at the end of the search.
    visit : what is found with parameters held at the numbers that are not NaN, and the diagonals there.
    """
    while np.isfinite(bounds).any():
        there, found = visit(bounds)
        even = are_even(bounds, found, visit(inside(bounds, *limits))[1])
        if (even == np.isfinite(bounds)).all():
            return there if is_as_low(bounds, here, found, edm) else None
        bounds = np.where(even, bounds, np.nan)
    return None
