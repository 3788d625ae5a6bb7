"""Counts of spectra with what a model predicts, and the residuals in standard deviations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import chdtri, gammaincinv

from gammax.maps._plot import get_axes
from gammax.plot._style import BACKGROUND, DATA, MASKED, MODEL, format_energy_axis, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gammax.datasets import SpectrumDataset, SpectrumDatasetOnOff
    from gammax.models import Models

    Spectrum = SpectrumDataset | SpectrumDatasetOnOff

# how far beyond the mask other bins are shown, as a fraction of its extent
_NEIGHBOURHOOD = 0.25
_ONE_SIGMA = 0.15865525393145707


def poisson_interval(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Central 68.27 % interval of the mean for observed counts (Garwood 1936, Biometrika 28, 437).

    Returns
    -------
    lower, upper : shape of `counts`; the lower limit of zero counts is 0.
    """
    counts = np.asarray(counts, dtype=np.float64)
    lower = np.where(counts > 0, gammaincinv(np.maximum(counts, 1e-9), _ONE_SIGMA), 0.0)
    return lower, 0.5 * chdtri(2.0 * (counts + 1.0), _ONE_SIGMA)


def deviance_residuals(dataset: Spectrum, models: Models | None = None) -> np.ndarray:
    """Residuals in standard deviations, shape (R,), NaN outside the mask: sign(n - mu) sqrt(statistic of the bin).

    The statistic is measured from its smallest possible value (cstat, wstat). It follows the normal law better than
    (n - mu) / sqrt(mu) where counts are few, and for ON-OFF spectra holds the uncertainty of the background.
    """
    from gammax.stats import cstat

    counts, npred = dataset.counts.values(), dataset.npred(models).values()
    if dataset.stat_type == "wstat":
        statistic = dataset.stat_array(models)
    else:
        statistic = np.where(dataset.mask, np.asarray(cstat(dataset.arrays.counts, npred)), np.nan)
    # rounding makes a perfect bin slightly negative
    return np.sign(counts - npred) * np.sqrt(np.maximum(statistic, 0.0))


def plot_counts(dataset: Spectrum, models: Models | None = None, ax: Axes | None = None) -> Axes:
    """Counts with Poisson errors, the measured or expected background, and the prediction of models.

    Bins outside the mask are drawn light. The background of an ON-OFF spectrum is the OFF counts scaled by alpha.
    """
    ax = get_axes(ax)
    counts, mask, edges = dataset.counts.values(), dataset.mask, dataset.energy_axis.edges_value("TeV")
    _draw_background(ax, dataset, edges)
    if models is not None:
        npred = dataset.npred(models).values()
        ax.stairs(np.where(mask, npred, np.nan), edges, color=MODEL, baseline=None, label="model", zorder=3)
    for chosen, alpha, label in ((mask, 1.0, "counts"), (~mask, MASKED, None)):
        _draw_points(ax, counts, edges, chosen, color=DATA, alpha=alpha, label=label)
    if (~mask & (counts > 0)).any():
        ax.errorbar([], [], xerr=[], yerr=[], fmt="none", color=DATA, alpha=MASKED, label="outside the mask")
    ax.set_yscale("log")
    # from a third of a count, where single counts and their errors still show
    ax.set_ylim(0.3, 2.5 * max(poisson_interval(counts)[1].max(), 2.0))
    _set_energy_limits(ax, dataset)
    ax.set_ylabel("Counts per bin")
    ax.yaxis.set_major_formatter("{x:g}")
    format_energy_axis(ax)
    return ax


