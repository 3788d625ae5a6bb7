"""Where a function of one number rises through zero, as a pure function made to be vmapped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

_MAX_LOOKS = 100
_ROOT_RTOL = 1e-12


class _Search(NamedTuple):
    """Bracket of a root: `inner` lies below it, `outer` above it once `found`."""

    x: Array
    inner: Array
    outer: Array
    stride: Array
    found: Array
    done: Array
    count: Array
    aside: Any


def find_rise(function: Callable[[Array], tuple[Array, Array]], start: Array, stride: Array, bound: Array) -> Array:
    """Where a function that is negative at `start` becomes zero, on the side of `stride`; NaN if not before `bound`.

    Strides double until the root is passed; then Newton, with bisection where that would leave the bracket.

    Parameters
    ----------
    function : its value and slope.
    """
    return look_for_rise(lambda x: (*function(x), None), start, stride, bound)[0]


def look_for_rise(
    function: Callable[[Array], tuple[Array, Array, Any]], start: Array, stride: Array, bound: Array
) -> tuple[Array, Any]:
    """As `find_rise`; and what else the function gave at the last number it was asked for: the root, or the bound.

    Parameters
    ----------
    function : its value, its slope and any tree of arrays.
    """
    side = jnp.sign(stride)

    def clipped(x: Array) -> Array:
        return side * jnp.minimum(side * x, side * bound)

    def look(search: _Search) -> _Search:
        x = search.x
        value, slope, aside = function(x)
        below = value < 0
        inner, outer = jnp.where(below, x, search.inner), jnp.where(below, search.outer, x)
        found = search.found | ~below
        newton = x - value / jnp.where(slope == 0.0, 1.0, slope)
        # the bracket's ends swap sides when `stride` is negative: a product tells inside from outside
        inside = jnp.where((newton - inner) * (newton - outer) < 0, newton, 0.5 * (inner + outer))
        following = jnp.where(found, inside, clipped(x + search.stride))
        exact = jnp.abs(value) < 1e-12 * (1.0 + jnp.abs(slope * x))
        tight = found & (jnp.abs(outer - inner) <= _ROOT_RTOL * jnp.maximum(jnp.abs(outer), jnp.abs(inner)))
        beyond = ~found & (x == bound)
        done = exact | tight | beyond
        return _Search(
            x=jnp.where(beyond, jnp.nan, jnp.where(done, x, following)),
            inner=inner,
            outer=outer,
            stride=2.0 * search.stride,
            found=found,
            done=done,
            count=search.count + 1,
            aside=aside,
        )

    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(function, start)[2])
    no, none = jnp.array(False), jnp.array(0)
    first = _Search(clipped(start + stride), start, start, stride, no, no, none, nothing)
    last = jax.lax.while_loop(lambda s: ~s.done & (s.count < _MAX_LOOKS), look, first)
    return jnp.where(last.done, last.x, jnp.nan), last.aside
