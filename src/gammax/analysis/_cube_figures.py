"""Pictures of cubes: counts, prediction and residuals on the sky, and the spectrum of counts in a region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from regions import PointSkyRegion

from gammax.analysis._run_figures import draw_exclusion
from gammax.analysis._sky_images import SkyImages, signed_root
from gammax.maps import WcsNDMap
from gammax.maps._region import parts_of
from gammax.maps._wcs_plot import sky_axes
from gammax.maps._wcs_region import region_to_pixel
from gammax.plot._counts import _draw_points, poisson_interval
from gammax.plot._style import BACKGROUND, DATA, MODEL, format_energy_axis, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from regions import SkyRegion

    from gammax.models import Models

_SMOOTHING_DEG = 0.05
RADIUS_DEG = 0.1
# colours of the residuals end here, and the histogram a little further
_LIMIT = 5.0
_HISTOGRAM = np.arange(-6.0, 6.01, 0.25)
# names of more sources than this would cover the image
_MOST_NAMES = 12
# pixels must be this much smaller than what they are smoothed with
_PIXELS = 2.0


def plot_maps(
    images: SkyImages, models: Models | None, region: SkyRegion | None, exclusion: WcsNDMap | None, figure: Figure
) -> str:
    """Draw counts, prediction, residuals and their distribution; returns what the picture shows."""
    from matplotlib.colors import Normalize, PowerNorm

    pixel = float(images.geom.pixel_scales.to_value("deg").max())
    sigma, radius = max(_SMOOTHING_DEG, pixel), max(RADIUS_DEG, _PIXELS * pixel)
    counts, npred = images.smoothed(sigma)
    box = images.box
    # the root of the counts has the same noise everywhere, so that sources and background show together
    scale = PowerNorm(0.5, 0.0, max(counts.data[box].max(), npred.data[box].max(), 1e-6))
    significance = images.significance(radius)
    panels = (
        (counts.data, "Counts", {"cmap": "cividis", "norm": scale}, "white"),
        (npred.data, "Prediction" if models else "Background", {"cmap": "cividis", "norm": scale}, "white"),
        (significance, "Residuals", {"cmap": "RdBu_r", "norm": Normalize(-_LIMIT, _LIMIT)}, "black"),
    )
    excluded = False
    for k, (values, title, look, color) in enumerate(panels):
        ax = sky_axes(images.geom, figure.add_subplot(2, 2, k + 1, projection=images.geom.wcs))
        picture = ax.imshow(np.where(images.covered, values, np.nan), origin="lower", **look)
        label = "Significance [σ]" if k == 2 else "Counts per pixel, smoothed"
        figure.colorbar(picture, ax=ax, label=label, shrink=0.9, extend="both" if k == 2 else "neither")
        excluded |= draw_exclusion(exclusion, counts, ax, color)
        _draw_sources(models, images.geom, ax, color, names=k == 0)
        if region is not None:
            _outline(region, images.geom, ax, color, linewidth=1.4)
        _frame(ax, box)
        ax.set_title(title)
        if k == 1:
            ax.coords[1].set_axislabel(" ")
    _draw_histogram(significance[images.covered], figure.add_subplot(2, 2, 4))
    return _maps_caption(images, models, region, excluded, sigma, radius)


def _maps_caption(
    images: SkyImages, models: Models | None, region: Any, excluded: bool, sigma: float, radius: float
) -> str:
    what = images.names[0] if len(images.names) == 1 else f"{len(images.names)} datasets together"
    marks = ["sources (+), extended ones with their outline"] if models is not None and len(models.positions) else []
    marks += ["the region of the counts below (solid circle)"] if region is not None else []
    marks += ["exclusion mask (dashed)"] if excluded else []
    return (
        f"{what}: counts and {'prediction of the best fit' if models else 'background'}, smoothed with {sigma:g} deg; "
        f"residuals as the significance of the counts within {radius:g} deg of each pixel, and their distribution"
        f" beside the normal law (the outermost bins hold all beyond). Marked: {', '.join(marks) or 'nothing'}."
    )


def _frame(ax: Axes, box: tuple[slice, slice]) -> None:
    rows, columns = box
    ax.set_xlim(columns.start - 0.5, columns.stop - 0.5)
    ax.set_ylim(rows.start - 0.5, rows.stop - 0.5)
    ax.set_facecolor("0.85")


def _draw_sources(models: Models | None, geom: Any, ax: Axes, color: str, names: bool) -> None:
    """Crosses, names and outlines of the sources in the image."""
    from matplotlib.patheffects import withStroke

    placed = [] if models is None else [model for model in models.sky_models if model.position is not None]
    placed = [model for model in placed if bool(geom.contains(model.position))]
    for model in placed:
        x, y = geom.coord_to_pix(model.position)
        # what is as wide as the image, a template say, has no place in it
        radius = model.spatial_model.evaluation_radius
        if radius is None or radius > 0.5 * float(geom.width.to_value("deg").max()):
            continue
        ax.plot(x, y, "+", color=color, markersize=7, markeredgewidth=1.2)
        if radius > 0:
            _outline(model.spatial_model.to_region(), geom, ax, color, linewidth=1.0)
        if names and len(placed) <= _MOST_NAMES:
            stroke = [withStroke(linewidth=2, foreground="black")]
            ax.annotate(plain(model.name), (x, y), (7, 7), textcoords="offset points", color=color, path_effects=stroke)


def _outline(region: Any, geom: Any, ax: Axes, color: str, linewidth: float) -> None:
    for part in parts_of(region):
        pixels = None if isinstance(part, PointSkyRegion) else region_to_pixel(part, geom.wcs)
        if pixels is not None:
            ax.add_artist(pixels.as_artist(facecolor="none", edgecolor=color, linewidth=linewidth, fill=False))


def _draw_histogram(values: np.ndarray, ax: Axes) -> None:
    """Distribution of residuals beside the normal law."""
    inside = np.clip(values, _HISTOGRAM[0], _HISTOGRAM[-1])
    ax.hist(inside, _HISTOGRAM, density=True, color=BACKGROUND, label="pixels")
    grid = np.linspace(_HISTOGRAM[0], _HISTOGRAM[-1], 200)
    ax.plot(grid, np.exp(-0.5 * grid**2) / np.sqrt(2 * np.pi), color=MODEL, label="normal law")
    ax.set_yscale("log")
    # room for the legend above
    ax.set_ylim(1e-4, 30.0)
    ax.set(xlabel="Significance [σ]", ylabel="Density", title="Distribution of the residuals")
    if values.size:
        ax.plot([], [], " ", label=f"mean {values.mean():+.2f}, width {values.std():.2f}".replace("-", "−"))
    ax.legend(loc="upper left")


def plot_region_counts(images: SkyImages, has_models: bool, figure: Figure) -> str:
    """Draw counts, prediction and residuals over energy in the region; returns what the picture shows."""
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    edges, bins = images.edges, images.on_bins
    upper.stairs(images.on_background, edges, fill=True, color=BACKGROUND, label="background", zorder=1)
    if has_models:
        upper.stairs(
            np.where(bins, images.on_npred, np.nan), edges, color=MODEL, baseline=None, label="prediction", zorder=3
        )
    _draw_points(upper, images.on, edges, bins, color=DATA, alpha=1.0, label="counts")
    highest = max(poisson_interval(images.on)[1].max(), images.on_npred.max(), 2.0)
    upper.set(yscale="log", ylim=(0.3, 2.5 * highest), ylabel="Counts per bin")
    upper.yaxis.set_major_formatter("{x:g}")
    upper.tick_params(labelbottom=False, which="both")
    upper.legend(ncols=3)
    values = np.where(bins, signed_root(images.on, images.on_npred), np.nan)
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
    what = "prediction of the best fit and background" if has_models else "background"
    return f"Counts in the region with Poisson errors, {what}; residuals as the signed root of the Cash statistic."
