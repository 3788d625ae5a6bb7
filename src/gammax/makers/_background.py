"""Background that the responses expect in a region."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.time import Time

from gammax.data import Observation
from gammax.data._fov import fov_coordinates
from gammax.errors import DataValueError, GeometryError
from gammax.irf import Background2D
from gammax.irf._background import BackgroundBase
from gammax.makers._responses import require
from gammax.maps import MapAxis, RegionGeom

# the sky turns by less than half a degree in the field of view, but within 30 deg of the zenith
_STEP_S = 60.0
# of the files, which hold 32 bits: the rate that stands for none where a logarithm is taken
TINY = float(np.finfo(np.float32).tiny)


def background_counts(observation: Observation, geom: RegionGeom, sky: SkyCoord, oversampling: int) -> np.ndarray:
    """Expected background counts of a region per reconstructed energy bin, dead time not taken off (GADF 0.2).

    The rate is taken at the edges of the bins, each divided into `oversampling` parts, and goes as a power law between
    them; a part that begins below the energies of the table counts nothing. So does the peer, and so it fills in cells
    of rate 0 between others of the same place by interpolation in the energy.

    Parameters
    ----------
    sky : directions over which the rate is averaged, shape (n,).

    Raises
    ------
    SchemaError : there is no background. GeometryError : the region has no size.
    DataValueError : the rate is zero at all energies.
    """
    bkg = filled_in_energy(require(observation, "bkg", "leave background out of the selection"))
    solid_angle = float(geom.solid_angle().value)
    if solid_angle == 0:
        raise GeometryError(
            "GX-MAKERS-032",
            "a point has no solid angle for a background",
            obs_id=observation.obs_id,
            do="give a circle as ON region, or leave background out of the selection",
        )
    axis = geom.axes["energy"]
    edges = divided_edges(axis, oversampling)
    rate = _rate(observation, bkg, edges, sky)
    if not rate.any():
        low, high = edges[[0, -1]]
        raise DataValueError(
            "GX-MAKERS-033",
            f"obs {observation.obs_id}: the background rate is zero over the whole energy range",
            obs_id=observation.obs_id,
            found=f"0 from {low:.4g} to {high:.4g} TeV",
            expected="a region in the field of view of the background",
        )
    known = bkg._inside("energy", edges[:-1])
    per_part = (
        np.where(known, power_law_integral(edges, rate, TINY * bkg._factor), 0.0)
        * solid_angle
        * float(observation.ontime.to_value("s"))
    )
    return per_part.reshape(axis.nbin, oversampling).sum(axis=1)


def filled_in_energy(bkg: BackgroundBase) -> BackgroundBase:
    """Background whose cells of rate 0 that have cells with a rate below and above them in energy are interpolated.

    Log rate over the number of the bin, as the peer has it.
    """
    rows = bkg.data.reshape(bkg.data.shape[0], -1)
    bins = np.arange(len(rows))
    filled = rows.copy()
    for k in np.flatnonzero((rows == 0).any(axis=0) & (rows > 0).any(axis=0)):
        known = rows[:, k] > 0
        inner = ~known & (bins > bins[known][0]) & (bins < bins[known][-1])
        if inner.any():
            filled[inner, k] = np.exp(np.interp(bins[inner], bins[known], np.log(rows[known, k])))
    return replace(bkg, data=filled.reshape(bkg.data.shape))


def power_law_integral(edges: np.ndarray, rate: np.ndarray, tiny: float) -> np.ndarray:
    """Integral from edge to edge of what goes as a power law between the rates there, where a rate of 0 is `tiny`.

    It is 0 where neither of the two is more than twice that.

    Parameters
    ----------
    edges : shape (n + 1,). rate : shape (..., n + 1).
    """
    start, stop = rate[..., :-1], rate[..., 1:]
    low, high = np.maximum(start, tiny), np.maximum(stop, tiny)
    width = np.log(edges[1:] / edges[:-1])
    # E dN/dE goes from a to a exp(x) in ln E: its mean is a (exp(x) - 1) / x
    x = np.log(high / low) + width
    is_flat = np.abs(x) < 1e-12
    mean = np.where(is_flat, 1.0, np.expm1(x) / np.where(is_flat, 1.0, x))
    return np.where((start > 2 * tiny) | (stop > 2 * tiny), low * edges[:-1] * width * mean, 0.0)


def divided_edges(axis: MapAxis, parts: int) -> np.ndarray:
    """Edges [TeV] of an energy axis with every bin in equal parts of ln E."""
    edges = axis.edges_value("TeV")
    steps = np.arange(parts) / parts
    inner = edges[:-1, np.newaxis] * (edges[1:] / edges[:-1])[:, np.newaxis] ** steps
    return np.append(inner, edges[-1])


def _rate(observation: Observation, bkg: BackgroundBase, energy: np.ndarray, sky: SkyCoord) -> np.ndarray:
    """Rate [s-1 TeV-1 sr-1] at energies [TeV], averaged over directions and, where they move in the camera, time."""
    is_radial = isinstance(bkg, Background2D)
    pointing: Any
    turns = bkg.fov_alignment == "ALTAZ" and not is_radial
    if not turns and observation.pointing.mode == "POINTING":
        pointing, weight = observation.get_pointing_icrs()[np.newaxis], np.ones(1)
    else:
        times, weight = _moments(observation)
        pointing = observation.get_pointing_altaz(times) if turns else observation.get_pointing_icrs(times)
    rate = np.zeros(len(energy))
    for k, share in enumerate(weight / weight.sum()):
        coords = _offset(bkg, sky, pointing[k]) if is_radial else _field(bkg, sky, pointing[k])
        rate += share * bkg.values(energy=energy[:, np.newaxis], **coords).mean(axis=1)
    return rate


def _offset(bkg: Any, sky: SkyCoord, pointing: SkyCoord) -> dict[str, np.ndarray]:
    """Offsets; between the outermost nodes and the outer edges the rate stays that of the node."""
    offset, nodes = sky.separation(pointing).deg, bkg.axes["offset"].center_value("deg")
    return {"offset": np.where(bkg._inside("offset", offset), np.clip(offset, nodes[0], nodes[-1]), offset)}


def _field(bkg: Any, sky: SkyCoord, pointing: SkyCoord) -> dict[str, np.ndarray]:
    lon, lat = fov_coordinates(sky, pointing, bkg.fov_alignment)
    return {"fov_lon": lon, "fov_lat": lat}


def _moments(observation: Observation) -> tuple[Time, np.ndarray]:
    """Middles of pieces of the good time intervals, and how long the pieces are [s]."""
    gti = observation.gti
    middles, lengths = [], []
    for start, stop in zip(gti.start_s, gti.stop_s, strict=True):
        n = max(1, int(np.ceil((stop - start) / _STEP_S)))
        middles.append(start + (stop - start) * (np.arange(n) + 0.5) / n)
        lengths.append(np.full(n, (stop - start) / n))
    return gti.reference.to_time(np.concatenate(middles)), np.concatenate(lengths)
