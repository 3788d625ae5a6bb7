"""The two statistics of counts, the same for spectra and cubes."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from gammax.datasets._random import poisson, random_generator


class CashMethods:
    """Methods of a dataset whose background is known: counts follow a Poisson law (cash)."""

    stat_type: ClassVar[str] = "cash"

    def npred_background(self: Any, models: Any = None) -> Any:
        """Expected background counts as the background models of `models` scale and add to it; zero where the dataset
        has none."""
        if models is not None:
            from gammax.folding import predict_background

            return self._to_map(predict_background(self, models).reshape(self.mask.shape))
        values = self._background_values()
        return self._to_map(np.zeros(self.mask.shape) if values is None else values)

    def stat_array(self: Any, models: Any = None) -> np.ndarray:
        """Cash statistic of every bin, shape of the counts; NaN outside the mask."""
        from gammax._config import require_x64
        from gammax.stats import cash

        require_x64()
        values = cash(self.arrays.counts.reshape(self.mask.shape), self.npred(models).values())
        return np.where(self.mask, np.asarray(values), np.nan)

    def fake(self: Any, models: Any = None, random_state: Any = None) -> Any:
        """Dataset with counts drawn from a Poisson law of mean npred, in all bins.

        Parameters
        ----------
        random_state : seed, numpy generator, or None for a new one.

        Raises
        ------
        DataValueError : npred is negative or not finite.
        """
        counts = poisson(self.npred(models).values(), random_generator(random_state), "npred")
        return self.replace(counts=self._to_map(counts))


class OnOffMethods:
    """Methods of a dataset whose background is measured: ON counts and OFF counts (wstat)."""

    stat_type: ClassVar[str] = "wstat"

    @property
    def alpha(self: Any) -> Any:
        """Acceptance / acceptance_off, 0 where both are 0."""
        return self._to_map(ratio(self.acceptance.values(), self.acceptance_off.values()))

    @property
    def background(self: Any) -> Any:
        """Background in the ON region as measured: alpha x counts_off.

        Without OFF acceptance it is 0 where there are no OFF counts, and infinite where there are.
        """
        values, alpha = self.counts_off.values(), self.alpha.values()
        return self._to_map(np.multiply(alpha, values, out=np.zeros(values.shape), where=values != 0))

    def npred_background(self: Any, models: Any = None) -> Any:
        """Background in the ON region that fits ON and OFF counts best, given the models; 0 where alpha is 0."""
        values = self._off_values(models)
        return self._to_map(np.multiply(self.alpha.values(), values, out=np.zeros(values.shape), where=values != 0))

    def npred_off(self: Any, models: Any = None) -> Any:
        """Expected OFF counts that fit ON and OFF counts best, given the models; 0 where alpha is 0."""
        return self._to_map(self._off_values(models))

    def stat_array(self: Any, models: Any = None) -> np.ndarray:
        """W statistic of every bin, shape of the counts; NaN outside the mask."""
        from gammax._config import require_x64
        from gammax.stats import wstat

        require_x64()
        values = (getattr(self.arrays, name).reshape(self.mask.shape) for name in ("counts", "counts_off", "alpha"))
        return np.where(self.mask, np.asarray(wstat(*values, self._signal_values(models))), np.nan)

    def fake(self: Any, models: Any, npred_background: Any, random_state: Any = None) -> Any:
        """Dataset with ON counts drawn from a Poisson law of mean signal + background, and OFF counts to match.

        Parameters
        ----------
        npred_background : expected background in the ON region: a map, an array or a number. OFF counts have the mean
            npred_background / alpha, 0 where alpha is 0.
        random_state : seed, numpy generator, or None for a new one.

        Raises
        ------
        DataValueError : an expectation is negative or not finite.
        """
        random = random_generator(random_state)
        background = self._as_map(npred_background, "npred_background").values()
        alpha = self.alpha.values()
        mean_off = np.divide(background, alpha, out=np.zeros_like(background), where=alpha > 0)
        counts = poisson(self._signal_values(models) + background, random, "npred")
        counts_off = poisson(mean_off, random, "npred_background / alpha")
        return self.replace(counts=self._to_map(counts), counts_off=self.counts_off.replace(data=counts_off))

    def _off_values(self: Any, models: Any) -> np.ndarray:
        from gammax._config import require_x64
        from gammax.stats import wstat_mu_bkg

        require_x64()
        alpha = self.alpha.values()
        valid = np.isfinite(alpha) & (alpha > 0)
        values = wstat_mu_bkg(
            self.counts.values(), self.counts_off.values(), np.where(valid, alpha, 1.0), self._signal_values(models)
        )
        return np.where(valid, np.asarray(values), 0.0)


def ratio(on: np.ndarray, off: np.ndarray) -> np.ndarray:
    """Acceptance ratio; 0 / 0 counts as 0, anything else / 0 as infinite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((on == 0) & (off == 0), 0.0, on / off)


def acceptance_off(on: np.ndarray, off: np.ndarray, background: np.ndarray, fallback: np.ndarray) -> np.ndarray:
    """OFF acceptance of bins taken together that conserves the excess: on x off / background.

    Parameters
    ----------
    on, off, background : sums of ON acceptance, of OFF counts, and of alpha x OFF counts.
    fallback : the value where there are no OFF counts, which determine none.
    """
    safe = np.where(background > 0, background, np.nan)
    return np.where(off > 0, np.where(background > 0, on * off / safe, np.inf), fallback)
