"""From coordinates of the field of view to the sky."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from gammax.data import Observation


def field_to_icrs(
    observation: Observation, alignment: str, fov_lon: np.ndarray, fov_lat: np.ndarray, time_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Right ascension and declination [deg] of places [deg] in the field of view.

    Latitude grows to the north ("RADEC", "REVERSE_LON_RADEC") or upwards ("ALTAZ"); longitude to the west, to the east,
    or against the azimuth. Only "ALTAZ" depends on the times [s, as the good time intervals count], and needs the site.
    """
    east = fov_lon if alignment == "REVERSE_LON_RADEC" else -fov_lon
    if alignment != "ALTAZ":
        pointing = observation.get_pointing_icrs()
        return from_offsets(east, fov_lat, pointing.ra.deg, pointing.dec.deg)
    times = observation.gti.reference.to_time(time_s)
    pointing = observation.get_pointing_altaz(times)
    az, alt = from_offsets(east, fov_lat, pointing.az.deg, pointing.alt.deg)
    icrs: Any = SkyCoord(az=az * u.deg, alt=alt * u.deg, frame=pointing.frame.replicate_without_data()).icrs
    return icrs.ra.deg, icrs.dec.deg


def from_offsets(lon: np.ndarray, lat: np.ndarray, lon0: np.ndarray, lat0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates [deg] of places given in the frame whose origin is (lon0, lat0): `astropy`'s sky offset frame."""
    lon, lat, lon0, lat0 = (np.deg2rad(angle) for angle in (lon, lat, lon0, lat0))
    x, y, z = np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)
    forward, up = np.cos(lat0) * x - np.sin(lat0) * z, np.sin(lat0) * x + np.cos(lat0) * z
    turned = lon0 + np.arctan2(y, forward)
    return np.rad2deg(turned) % 360, np.rad2deg(np.arctan2(up, np.hypot(forward, y)))
