"""One look for all pictures: readable sizes, colours that colour-blind readers can tell apart, nothing superfluous."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gammax.models import Models

# Okabe & Ito (2008), "Color universal design"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DATA = "#1a1a1a"
MODEL = PALETTE[1]
BACKGROUND = "#b9c7d3"
MASKED = 0.28

_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 10.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10.5,
    "axes.linewidth": 0.8,
    "axes.edgecolor": "#444444",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "xtick.minor.size": 2,
    "ytick.minor.size": 2,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "legend.handlelength": 1.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "mathtext.default": "regular",
}


def style() -> AbstractContextManager[None]:
    """The look of gammax figures: ``with style(): plot_fit(dataset, models)``. The user's settings come back after."""
    import matplotlib as mpl

    return mpl.rc_context(_STYLE)


def plain(text: str) -> str:
    """Text for matplotlib in which a dollar is a dollar and no formula begins."""
    return text.replace("$", r"\$")


def model_colors(models: Models) -> dict[str, str]:
    """A colour for each model by name, that of predictions for the first."""
    colors = (MODEL, *(color for color in PALETTE if color != MODEL))
    return {name: colors[k % len(colors)] for k, name in enumerate(models.names)}


def format_energy_axis(ax: Axes, label: str = "Energy") -> None:
    """Logarithmic x axis in TeV with plain numbers (0.1, 1, 10), not powers."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    ax.set_xscale("log")
    ax.set_xlabel(f"{label} [TeV]")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    low, high = ax.get_xlim()
    # in less than a decade one labelled tick says too little
    wide = high > 10.0 * low
    ax.xaxis.set_minor_formatter(NullFormatter() if wide else FuncFormatter(lambda value, _: f"{value:g}"))
