"""Spectral energy distributions: models with their error band, flux points, and where the data are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from gammax.maps._plot import get_axes
from gammax.plot._style import BACKGROUND, DATA, MODEL, format_energy_axis, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gammax.datasets import Datasets
    from gammax.estimators import FluxPoints
    from gammax.models import Models

_N_ENERGIES = 200
_UNIT = u.Unit("erg s-1 cm-2")


def plot_spectrum(
    models: Models, name: str, energy_min: Any, energy_max: Any, ax: Axes | None = None, color: str = MODEL, **look: Any
) -> Axes:
    """E^2 dN/dE of one model, with its 1 sigma error band where the models have a covariance.

    Parameters
    ----------
    energy_min, energy_max : Quantities or text with unit.
    **look : of the line, for ``plot``.
    """
    ax = get_axes(ax)
    low, high = (u.Quantity(limit).to_value("TeV") for limit in (energy_min, energy_max))
    energy = np.geomspace(low, high, _N_ENERGIES) * u.TeV
    flux = (energy**2 * models[name].spectral_model(energy)).to_value(_UNIT)
    ax.plot(energy.value, flux, color=color, **{"label": plain(name), "zorder": 3} | look)
    if models.covariance is not None:
        error = (energy**2 * models.evaluate_error(name, energy)[1]).to_value(_UNIT)
        ax.fill_between(energy.value, flux - error, flux + error, color=color, alpha=0.22, lw=0, zorder=2)
    return _format_sed(ax)


def plot_flux_points(points: FluxPoints, ax: Axes | None = None, **look: Any) -> Axes:
    """E^2 dN/dE of flux points, upper limits as arrows; `look` as `FluxPoints.plot` takes it."""
    ax = get_axes(ax)
    points.plot(ax, sed_type="e2dnde", **{"color": DATA, "zorder": 4, "label": "flux points"} | look)
    return _format_sed(ax)


def plot_energy_ranges(datasets: Datasets, ax: Axes | None = None) -> Axes:
    """One bar per dataset over the energies inside its mask."""
    ax = get_axes(ax)
    for k, dataset in enumerate(datasets):
        low, high = (limit.to_value("TeV") for limit in dataset.energy_range_total)
        ax.barh(k, high - low, left=low, height=0.62, color=BACKGROUND)
    ax.set_yticks(range(len(datasets)), [plain(name) for name in datasets.names])
    ax.set_ylim(len(datasets) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xscale("log")
    format_energy_axis(ax)
    return ax


def _format_sed(ax: Axes) -> Axes:
    ax.set_yscale("log")
    ax.set_ylabel(r"$E^2\,\mathrm{d}N/\mathrm{d}E$ [erg cm$^{-2}$ s$^{-1}$]")
    ax.set_xscale("log")
    format_energy_axis(ax)
    return ax
