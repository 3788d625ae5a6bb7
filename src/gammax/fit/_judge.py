"""What a minimum is worth: its status, a sentence about it, and only those errors that exist."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.fit._covariance import CurvatureReport, flat_columns, flat_directions, honest_covariance, report_curvature
from gammax.fit._even import Diagonals, bounded, diagonals_of, near_bounds, on_even_bounds, pinned
from gammax.fit._trust_region import State, fisher_scale
from gammax.fit._warnings import gauge_off
from gammax.likelihood import Derivatives, Likelihood, Problem
from gammax.likelihood._likelihood import _bins
from gammax.likelihood._shard import over_processes

# what other minimisers find is judged more gently than our own minima: 0.01 sigma, as their stop criteria leave an edm
# of 1e-6 or more. A transform or a barrier never reaches a limit: within this part of an error it is
# there. So is the curvature of a flat valley that is left by a gradient of that size: a saddle bends down by more
_FOREIGN_EDM, _FOREIGN_REACH, _FOREIGN_SADDLE = 1e-4, 1e-3, 1e-3


class Minimum(NamedTuple):
    """A judged minimum, in factor space.

    Attributes
    ----------
    negative : whether a flux or factor of a cube is.
    emptied : bins where a negative source leaves nothing expected.
    gauges : of the OFF counts where the signal is, see `gammax.fit._warnings.gauge_off`.
    """

    theta: np.ndarray
    covariance: np.ndarray
    total_stat: float
    edm: float
    n_steps: int
    status: str
    message: str
    negative: bool = False
    emptied: int = 0
    gauges: tuple[Any, ...] = ()


class Outcome(NamedTuple):
    """What another minimiser found, in factor space.

    Attributes
    ----------
    message : what it says should this be no minimum.
    n_steps : its calls of the likelihood.
    covariance : its own; None: ours.
    """

    theta: np.ndarray
    message: str
    n_steps: int
    covariance: np.ndarray | None = None


class Look(NamedTuple):
    """Statistic and derivatives at a point, its curvature, its distance to the minimum, gauges of OFF counts."""

    derivatives: Derivatives
    curvature: CurvatureReport
    edm: Array
    gauges: tuple[Array | np.ndarray, ...]


def judge_newton(
    likelihood: Likelihood, state: State, report: CurvatureReport, gauges: tuple[Array, ...], tolerance: float
) -> Minimum:
    """Minimum of the trust region, with the exact covariance."""
    edm, steps = float(state.edm), int(state.n_steps)
    here = Look(state.derivatives, report, state.edm, tuple(map(np.asarray, gauges)))
    convex = bool(state.convex)
    stopped = "" if edm <= tolerance and convex else why_not(f"stopped after {steps} steps", edm, convex)
    covariance = honest_covariance(report, _held(likelihood.problem))
    return _judge(likelihood, np.asarray(state.theta), here, covariance, steps, stopped)


def judge_outcome(likelihood: Likelihood, outcome: Outcome) -> Minimum:
    """What another minimiser found: whether it is a minimum our exact derivatives decide, whatever it says itself."""
    problem, theta = likelihood.problem, np.asarray(outcome.theta)
    here, _ = jax.device_get(look(problem, theta))
    reach = _FOREIGN_REACH * np.sqrt(np.maximum(np.diag(here.curvature.covariance), 0.0))
    gradient = here.derivatives.gradient
    snapped = np.where((theta - problem.lower <= reach) & (gradient > 0), problem.lower, theta)
    snapped = np.where((problem.upper - theta <= reach) & (gradient < 0), problem.upper, snapped)
    if (snapped != theta).any():
        here, _ = jax.device_get(look(problem, snapped))
    here, snapped = _settled(problem, here, snapped)
    held = _held(problem)
    covariance = honest_covariance(here.curvature, held)
    if outcome.covariance is not None:
        lost = np.isnan(np.diag(covariance))
        covariance = np.where(lost | lost[:, None], np.nan, outcome.covariance)
        covariance[held, :] = covariance[:, held] = 0.0
    edm, convex = float(here.edm), bool(here.curvature.eigenvalues[0] > -_FOREIGN_SADDLE)
    stopped = "" if edm <= _FOREIGN_EDM and convex else why_not(outcome.message, edm, convex)
    return _judge(likelihood, snapped, here, covariance, outcome.n_steps, stopped)


def _settled(problem: Problem, here: Look, theta: np.ndarray) -> tuple[Look, np.ndarray]:
    """The same end, or that on the bounds beside it at which the prediction is even."""
    limits, converged = (np.asarray(problem.lower), np.asarray(problem.upper)), bool(here.edm <= _FOREIGN_EDM)
    shape = here.derivatives.gradient, here.curvature.active, here.curvature.covariance
    bounds = near_bounds(theta, *limits, *shape, converged, _FOREIGN_EDM)

    def visit(places: np.ndarray) -> tuple[tuple[Look, np.ndarray], Diagonals]:
        there = np.where(np.isfinite(places), places, theta)
        found, _ = jax.device_get(look(bounded(problem, *pinned(places, *limits)), there))
        return (found, there), diagonals_of(found.derivatives)

    found = on_even_bounds(bounds, limits, diagonals_of(here.derivatives), visit, _FOREIGN_EDM)
    return (here, theta) if found is None or found[0].edm > _FOREIGN_EDM else found


@jax.jit
def look(problem: Problem, theta: Array) -> tuple[Look, Array]:
    """What there is to see at a point, and the error of each parameter for itself by the Fisher matrix (P,), 1 where
    there is none."""
    derivatives = problem.derivatives(theta)
    report = report_curvature(problem, theta, derivatives)
    gradient = jnp.where(report.active, 0.0, derivatives.gradient)
    edm = 0.25 * gradient @ report.covariance @ gradient
    # the statistic is twice a log-likelihood
    scale = jnp.sqrt(2.0) * fisher_scale(derivatives.fisher)
    scale = jnp.where(jnp.isfinite(scale) & (scale > 0), scale, 1.0)
    return Look(derivatives, report, edm, gauge_off(problem, theta)), scale


def why_not(ended: str, edm: float, convex: bool) -> str:
    """Why the end of a search is no minimum."""
    if not np.isfinite(edm):
        return f"{ended} where the curvature of the statistic is not finite"
    saddle = edm <= _FOREIGN_EDM and not convex
    return f"{ended} with edm {edm:.1e}" + (" at a saddle, from which the statistic falls" if saddle else "")


def _held(problem: Problem) -> np.ndarray:
    return np.asarray(problem.lower) >= np.asarray(problem.upper)


def _judge(
    likelihood: Likelihood, theta: np.ndarray, here: Look, covariance: np.ndarray, n_steps: int, stopped: str
) -> Minimum:
    """Minimum with its status, and without the errors that do not exist; `stopped`: why it is not converged."""
    status, message = _status(likelihood, theta, here, stopped)
    emptied = int(here.curvature.emptied)
    if status in ("invalid_input", "not_converged") or emptied:
        # no minimum, or the curvature of an empty bin's wall
        covariance = np.full(covariance.shape, np.nan)
    negative = float(here.curvature.lowest) < 0
    value, edm = float(here.derivatives.value), float(here.edm)
    return Minimum(theta, covariance, value, edm, n_steps, status, message, negative, emptied, here.gauges)


def _status(likelihood: Likelihood, theta: np.ndarray, here: Look, stopped: str) -> tuple[str, str]:
    """Status and message, the gravest first."""
    report = here.curvature
    bounds = _bounds_in_words(likelihood, theta, np.asarray(report.active))
    value, gradient = here.derivatives.value, here.derivatives.gradient
    if not (np.isfinite(value) and np.isfinite(gradient).all()):
        return "invalid_input", name_culprits(likelihood, theta, gradient)
    if report.emptied:
        emptied = f"a negative source or background leaves nothing expected in {int(report.emptied)} bins"
        return "at_bound", f"{emptied}: bound its norm at 0"
    if stopped:
        return "not_converged", stopped
    if flat_columns(report).any():
        words = "; ".join(flat_directions(report, likelihood.names))
        return "singular", f"the data do not constrain {words}" + (f"; {bounds}" if bounds else "")
    return ("at_bound", bounds) if bounds else ("ok", "converged")


def _bounds_in_words(likelihood: Likelihood, theta: np.ndarray, active: np.ndarray) -> str:
    """Which parameters (P,) are at a bound, and which where their prior alone holds them without a curvature."""
    problem = likelihood.problem
    outermost = (theta <= problem.lower) | (theta >= problem.upper)
    kinds = {"at a bound": active & outermost & ~_held(problem), "in a corner of its prior": active & ~outermost}
    names = {words: [n for n, at in zip(likelihood.names, found, strict=True) if at] for words, found in kinds.items()}
    return "; ".join(f"{words}: {', '.join(found)}" for words, found in names.items() if found)


def name_culprits(likelihood: Likelihood, theta: np.ndarray, gradient: Array) -> str:
    """Which bins of which datasets have no finite statistic, else which parameters no finite derivative."""
    if over_processes(likelihood.problem.mesh):
        return "the statistic or its derivative is not finite in some process: ask each one's datasets without a mesh"
    words = []
    for name, part in likelihood._by_dataset(_bins(likelihood.problem, theta)).items():
        bad = np.flatnonzero(~np.isfinite(np.asarray(part)))
        if len(bad):
            more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
            words.append(f"{name} ({len(bad)} of {np.size(part)} bins: {', '.join(map(str, bad[:5]))}{more})")
    if words:
        return f"the statistic is not finite in {'; '.join(words[:3])}{'; ...' if len(words) > 3 else ''}"
    names = [name for name, slope in zip(likelihood.names, np.asarray(gradient), strict=True) if not np.isfinite(slope)]
    return f"the derivative of the statistic is not finite by {', '.join(names)}" if names else "a prior is not finite"
