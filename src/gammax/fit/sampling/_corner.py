"""A corner plot: every parameter, and every pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# parts of the draws inside the contours: 1 and 2 sigma of a Gaussian of two dimensions
_INSIDE = (1 - np.exp(-0.5), 1 - np.exp(-2.0))
_COLOR = "#2a6f97"
_PANEL_INCH = 2.1
# part of the draws that a panel shows
_SHOWN = (0.001, 0.999)


def draw_corner(
    draws: np.ndarray, names: Sequence[str], units: Sequence[str], bins: int, figure: Figure | None
) -> Figure:
    """Draw into a figure, or a new one.

    Parameters
    ----------
    draws : (N, P). names, units : of the columns.
    """
    import matplotlib.pyplot as plt

    size = draws.shape[1]
    figure = figure or plt.figure(figsize=(_PANEL_INCH * size + 0.8,) * 2, layout="constrained")
    panels = figure.subplots(size, size, squeeze=False, sharex="col")
    exponents = [_exponent(column) for column in draws.T]
    draws = draws / 10.0 ** np.array(exponents)
    labels = [_label(*words) for words in zip(names, exponents, units, strict=True)]
    edges = [_edges(column, bins) for column in draws.T]
    for row in range(size):
        for column in range(size):
            panel = panels[row, column]
            if column > row:
                panel.set_axis_off()
            elif column == row:
                _draw_one(panel, draws[:, row], edges[row])
            else:
                _draw_pair(panel, draws[:, column], draws[:, row], edges[column], edges[row])
            panel.tick_params(labelsize=8, labelleft=0 == column < row, labelbottom=row == size - 1)
        panels[-1, row].set_xlabel(labels[row], fontsize=9)
        if row:
            panels[row, 0].set_ylabel(labels[row], fontsize=9)
    return figure


def _exponent(column: np.ndarray) -> int:
    """Power of ten to take out of the numbers of an axis."""
    largest = np.abs(column).max()
    exponent = int(np.floor(np.log10(largest))) if largest > 0 else 0
    return exponent if abs(exponent) > 2 else 0


def _label(name: str, exponent: int, unit: str) -> str:
    source, _, short = name.replace(".spectral", "").replace(".spatial", "").partition(".")
    power = f"$10^{{{exponent}}}$ " if exponent else ""
    return f"{source}\n{short}" + (f"\n[{power}{unit}]" if power or unit else "")


def _edges(column: np.ndarray, bins: int) -> np.ndarray:
    low, high = np.quantile(column, _SHOWN)
    # what is held has no width
    pad = 0.02 * (high - low) or 1e-3 * (abs(low) or 1.0)
    return np.linspace(low - pad, high + pad, bins + 1)


def _draw_one(panel: Axes, column: np.ndarray, edges: np.ndarray) -> None:
    """Histogram, with the median and the 16 and 84 % quantiles."""
    low, median, high = np.quantile(column, (0.16, 0.5, 0.84))
    panel.hist(column, edges, histtype="stepfilled", color=_COLOR, alpha=0.25)
    panel.hist(column, edges, histtype="step", color=_COLOR)
    for quantile, style in ((low, ":"), (median, "-"), (high, ":")):
        panel.axvline(quantile, color="k", ls=style, lw=0.9)
    digits = _digits(min(median - low, high - median))
    panel.set_title(f"${median:.{digits}f}_{{-{median - low:.{digits}f}}}^{{+{high - median:.{digits}f}}}$", fontsize=9)
    panel.set_yticks([])


def _digits(error: float) -> int:
    """Decimals with which an error has two digits."""
    return int(np.clip(1 - np.floor(np.log10(error)), 0, 12)) if error > 0 else 3


def _draw_pair(panel: Axes, x: np.ndarray, y: np.ndarray, x_edges: np.ndarray, y_edges: np.ndarray) -> None:
    """Density of the draws, and contours that hold parts of them."""
    density, *_ = np.histogram2d(x, y, (x_edges, y_edges))
    panel.pcolormesh(x_edges, y_edges, density.T, cmap="Blues", rasterized=True)
    smooth = _smoothed(density)
    centers = [0.5 * (edges[:-1] + edges[1:]) for edges in (x_edges, y_edges)]
    levels = _levels(smooth)
    if len(levels):
        panel.contour(*centers, smooth.T, levels=levels, colors=_COLOR, linewidths=1.0)
    panel.set_ylim(y_edges[0], y_edges[-1])


def _smoothed(density: np.ndarray) -> np.ndarray:
    """With noise from bin to bin taken out: (1, 2, 1) / 4 twice along both axes."""
    for axis in (0, 1, 0, 1):
        padded = np.pad(density, [(1, 1) if i == axis else (0, 0) for i in (0, 1)], mode="edge")
        left, right = (np.take(padded, range(k, k + density.shape[axis]), axis) for k in (0, 2))
        density = 0.25 * left + 0.5 * density + 0.25 * right
    return density


def _levels(density: np.ndarray) -> np.ndarray:
    """Densities above which the wanted parts of the draws lie, rising; none where the densities are all alike."""
    falling = np.sort(density.ravel())[::-1]
    inside = np.cumsum(falling) / falling.sum()
    levels = np.unique(falling[np.minimum(np.searchsorted(inside, _INSIDE), len(falling) - 1)])
    return levels[levels < falling[0]]
