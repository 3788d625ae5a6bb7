"""What a minimum is worth: its status, a sentence about it, and only those errors that exist."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
from jax import Array

from gammax.fit._covariance import CurvatureReport, flat_columns, flat_directions, honest_covariance, report_curvature
from gammax.fit._minuit import MinuitOutcome
from gammax.fit._trust_region import State
from gammax.likelihood import Likelihood, Problem

# iminuit's minima are judged more gently than ours: its own stop criterion leaves an edm of some 1e-6, its sine
# transform never reaches a limit: within this part of an error it is there
_MINUIT_EDM, _MINUIT_REACH = 1e-3, 1e-3


class Minimum(NamedTuple):
    """A judged minimum, in factor space; `negative`: a flux or factor of a cube is."""

    theta: np.ndarray
    covariance: np.ndarray
    total_stat: float
    edm: float
    n_steps: int
    status: str
    message: str
    negative: bool


def judge_newton(likelihood: Likelihood, state: State, report: CurvatureReport, tolerance: float) -> Minimum:
    """Minimum of the trust region, with the exact covariance."""
    theta, edm, steps = np.asarray(state.theta), float(state.edm), int(state.n_steps)
    converged = edm <= tolerance and bool(state.convex)
    held = _held(likelihood.problem)
    active = np.asarray(report.active) & ~held
    stopped = f"stopped after {steps} steps with edm {edm:.1e}"
    status, message = _status(likelihood, converged, stopped, active, report)
    covariance = honest_covariance(report, held)
    value, negative = float(state.derivatives.value), float(report.lowest) < 0
    return _honest(Minimum(theta, covariance, value, edm, steps, status, message, negative))


def judge_minuit(likelihood: Likelihood, outcome: MinuitOutcome) -> Minimum:
    """Minimum of MIGRAD with HESSE's covariance; whether it is one, our exact derivatives decide."""
    problem, theta = likelihood.problem, outcome.theta
    report, _, gradient = jax.device_get(_look(problem, theta))
    reach = _MINUIT_REACH * np.sqrt(np.maximum(np.diag(report.covariance), 0.0))
    snapped = np.where((theta - problem.lower <= reach) & (gradient > 0), problem.lower, theta)
    snapped = np.where((problem.upper - theta <= reach) & (gradient < 0), problem.upper, snapped)
    report, edm, _ = jax.device_get(_look(problem, snapped))
    held = _held(problem)
    active = report.active & ~held
    converged = outcome.valid and edm <= _MINUIT_EDM
    stopped = f"MIGRAD stopped with edm {edm:.1e}"
    status, message = _status(likelihood, converged, stopped, active, report)
    covariance = outcome.covariance.copy()
    covariance[active, :] = covariance[:, active] = np.nan
    covariance[held, :] = covariance[:, held] = 0.0
    if status == "singular":
        covariance[:] = np.nan
    negative = float(report.lowest) < 0
    return _honest(Minimum(theta, covariance, outcome.value, outcome.edm, outcome.n_calls, status, message, negative))


@jax.jit
def _look(problem: Problem, theta: Array) -> tuple[CurvatureReport, Array, Array]:
    """Curvature, distance to the minimum and gradient at a point."""
    derivatives = problem.derivatives(theta)
    report = report_curvature(problem, theta, derivatives)
    gradient = jax.numpy.where(report.active, 0.0, derivatives.gradient)
    return report, 0.25 * gradient @ report.covariance @ gradient, derivatives.gradient


def _held(problem: Problem) -> np.ndarray:
    return np.asarray(problem.lower) >= np.asarray(problem.upper)


def _status(
    likelihood: Likelihood,
    converged: bool,
    stopped: str,
    active: np.ndarray,
    report: CurvatureReport,
) -> tuple[str, str]:
    """Status and message, the gravest first."""
    bounds = "at a bound: " + ", ".join(n for n, at in zip(likelihood.names, active, strict=True) if at)
    if report.emptied:
        return (
            "at_bound",
            f"a negative source leaves nothing expected in {int(report.emptied)} bins: bound its norm at 0",
        )
    if not converged:
        return "not_converged", stopped
    if flat_columns(report).any():
        words = "; ".join(flat_directions(report, likelihood.names))
        return "singular", f"the data do not constrain {words}" + (f"; {bounds}" if active.any() else "")
    return ("at_bound", bounds) if active.any() else ("ok", "converged")


def _honest(minimum: Minimum) -> Minimum:
    """No errors where there is no minimum, or where the curvature is that of an empty bin."""
    if minimum.status == "not_converged" or "nothing expected" in minimum.message:
        return minimum._replace(covariance=np.full(minimum.covariance.shape, np.nan))
    return minimum
