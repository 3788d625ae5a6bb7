"""Events of a source."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from gammax.data import Observation
from gammax.errors import DataValueError, GeometryError, SchemaError
from gammax.irf import EffectiveAreaTable2D, EnergyDispersion2D
from gammax.irf._dl3_axes import is_point
from gammax.simulate._sample import Sample, sample_times
from gammax.simulate._sampling import poisson, sample_piecewise_linear, sample_rows
from gammax.simulate._shape import Shape

# a piece of the grid is 0.2 % wide in energy: its trapezoids are good to 1e-6 of the counts for a power law
NODES_PER_E = 500
# events whose PSF tables are in memory together
_AT_ONCE = 2**14
_NEEDED = ("aeff", "edisp", "psf")


def source_events(rng: np.random.Generator, observation: Observation, model: Any) -> Sample:
    """Events of a model: true energies and positions, then what the responses at their offsets make of them.

    They are drawn with the largest effective area anywhere in the source, and kept with the ratio of that at their own
    position (thinning). Those whose true energy has no dispersion in the table are lost, as in
    `EnergyDispersion2D.to_edisp_kernel`.

    Raises
    ------
    SchemaError : a response is missing or has a directional cut in it. GeometryError : the energy dispersion ends
        before an event of the source. DataValueError : a flux that is negative or not finite.
    """
    where = {"obs_id": observation.obs_id, "model": model.name}
    _check_responses(observation, where)
    aeff, pointing = observation.aeff, observation.get_pointing_icrs()
    low, high = aeff.axes["energy_true"].edges_value("TeV")[[0, -1]]
    shape = Shape.of(model.spatial_model, pointing, float(aeff.axes["offset"].edges_value("deg")[-1]), (low, high))
    offsets = shape.offsets(pointing)
    log_energy, rate = event_rate(aeff, model.spectral_model, shape, offsets, where)
    expected = np.trapezoid(rate, log_energy) * float(observation.livetime.to_value("s"))
    size = poisson(rng, float(expected), **where)
    true = np.exp(sample_piecewise_linear(rng, log_energy, rate, size)) if size else np.empty(0)
    place = shape.draw(rng, true)
    offset = pointing.separation(place).deg
    if offsets[0] < offsets[1]:
        kept = rng.random(size) * largest_area(aeff, true, offsets) < aeff.values(energy_true=true, offset=offset)
        true, place, offset = true[kept], place[kept], offset[kept]
    applied, energy = model.apply_irf, true
    if applied["edisp"]:
        energy = true * sample_migra(rng, observation.edisp, true, offset, where)
    seen = _directions(rng, observation.psf, true, offset, place) if applied["psf"] else place
    time = sample_times(rng, observation.gti, len(true))
    sample = Sample(time, energy, seen.ra.deg, seen.dec.deg, true, place.ra.deg, place.dec.deg)
    return sample.select(np.isfinite(energy))


def _check_responses(observation: Observation, where: dict[str, Any]) -> None:
    for name in _NEEDED:
        response = getattr(observation, name)
        if response is None:
            raise SchemaError(
                "GX-SIMULATE-010",
                f"the observation has no {name}",
                found=", ".join(observation.available_hdus) or "nothing",
                expected=", ".join(_NEEDED),
                **where,
            )
        if response.is_pointlike:
            raise SchemaError(
                "GX-SIMULATE-011",
                "point-like responses do not tell where events come from",
                found=f"{name} with HDUCLAS3 = POINT-LIKE",
                expected="FULL-ENCLOSURE",
                **where,
            )


def event_rate(
    aeff: EffectiveAreaTable2D, spectrum: Any, shape: Shape, offsets: tuple[float, float], where: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Rate of events per ln(true energy) [s-1] for the largest effective area between two offsets [deg].

    On a grid of ln(E / TeV) that ends where the effective area does.

    Raises
    ------
    DataValueError : it is negative or not finite somewhere.
    """
    axis = aeff.axes["energy_true"]
    low, high = axis.edges_value("TeV")[[0, -1]]
    grid = np.linspace(np.log(low), np.log(high), 2 + int(NODES_PER_E * np.log(high / low)))
    # where the interpolated area has its kinks
    energy = np.unique(np.concatenate([[low, high], np.exp(grid[1:-1]), axis.center_value("TeV")]))
    flux = spectrum(energy * u.TeV).value * shape.total(energy)
    rate = energy * flux * largest_area(aeff, energy, offsets)
    bad = ~(np.isfinite(rate) & (rate >= 0))
    if bad.any():
        k = int(np.argmax(bad))
        raise DataValueError(
            "GX-SIMULATE-012",
            "a flux that cannot be simulated",
            found=f"{flux[k]:.4g} TeV-1 s-1 cm-2 at {energy[k]:.4g} TeV",
            expected="0 or more, and finite",
            **where,
        )
    return np.log(energy), rate


def largest_area(aeff: EffectiveAreaTable2D, energy: np.ndarray, offsets: tuple[float, float]) -> np.ndarray:
    """Largest effective area [cm2] at true energies [TeV] between two offsets [deg].

    It is at one of them or at a node between, because the interpolated area is linear in the offset there.
    """
    axis = aeff.axes["offset"]
    nodes = np.concatenate([axis.center_value("deg"), axis.edges_value("deg")[[0, -1]]])
    inside = nodes[(nodes > offsets[0]) & (nodes < offsets[1])]
    at = np.unique([*offsets, *inside])
    return aeff.values(energy_true=energy[:, np.newaxis], offset=at).max(axis=1)


def sample_migra(
    rng: np.random.Generator, edisp: EnergyDispersion2D, true: np.ndarray, offset: np.ndarray, where: dict[str, Any]
) -> np.ndarray:
    """Ratio of reconstructed to true energy; evenly distributed inside a bin of the table, NaN without dispersion.

    Raises
    ------
    GeometryError : an offset lies beyond the table.
    """
    edges = edisp.axes["migra"].edges_value("")
    nearest, farthest = edisp.axes["offset"].edges_value("deg")[[0, -1]]
    outside = (offset < nearest) | (offset > farthest)
    if outside.any() and not is_point(edisp.axes["offset"]):
        raise GeometryError(
            "GX-SIMULATE-013",
            "the source lies outside of the field of view of the energy dispersion",
            found=f"{offset[outside][0]:.4g} deg",
            expected=f"{nearest:.4g} to {farthest:.4g} deg",
            **where,
        )
    width = np.diff(edges)
    return sample_rows(rng, edges, lambda rows: edisp._density(true[rows], offset[rows]) * width, len(true))


def _directions(rng: np.random.Generator, psf: Any, true: np.ndarray, offset: np.ndarray, place: SkyCoord) -> SkyCoord:
    """Where events are seen that the PSF scatters around their places."""
    if not len(true):
        return place
    fraction = rng.uniform(np.finfo(float).tiny, 1.0, len(true))
    angle = rng.uniform(0.0, 2 * np.pi, len(true))
    pieces = [slice(start, start + _AT_ONCE) for start in range(0, len(true), _AT_ONCE)]
    radius = [psf.containment_radius(fraction[rows], true[rows] * u.TeV, offset[rows] * u.deg).value for rows in pieces]
    return place.directional_offset_by(angle * u.rad, np.concatenate(radius) * u.deg)
