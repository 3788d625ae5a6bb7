"""Fit: datasets and models in, result out; nothing that went in is changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

import jax
import numpy as np
from jax import Array

from gammax.errors import FitError, did_you_mean
from gammax.fit._covariance import CurvatureReport, flat_directions, honest_covariance, report_curvature
from gammax.fit._minuit import run_minuit
from gammax.fit._result import FitResult
from gammax.fit._trust_region import FLAT, State, minimise
from gammax.likelihood import Likelihood, Problem
from gammax.likelihood._problem import no_bins
from gammax.likelihood._table import Slots
from gammax.models import Models, SkyModel

if TYPE_CHECKING:
    from gammax.datasets import Datasets, SpectrumDataset, SpectrumDatasetOnOff

_BACKENDS = ("newton", "minuit")


@dataclasses.dataclass(frozen=True)
class Fit:
    """Maximum-likelihood fit.

    Parameters
    ----------
    backend : "newton" (bounded trust-region Newton on exact derivatives) or "minuit" (iminuit, the cross-check).
    tolerance : predicted distance to the minimum at which to stop, in units of the statistic.
    max_steps : Newton steps, or hundreds of calls for iminuit, before the fit gives up.

    Raises
    ------
    FitError : unknown backend.
    """

    backend: str = "newton"
    tolerance: float = 1e-10
    max_steps: int = 100

    def __post_init__(self):
        if self.backend not in _BACKENDS:
            raise FitError("GX-FIT-007", f"unknown backend {self.backend!r}", do=did_you_mean(self.backend, _BACKENDS))

    def run(
        self,
        datasets: Datasets | Iterable[SpectrumDataset | SpectrumDatasetOnOff],
        models: Models | SkyModel | Iterable[SkyModel],
    ) -> FitResult:
        """Fit the free parameters of `models` to `datasets`; errors as `Likelihood`.

        A fit that goes wrong raises nothing: look at the result's status.
        """
        models = models if isinstance(models, Models) else Models(models)
        likelihood = Likelihood(datasets, models)
        if no_bins(likelihood.problem):
            return _no_data(likelihood, models, self.backend)
        if self.backend == "minuit":
            return self._run_minuit(likelihood, models)
        state, report = _solve(likelihood.problem, likelihood.theta0, self.tolerance, self.max_steps)
        status, message = _judge(state, report, likelihood, self.tolerance)
        return _result(
            likelihood,
            models,
            np.asarray(state.theta),
            honest_covariance(report),
            status,
            message,
            float(state.derivatives.value),
            float(state.edm),
            int(state.n_steps),
            self.backend,
        )

    def _run_minuit(self, likelihood: Likelihood, models: Models) -> FitResult:
        outcome = run_minuit(likelihood, 100 * self.max_steps)
        covariance = outcome.covariance.copy()
        covariance[outcome.at_bound, :] = np.nan
        covariance[:, outcome.at_bound] = np.nan
        if not outcome.valid:
            status, message = "not_converged", "MIGRAD found no valid minimum"
        elif outcome.at_bound.any():
            status, message = "at_bound", _at_bound_message(likelihood, outcome.at_bound)
        else:
            status, message = "ok", "MIGRAD converged, errors from HESSE"
        return _result(
            likelihood,
            models,
            outcome.theta,
            covariance,
            status,
            message,
            outcome.value,
            outcome.edm,
            outcome.n_calls,
            self.backend,
        )


@partial(jax.jit, static_argnames="max_steps")
def _solve(problem: Problem, theta: Array, tolerance: float, max_steps: int) -> tuple[State, CurvatureReport]:
    state = minimise(problem.derivatives, theta, problem.lower, problem.upper, tolerance, max_steps)
    return state, report_curvature(state.theta, state.derivatives, problem.lower, problem.upper)


def _judge(state: State, report: CurvatureReport, likelihood: Likelihood, tolerance: float) -> tuple[str, str]:
    if not (float(state.edm) <= tolerance and bool(state.convex)):
        return "not_converged", f"stopped after {int(state.n_steps)} steps with edm {float(state.edm):.1e}"
    if (np.asarray(report.eigenvalues) <= FLAT).any():
        words = "; ".join(flat_directions(report, likelihood.names))
        return "singular", f"the data do not constrain {words}: freeze or link parameters"
    active = np.asarray(report.active)
    if active.any():
        return "at_bound", _at_bound_message(likelihood, active)
    return "ok", "converged"


def _at_bound_message(likelihood: Likelihood, active: np.ndarray) -> str:
    return "at a bound: " + ", ".join(name for name, at in zip(likelihood.names, active, strict=True) if at)


def _no_data(likelihood: Likelihood, models: Models, backend: str) -> FitResult:
    size = len(likelihood.names)
    bins = sum(int(np.sum(np.asarray(stack.mask))) for stack in likelihood.problem.stacks)
    message = f"{bins} bins inside the masks, and no count in them" if bins else "no bin is left inside the masks"
    theta = np.asarray(likelihood.theta0)
    return _result(
        likelihood,
        models,
        theta,
        np.full((size, size), np.nan),
        "no_data",
        message,
        float(likelihood(theta)),
        np.nan,
        0,
        backend,
    )


def _result(
    likelihood: Likelihood,
    models: Models,
    theta: np.ndarray,
    covariance: np.ndarray,
    status: str,
    message: str,
    total_stat: float,
    edm: float,
    n_steps: int,
    backend: str,
) -> FitResult:
    """Result in the parameters' units, with the fitted models."""
    scale = np.asarray(likelihood.problem.scale)
    values, covariance = theta * scale, covariance * np.outer(scale, scale)
    return FitResult(
        _fitted_models(models, values, covariance),
        total_stat,
        status,
        message,
        likelihood.names,
        likelihood.units,
        values,
        covariance,
        edm,
        n_steps,
        backend,
    )


def _fitted_models(models: Models, values: np.ndarray, covariance: np.ndarray) -> Models:
    """Models with the fitted values and the covariance of all parameters; linked ones move and err together."""
    slots = Slots(models)
    all_values = slots.column("value")
    all_values[list(slots.free)] = values
    whole = np.zeros((len(all_values), len(all_values)))
    whole[np.ix_(slots.free, slots.free)] = covariance
    numbers = iter(all_values[slots.of_parameter])
    moved = models.map_parameters(lambda _, parameter: parameter.with_value(np.array(next(numbers))))
    return Models(moved.models, whole[np.ix_(slots.of_parameter, slots.of_parameter)])
