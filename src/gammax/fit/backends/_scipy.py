"""Bounded methods of scipy.optimize on the same likelihood, with its exact derivatives."""

from __future__ import annotations

from typing import Any

from gammax.errors import FitError, did_you_mean
from gammax.fit._judge import Outcome
from gammax.fit._newton import Show
from gammax.fit.backends._points import Points, ScaledPoints, TooManyCalls
from gammax.likelihood import Likelihood

# methods that keep bounds, and options that make them go on to the minimum itself: their own are for functions that
# are no better known than to 1e-9
_METHODS: dict[str, dict[str, float]] = {
    "L-BFGS-B": {"ftol": 1e-14, "gtol": 1e-6, "maxcor": 20, "maxiter": 100_000, "maxfun": 100_000},
    "TNC": {"ftol": 1e-14, "gtol": 1e-7, "xtol": 1e-10, "maxfun": 100_000},
    "SLSQP": {"ftol": 1e-14, "maxiter": 100_000},
    "trust-constr": {"gtol": 1e-6, "xtol": 1e-12, "maxiter": 100_000},
    "Nelder-Mead": {"xatol": 1e-5, "fatol": 1e-10, "maxiter": 100_000, "maxfev": 100_000},
    "Powell": {"xtol": 1e-7, "ftol": 1e-14, "maxiter": 100_000, "maxfev": 100_000},
    "COBYQA": {"final_tr_radius": 1e-6, "maxiter": 100_000, "maxfev": 100_000},
}
_DEFAULT = "L-BFGS-B"
_WITH_GRADIENT, _WITH_HESSIAN = ("L-BFGS-B", "TNC", "SLSQP", "trust-constr"), ("trust-constr",)


def check_scipy(options: dict[str, Any]) -> None:
    """Raise unless the method is known.

    Raises
    ------
    FitError : a method that does not keep bounds, or none.
    """
    method = options.get("method", _DEFAULT)
    if method not in _METHODS:
        raise FitError(
            "GX-FIT-200", f"no bounded method {method!r} of scipy.optimize.minimize", do=did_you_mean(method, _METHODS)
        )


def run_scipy(likelihood: Likelihood, options: dict[str, Any], max_calls: int, show: Show) -> Outcome:
    """Minimum by `scipy.optimize.minimize`.

    Parameters
    ----------
    options : `method`, and options of that method.
    """
    from scipy.optimize import Bounds, minimize

    options = dict(options)
    method = options.pop("method", _DEFAULT)
    points = Points(likelihood, max_calls, show)
    scaled = ScaledPoints(points)
    if not len(scaled.start):
        return points.outcome("nothing has room to move")
    try:
        found = minimize(
            scaled.value,
            scaled.start,
            method=method,
            jac=scaled.gradient if method in _WITH_GRADIENT else None,
            hess=scaled.hessian if method in _WITH_HESSIAN else None,
            bounds=Bounds(scaled.lower, scaled.upper),
            options=_METHODS[method] | options,
        )
    except TooManyCalls:
        return points.outcome(f"{method} used up its {max_calls} calls")
    return points.outcome(f"{method} stopped ({found.message})")
