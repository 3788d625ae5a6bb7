"""What a sampler found: draws from the posterior, and how far they can be trusted."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table

from gammax.errors import FitError
from gammax.fit.sampling._corner import draw_corner
from gammax.fit.sampling._stats import ess_bulk, ess_tail, r_hat
from gammax.models import Models

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_QUANTILES = (0.16, 0.5, 0.84)


@dataclasses.dataclass(frozen=True, eq=False)
class SamplerResult:
    """Draws from the posterior of the free parameters.

    Attributes
    ----------
    models : the models at the posterior mean, with the posterior covariance.
    status : one of ok, not_converged (chains disagree, too few independent draws, or divergences), singular (neither
        data nor bounds limit a direction), no_data (no bin inside the masks), invalid_input (the statistic is not
        finite where the chains start), interrupted (by Ctrl-C: what there is so far).
    message : the status in a sentence.
    names, units : of the free parameters, (P,).
    samples : draws by name in the parameters' units, (chain, draw).
    sampler_results : per draw (chain, draw), by the names of ArviZ: lp (-S / 2, the logarithm of the posterior density
        but for a constant), energy, acceptance_rate, n_steps, tree_depth, step_size, diverging.
    nfev : evaluations of the likelihood with its gradient, those of the warm-up included.
    """

    models: Models
    status: str
    message: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    samples: dict[str, np.ndarray]
    sampler_results: dict[str, np.ndarray]
    nfev: int

    @property
    def success(self) -> bool:
        """Whether the draws can be taken for the posterior."""
        return self.status == "ok"

    @property
    def values(self) -> np.ndarray:
        """Draws of all parameters in their units, (chain, draw, P)."""
        return np.stack([self.samples[name] for name in self.names], axis=-1)

    @property
    def mean(self) -> np.ndarray:
        """Posterior means, (P,); NaN without draws."""
        return self._over_draws(lambda draws: draws.mean(axis=0), np.nan)

    @property
    def median(self) -> np.ndarray:
        """Posterior medians, (P,)."""
        return self._over_draws(lambda draws: np.median(draws, axis=0), np.nan)

    @property
    def errors(self) -> np.ndarray:
        """Posterior standard deviations, (P,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def covariance(self) -> np.ndarray:
        """Posterior covariance in the parameters' units, (P, P)."""
        size = len(self.names)
        return self._over_draws(lambda draws: np.cov(draws.T).reshape(size, size), np.full((size, size), np.nan))

    @cached_property
    def r_hat(self) -> np.ndarray:
        """Rank-normalised split R-hat, (P,); above 1.01 the chains disagree. NaN for what is held."""
        return np.array([r_hat(self.samples[name]) for name in self.names])

    @cached_property
    def ess_bulk(self) -> np.ndarray:
        """Effective number of independent draws for the centre of the posterior, (P,)."""
        return np.array([ess_bulk(self.samples[name]) for name in self.names])

    @cached_property
    def ess_tail(self) -> np.ndarray:
        """Effective number of independent draws for the 5 and 95 % quantiles, (P,)."""
        return np.array([ess_tail(self.samples[name]) for name in self.names])

    @property
    def n_divergences(self) -> int:
        """Number of draws whose trajectory went astray: where there are some, part of the posterior is not reached."""
        return int(self.sampler_results["diverging"].sum())

    @property
    def parameters(self) -> Table:
        """Table of the free parameters: name, mean, error, quantiles, unit, R-hat, effective numbers of draws."""
        nothing = np.full((len(_QUANTILES), len(self.names)), np.nan)
        low, median, high = self._over_draws(lambda draws: np.quantile(draws, _QUANTILES, axis=0), nothing)
        columns = {"name": list(self.names), "mean": self.mean, "error": self.errors}
        columns |= {"q16": low, "median": median, "q84": high, "unit": list(self.units)}
        return Table({**columns, "r_hat": self.r_hat, "ess_bulk": self.ess_bulk, "ess_tail": self.ess_tail})

    def to_arviz(self) -> Any:
        """Draws and statistics for ArviZ: a DataTree with the groups `posterior` and `sample_stats`.

        Raises
        ------
        FitError : the package arviz-base is not installed.
        """
        try:
            from arviz_base import from_dict
        except ImportError as error:
            do = "pip install 'gammax[sample]'"
            raise FitError("GX-FIT-502", "to_arviz needs the package arviz-base", do=do) from error
        return from_dict({"posterior": self.samples, "sample_stats": self.sampler_results})

    def plot_corner(self, bins: int = 30, figure: Figure | None = None) -> Figure:
        """Histograms of all parameters and of their pairs, with contours that hold 39.3 and 86.5 % of the draws: 1 and
        2 sigma of a Gaussian of two dimensions.

        Raises
        ------
        FitError : there are no draws.
        """
        if not self.values.size:
            raise FitError("GX-FIT-503", "no draws to plot", found=f"{self.status}: {self.message}")
        return draw_corner(self.values.reshape(-1, len(self.names)), self.names, self.units, bins, figure)

    def _over_draws(self, function: Any, without: Any) -> Any:
        """A function of the draws (chain * draw, P); where there are fewer than two, something else."""
        draws = self.values.reshape(-1, len(self.names))
        return function(draws) if len(draws) > 1 else np.broadcast_to(without, np.shape(without) or len(self.names))

    def __repr__(self) -> str:
        n_chains, n_draws, _ = self.values.shape
        head = (
            f"SamplerResult: {self.status} ({self.message})\n"
            f"  {n_chains} chains of {n_draws} draws, {self.n_divergences} divergences, {self.nfev} gradients\n"
        )
        return head + "\n".join(f"  {line}" for line in self._formatted().pformat(max_lines=-1, max_width=-1))

    def _repr_html_(self) -> str:
        color = "green" if self.success else "crimson"
        return f"<p><b style='color:{color}'>{self.status}</b>: {self.message}</p>{self._formatted()._repr_html_()}"

    def _formatted(self) -> Table:
        table = self.parameters
        for names, form in ((("mean", "error", "q16", "median", "q84"), ".5g"), (("ess_bulk", "ess_tail"), ".0f")):
            for name in names:
                table[name].info.format = form
        table["r_hat"].info.format = ".4f"
        return table
