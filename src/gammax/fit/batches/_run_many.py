"""Thousands of fits of the same models, each to data of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import numpy as np

from gammax.errors import FitError, GammaxError
from gammax.fit.batches._fit_many import run_batch
from gammax.fit.batches._judge import INVALID_INPUT, NO_DATA, OK
from gammax.fit.batches._lanes import Members
from gammax.fit.batches._members import Batch, split, without_counts
from gammax.fit.batches._one_by_one import FAILURES, run_one_by_one
from gammax.fit.batches._result import FitResults
from gammax.likelihood import Likelihood, Problem
from gammax.likelihood._likelihood import _make_stacks, as_datasets, is_folded
from gammax.likelihood._own import is_own
from gammax.likelihood._table import Slots
from gammax.models import Models

if TYPE_CHECKING:
    from gammax.fit._fit import Fit


def run_many(fit: Fit, datasets: Iterable[Any], models: Models, path: str | Path | None) -> FitResults:
    """Results of `Fit.run_many`; arguments and errors as there."""
    members = _members(datasets)
    if not len(members):
        raise FitError("GX-FIT-303", "nothing says how many fits there are", do="give datasets")
    if fit.backend != "newton":
        raise FitError("GX-FIT-315", "batches are fitted by the trust region alone", found=fit.backend)
    if fit.mesh is not None:
        raise FitError("GX-FIT-316", "batches are fitted on one device", do="Fit() without a mesh")
    spectra = _spectra(members)
    batch = None if spectra is None else _stacked(spectra, models)
    if batch is None:
        return run_one_by_one(fit, members, models, path)
    return run_batch(*batch, models, path, fit.tolerance, fit.max_steps, None)


def _members(datasets: Any) -> Sequence[Any]:
    """What is given as a sequence of members, none of which can be read only once."""
    if hasattr(datasets, "stat_type") or is_own(datasets):
        raise FitError("GX-FIT-318", "one dataset is no batch", found=datasets.name, do="Fit.run, or give a list of it")
    members = datasets if isinstance(datasets, Sequence) else list(datasets)
    if isinstance(members, list | tuple):
        members = [tuple(member) if isinstance(member, Iterator) else member for member in members]
    return members


def _spectra(members: Sequence[Any]) -> list[tuple[Any, ...]] | None:
    """Members that are spectra, or joint sets of them; None where one is something else, or cannot be read."""
    found = []
    try:
        for member in members:
            found.append(as_datasets(member))
            if not all(hasattr(dataset, "stat_type") and not is_folded(dataset) for dataset in found[-1]):
                return None
    except FAILURES:
        return None
    return found


def _stacked(members: list[tuple[Any, ...]], models: Models) -> tuple[Likelihood, Batch] | None:
    """Likelihood of the first member whose data are right, and the batch; None where members differ in shape."""
    good = [k for k, member in enumerate(members) if _are_right(member)]
    if not good:
        # what is wrong
        Likelihood(members[0], models)
    likelihood = Likelihood(members[good[0]], models)
    everyone = tuple(dataset for k in good for dataset in members[k])
    if len(everyone) != len(good) * len(members[good[0]]):
        return None
    stacks, _ = _make_stacks(everyone, models, Slots(models), "exposure-first", False, None)
    new = _different(likelihood.problem, eqx.tree_at(lambda p: p.stacks, likelihood.problem, stacks), len(good))
    if new is None:
        return None
    problem, number, known = likelihood.problem, len(members), np.full(len(members), INVALID_INPUT)
    known[good] = np.where(without_counts(problem, new, len(good)), NO_DATA, OK)
    # those whose data cannot be right are not looked at
    rows = np.searchsorted(good, np.arange(number), side="right") - 1
    shared, varied = split(problem, {leaf: array[np.maximum(rows, 0)] for leaf, array in new.items()})
    theta, lower, upper = (
        np.tile(np.asarray(array), (number, 1)) for array in (likelihood.theta0, problem.lower, problem.upper)
    )
    names = tuple(tuple(dataset.name for dataset in member) for member in members)
    return likelihood, Batch(Members(shared, varied, theta, lower, upper), known, names)


def _are_right(member: tuple[Any, ...]) -> bool:
    try:
        return all(dataset.arrays is not None for dataset in member)
    except GammaxError:
        return False


def _different(one: Problem, everyone: Problem, number: int) -> dict[int, np.ndarray] | None:
    """Leaves in which members differ, (K, D, ...), by their numbers; None where they cannot be stacked.

    Parameters
    ----------
    everyone : problem of the datasets of all members, one member after another: where one has arrays (D, ...), it has
        (K D, ...).
    """
    if jax.tree.structure(one) != jax.tree.structure(everyone):
        return None
    new = {}
    for i, (leaf, all_) in enumerate(zip(jax.tree.leaves(one), jax.tree.leaves(everyone), strict=True)):
        leaf, all_ = np.asarray(leaf), np.asarray(all_)
        if leaf.shape == all_.shape and np.array_equal(leaf, all_):
            continue
        if all_.shape != (number * len(leaf), *leaf.shape[1:]):
            return None
        rows = all_.reshape(number, *leaf.shape)
        if not (rows == leaf).all():
            new[i] = rows
    return new
