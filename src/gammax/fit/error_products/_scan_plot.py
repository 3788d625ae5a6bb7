"""Pictures of profiles, surfaces and contours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gammax.fit.error_products._keyed import label
from gammax.maps._plot import get_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gammax.fit.error_products._contour import StatContour
    from gammax.fit.error_products._scan import StatProfile, StatSurface

_RISE = r"$\Delta(-2\,\ln L)$"


def plot_profile(profile: StatProfile, ax: Axes | None, **kwargs: Any) -> Axes:
    """See `StatProfile.plot`."""
    ax = get_axes(ax)
    good = np.isfinite(profile.delta_ts)
    order = np.argsort(profile.values)
    style = {"marker": "o", "markersize": 3.5, "linewidth": 1.2} | kwargs
    ax.plot(profile.values[order], profile.delta_ts[order], **style)
    top = ax.get_ylim()[1]
    for sigma in (1, 2, 3):
        if good.any() and sigma**2 < top:
            ax.axhline(sigma**2, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
            place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "xytext": (3, 0)}
            ax.annotate(rf"{sigma}$\sigma$", (1.0, sigma**2), **place, va="center", color="0.4", fontsize="small")
    ax.axvline(profile.best_value, color="0.6", linewidth=0.8, zorder=0)
    ax.set(xlabel=label(profile.parameter, profile.unit), ylabel=_RISE)
    return ax


def plot_surface(surface: StatSurface, ax: Axes | None, **kwargs: Any) -> Axes:
    """See `StatSurface.plot`."""
    ax = get_axes(ax)
    style = {"cmap": "Blues_r", "vmin": 0.0, "vmax": 12.0, "shading": "nearest", "rasterized": True} | kwargs
    image = ax.pcolormesh(surface.x_values, surface.y_values, surface.delta_ts.T, **style)
    if min(surface.delta_ts.shape) > 1:
        levels = {"levels": [1.0, 4.0, 9.0], "colors": "k", "linewidths": 0.8}
        lines = ax.contour(surface.x_values, surface.y_values, surface.delta_ts.T, **levels)
        ax.clabel(lines, fmt="%g", fontsize="small")
    ax.plot(*surface.best_values, marker="+", color="k")
    ax.figure.colorbar(image, ax=ax, label=_RISE, extend="max")
    ax.set(xlabel=label(surface.x, surface.x_unit), ylabel=label(surface.y, surface.y_unit))
    return ax


def plot_contour(contour: StatContour, ax: Axes | None, **kwargs: Any) -> Axes:
    """See `StatContour.plot`."""
    ax = get_axes(ax)
    style = {"linewidth": 1.2, "marker": "o", "markersize": 3, "label": rf"{contour.sigma:g}$\sigma$"} | kwargs
    (line,) = ax.plot(*(np.append(values, values[0]) for values in (contour.x_values, contour.y_values)), **style)
    ax.plot(*contour.best_values, marker="+", color=line.get_color(), linestyle="none")
    ax.set(xlabel=label(contour.x, contour.x_unit), ylabel=label(contour.y, contour.y_unit))
    return ax
