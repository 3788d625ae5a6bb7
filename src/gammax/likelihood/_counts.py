"""Other counts in the place of the measured ones: simulated ones, or those that a model expects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from gammax.errors import FitError, did_you_mean
from gammax.likelihood._cube import CubeStack
from gammax.likelihood._own import OwnStack
from gammax.likelihood._shard import refuse_processes
from gammax.stats import wstat_mu_bkg

if TYPE_CHECKING:
    from gammax.likelihood._problem import Problem


def with_counts(stack: Any, counts: Array | None) -> Any:
    """Stack with other (ON) counts, (D, ...); None leaves the data of a dataset of the user's own."""
    if isinstance(stack, OwnStack):
        return stack.with_counts(counts)
    return eqx.tree_at(lambda stack: stack.counts, stack, counts)


def expected_counts(problem: Problem, theta: Array) -> tuple[tuple[Array, Array | None], ...]:
    """Per stack the ON and OFF counts, (D, ...) each, that are expected at theta.

    The background of wstat is the one profiled on the measured counts; with the expected ones the same is profiled.
    """

    def of_stack(stack: Any, expectation: Array) -> tuple[Array, Array | None]:
        known = stack.counts_off is None
        off = None if known else wstat_mu_bkg(stack.counts, stack.counts_off, stack.alpha, expectation)
        return stack.on_counts(expectation), off

    return tuple(map(of_stack, problem.stacks, problem.expectations(theta)))


def with_expected(problem: Problem, counts: tuple[tuple[Array, Array | None], ...]) -> Problem:
    """Problem with other ON and OFF counts, per stack; errors as `OwnStack.with_counts`."""
    stacks = []
    for stack, (on, off) in zip(problem.stacks, counts, strict=True):
        other = with_counts(stack, on)
        stacks.append(other if off is None else eqx.tree_at(lambda stack: stack.counts_off, other, off))
    return eqx.tree_at(lambda problem: problem.stacks, problem, tuple(stacks))


def exchange(problem: Problem, places: tuple[tuple[str, int, int], ...], counts: Mapping[str, Array]) -> Problem:
    """Problem with other counts of some datasets.

    Parameters
    ----------
    places : name, stack and place in it of every dataset. counts : by name; errors as `Likelihood.with_counts`.
    """
    refuse_processes(problem.mesh, "other counts")
    where = {name: (stack, place) for name, stack, place in places}
    new = [stack.counts for stack in problem.stacks]
    for name, given in counts.items():
        if name not in where:
            raise FitError("GX-FIT-406", f"no dataset {name!r}", do=did_you_mean(name, where))
        stack, place = where[name]
        given = jnp.asarray(given, dtype=float)
        if new[stack] is None:
            new[stack] = given[None]
            continue
        if given.shape != jnp.shape(new[stack])[1:]:
            raise FitError(
                "GX-FIT-407",
                "counts of another shape",
                dataset=name,
                found=given.shape,
                expected=jnp.shape(new[stack])[1:],
            )
        new[stack] = jnp.asarray(new[stack]).at[place].set(given)
    return problem.with_counts(new)


def exchange_own(problem: Problem, places: tuple[tuple[str, int, int], ...], dataset: Any) -> Problem:
    """Problem with a dataset of the user's own in the place of that of the same name; errors as
    `Likelihood.with_dataset`."""
    own = {name: stack for name, stack, _ in places if isinstance(problem.stacks[stack], OwnStack)}
    if dataset.name not in own:
        raise FitError("GX-FIT-406", f"no dataset {dataset.name!r} of your own", do=did_you_mean(dataset.name, own))
    stacks = list(problem.stacks)
    stacks[own[dataset.name]] = stacks[own[dataset.name]].with_dataset(dataset)
    return eqx.tree_at(lambda problem: problem.stacks, problem, tuple(stacks))


def check_single(problem: Problem) -> None:
    """Raise FitError where bins of a cube are merged."""
    if any(isinstance(stack, CubeStack) and stack.cubes.merged for stack in problem.stacks):
        raise FitError(
            "GX-FIT-408", "merged bins of a cube hold no expected counts", do="Likelihood(datasets, models, dense=True)"
        )
