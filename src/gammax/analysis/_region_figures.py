"""Spectra of counts in regions of cubes, with their residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gammax.analysis._sky_images import RegionSums, signed_root
from gammax.plot._counts import _draw_points, poisson_interval
from gammax.plot._style import BACKGROUND, DATA, MODEL, format_energy_axis, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# regions that are shown
MOST_REGIONS, _MOST_COLUMNS = 6, 2


def region_panels(n: int) -> tuple[int, int]:
    """Rows and columns of the spectra of some regions."""
    columns = min(n, _MOST_COLUMNS)
    return -(-n // columns), columns


def plot_region_counts(
    edges: np.ndarray, sums: dict[str, RegionSums], regions: dict[str, Any], has_models: bool, figure: Figure
) -> str:
    """Draw counts, prediction and residuals over energy in regions, by name; returns what the picture shows."""
    rows, columns = region_panels(len(sums))
    grid = figure.add_gridspec(rows, columns)
    for k, (name, found) in enumerate(sums.items()):
        place = grid[k // columns, k % columns].subgridspec(2, 1, height_ratios=(3, 1))
        axes: Any = place.subplots(sharex=True)
        upper, lower = axes
        _draw_region(edges, found, has_models, upper, lower)
        radius = regions[name].radius.to_value("deg")
        upper.set_title(f"Within {radius:.2g} deg of {plain(name)}" if len(sums) > 1 else "", loc="left")
        if k % columns:
            upper.set_ylabel("")
            lower.set_ylabel("")
        if k == 0 or columns == 1:
            upper.legend(ncols=3 if columns == 1 else 1)
    where = "the regions" if len(sums) > 1 else f"the circle of {radius:.2g} deg about {name}"
    what = "prediction of the best fit (all sources) and background" if has_models else "background"
    return f"Counts in {where} with Poisson errors, {what}; residuals as the signed root of the Cash statistic."


def _draw_region(edges: np.ndarray, found: RegionSums, has_models: bool, upper: Axes, lower: Axes) -> None:
    bins = found.bins
    upper.stairs(found.background, edges, fill=True, color=BACKGROUND, label="background", zorder=1)
    if has_models:
        upper.stairs(
            np.where(bins, found.npred, np.nan), edges, color=MODEL, baseline=None, label="prediction", zorder=3
        )
    _draw_points(upper, found.counts, edges, bins, color=DATA, alpha=1.0, label="counts")
    highest = max(poisson_interval(found.counts)[1].max(), found.npred.max(), 2.0)
    upper.set(yscale="log", ylim=(0.3, 2.5 * highest), ylabel="Counts per bin")
    upper.yaxis.set_major_formatter("{x:g}")
    upper.tick_params(labelbottom=False, which="both")
    values = np.where(bins, signed_root(found.counts, found.npred), np.nan)
    for n_sigma in (2, 1):
        lower.axhspan(-n_sigma, n_sigma, color=BACKGROUND, alpha=0.35, lw=0, zorder=0)
    lower.axhline(0.0, color=MODEL, lw=1.0, zorder=1)
    lower.plot(np.sqrt(edges[:-1] * edges[1:]), values, "o", ms=3.4, color=DATA, zorder=2)
    reach = max(3.0, 1.15 * np.nanmax(np.abs(values), initial=0.0) + 0.3)
    lower.set(ylim=(-reach, reach), ylabel=r"Residual [$\sigma$]")
    seen = np.flatnonzero(bins)
    lower.set_xlim(edges[seen[0]], edges[seen[-1] + 1])
    format_energy_axis(lower)
    upper.set_xlabel("")
