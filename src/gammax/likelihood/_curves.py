"""Derivatives of a statistic, part by part: what a Newton step needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class Derivatives(NamedTuple):
    """The statistic at a point, with what a Newton step needs."""

    value: Array
    gradient: Array
    hessian: Array
    fisher: Array


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
    parts : value (D,), gradient (D, L), Hessian and Fisher matrix (D, L, L).
    """
    pairs = columns[:, :, None], columns[:, None, :]
    square = jnp.zeros((size, size))
    return Derivatives(
        value=parts.value.sum(),
        gradient=jnp.zeros(size).at[columns].add(parts.gradient, mode="drop"),
        hessian=square.at[pairs].add(parts.hessian, mode="drop"),
        fisher=square.at[pairs].add(parts.fisher, mode="drop"),
    )
