"""What the device statistics share: one dtype and shape, and tangents that are summed only where they exist."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

from gammax.stats._formulas import SMALLEST_COUNTS, SMALLEST_EXPECTATION


def as_floats(*values: ArrayLike) -> list[jax.Array]:
    """Arrays of one shape in the default float type (float64 once ``enable_x64`` was called)."""
    return list(jnp.broadcast_arrays(*(jnp.asarray(value, dtype=float) for value in values)))


def slope_in_counts(n: jax.Array, mu: jax.Array) -> jax.Array:
    """Derivative 2 ln(n / mu) of the deviance in the counts; finite (that of 1e-100 counts) in an empty bin."""
    return 2 * jnp.log(jnp.maximum(n, SMALLEST_COUNTS) / jnp.maximum(mu, SMALLEST_EXPECTATION))


def combine(*terms: tuple[jax.Array, Any]) -> jax.Array:
    """Sum of factor times tangent over the inputs that are being differentiated, and nothing computed for the rest."""
    products = [factor * tangent for factor, tangent in terms if not isinstance(tangent, SymbolicZero)]
    return reduce(add, products)
