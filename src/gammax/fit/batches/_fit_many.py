"""Thousands of fits of one likelihood."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gammax._config import require_x64
from gammax.errors import FitError
from gammax.fit._interrupt import interruptible
from gammax.fit.batches._judge import INTERRUPTED, OK
from gammax.fit.batches._lanes import Members
from gammax.fit.batches._many import shape_of, solve_chunk
from gammax.fit.batches._members import Batch, make_batch
from gammax.fit.batches._result import FitResults, Frame, results_of
from gammax.fit.batches._store import Finished, digest_of
from gammax.fit.batches._sweep import Plan, blank, put, run_plan
from gammax.fit.batches._warnings import tell, warnings_of
from gammax.likelihood import Likelihood
from gammax.likelihood._table import slots_of
from gammax.models import Models, SkyModel


def fit_many(
    likelihood: Likelihood,
    data: Mapping[str, Any] | None = None,
    theta0: np.ndarray | None = None,
    held: Mapping[str, Any] | None = None,
    models: Models | SkyModel | Iterable[SkyModel] | None = None,
    path: str | Path | None = None,
    tolerance: float = 1e-10,
    max_steps: int = 100,
    chunk: int | None = None,
) -> FitResults:
    """Fit a likelihood K times: to other counts, from other starts, or with parameters held at other values.

    All fits go through one compiled program. None of them raises: look at each one's status. What should be known about
    good ones are their `warnings`, of which each kind is one GammaxWarning for the batch. A fit that does not converge
    is begun again from the middle of the others, then as `Fit.run` begins: it may end where a single fit gives up.
    Ctrl-C returns what is finished, the rest is "interrupted"; when all is fitted, the results without warnings.

    Parameters
    ----------
    data : by dataset, counts (K, ...) in the shapes of `Likelihood.npred`, or several of ``{"counts": ...,
        "counts_off": ..., "alpha": ...}``; values of data of your own. What is not given is as in the likelihood:
        simulations of ON-OFF spectra draw both counts.
    theta0 : start values as factors, (K, P); those of the likelihood unless given.
    held : by parameter, "crab.spectral.index", the value or values (K,) at which it is held.
    models : those of the likelihood; with them ``results[k]`` is a `FitResult`, and sources with less than one
        predicted count are warned of.
    path : file of finished chunks. A batch that was killed goes on where it was, and ends with the same numbers.
    tolerance : predicted distance to the minimum at which to stop, in units of the statistic.
    max_steps : Newton steps of each start; a fit that does not converge is started three times.
    chunk : fits that are done at once; from the size of the likelihood unless given.

    Raises
    ------
    FitError : unknown names, wrong shapes, different numbers of fits, models of other parameters, a tolerance or number
        that is not positive and finite, a cube with merged bins, a file of another batch.
    ResourceError : the file cannot be written.
    """
    require_x64()
    for name, value in (("tolerance", tolerance), ("max_steps", max_steps), ("chunk", 1 if chunk is None else chunk)):
        if not 0 < value < np.inf:
            raise FitError("GX-FIT-319", f"{name} must be positive and finite", found=value)
    if models is not None:
        models = _models_of(likelihood, models)
    batch = make_batch(likelihood, data, theta0, held)
    results = run_batch(likelihood, batch, models, path, tolerance, max_steps, chunk)
    tell(results, stacklevel=2)
    return results


def _models_of(likelihood: Likelihood, models: Models | SkyModel | Iterable[SkyModel]) -> Models:
    """Models, if their free parameters are those of the likelihood."""
    models = models if isinstance(models, Models) else Models(models)
    slots = slots_of(models)
    names = tuple(slots.names[slot] for slot in slots.free)
    if names != likelihood.names:
        raise FitError(
            "GX-FIT-320", "the models are not those of the likelihood", found=names, expected=likelihood.names
        )
    return models


def run_batch(
    likelihood: Likelihood,
    batch: Batch,
    models: Models | None,
    path: str | Path | None,
    tolerance: float,
    max_steps: int,
    chunk: int | None,
) -> FitResults:
    """Results of a batch; arguments as `fit_many`."""
    members, known, _ = batch
    shape = shape_of(likelihood.problem, jax.tree.map(lambda leaf: leaf[0], members.varied), chunk)
    size = members.theta.shape[1]

    def solve(rows: np.ndarray) -> Finished:
        good = np.flatnonzero(known[rows] == OK)
        taken = jax.tree.map(lambda leaf: np.asarray(leaf)[rows[good]], members[1:])
        solved = blank(len(rows), size)
        if len(good):
            put(solved, good, solve_chunk(Members(members.shared, *taken), shape, tolerance, max_steps))
        return Finished(solved)

    plan = Plan(len(batch), size, shape.members, solve)
    settings = tuple(shape), tolerance, max_steps, likelihood.names, likelihood.units
    mark = "" if path is None else digest_of(settings, batch)
    solved, done, _ = run_plan(plan, path, mark)
    known = np.where(done, known, INTERRUPTED)
    problem = likelihood.problem
    # with errors so large that the data play no part
    cornered = problem.has_corners and np.asarray(problem.in_corners(np.zeros(size), np.full(size, 1e6)))
    frame = Frame(likelihood.names, likelihood.units, np.asarray(problem.scale), tolerance, cornered)
    results = results_of(frame, models, solved, known, members.lower, members.upper)
    warned = interruptible(
        lambda _: warnings_of(likelihood, models, batch, shape, solved, results), lambda _: results.warnings
    )
    return dataclasses.replace(results, warnings=warned)
