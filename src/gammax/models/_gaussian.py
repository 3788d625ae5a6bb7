"""Gaussian and generalised Gaussian shapes, round or elongated, of unit integral over the sphere."""

from __future__ import annotations

from typing import Any, ClassVar

import astropy.units as u
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import gammaln
from scipy.special import loggamma

from gammax import _regions as sky_regions
from gammax.models._mesh import Mesh
from gammax.models._parameter import Parameter, parameter
from gammax.models._spatial import SpatialModel
from gammax.models._sphere import RAD, at_least, axis_ratio, ellipse_gaussian, ellipse_squared, integrate_ellipse

# 2 k + 2 and ln (2 k + 1)! of the expansion of sin(x) / x in the normalisation; radius [rad] up to which it is taken
_ORDERS = np.arange(2.0, 22.0, 2.0)
_FACTORIALS = loggamma(_ORDERS)
_WIDEST = 0.35
# (separation / radius)^2 that counts as the very centre; ln of an exponent beyond which exp(-exponent) is zero
_PEAK = 1e-24
_LAST = 6.65


class EllipticalModel(SpatialModel):
    """Base of shapes with a major half axis, an eccentricity `e` and a position angle `phi` (north through east)."""

    major_name: ClassVar[str]

    def axes(self) -> tuple[Array, Array, Array]:
        """Major half axis [deg], eccentricity, position angle [deg]."""
        return getattr(self, self.major_name).canonical, self.e.canonical, self.phi.canonical

    @property
    def minor_axis(self) -> float:
        """Minor half axis [deg]."""
        major, e, _ = (float(value) for value in self.axes())
        return major * max(1.0 - e**2, 0.0) ** 0.5

    def to_region(self, size_factor: float = 1.0, **kwargs: Any) -> sky_regions.EllipseSkyRegion:
        """Ellipse of `size_factor` times the half axes; `kwargs` go to the region."""
        major, _, phi = (float(value) for value in self.axes())
        height, width = (2.0 * size_factor * axis * u.deg for axis in (major, self.minor_axis))
        return sky_regions.EllipseSkyRegion(self.position, width=width, height=height, angle=phi * u.deg, **kwargs)


class GaussianSpatialModel(EllipticalModel):
    """Gaussian on the sphere: N exp(-(1 - cos sep) / (2 (1 - cos s))), s the size in the direction of the point.

    N = 1 / (4 pi a (1 - exp(-1 / a))), a = 1 - cos sigma, if round; else that of the ellipse, exact as well.
    """

    tag: ClassVar = ("gauss",)
    major_name: ClassVar = "sigma"

    lon_0: Parameter = parameter("0 deg")
    lat_0: Parameter = parameter("0 deg", min=-90.0, max=90.0)
    sigma: Parameter = parameter("1 deg", min=0.0)
    e: Parameter = parameter(0.0, min=0.0, max=1.0, frozen=True)
    phi: Parameter = parameter("0 deg", min=-180.0, max=180.0, frozen=True)

    @staticmethod
    def evaluate(lon: Array, lat: Array, lon_0: Array, lat_0: Array, sigma: Array, e: Array, phi: Array) -> Array:
        """Surface brightness [sr-1]."""

        def ray(radius_squared: Array) -> Array:
            area = 2.0 * jnp.sin(0.5 * jnp.sqrt(radius_squared)) ** 2
            return 2.0 * area * -jnp.expm1(-1.0 / area)

        exponent = ellipse_gaussian(lon, lat, lon_0, lat_0, sigma, e, phi)
        return jnp.exp(-exponent) / integrate_ellipse(ray, sigma, e)

    @property
    def evaluation_radius(self) -> float:
        """5 sigma [deg]."""
        return 5.0 * float(self.sigma.canonical)

    def values_at_nodes(self, lon: Array, lat: Array, spacing: Array, energy: Array | None = None) -> Array:
        """As `values`, up to a factor, wider by a Gaussian of 0.6 spacings: nodes see it however narrow it is."""
        values = self._values()
        sigma = values.pop("sigma")
        wider = jnp.sqrt(sigma**2 + (0.6 * spacing) ** 2)
        return self.evaluate(lon, lat, **{**values, "sigma": wider, "e": values["e"] * sigma / wider})

    @property
    def evaluation_bin_size_min(self) -> float:
        """sigma / 3 [deg]."""
        return float(self.sigma.canonical) / 3.0

    def mesh(self) -> Mesh:
        """Cells of one sigma; what is beyond 6.8 sigma is 1e-10 of the whole."""
        return Mesh(unit=self.minor_axis, extent=6.8, largest=1.0)


