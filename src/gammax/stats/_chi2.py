"""Gaussian statistic."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from gammax.stats._device import as_floats


def chi2(y: ArrayLike, mu: ArrayLike, sigma: ArrayLike) -> jax.Array:
    """((y - mu) / sigma)^2 per point. ``sigma`` > 0; sigma = inf says that a point carries no information."""
    y, mu, sigma = as_floats(y, mu, sigma)
    return ((y - mu) / sigma) ** 2


def chi2_curvature(sigma: ArrayLike) -> jax.Array:
    """Second derivative of `chi2` in mu, 2 / sigma^2; 0 where sigma is not positive."""
    (sigma,) = as_floats(sigma)
    usable = sigma > 0
    return jnp.where(usable, 2 / jnp.where(usable, sigma, 1.0) ** 2, 0.0)
