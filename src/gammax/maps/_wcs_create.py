"""Sizes and positions of images, from what users write."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from gammax.errors import GeometryError
from gammax.maps._wcs_projection import check_projection, create_projection
from gammax.units import to_value


def create_geom(npix: Any, binsz: Any, proj: str, frame: str, skydir: Any, width: Any) -> tuple[WCS, tuple[int, int]]:
    """Projection and number of pixels; parameters and errors as `WcsGeom.create`."""
    check_projection(proj, frame)
    sizes = angles(binsz, "binsz")
    if npix is not None:
        shape = whole_numbers(npix, "npix", 1)
    else:
        shape = _counts(np.array([360.0, 180.0]) if width is None else angles(width, "width"), sizes)
    return create_projection(proj, frame, _position(skydir, frame), sizes, shape), shape


def _pair(value: Any, name: str) -> tuple[Any, Any]:
    """Two values from one or two."""
    several = isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0)
    values = tuple(value) if several else (value, value)
    if len(values) != 2:
        raise GeometryError("GX-MAPS-107", f"{name} has {len(values)} values", expected="one value, or two")
    return values


def angles(value: Any, name: str) -> np.ndarray:
    """Two positive angles [deg]; bare numbers are degrees."""
    angles = np.array([_degrees(item, name) for item in _pair(value, name)])
    if not np.all(np.isfinite(angles) & (angles > 0)):
        raise GeometryError("GX-MAPS-108", f"{name} is not positive", found=value)
    return angles


def _degrees(value: Any, name: str) -> float:
    bare = isinstance(value, (int, float, np.number)) and not isinstance(value, u.Quantity)
    return float(value) if bare else float(to_value(value, "deg", name))


def whole_numbers(number: Any, name: str, least: int) -> tuple[int, int]:
    """Two whole numbers, from one or two, of at least `least`."""
    values = _pair(number, name)
    if not all(float(value).is_integer() and value >= least for value in values):
        word = "positive " if least else ""
        raise GeometryError("GX-MAPS-109", f"{name} is not a {word}whole number", found=number)
    return int(values[0]), int(values[1])


def _counts(width: np.ndarray, sizes: np.ndarray) -> tuple[int, int]:
    """Whole pixels in a width, half to even as the field rounds."""
    nx, ny = (int(n) for n in np.round(width / sizes))
    if min(nx, ny) < 1:
        raise GeometryError(
            "GX-MAPS-110", "the image is smaller than half a pixel", found=f"width {width} deg", expected=f"{sizes} deg"
        )
    return nx, ny


def _position(skydir: Any, frame: str) -> SkyCoord:
    if isinstance(skydir, SkyCoord):
        if not skydir.isscalar:
            raise GeometryError("GX-MAPS-111", "skydir holds several positions", found=skydir.shape)
        return skydir.transform_to(frame)
    lon, lat = (0.0, 0.0) if skydir is None else _pair(skydir, "skydir")
    try:
        return SkyCoord(lon, lat, unit="deg", frame=frame)
    except (TypeError, ValueError, u.UnitsError) as error:
        raise GeometryError("GX-MAPS-112", f"skydir is not a position: {error}", found=repr(skydir)) from error
