"""Tails of chi2 in logarithms, central and not: exact where the probabilities themselves are no numbers any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

LOG_SMALLEST = -650.0  # below exp of this, tail probabilities are taken in logarithms


def log_pdf(ts: np.ndarray, df: float) -> np.ndarray:
    """ln of the chi2 density."""
    return special.xlogy(df / 2 - 1, ts / 2) - ts / 2 - special.gammaln(df / 2) - np.log(2)


def log_sf(ts: np.ndarray, df: float) -> np.ndarray:
    """ln of the chi2 survival function; beyond the range of floats by the asymptotic series (DLMF 8.11.2)."""
    sf = special.chdtrc(df, ts)
    far = sf < np.exp(LOG_SMALLEST)
    shape, half = df / 2, np.where(far, ts / 2, 1e3 + df)
    term = total = np.ones_like(half)
    for k in range(1, 200):
        term = term * (shape - k) / half
        total = total + term
    tail = (shape - 1) * np.log(half) - half - special.gammaln(shape) + np.log(total)
    return np.where(far, tail, np.log(np.where(far, 1.0, sf)))


def noncentral_ts(n_sigma: np.ndarray, df: float, noncentrality: float) -> np.ndarray:
    """Test statistic with the tail of n_sigma^2, both non-central; see `sigma_to_ts`."""
    shift = np.sqrt(noncentrality)

    def one(target: float) -> float:
        return crossing(lambda ts: _log_sf_noncentral(ts, df, noncentrality) - target)

    return np.vectorize(one, otypes=[float])(_log_sf_folded(n_sigma, shift))[()]


def noncentral_sigma(ts: np.ndarray, df: float, noncentrality: float) -> np.ndarray:
    """Number of sigmas whose square has the tail of ts, both non-central; see `ts_to_sigma`."""
    shift = np.sqrt(noncentrality)

    def one(ts: float) -> float:
        target = _log_sf_noncentral(ts, df, noncentrality)
        return crossing(lambda x: float(_log_sf_folded(x, shift)) - target)

    return np.vectorize(one, otypes=[float])(ts)[()]


def _log_sf_folded(x: np.ndarray, shift: float) -> np.ndarray:
    """ln of the probability that a normal number about `shift` is farther than x from 0."""
    return np.logaddexp(special.log_ndtr(shift - x), special.log_ndtr(-shift - x))


def _log_sf_noncentral(ts: float, df: float, noncentrality: float) -> float:
    """ln of the survival function of non-central chi2: chi2 of df + 2 j, j from a Poisson law of half the shift."""
    half = 0.5 * noncentrality
    largest = max(half, 0.5 * np.sqrt(noncentrality * ts))
    j = np.arange(int(largest + 40.0 * np.sqrt(largest)) + 100)
    weights = special.xlogy(j, half) - half - special.gammaln(j + 1.0)
    return float(special.logsumexp(weights + log_sf(np.full(j.shape, float(ts)), df + 2.0 * j)))


def crossing(function: Callable[[float], float]) -> float:
    """Zero of a function that falls from 0."""
    if function(0.0) <= 0:
        return 0.0
    top = 1.0
    while function(top) > 0:
        top *= 2.0
    # a tenth of a second, which a fit does without
    from scipy.optimize import brentq

    zero: Any = brentq(function, 0.0, top, xtol=1e-13, rtol=1e-14)
    return zero
