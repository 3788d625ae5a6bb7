"""Pictures of response maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from gammax.maps import RegionNDMap
from gammax.maps._plot import axis_label, format_axis, get_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gammax.irf._psf_map import PSFMap


def plot_psf_radii(psf: PSFMap, ax: Axes | None, fraction: Any, position: SkyCoord | None, **kwargs: Any) -> Axes:
    """Containment radius over energy."""
    ax = get_axes(ax)
    axis = psf.energy_axis
    for part in np.atleast_1d(np.asarray(fraction, float)):
        radius = psf.containment_radius(float(part), axis.center, position).to_value("deg")
        ax.plot(axis.center_value(axis.unit), radius, **{"label": f"{part:.0%}", **kwargs})
    format_axis(ax, axis)
    ax.set_ylabel("Containment radius [deg]")
    ax.set_ylim(bottom=0)
    ax.legend()
    return ax


def plot_psf_rad(psf: PSFMap, ax: Axes | None, energy: Any, position: SkyCoord | None, **kwargs: Any) -> Axes:
    """Density over distance."""
    ax = get_axes(ax)
    energy = u.Quantity([0.1, 1, 10], "TeV") if energy is None else np.atleast_1d(u.Quantity(energy))
    rad, values = psf.profile(position, energy)
    for level, row in zip(energy, values, strict=True):
        ax.plot(rad, np.where(row > 0, row, np.nan), **{"label": f"{level:.3g}", **kwargs})
    ax.set_xlabel(axis_label(psf.rad_axis))
    ax.set_ylabel("Density [sr-1]")
    ax.set_yscale("log")
    ax.legend()
    return ax


def peek_psf(psf: PSFMap) -> Figure:
    """Two curves, and two images where the response is one."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(11, 4.5 if psf.is_region else 9), layout="constrained")
    rows = 1 if psf.is_region else 2
    energy = psf.energy_axis.center
    middle = energy[len(energy) // 2]
    plot_psf_radii(psf, figure.add_subplot(rows, 2, 1), (0.68, 0.95), None)
    plot_psf_rad(psf, figure.add_subplot(rows, 2, 2), energy[[0, len(energy) // 2, -1]], None)
    if not isinstance(psf.psf_map, RegionNDMap):
        wcs = psf.geom.wcs
        if psf.exposure_map is not None:
            ax = figure.add_subplot(rows, 2, 3, projection=wcs)
            psf.exposure_map.sum_over_axes().plot(ax, add_cbar=True)
            ax.set_title("Exposure, sum over energies")
        ax = figure.add_subplot(rows, 2, 4, projection=wcs)
        psf.containment_radius_map(middle).plot(ax, add_cbar=True)
        ax.set_title(f"Radius of 68 % at {middle:.3g}")
    return figure
