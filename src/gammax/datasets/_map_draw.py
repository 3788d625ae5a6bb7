"""Pictures of cubes: counts, residuals, masks and responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from gammax.datasets._dataset import compute_residuals
from gammax.maps import RegionGeom, WcsNDMap
from gammax.maps._plot import format_axis, get_axes
from gammax.maps._wcs_plot import plot_image
from gammax.maps._wcs_region import region_to_pixel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LABELS = {
    "diff": "Counts - prediction",
    "diff/model": "(Counts - prediction) / prediction",
    "diff/sqrt(model)": r"(Counts - prediction) / $\sqrt{\mathrm{prediction}}$",
}
_PER_ROW = 4


def plot_counts(dataset: Any, ax: Axes | None, smooth: Any, **kwargs: Any) -> Axes:
    """Image of the counts; parameters as `MapDataset.plot_counts`."""
    image = _summed(dataset, dataset.counts.data)
    ax = plot_image(image if smooth is None else image.smooth(smooth), ax, **kwargs)
    ax.set_title(f"Counts, {_range_label(dataset)}")
    return ax


def plot_residuals_spatial(
    dataset: Any, models: Any, ax: Axes | None, method: str, smooth_radius: Any, **kwargs: Any
) -> Axes:
    """Image of the residuals; parameters as `MapDataset.plot_residuals_spatial`."""
    maps = (dataset.counts, dataset.npred(models))
    counts, npred = (_summed(dataset, data.data).smooth(smooth_radius, mode="constant") for data in maps)
    values = compute_residuals(counts.data, npred.data, method)
    image = counts.replace(data=np.where(dataset.mask_image.data, values, np.nan))
    largest = np.nanmax(np.abs(image.data[np.isfinite(image.data)]), initial=0.0) or 1.0
    ax = plot_image(image, ax, add_cbar=False, **({"cmap": "coolwarm", "vmin": -largest, "vmax": largest} | kwargs))
    ax.figure.colorbar(ax.images[-1], ax=ax, label=_LABELS[method])
    return ax


def plot_residuals_spectral(
    dataset: Any, models: Any, ax: Axes | None, region: Any, method: str, **kwargs: Any
) -> Axes:
    """Residuals over energy; parameters as `MapDataset.plot_residuals_spectral`."""
    inside = dataset.mask.reshape(dataset.geom.data_shape)
    if region is not None:
        inside = inside & dataset.geom.to_image().region_mask(region).data
    counts, npred = (
        np.where(inside, data.data, 0.0).sum(axis=(1, 2)) for data in (dataset.counts, dataset.npred(models))
    )
    values = compute_residuals(counts, npred, method)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.sqrt(counts) * {"diff": 1.0, "diff/model": 1 / npred, "diff/sqrt(model)": npred**-0.5}[method]
    shown = inside.any(axis=(1, 2)) & np.isfinite(values)
    axis = dataset.energy_axis
    edges, center = axis.edges_value(axis.unit), axis.center_value(axis.unit)
    widths = np.array([center - edges[:-1], edges[1:] - center])[:, shown]
    ax = get_axes(ax)
    ax.axhline(0.0, color="0.6", linewidth=0.8)
    ax.errorbar(center[shown], values[shown], errors[shown], widths, **({"fmt": ".", "color": "black"} | kwargs))
    format_axis(ax, axis)
    ax.set_ylabel(_LABELS[method])
    return ax


def plot_residuals(dataset: Any, models: Any, region: Any, method: str) -> Figure:
    """Both kinds of residuals; parameters as `MapDataset.plot_residuals`."""
    import matplotlib.pyplot as plt

    image = dataset.geom.to_image()
    figure = plt.figure(figsize=(12, 4.5), layout="constrained")
    sky = figure.add_subplot(1, 2, 1, projection=image.wcs)
    plot_residuals_spatial(dataset, models, sky, method, "0.1 deg")
    plot_residuals_spectral(dataset, models, figure.add_subplot(1, 2, 2), region, method)
    for part in RegionGeom.create(region).regions:
        pixels = region_to_pixel(part, image.wcs)
        if pixels is not None:
            pixels.plot(ax=sky, facecolor="none", edgecolor="black")
    return figure


def plot_masks(dataset: Any) -> Figure:
    """Images of the masks; as `MapDataset.plot_masks`."""
    import matplotlib.pyplot as plt

    safe = np.ones(dataset.mask.shape) if dataset.mask_safe is None else dataset.mask_safe.data.astype(float)
    edges = dataset.energy_axis.edges_value("TeV")
    rows, columns = -(-len(safe) // _PER_ROW), min(len(safe), _PER_ROW)
    figure = plt.figure(figsize=(3 * columns, 3 * rows), layout="constrained")
    image = dataset.geom.to_image()
    for k in range(len(safe)):
        ax = figure.add_subplot(rows, columns, k + 1, projection=image.wcs)
        shade = WcsNDMap(image, 0.4 * safe[k] + 0.6 * dataset.mask[k])
        plot_image(shade, ax, add_cbar=False, cmap="Greys", vmin=0, vmax=1)
        ax.set_title(f"{edges[k]:.3g} to {edges[k + 1]:.3g} TeV")
    return figure


def peek(dataset: Any) -> Figure:
    """Overview; as `MapDataset.peek`."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(12, 8), layout="constrained")
    wcs = dataset.geom.to_image().wcs
    plot_counts(dataset, figure.add_subplot(2, 2, 1, projection=wcs), None)
    if dataset.exposure is not None:
        axis = dataset.energy_axis_true
        k = int(np.clip(axis.coord_to_idx(_middle(dataset), clip=True), 0, axis.nbin - 1))
        exposure = dataset.exposure.slice_by_idx({"energy_true": slice(k, k + 1)}).to_image()
        ax = plot_image(exposure, figure.add_subplot(2, 2, 2, projection=wcs))
        ax.set_title(f"Exposure at {axis.center_value('TeV')[k]:.3g} TeV")
    position = dataset.geom.center_skydir
    if dataset.psf is not None:
        _plot_radii(dataset.psf, position, figure.add_subplot(2, 2, 3))
    if dataset.edisp is not None:
        kernel = dataset.edisp.get_edisp_kernel(energy_axis=dataset.energy_axis, position=position)
        kernel.plot_matrix(ax=figure.add_subplot(2, 2, 4))
    return figure


def _plot_radii(psf: Any, position: Any, ax: Axes) -> None:
    axis = psf.energy_axis
    for fraction in (0.68, 0.95):
        radius = psf.containment_radius(fraction, axis.center, position).to_value("deg")
        ax.plot(axis.center_value(axis.unit), radius, label=f"{fraction:.0%} of the PSF")
    format_axis(ax, axis)
    ax.set_ylabel("Radius [deg]")
    ax.legend()


def _middle(dataset: Any) -> u.Quantity:
    low, high = dataset.energy_axis.bounds
    return np.sqrt(low * high)


def _summed(dataset: Any, values: np.ndarray) -> WcsNDMap:
    """Image of values inside the mask, summed over energy."""
    return WcsNDMap(dataset.geom.to_image(), np.where(dataset.mask, values, 0.0).sum(axis=0))


def _range_label(dataset: Any) -> str:
    low, high = (limit.to_value("TeV") for limit in dataset.energy_range_total)
    return f"{low:.3g} to {high:.3g} TeV"
