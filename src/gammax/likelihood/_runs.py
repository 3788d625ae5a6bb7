"""Spectra of equal shape with numbers of their own: a hundred runs, each with its own energy scale or norm of the
background, as one program."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax import Array

from gammax.likelihood._cube import CubeStack
from gammax.likelihood._curves import Derivatives, scatter
from gammax.likelihood._parts import FixedCounts, ScaledCounts
from gammax.likelihood._stack import SpectrumDraft, SpectrumStack, make_stack
from gammax.models._integrate import N_NODES

# numbers that are held at once when runs are gone through: 160 kB, which stay in the cache next to the processor; with
# ten times as many a hundred runs take four times as long
_AT_ONCE = 20_000


class RunStack(eqx.Module):
    """D spectra that see the same sources, each with a model of its own for its responses or its background.

    Attributes
    ----------
    runs : the spectra, every array with a leading axis of length D.
    slots : where the numbers of each are among all slot values, (D, n).
    columns : which of the fit's parameters move them, (D, L).
    """

    runs: SpectrumStack
    slots: Array
    columns: Array

    counts = property(attrgetter("runs.counts"), doc="(D, R)")
    mask = property(attrgetter("runs.mask"), doc="(D, R)")
    counts_off = property(attrgetter("runs.counts_off"), doc="(D, R) or None")
    alpha = property(attrgetter("runs.alpha"), doc="(D, R) or None")

    def signal(self, values: Array) -> Array:
        """Predicted signal counts (D, R) for the vector of slot values."""
        return self._each(values, SpectrumStack.signal)

    def background(self, values: Array) -> Array:
        """Expected background counts (D, R); 0 for wstat, which profiles them."""
        return self._each(values, SpectrumStack.background)

    def expectation(self, values: Array) -> Array:
        """What the statistic compares with the counts, (D, R): signal for wstat, signal + background for cash."""
        return self._each(values, SpectrumStack.expectation)

    def on_counts(self, expectation: Array) -> Array:
        """Predicted ON counts (D, R): for wstat the profiled background is added to the signal."""
        return self.runs.on_counts(expectation)

    def statistic(self, expectation: Array) -> Array:
        """-2 ln L per bin (D, R), zero outside the mask."""
        return self.runs.statistic(expectation)

    def derivatives(self, values: Array, size: int) -> Derivatives:
        """Value, and derivatives by the slot values of the fit's `size` parameters."""
        depth, n_true = np.shape(self.runs.response)[0], np.shape(self.runs.response)[-1]
        numbers = max(1, self.columns.shape[-1]) * n_true * self.runs.panels * N_NODES

        def one(run_and_slots: tuple[SpectrumStack, Array]) -> Derivatives:
            run, slots = run_and_slots
            return run.own_derivatives(values[slots])

        parts = _in_blocks(one, (self.runs, self.slots), depth, max(1, _AT_ONCE // numbers))
        return scatter(self.columns, parts, size)

    def _each(self, values: Array, function: Callable[[SpectrumStack, Array], Any]) -> Any:
        """What a function of a spectrum and its numbers gives for each of them, along a leading axis."""
        return jax.vmap(lambda run, slots: function(run, values[slots]))(self.runs, self.slots)


def _in_blocks(function: Callable[[Any], Any], runs: Any, depth: int, most: int) -> Any:
    """What a function gives for each of the runs (trees of arrays (D, ...)), taken up to `most` at once."""
    firsts, size = _blocks(depth, most)

    def together(first: Array) -> Any:
        return jax.vmap(function)(jax.tree.map(lambda array: jax.lax.dynamic_slice_in_dim(array, first, size), runs))

    found = jax.lax.map(together, firsts)
    block = np.arange(depth) // size
    return jax.tree.map(lambda array: array[block, np.arange(depth) - firsts[block]], found)


def _blocks(depth: int, most: int) -> tuple[np.ndarray, int]:
    """Where blocks of equal size begin, and that size. The last two may overlap: a remainder would be compiled anew."""
    count = -(-depth // most)
    size = -(-depth // count)
    count = -(-depth // size)
    return np.minimum(size * np.arange(count), depth - size), size


def columns_of(stack: Any) -> set[int]:
    """Which of the fit's parameters a stack depends on."""
    if isinstance(stack, CubeStack):
        return set(np.ravel(stack.cubes.columns).tolist())
    return set(np.ravel(stack.columns).tolist() if isinstance(stack, RunStack) else stack.moved[1])


def stack_spectra(drafts: Sequence[SpectrumDraft], others: bool = False) -> SpectrumStack | RunStack:
    """Stack of spectra of equal key: as one where the models of responses and background are one, else each with its
    own numbers; errors as `make_stack`.

    Parameters
    ----------
    others : whether other processes stack other spectra, with models of their own.
    """
    alike = all(draft.own == drafts[0].own for draft in drafts)
    if alike and not (others and drafts[0].own):
        return make_stack(drafts)
    # what is shared is the same in all of them, places too
    runs = make_stack([drafts[0].placed(), *drafts[1:]])
    slots = np.array([draft.slots for draft in drafts], dtype=int)
    moving = [[draft.columns[draft.slots[place]] for place in runs.moved[0]] for draft in drafts]
    return RunStack(_apart(runs, len(drafts)), slots, np.array(moving, dtype=int))


def _apart(stack: SpectrumStack, depth: int) -> SpectrumStack:
    """Stack in which what its spectra share has a leading axis too."""

    def repeated(array: np.ndarray) -> np.ndarray:
        return np.broadcast_to(array, (depth, *np.shape(array)))

    def scaled(part: FixedCounts | ScaledCounts) -> FixedCounts | ScaledCounts:
        if isinstance(part, FixedCounts):
            return part
        return dataclasses.replace(part, energy=repeated(part.energy), centers=repeated(part.centers))

    return dataclasses.replace(
        stack,
        edges=repeated(stack.edges),
        spline=jax.tree.map(repeated, stack.spline),
        backgrounds=tuple(map(scaled, stack.backgrounds)),
    )
