"""Significances, and what a test statistic means in Gaussian sigmas (Wilks' theorem)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from gammax.stats._chi2_tail import LOG_SMALLEST, crossing, log_pdf, log_sf, noncentral_sigma, noncentral_ts
from gammax.stats._counts_statistic import WStatCountsStatistic


def li_ma_significance(n_on: ArrayLike, n_off: ArrayLike, alpha: ArrayLike) -> np.ndarray:
    """Significance of the excess n_on - alpha n_off, with its sign (Li & Ma 1983, ApJ 272, 317, eq. 17).

    Parameters and errors are those of `WStatCountsStatistic`.
    """
    return WStatCountsStatistic(n_on, n_off, alpha).sqrt_ts


def sigma_to_ts(n_sigma: ArrayLike, df: float = 1, n_sigma_asimov: float = 0.0) -> np.ndarray:
    """Test statistic that is as improbable, as a chi2 of ``df`` degrees of freedom, as ``n_sigma`` (two-sided).

    With ``n_sigma_asimov``, the significance of the Asimov data, both are compared where the alternative is true:
    chi2 is then non-central (Wald 1943; Cowan et al. 2011, EPJ C 71, 1554), as sensitivities need it.
    """
    n_sigma = np.abs(np.asarray(n_sigma, dtype=float))
    if df == 1:
        return (n_sigma**2)[()]
    if n_sigma_asimov:
        return noncentral_ts(n_sigma, df, n_sigma_asimov**2)
    log_p = np.log(2) + special.log_ndtr(-n_sigma)
    ts = np.where(log_p > LOG_SMALLEST, special.chdtri(df, np.exp(log_p)), n_sigma**2 + df)
    for _ in range(8):  # Newton in ln(sf), which is nearly straight
        log_tail = log_sf(ts, df)
        hazard = np.exp(log_pdf(ts, df) - log_tail)
        ts = np.where(log_p > LOG_SMALLEST, ts, ts + (log_tail - log_p) / hazard)
    return ts[()]


def ts_to_sigma(ts: ArrayLike, df: float = 1, ts_asimov: float = 0.0) -> np.ndarray:
    """Number of sigmas (>= 0, two-sided) of a test statistic with ``df`` degrees of freedom; finite however large.

    ``ts_asimov``, the test statistic of the Asimov data, as in `sigma_to_ts`.
    """
    ts = np.maximum(np.asarray(ts, dtype=float), 0.0)
    if df == 1:
        return np.sqrt(ts)
    if ts_asimov:
        return noncentral_sigma(ts, df, ts_asimov)
    return -special.ndtri_exp(log_sf(ts, df) - np.log(2))


def ts_to_p_value(ts: ArrayLike, df: float = 1, at_bound: bool = False) -> np.ndarray:
    """Probability of a larger test statistic where the null hypothesis is true; 0 beyond the range of floats.

    With ``at_bound`` one of the ``df`` parameters has its null value at its bound, as the norm of a source that cannot
    be negative: half of the time the best fit stays there, and the test statistic follows an equal mixture of chi2 with
    ``df`` - 1 and ``df`` degrees of freedom (Chernoff 1954, Ann. Math. Stat. 25, 573; Self & Liang 1987, JASA 82, 605).
    """
    return np.exp(log_p_value(ts, df, at_bound))


def log_p_value(ts: ArrayLike, df: float, at_bound: bool) -> np.ndarray:
    """Logarithm of `ts_to_p_value`."""
    ts = np.asarray(ts, dtype=float)
    inside = log_sf(np.maximum(ts, 0.0), df)
    if not at_bound:
        return inside
    other = log_sf(np.maximum(ts, 0.0), df - 1) if df > 1 else np.full(ts.shape, -np.inf)
    with np.errstate(invalid="ignore"):  # where ts is NaN
        return np.where(ts <= 0, 0.0, np.logaddexp(inside, other) - np.log(2))


def ts_at_bound(n_sigma: float, df: float) -> float:
    """Test statistic that is as improbable, with a null value at a bound, as ``n_sigma`` >= 0 (one-sided)."""
    if df == 1:
        return n_sigma**2
    log_p = special.log_ndtr(-n_sigma)
    return crossing(lambda ts: float(log_p_value(ts, df, True)) - log_p)
