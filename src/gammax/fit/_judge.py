"""What a minimum is worth: its status, a sentence about it, and only those errors that exist."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.fit._covariance import CurvatureReport, flat_columns, flat_directions, honest_covariance, report_curvature
from gammax.fit._trust_region import State, fisher_scale
from gammax.fit._warnings import gauge_off
from gammax.likelihood import Likelihood, Problem
from gammax.likelihood._likelihood import _bins

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
    """Statistic and gradient at a point, its curvature, its distance to the minimum, gauges of OFF counts."""

    value: Array
    gradient: Array
    curvature: CurvatureReport
    edm: Array
    gauges: tuple[Array | np.ndarray, ...]


def judge_newton(
    likelihood: Likelihood, state: State, report: CurvatureReport, gauges: tuple[Array, ...], tolerance: float
) -> Minimum:
    """Minimum of the trust region, with the exact covariance."""
    edm, steps = float(state.edm), int(state.n_steps)
    derivatives, found = state.derivatives, tuple(map(np.asarray, gauges))
    here = Look(derivatives.value, derivatives.gradient, report, state.edm, found)
    converged = edm <= tolerance and bool(state.convex)
    stopped = f"stopped after {steps} steps with edm {edm:.1e}"
    covariance = honest_covariance(report, _held(likelihood.problem))
    return _judge(likelihood, np.asarray(state.theta), here, covariance, steps, "" if converged else stopped)


def judge_outcome(likelihood: Likelihood, outcome: Outcome) -> Minimum:
    """What another minimiser found: whether it is a minimum our exact derivatives decide, whatever it says itself."""
    problem, theta = likelihood.problem, np.asarray(outcome.theta)
    here, _ = jax.device_get(look(problem, theta))
    reach = _FOREIGN_REACH * np.sqrt(np.maximum(np.diag(here.curvature.covariance), 0.0))
    snapped = np.where((theta - problem.lower <= reach) & (here.gradient > 0), problem.lower, theta)
    snapped = np.where((problem.upper - theta <= reach) & (here.gradient < 0), problem.upper, snapped)
    if (snapped != theta).any():
        here, _ = jax.device_get(look(problem, snapped))
    held = _held(problem)
    covariance = honest_covariance(here.curvature, held)
    if outcome.covariance is not None:
        lost = np.isnan(np.diag(covariance))
        covariance = np.where(lost | lost[:, None], np.nan, outcome.covariance)
        covariance[held, :] = covariance[:, held] = 0.0
    converged = here.edm <= _FOREIGN_EDM and here.curvature.eigenvalues[0] > -_FOREIGN_SADDLE
    stopped = "" if converged else f"{outcome.message} with edm {float(here.edm):.1e}"
    return _judge(likelihood, snapped, here, covariance, outcome.n_steps, stopped)


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
    return Look(derivatives.value, derivatives.gradient, report, edm, gauge_off(problem, theta)), scale


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
    value, edm = float(here.value), float(here.edm)
    return Minimum(theta, covariance, value, edm, n_steps, status, message, negative, emptied, here.gauges)


def _status(likelihood: Likelihood, theta: np.ndarray, here: Look, stopped: str) -> tuple[str, str]:
    """Status and message, the gravest first."""
    report = here.curvature
    active = np.asarray(report.active) & ~_held(likelihood.problem)
    bounds = "at a bound: " + ", ".join(n for n, at in zip(likelihood.names, active, strict=True) if at)
    if not (np.isfinite(here.value) and np.isfinite(here.gradient).all()):
        return "invalid_input", name_culprits(likelihood, theta, here.gradient)
    if report.emptied:
        emptied = f"a negative source or background leaves nothing expected in {int(report.emptied)} bins"
        return "at_bound", f"{emptied}: bound its norm at 0"
    if stopped:
        return "not_converged", stopped
    if flat_columns(report).any():
        words = "; ".join(flat_directions(report, likelihood.names))
        return "singular", f"the data do not constrain {words}" + (f"; {bounds}" if active.any() else "")
    return ("at_bound", bounds) if active.any() else ("ok", "converged")


def name_culprits(likelihood: Likelihood, theta: np.ndarray, gradient: Array) -> str:
    """Which bins of which datasets have no finite statistic, else which parameters no finite derivative."""
    mesh = likelihood.problem.mesh
    if mesh is not None and mesh.is_multi_process:
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
