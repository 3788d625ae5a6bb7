"""iminuit on the same likelihood, with its exact derivatives: the backend that cross-checks."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from gammax.fit._judge import Outcome
from gammax.fit._newton import Show
from gammax.fit.backends._points import Points
from gammax.likelihood import Likelihood

if TYPE_CHECKING:
    from iminuit import Minuit

_DEFAULTS = {"strategy": 1, "tol": 1e-3, "exact": True}


def make_minuit(likelihood: Likelihood, theta: np.ndarray) -> Minuit:
    """Minuit object of a likelihood, with its exact gradient and its bounds, in factor space."""
    return _make(Points(likelihood), theta, exact=False)


def _make(points: Points, theta: np.ndarray, exact: bool) -> Minuit:
    # a tenth of a second, which a fit by Newton does without
    from iminuit import Minuit

    problem, derivatives = points.likelihood.problem, {"grad": points.gradient}
    if exact:
        # MIGRAD gives up where what it begins with is not positive definite; with a Hessian and without g2, 2.33 calls
        # None where a second derivative is negative
        derivatives |= {"hessian": points.curvature, "g2": lambda theta: np.diag(points.curvature(theta))}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="hessian overrides g2")
        minuit = Minuit(points.value, np.asarray(theta), name=points.likelihood.names, **derivatives)
    minuit.errordef = Minuit.LEAST_SQUARES
    minuit.print_level = 0
    minuit.limits = list(zip(np.asarray(problem.lower), np.asarray(problem.upper), strict=True))
    return minuit


def run_minuit(likelihood: Likelihood, options: dict[str, Any], max_calls: int, show: Show) -> Outcome:
    """MIGRAD from the start values.

    Parameters
    ----------
    options : `strategy` and `tol` of MIGRAD; `exact`: whether it is given the exact Hessian as well as the gradient,
        or the Fisher matrix where the Hessian is not positive definite.
        Without, errors are those of HESSE (strategy 2), which differentiates the gradient and knows nothing of ours.
    """
    options = _DEFAULTS | options
    points = Points(likelihood, show=show)
    minuit = _make(points, likelihood.theta0, options["exact"])
    minuit.strategy, minuit.tol = options["strategy"], options["tol"]
    minuit.migrad(ncall=max_calls)
    covariance, message = None, "MIGRAD stopped" + ("" if minuit.valid else ", invalid,")
    if not options["exact"]:
        minuit.strategy = 2
        minuit.hesse()
        covariance = None if minuit.covariance is None else np.array(minuit.covariance)
    return Outcome(np.array(minuit.values), message, points.n_calls, covariance)
