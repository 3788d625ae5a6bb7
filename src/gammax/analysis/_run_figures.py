"""Pictures of the observations: where they looked, and how the excess grew."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from gammax import _regions as sky_regions
from gammax.analysis._runs import Runs
from gammax.maps import WcsNDMap
from gammax.maps._region import parts_of
from gammax.maps._wcs_plot import sky_axes
from gammax.maps._wcs_region import region_to_pixel
from gammax.plot._style import DATA, MODEL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ON = "#ffffff"
_SMOOTHING_DEG = 0.05
# pointings nearer than this are one
_SAME_DEG = 0.01
# of pointings, to be seen on dark blue
_COLORS = ("#56B4E9", "#E69F00", "#CC79A7", "#009E73", "#D55E00", "#F0E442")
_MOST_COLUMNS = 4
# points in a pixel, each way, at which an exclusion mask is looked up, and how many in all
_FINER, _MOST_PIXELS = 4, 1e6


def plot_sky(runs: Runs, figure: Figure) -> str:
    """Draw the counts image with ON region, OFF regions, pointings and exclusion; returns what the picture shows."""
    from matplotlib.colors import PowerNorm
    from scipy.ndimage import gaussian_filter

    image = runs.sky
    ax = sky_axes(image.geom, figure.add_subplot(projection=image.geom.wcs))
    smooth = gaussian_filter(image.data, _SMOOTHING_DEG / float(image.geom.pixel_scales[1].value))
    # the root of the counts has the same noise everywhere, so that source and background show together
    picture = ax.imshow(smooth, origin="lower", cmap="cividis", norm=PowerNorm(0.5, 0.0, max(smooth.max(), 1e-3)))
    figure.colorbar(picture, ax=ax, label="Counts per pixel, smoothed", shrink=0.9)
    excluded = draw_exclusion(runs.exclusion, image, ax)
    has_off = False
    groups = _groups(runs)
    for color, (pointing, members) in zip(itertools.cycle(_COLORS), groups, strict=False):
        x, y = image.geom.coord_to_pix(pointing)
        label = members[0] if len(members) == 1 else f"{members[0]} and {len(members) - 1} more"
        label = label if len(groups) <= len(_COLORS) else None
        ax.plot(x, y, "+", color=color, markersize=11, markeredgewidth=2, label=label)
        has_off |= _draw_off(runs, members, color, ax, image)
    for part in parts_of(runs.region.region):
        # light on dark, and dark on the source
        _draw(part, image, ax, "black", linewidth=4.0)
        _draw(part, image, ax, _ON, linewidth=2.0)
    ax.set_xlim(-0.5, image.geom.npix[0] - 0.5)
    ax.set_ylim(-0.5, image.geom.npix[1] - 0.5)
    if len(groups) <= len(_COLORS):
        figure.legend(loc="outside upper center", ncols=min(len(groups), _MOST_COLUMNS))
    what = "position" if isinstance(runs.region.region, sky_regions.PointSkyRegion) else "region"
    parts = [f"ON {what} (white)"]
    parts += [f"OFF {what}s in the colour of their pointing (+)"] if has_off else ["pointings (+)"]
    parts += ["exclusion mask (dashed)"] if excluded else []
    return f"Counts within the energies of the fit, smoothed with {_SMOOTHING_DEG} deg: {', '.join(parts)}."


def _groups(runs: Runs) -> list[tuple[Any, list[str]]]:
    """Used observations by pointing."""
    groups: list[tuple[Any, list[str]]] = []
    for run in runs.used:
        for pointing, members in groups:
            if pointing.separation(run.pointing).deg < _SAME_DEG:
                members.append(run.name)
                break
        else:
            groups.append((run.pointing, [run.name]))
    return groups


def _draw_off(runs: Runs, members: list[str], color: str, ax: Any, image: WcsNDMap) -> bool:
    """OFF regions of one pointing: those of its first observation, as all of them have the same."""
    dataset = runs.datasets[members[0]]
    if dataset.stat_type != "wstat":
        return False
    for part in dataset.counts_off.geom.regions:
        _draw(part, image, ax, color, linewidth=1.4)
    return True


def _draw(region: Any, image: WcsNDMap, ax: Any, color: str, linewidth: float) -> None:
    if isinstance(region, sky_regions.PointSkyRegion):
        x, y = image.geom.coord_to_pix(region.center)
        style = {"markeredgecolor": color, "markeredgewidth": linewidth}
        ax.plot(x, y, "o", markersize=12, markerfacecolor="none", **style)
        return
    pixels = None if isinstance(region, sky_regions.CompoundSkyRegion) else region_to_pixel(region, image.geom.wcs)
    if pixels is not None:
        ax.add_artist(pixels.as_artist(facecolor="none", edgecolor=color, linewidth=linewidth, fill=False))


def draw_exclusion(mask: WcsNDMap | None, image: WcsNDMap, ax: Any, color: str = "white") -> bool:
    """Outline of what is excluded; whether there is any of it in the image."""
    if mask is None:
        return False
    from scipy.ndimage import gaussian_filter

    # on finer pixels, and smoothed over one: a circle looks like one
    nx, ny = image.geom.npix
    factor = int(np.clip(np.sqrt(_MOST_PIXELS / (nx * ny)), 1, _FINER))
    x, y = ((np.arange(factor * n) + 0.5) / factor - 0.5 for n in (nx, ny))
    centers = image.geom.to_image().pix_to_coord(np.meshgrid(x, y))["skycoord"]
    excluded = mask.geom.contains(centers) & ~mask.get_by_coord(centers)
    if not excluded.any() or excluded.all():
        return False
    smooth = gaussian_filter(excluded.astype(float), factor)
    ax.contour(x, y, smooth, levels=[0.5], colors=[color], linestyles="dashed", linewidths=1.1)
    return True


def plot_growth(runs: Runs, figure: Figure) -> str:
    """Draw excess and significance over the livetime, run by run; returns what the picture shows."""
    starts = {run.name: run.start for run in runs.used}
    spectra = runs.fitted()
    ordered = type(spectra)(sorted(spectra, key=lambda dataset: starts[dataset.name]))
    info = ordered.info_table(cumulative=True)
    hours = np.cumsum([dataset.livetime or 0.0 for dataset in ordered]) / 3600.0
    left, right = figure.subplots(1, 2)
    excess, significance = (np.asarray(info[name], dtype=float) for name in ("excess", "sqrt_ts"))
    time = np.linspace(0.0, hours[-1], 100)
    left.axhline(0.0, color="0.7", linewidth=0.8)
    left.plot(time, excess[-1] * time / hours[-1], color=MODEL, label="constant rate")
    left.errorbar(hours, excess, yerr=_errors(info), fmt="o", color=DATA, markersize=5, label="sum of the runs so far")
    left.set_ylabel("Excess counts")
    right.plot(time, significance[-1] * np.sqrt(time / hours[-1]), color=MODEL, label="root of the livetime")
    right.plot(hours, significance, "o", color=DATA, markersize=5, label="sum of the runs so far")
    right.set_ylabel("Significance [σ]")
    for ax in (left, right):
        ax.set_xlabel("Livetime [h]")
        ax.set_xlim(0.0, None)
        ax.legend(loc="upper left")
    return (
        "Excess and its significance over the livetime, in order of time; lines show a source and a background of "
        "constant rate that end where the data end."
    )


def _errors(info: Any) -> np.ndarray:
    """Standard deviation of the excess: Poisson of the ON counts, and of the OFF counts where there are any."""
    counts, background = (np.asarray(info[name], dtype=float) for name in ("counts", "background"))
    if "alpha" not in info.colnames:
        return np.sqrt(counts)
    alpha = np.nan_to_num(np.asarray(info["alpha"], dtype=float))
    return np.sqrt(counts + alpha * background)
