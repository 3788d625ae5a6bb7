"""Fits of many cubes: each has bins of its own that are merged, but sizes alike, and so one compiled program.

While one cube is fitted the next is made ready.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from gammax.errors import GammaxError
from gammax.fit._anchor import have_moved
from gammax.fit._fit import fitted_models
from gammax.fit._newton import blank_state, corner_bounds, solve_slow
from gammax.fit.batches._judge import INTERRUPTED, NO_DATA, OK
from gammax.fit.batches._lanes import FIRST_RADIUS
from gammax.fit.batches._many import Solved, collect
from gammax.fit.batches._result import FitResults, Frame, results_of
from gammax.fit.batches._store import digest_of
from gammax.fit.batches._sweep import Plan, blank, run_plan
from gammax.likelihood import Likelihood
from gammax.likelihood._cube_build import forget_sizes
from gammax.likelihood._likelihood import as_datasets
from gammax.likelihood._problem import no_bins
from gammax.likelihood._table import Slots, factor_scale
from gammax.maps import MapAxis
from gammax.models import Models

if TYPE_CHECKING:
    from gammax.fit._fit import Fit

# degrees, and part of the extent, by which a source may move or grow: beyond, its responses are looked up anew
_STEP_DEG, _GROWTH = 0.1, 0.2
_ANCHORS = 4


def run_one_by_one(fit: Fit, members: Sequence[Any], models: Models, path: str | Path | None) -> FitResults:
    """Results of `Fit.run_many` for data that differ in more than their numbers."""
    slots = Slots(models)
    slots.check_start()
    free = list(slots.free)
    frame = Frame(
        names=tuple(slots.names[slot] for slot in free),
        units=tuple(slots.parameters[slot].unit for slot in free),
        scale=factor_scale(slots.column("value")[free]),
    )
    line = _Line(fit, members, models, frame, repeatable=path is not None)
    mark = "" if path is None else _fingerprint(fit, members, models)
    solved, done = run_plan(Plan(len(members), len(free), 1, line.solve), path, mark)
    failed = [k for k in line.errors if done[k]]
    if failed and len(failed) == len(done):
        raise line.errors[min(failed)]
    known = np.where((solved.n_steps == 0) & np.isfinite(solved.value), NO_DATA, OK)
    held = np.tile(slots.column("min")[free] >= slots.column("max")[free], (len(members), 1))
    results = results_of(frame, models, solved, np.where(done, known, INTERRUPTED), held)
    said = tuple(str(line.errors.get(k, text)) for k, text in enumerate(results.messages))
    return dataclasses.replace(results, messages=said)


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
    """Members one after another; what was wrong with some is in `errors`."""

    def __init__(self, fit: Fit, members: Sequence[Any], models: Models, frame: Frame, repeatable: bool):
        self._fit, self._members, self._models, self._frame = fit, members, models, frame
        self._repeatable = repeatable
        self._begun: dict[int, _Begun] = {}
        self.errors: dict[int, GammaxError] = {}

    def solve(self, rows: np.ndarray) -> Solved:
        """Minimum of one member, as a batch of one, in the factors of the models at their start."""
        k = int(rows[0])
        for following in (k, k + 1):
            known = following in self._begun or following in self.errors
            if following < len(self._members) and not known:
                self._try_to_begin(following)
        begun = self._begun.pop(k, None)
        if begun is None:
            return blank(1, len(self._frame.names))
        try:
            return self._finish(k, begun)
        except GammaxError as error:
            self.errors[k] = error
            return blank(1, len(self._frame.names))

    def _try_to_begin(self, k: int) -> None:
        try:
            self._begun[k] = self._begin(k, self._models)
        except GammaxError as error:
            self.errors[k] = error

    def _begin(self, k: int, models: Models, dense: bool = False) -> _Begun:
        if self._repeatable:
            # to the last bit, wherever the batch was begun again
            forget_sizes()
        # copies, with which the arrays that are made of them go
        datasets = [d.replace() if hasattr(d, "replace") else d for d in as_datasets(self._members[k])]
        likelihood = Likelihood(datasets, models, self._fit.order, dense)
        coming = None if no_bins(likelihood.problem) else self._advance(likelihood.problem, likelihood.theta0)
        return _Begun(likelihood, models, coming)

    def _advance(self, problem: Any, theta: Any) -> Any:
        state = blank_state(np.clip(theta, problem.lower, problem.upper))._replace(radius=np.array(FIRST_RADIUS))
        return solve_slow()(jax.device_put(problem), state, self._fit.tolerance, self._fit.max_steps)

    def _finish(self, k: int, begun: _Begun) -> Solved:
        if begun.coming is None:
            value = np.array([float(begun.likelihood(begun.likelihood.theta0))])
            return blank(1, len(self._frame.names))._replace(value=value)
        solved, begun = self._anchored(k, begun, dense=False)
        if solved.lowest[0] < 0:
            # from where the last merged fit began: it may have run away into what merging rewards
            n_steps = solved.n_steps
            solved, begun = self._anchored(k, self._begin(k, begun.models, dense=True), dense=True)
            solved = solved._replace(n_steps=solved.n_steps + n_steps)
        return _rescaled(solved, np.asarray(begun.likelihood.problem.scale) / self._frame.scale)

    def _anchored(self, k: int, begun: _Begun, dense: bool) -> tuple[Solved, _Begun]:
        """Minimum with responses looked up near it, and the fit that found it."""
        solved, n_steps = self._wait(begun), 0
        for _ in range(_ANCHORS):
            # what a negative part rewards in merged bins is no place to go on from
            if not solved.converged[0] or solved.lowest[0] < 0:
                break
            values = solved.theta[0] * np.asarray(begun.likelihood.problem.scale)
            models = fitted_models(begun.models, values, np.zeros((len(values),) * 2))
            if not have_moved(begun.models, models, _STEP_DEG, _GROWTH):
                break
            n_steps, begun = n_steps + solved.n_steps, self._begin(k, models, dense)
            solved = self._wait(begun)
        return solved._replace(n_steps=solved.n_steps + n_steps), begun

    def _wait(self, begun: _Begun) -> Solved:
        solved, problem = self._collect(begun.coming), begun.likelihood.problem
        if solved.converged[0] or not np.isfinite(solved.value[0]):
            return solved
        lower = corner_bounds(problem, solved.theta[0], solved.value[0])
        if lower is None:
            return solved
        cornered = eqx.tree_at(lambda p: p.lower, problem, lower)
        return self._collect(self._advance(cornered, solved.theta[0]))

    def _collect(self, coming: Any) -> Solved:
        state, report, *_ = jax.tree.map(lambda leaf: np.asarray(leaf)[None], coming)
        return collect(state, report, self._fit.tolerance)


def _rescaled(solved: Solved, ratio: np.ndarray) -> Solved:
    """Minimum in other factors: theta times a ratio (P,)."""
    covariance = solved.covariance * np.outer(ratio, ratio)
    return solved._replace(theta=solved.theta * ratio, gradient=solved.gradient / ratio, covariance=covariance)


def _fingerprint(fit: Fit, members: Sequence[Any], models: Models) -> str:
    """Digest of the settings, the models, and the data and geometries of all members."""
    found = [[digest_of(*_facts(dataset)) for dataset in as_datasets(member)] for member in members]
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
    return [axis for axis in vars(part).values() if isinstance(axis, MapAxis)]


def _of_geom(part: Any, axes: Iterable[MapAxis]) -> list[str]:
    """Projection and region of a map, and its axes without their nodes."""
    geom = getattr(part, "geom", None)
    wcs = getattr(geom, "wcs", None)
    header = "" if wcs is None else wcs.to_header_string(relax=True)
    place = [header, str(getattr(geom, "npix", "")), repr(getattr(geom, "region", None))]
    return place + [f"{axis.name} {axis.unit} {axis.interp} {axis.node_type}" for axis in axes]
