"""Shapes without a shape: a point, and the whole sky."""

from __future__ import annotations

from typing import Any, ClassVar

import astropy.units as u
import jax.numpy as jnp
import numpy as np
from astropy.coordinates import SkyCoord
from jax import Array

from gammax import _regions as sky_regions
from gammax.errors import ModelError
from gammax.maps import WcsGeom, WcsNDMap
from gammax.maps._wcs_projection import pixel_period
from gammax.models._mesh import Mesh
from gammax.models._parameter import Parameter, parameter
from gammax.models._spatial import SpatialModel


class PointSpatialModel(SpatialModel):
    """Point source."""

    tag: ClassVar = ("point",)

    lon_0: Parameter = parameter("0 deg")
    lat_0: Parameter = parameter("0 deg", min=-90.0, max=90.0)

    @staticmethod
    def evaluate(lon: Array, lat: Array, lon_0: Array, lat_0: Array) -> Array:
        """Not possible.

        Raises
        ------
        ModelError : always: a point has no surface brightness.
        """
        raise ModelError("GX-MODEL-043", "a point source has no surface brightness", do="use integrate_geom")

    @property
    def evaluation_radius(self) -> float:
        """0."""
        return 0.0

    @property
    def evaluation_bin_size_min(self) -> float:
        """0."""
        return 0.0

    def mesh(self) -> Mesh | None:
        """None: there is nothing to sample."""
        return None

    def evaluate_geom(self, geom: WcsGeom) -> u.Quantity:
        """Fractions of `integrate_geom` over the solid angle of the pixels, (ny, nx)."""
        image = geom.to_image()
        return u.Quantity(self.integrate_geom(image).data / image.solid_angle().value, "sr-1")

    def integrate_geom(self, geom: WcsGeom, oversampling_factor: int | None = None) -> WcsNDMap:
        """Fraction in every pixel: bilinear weights of the four nearest, which keep sum and centroid."""
        image, (nx, ny) = geom.to_image(), geom.npix
        x, y = (float(pix) for pix in image.coord_to_pix(self.position))
        fractions = np.zeros((ny, nx))
        if np.isfinite(x) and np.isfinite(y):
            period = pixel_period(image.wcs)
            closed = period is not None and abs(period - nx) < 1e-6
            left, low = int(np.floor(x)), int(np.floor(y))
            for i, weight_x in ((left, left + 1 - x), (left + 1, x - left)):
                for j, weight_y in ((low, low + 1 - y), (low + 1, y - low)):
                    column = i % nx if closed else i
                    if 0 <= column < nx and 0 <= j < ny:
                        fractions[j, column] += weight_x * weight_y
        return WcsNDMap(image, fractions)

    def to_region(self, size_factor: float = 1.0, **kwargs: Any) -> sky_regions.PointSkyRegion:
        """Point; `kwargs` go to the region."""
        return sky_regions.PointSkyRegion(self.position, **kwargs)


class ConstantSpatialModel(SpatialModel):
    """The same surface brightness everywhere."""

    tag: ClassVar = ("const",)

    value: Parameter = parameter("1 sr-1", frozen=True)

    @staticmethod
    def evaluate(lon: Array, lat: Array, value: Array) -> Array:
        """Surface brightness [sr-1]."""
        return value * jnp.ones(jnp.broadcast_shapes(jnp.shape(lon), jnp.shape(lat)))

    @property
    def position(self) -> None:
        """None: it is nowhere in particular."""
        return

    def to_region(self, size_factor: float = 1.0, **kwargs: Any) -> sky_regions.RectangleSkyRegion:
        """The whole sky; `kwargs` go to the region."""
        center = SkyCoord(0.0, 0.0, unit="deg", frame=self.frame)
        return sky_regions.RectangleSkyRegion(center, width=360.0 * u.deg, height=180.0 * u.deg, **kwargs)
