"""Is a parameter needed? Nested hypotheses, and what their likelihood ratio says."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from gammax.errors import FitError, GammaxWarning
from gammax.fit._compare import MINIMA
from gammax.fit._fit import Fit
from gammax.fit._result import FitResult
from gammax.likelihood import Likelihood
from gammax.likelihood._likelihood import as_datasets
from gammax.likelihood._own import is_own
from gammax.likelihood._table import Slots
from gammax.models import Models, SkyModel
from gammax.stats import sigma_to_ts, ts_to_p_value, ts_to_sigma
from gammax.stats._significance import log_p_value, ts_at_bound

if TYPE_CHECKING:
    from gammax.datasets import Datasets

# by less than this a fit may miss its minimum
_SLACK = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class NestedModels:
    """Two hypotheses, one of which is the other with some parameters at their null values.

    Attributes
    ----------
    fit_results, fit_results_null : fits with the parameters free, and at their null values (listed as held, error 0).
    ts : by how much the statistic is larger under the null hypothesis; NaN where one of the fits found no minimum, or
        the one with more freedom a higher one.
    ts_asimov : the same of the Asimov data of the fit, other parameters as fitted under both hypotheses, which is more
        than the `ts` to expect where they are correlated with the tested ones; NaN where own data have none.
    ts_known_bkg : the same of the data, other parameters as fitted.
    ts_threshold : from which on the parameters count as needed: there `significance` is the `n_sigma` asked for.
    n_free_parameters : degrees of freedom.
    at_bound : whether a null value, given as a number, lies at a bound of its parameter, which halves the tail: see
        `p_value`. With several at bounds the tail is smaller still.
    """

    fit_results: FitResult
    fit_results_null: FitResult
    ts: float
    ts_asimov: float
    ts_known_bkg: float
    ts_threshold: float
    n_free_parameters: float
    at_bound: bool

    @property
    def p_value(self) -> float:
        """Probability of a larger `ts` were the null hypothesis true; see `gammax.stats.ts_to_p_value`."""
        return float(ts_to_p_value(self.ts, self.n_free_parameters, self.at_bound))

    @property
    def significance(self) -> float:
        """`p_value` in sigmas: two-sided or, with a parameter `at_bound`, which can go but one way, one-sided."""
        if not self.at_bound:
            return float(ts_to_sigma(self.ts, self.n_free_parameters))
        return float(np.maximum(-special.ndtri_exp(log_p_value(self.ts, self.n_free_parameters, True)), 0.0))

    @property
    def is_preferred(self) -> bool:
        """Whether the parameters are needed: `ts` above `ts_threshold`."""
        return self.ts > self.ts_threshold

    @property
    def models(self) -> Models:
        """The fitted models of the hypothesis that is preferred."""
        return self.fit_results.models if self.is_preferred else self.fit_results_null.models

    def __repr__(self) -> str:
        choice = "preferred to" if self.is_preferred else "not preferred to"
        bound = ", one at its bound" if self.at_bound else ""
        return (
            f"NestedModels: ts {self.ts:.4f}, {self.significance:.2f} sigma, degrees of freedom "
            f"{self.n_free_parameters:g}{bound}: {choice} the null hypothesis"
        )


def select_nested_models(
    datasets: Datasets | Iterable[Any],
    models: Models | SkyModel | Iterable[SkyModel] | FitResult,
    parameters: str | Sequence[str],
    null_values: Any,
    n_sigma: float = 2.0,
    n_free_parameters: float | None = None,
    fit: Fit | None = None,
) -> NestedModels:
    """Fit with some parameters free and with them at their null values, and compare.

    Parameters
    ----------
    parameters : their names ("crab.spectral.lambda_"); frozen ones are freed for the alternative hypothesis.
    null_values : one for each: a number in the parameter's unit, a Quantity, or the name of another parameter, to which
        it is linked under the null hypothesis. Parameters that are linked already are held or linked together.
    n_sigma : significance from which on the parameters count as needed.
    n_free_parameters : degrees of freedom, the number of `parameters` by default: more where parameters have a meaning
        under the alternative hypothesis alone.
    fit : how to fit.

    Raises
    ------
    FitError : not one null value for each parameter. Others as `Fit.run`.
    """
    fit, together, null = fit or Fit(), as_datasets(datasets), _pairs(parameters, null_values)
    models = models.models if isinstance(models, FitResult) else models
    best = fit.run(together, (models if isinstance(models, Models) else Models(models)).unfreeze(*null))
    numbers = _null_numbers(best.models, null)
    best_null = _fit_null(fit, together, best.models, null, numbers)
    found = {best.status, best_null.status} <= set(MINIMA)
    ts_known, ts_asimov = _fixed_tests(fit, together, best.models, numbers) if found else (np.nan, np.nan)
    size = len(null) if n_free_parameters is None else n_free_parameters
    known = best.models.parameters
    held = {name: value for name, value in numbers.items() if not _is_name(null[name], known)}
    at_bound = any(value in (known[name].min, known[name].max) for name, value in held.items())
    threshold = ts_at_bound(abs(n_sigma), size) if at_bound else sigma_to_ts(n_sigma, size)
    return NestedModels(
        fit_results=best,
        fit_results_null=best_null,
        ts=_difference(best_null, best) if found else np.nan,
        ts_asimov=ts_asimov,
        ts_known_bkg=ts_known,
        ts_threshold=float(np.sign(n_sigma) * threshold),
        n_free_parameters=size,
        at_bound=at_bound,
    )


def _difference(null: FitResult, best: FitResult) -> float:
    """By how much the statistic is larger under the null hypothesis; NaN, with a warning, where it is lower."""
    ts = null.total_stat - best.total_stat
    if ts >= -_SLACK:
        return ts
    warnings.warn(
        f"GX-FIT-411 the fit of the null hypothesis found a lower minimum, by {-ts:.3g}, than that with more freedom, "
        "which missed it: start the latter elsewhere, at the null models perhaps",
        GammaxWarning,
        stacklevel=3,
    )
    return np.nan


def _pairs(parameters: str | Sequence[str], null_values: Any) -> dict[str, Any]:
    """Null values by the names of their parameters."""
    names = (parameters,) if isinstance(parameters, str) else tuple(parameters)
    several = isinstance(null_values, list | tuple) or (isinstance(null_values, np.ndarray) and null_values.ndim > 0)
    values = tuple(null_values) if several else (null_values,)
    if len(names) != len(values) or not names:
        raise FitError("GX-FIT-410", "not one null value for each parameter", found=f"{len(names)} and {len(values)}")
    return dict(zip(names, values, strict=True))


def _null_numbers(models: Models, null: dict[str, Any]) -> dict[str, float]:
    """Null values in the parameters' units."""
    known = models.parameters
    given = {name: known[value].quantity if _is_name(value, known) else value for name, value in null.items()}
    return {name: float(known[name].replace(value=value, unit=known[name].unit).value) for name, value in given.items()}


