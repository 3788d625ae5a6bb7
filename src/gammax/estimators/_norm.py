"""One norm of one problem: best fit, intervals, limits, scan and sensitivity, as pure functions made to be vmapped."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from gammax.fit._covariance import report_curvature
from gammax.fit._trust_region import minimise
from gammax.fit.error_products._rise import find_rise
from gammax.likelihood import Problem


class NormEstimate(NamedTuple):
    """What the data say of one norm; numbers that do not exist are NaN.

    Attributes
    ----------
    norm, error : best fit and its 1 sigma error from the exact Hessian.
    error_up, error_down : distances to where the statistic has risen by n_sigma^2.
    upper_limit : norm where it has risen by n_sigma_ul^2.
    sensitivity : norm that would be seen at n_sigma_sensitivity, on Asimov counts.
    stat, stat_null, stat_scan : the statistic at the best fit, at norm 0, and at the scanned norms (n_scan,).
    npred, npred_excess : per stack (D, R), predicted ON counts and the source's share of them.
    converged, at_bound : how the fit ended.
    """

    norm: Array
    error: Array
    error_up: Array
    error_down: Array
    upper_limit: Array
    sensitivity: Array
    stat: Array
    stat_null: Array
    stat_scan: Array
    npred: tuple[Array, ...]
    npred_excess: tuple[Array, ...]
    converged: Array
    at_bound: Array


class _Best(NamedTuple):
    """Best fit of a norm: all factors (P,), the norm, its error, the statistic, and how the fit ended."""

    theta: Array
    norm: Array
    error: Array
    stat: Array
    converged: Array
    at_bound: Array


class Sigmas(NamedTuple):
    """Significance levels of the interval, the upper limit and the sensitivity."""

    interval: float
    upper_limit: float
    sensitivity: float


def estimate_norm(
    problem: Problem,
    theta: Array,
    index: int,
    scan: Array,
    sigmas: Sigmas,
    options: tuple[str, ...],
    tolerance: float,
    max_steps: int,
) -> NormEstimate:
    """Everything about the parameter `index` of a problem, the other parameters profiled; what `options` leave out
    is NaN.

    Parameters
    ----------
    problem : its bounds say how far the norm may go.
    theta : start values, (P,), factor space; the norm's scale must be 1.
    scan : norms at which to give the profile, (n_scan,).
    """
    best = _best(problem, theta, index, tolerance, max_steps)

    def profile(norm: Array) -> tuple[Array, Array]:
        return _profile(problem, best.theta, index, norm, tolerance, max_steps)

    up, down, limit = _ends(best, profile, sigmas)
    profiled = jax.vmap(lambda norm: profile(norm)[0])(jnp.append(scan, 0.0))
    signals, none = problem.signals(best.theta), problem.signals(best.theta.at[index].set(0.0))
    missing = jnp.full((), jnp.nan)
    return NormEstimate(
        norm=best.norm,
        error=best.error,
        error_up=up - best.norm if "errn-errp" in options else missing,
        error_down=best.norm - down if "errn-errp" in options else missing,
        upper_limit=limit if "ul" in options else missing,
        sensitivity=_sensitivity(problem, best.theta, index, sigmas) if "sensitivity" in options else missing,
        stat=best.stat,
        stat_null=profiled[-1],
        stat_scan=profiled[:-1] if "scan" in options else jnp.full(scan.shape, jnp.nan),
        npred=problem.on_counts(best.theta),
        npred_excess=jax.tree.map(jnp.subtract, signals, none),
        converged=best.converged,
        at_bound=best.at_bound,
    )


def _best(problem: Problem, theta: Array, index: int, tolerance: float, max_steps: int) -> _Best:
    """Best fit; arguments as `estimate_norm`."""
    best = minimise(problem.derivatives, theta, problem.lower, problem.upper, tolerance, max_steps)
    report = report_curvature(problem, best.theta, best.derivatives)
    converged, at_bound = (best.edm <= tolerance) & best.convex, report.active[index]
    variance = report.covariance[index, index]
    known = converged & ~at_bound & (variance > 0)
    error = jnp.where(known, jnp.sqrt(jnp.where(known, variance, 1.0)), jnp.nan)
    return _Best(best.theta, best.theta[index], error, best.derivatives.value, converged, at_bound)


def _ends(best: _Best, profile: Callable[[Array], tuple[Array, Array]], sigmas: Sigmas) -> Array:
    """Norms where a profile, of value and slope, has risen: upper and lower end of the interval, upper limit, (3,)."""
    stride = jnp.where(jnp.isnan(best.error), 1.0, best.error)
    # below its lower bound the statistic is a wall or the constrained likelihood: an interval may end there
    low, high = jnp.where(best.at_bound, best.norm, -jnp.inf), jnp.full((), jnp.inf)

    def reach(target: Array, stride: Array, bound: Array) -> Array:
        def risen(x: Array) -> tuple[Array, Array]:
            value, slope = profile(x)
            return value - best.stat - target, slope

        return find_rise(risen, best.norm, stride, bound)

    targets = jnp.array([sigmas.interval, sigmas.interval, sigmas.upper_limit]) ** 2
    return jax.vmap(reach)(targets, jnp.stack([stride, -stride, stride]), jnp.stack([high, low, high]))


def _profile(
    problem: Problem, theta: Array, index: int, norm: Array, tolerance: float, max_steps: int
) -> tuple[Array, Array]:
    """Statistic and its slope at a norm, minimised over the other free parameters."""
    theta = theta.at[index].set(norm)
    if theta.shape[0] == 1:
        value, slope = jax.value_and_grad(problem.statistic)(theta)
        return value, slope[index]
    held = hold(problem, index, norm)
    state = minimise(held.derivatives, theta, held.lower, held.upper, tolerance, max_steps)
    value = jnp.where((state.edm <= tolerance) & state.convex, state.derivatives.value, jnp.nan)
    # the derivative of a profile is the partial derivative at its optimum (envelope theorem)
    return value, state.derivatives.gradient[index]


def hold(problem: Problem, index: int, value: Array) -> Problem:
    """Problem with one parameter held at a value."""
    lower, upper = problem.lower.at[index].set(value), problem.upper.at[index].set(value)
    return eqx.tree_at(lambda p: (p.lower, p.upper), problem, (lower, upper))


def _sensitivity(problem: Problem, theta: Array, index: int, sigmas: Sigmas) -> Array:
    """Norm whose Asimov counts exceed norm 0 by n_sigma, other parameters held (Cowan et al. 2011, EPJC 71, 1554).

    The Asimov ON counts are the predicted ones; OFF counts are as observed, their background profiled at that norm
    with the observed ON counts, as the peer does: where the source differs much from its model so does the background.
    """
    null = problem.expectations(theta.at[index].set(0.0))

    def excess(norm: Array) -> Array:
        there = theta.at[index].set(norm)
        asimov = problem.with_counts(problem.on_counts(there))
        bins = zip(asimov.bins(null), asimov.bins(asimov.expectations(there)), strict=True)
        return sum((jnp.sum(a - b) for a, b in bins), start=jnp.zeros(())) - sigmas.sensitivity**2

    return find_rise(jax.value_and_grad(excess), jnp.zeros(()), jnp.full((), 0.1), jnp.full((), jnp.inf))
