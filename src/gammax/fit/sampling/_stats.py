"""How far chains can be trusted: R-hat and effective sample sizes (Vehtari et al. 2021, Bayesian Analysis 16, 667)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import ndtri

# what Vehtari et al. ask for: chains that agree this well, and so many independent draws in each
_AGREE, _DRAWS_PER_CHAIN = 1.01, 100.0


def judge_chains(samples: Mapping[str, np.ndarray], n_divergences: int) -> tuple[str, str]:
    """Whether draws (C, N) by parameter can be taken for the posterior: ok or not_converged, and a sentence.

    What is held has no say.
    """
    moving = {name: draws for name, draws in samples.items() if np.ptp(draws) > 0}
    ratios = {name: r_hat(draws) for name, draws in moving.items()}
    numbers = {name: np.minimum(ess_bulk(draws), ess_tail(draws)) for name, draws in moving.items()}
    needed = _DRAWS_PER_CHAIN * max((len(draws) for draws in moving.values()), default=0)
    words = [f"R-hat {ratio:.3f} of {name}" for name, ratio in ratios.items() if not ratio <= _AGREE]
    words += [
        f"{number:.0f} independent draws of {name}, fewer than {needed:.0f}"
        for name, number in numbers.items()
        if not number >= needed
    ]
    if n_divergences:
        words += [f"{n_divergences} divergences: raise target_acceptance, or bound what must not become negative"]
    if words or not moving:
        return "not_converged", "; ".join(words) or "no parameter has moved"
    return "ok", f"R-hat at most {max(ratios.values()):.3f}, at least {min(numbers.values()):.0f} independent draws"


def r_hat(draws: np.ndarray) -> float:
    """Rank-normalised split R-hat of chains (C, N), the larger of that of the draws and that of their distance from the
    median; 1 where the chains agree. NaN where a draw is not finite or all are equal, or with fewer than 4."""
    if not _varies(draws):
        return np.nan
    halves = _split(draws)
    return max(_ratio(_normal_scores(x)) for x in (halves, np.abs(halves - np.median(halves))))


def ess_bulk(draws: np.ndarray) -> float:
    """Number of independent draws that know the centre of a distribution as well as chains (C, N); NaN as `r_hat`."""
    return _ess(_normal_scores(_split(draws))) if _varies(draws) else np.nan


def ess_tail(draws: np.ndarray) -> float:
    """As `ess_bulk`, for the 5 and 95 % quantiles: the smaller of both."""
    if not _varies(draws):
        return np.nan
    tails = [(_split(draws) <= quantile).astype(float) for quantile in np.quantile(draws, (0.05, 0.95))]
    return min(_ess(tail) if _varies(tail) else np.nan for tail in tails)


def _varies(draws: np.ndarray) -> bool:
    return draws.shape[1] >= 4 and bool(np.isfinite(draws).all()) and np.ptp(draws) > 0


def _split(draws: np.ndarray) -> np.ndarray:
    """Both halves of every chain as chains, without the middle draw of an odd number."""
    half = draws.shape[1] // 2
    return np.concatenate([draws[:, :half], draws[:, -half:]])


def _normal_scores(draws: np.ndarray) -> np.ndarray:
    """Normal quantiles of the ranks among all draws."""
    # a fifth of a second, which a fit does without
    from scipy.stats import rankdata

    return ndtri((rankdata(draws).reshape(draws.shape) - 0.375) / (draws.size + 0.25))


def _variances(draws: np.ndarray) -> tuple[float, float]:
    """Variance within chains, and the estimate of that of the distribution, which is larger where chains differ."""
    n = draws.shape[1]
    within = draws.var(axis=1, ddof=1).mean()
    return within, (n - 1) / n * within + draws.mean(axis=1).var(ddof=1)


def _ratio(draws: np.ndarray) -> float:
    within, whole = _variances(draws)
    return float(np.sqrt(whole / within)) if within > 0 else np.inf


def _ess(draws: np.ndarray) -> float:
    """Draws over their autocorrelation time, summed over pairs of lags as long as these are positive, and without their
    rises (Geyer 1992, Statistical Science 7, 473); of the pair after them the even lag counts once, if positive."""
    n = draws.shape[1]
    within, whole = _variances(draws)
    correlation = 1.0 - (within - _autocovariance(draws).mean(axis=0) * n / (n - 1)) / whole
    correlation[0] = 1.0
    pairs = correlation[: n // 2 * 2].reshape(-1, 2).sum(axis=1)
    positive = np.argmax(pairs <= 0) if np.any(pairs <= 0) else len(pairs)
    next_even = max(correlation[2 * positive], 0.0) if positive < len(pairs) else 0.0
    time = 2.0 * np.minimum.accumulate(pairs[:positive]).sum() + next_even - 1.0
    # antithetic chains may know more than independent draws, but not without limit
    return float(draws.size / max(time, 1.0 / np.log10(draws.size)))


def _autocovariance(draws: np.ndarray) -> np.ndarray:
    """Of every chain (C, N), at lags 0 to N - 1, by Fourier transform; divided by N at every lag."""
    n = draws.shape[1]
    spectrum = np.fft.rfft(draws - draws.mean(axis=1, keepdims=True), 2 * n, axis=1)
    return np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :n] / n
