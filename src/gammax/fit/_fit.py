"""Fit: datasets and models in, result out; nothing that went in is changed."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from gammax.errors import FitError, GammaxWarning
from gammax.fit._anchor import LOOKS, RESTLESS, moved_models, place_of, say_moving
from gammax.fit._compare import MINIMA, FitComparison
from gammax.fit._interrupt import Watch, interruptible
from gammax.fit._judge import Minimum
from gammax.fit._result import FitResult
from gammax.fit._warnings import find_warnings
from gammax.fit.backends._choice import check_backend, minimise_by
from gammax.fit.error_products._products import ErrorProducts
from gammax.likelihood import Likelihood
from gammax.likelihood._likelihood import as_datasets
from gammax.likelihood._problem import no_bins
from gammax.likelihood._table import Slots, slots_of
from gammax.models import Models, Parameter, SkyModel
from gammax.models._parameter import is_parameter

if TYPE_CHECKING:
    from pathlib import Path

    from gammax.datasets import Datasets
    from gammax.fit.batches._result import FitResults
    from gammax.likelihood._likelihood import Dataset


class _Snapshot(NamedTuple):
    """The best point so far of a fit that goes on."""

    likelihood: Likelihood
    models: Models
    theta: np.ndarray
    value: float
    n_steps: int


@dataclasses.dataclass(frozen=True)
class Fit(ErrorProducts):
    """Maximum-likelihood fit.

    What follows from a minimum (`confidence`, `upper_limit`, `stat_profile`, `stat_surface`, `stat_contour`,
    `covariance`, `cross_check`) takes its result in place of models; parameters have full names, such as
    "crab.spectral.index".

    Parameters
    ----------
    backend : "newton" (bounded trust-region Newton on exact derivatives), "minuit" (iminuit), "scipy" (a bounded method
        of scipy.optimize.minimize) or "optax" (first order, for very many parameters). All of them fit the same
        likelihood within the same bounds, and the same exact derivatives judge what they find.
    tolerance : predicted distance to the minimum at which to stop, in units of the statistic.
    max_steps : Newton steps, or hundreds of calls of the likelihood for other backends, before the fit gives up.
    order : of the folding in cubes, see `gammax.likelihood.Likelihood`.
    backend_options : of minuit: `strategy`, `tol`, and `exact` (whether it is given the Hessian too, by default); of
        scipy: `method` (by default L-BFGS-B), and options of that method; of optax: `optimizer` (by default
        `optax.lbfgs()`).
    mesh : devices that share the datasets, see `gammax.likelihood.Likelihood`; batches do without. Of several processes
        each makes the same calls with its own datasets, and gets the same results; no warnings are looked for then.

    Raises
    ------
    FitError : unknown backend, an option that it does not take, a tolerance or limit that is not positive and finite.
    """

    backend: str = "newton"
    tolerance: float = 1e-10
    max_steps: int = 100
    order: str = "exposure-first"
    backend_options: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    mesh: Mesh | None = None

    def __post_init__(self):
        check_backend(self.backend, self.backend_options)
        for name in ("tolerance", "max_steps"):
            if not 0 < getattr(self, name) < np.inf:
                raise FitError("GX-FIT-010", f"{name} must be positive and finite", found=getattr(self, name))

    def run(
        self,
        datasets: Datasets | Iterable[Dataset],
        models: Models | SkyModel | Iterable[SkyModel],
    ) -> FitResult:
        """Fit the free parameters of `models` to `datasets`; errors as `Likelihood`.

        A fit that goes wrong raises nothing: look at the result's status. What should be known about a good one are its
        `warnings`, which are GammaxWarnings too. Within a fit the responses of a cube are those at the place where a
        source starts, so that the statistic is smooth; where a source has moved, they are looked up anew and the fit
        goes on from there. A source that still moves after four times has a warning or, if by more than a tenth of an
        error, the status not_converged.

        Ctrl-C ends the fit, not the program: its status is interrupted, its values are the best so far. A loop over
        fits goes on unless it looks at the status.
        """
        models = models if isinstance(models, Models) else Models(models)
        result = interruptible(
            lambda watch: self._run(as_datasets(datasets), models, watch),
            lambda best: _interrupted(self.backend, models, best),
        )
        for text in result.warnings:
            warnings.warn(text, GammaxWarning, stacklevel=2)
        return result

    def run_many(
        self,
        datasets: Iterable[Any],
        models: Models | SkyModel | Iterable[SkyModel],
        path: str | Path | None = None,
    ) -> FitResults:
        """Fit the same models to each of many datasets, or of many joint sets of them, one by one: simulations, runs.

        Spectra of equal shape are fitted together, as by `gammax.fit.fit_many`, which is quicker yet where counts are
        arrays already; cubes one after another. None of the fits raises: look at each one's status. What `run` would
        warn of are each one's `warnings`, and one GammaxWarning of a kind for all of them. Ctrl-C returns what is
        finished.

        Parameters
        ----------
        datasets : what `run` takes, many times. A sequence that makes each of them when it is asked for saves memory.
        models : the start of every fit. In cubes responses are looked up where they are, and anew only for a source
            or a PSF that moves by more than 0.1 deg or grows by more than a fifth: results of `run` differ by so much.
        path : file of finished fits. What was killed goes on where it was, and ends with the same numbers. A fit that
            could not be made as an error was raised is not finished, and is tried again: a file that could not be
            read may be there by then. All data are read once before the first fit, to tell whose file it is.

        Raises
        ------
        FitError : no datasets, a single one, another backend than "newton", a mesh, a file of another batch; as
            `Likelihood` if no member can be fitted. ResourceError : the file cannot be written.
        """
        # batches read what this file writes
        from gammax.fit.batches._run_many import run_many
        from gammax.fit.batches._warnings import tell

        models = models if isinstance(models, Models) else Models(models)
        results = run_many(self, datasets, models, path)
        tell(results, stacklevel=2)
        return results

    def cross_check(self, datasets: Datasets | Iterable[Dataset], result: FitResult) -> FitComparison:
        """What iminuit makes of a minimum: MIGRAD from there, on value and gradient alone, and HESSE's own errors.

        Returns
        -------
        FitComparison : differences in sigma, delta TS, and whether they `agrees`: within 0.01 sigma and 1e-4.
        """
        minuit = dataclasses.replace(self, backend="minuit", backend_options={"exact": False})
        return result.compare(minuit.run(datasets, result.models))

    def _run(self, datasets: tuple[Dataset, ...], models: Models, watch: Watch) -> FitResult:
        result, start, negative = self._run_anchored(datasets, models, False, watch)
        if negative:
            # from where the last merged fit began: it may have run away into what merging rewards
            steps, (result, *_) = result.n_steps, self._run_anchored(datasets, start, True, watch)
            result = dataclasses.replace(result, n_steps=result.n_steps + steps)
        return result

    def _run_anchored(
        self, datasets: tuple[Dataset, ...], models: Models, dense: bool, watch: Watch
    ) -> tuple[FitResult, Models, bool]:
        """Fit again until no source moves; where the last fit began, and whether it ended with a negative part."""
        result, negative = self._run_once(datasets, models, dense, watch)
        before = result
        for look in range(LOOKS + 1):
            # what a negative part rewards in merged bins is no place to go on from
            if result.status not in MINIMA or (negative and not dense):
                break
            there = place_of(models, result)
            moved = moved_models(models, there)
            if not moved:
                break
            if look == LOOKS:
                return _restless(before, result, moved), models, negative
            before, models = result, there
            result, negative = self._run_once(datasets, models, dense, watch)
            result = dataclasses.replace(result, n_steps=result.n_steps + before.n_steps)
        return result, models, negative

    def _run_once(
        self, datasets: tuple[Dataset, ...], models: Models, dense: bool, watch: Watch
    ) -> tuple[FitResult, bool]:
        """Fit with the responses looked up where the models start, and whether a cube ends with a negative part."""
        likelihood = Likelihood(datasets, models, self.order, dense, self.mesh)
        watch.look()

        def show(theta: np.ndarray, value: float, n_steps: int) -> None:
            watch.show(_Snapshot(likelihood, models, theta, value, n_steps))

        if no_bins(likelihood.problem):
            minimum = _no_data(likelihood)
        else:
            settings = self.backend_options, likelihood, self.tolerance, self.max_steps
            minimum = minimise_by(self.backend, *settings, show)
        return _result(likelihood, models, minimum, self.backend), minimum.negative


def _restless(before: FitResult, result: FitResult, names: list[str]) -> FitResult:
    """Result of a fit that moves on whenever the responses are looked up where it ended: with a warning; not converged
    where that changes more than a tenth of an error.

    Parameters
    ----------
    before : the result of the look before. names : what still moves.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        change = float(np.nanmax(np.abs(result.values - before.values) / result.errors, initial=0.0))
    words = say_moving(names, change)
    if change <= RESTLESS:
        return dataclasses.replace(result, warnings=(*result.warnings, words))
    nothing = np.full_like(result.covariance, np.nan)
    models = fitted_models(result.models, result.values, nothing)
    return dataclasses.replace(result, models=models, status="not_converged", message=words, covariance=nothing)