def plot_residuals(dataset: Spectrum, models: Models | None = None, ax: Axes | None = None) -> Axes:
    """Residuals of `deviance_residuals` over energy, with the bands of 1 and 2 standard deviations.

    Without models they are the significance of the excess in every bin.
    """
    from matplotlib.ticker import MaxNLocator

    ax = get_axes(ax)
    center = dataset.energy_axis.center_value("TeV")
    values = deviance_residuals(dataset, models)
    for n_sigma, alpha in ((2, 0.35), (1, 0.35)):
        ax.axhspan(-n_sigma, n_sigma, color=BACKGROUND, alpha=alpha, lw=0, zorder=0)
    ax.axhline(0.0, color=MODEL, lw=1.0, zorder=1)
    ax.plot(center, values, "o", ms=3.4, color=DATA, zorder=2)
    reach = max(3.0, 1.15 * np.nanmax(np.abs(values), initial=0.0) + 0.3)
    ax.set(ylim=(-reach, reach), ylabel=r"Residual [$\sigma$]" if models is not None else r"Excess [$\sigma$]")
    ax.yaxis.set_major_locator(MaxNLocator(3, integer=True, symmetric=True))
    _set_energy_limits(ax, dataset)
    format_energy_axis(ax)
    return ax


def plot_fit(dataset: Spectrum, models: Models | None = None, axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
    """Counts with prediction above, residuals below; `axes` are the two axes, made where none are given."""
    if axes is None:
        import matplotlib.pyplot as plt

        axes = tuple(plt.subplots(2, 1, sharex=True, height_ratios=(3, 1), layout="constrained")[1])
    upper, lower = axes
    plot_counts(dataset, models, upper)
    plot_residuals(dataset, models, lower)
    upper.set(title=plain(dataset.name), xlabel="")
    upper.tick_params(labelbottom=False, which="both")
    upper.legend()
    return axes


def _draw_points(ax: Axes, counts: np.ndarray, edges: np.ndarray, chosen: np.ndarray, **look: Any) -> None:
    """Counts as bars of the bins' width, with Poisson errors; an empty bin shows its upper error only."""
    if not chosen.any():
        return
    center, counts = np.sqrt(edges[:-1] * edges[1:])[chosen], counts[chosen]
    lower, upper = poisson_interval(counts)
    seen = counts > 0
    width = np.array([center - edges[:-1][chosen], edges[1:][chosen] - center])
    height = np.array([counts - lower, upper - counts])
    ax.errorbar(
        center[seen],
        counts[seen],
        xerr=width[:, seen],
        yerr=height[:, seen],
        fmt="none",
        elinewidth=0.9,
        zorder=4,
        **look,
    )
    ax.vlines(center[~seen], 1e-9, upper[~seen], lw=0.7, zorder=4, color=look["color"], alpha=look["alpha"] * MASKED)


def _draw_background(ax: Axes, dataset: Spectrum, edges: np.ndarray) -> None:
    """Filled histogram of the background, light outside the mask; nothing where the dataset has none."""
    if dataset.background is None:
        return
    values, mask = dataset.background.values(), dataset.mask
    label = "background (α × OFF)" if dataset.stat_type == "wstat" else "background"
    for chosen, alpha, name in ((mask, 1.0, label), (~mask, MASKED, None)):
        if chosen.any():
            ax.stairs(
                np.where(chosen, values, 0.0), edges, fill=True, color=BACKGROUND, alpha=alpha, label=name, zorder=1
            )


def _set_energy_limits(ax: Axes, dataset: Spectrum) -> None:
    """Limits that hold the mask and what was counted in its neighbourhood."""
    counts, log_edges = dataset.counts.values(), np.log(dataset.energy_axis.edges_value("TeV"))
    bins = np.flatnonzero(dataset.mask) if dataset.mask.any() else np.arange(len(counts))
    first, last = log_edges[bins[0]], log_edges[bins[-1] + 1]
    margin = _NEIGHBOURHOOD * (last - first)
    near = (log_edges[:-1] >= first - margin) & (log_edges[1:] <= last + margin) & (counts > 0)
    shown = np.union1d(bins, np.flatnonzero(near))
    low, high = log_edges[shown[0]], log_edges[shown[-1] + 1]
    ax.set_xscale("log")
    ax.set_xlim(np.exp(low - 0.02 * (high - low)), np.exp(high + 0.02 * (high - low)))
