"""iminuit on the same likelihood: the backend that cross-checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np

from gammax.likelihood import Likelihood

if TYPE_CHECKING:
    from iminuit import Minuit


class MinuitOutcome(NamedTuple):
    """Minimum in factor space, HESSE covariance, and iminuit's own opinion."""

    theta: np.ndarray
    covariance: np.ndarray
    value: float
    edm: float
    valid: bool
    n_calls: int


_value_and_gradient = jax.jit(jax.value_and_grad(lambda theta, problem: problem.statistic(theta)))


class _LastPoint:
    """Value and gradient of the last point asked for: MIGRAD asks for one after the other."""

    def __init__(self, likelihood: Likelihood):
        self._problem = likelihood.problem
        self._theta: np.ndarray | None = None

    def _at(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        if self._theta is None or not np.array_equal(theta, self._theta):
            value, gradient = _value_and_gradient(np.array(theta, dtype=np.float64), self._problem)
            self._theta, self._answer = np.array(theta), (float(value), np.asarray(gradient))
        return self._answer

    def value(self, theta: np.ndarray) -> float:
        return self._at(theta)[0]

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        return self._at(theta)[1]


def make_minuit(likelihood: Likelihood, theta: np.ndarray) -> Minuit:
    """Minuit object of a likelihood, with its exact gradient and its bounds, in factor space."""
    # a tenth of a second, which a fit by Newton does without
    from iminuit import Minuit

    point = _LastPoint(likelihood)
    minuit = Minuit(point.value, np.asarray(theta), grad=point.gradient, name=likelihood.names)
    minuit.errordef = Minuit.LEAST_SQUARES
    minuit.print_level = 0
    minuit.limits = list(zip(np.asarray(likelihood.problem.lower), np.asarray(likelihood.problem.upper), strict=True))
    return minuit


def run_minuit(likelihood: Likelihood, max_calls: int) -> MinuitOutcome:
    """MIGRAD from the start values, then HESSE (strategy 2), which differentiates numerically."""
    minuit = make_minuit(likelihood, likelihood.theta0)
    minuit.strategy, minuit.tol = 1, 1e-3
    minuit.migrad(ncall=max_calls)
    valid = minuit.valid
    minuit.strategy = 2
    minuit.hesse()
    theta, size = np.array(minuit.values), len(likelihood.names)
    covariance = np.full((size, size), np.nan) if minuit.covariance is None else np.array(minuit.covariance)
    return MinuitOutcome(theta, covariance, float(minuit.fval), float(minuit.fmin.edm), valid, minuit.nfcn)
