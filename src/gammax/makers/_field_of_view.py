"""Where the pixels of an image are seen in the field of view, at one time or as the sky turns in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import AltAz, SkyCoord
from astropy.time import Time

from gammax.data import Observation
from gammax.errors import DataValueError

_EARTH_RATE = 360.98564736629 / 86400  # deg / s
# nearer to the zenith than this the sky is not followed in finer steps
_SHORTEST_STEP_S = 1.0


def unit_vectors(sky: SkyCoord) -> np.ndarray:
    """Unit vectors in ICRS, shape (3, ...)."""
    return np.asarray(sky.icrs.cartesian.xyz.value)


def camera_axes(observation: Observation, alignment: str, rotation_step: float) -> Iterator[tuple[float, np.ndarray]]:
    """Axes of the camera among the unit vectors of the sky, one by one for pieces of the good time.

    Parameters
    ----------
    alignment : as `Background3D.fov_alignment`, which tells the signs.
    rotation_step : largest angle [deg] by which the sky turns in the field of view during a piece.

    Returns
    -------
    share : of the piece in the good time.
    axes : rows longitude, latitude, pointing, shape (3, 3), at the middle of the piece.
    """
    turns = alignment == "ALTAZ"
    if not turns and observation.pointing.mode == "POINTING":
        yield 1.0, _axes(observation.get_pointing_icrs(), alignment)
        return
    times, lengths = _pieces(observation, rotation_step)
    pointing: Any = observation.get_pointing_altaz(times) if turns else observation.get_pointing_icrs(times)
    matrices = _sky_to_ground(observation, times) if turns else np.broadcast_to(np.eye(3), (len(lengths), 3, 3))
    for k, share in enumerate(lengths / lengths.sum()):
        yield float(share), _axes(pointing[k], alignment) @ matrices[k]


def field_coordinates(axes: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude [deg] of unit vectors (3, ...) in the field of view."""
    lon, lat, ahead = (np.tensordot(row, vectors, 1) for row in axes)
    return np.degrees(np.arctan2(lon, ahead)), np.degrees(np.arcsin(np.clip(lat, -1, 1)))


def _axes(pointing: SkyCoord, alignment: str) -> np.ndarray:
    """Signs as `gammax.data._fov.fov_coordinates` has them."""
    lon, lat = pointing.spherical.lon.rad, pointing.spherical.lat.rad
    along = np.array([-np.sin(lon), np.cos(lon), 0.0])
    up = np.array([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)])
    ahead = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    return np.stack([along if alignment == "REVERSE_LON_RADEC" else -along, up, ahead])


def _sky_to_ground(observation: Observation, times: Time) -> np.ndarray:
    """Matrices from ICRS to altitude and azimuth around the pointing, shape (times, 3, 3).

    Precession, nutation and the turning Earth are rotations; aberration is one within 0.1 arcsec over a field of 5 deg.
    """
    tracked = observation.get_pointing_icrs(times).icrs
    center = SkyCoord(*(np.broadcast_to(part.deg, times.shape) for part in (tracked.ra, tracked.dec)), unit="deg")
    angles = np.append(0, np.arange(8) * 45) * u.deg
    around = center[:, np.newaxis].directional_offset_by(angles, np.append(0, np.full(8, 2.0)) * u.deg)
    there = around.transform_to(AltAz(obstime=times[:, np.newaxis], location=observation.location))
    here, there = (np.moveaxis(np.asarray(c.cartesian.xyz.value), 0, -1) for c in (around, there))
    return np.swapaxes(np.linalg.pinv(here) @ there, 1, 2)


def _pieces(observation: Observation, rotation_step: float) -> tuple[Time, np.ndarray]:
    """Middles and lengths [s] of pieces of the good time."""
    gti = observation.gti
    middles, lengths = [], []
    for start, stop in zip(gti.start_s, gti.stop_s, strict=True):
        turned = _turning(observation, gti.reference.to_time(np.linspace(start, stop, 9))) * (stop - start)
        n = int(np.clip(np.ceil(turned / rotation_step), 1, max(1, (stop - start) // _SHORTEST_STEP_S)))
        middles.append(start + (stop - start) * (np.arange(n) + 0.5) / n)
        lengths.append(np.full(n, (stop - start) / n))
    if not lengths or not np.sum(np.concatenate(lengths)) > 0:
        raise DataValueError("GX-MAKERS-082", "no good time is left of the observation", obs_id=observation.obs_id)
    return gti.reference.to_time(np.concatenate(middles)), np.concatenate(lengths)


def _turning(observation: Observation, times: Time) -> float:
    """Largest rate [deg / s] at which the sky turns about the pointing, seen from the ground."""
    there = observation.get_pointing_altaz(times)
    latitude = observation.location.lat.rad  # type: ignore[union-attr]
    with np.errstate(divide="ignore"):
        rate = _EARTH_RATE * np.cos(latitude) * np.abs(np.cos(there.az.rad)) / np.cos(there.alt.rad)
    return float(np.max(rate))
