"""Derivatives of a statistic, part by part: what a Newton step needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from gammax.stats import wstat_mu_bkg

# expected counts that are none: far below one, far above the floor of the statistic
_NO_COUNT = 1e-6


class Derivatives(NamedTuple):
    """The statistic at a point, with what a Newton step needs, and how near the point is to the edge of physics.

    Attributes
    ----------
    value, gradient (P,), hessian (P, P), fisher (P, P).
    emptied : number of bins inside the masks where a negative signal leaves no expected ON count.
    lowest : lowest flux or factor in a cube whose bins may be merged, else infinity: they must not be where it is
        negative.
    """

    value: Array
    gradient: Array
    hessian: Array
    fisher: Array
    emptied: Array
    lowest: Array


class Moved:
    """Numbers of which some are variables, as an index finds them: only those carry derivatives.

    A scatter into the vector would give all of them derivatives, of zeros: twice the work for a power law whose
    reference energy stands still.
    """

    def __init__(self, numbers: Array, places: Sequence[int], x: Array):
        self._numbers, self._x, self._variable = numbers, x, {place: k for k, place in enumerate(places)}

    def __getitem__(self, place: int) -> Array:
        return self._x[self._variable[place]] if place in self._variable else self._numbers[place]


def expected_on(counts: Array, counts_off: Array | None, alpha: Array | None, expectation: Array) -> Array:
    """Predicted ON counts: those of cash as they are, with the profiled background added to the signal of wstat.

    Parameters
    ----------
    counts, counts_off, alpha : ON and OFF counts and exposure ratio, None for cash. expectation : as `statistic` takes
        it. All of one shape.
    """
    if counts_off is None or alpha is None:
        return expectation
    return expectation + alpha * wstat_mu_bkg(counts, counts_off, alpha, expectation)


def count_emptied(mask: Array, signal: Array, on_counts: Array) -> Array:
    """Number of bins of a stack that a negative signal leaves empty, or where less than nothing is expected."""
    return jnp.sum((mask > 0) & (((signal < 0) & (on_counts <= _NO_COUNT)) | (on_counts < 0)))


def add_up(parts: Sequence[Derivatives]) -> Derivatives:
    """Derivatives of a sum, by the same parameters."""
    total = jax.tree.map(lambda *found: sum(found[1:], start=found[0]), *parts)
    return total._replace(lowest=jnp.stack([part.lowest for part in parts]).min())


def gather(parts: Derivatives, axis: str) -> Derivatives:
    """Derivatives of the sum over devices along an axis."""
    lowest = jax.lax.pmin(parts.lowest, axis)
    return jax.lax.psum(parts._replace(lowest=jnp.zeros(())), axis)._replace(lowest=lowest)


def look(function: Callable[[Array], Array], x: Array) -> tuple[Array, Array, Array]:
    """Value, first and second derivative of a function that acts on each number for itself."""
    ones = jnp.ones_like(x)

    def slope(x: Array) -> tuple[Array, Array]:
        value, first = jax.jvp(function, (x,), (ones,))
        return first, value

    first, second, value = jax.jvp(slope, (x,), (ones,), has_aux=True)
    return value, first, second


def scatter(columns: Array, parts: Derivatives, size: int) -> Derivatives:
    """Sum of derivatives by some of `size` parameters each.

    Parameters
    ----------
    columns : the parameters of each part, (D, L); beyond `size`: none.
    parts : gradient (D, L), Hessian and Fisher matrix (D, L, L), else (D,).
    """
    pairs = columns[:, :, None], columns[:, None, :]
    square = jnp.zeros((size, size))
    return Derivatives(
        value=parts.value.sum(),
        gradient=jnp.zeros(size).at[columns].add(parts.gradient, mode="drop"),
        hessian=square.at[pairs].add(parts.hessian, mode="drop"),
        fisher=square.at[pairs].add(parts.fisher, mode="drop"),
        emptied=parts.emptied.sum(),
        lowest=parts.lowest.min(),
    )
