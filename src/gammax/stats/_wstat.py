"""Poisson statistic for a background measured in an OFF region: the profile likelihood in mu_bkg."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from gammax.stats._device import as_floats, combine, slope_in_counts
from gammax.stats._formulas import SMALLEST_EXPECTATION, deviance, profiled_expectations, stationary_ratios

CURVATURE_FLOOR = 1e-10


def wstat(n_on: ArrayLike, n_off: ArrayLike, alpha: ArrayLike, mu_sig: ArrayLike) -> jax.Array:
    """W statistic per bin, -2 ln of the profile likelihood ratio to a perfect model (Wachter, Leach
    & Kellogg 1979, ApJ 230, 274; XSPEC manual, appendix B).

    W = 2 [mu_on - n_on + n_on ln(n_on / mu_on)] + 2 [mu_bkg - n_off + n_off ln(n_off / mu_bkg)] with mu_on = mu_sig +
    alpha mu_bkg, at its minimum over mu_bkg >= 0 with mu_on >= 0. It is convex in mu_sig, zero at mu_sig = n_on - alpha
    n_off, and defined for negative mu_sig too. First and second derivatives are exact (envelope theorem). At its kinks
    (n_off = 0, mu_sig = alpha n_on / (1 + alpha); n_on = 0, mu_sig = -alpha n_off / (1 + alpha)) derivatives are those
    of the side of larger mu_sig; only with n_on = n_off = 0 does the first one jump, from -2 / alpha to 2.

    Few OFF counts bias a fit, and its profile intervals: by 1 to 7 % with 1 to 5 of them per bin and a signal of less
    than 6 alpha counts per bin, by more with fewer (`gammax.fit` warns).

    Parameters
    ----------
    n_on, n_off : counts (>= 0) in the ON and OFF regions, broadcastable with the rest.
    alpha : ratio (> 0) of the ON to the OFF acceptance.
    mu_sig : expected signal counts in the ON region; any sign, magnitude below 1e150.
    """
    return _wstat(*as_floats(n_on, n_off, alpha, mu_sig))


def wstat_mu_bkg(n_on: ArrayLike, n_off: ArrayLike, alpha: ArrayLike, mu_sig: ArrayLike) -> jax.Array:
    """Background counts expected in the OFF region that minimise `wstat` at ``mu_sig``, to some 1e-15 relative."""
    return _profile(*as_floats(n_on, n_off, alpha, mu_sig))[1]


def wstat_curvature(n_on: ArrayLike, n_off: ArrayLike, alpha: ArrayLike, mu_sig: ArrayLike) -> jax.Array:
    """Expected second derivative of `wstat` in mu_sig, 2 / (mu_on + alpha^2 mu_bkg), at most 2e10."""
    n_on, n_off, alpha, mu_sig = as_floats(n_on, n_off, alpha, mu_sig)
    mu_on, mu_bkg = _profile(n_on, n_off, alpha, mu_sig)
    return 2 / jnp.maximum(mu_on + alpha**2 * mu_bkg, CURVATURE_FLOOR)


@jax.custom_jvp
def _wstat(n_on, n_off, alpha, mu_sig):
    mu_on, mu_bkg = profiled_expectations(jnp, n_on, n_off, alpha, mu_sig)
    return deviance(jnp, n_on, mu_on) + deviance(jnp, n_off, mu_bkg)


def _wstat_jvp(primals, tangents):
    n_on, n_off = primals[:2]
    mu_on, mu_bkg = _profile(*primals)
    slope = 2 * (1 - stationary_ratios(jnp, *primals, mu_on, mu_bkg)[0])
    derivative = combine(
        (slope, tangents[3]),
        (slope * mu_bkg, tangents[2]),
        (slope_in_counts(n_on, mu_on), tangents[0]),
        (slope_in_counts(n_off, mu_bkg), tangents[1]),
    )
    return _wstat(*primals), derivative


_wstat.defjvp(_wstat_jvp, symbolic_zeros=True)


@jax.custom_jvp
def _profile(n_on, n_off, alpha, mu_sig):
    return profiled_expectations(jnp, n_on, n_off, alpha, mu_sig)


def _profile_jvp(primals, tangents):
    """Implicit derivatives of 1 + alpha = alpha on + off (the stationary point) in sums of positive terms."""
    alpha = primals[2]
    mu_on, mu_bkg = _profile(*primals)
    on, off = stationary_ratios(jnp, *primals, mu_on, mu_bkg)
    weight_on, weight_bkg = off * mu_on, alpha * on * mu_bkg
    norm = weight_on + alpha * weight_bkg
    smooth = norm > SMALLEST_EXPECTATION
    scale = jnp.where(smooth, 1 / jnp.where(smooth, norm, 1.0), 0.0)
    d_mu_on = combine(
        (jnp.where(smooth, weight_on * scale, 1.0), tangents[3]),
        (mu_bkg * mu_on * scale, tangents[2]),
        (alpha**2 * mu_bkg * scale, tangents[0]),
        (alpha * mu_on * scale, tangents[1]),
    )
    d_mu_bkg = combine(
        (-weight_bkg * scale, tangents[3]),
        (-mu_bkg * (weight_bkg + mu_on * (1 - on)) * scale, tangents[2]),
        (alpha * mu_bkg * scale, tangents[0]),
        (mu_on * scale, tangents[1]),
    )
    return (mu_on, mu_bkg), (d_mu_on, d_mu_bkg)


_profile.defjvp(_profile_jvp, symbolic_zeros=True)
