"""Events of the background that the responses tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gammax.data import Observation
from gammax.errors import DataValueError
from gammax.irf import Background2D, Background3D
from gammax.irf._background import _NO_RATE
from gammax.irf._dl3_axes import AXES, is_point
from gammax.irf._grid import multilinear
from gammax.makers._background import filled_in_energy
from gammax.simulate._field_of_view import field_to_icrs
from gammax.simulate._sample import Sample, sample_times
from gammax.simulate._sampling import sample_poisson_process
from gammax.units import parse_unit

# coordinates in which energies (as ln E) and solid angle are even, and the way back; an offset stands for its ring
_EVEN: dict[str, tuple[Callable, Callable]] = {
    "energy": (np.log, np.exp),
    "fov_lon": (np.deg2rad, np.rad2deg),
    "fov_lat": (lambda lat: np.sin(np.deg2rad(lat)), lambda x: np.rad2deg(np.arcsin(x))),
    "offset": (
        lambda angle: 4 * np.pi * np.sin(np.deg2rad(angle) / 2) ** 2,
        lambda x: np.rad2deg(2 * np.arcsin(np.sqrt(x / (4 * np.pi)))),
    ),
}


def background_events(rng: np.random.Generator, observation: Observation) -> Sample:
    """Events that follow the interpolated rate of the background, within its axes, for the on time (GADF 0.2).

    The rate is the one that a reduction expects, cells that it fills in included.

    Raises
    ------
    DataValueError : an axis without limits.
    """
    background: Any = filled_in_energy(observation.bkg)
    where = {"obs_id": observation.obs_id}
    drawn = _draw(rng, background, float(observation.ontime.to_value("s")), where)
    size = len(drawn["energy"])
    time = sample_times(rng, observation.gti, size)
    if "offset" in drawn:
        angle = rng.uniform(0.0, 2 * np.pi, size)
        lon, lat = ring_to_field(drawn["offset"], angle)
    else:
        lon, lat = drawn["fov_lon"], drawn["fov_lat"]
    ra, dec = field_to_icrs(observation, background.fov_alignment, lon, lat, time)
    nothing = np.full(size, np.nan)
    return Sample(time, drawn["energy"], ra, dec, nothing, nothing, nothing)


def _draw(
    rng: np.random.Generator, background: Background2D | Background3D, seconds: float, where: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Coordinates of the events.

    Between two nodes the logarithm of the rate is linear in each coordinate, so that it is largest at a corner.
    """
    names = background.axis_names
    nodes, table = rate_at_nodes(background, where)
    scaled = [_scaled(name, node) for name, node in zip(names, nodes, strict=True)]
    factor = float(parse_unit(background.unit).to(parse_unit(background.canonical_unit)))

    def density(*even: np.ndarray) -> np.ndarray:
        """Rate per ln E."""
        coords = [_EVEN[name][1](x) for name, x in zip(names, even, strict=True)]
        found = multilinear(scaled, table, [_scaled(name, x) for name, x in zip(names, coords, strict=True)])
        return coords[0] * _positive(found) * factor

    energy = nodes[0].reshape(-1, *[1] * (table.ndim - 1))
    even = [_EVEN[name][0](node) for name, node in zip(names, nodes, strict=True)]
    points = sample_poisson_process(rng, even, energy * _positive(table) * factor, density, seconds, **where)
    return {name: _EVEN[name][1](x) for name, x in zip(names, points, strict=True)}


def _scaled(name: str, x: np.ndarray) -> np.ndarray:
    return np.log(x) if AXES[name].interp == "log" else x


def _positive(log_rate: np.ndarray) -> np.ndarray:
    return np.where(log_rate > _NO_RATE, np.exp(log_rate), 0.0)


def rate_at_nodes(
    background: Background2D | Background3D, where: dict[str, Any]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Nodes per axis, the outer edges included, and the logarithm of the rate there in the unit of the table.

    As `values` has it, but that in the offset the rate of the outermost node goes on to the edge, as in a reduction.

    Raises
    ------
    DataValueError : an axis stands for a single value.
    """
    nodes, table = [], background._log_table[1]
    for k, axis in enumerate(background.axes):
        if is_point(axis):
            raise DataValueError(
                "GX-SIMULATE-020",
                f"the background is known at one {axis.name} only",
                expected="a range in which events are to be simulated",
                **where,
            )
        unit = AXES[axis.name].unit
        low, high = axis.edges_value(unit)[[0, -1]]
        nodes.append(np.concatenate([[low], axis.center_value(unit), [high]]))
        if axis.nbin == 1:
            table = np.repeat(table, 3, axis=k)
        elif axis.name == "offset":
            table = np.take(table, np.clip(np.arange(table.shape[k]), 1, table.shape[k] - 2), axis=k)
    return nodes, table


def ring_to_field(offset: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude [deg] in the field of view at an offset [deg] and an angle [rad]."""
    theta = np.deg2rad(offset)
    x, y, z = np.cos(theta), np.sin(theta) * np.cos(angle), np.sin(theta) * np.sin(angle)
    return np.rad2deg(np.arctan2(y, x)), np.rad2deg(np.arctan2(z, np.hypot(x, y)))
