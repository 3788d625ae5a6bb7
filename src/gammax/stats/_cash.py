"""Poisson statistics for a known background."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from gammax.errors import DataValueError
from gammax.stats._device import as_floats, combine, slope_in_counts
from gammax.stats._formulas import deviance

FLOOR = 1e-10


def cash(n_on: ArrayLike, mu_on: ArrayLike, floor: ArrayLike = FLOOR) -> jax.Array:
    """Cash statistic per bin, 2 (mu - n ln mu) (Cash 1979, ApJ 228, 939, without its ln n! term).

    Below ``floor`` -n ln(mu) is continued by its second-order Taylor polynomial and a penalty floor x^3 with
    x = (floor - mu) / floor is added: value, gradient and curvature are continuous, finite for mu > -1e90, and the
    gradient points back to positive mu, also in bins without counts.

    Parameters
    ----------
    n_on, mu_on : observed and expected counts, broadcastable.
    floor : expected counts (> 0) below which the extension begins.

    Raises
    ------
    DataValueError : ``floor`` is not positive.
    """
    n_on, mu_on, floor = as_floats(n_on, mu_on, checked_floor(floor))
    above, beyond, penalty = _split(mu_on, floor)
    return 2 * (mu_on + n_on * (beyond - jnp.log(above)) + penalty)


def cstat(n_on: ArrayLike, mu_on: ArrayLike, floor: ArrayLike = FLOOR) -> jax.Array:
    """Cash statistic minus that of a perfect model, 2 (mu - n + n ln(n / mu)); see `cash` for ``floor``."""
    n_on, mu_on, floor = as_floats(n_on, mu_on, checked_floor(floor))
    above, beyond, penalty = _split(mu_on, floor)
    return _deviance(n_on, above) + 2 * ((mu_on - above) + n_on * beyond + penalty)


def cash_curvature(n_on: ArrayLike, mu_on: ArrayLike, floor: ArrayLike = FLOOR) -> jax.Array:
    """Expected second derivative of `cash` and `cstat` in mu: 2 / mu, and 2 / floor plus the penalty's own below.

    ``n_on`` only gives its shape: the expectation is over the counts.
    """
    n_on, mu_on, floor = as_floats(n_on, mu_on, checked_floor(floor))
    inside = mu_on >= floor
    depth = jnp.where(inside, 0.0, (floor - mu_on) / floor)
    return 2 / jnp.where(inside, mu_on, floor) + 12 * depth / floor


def checked_floor(floor: ArrayLike) -> ArrayLike:
    """``floor``, or an error where it is a plain number that cannot be a floor."""
    if isinstance(floor, int | float) and not floor > 0:
        raise DataValueError("GX-STATS-001", "the floor of the Cash statistic must be positive", found=floor)
    return floor


def _split(mu: jax.Array, floor: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """mu kept above the floor, the Taylor terms of -ln(mu / floor) below it, and the penalty."""
    inside = mu >= floor
    depth = jnp.where(inside, 0.0, (floor - mu) / floor)
    return jnp.where(inside, mu, floor), depth * (1 + depth / 2), floor * depth**3


@jax.custom_jvp
def _deviance(n, mu):
    return deviance(jnp, n, mu)


def _deviance_jvp(primals, tangents):
    n, mu = primals
    return _deviance(n, mu), combine((2 * (1 - n / mu), tangents[1]), (slope_in_counts(n, mu), tangents[0]))


_deviance.defjvp(_deviance_jvp, symbolic_zeros=True)
