"""What minimises: one interface, one judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gammax.errors import FitError, did_you_mean
from gammax.fit._judge import Minimum, Outcome, judge_outcome
from gammax.fit._newton import Show, run_newton
from gammax.fit.backends._minuit import run_minuit
from gammax.fit.backends._optax import check_optax, run_optax
from gammax.fit.backends._scipy import check_scipy, run_scipy
from gammax.likelihood import Likelihood
from gammax.likelihood._shard import on_devices

# options that each backend takes itself; scipy hands others on to its method
_OPTIONS = {"newton": (), "minuit": ("strategy", "tol", "exact"), "scipy": None, "optax": ("optimizer",)}
_CHECKS = {"scipy": check_scipy, "optax": check_optax}


def check_backend(backend: str, options: Mapping[str, Any]) -> None:
    """Raise unless there is such a backend, with such options.

    Raises
    ------
    FitError : unknown backend, option, method or optimizer.
    """
    if backend not in _OPTIONS:
        raise FitError("GX-FIT-007", f"unknown backend {backend!r}", do=did_you_mean(backend, _OPTIONS))
    known = _OPTIONS[backend]
    for name in options:
        if known is not None and name not in known:
            hint = did_you_mean(name, known) if known else "it takes none"
            raise FitError("GX-FIT-202", f"the backend {backend} has no option {name!r}", do=hint)
    if backend in _CHECKS:
        _CHECKS[backend](dict(options))


def minimise_by(
    backend: str, options: Mapping[str, Any], likelihood: Likelihood, tolerance: float, max_steps: int, show: Show
) -> Minimum:
    """Judged minimum of a likelihood by one of the backends."""
    if backend == "newton":
        return run_newton(likelihood, tolerance, max_steps, show)
    there = on_devices(likelihood, likelihood.problem.mesh)
    return judge_outcome(there, _run(backend, dict(options), there, tolerance, 100 * max_steps, show))


def _run(
    backend: str, options: dict[str, Any], likelihood: Likelihood, tolerance: float, max_calls: int, show: Show
) -> Outcome:
    if backend == "minuit":
        return run_minuit(likelihood, options, max_calls, show)
    if backend == "scipy":
        return run_scipy(likelihood, options, max_calls, show)
    return run_optax(likelihood, options, tolerance, max_calls, show)
