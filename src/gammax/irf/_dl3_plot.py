"""Pictures of DL3 responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from gammax.maps._plot import axis_label, format_axis, get_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gammax.irf._psf import PSFBase
    from gammax.irf._response import TableResponse
    from gammax.maps import MapAxis


def plot_over_energy(
    response: TableResponse, offset: Any, ax: Axes | None, label: str, log: bool = True, **kwargs: Any
) -> Axes:
    """Values at the energies of a table, one line per offset."""
    ax = get_axes(ax)
    axis = response.axes[0]
    for angle in np.atleast_1d(u.Quantity(offset)):
        value = response.evaluate(**{axis.name: axis.center, "offset": angle}).value
        value = np.where(value > 0, value, np.nan) if log else value
        ax.plot(axis.center_value(axis.unit), value, **{"label": f"{angle:.2g}", **kwargs})
    format_axis(ax, axis)
    ax.set_ylabel(f"{label} [{response.unit}]")
    if log:
        ax.set_yscale("log")
    ax.legend(title="Offset")
    return ax


def image(
    ax: Axes | None, x: MapAxis, y: MapAxis, values: np.ndarray, label: str, power: float = 1.0, **kwargs: Any
) -> Axes:
    """Image of values (x bins, y bins); small ones lifted by a power below 1."""
    from matplotlib.colors import PowerNorm

    ax = get_axes(ax)
    kwargs = {"cmap": "viridis", "norm": PowerNorm(power, 0, max(float(values.max()), 1e-300))} | kwargs
    mesh = ax.pcolormesh(x.edges_value(x.unit), y.edges_value(y.unit), values.T, **kwargs)
    format_axis(ax, x, "x")
    format_axis(ax, y, "y")
    ax.figure.colorbar(mesh, ax=ax, label=label)
    return ax


def plot_migration(edisp: TableResponse, offset: Any, ax: Axes | None, **kwargs: Any) -> Axes:
    """Density of migra over true energy at one offset, each energy normalised to its largest value."""
    true, migra = edisp.axes["energy_true"], edisp.axes["migra"]
    density = edisp.evaluate(energy_true=true.center[:, None], migra=migra.center, offset=offset).value
    largest = density.max(axis=1, keepdims=True)
    ax = image(
        ax, true, migra, density / np.where(largest > 0, largest, 1.0), "Density / largest of its energy", **kwargs
    )
    ax.set_ylabel(r"$E / E_\mathrm{true}$")
    return ax


def plot_containment_radius(psf: PSFBase, fraction: Any, offset: Any, ax: Axes | None, **kwargs: Any) -> Axes:
    """Containment radius over true energy at one offset, one line per fraction."""
    ax = get_axes(ax)
    axis = psf.axes["energy_true"]
    for part in np.atleast_1d(np.asarray(fraction, float)):
        radius = psf.containment_radius(part, axis.center, offset)
        ax.plot(axis.center_value(axis.unit), radius.to_value("deg"), **{"label": f"{part:.0%}", **kwargs})
    format_axis(ax, axis)
    ax.set_ylabel("Containment radius [deg]")
    ax.set_ylim(bottom=0)
    ax.legend(title=f"Offset {u.Quantity(offset):.2g}")
    return ax


def plot_steps(response: TableResponse, offset: Any, ax: Axes | None, label: str, **kwargs: Any) -> Axes:
    """Values per energy bin at one offset."""
    ax = get_axes(ax)
    axis = response.axes[0]
    values = response.evaluate(**{axis.name: axis.center, "offset": offset}).value
    ax.stairs(values, axis.edges_value(axis.unit), **kwargs)
    format_axis(ax, axis)
    ax.set_ylabel(f"{label} [{response.unit}]")
    ax.set_ylim(bottom=0)
    return ax


def plot_field(response: TableResponse, energy: Any, ax: Axes | None, **kwargs: Any) -> Axes:
    """Rate in the field of view at one energy."""
    lon, lat = response.axes["fov_lon"], response.axes["fov_lat"]
    rate = response.evaluate(energy=energy, fov_lon=lon.center[:, None], fov_lat=lat.center).value
    ax = image(ax, lon, lat, rate, f"Background rate [{response.unit}]", **kwargs)
    ax.set(aspect="equal", title=f"{u.Quantity(energy):.3g}", xlabel=axis_label(lon), ylabel=axis_label(lat))
    return ax
