"""What every error product starts from: a likelihood and the minimum near the given models."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.errors import FitError, did_you_mean
from gammax.fit._compare import MINIMA
from gammax.fit._covariance import CurvatureReport, honest_covariance, report_curvature
from gammax.fit._newton import run_newton
from gammax.fit._result import FitResult
from gammax.fit._trust_region import FLAT
from gammax.likelihood import Derivatives, Likelihood, Problem
from gammax.likelihood._likelihood import as_datasets
from gammax.likelihood._table import Slots
from gammax.models import Models, SkyModel
from gammax.units import to_value

if TYPE_CHECKING:
    from gammax.datasets import Datasets
    from gammax.fit.error_products._products import ErrorProducts
    from gammax.likelihood._likelihood import Dataset

    FitDatasets = Datasets | Iterable[Dataset]
    FitModels = FitResult | Models | SkyModel | Iterable[SkyModel]

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, eq=False)
class Best:
    """A likelihood at its minimum, or at given models, in factor space.

    Attributes
    ----------
    theta, stat : the point (P,) and its statistic.
    covariance : NaN for parameters without an error, (P, P).
    status, message : of the fit that ended there.
    negative : whether a flux or factor of a cube is.
    slot_names : for every free parameter of the models, linked ones included, the name that the likelihood has for it.
    """

    likelihood: Likelihood
    theta: np.ndarray
    stat: float
    covariance: np.ndarray
    status: str
    message: str
    negative: bool
    slot_names: dict[str, str]

    @property
    def problem(self) -> Problem:
        return self.likelihood.problem

    @property
    def names(self) -> tuple[str, ...]:
        return self.likelihood.names

    @property
    def scale(self) -> np.ndarray:
        return np.asarray(self.problem.scale)

    @property
    def values(self) -> np.ndarray:
        """In the parameters' units, (P,)."""
        return self.theta * self.scale

    @property
    def is_minimum(self) -> bool:
        """Whether the statistic may be compared with the one here."""
        return self.status in MINIMA

    def index(self, parameter: str) -> int:
        """Number of a free parameter.

        Raises
        ------
        FitError : no free parameter of that name.
        """
        if parameter not in self.slot_names:
            raise FitError(
                "GX-FIT-101",
                "no free parameter of that name",
                found=parameter,
                do=did_you_mean(parameter, self.slot_names),
            )
        return self.names.index(self.slot_names[parameter])

    def spread(self, indices: list[int]) -> np.ndarray:
        """Covariance of some parameters, (n, n), as a scale for steps; that of the curvature alone where a bound keeps
        one from having an error. NaN where the data do not constrain them."""
        known = self.covariance[np.ix_(indices, indices)]
        if np.all(np.isfinite(known)) and np.all(np.diag(known) > 0):
            return known
        endless = np.full(len(self.theta), np.inf)
        free = eqx.tree_at(lambda p: (p.lower, p.upper), self.problem, (-endless, endless))
        _, report, _ = curvature_at(free, self.theta)
        return honest_covariance(report, np.zeros(len(self.theta), bool))[np.ix_(indices, indices)]


def best_fit(fit: ErrorProducts, datasets: FitDatasets, models: FitModels, dense: bool = False) -> Best:
    """Minimum that Newton steps from the given models lead to, the responses of cubes looked up there."""
    return best_of(fit, *_make(fit, datasets, models, dense))


def best_of(fit: ErrorProducts, likelihood: Likelihood, slot_names: dict[str, str]) -> Best:
    """Minimum that Newton steps from the start of a likelihood lead to."""
    # bins without a count have no best fit inside, and yet an upper limit
    if not sum(float(stack.mask.sum()) for stack in likelihood.problem.stacks):
        theta, nothing = np.asarray(likelihood.theta0), np.full((len(likelihood.names),) * 2, np.nan)
        return Best(likelihood, theta, np.nan, nothing, "no_data", "no bin is left inside the masks", False, slot_names)
    found = run_newton(likelihood, fit.tolerance, fit.max_steps)
    outcome = found.total_stat, found.covariance, found.status, found.message, found.negative
    return Best(likelihood, found.theta, *outcome, slot_names)


def as_given(fit: ErrorProducts, datasets: FitDatasets, models: FitModels, dense: bool = False) -> Best:
    """The given models as they are, nothing fitted."""
    likelihood, slot_names = _make(fit, datasets, models, dense)
    theta, unknown = np.asarray(likelihood.theta0), np.full((len(likelihood.names),) * 2, np.nan)
    return Best(likelihood, theta, float(likelihood(theta)), unknown, "ok", "as given", False, slot_names)


def _make(
    fit: ErrorProducts, datasets: FitDatasets, models: FitModels, dense: bool
) -> tuple[Likelihood, dict[str, str]]:
    models = as_models(models)
    slots = Slots(models)
    pairs = zip(models.parameters, slots.of_parameter, strict=True)
    slot_names = {name: slots.names[slot] for name, slot in pairs if slot in slots.free}
    return Likelihood(datasets, models, fit.order, dense, fit.mesh), slot_names


def as_models(models: FitModels) -> Models:
    """Models, or those of a fit result."""
    if isinstance(models, FitResult):
        return models.models
    return models if isinstance(models, Models) else Models(models)


def merged_then_dense(
    begin: Callable[..., Best],
    fit: ErrorProducts,
    datasets: FitDatasets,
    models: FitModels,
    product: Callable[[Best], tuple[T, bool]],
) -> T:
    """A product of the merged likelihood, or of the dense one where merging is not exact.

    Parameters
    ----------
    begin : `best_fit` or `as_given`.
    product : says whether a point of its result has a negative flux or factor in a cube.
    """
    datasets, models = as_datasets(datasets), as_models(models)
    merged = begin(fit, datasets, models, dense=False)
    if not merged.negative:
        answer, negative = product(merged)
        if not negative:
            return answer
    return product(begin(fit, datasets, models, dense=True))[0]


def check_sigma(sigma: float) -> None:
    """Raise where a level is no positive number.

    Raises
    ------
    FitError.
    """
    if not 0 < sigma < np.inf:
        raise FitError("GX-FIT-102", "sigma must be a positive number", found=sigma)


@jax.jit
def _curvature(problem: Problem, theta: Array) -> tuple[Derivatives, CurvatureReport, CurvatureReport]:
    now = problem.derivatives(theta)
    expected = now._replace(hessian=now.fisher)
    return now, report_curvature(problem, theta, now), report_curvature(problem, theta, expected)


def curvature_at(problem: Problem, theta: np.ndarray) -> tuple[Derivatives, CurvatureReport, str]:
    """Derivatives at a point and its curvature: of the Hessian, or of the Fisher matrix where that is not positive
    definite; which, is told."""
    now, exact, expected = jax.device_get(_curvature(problem, jnp.asarray(theta)))
    return (now, exact, "hessian") if exact.eigenvalues[0] > -FLAT else (now, expected, "fisher")


def to_numbers(values: Any, unit: str, name: str) -> np.ndarray:
    """Values of a parameter, Quantity or plain numbers in its unit, as a flat array.

    Raises
    ------
    FitError : not finite. UnitError : of another dimension.
    """
    given = to_value(values, unit, name) if hasattr(values, "unit") else values
    try:
        numbers = np.atleast_1d(np.asarray(given, float))
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.ndim != 1 or not numbers.size or not np.all(np.isfinite(numbers)):
        raise FitError("GX-FIT-103", "values to scan must be finite numbers in a row", parameter=name, found=values)
    return numbers