def _interrupted(backend: str, models: Models, best: _Snapshot | None) -> FitResult:
    """The best point that was shown, or the start values where there was none yet, without errors."""
    if best is not None:
        nothing = np.full((len(best.theta),) * 2, np.nan)
        message = f"interrupted after {best.n_steps} steps: the values are the best so far"
        minimum = Minimum(best.theta, nothing, best.value, np.nan, best.n_steps, "interrupted", message)
        return _result(best.likelihood, best.models, minimum, backend)
    slots = Slots(models)
    parameters = [slots.parameters[slot] for slot in slots.free]
    return FitResult(
        models=models,
        total_stat=np.nan,
        status="interrupted",
        message="interrupted before the first step: the values are the start values",
        names=tuple(slots.names[slot] for slot in slots.free),
        units=tuple(parameter.unit for parameter in parameters),
        values=np.array([parameter.value for parameter in parameters], dtype=np.float64),
        covariance=np.full((len(parameters),) * 2, np.nan),
        edm=np.nan,
        n_steps=0,
        backend=backend,
    )


def _no_data(likelihood: Likelihood) -> Minimum:
    size = len(likelihood.names)
    bins = sum(int(stack.mask.sum()) for stack in likelihood.problem.stacks)
    message = f"{bins} bins inside the masks, and no count in them" if bins else "no bin is left inside the masks"
    theta = np.asarray(likelihood.theta0)
    nothing = np.full((size, size), np.nan)
    return Minimum(theta, nothing, float(likelihood(theta)), np.nan, 0, "no_data", message)


def _result(likelihood: Likelihood, models: Models, minimum: Minimum, backend: str) -> FitResult:
    """Result in the parameters' units, with the fitted models."""
    scale = np.asarray(likelihood.problem.scale)
    values, covariance = minimum.theta * scale, minimum.covariance * scale[:, None] * scale
    return FitResult(
        models=fitted_models(models, values, covariance),
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
        warnings=find_warnings(likelihood, models, minimum),
    )


def fitted_models(models: Models, values: np.ndarray, covariance: np.ndarray) -> Models:
    """Models with the fitted values and the covariance of all parameters; linked ones move and err together."""
    slots = slots_of(models)
    all_values, whole = slots.moved_to(values, covariance)
    numbers = iter(all_values[slots.of_parameter])
    # by the class: equinox wraps every method that is taken from an instance, which takes longer than the method
    set_value = Parameter.with_value
    moved = jax.tree.map(lambda p: set_value(p, next(numbers)) if is_parameter(p) else p, models, is_leaf=is_parameter)
    whole = whole[np.ix_(slots.of_parameter, slots.of_parameter)]
    return Models(moved.models, whole, models.penalties, models.ties)
