"""Sky to pixels as a JAX function, for the projections in which template maps come."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from astropy.wcs import WCS
from jax import Array

from gammax.errors import ModelError
from gammax.maps._wcs_projection import pixel_period
from gammax.models._sphere import RAD

# offsets [deg] at which the rotation of a projection is measured; within the reach of TAN
_PROBES = np.array([[0.0, 0.0], [40.0, 0.0], [0.0, 40.0], [-30.0, -30.0]])


@dataclass(frozen=True, eq=False)
class Projection:
    """A plate carree or a tangential projection.

    Attributes
    ----------
    code : "CAR" or "TAN". rotation : celestial to native unit vectors, (3, 3).
    pixels_per_degree : (2, 2). reference : pixel numbers (from 0) of the reference point, (2,).
    middle : x of the middle of the image. period : pixels around the sky in x, or None.
    """

    code: str
    rotation: np.ndarray
    pixels_per_degree: np.ndarray
    reference: np.ndarray
    middle: float
    period: float | None

    def pixels(self, lon: Array, lat: Array) -> tuple[Array, Array]:
        """Pixel numbers x and y of positions [deg]; far away where the projection does not reach."""
        cos_lat = jnp.cos(lat * RAD)
        sky = (cos_lat * jnp.cos(lon * RAD), cos_lat * jnp.sin(lon * RAD), jnp.sin(lat * RAD))
        a, b, c = (sum(m * part for m, part in zip(row, sky, strict=True)) for row in self.rotation)
        if self.code == "CAR":
            polar = a * a + b * b < 1e-30
            flat_x, flat_y = jnp.arctan2(b, jnp.where(polar, 1.0, a)), jnp.arctan2(c, _safe_hypot(a, b, polar))
        else:
            ahead = c > 1e-3
            flat_x, flat_y = (jnp.where(ahead, part / jnp.where(ahead, c, 1.0), 1e6) for part in (b, -a))
        (xx, xy), (yx, yy) = self.pixels_per_degree / RAD
        x = self.reference[0] + xx * flat_x + xy * flat_y
        y = self.reference[1] + yx * flat_x + yy * flat_y
        if self.period is not None:
            x = x - self.period * jnp.floor((x - self.middle) / self.period + 0.5)
        return x, y


def _safe_hypot(a: Array, b: Array, is_zero: Array) -> Array:
    return jnp.where(is_zero, 0.0, jnp.sqrt(jnp.where(is_zero, 1.0, a * a + b * b)))


def projection_of(wcs: WCS, n_columns: int) -> Projection:
    """Projection of an image with that many columns.

    Raises
    ------
    ModelError : neither CAR nor TAN.
    """
    code = wcs.wcs.ctype[0][-3:]
    if code not in ("CAR", "TAN"):
        raise ModelError(
            "GX-MODEL-045",
            f"a template map in projection {code} has no values inside a compiled likelihood",
            expected="CAR or TAN",
            do="reproject the map",
        )
    pixels_per_degree, reference = np.linalg.inv(wcs.pixel_scale_matrix), wcs.wcs.crpix - 1.0
    flat = _PROBES * RAD
    if code == "CAR":
        native = _vectors(flat[:, 0], flat[:, 1])
    else:
        native = np.stack([-flat[:, 1], flat[:, 0], np.ones(len(flat))], axis=1)
        native /= np.linalg.norm(native, axis=1, keepdims=True)
    x, y = reference[:, None] + pixels_per_degree @ _PROBES.T
    celestial = _vectors(*np.radians(wcs.wcs_pix2world(x, y, 0)))
    # the rotation that takes the one set of vectors into the other (Kabsch)
    left, _, right = np.linalg.svd(native.T @ celestial)
    turn = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    return Projection(code, left @ turn @ right, pixels_per_degree, reference, (n_columns - 1) / 2, pixel_period(wcs))


def _vectors(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
