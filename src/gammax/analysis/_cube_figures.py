"""Pictures of cubes: counts, prediction and residuals on the sky."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gammax import _regions as sky_regions
from gammax.analysis._run_figures import draw_exclusion
from gammax.analysis._sky_images import SkyImages
from gammax.maps import WcsNDMap
from gammax.maps._region import parts_of
from gammax.maps._wcs_plot import sky_axes
from gammax.maps._wcs_region import region_to_pixel
from gammax.plot._style import BACKGROUND, MODEL, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gammax.models import Models

_SMOOTHING_DEG = 0.05
RADIUS_DEG = 0.1
# colours of the residuals end here, and the histogram a little further
_LIMIT = 5.0
_HISTOGRAM = np.arange(-6.0, 6.01, 0.25)
# names of more sources than this would cover the image
_MOST_NAMES = 12
# pixels must be this much smaller than what they are smoothed with
_PIXELS = 2.5
# standard deviations that noise has, and those of the contours
_NOISE, _LEVELS = 3.0, (3, 10, 30, 100)
_ABOVE, _FITTED, _SIGNIFICANCE = "Above the background", "The sources as fitted", "Significance [σ]"
# points: width of a panel, of a letter, height of a line, all about
_PANEL_POINTS, _LETTER, _LINE = 280.0, 6.0, 13.0


class _Panel(NamedTuple):
    """An image with its title, the label of its colour bar, its look and the colour of what is drawn on it."""

    values: np.ndarray
    title: str
    label: str
    look: dict[str, Any]
    ink: str


def plot_maps(images: SkyImages, models: Models | None, exclusion: WcsNDMap | None, figure: Figure) -> str:
    """Draw counts, prediction, both above the background, residuals and their distribution; returns a caption."""
    from matplotlib.colors import AsinhNorm

    pixel = float(images.geom.pixel_scales.to_value("deg").max())
    sigma, radius = max(_SMOOTHING_DEG, pixel), max(RADIUS_DEG, _PIXELS * pixel)
    residuals = images.significance(radius)
    panels = _panels(images, models, sigma, radius, residuals)
    rows = len(panels) // 2 + 1
    excluded = False
    for k, panel in enumerate(panels):
        ax = sky_axes(images.geom, figure.add_subplot(rows, 2, k + 1, projection=images.geom.wcs))
        picture = ax.imshow(np.where(images.covered, panel.values, np.nan), origin="lower", **panel.look)
        bar = figure.colorbar(picture, ax=ax, label=panel.label, shrink=0.9, extend=_extend(panel))
        if isinstance(picture.norm, AsinhNorm):
            _whole_ticks(bar, picture.norm)
        _draw_sources(models, images, ax, panel.ink, names=panel.title == _FITTED)
        _frame(ax, images.box)
        ax.set_title(panel.title)
        if k % 2:
            ax.coords[1].set_axislabel(" ")
        if k + 2 < len(panels):
            ax.coords[0].set_axislabel(" ")
        if k == 0:
            excluded = draw_exclusion(exclusion, WcsNDMap(images.geom, images.counts), ax, panel.ink)
        if models and panel.title == _ABOVE:
            _draw_contours(images.significance(radius, "npred", "background"), ax)
    _draw_histogram(residuals[images.covered], figure.add_subplot(rows, 2, len(panels) + 1))
    return _maps_caption(images, models, excluded, sigma, radius)


def _panels(
    images: SkyImages, models: Models | None, sigma: float, radius: float, residuals: np.ndarray
) -> list[_Panel]:
    from matplotlib.colors import AsinhNorm, Normalize, PowerNorm

    counts, npred = images.smoothed(sigma)
    highest = max(counts.data[images.box].max(), npred.data[images.box].max(), 1e-6)
    # the root of the counts has the same noise everywhere, so that sources and background show together
    look = {"cmap": "cividis", "norm": PowerNorm(0.5, 0.0, highest)}
    per_pixel = "Counts per pixel, smoothed"
    panels = [
        _Panel(counts.data, "Counts", per_pixel, look, "white"),
        _Panel(npred.data, "Prediction" if models else "Background", per_pixel, look, "white"),
    ]
    if models:
        above = [images.significance(radius, name, "background") for name in ("counts", "npred")]
        # linear up to 3 sigma, where noise ends, and logarithmic beyond
        norm = AsinhNorm(_NOISE, -_NOISE, max(float(np.nanmax(above, initial=0.0)), 2 * _NOISE))
        look = {"cmap": "magma", "norm": norm}
        panels += [
            _Panel(above[0], _ABOVE, _SIGNIFICANCE, look, "white"),
            _Panel(above[1], _FITTED, _SIGNIFICANCE, look, "white"),
        ]
    title = "Residuals" if models else _ABOVE
    look = {"cmap": "RdBu_r", "norm": Normalize(-_LIMIT, _LIMIT)}
    return [*panels, _Panel(residuals, title, _SIGNIFICANCE, look, "black")]


def _extend(panel: _Panel) -> str:
    """Ends of the colour bar beyond which there are values."""
    norm, known = panel.look["norm"], panel.values[np.isfinite(panel.values)]
    low, high = (known < norm.vmin).any(), (known > norm.vmax * 1.001).any()
    return "both" if low and high else "min" if low else "max" if high else "neither"


def _whole_ticks(bar: Any, norm: Any) -> None:
    """Ticks at round numbers of standard deviations."""
    ticks = [tick for tick in (-3, 0, 3, 5, 10, 20, 50, 100, 200, 500, 1000) if norm.vmin <= tick <= norm.vmax]
    bar.set_ticks(ticks, labels=[f"{tick}".replace("-", "−") for tick in ticks])
    bar.minorticks_off()


def _draw_contours(values: np.ndarray, ax: Axes) -> None:
    """Lines at which the fitted sources alone would be seen with whole numbers of standard deviations."""
    known = np.nan_to_num(values)
    levels = [level for level in _LEVELS if known.min() < level < known.max()]
    if levels:
        ax.contour(known, levels=levels, colors=["#56B4E9"], linewidths=0.9)


def _maps_caption(images: SkyImages, models: Models | None, excluded: bool, sigma: float, radius: float) -> str:
    what = images.names[0] if len(images.names) == 1 else f"{len(images.names)} datasets together"
    marks = ["sources (+), extended ones with their outline"] if models is not None and len(models.positions) else []
    marks += ["exclusion mask (dashed)"] if excluded else []
    background, rest = "background", "its distribution"
    if models:
        levels = ", ".join(map(str, _LEVELS))
        background, rest = "fitted background", "the residuals in the same way, and their distribution"
        marks += [f"the sources as fitted (contours at {levels}σ)"]
    return (
        f"{what}: counts and {'prediction of the best fit' if models else background}, smoothed with {sigma:g} deg; "
        f"significance of what is above the {background}, within {radius:g} deg of each pixel; {rest} beside the "
        f"normal law (the outermost bins hold all beyond). Marked: {', '.join(marks) or 'nothing'}."
    )


def _frame(ax: Axes, box: tuple[slice, slice]) -> None:
    rows, columns = box
    ax.set_xlim(columns.start - 0.5, columns.stop - 0.5)
    ax.set_ylim(rows.start - 0.5, rows.stop - 0.5)
    ax.set_facecolor("0.85")


def _draw_sources(models: Models | None, images: SkyImages, ax: Axes, color: str, names: bool) -> None:
    """Crosses, names and outlines of the sources in the image."""
    placed, geom = [], images.geom
    for model in [] if models is None else models.sky_models:
        if model.position is None or not bool(geom.contains(model.position)):
            continue
        radius = model.spatial_model.evaluation_radius
        # what is as wide as the image, a template say, has no place in it
        if radius is not None and radius <= 0.5 * float(geom.width.to_value("deg").max()):
            placed.append(model)
    for model in placed:
        x, y = geom.coord_to_pix(model.position)
        ax.plot(x, y, "+", color=color, markersize=7, markeredgewidth=1.2)
        if model.spatial_model.evaluation_radius > 0:
            _outline(model.spatial_model.to_region(), geom, ax, color, linewidth=1.0)
    if names and len(placed) <= _MOST_NAMES:
        _draw_names(placed, images, ax, color)


def _draw_names(models: list[Any], images: SkyImages, ax: Axes, color: str) -> None:
    """Names above the sources, or below, or higher up: where none overlaps one before it, if there is such a place."""
    from matplotlib.patheffects import withStroke

    columns = images.box[1].stop - images.box[1].start
    scale = _PANEL_POINTS / columns
    taken: list[np.ndarray] = []
    for model in sorted(models, key=lambda model: -float(images.geom.coord_to_pix(model.position)[1])):
        x, y = (scale * float(pixel) for pixel in images.geom.coord_to_pix(model.position))
        size = 0.5 * _LETTER * len(model.name), 0.6 * _LINE
        far = scale * _half_height(model.spatial_model, images.geom) + 1.4 * _LINE
        for offset in (far, -far, far + _LINE, -far - _LINE, far + 2 * _LINE):
            box = np.array([x, y + offset])
            if all((np.abs(box - other[:2]) > size + other[2:]).any() for other in taken):
                break
        else:
            offset = far
        taken.append(np.array([x, y + offset, *size]))
        place = {"textcoords": "offset points", "ha": "center", "va": "center", "annotation_clip": True}
        stroke = [withStroke(linewidth=2.5, foreground="black")]
        ax.annotate(plain(model.name), (x / scale, y / scale), (0, offset), color=color, path_effects=stroke, **place)


def _half_height(spatial: Any, geom: Any) -> float:
    """Of the outline of a source, in pixels; nothing for a point."""
    region = spatial.to_region()
    pixels = None if isinstance(region, sky_regions.PointSkyRegion) else region_to_pixel(region, geom.wcs)
    return 0.0 if pixels is None else 0.5 * (pixels.bounding_box.iymax - pixels.bounding_box.iymin)


def _outline(region: Any, geom: Any, ax: Axes, color: str, linewidth: float) -> None:
    for part in parts_of(region):
        pixels = None if isinstance(part, sky_regions.PointSkyRegion) else region_to_pixel(part, geom.wcs)
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
