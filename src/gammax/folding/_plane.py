"""The sky near an anchor: positions as pixel numbers of an image, smooth in longitude and latitude."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy.coordinates import SkyCoord
from jax import Array

from gammax.errors import GeometryError

if TYPE_CHECKING:
    from gammax.maps import WcsGeom

_DEGREE = 6
_POWERS = tuple((i, j) for i in range(_DEGREE + 1) for j in range(_DEGREE + 1 - i))
# pixels; of the polynomial against the projection itself
_PIX_ATOL = 1e-6


def namespace(number: Array | np.ndarray) -> Any:
    """`numpy` of a number of the host: what is computed once is not worth compiling; else `jax.numpy`."""
    return jnp if isinstance(number, Array) else np


class Plane(eqx.Module):
    """Tangent plane of the sky at an anchor, and where its points lie in an image.

    Inside a fit a source moves by less than a degree, so that its pixel is a polynomial of its position in the tangent
    plane, fitted to the projection of the image once: one form for all projections and frames, without branch, wrap
    or pole.

    Attributes
    ----------
    lon, lat : the anchor [deg] in the frame of the source.
    width : half width [deg] of the square in which the polynomial was fitted.
    coefficients : of the pixel numbers x and y in powers of the coordinates over the width, east and north,
        (2, 7, 7).
    sky_per_pixel : displacement on the sky [deg] per pixel at the anchor, columns for x and y, (2, 2).
    """

    lon: Array
    lat: Array
    width: Array
    coefficients: Array
    sky_per_pixel: Array

    @property
    def anchor_pixels(self) -> tuple[float, float]:
        """Pixel numbers x and y of the anchor, on the host."""
        x, y = np.asarray(self.coefficients)[:, 0, 0]
        return float(x), float(y)

    def tangent(self, lon: Array, lat: Array) -> tuple[Array, Array]:
        """Gnomonic coordinates [deg] about the anchor of positions [deg], eastward and northward."""
        xp = namespace(lon)
        turn, lat, lat_0 = xp.deg2rad(lon - self.lon), xp.deg2rad(lat), xp.deg2rad(self.lat)
        versine = 2.0 * xp.sin(turn / 2.0) ** 2
        # written with differences, so that small offsets keep all their digits
        east = xp.cos(lat) * xp.sin(turn)
        north = xp.sin(lat - lat_0) + xp.sin(lat_0) * xp.cos(lat) * versine
        ahead = xp.cos(lat - lat_0) - xp.cos(lat_0) * xp.cos(lat) * versine
        return xp.rad2deg(east / ahead), xp.rad2deg(north / ahead)

    def pixels(self, lon: Array, lat: Array) -> tuple[Array, Array]:
        """Pixel numbers x and y of positions [deg]."""
        east, north = self.tangent(lon, lat)
        powers_east, powers_north = _powers(east / self.width), _powers(north / self.width)
        x, y = namespace(east).einsum("aij,i,j->a", self.coefficients, powers_east, powers_north)
        return x, y


def make_plane(geom: WcsGeom, anchor: SkyCoord, width: float) -> Plane:
    """Plane about a position.

    Parameters
    ----------
    geom : the image.
    anchor : position, in the frame of the source.
    width : half width [deg] of the square in which positions will be asked for; made smaller, down to a tenth, where
        the projection is too curved or ends.

    Raises
    ------
    GeometryError : the image does not reach the position.
    """
    for shrunk in (width, width / 2, width / 4, width / 10):
        nodes = np.cos(np.pi * (np.arange(3 * _DEGREE) + 0.5) / (3 * _DEGREE))
        east, north = (axis.ravel() for axis in np.meshgrid(nodes, nodes))
        pixels = np.array(geom.to_image().coord_to_pix(_from_tangent(anchor, east * shrunk, north * shrunk)))
        if not np.isfinite(pixels).all():
            continue
        terms = np.stack([east**i * north**j for i, j in _POWERS])
        coefficients = np.linalg.lstsq(terms.T, pixels.T, rcond=None)[0].T
        if np.abs(coefficients @ terms - pixels).max() < _PIX_ATOL:
            return _plane(anchor, shrunk, coefficients)
    raise GeometryError(
        "GX-FOLD-010",
        "the image does not reach the position of a source",
        found=f"{anchor.to_string()} deg {anchor.frame.name}",
        expected=f"within {geom!r}",
    )


def _plane(anchor: SkyCoord, width: float, coefficients: np.ndarray) -> Plane:
    table = np.zeros((2, _DEGREE + 1, _DEGREE + 1))
    table[:, *np.transpose(_POWERS)] = coefficients
    slopes = np.stack([table[:, 1, 0], table[:, 0, 1]], axis=1) / width
    return Plane(
        lon=np.asarray(anchor.spherical.lon.deg, float),
        lat=np.asarray(anchor.spherical.lat.deg, float),
        width=np.asarray(width, float),
        coefficients=table,
        sky_per_pixel=np.linalg.inv(slopes),
    )


@jax.custom_jvp
def _traced_powers(x: Array) -> Array:
    """Powers 0 to 6 of a number. Their derivative is stated: unrolled, as in Horner's scheme, it takes as long to
    compile as all the rest of a source, and that of a power of 0 is NaN."""
    return x ** np.arange(_DEGREE + 1)


@_traced_powers.defjvp
def _powers_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    powers = _traced_powers(*primals)
    return powers, jnp.arange(_DEGREE + 1) * jnp.roll(powers, 1).at[0].set(0.0) * tangents[0]


def _powers(x: Array) -> Array:
    return _traced_powers(x) if isinstance(x, Array) else x ** np.arange(_DEGREE + 1)


def _from_tangent(anchor: SkyCoord, east: np.ndarray, north: np.ndarray) -> SkyCoord:
    """Positions of gnomonic coordinates [deg] about an anchor."""
    lon, lat = anchor.spherical.lon.rad, anchor.spherical.lat.rad
    ahead = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    to_east = np.array([-np.sin(lon), np.cos(lon), 0.0])
    to_north = np.cross(ahead, to_east)
    vector = ahead[:, None] + np.outer(to_east, np.deg2rad(east)) + np.outer(to_north, np.deg2rad(north))
    x, y, z = vector / np.linalg.norm(vector, axis=0)
    return SkyCoord(np.rad2deg(np.arctan2(y, x)), np.rad2deg(np.arcsin(z)), unit="deg", frame=anchor.frame.name)
