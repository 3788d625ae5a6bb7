"""Events of a point source."""

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

# a piece of the grid is 0.2 % wide in energy: its trapezoids are good to 1e-6 of the counts for a power law
NODES_PER_E = 500
# events whose PSF tables are in memory together
_AT_ONCE = 2**14
_NEEDED = ("aeff", "edisp", "psf")


def source_events(rng: np.random.Generator, observation: Observation, model: Any, position: SkyCoord) -> Sample:
    """Events of a model at a position: true energies, then what the responses at its offset make of them.

    Those whose true energy has no dispersion in the table are lost, as in `EnergyDispersion2D.to_edisp_kernel`.

    Raises
    ------
    SchemaError : a response is missing or has a directional cut in it. GeometryError : the energy dispersion ends
        before the offset of the source. DataValueError : a flux that is negative or not finite.
    """
    where = {"obs_id": observation.obs_id, "model": model.name}
    _check_responses(observation, where)
    offset = float(observation.get_pointing_icrs().separation(position).deg)
    log_energy, rate = event_rate(observation.aeff, model.spectral_model, offset, where)
    expected = np.trapezoid(rate, log_energy) * float(observation.livetime.to_value("s"))
    size = poisson(rng, float(expected), **where)
    true = np.exp(sample_piecewise_linear(rng, log_energy, rate, size)) if size else np.empty(0)
    energy = true * sample_migra(rng, observation.edisp, true, offset, where)
    ra, dec = _directions(rng, observation.psf, true, offset, position)
    time = sample_times(rng, observation.gti, size)
    places = (np.full(size, angle) for angle in (position.ra.deg, position.dec.deg))
    sample = Sample(time, energy, ra, dec, true, *places)
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
    aeff: EffectiveAreaTable2D, spectrum: Any, offset: float, where: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Rate of events per ln(true energy) [s-1] on a grid of ln(E / TeV) that ends where the effective area does.

    Raises
    ------
    DataValueError : it is negative or not finite somewhere.
    """
    axis = aeff.axes["energy_true"]
    low, high = axis.edges_value("TeV")[[0, -1]]
    grid = np.linspace(np.log(low), np.log(high), 2 + int(NODES_PER_E * np.log(high / low)))
    # where the interpolated area has its kinks
    energy = np.unique(np.concatenate([[low, high], np.exp(grid[1:-1]), axis.center_value("TeV")]))
    area = aeff.values(energy_true=energy, offset=offset)
    flux = spectrum(energy * u.TeV).value
    rate = energy * flux * area
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


def sample_migra(
    rng: np.random.Generator, edisp: EnergyDispersion2D, true: np.ndarray, offset: float, where: dict[str, Any]
) -> np.ndarray:
    """Ratio of reconstructed to true energy; evenly distributed inside a bin of the table, NaN without dispersion.

    Raises
    ------
    GeometryError : the offset lies beyond the table.
    """
    edges = edisp.axes["migra"].edges_value("")
    nearest, farthest = edisp.axes["offset"].edges_value("deg")[[0, -1]]
    if len(true) and not (is_point(edisp.axes["offset"]) or nearest <= offset <= farthest):
        raise GeometryError(
            "GX-SIMULATE-013",
            "the source lies outside of the field of view of the energy dispersion",
            found=f"{offset:.4g} deg",
            expected=f"{nearest:.4g} to {farthest:.4g} deg",
            **where,
        )
    width, place = np.diff(edges), np.asarray(offset)
    return sample_rows(rng, edges, lambda rows: edisp._density(true[rows], place) * width, len(true))


def _directions(
    rng: np.random.Generator, psf: Any, true: np.ndarray, offset: float, position: SkyCoord
) -> tuple[np.ndarray, np.ndarray]:
    """Right ascension and declination [deg] of events that the PSF scatters around a position."""
    if not len(true):
        return np.empty(0), np.empty(0)
    fraction = rng.uniform(np.finfo(float).tiny, 1.0, len(true))
    angle = rng.uniform(0.0, 2 * np.pi, len(true))
    pieces = [slice(start, start + _AT_ONCE) for start in range(0, len(true), _AT_ONCE)]
    radius = [psf.containment_radius(fraction[rows], true[rows] * u.TeV, offset * u.deg).value for rows in pieces]
    scattered: Any = position.directional_offset_by(angle * u.rad, np.concatenate(radius) * u.deg)
    return scattered.ra.deg, scattered.dec.deg
