"""Pictures of region maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gammax.errors import GeometryError
from gammax.maps._label_axis import LabelMapAxis
from gammax.maps._time_axis import TimeMapAxis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gammax.maps._region_map import RegionNDMap

_LABELS = {"energy": "Energy", "energy_true": "True energy"}


def axis_label(axis: Any) -> str:
    """Label with unit, "Energy [TeV]"; of a time axis with its reference."""
    label = _LABELS.get(axis.name, str(axis.name))
    if isinstance(axis, TimeMapAxis):
        reference = axis.reference_time
        return f"{label.capitalize()} [{axis.unit} since {reference.iso[:19]} {reference.scale.upper()}]"
    return f"{label} [{axis.unit}]" if axis.unit else label


def format_axis(ax: Axes, axis: Any, which: str = "x") -> None:
    """Set label and scale of the x or y direction of `ax` for a map axis."""
    setters: dict[str, Any] = {"label": axis_label(axis)}
    if axis.interp == "log":
        setters["scale"] = "log"
    if isinstance(axis, LabelMapAxis):
        setters |= {"ticks": np.arange(axis.nbin), "ticklabels": list(axis.labels)}
    ax.set(**{f"{which}{key}": value for key, value in setters.items()})


def axis_points(axis: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres, lower and upper edges of the bins as numbers in the unit of the axis; labels are numbered."""
    if isinstance(axis, LabelMapAxis):
        number = np.arange(axis.nbin, dtype=float)
        return number, number - 0.5, number + 0.5
    return axis.center.value, axis.edges_min.value, axis.edges_max.value


def bin_label(axis: Any, k: int) -> str:
    """Which bin it is: its label, its start in time, its bounds, or its node."""
    if isinstance(axis, LabelMapAxis):
        return str(axis.labels[k])
    if isinstance(axis, TimeMapAxis):
        return f"{axis.time_min[k].iso[:19]} + {axis.bin_width[k]:.3g}"
    if axis.node_type == "center":
        return f"{axis.center[k]:.3g}"
    return f"{axis.edges_min[k].value:.3g} to {axis.edges_max[k]:.3g}"


def get_axes(ax: Axes | None) -> Axes:
    """`ax`, or the axes of a new figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def plot_map(region_map: RegionNDMap, ax: Axes | None = None, axis_name: str | None = None, **kwargs: Any) -> Axes:
    """Values over one axis, one series per bin of the others."""
    axes = region_map.geom.axes
    axis = axes[axis_name or 0]
    ax = get_axes(ax)
    values = np.moveaxis(region_map.values().astype(float), axes.array_position(axis.name), 0)
    center, low, high = axis_points(axis)
    kwargs = {"fmt": ".", "xerr": np.array([center - low, high - center])} | kwargs
    for series in values.reshape(axis.nbin, -1).T:
        ax.errorbar(center, series, **kwargs)
    format_axis(ax, axis)
    ax.set_ylabel(_value_label(region_map))
    return ax


def plot_hist(region_map: RegionNDMap, ax: Axes | None = None, **kwargs: Any) -> Axes:
    """Histogram over the only axis that has more than one bin."""
    axes = region_map.geom.axes
    wide = [axis for axis in axes if axis.nbin > 1] or list(axes)
    if len(wide) != 1:
        raise GeometryError(
            "GX-MAPS-090",
            "a histogram needs a map over one axis",
            found=", ".join(axes.names),
            do="sum or slice the other axes first",
        )
    ax = get_axes(ax)
    _, low, high = axis_points(wide[0])
    ax.stairs(region_map.values().astype(float).reshape(-1), np.append(low, high[-1]), **kwargs)
    format_axis(ax, wide[0])
    ax.set_ylabel(_value_label(region_map))
    return ax


def _value_label(region_map: RegionNDMap) -> str:
    return f"Value [{region_map.unit}]" if region_map.unit else "Value"
