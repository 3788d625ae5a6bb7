"""What the members of a batch differ in: data by dataset, start values, values at which parameters are held."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from astropy.units import Quantity

from gammax.errors import FitError, did_you_mean
from gammax.fit.batches._judge import INVALID_INPUT, NO_DATA, OK
from gammax.fit.batches._lanes import Members
from gammax.likelihood import Likelihood, Problem
from gammax.likelihood._cube import CubeStack
from gammax.likelihood._own import OwnStack

_FIELDS = ("counts", "counts_off", "alpha")


class Batch(NamedTuple):
    """K members, the status of those that cannot be fitted, (K,), OK for the others, and the names of the datasets of
    each; None: all have those of the likelihood."""

    members: Members
    known: np.ndarray
    names: tuple[tuple[str, ...], ...] | None = None

    def __len__(self) -> int:
        return len(self.known)


def make_batch(
    likelihood: Likelihood,
    data: Mapping[str, Any] | None,
    theta0: np.ndarray | None,
    held: Mapping[str, Any] | None,
) -> Batch:
    """Members of a likelihood; arguments and errors as `fit_many`."""
    problem, size = likelihood.problem, len(likelihood.names)
    if problem.mesh is not None:
        raise FitError("GX-FIT-316", "batches are fitted on one device", do="build the likelihood without a mesh")
    fields = _by_field(likelihood, data or {})
    values = {name: _held_factors(likelihood, name, given) for name, given in (held or {}).items()}
    starts = None if theta0 is None else np.asarray(theta0, dtype=float)
    if starts is not None and (starts.ndim != 2 or starts.shape[1] != size):
        raise FitError("GX-FIT-305", "theta0 has the wrong shape", found=starts.shape, expected=f"(K, {size})")
    lengths = {f"data of {name}": len(array) for name, _, array in fields} | {
        f"held {name}": len(array) for name, array in values.items() if array.ndim
    }
    number = _number_of(lengths if starts is None else {**lengths, "theta0": len(starts)})

    def each(array: Any) -> np.ndarray:
        return np.tile(np.asarray(array, dtype=float), (number, 1))

    lower, upper = each(problem.lower), each(problem.upper)
    theta = each(likelihood.theta0) if starts is None else starts.copy()
    bad = ~(np.isfinite(theta) & (theta >= lower) & (theta <= upper))
    for name, array in values.items():
        i = likelihood.names.index(name)
        bad[:, i] = ~(np.isfinite(array) & (array >= lower[:, i]) & (array <= upper[:, i]))
        theta[:, i] = lower[:, i] = upper[:, i] = array
    shared, varied, empty, wrong = _exchange(likelihood, fields, number)
    known = np.where(empty, NO_DATA, OK)
    known = np.where(bad.any(axis=1) | wrong, INVALID_INPUT, known)
    return Batch(Members(shared, varied, theta, lower, upper), known)


def _number_of(lengths: Mapping[str, int]) -> int:
    if not any(lengths.values()):
        raise FitError("GX-FIT-303", "nothing says how many fits there are", do="give data, theta0 or held")
    if len(set(lengths.values())) > 1:
        raise FitError("GX-FIT-304", "data, starts or held values of different numbers of fits", found=dict(lengths))
    return next(iter(lengths.values()))


def _held_factors(likelihood: Likelihood, name: str, given: Any) -> np.ndarray:
    if name not in likelihood.names:
        raise FitError("GX-FIT-302", f"no free parameter {name!r}", do=did_you_mean(name, likelihood.names))
    i = likelihood.names.index(name)
    values = given.to_value(likelihood.units[i]) if isinstance(given, Quantity) else given
    if np.ndim(values) > 1:
        raise FitError("GX-FIT-305", f"held {name} has the wrong shape", found=np.shape(values), expected="(K,)")
    return np.asarray(values, dtype=float) / np.asarray(likelihood.problem.scale)[i]


def _by_field(likelihood: Likelihood, data: Mapping[str, Any]) -> list[tuple[str, str, np.ndarray]]:
    """Name of the dataset, field and array (K, ...) of all that is given."""
    found, names = [], [name for name, _, _ in likelihood.dataset_places]
    for name, given in data.items():
        if name not in names:
            raise FitError("GX-FIT-306", f"no dataset {name!r}", do=did_you_mean(name, names))
        for field, array in given.items() if isinstance(given, Mapping) else [("counts", given)]:
            if field not in _FIELDS:
                raise FitError("GX-FIT-307", f"unknown data {field!r}", dataset=name, do=did_you_mean(field, _FIELDS))
            values = np.asarray(array, dtype=float)
            if not values.ndim:
                raise FitError("GX-FIT-308", f"{field} without an axis of fits", dataset=name, found=array)
            found.append((name, field, values))
    return found


def _exchange(
    likelihood: Likelihood, fields: list[tuple[str, str, np.ndarray]], number: int
) -> tuple[Problem, Any, np.ndarray, np.ndarray]:
    """Problem without what varies, what varies, and which members have no data (K,) and which impossible data (K,)."""
    problem = likelihood.problem
    places = {name: (stack, place) for name, stack, place in likelihood.dataset_places}
    new, wrong = {}, np.zeros(number, bool)
    for name, field, array in fields:
        stack, place = problem.stacks[places[name][0]], places[name][1]
        if isinstance(stack, OwnStack):
            _put_own(new, problem, stack, array)
            continue
        old = _old(stack, name, field)
        if array.shape[1:] != old.shape[1:]:
            expected = number, *old.shape[1:]
            raise FitError(
                "GX-FIT-308", f"{field} of another shape", dataset=name, found=array.shape, expected=expected
            )
        mask = np.asarray(stack.mask)[place] > 0
        right = np.isfinite(array) & ((array > 0) if field == "alpha" else (array >= 0))
        wrong |= (mask & ~right).reshape(number, -1).any(axis=1)
        exchanged = new.setdefault(_leaf(problem, getattr(stack, field)), np.repeat(old[None], number, axis=0))
        exchanged[:, place] = np.where(mask & right, array, 1.0 if field == "alpha" else 0.0)
        if isinstance(stack, CubeStack) and stack.counts_off is None:
            # the constant of merged bins is that of the counts that were there
            offset = np.asarray(stack.cubes.offset)
            kept = new.setdefault(_leaf(problem, stack.cubes.offset), np.repeat(offset[None], number, axis=0))
            kept[:, place] = 0.0
    return *split(problem, new), without_counts(problem, new, number), wrong


def _old(stack: Any, name: str, field: str) -> np.ndarray:
    old = getattr(stack, field)
    if old is None:
        raise FitError("GX-FIT-309", f"the dataset has no {field}", dataset=name, found="a known background (cash)")
    if isinstance(stack, CubeStack) and stack.cubes.merged:
        raise FitError(
            "GX-FIT-310",
            "bins of the cube are merged, which other counts do not allow",
            dataset=name,
            do="Likelihood(datasets, models, dense=True), or Fit().run_many(datasets, models)",
        )
    return np.asarray(old)


def _put_own(new: dict[int, np.ndarray], problem: Problem, stack: OwnStack, array: np.ndarray) -> None:
    other = jax.vmap(stack.with_counts)(array[:, None])
    for old, values in zip(stack.arrays, other.arrays, strict=True):
        new[_leaf(problem, old)] = np.asarray(values)


def _leaf(problem: Problem, array: Any) -> int:
    """Number of an array among the leaves of a problem."""
    return next(i for i, leaf in enumerate(jax.tree.leaves(problem)) if leaf is array)


def split(problem: Problem, new: Mapping[int, np.ndarray]) -> tuple[Problem, Any]:
    """Problem with None for the leaves that vary, and None with those that vary, (K, ...), by their numbers."""
    leaves, structure = jax.tree.flatten(problem)
    shared = [None if i in new else leaf for i, leaf in enumerate(leaves)]
    varied = [new.get(i) for i in range(len(leaves))]
    return jax.tree.unflatten(structure, shared), jax.tree.unflatten(structure, varied)


def without_counts(problem: Problem, new: Mapping[int, np.ndarray], number: int) -> np.ndarray:
    """Members with nothing to fit: no bin inside the masks, or none with a count, (K,)."""
    total = np.zeros(number)
    for stack in problem.stacks:
        if isinstance(stack, OwnStack):
            return np.zeros(number, bool)
        for array in (stack.counts, stack.counts_off):
            if array is not None:
                counts, mask = (_of_members(problem, new, leaf) for leaf in (array, stack.mask))
                total += (counts * mask).reshape(len(counts * mask), -1).sum(axis=1)
    return total == 0.0


def _of_members(problem: Problem, new: Mapping[int, np.ndarray], array: Any) -> np.ndarray:
    """An array of all members, (K, ...), or the one they share, (1, ...)."""
    number = _leaf(problem, array)
    return new[number] if number in new else np.asarray(array)[None]
