"""Ties in a likelihood: slots whose numbers are functions of the numbers in others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array


class SlotTie(NamedTuple):
    """Slot `target` has the number ``function(*numbers of sources)``; hashable, part of the compiled program."""

    target: int
    sources: tuple[int, ...]
    function: Callable[..., Any]


def moving_slots(free: tuple[int, ...], ties: Iterable[SlotTie]) -> tuple[int, ...]:
    """Slots that a fit moves: the free ones, then those tied to them, in the order of the ties."""
    moving = list(free)
    for tie in ties:
        if not set(moving).isdisjoint(tie.sources):
            moving.append(tie.target)
    return tuple(moving)


def follow(values: Array, ties: Iterable[SlotTie]) -> Array:
    """Slot values in which the tied ones follow from the others."""
    for tie in ties:
        values = values.at[tie.target].set(tie.function(*(values[slot] for slot in tie.sources)))
    return values


def tied_covariance(
    tied: Callable[[Array], Array], values: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of T tied numbers with P free ones (T, P), and among themselves (T, T): linear error propagation.

    A tied number has no error (NaN) where one that it depends on has none.

    Parameters
    ----------
    tied : function of the free numbers, (P,) to (T,). values, covariance : of the free numbers, (P,), (P, P).
    """
    slopes = np.asarray(jax.jacfwd(tied)(values))
    cross = _product(slopes, covariance)
    return cross, _product(slopes, cross.T)


def _product(slopes: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Matrix product in which a slope of zero meets NaN with zero."""
    terms = np.where(slopes[:, :, None] == 0.0, 0.0, slopes[:, :, None] * right[None])
    return terms.sum(axis=1)
