"""One counting experiment, or an array of them: excess, significance, intervals. Host side: numpy in, numpy out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from gammax.errors import DataValueError
from gammax.stats._formulas import deviance, profiled_expectations, stationary_ratios
from gammax.stats._roots import expand_bracket, find_crossing


class CountsStatistic:
    """What both counting experiments share.

    Intervals are likelihood intervals: where the statistic exceeds its minimum, the one at the excess, by n_sigma^2.
    NaN in gives NaN out.
    """

    n_on: np.ndarray
    n_bkg: np.ndarray
    n_sig: np.ndarray
    stat_max: np.ndarray
    ts: np.ndarray

    @property
    def stat_null(self) -> np.ndarray:
        """Statistic without the signal that is tested for."""
        return self.ts + self.stat_max

    @property
    def sqrt_ts(self) -> np.ndarray:
        """Significance of the excess, with its sign (with an OFF region: Li & Ma 1983, eq. 17)."""
        return np.sign(self.n_sig) * np.sqrt(self.ts)

    @property
    def p_value(self) -> np.ndarray:
        """Probability of a fluctuation at least this large in the direction of this one (one-sided)."""
        return ndtr(-np.sqrt(self.ts))

    def compute_errn(self, n_sigma: float = 1) -> np.ndarray:
        """Distance from the excess down to the crossing; 0 where no smaller signal is possible (Cash with n_on = 0)."""
        return (self.n_sig - self._crossing(n_sigma, upward=False))[()]

    def compute_errp(self, n_sigma: float = 1) -> np.ndarray:
        """Distance from the excess up to the crossing."""
        return (self._crossing(n_sigma, upward=True) - self.n_sig)[()]

    def compute_upper_limit(self, n_sigma: float = 3) -> np.ndarray:
        """Signal at the upper crossing. It is negative after a large enough downward fluctuation."""
        return self._crossing(n_sigma, upward=True)[()]

    def n_sig_matching_significance(self, significance: ArrayLike) -> np.ndarray:
        """Excess over this background that has ``significance`` = `sqrt_ts`.

        NaN where there is none: a deficit larger than the background allows, or (Cash) no background, where any count
        is infinitely significant.
        """
        target = np.asarray(significance, dtype=float)
        target, null = np.broadcast_arrays(target, self._n_null)

        def function(n_on: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            value, slope = self._ts_of_counts(n_on)
            return value - target**2, slope

        deficit_fits = function(np.zeros_like(null))[0] >= 0
        exists = (null >= 0) & np.isfinite(self._ts_of_counts(null + 1)[0]) & ((target >= 0) | deficit_fits)
        step = np.where(exists & (target > 0), 1 + target * np.sqrt(np.abs(null)) + target**2, np.nan)
        outside = np.where(target > 0, expand_bracket(function, null, step), np.where(exists, 0.0, np.nan))
        excess = find_crossing(function, null, outside) - null
        return np.where(target == 0, 0 * null, excess)[()]

    def info_dict(self) -> dict[str, Any]:
        """The numbers of a summary by name."""
        return {
            "n_on": self.n_on,
            "background": self.n_bkg,
            "excess": self.n_sig,
            "significance": self.sqrt_ts,
            "p_value": self.p_value,
        }

    def __repr__(self) -> str:
        name = type(self).__name__
        if self.n_on.ndim:
            return f"{name}(shape {self.n_on.shape}, n_on {np.nansum(self.n_on):g}, excess {np.nansum(self.n_sig):.2f})"
        counts = f"n_on {self.n_on:g}, background {self.n_bkg:.2f}, excess {self.n_sig:.2f} +- {self.error:.2f}"
        return f"{name}({counts}, {self.sqrt_ts:.2f} sigma)"

    @property
    def error(self) -> np.ndarray:
        """Symmetric error of the excess, from the variances of the counts."""
        raise NotImplementedError

    @property
    def _n_null(self) -> np.ndarray:
        """Counts at which the excess is zero."""
        raise NotImplementedError

    def _crossing(self, n_sigma: float, upward: bool) -> np.ndarray:
        raise NotImplementedError

    def _ts_of_counts(self, n_on: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Test statistic and its slope if ``n_on`` counts had been seen."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False, repr=False)
class CashCountsStatistic(CountsStatistic):
    """Counts over a known background.

    Parameters
    ----------
    n_on : observed counts (>= 0).
    mu_bkg : expected background counts (>= 0).

    Raises
    ------
    DataValueError : negative or infinite counts or background.
    """

    n_on: np.ndarray
    mu_bkg: np.ndarray

    def __post_init__(self):
        _freeze(self, n_on=_checked("n_on", self.n_on), mu_bkg=_checked("mu_bkg", self.mu_bkg))

    @property
    def n_bkg(self) -> np.ndarray:
        """Expected background counts."""
        return self.mu_bkg

    @property
    def n_sig(self) -> np.ndarray:
        """Excess n_on - mu_bkg."""
        return self.n_on - self.mu_bkg

    @property
    def error(self) -> np.ndarray:
        """Symmetric error of the excess, sqrt(n_on)."""
        return np.sqrt(self.n_on)

    @property
    def stat_max(self) -> np.ndarray:
        """Cash statistic of the best fit, mu_on = n_on."""
        return 2 * self.n_on * (1 - np.log(np.where(self.n_on > 0, self.n_on, 1.0)))

    @property
    def ts(self) -> np.ndarray:
        """Test statistic of no signal; infinite for counts without any background."""
        return np.maximum(self._ts_of_counts(self.n_on)[0], 0.0)

    def sum(self, axis: int | tuple[int, ...] | None = None) -> CashCountsStatistic:
        """Counts and background added along ``axis``."""
        return CashCountsStatistic(self.n_on.sum(axis=axis), self.mu_bkg.sum(axis=axis))

    def info_dict(self) -> dict[str, Any]:
        """The numbers of a summary by name."""
        return super().info_dict() | {"mu_bkg": self.mu_bkg}

    def __getitem__(self, key: Any) -> CashCountsStatistic:
        return CashCountsStatistic(self.n_on[key], self.mu_bkg[key])

    @property
    def _n_null(self) -> np.ndarray:
        return self.mu_bkg

    def _crossing(self, n_sigma: float, upward: bool) -> np.ndarray:
        half = _checked_sigma(n_sigma) ** 2 / 2
        counts = self.n_on
        some = counts > 0
        safe = np.where(some, counts, 1.0)
        if upward:
            outside = counts + half + np.sqrt(half**2 + 2 * half * counts)
        else:
            outside = np.maximum(safe * np.exp(-1 - half / safe), counts - np.sqrt(2 * half * counts))
            outside = np.where(counts == 0, 0.0, outside)

        def function(mu_on: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            mu_safe = np.where(mu_on > 0, mu_on, 1.0)
            return deviance(np, counts, mu_on) - 2 * half, 2 * (mu_on - counts) / mu_safe

        return find_crossing(function, counts, outside) - self.mu_bkg

    def _ts_of_counts(self, n_on: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        usable = (n_on > 0) & (self.mu_bkg > 0)
        value = np.where(usable | (n_on == 0) | np.isnan(n_on), deviance(np, n_on, self.mu_bkg), np.inf)
        slope = 2 * np.log(np.where(usable, n_on, 1.0) / np.where(usable, self.mu_bkg, 1.0))
        return value, np.where(usable, slope, np.nan)


@dataclass(frozen=True, eq=False, repr=False)
class WStatCountsStatistic(CountsStatistic):
    """Counts in an ON region over a background measured in an OFF region.

    Parameters
    ----------
    n_on, n_off : observed counts (>= 0).
    alpha : ratio (> 0) of the ON to the OFF acceptance.
    mu_sig : signal that is known to be there; the excess is what comes on top.

    Raises
    ------
    DataValueError : negative or infinite counts; alpha zero, negative or infinite.
    """

    n_on: np.ndarray
    n_off: np.ndarray
    alpha: np.ndarray
    mu_sig: np.ndarray | float = 0

    def __post_init__(self):
        _freeze(
            self,
            n_on=_checked("n_on", self.n_on),
            n_off=_checked("n_off", self.n_off),
            alpha=_checked("alpha", self.alpha, positive=True),
            mu_sig=np.asarray(self.mu_sig, dtype=float),
        )

    @property
    def n_bkg(self) -> np.ndarray:
        """Background counts in the ON region, alpha n_off."""
        return self.alpha * self.n_off

    @property
    def n_sig(self) -> np.ndarray:
        """Excess n_on - alpha n_off - mu_sig."""
        return self.n_on - self.n_bkg - self.mu_sig

    @property
    def error(self) -> np.ndarray:
        """Symmetric error of the excess, sqrt(n_on + alpha^2 n_off)."""
        return np.sqrt(self.n_on + self.alpha**2 * self.n_off)

    @property
    def stat_max(self) -> np.ndarray:
        """W statistic of the best fit, mu_on = n_on and mu_bkg = n_off: zero."""
        return np.zeros_like(self.n_on)

    @property
    def ts(self) -> np.ndarray:
        """Test statistic of no signal on top of mu_sig."""
        return np.maximum(self._stat(self.n_on, self.mu_sig)[0], 0.0)

    def sum(self, axis: int | tuple[int, ...] | None = None) -> WStatCountsStatistic:
        """Counts summed along ``axis``; alpha keeps the background (its mean where there are no OFF counts)."""
        n_off = self.n_off.sum(axis=axis)
        alpha = np.where(
            n_off > 0, self.n_bkg.sum(axis=axis) / np.where(n_off > 0, n_off, 1.0), self.alpha.mean(axis=axis)
        )
        return WStatCountsStatistic(self.n_on.sum(axis=axis), n_off, alpha, self.mu_sig.sum(axis=axis))

    def info_dict(self) -> dict[str, Any]:
        """The numbers of a summary by name."""
        return super().info_dict() | {"n_off": self.n_off, "alpha": self.alpha, "mu_sig": self.mu_sig}

    def __getitem__(self, key: Any) -> WStatCountsStatistic:
        return WStatCountsStatistic(self.n_on[key], self.n_off[key], self.alpha[key], self.mu_sig[key])

    @property
    def _n_null(self) -> np.ndarray:
        return self.n_bkg + self.mu_sig

    def _crossing(self, n_sigma: float, upward: bool) -> np.ndarray:
        threshold = _checked_sigma(n_sigma) ** 2
        best = self.n_on - self.n_bkg

        def function(mu_sig: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            value, slope = self._stat(self.n_on, mu_sig)
            return value - threshold, slope

        step = n_sigma * self.error + threshold
        outside = expand_bracket(function, best, step if upward else -step)
        return find_crossing(function, best, outside) - self.mu_sig

    def _stat(self, n_on: np.ndarray, mu_sig: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """W statistic and its slope in mu_sig."""
        arrays = n_on, self.n_off, self.alpha, mu_sig
        mu_on, mu_bkg = profiled_expectations(np, *arrays)
        slope = 2 * (1 - stationary_ratios(np, *arrays, mu_on, mu_bkg)[0])
        return deviance(np, n_on, mu_on) + deviance(np, self.n_off, mu_bkg), slope

    def _ts_of_counts(self, n_on: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mu_on, mu_bkg = profiled_expectations(np, n_on, self.n_off, self.alpha, self.mu_sig)
        usable = (n_on > 0) & (mu_on > 0)
        slope = 2 * np.log(np.where(usable, n_on, 1.0) / np.where(usable, mu_on, 1.0))
        return deviance(np, n_on, mu_on) + deviance(np, self.n_off, mu_bkg), np.where(usable, slope, np.nan)


def _checked(name: str, values: ArrayLike, positive: bool = False) -> np.ndarray:
    array = np.array(values, dtype=float)
    bad = np.isinf(array) | (array <= 0 if positive else array < 0)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise DataValueError(
            "GX-STATS-002",
            f"{name} of a counts statistic is out of range",
            found=f"{name}{list(index) if index else ''} = {array[index]:g}",
            expected="positive and finite" if positive else "not negative and finite",
        )
    return array


def _checked_sigma(n_sigma: float) -> float:
    if not n_sigma > 0:
        raise DataValueError("GX-STATS-003", "n_sigma of an interval must be positive", found=n_sigma)
    return float(n_sigma)


def _freeze(statistic: CountsStatistic, **arrays: np.ndarray) -> None:
    shaped = np.broadcast_arrays(*arrays.values())
    for name, array in zip(arrays, shaped, strict=True):
        copy = np.array(array)
        copy.setflags(write=False)
        object.__setattr__(statistic, name, copy)