def _is_name(value: Any, known: Mapping[str, Any]) -> bool:
    return isinstance(value, str) and value in known


def _fit_null(fit: Fit, datasets: Any, models: Models, null: dict[str, Any], numbers: dict[str, float]) -> FitResult:
    """Fit of the null hypothesis. Parameters are held by their bounds: the compiled program of the other fit serves."""
    known = models.parameters
    plain = {name: value for name, value in numbers.items() if not _is_name(null[name], known)}
    # of linked parameters the first has the bounds that count
    held = {member: value for name, value in plain.items() for member in models._linked(name)}
    start = models.with_values(held)
    start = start.map_parameters(lambda n, p: p.replace(min=held[n], max=held[n]) if n in held else p)
    for name, other in null.items():
        if _is_name(other, known):
            start = start.link(known[other].link or f"{other}={name}", other, *models._linked(name))
    result = fit.run(datasets, start)

    def restored(name: str, p: Any) -> Any:
        return p.replace(min=known[name].min, max=known[name].max, frozen=True) if name in held else p

    return dataclasses.replace(result, models=result.models.map_parameters(restored))


def _fixed_tests(fit: Fit, datasets: Any, models: Models, numbers: dict[str, float]) -> tuple[float, float]:
    """Test statistic on the data and on Asimov data, the other parameters as fitted."""
    likelihood = Likelihood(datasets, models, fit.order, dense=True, mesh=fit.mesh)
    slots, places = Slots(models), list(models.parameters)
    free, theta = list(slots.free), np.asarray(likelihood.theta0)
    null = theta.copy()
    for name, value in numbers.items():
        place = free.index(slots.of_parameter[places.index(name)])
        null[place] = value / likelihood.problem.scale[place]
    known = float(likelihood(null) - likelihood(theta))
    if any(is_own(dataset) and not hasattr(dataset, "with_data") for dataset in datasets):
        return known, np.nan
    asimov = likelihood.asimov(theta)
    return known, float(asimov(null) - asimov(theta))
