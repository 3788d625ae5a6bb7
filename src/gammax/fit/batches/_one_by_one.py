"""Fits of many cubes, or of spectra of unlike shapes: cubes have merged bins of their own, but sizes alike, and so one
compiled program.

While one member is fitted the next is made ready.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from gammax.errors import GammaxError, ResourceError
from gammax.fit._anchor import LOOKS, RESTLESS, goes_back, moved_models, say_moving
from gammax.fit._fit import fitted_models
from gammax.fit._judge import Minimum
from gammax.fit._newton import blank_state, finish, solve_slow
from gammax.fit._warnings import find_warnings
from gammax.fit.batches._judge import INTERRUPTED, INVALID_INPUT, NO_DATA, OK, STATUSES, judge_many
from gammax.fit.batches._lanes import FIRST_RADIUS
from gammax.fit.batches._many import Solved, collect
from gammax.fit.batches._result import FitResults, Frame, results_of
from gammax.fit.batches._store import Finished, digest_of
from gammax.fit.batches._sweep import Plan, blank, run_plan
from gammax.likelihood import Likelihood
from gammax.likelihood._cube_build import forget_sizes
from gammax.likelihood._likelihood import as_datasets
from gammax.likelihood._problem import no_bins
from gammax.likelihood._table import Slots, factor_bounds, factor_scale
from gammax.maps import MapAxis
from gammax.models import Models

if TYPE_CHECKING:
    from gammax.fit._fit import Fit

# degrees, and part of the extent, by which a source may move or grow: beyond, its responses are looked up anew
_STEP_DEG, _GROWTH = 0.1, 0.2
# what is no fault of the data, and another time may not be; and all by which one member fails alone
_OUTSIDE = ResourceError, OSError, MemoryError
FAILURES = GammaxError, OSError, MemoryError


def run_one_by_one(fit: Fit, members: Sequence[Any], models: Models, path: str | Path | None) -> FitResults:
    """Results of `Fit.run_many` for data that differ in more than their numbers."""
    slots = Slots(models)
    slots.check_start()
    free = list(slots.free)
    frame = Frame(
        names=tuple(slots.names[slot] for slot in free),
        units=tuple(slots.parameters[slot].unit for slot in free),
        scale=factor_scale(slots.column("value")[free]),
        tolerance=fit.tolerance,
    )
    lower, upper = factor_bounds(slots, frame.scale)
    line = _Line(fit, members, models, frame, lower >= upper, repeatable=path is not None)
    mark = "" if path is None else _fingerprint(fit, members, models)
    solved, done, warned = run_plan(Plan(len(members), len(free), 1, line.solve), path, mark)
    errors = dict(line.errors)
    if len(errors) == len(members):
        raise errors[0]
    known = np.where((solved.n_steps == 0) & np.isfinite(solved.value), NO_DATA, OK)
    known = np.where(done, known, INTERRUPTED)
    for k, error in errors.items():
        known[k] = INTERRUPTED if isinstance(error, _OUTSIDE) else INVALID_INPUT
    results = results_of(frame, models, solved, known, lower, upper)
    said = tuple(_in_words(errors[k]) if k in errors else text for k, text in enumerate(results.messages))
    return dataclasses.replace(results, messages=said, warnings=tuple(warned))


class _Begun(NamedTuple):
    """A fit that runs.

    Attributes
    ----------
    models : at which responses were looked up. coming : what it will give; None: there is nothing to fit.
    """

    likelihood: Likelihood
    models: Models
    coming: Any


class _Line:
    """Members one after another; what was wrong with those that could not be fitted is in `errors`."""

    def __init__(
        self, fit: Fit, members: Sequence[Any], models: Models, frame: Frame, held: np.ndarray, repeatable: bool
    ):
        self._fit, self._members, self._models, self._frame = fit, members, models, frame
        self._held, self._repeatable = held, repeatable
        self._begun: dict[int, _Begun] = {}
        self.errors: dict[int, Exception] = {}

    def solve(self, rows: np.ndarray) -> Finished | None:
        """Minimum of one member, as a batch of one, in the factors of the models at their start; None if it cannot be
        had."""
        k = int(rows[0])
        try:
            begun = self._begun.pop(k, None) or self._begin(k, self._models)
            # of a file that is resumed, what was begun may be finished
            self._begun.clear()
            if k + 1 < len(self._members):
                self._try_to_begin(k + 1)
            return self._finish(k, begun)
        except FAILURES as error:
            self.errors[k] = error
            return None

    def _try_to_begin(self, k: int) -> None:
        # what is wrong is seen when it is its turn: files may be there by then, and memory
        with suppress(*FAILURES):
            self._begun[k] = self._begin(k, self._models)

    def _begin(self, k: int, models: Models, dense: bool = False) -> _Begun:
        if self._repeatable:
            # to the last bit, wherever the batch was begun again
            forget_sizes()
        # copies, with which the arrays that are made of them go
        datasets = [d.replace() if hasattr(d, "replace") else d for d in as_datasets(self._members[k])]
        likelihood = Likelihood(datasets, models, self._fit.order, dense)
        coming = None if no_bins(likelihood.problem) else self._advance(likelihood.problem, likelihood.theta0)
        return _Begun(likelihood, models, coming)

    def _advance(self, problem: Any, theta: Any, radius: float = FIRST_RADIUS) -> Any:
        state = blank_state(np.clip(theta, problem.lower, problem.upper))._replace(radius=np.array(radius))
        return solve_slow()(jax.device_put(problem), state, self._fit.tolerance, self._fit.max_steps)

    def _finish(self, k: int, begun: _Begun) -> Finished:
        if begun.coming is None:
            value = np.array([float(begun.likelihood(begun.likelihood.theta0))])
            return Finished(blank(1, len(self._frame.names))._replace(value=value))
        solved, begun, words = self._anchored(k, begun, dense=False)
        if solved.lowest[0] < 0:
            # from where the last merged fit began: it may have run away into what merging rewards
            n_steps = solved.n_steps
            solved, begun, words = self._anchored(k, self._begin(k, begun.models, dense=True), dense=True)
            solved = solved._replace(n_steps=solved.n_steps + n_steps)
        warned = find_warnings(begun.likelihood, begun.models, _minimum(solved, begun, self._held))
        solved = _rescaled(solved, np.asarray(begun.likelihood.problem.scale) / self._frame.scale)
        return Finished(solved, ((*warned, *words),))

    def _anchored(self, k: int, begun: _Begun, dense: bool) -> tuple[Solved, _Begun, tuple[str, ...]]:
        """Minimum with responses looked up near it, the fit that found it, and in words what still moves."""
        solved, begun = self._wait(begun)
        before = solved
        for look in range(LOOKS + 1):
            # what a negative part rewards in merged bins is no place to go on from
            if not solved.converged[0] or (solved.lowest[0] < 0 and not dense):
                break
            models = self._place_of(solved, begun)
            moved = moved_models(begun.models, models, _STEP_DEG, _GROWTH)
            if not moved:
                break
            if look == LOOKS:
                solved, words = _restless(before, solved, _minimum(solved, begun, self._held).covariance, moved)
                return solved, begun, (words,)
            scale, n_steps = np.asarray(begun.likelihood.problem.scale), solved.n_steps
            solved, begun, before = *self._wait(self._begin(k, models, dense)), solved
            before = _rescaled(before, scale / np.asarray(begun.likelihood.problem.scale))
            solved = solved._replace(n_steps=solved.n_steps + n_steps)
        return solved, begun, ()

    def _place_of(self, solved: Solved, begun: _Begun) -> Models:
        """Where to look up the responses of a minimum, see `gammax.fit._anchor.place_of`."""
        minimum, problem = _minimum(solved, begun, self._held), begun.likelihood.problem
        errors = np.sqrt(np.diag(minimum.covariance))
        back = goes_back(self._frame.names, minimum.theta, errors, problem.lower, problem.upper, minimum.status)
        theta = np.where(back, begun.likelihood.theta0, minimum.theta)
        return fitted_models(begun.models, theta * np.asarray(problem.scale), np.zeros((len(theta),) * 2))

    def _wait(self, begun: _Begun) -> tuple[Solved, _Begun]:
        """Minimum, and the fit that found it: the same, or one that began again as a single fit does, if this did not
        converge."""
        solved, ended = self._finished(begun)
        if solved.converged[0] or solved.emptied[0] or not np.isfinite(solved.value[0]):
            return solved, ended
        coming = self._advance(begun.likelihood.problem, begun.likelihood.theta0, radius=1.0)
        again, last = self._finished(begun._replace(coming=coming))
        n_steps = solved.n_steps + again.n_steps
        if not again.converged[0] and not again.value[0] <= solved.value[0]:
            again, last = solved, ended
        return again._replace(n_steps=n_steps), last

    def _finished(self, begun: _Begun) -> tuple[Solved, _Begun]:
        """Minimum, and the fit that found it: the same, or what is beside it, see `finish`."""
        ended, problem = finish(begun.likelihood.problem, begun.coming, self._advance, self._fit.tolerance)
        begun = begun._replace(likelihood=eqx.tree_at(lambda own: own.problem, begun.likelihood, problem), coming=ended)
        return self._collect(begun), begun

    def _collect(self, begun: _Begun) -> Solved:
        state, report, _ = jax.tree.map(lambda leaf: np.asarray(leaf)[None], begun.coming)
        return collect(state, report, self._fit.tolerance)


def _minimum(solved: Solved, begun: _Begun, held: np.ndarray) -> Minimum:
    """The minimum of one member, as its warnings are found by."""
    status, covariance = judge_many(solved, held[None], np.array([OK]))
    return Minimum(
        theta=solved.theta[0],
        covariance=covariance[0],
        total_stat=float(solved.value[0]),
        edm=float(solved.edm[0]),
        n_steps=int(solved.n_steps[0]),
        status=STATUSES[status[0]],
        message="",
        emptied=int(solved.emptied[0]),
        gauges=tuple(map(np.asarray, begun.coming.gauges)),
    )


def _restless(before: Solved, solved: Solved, covariance: np.ndarray, names: list[str]) -> tuple[Solved, str]:
    """A minimum that moves on whenever responses are looked up where it ends, and that in words: none, where it moves
    by more than a tenth of an error, its edm that of the move."""
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = np.abs(solved.theta[0] - before.theta[0]) / np.sqrt(np.diag(covariance))
    change = float(np.nanmax(moved, initial=0.0))
    if change > RESTLESS:
        solved = solved._replace(converged=np.array([False]), edm=np.array([change**2]))
    return solved, say_moving(names, change)


def _in_words(error: Exception) -> str:
    return str(error) if isinstance(error, GammaxError) else f"{type(error).__name__}: {error}"


def _rescaled(solved: Solved, ratio: np.ndarray) -> Solved:
    """Minimum in other factors: theta times a ratio (P,)."""
    covariance = solved.covariance * np.outer(ratio, ratio)
    return solved._replace(theta=solved.theta * ratio, gradient=solved.gradient / ratio, covariance=covariance)


def _fingerprint(fit: Fit, members: Sequence[Any], models: Models) -> str:
    """Digest of the settings, the models, and the data and geometries of all members, or what is wrong with them."""

    def of_member(k: int) -> Any:
        try:
            datasets = as_datasets(members[k])
        except GammaxError as error:
            if isinstance(error, _OUTSIDE):
                raise
            return str(error)
        return [digest_of(*_facts(dataset)) for dataset in datasets]

    found = [of_member(k) for k in range(len(members))]
    return digest_of((fit.tolerance, fit.max_steps, fit.order, found), [models])


def _facts(dataset: Any) -> tuple[Any, list[Any]]:
    """What a fit reads of a dataset besides its arrays, and those."""
    if not hasattr(dataset, "stat_type"):
        return (), [dataset]
    words: list[Any] = [dataset.name, dataset.stat_type]
    arrays: list[Any] = []

    def look(part: Any, name: str, depth: int) -> None:
        if isinstance(getattr(part, "data", None), np.ndarray):
            axes = part.geom.axes if hasattr(part, "geom") else _axes_of(part)
            words.extend((name, type(part).__name__, str(getattr(part, "unit", "")), *_of_geom(part, axes)))
            arrays.extend((part.data, *(axis.nodes for axis in axes)))
        elif depth and dataclasses.is_dataclass(part):
            # responses are maps with something around them
            for field in dataclasses.fields(part):
                look(getattr(part, field.name), f"{name}.{field.name}", depth - 1)

    look(dataset, "", 2)
    return words, arrays


def _axes_of(part: Any) -> list[MapAxis]:
    """Axes that a response holds, one by one or together."""
    held = (value if isinstance(value, tuple) else (value,) for value in vars(part).values())
    return [axis for axes in held for axis in axes if isinstance(axis, MapAxis)]


def _of_geom(part: Any, axes: Iterable[MapAxis]) -> list[str]:
    """Projection and region of a map, and its axes without their nodes."""
    geom = getattr(part, "geom", None)
    wcs = getattr(geom, "wcs", None)
    header = "" if wcs is None else wcs.to_header_string(relax=True)
    place = [header, str(getattr(geom, "npix", "")), repr(getattr(geom, "region", None))]
    return place + [f"{axis.name} {axis.unit} {axis.interp} {axis.node_type}" for axis in axes]
