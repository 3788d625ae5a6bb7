"""Pictures of region maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gammax.errors import GeometryError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gammax.maps._axis import MapAxis
    from gammax.maps._region_map import RegionNDMap

_LABELS = {"energy": "Energy", "energy_true": "True energy"}


def axis_label(axis: MapAxis) -> str:
    """Label with unit, "Energy [TeV]"."""
    label = _LABELS.get(axis.name, axis.name)
    return f"{label} [{axis.unit}]" if axis.unit else label


def format_axis(ax: Axes, axis: MapAxis, which: str = "x") -> None:
    """Set label and scale of the x or y direction of `ax` for a map axis."""
    setters = {"label": axis_label(axis)}
    if axis.interp == "log":
        setters["scale"] = "log"
    ax.set(**{f"{which}{key}": value for key, value in setters.items()})


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
    edges, center = axis.edges_value(axis.unit), axis.center_value(axis.unit)
    kwargs = {"fmt": ".", "xerr": np.array([center - edges[:-1], edges[1:] - center])} | kwargs
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
    ax.stairs(region_map.values().astype(float).reshape(-1), wide[0].edges_value(wide[0].unit), **kwargs)
    format_axis(ax, wide[0])
    ax.set_ylabel(_value_label(region_map))
    return ax


def _value_label(region_map: RegionNDMap) -> str:
    return f"Value [{region_map.unit}]" if region_map.unit else "Value"
