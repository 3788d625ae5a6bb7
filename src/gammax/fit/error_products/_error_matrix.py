"""The covariance at given models."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from gammax.fit._covariance import CurvatureReport, flat_columns, flat_directions, honest_covariance
from gammax.fit._judge import name_culprits
from gammax.fit.error_products._best import Best, as_given, as_models, curvature_at
from gammax.fit.error_products._keyed import Keyed
from gammax.likelihood import Derivatives
from gammax.likelihood._likelihood import as_datasets
from gammax.likelihood._table import Slots
from gammax.models import Models

if TYPE_CHECKING:
    from gammax.fit.error_products._best import FitDatasets, FitModels
    from gammax.fit.error_products._products import ErrorProducts

# distance to the minimum above which values are none
_EDM = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class CovarianceResult(Keyed):
    """Covariance of the free parameters at given values.

    Attributes
    ----------
    models : the models with this covariance.
    matrix : in the parameters' units, (P, P); NaN for parameters without an error, at a bound or not constrained, and
        for all of them where a bin is left with nothing expected or the statistic is not finite.
    names, units : of the free parameters.
    method : "hessian", the exact second derivatives of -2 ln L; "fisher", their expectation, where they are not
        positive definite.
    edm : predicted distance to the minimum, in units of the statistic.
    status, message : ok, at_bound, singular, not_converged where the values are not at a minimum, or invalid_input.
    """

    models: Models
    matrix: np.ndarray
    names: tuple[str, ...]
    units: tuple[str, ...]
    method: str
    edm: float
    status: str
    message: str

    @property
    def success(self) -> bool:
        """Whether every parameter has an error from the exact Hessian at a minimum."""
        return self.status == "ok"

    @property
    def errors(self) -> np.ndarray:
        """1 sigma errors, (P,)."""
        return np.sqrt(np.diag(self.matrix))

    @property
    def correlation(self) -> np.ndarray:
        """Correlation matrix, (P, P)."""
        return self.matrix / np.outer(self.errors, self.errors)

    def _by_key(self) -> dict[str, Any]:
        return {"matrix": self.matrix, "method": self.method, "success": self.success, "message": self.message}

    def __repr__(self) -> str:
        rows = [f"  {n} {e:.5g} {u}".rstrip() for n, e, u in zip(self.names, self.errors, self.units, strict=True)]
        return "\n".join([f"CovarianceResult: {self.status} ({self.message}), from the {self.method}; errors", *rows])


def covariance(fit: ErrorProducts, datasets: FitDatasets, models: FitModels) -> CovarianceResult:
    """See `gammax.fit.Fit.covariance`."""
    datasets, models = as_datasets(datasets), as_models(models)
    given = as_given(fit, datasets, models)
    now, report, method = curvature_at(given.problem, given.theta)
    if now.lowest < 0:
        given = as_given(fit, datasets, models, dense=True)
        now, report, method = curvature_at(given.problem, given.theta)
    held = np.asarray(given.problem.lower) >= np.asarray(given.problem.upper)
    matrix = honest_covariance(report, held)
    gradient = np.where(report.active, 0.0, now.gradient)
    edm = float(0.25 * gradient @ report.covariance @ gradient)
    status, message = _judged(given, now, report, edm, method)
    if status == "invalid_input" or report.emptied:
        # no curvature, or that of an empty bin's wall
        matrix = np.full(matrix.shape, np.nan)
    matrix = matrix * given.scale[:, None] * given.scale
    slots = Slots(models)
    _, whole = slots.moved_to(given.values, matrix)
    whole = whole[np.ix_(slots.of_parameter, slots.of_parameter)]
    return CovarianceResult(
        models=Models(models.models, whole, models.penalties, models.ties),
        matrix=matrix,
        names=given.names,
        units=given.likelihood.units,
        method=method,
        edm=edm,
        status=status,
        message=message,
    )


def _judged(given: Best, now: Derivatives, report: CurvatureReport, edm: float, method: str) -> tuple[str, str]:
    """Status and message, the gravest first."""
    if not (np.isfinite(now.value) and np.isfinite(now.gradient).all()):
        return "invalid_input", name_culprits(given.likelihood, given.theta, now.gradient)
    if report.emptied:
        return "at_bound", f"a negative source leaves nothing expected in {int(report.emptied)} bins"
    if edm > _EDM or method == "fisher":
        indefinite = ", the Hessian is not positive definite" if method == "fisher" else ""
        return "not_converged", f"not a minimum: edm {edm:.2g}{indefinite}"
    if flat_columns(report).any():
        return "singular", f"the data do not constrain {'; '.join(flat_directions(report, given.names))}"
    held = np.asarray(given.problem.lower) >= np.asarray(given.problem.upper)
    at = [name for name, is_at in zip(given.names, report.active & ~held, strict=True) if is_at]
    return ("at_bound", f"at a bound: {', '.join(at)}") if at else ("ok", "at a minimum")
