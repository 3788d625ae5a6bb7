"""Quick looks at event lists and observations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.coordinates import SkyCoord

from gammax.data._fov import fov_coordinates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gammax.data._events import EventList
    from gammax.data._observation import Observation

_COLOR = "#0072B2"
_PANEL = (4.4, 3.5)  # inches
_TIMES = (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))
_TITLES = {
    "aeff": "Effective area",
    "edisp": "Energy dispersion",
    "psf": "Point spread function",
    "bkg": "Background",
    "rad_max": "Directional cut",
}


def peek_events(events: EventList) -> Figure:
    """See `EventList.peek`."""
    center, has_pointing = _center(events)
    panels: list[tuple[str, Callable[[Axes], Any]]] = [
        ("Directions", lambda ax: _plot_directions(events, center, has_pointing, ax)),
        ("Energies", lambda ax: _plot_energies(events, ax)),
        ("Rate", lambda ax: _plot_rate(events, ax)),
        ("Distances", lambda ax: _plot_offsets(events, center, has_pointing, ax)),
    ]
    name = events.meta.get("OBS_ID")
    return _figure(panels, f"{len(events)} events" if name is None else f"Observation {name}: {len(events)} events")


def peek_observation(observation: Observation) -> Figure:
    """See `Observation.peek`."""
    panels: list[tuple[str, Callable[[Axes], Any]]] = []
    if "events" in observation.parts:
        events = observation.events
        center, has_pointing = _center(events)
        panels += [
            ("Directions", lambda ax: _plot_directions(events, center, has_pointing, ax)),
            ("Energies", lambda ax: _plot_energies(events, ax)),
        ]
    for name in observation.available_irfs:
        panels.append((_TITLES[name], _response_plot(name, getattr(observation, name))))
    return _figure(panels, f"Observation {observation.obs_id}: {observation.ontime.to_value('min'):.1f} min on time")


def _response_plot(name: str, response: Any) -> Callable[[Axes], Any]:
    return response.plot_containment_radius if name == "psf" else response.plot


def _figure(panels: list[tuple[str, Callable[[Axes], Any]]], title: str) -> Figure:
    import matplotlib.pyplot as plt

    columns = min(len(panels), 2 if len(panels) <= 4 else 3)
    rows = -(-len(panels) // columns) if panels else 1
    figure = plt.figure(figsize=(_PANEL[0] * max(columns, 1), _PANEL[1] * rows), layout="constrained")
    for k, (name, plot) in enumerate(panels):
        ax = figure.add_subplot(rows, columns, k + 1)
        plot(ax)
        shown = ax.get_title()
        ax.set_title("")
        ax.set_title(f"{name}, {shown}" if shown else name, loc="left", fontsize="medium", fontweight="bold")
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def _center(events: EventList) -> tuple[SkyCoord, bool]:
    """Where the telescope pointed at half-time; without a pointing in the header the mean direction."""
    if {"RA_PNT", "DEC_PNT"} <= set(events.meta) or str(events.meta.get("OBS_MODE", "")).upper() == "DRIFT":
        middle = events.reference.to_time(float(np.mean(events.time_s))) if len(events) else None
        return events.pointing.get_icrs(middle, events.location), True
    if not len(events):
        return SkyCoord(0, 0, unit="deg"), False
    directions: Any = events.radec.cartesian
    return SkyCoord(directions.mean(), representation_type="unitspherical"), False


def _plot_directions(events: EventList, center: SkyCoord, has_pointing: bool, ax: Axes) -> None:
    """Numbers of events in squares of the sky around a centre, north up and east left."""
    from matplotlib.colors import PowerNorm

    west, north = fov_coordinates(events.radec, center, "RADEC")
    half = float(np.quantile(np.hypot(west, north), 0.95)) * 1.2 if len(events) else 1.0
    half = min(max(half, 0.1), 180.0)
    bins = np.linspace(-half, half, 61)
    counts = np.histogram2d(west, north, [bins, bins])[0]
    norm = PowerNorm(0.5, 0, max(counts.max(), 1.0))
    mesh = ax.pcolormesh(bins, bins, counts.T, cmap="viridis", norm=norm, rasterized=True)
    ax.figure.colorbar(mesh, ax=ax, label="Events")
    if has_pointing:
        ax.plot(0, 0, "+", color="white", markersize=9)
    name = "pointing" if has_pointing else "mean direction"
    ax.set(aspect="equal", xlabel=f"West of the {name} [deg]", ylabel=f"North of the {name} [deg]")


def _plot_energies(events: EventList, ax: Axes) -> None:
    energy = events.energy_tev
    if len(energy):
        low, high = np.log10([energy.min(), energy.max()])
        edges = 10 ** (np.arange(np.floor(low * 10), np.ceil(high * 10) + 2) / 10)
        ax.stairs(np.histogram(energy, edges)[0], edges, fill=True, color=_COLOR, alpha=0.75)
        ax.set_yscale("log")
        ax.set_ylim(bottom=0.7)
    ax.set(xscale="log", xlabel="Energy [TeV]", ylabel="Events per bin")


def _plot_rate(events: EventList, ax: Axes) -> None:
    seconds = events.time_s - events.time_s.min() if len(events) else np.zeros(1)
    duration = float(seconds.max())
    unit, length = next((item for item in _TIMES if duration > 3 * item[1]), _TIMES[-1])
    if duration > 0:
        edges = np.linspace(0, duration, 31)
        ax.stairs(np.histogram(seconds, edges)[0] / np.diff(edges), edges / length, color=_COLOR, linewidth=1.5)
        ax.set_ylim(bottom=0)
    ax.set(xlabel=f"Time since the first event [{unit}]", ylabel="Events per second")


def _plot_offsets(events: EventList, center: SkyCoord, has_pointing: bool, ax: Axes) -> None:
    """Distances squared: a flat camera gives a flat line."""
    square = center.separation(events.radec).deg ** 2
    if len(events):
        edges = np.linspace(0, max(float(np.quantile(square, 0.99)), 1e-6), 41)
        ax.stairs(np.histogram(square, edges)[0], edges, fill=True, color=_COLOR, alpha=0.75)
    name = "pointing" if has_pointing else "mean direction"
    ax.set(xlabel=rf"Distance to the {name} squared [deg$^2$]", ylabel="Events per bin")