class GeneralizedGaussianSpatialModel(EllipticalModel):
    """Generalised Gaussian: N exp(-(sep / r)^(1 / eta)), r the half axis r_0 in the direction of the point.

    eta -> 0 is a disk, 1/2 a Gaussian, 1 an exponential. In a plane N = 1 / (2 pi r_minor r_0 eta Gamma(2 eta)), which
    is corrected for the curvature of the sphere: exactly up to 20 deg, where the correction stays for larger ones.
    For eta > 1/2 the curvature at the peak is infinite: at the very centre (1e-12 r_0) it is a paraboloid.
    """

    tag: ClassVar = ("gauss-general",)
    major_name: ClassVar = "r_0"

    lon_0: Parameter = parameter("0 deg")
    lat_0: Parameter = parameter("0 deg", min=-90.0, max=90.0)
    r_0: Parameter = parameter("1 deg")
    eta: Parameter = parameter(0.5, min=0.01, max=1.0)
    e: Parameter = parameter(0.0, min=0.0, max=1.0, frozen=True)
    phi: Parameter = parameter("0 deg", min=-180.0, max=180.0, frozen=True)

    @staticmethod
    def evaluate(
        lon: Array, lat: Array, lon_0: Array, lat_0: Array, r_0: Array, eta: Array, e: Array, phi: Array
    ) -> Array:
        """Surface brightness [sr-1]."""
        eta = jnp.maximum(eta, 1e-3)

        moments = eta * jnp.exp(gammaln(_ORDERS * eta) - _FACTORIALS)

        def ray(radius_squared: Array) -> Array:
            # integral of f sin(theta) along a ray: moments of f times the series of the sine
            capped, total = jnp.minimum(radius_squared, _WIDEST**2), 0.0
            for moment in moments[::-1]:
                total = moment - capped * total
            return radius_squared * total

        power = 0.5 / eta
        squared = ellipse_squared(lon, lat, lon_0, lat_0, r_0, e, phi)
        return jnp.exp(-_exponent(squared, power)) / integrate_ellipse(ray, r_0, e)

    def values_at_nodes(self, lon: Array, lat: Array, spacing: Array, energy: Array | None = None) -> Array:
        """As `values`, up to a factor, cusp and edge no sharper than the spacing."""
        values = self._values()
        eta = jnp.maximum(values.pop("eta"), 1e-3)
        step = 0.6 * spacing * RAD / (at_least(values["r_0"]) * axis_ratio(values["e"]))
        # where the nodes are dense the edge, of width eta, is itself to many digits
        blunt = (eta**8 + step**8) ** 0.125
        return jnp.exp(-_exponent(ellipse_squared(lon, lat, major=values.pop("r_0"), **values) + step**2, 0.5 / blunt))

    @property
    def evaluation_radius(self) -> float:
        """r_0 (1 + 8 eta) [deg]."""
        return float(self.r_0.canonical) * (1.0 + 8.0 * float(self.eta.value))

    @property
    def evaluation_bin_size_min(self) -> float:
        """r_0 / (3 + 8 eta) / (1 + e) [deg]."""
        return float(self.r_0.canonical) / (3.0 + 8.0 * float(self.eta.value)) / (1.0 + float(self.e.value))

    def mesh(self) -> Mesh:
        """Cells finer about the cusp of eta > 1/2 and about the edge of small eta."""
        eta = float(self.eta.value)
        cusp = ((0.0, 1e-3),) if eta > 0.5 else ()
        return Mesh(unit=self.minor_axis, extent=25.0**eta, largest=0.7, edges=(*cusp, (1.0, 0.7 * min(eta, 0.5))))


def _exponent(squared: Array, power: Array) -> Array:
    """squared^power; at the very centre a paraboloid."""
    at_peak = squared < _PEAK
    safe = jnp.where(at_peak, 1.0, squared)
    exponent = jnp.exp(jnp.minimum(power * jnp.log(safe), _LAST))
    peak = squared * jnp.minimum(1.0, _PEAK ** (power - 1.0))
    return jnp.where(at_peak, peak, exponent)
