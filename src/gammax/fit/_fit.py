"""Fit: datasets and models in, result out; nothing that went in is changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import numpy as np
from jax import Array

from gammax.errors import FitError, did_you_mean
from gammax.fit._anchor import have_moved
from gammax.fit._covariance import CurvatureReport, report_curvature
from gammax.fit._judge import Minimum, judge_minuit, judge_newton
from gammax.fit._minuit import run_minuit
from gammax.fit._quick import quick_options
from gammax.fit._result import FitResult
from gammax.fit._trust_region import State, minimise
from gammax.likelihood import Likelihood, Problem
from gammax.likelihood._cube import CubeStack
from gammax.likelihood._likelihood import as_datasets
from gammax.likelihood._problem import no_bins
from gammax.likelihood._table import Slots
from gammax.models import Models, Parameter, SkyModel
from gammax.models._parameter import is_parameter

if TYPE_CHECKING:
    from gammax.datasets import Datasets
    from gammax.likelihood._likelihood import Dataset

_BACKENDS = ("newton", "minuit")
# how often the responses of cubes are looked up anew where a fit has moved its sources
_ANCHORS = 4


@dataclasses.dataclass(frozen=True)
class Fit:
    """Maximum-likelihood fit.

    Parameters
    ----------
    backend : "newton" (bounded trust-region Newton on exact derivatives) or "minuit" (iminuit, the cross-check).
    tolerance : predicted distance to the minimum at which to stop, in units of the statistic.
    max_steps : Newton steps, or hundreds of calls for iminuit, before the fit gives up.
    order : of the folding in cubes, see `gammax.likelihood.Likelihood`.

    Raises
    ------
    FitError : unknown backend, a tolerance or limit that is not positive.
    """

    backend: str = "newton"
    tolerance: float = 1e-10
    max_steps: int = 100
    order: str = "exposure-first"

    def __post_init__(self):
        if self.backend not in _BACKENDS:
            raise FitError("GX-FIT-007", f"unknown backend {self.backend!r}", do=did_you_mean(self.backend, _BACKENDS))
        for name in ("tolerance", "max_steps"):
            if not getattr(self, name) > 0:
                raise FitError("GX-FIT-010", f"{name} must be positive", found=getattr(self, name))

    def run(
        self,
        datasets: Datasets | Iterable[Dataset],
        models: Models | SkyModel | Iterable[SkyModel],
    ) -> FitResult:
        """Fit the free parameters of `models` to `datasets`; errors as `Likelihood`.

        A fit that goes wrong raises nothing: look at the result's status. Within a fit the responses of a cube are
        those at the place where a source starts, so that the statistic is smooth; where a source has moved, they are
        looked up anew and the fit goes on from there.
        """
        models = models if isinstance(models, Models) else Models(models)
        together = as_datasets(datasets)
        result, start, negative = self._run_anchored(together, models, dense=False)
        if negative:
            # from where the last merged fit began: it may have run away into what merging rewards
            steps, (result, *_) = result.n_steps, self._run_anchored(together, start, dense=True)
            result = dataclasses.replace(result, n_steps=result.n_steps + steps)
        return result

    def _run_anchored(
        self, datasets: tuple[Dataset, ...], models: Models, dense: bool
    ) -> tuple[FitResult, Models, bool]:
        """Fit again until no source moves; where the last fit began, and whether it ended with a negative part."""
        result, negative = self._run_once(datasets, models, dense)
        for _ in range(_ANCHORS):
            if not result.success or not have_moved(models, result.models):
                break
            models, steps = result.models, result.n_steps
            result, negative = self._run_once(datasets, models, dense)
            result = dataclasses.replace(result, n_steps=result.n_steps + steps)
        return result, models, negative

    def _run_once(self, datasets: tuple[Dataset, ...], models: Models, dense: bool) -> tuple[FitResult, bool]:
        """Fit with the responses looked up where the models start, and whether a cube ends with a negative part."""
        likelihood = Likelihood(datasets, models, self.order, dense)
        if no_bins(likelihood.problem):
            minimum = _no_data(likelihood)
        elif self.backend == "minuit":
            minimum = judge_minuit(likelihood, run_minuit(likelihood, 100 * self.max_steps))
        else:
            minimum = self._newton(likelihood)
        return _result(likelihood, models, minimum, self.backend), minimum.negative

    def _newton(self, likelihood: Likelihood) -> Minimum:
        problem, theta = likelihood.problem, likelihood.theta0
        cubes = any(isinstance(stack, CubeStack) for stack in problem.stacks)
        solve = _solve_cubes() if cubes else _solve
        solved = solve(problem, theta, self.tolerance, self.max_steps)
        minimum = judge_newton(likelihood, *solved, self.tolerance)
        if minimum.status != "not_converged":
            return minimum
        lower = corner_bounds(problem, solved[0].theta, solved[0].derivatives.value)
        if lower is None:
            return minimum
        cornered = eqx.tree_at(lambda p: p.lower, problem, lower)
        again = solve(cornered, solved[0].theta, self.tolerance, self.max_steps)
        return judge_newton(eqx.tree_at(lambda own: own.problem, likelihood, cornered), *again, self.tolerance)


def _minimum(problem: Problem, theta: Array, tolerance: float, max_steps: int) -> tuple[State, CurvatureReport]:
    state = minimise(problem.derivatives, theta, problem.lower, problem.upper, tolerance, max_steps)
    return state, report_curvature(problem, state.theta, state.derivatives)


_solve = jax.jit(_minimum, static_argnames="max_steps")


@cache
def _solve_cubes() -> Callable[..., tuple[State, CurvatureReport]]:
    return jax.jit(_minimum, static_argnames="max_steps", compiler_options=quick_options())


_value_and_gradient = jax.jit(lambda problem, theta: jax.value_and_grad(problem.statistic)(theta))


def corner_bounds(problem: Problem, theta: Array, value: Array) -> np.ndarray | None:
    """Lower bounds with 0 for every parameter whose minimum is a corner at 0, None if there is no such parameter.

    In bins without ON and OFF counts wstat has a corner at zero signal, where its slope jumps from -2 / alpha to 2:
    a source that is not there has its minimum in it, and no Newton step can end there.
    """
    lower, found = np.array(problem.lower), False
    for i in np.flatnonzero((lower < 0) & (np.asarray(problem.upper) > 0)):
        right = np.array(theta)
        right[i] = 0.0
        left = right.copy()
        left[i] = -1e-9
        (there, slope), (_, slope_left) = _value_and_gradient(problem, right), _value_and_gradient(problem, left)
        if there <= value + 1e-6 and slope_left[i] < 0 < slope[i]:
            lower[i], found = 0.0, True
    return lower if found else None


def _no_data(likelihood: Likelihood) -> Minimum:
    size = len(likelihood.names)
    bins = sum(int(np.sum(np.asarray(stack.mask))) for stack in likelihood.problem.stacks)
    message = f"{bins} bins inside the masks, and no count in them" if bins else "no bin is left inside the masks"
    theta = np.asarray(likelihood.theta0)
    nothing = np.full((size, size), np.nan)
    return Minimum(theta, nothing, float(likelihood(theta)), np.nan, 0, "no_data", message, False)


def _result(likelihood: Likelihood, models: Models, minimum: Minimum, backend: str) -> FitResult:
    """Result in the parameters' units, with the fitted models."""
    scale = np.asarray(likelihood.problem.scale)
    values, covariance = minimum.theta * scale, minimum.covariance * np.outer(scale, scale)
    return FitResult(
        models=_fitted_models(models, values, covariance),
        total_stat=minimum.total_stat,
        status=minimum.status,
        message=minimum.message,
        names=likelihood.names,
        units=likelihood.units,
        values=values,
        covariance=covariance,
        edm=minimum.edm,
        n_steps=minimum.n_steps,
        backend=backend,
    )


def _fitted_models(models: Models, values: np.ndarray, covariance: np.ndarray) -> Models:
    """Models with the fitted values and the covariance of all parameters; linked ones move and err together."""
    slots = Slots(models)
    all_values = slots.column("value")
    all_values[list(slots.free)] = values
    whole = np.zeros((len(all_values), len(all_values)))
    whole[np.ix_(slots.free, slots.free)] = covariance
    numbers = iter(all_values[slots.of_parameter])
    # by the class: equinox wraps every method that is taken from an instance, which takes longer than the method
    set_value = Parameter.with_value
    moved = jax.tree.map(lambda p: set_value(p, next(numbers)) if is_parameter(p) else p, models, is_leaf=is_parameter)
    return Models(moved.models, whole[np.ix_(slots.of_parameter, slots.of_parameter)])
