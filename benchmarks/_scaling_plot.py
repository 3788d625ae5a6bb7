"""The picture of how fits of cubes grow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from gammax.plot import style

# Okabe & Ito (2008); the markers tell the lines apart without any colour
LINES = {
    "Gammapy [s]": {"label": "Gammapy 2.1", "color": "#D55E00", "marker": "s", "ls": "-"},
    "gammax first [s]": {"label": "gammax, first call (compiles)", "color": "#56B4E9", "marker": "^", "ls": "--"},
    "gammax later [s]": {"label": "gammax, later calls", "color": "#0072B2", "marker": "o", "ls": "-"},
}
PANELS = {
    "sources": ("Point sources", "number of sources, positions free"),
    "fixed sources": ("Point sources that stand still", "number of sources, positions fixed"),
    "pixels": ("Pixels", "pixels along each side, one Gaussian"),
    "observations": ("Observations, fitted jointly", "number of cubes, each with its own background"),
}


def draw(table: list[dict[str, Any]], cap: float, path: Path) -> None:
    """Draw the times of fits with covariance: one panel for each direction of growth."""
    with style():
        figure, axes = plt.subplots(2, 2, figsize=(9.2, 7.4), sharey=True, constrained_layout=True)
        for panel, ax in zip(PANELS, axes.flat, strict=True):
            _draw_panel(ax, panel, [row for row in table if row["panel"] == panel], cap)
        for ax in axes[:, 0]:
            ax.set_ylabel("fit with covariance [s]")
        handles, labels = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4)
        figure.savefig(path, dpi=150)
        plt.close(figure)


def _draw_panel(ax: Axes, panel: str, rows: list[dict[str, Any]], cap: float) -> None:
    for column, look in LINES.items():
        points = [(row["size"], row[column]) for row in rows if isinstance(row[column], float)]
        ax.plot(*zip(*points, strict=True) if points else ([], []), ms=5, **look)
        stopped = [row["size"] for row in rows if row[column] == "stopped"]
        ax.plot(stopped, [cap] * len(stopped), ls="", marker="x", ms=8, mew=2, color=look["color"])
    ax.axhline(cap, color="#999999", lw=0.8, ls=":")
    ax.plot([], [], ls="", marker="x", ms=8, mew=2, color="#777777", label=f"stopped after {cap:.0f} s")
    title, label = PANELS[panel]
    ax.set(xscale="log", yscale="log", title=title, xlabel=label)
    ax.set_xticks([row["size"] for row in rows])
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    ax.tick_params(axis="x", which="minor", length=0)
    ax.tick_params(labelleft=True)
    ax.grid(axis="y", color="#e4e4e4", lw=0.6)
