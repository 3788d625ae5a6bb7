"""Fits of many cubes: each has bins of its own that are merged, but sizes alike, and so one compiled program.

While one cube is fitted the next is made ready.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from gammax.errors import GammaxError
from gammax.fit._anchor import have_moved
from gammax.fit._fit import _fitted_models
from gammax.fit._lanes import FIRST_RADIUS
from gammax.fit._many import Solved, collect
from gammax.fit._many_judge import INTERRUPTED, NO_DATA, OK
from gammax.fit._many_result import FitResults, Frame, results_of
from gammax.fit._newton import _blank, _solve_slow, corner_bounds
from gammax.fit._store import digest_of
from gammax.fit._sweep import Plan, blank, run_plan
from gammax.likelihood import Likelihood
from gammax.likelihood._cube_build import forget_sizes
from gammax.likelihood._likelihood import as_datasets
from gammax.likelihood._problem import no_bins
from gammax.likelihood._table import Slots, factor_scale
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
    if line.errors and len(line.errors) == done.sum():
        raise line.errors[min(line.errors)]
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
            if following < len(self._members) and following not in self._begun:
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
        state = _blank(np.clip(theta, problem.lower, problem.upper))._replace(radius=np.array(FIRST_RADIUS))
        return _solve_slow()(jax.device_put(problem), state, self._fit.tolerance, self._fit.max_steps)

    def _finish(self, k: int, begun: _Begun) -> Solved:
        if begun.coming is None:
            value = np.array([float(begun.likelihood(begun.likelihood.theta0))])
            return blank(1, len(self._frame.names))._replace(value=value)
        solved, n_steps, dense = self._wait(begun), 0, False
        if solved.lowest[0] < 0:
            n_steps, dense, begun = solved.n_steps, True, self._begin(k, begun.models, dense=True)
            solved = self._wait(begun)
        for _ in range(_ANCHORS):
            if not solved.converged[0]:
                break
            values = solved.theta[0] * np.asarray(begun.likelihood.problem.scale)
            models = _fitted_models(begun.models, values, np.zeros((len(values),) * 2))
            if not have_moved(begun.models, models, _STEP_DEG, _GROWTH):
                break
            n_steps, begun = n_steps + solved.n_steps, self._begin(k, models, dense)
            solved = self._wait(begun)
        ratio = np.asarray(begun.likelihood.problem.scale) / self._frame.scale
        return _rescaled(solved._replace(n_steps=solved.n_steps + n_steps), ratio)

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
    """Digest of the settings, the models, and the data of all members."""
    known: dict[int, tuple[Any, str]] = {}

    def digest(values: Any) -> str:
        # what members share is read once; it is kept, so that nothing else gets its address
        if id(values) not in known:
            known[id(values)] = values, digest_of((), [values])
        return known[id(values)][1]

    def words(part: Any, depth: int = 2) -> list[str]:
        if isinstance(getattr(part, "data", None), np.ndarray):
            return [digest(part.data)]
        # responses are maps with something around them
        inner = vars(part).values() if depth and hasattr(part, "__dict__") else ()
        return [word for other in inner for word in words(other, depth - 1)]

    found = []
    for member in members:
        for dataset in as_datasets(member):
            found += words(dataset) if hasattr(dataset, "stat_type") else [digest_of((), [dataset])]
    return digest_of((fit.tolerance, fit.max_steps, fit.order, *found), [models])
