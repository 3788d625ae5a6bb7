"""What `Fit.run` would warn of, for every member of a batch at once, and one warning of each kind for them all."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import numpy as np
from jax import Array

from gammax.errors import GammaxWarning
from gammax.fit._anchor import MOVES_ON
from gammax.fit._quick import quick_options
from gammax.fit._warnings import (
    KINDS,
    UNFITTED,
    counts_between,
    datasets_of,
    find_thin,
    gauge_off,
    may_be_thin,
    norms_of,
    say_biased,
    say_emptied,
    say_unseen,
)
from gammax.fit.batches._lanes import Members, in_blocks
from gammax.fit.batches._many import Shape, Solved, padded
from gammax.fit.batches._members import Batch
from gammax.likelihood import Likelihood
from gammax.models import Models

if TYPE_CHECKING:
    from gammax.fit.batches._result import FitResults


def tell(results: FitResults, stacklevel: int) -> None:
    """Give one GammaxWarning for all members with a warning of a kind."""
    for kind in (*KINDS, MOVES_ON):
        found = [(k, text) for k, texts in enumerate(results.warnings) for text in texts if kind in text]
        if found:
            k, text = found[0]
            several = f"{len(found)} of {len(results)} fits, the first of them number {k}: {text}"
            warnings.warn(several, GammaxWarning, stacklevel=stacklevel + 1)


def warnings_of(
    likelihood: Likelihood, models: Models | None, batch: Batch, shape: Shape, solved: Solved, results: FitResults
) -> tuple[tuple[str, ...], ...]:
    """Warnings of every member, as `gammax.fit._warnings.find_warnings`; without models none of unseen sources.

    Parameters
    ----------
    shape : of the chunks in which the minima `solved` were found. results : what they were judged to be.
    """
    members, fitted = batch.members._replace(theta=solved.theta), ~np.isin(results.status, UNFITTED)
    thin = np.flatnonzero(_may_be_thin(likelihood, members) & fitted)
    said: list[list[str]] = [[] for _ in range(len(batch))]
    for k, text in _biased(likelihood, batch, members, thin, shape):
        said[k].append(text)
    if models is not None:
        # what is held at a value, as by a null hypothesis, is no surprise
        unsure = ~(np.abs(results.values) > results.errors) & (members.lower < members.upper) & fitted[:, None]
        for k, text in _unseen(likelihood, models, members, unsure, shape):
            said[k].append(text)
    for k in np.flatnonzero(fitted & (solved.emptied > 0)):
        said[k].append(say_emptied(int(solved.emptied[k])))
    return tuple(map(tuple, said))


def _may_be_thin(likelihood: Likelihood, members: Members) -> np.ndarray:
    """Members that may have few OFF counts where their signal is, wherever that is, (K,)."""
    found = np.zeros(len(members.theta), bool)
    everyone = eqx.combine(members.shared, members.varied)
    for stack in everyone.stacks:
        if stack.counts_off is not None and stack.alpha is not None:
            few = may_be_thin(*map(np.asarray, (stack.counts_off, stack.alpha, stack.mask)))
            # (D, R) where all members have the same
            found |= few.any(axis=(-2, -1))
    return found


def _biased(
    likelihood: Likelihood, batch: Batch, members: Members, rows: np.ndarray, shape: Shape
) -> Iterator[tuple[int, str]]:
    """Members, of some of them, in which wstat is biased, and what is said of it."""
    gauges = _at_minima(_gauges, members, rows, rows, shape)
    if gauges is None:
        return
    thin, biased = find_thin(tuple(np.moveaxis(gauge, 1, 0) for gauge in gauges))
    names = [name for name, _, _ in likelihood.dataset_places]
    for place in np.flatnonzero(biased):
        k = int(rows[place])
        own = names if batch.names is None else batch.names[k]
        yield k, say_biased([own[i] for i in datasets_of(likelihood, [few[place] for few in thin])])


def _unseen(
    likelihood: Likelihood, models: Models, members: Members, unsure: np.ndarray, shape: Shape
) -> Iterator[tuple[int, str]]:
    """Members with sources that are not seen, and what is said of them; `unsure` : parameters that may tell, (K, P)."""
    norms = norms_of(likelihood, models, np.flatnonzero(unsure.any(axis=0)))
    rows, numbers = np.nonzero(unsure & np.isin(np.arange(unsure.shape[1]), list(norms)))
    counts = _at_minima(_counts, members, rows, numbers, shape)
    if counts is None:
        return
    found: dict[int, dict[str, float]] = {}
    for k, i, count in zip(rows.tolist(), numbers.tolist(), counts.tolist(), strict=True):
        found.setdefault(k, {})[norms[i]] = count
    for k, several in found.items():
        if text := say_unseen(several):
            yield k, text


def _at_minima(function: Any, members: Members, rows: np.ndarray, numbers: np.ndarray, shape: Shape) -> Any:
    """What `_gauges` or `_counts` gives for N members by a number each, (N, ...); None for none of them."""

    def of_chunk(chunk: slice) -> Any:
        some, own = rows[chunk], np.zeros(shape.members, int)
        own[: len(some)] = numbers[chunk]
        chosen = padded(members, some, members.theta[some], shape.members)
        found = _compiled(function)(chosen, own, len(some), width=shape.lanes)
        return jax.tree.map(lambda leaf: np.asarray(leaf)[: len(some)], found)

    parts = [of_chunk(slice(first, first + shape.members)) for first in range(0, len(rows), shape.members)]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts) if parts else None


@cache
def _compiled(function: Any) -> Any:
    return jax.jit(function, static_argnames="width", compiler_options=quick_options())


def _gauges(members: Members, _: Array, number: Array, width: int) -> tuple[Array, ...]:
    """Gauges of OFF counts of the first `number` of C members, (C, 4, D) per stack."""

    def one(varied: Any, theta: Array) -> tuple[Array, ...]:
        return gauge_off(eqx.combine(members.shared, varied), theta)

    return in_blocks(one, (members.varied, members.theta), number, width)


def _counts(members: Members, norm: Array, number: Array, width: int) -> Array:
    """Counts that depend on a parameter, whose number (C,) is given, of the first `number` of C members, (C,)."""

    def one(varied: Any, theta: Array, norm: Array) -> Array:
        problem = eqx.combine(members.shared, varied)
        without = theta.at[norm].set(0.0)
        return counts_between(problem, problem.signals(theta), problem.signals(without))

    return in_blocks(one, (members.varied, members.theta, norm), number, width)
