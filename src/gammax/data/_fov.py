"""Field of view coordinates: where in the camera a direction of the sky is seen."""

from __future__ import annotations

import numpy as np
from astropy.coordinates import SkyCoord


def fov_coordinates(sky: SkyCoord, pointing: SkyCoord, alignment: str) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude [deg] of directions in the field of view, origin where the telescope points.

    Latitude grows to the north, longitude to the west ("RADEC") or to the east ("REVERSE_LON_RADEC"); with "ALTAZ"
    latitude grows upwards and longitude against the azimuth. Signs as the peer has them.

    Parameters
    ----------
    sky : directions. pointing : in ICRS, or in `AltAz` for "ALTAZ"; the two broadcast.
    alignment : as `Background3D.fov_alignment`.
    """
    there, here = (coord.spherical for coord in (sky.transform_to(pointing.frame), pointing))
    d_lon = there.lon.rad - here.lon.rad
    (sin_lat, cos_lat), (sin_lat0, cos_lat0) = ((np.sin(c.lat.rad), np.cos(c.lat.rad)) for c in (there, here))
    lon = np.arctan2(cos_lat * np.sin(d_lon), cos_lat0 * cos_lat * np.cos(d_lon) + sin_lat0 * sin_lat)
    lat = np.arcsin(np.clip(cos_lat0 * sin_lat - sin_lat0 * cos_lat * np.cos(d_lon), -1, 1))
    return np.degrees(lon if alignment == "REVERSE_LON_RADEC" else -lon), np.degrees(lat)
