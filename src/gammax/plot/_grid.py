"""Many spectra in one figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gammax.plot._counts import plot_fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gammax.datasets import SpectrumDataset, SpectrumDatasetOnOff
    from gammax.models import Models

    Spectrum = SpectrumDataset | SpectrumDatasetOnOff

# more than this and a page becomes longer than one reads
PANELS_PER_PAGE = 12
# inches
_WIDTH = 11.0
_PANEL_HEIGHT = 2.75
_MARGINS = {"left": 0.75, "right": 0.15, "top": 0.6, "bottom": 0.55}
_GAP = (0.6, 0.62)


def grid_axes(n: int, figure: Figure | None = None) -> list[tuple[Axes, Axes]]:
    """Pairs of axes (counts above, residuals below) for `n` spectra, aligned, in rows of up to three.

    The figure, made where none is given, gets a size that keeps the panels legible.
    """
    if figure is None:
        import matplotlib.pyplot as plt

        figure = plt.figure()
    columns = 1 if n == 1 else 2 if n <= 4 or n % 3 == 1 else 3
    rows = -(-n // columns)
    height = 4.6 if n == 1 else _PANEL_HEIGHT
    total = rows * height + (rows - 1) * _GAP[1] + _MARGINS["top"] + _MARGINS["bottom"]
    # places are fixed: an automatic layout would align neither rows nor columns
    figure.set_layout_engine("none")
    figure.set_size_inches(_WIDTH, total)
    width = (_WIDTH - _MARGINS["left"] - _MARGINS["right"] - (columns - 1) * _GAP[0]) / columns
    grid = figure.add_gridspec(
        rows,
        columns,
        left=_MARGINS["left"] / _WIDTH,
        right=1.0 - _MARGINS["right"] / _WIDTH,
        bottom=_MARGINS["bottom"] / total,
        top=1.0 - _MARGINS["top"] / total,
        wspace=_GAP[0] / width,
        hspace=_GAP[1] / height,
    )
    pairs = []
    for k in range(n):
        parts = grid[k].subgridspec(2, 1, height_ratios=(3, 1), hspace=0.07)
        upper = figure.add_subplot(parts[0])
        pairs.append((upper, figure.add_subplot(parts[1], sharex=upper)))
    return pairs


def plot_fits(
    datasets: Sequence[Spectrum], models: Models | None = None, figure: Figure | None = None
) -> list[tuple[Axes, Axes]]:
    """`plot_fit` of each dataset in a grid that fills the figure, which is made where none is given and gets its size.

    Several panels share one legend above them, and only the outer ones have axis labels. The axes are returned.
    """
    axes = grid_axes(len(datasets), figure)
    for dataset, pair in zip(datasets, axes, strict=True):
        plot_fit(dataset, models, pair)
    if len(axes) > 1:
        _share_legend(axes)
        _label_outer(axes)
    return axes


def _share_legend(axes: Sequence[tuple[Axes, Axes]]) -> None:
    """One row of legend above all panels."""
    entries: dict[str, Any] = {}
    for upper, _ in axes:
        handles, labels = upper.get_legend_handles_labels()
        entries |= {label: handle for label, handle in zip(labels, handles, strict=True) if label not in entries}
        if (legend := upper.get_legend()) is not None:
            legend.remove()
    figure = axes[0][0].figure
    left = axes[0][0].get_position().x0
    figure.legend(
        entries.values(),
        entries.keys(),
        loc="upper left",
        bbox_to_anchor=(left, 1.0),
        ncols=len(entries),
        borderaxespad=0.3,
        borderpad=0.0,
    )


def _label_outer(axes: Sequence[tuple[Axes, Axes]]) -> None:
    """Axis labels on the outer panels of a grid only, told by where the panels are."""
    columns = [round(upper.get_position().x0, 3) for upper, _ in axes]
    lowest = {column: k for k, column in enumerate(columns)}
    for k, ((upper, lower), column) in enumerate(zip(axes, columns, strict=True)):
        upper.set_ylabel("Counts per bin" if column == min(columns) else "")
        lower.set_ylabel(lower.get_ylabel().replace("Residual", "Res.") if column == min(columns) else "")
        if lowest[column] != k:
            lower.set_xlabel("")
