"""Significances, and what a test statistic means in Gaussian sigmas (Wilks' theorem)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from gammax.stats._counts_statistic import WStatCountsStatistic

LOG_SMALLEST = -650.0  # below exp of this, tail probabilities are taken in logarithms


def li_ma_significance(n_on: ArrayLike, n_off: ArrayLike, alpha: ArrayLike) -> np.ndarray:
    """Significance of the excess n_on - alpha n_off, with its sign (Li & Ma 1983, ApJ 272, 317, eq. 17).

    Parameters and errors are those of `WStatCountsStatistic`.
    """
    return WStatCountsStatistic(n_on, n_off, alpha).sqrt_ts


def sigma_to_ts(n_sigma: ArrayLike, df: float = 1) -> np.ndarray:
    """Test statistic that is as improbable, as a chi2 of ``df`` degrees of freedom, as ``n_sigma`` (two-sided)."""
    n_sigma = np.abs(np.asarray(n_sigma, dtype=float))
    if df == 1:
        return (n_sigma**2)[()]
    log_p = np.log(2) + special.log_ndtr(-n_sigma)
    ts = np.where(log_p > LOG_SMALLEST, special.chdtri(df, np.exp(log_p)), n_sigma**2 + df)
    for _ in range(8):  # Newton in ln(sf), which is nearly straight
        log_sf = _log_sf(ts, df)
        hazard = np.exp(_log_pdf(ts, df) - log_sf)
        ts = np.where(log_p > LOG_SMALLEST, ts, ts + (log_sf - log_p) / hazard)
    return ts[()]


def ts_to_sigma(ts: ArrayLike, df: float = 1) -> np.ndarray:
    """Number of sigmas (>= 0, two-sided) of a test statistic with ``df`` degrees of freedom; finite however large."""
    ts = np.maximum(np.asarray(ts, dtype=float), 0.0)
    if df == 1:
        return np.sqrt(ts)
    return -special.ndtri_exp(_log_sf(ts, df) - np.log(2))


def _log_pdf(ts: np.ndarray, df: float) -> np.ndarray:
    """ln of the chi2 density."""
    return special.xlogy(df / 2 - 1, ts / 2) - ts / 2 - special.gammaln(df / 2) - np.log(2)


def _log_sf(ts: np.ndarray, df: float) -> np.ndarray:
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
