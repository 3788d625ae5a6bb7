"""Shapes with an edge: disk and shells, of unit integral over the sphere."""

from __future__ import annotations

from typing import Any, ClassVar

import astropy.units as u
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import erfc
from jax.scipy.stats import norm
from scipy.special import beta, erfinv, factorial

from gammax import _regions as sky_regions
from gammax.models._gaussian import EllipticalModel
from gammax.models._mesh import Mesh
from gammax.models._parameter import Parameter, parameter
from gammax.models._spatial import SpatialModel
from gammax.models._sphere import (
    RAD,
    SMALLEST,
    at_least,
    axis_ratio,
    ellipse_squared,
    integrate_ellipse,
    separation_squared,
)

# the edge falls from 95 % to 5 % within its width
_EDGE = 2.0 * erfinv(0.9)
# (separation / radius)^2 that counts as the centre of a disk, where the separation has no derivative
_CENTER = 1e-24
# sigma of a Gaussian edge, and length of a softplus of the squared radius, in spacings of nodes: with them a sum over
# nodes is the integral to 3e-6 and 1e-4 of what is at the edge
_SOFT, _SOFT_ROOT = 0.8, 0.5
# part of the radius squared, inside the rim of a shell, where the square root is blunted
_RIM = 1e-6
# integral of sqrt(1 - x^2) sin(R x) over x from 0 to 1: coefficients of R (-R^2)^k
_SHELL = [0.5 * beta(k + 1.0, 1.5) / factorial(2 * k + 1) for k in range(8)]


class DiskSpatialModel(EllipticalModel):
    """Disk with a soft edge: N erfc(2.326 (sep / r - 1) / edge_width) / 2, r the half axis r_0 in that direction.

    1 / N is the integral over the sphere of just this, edge included (1e-8).
    """

    tag: ClassVar = ("disk",)
    major_name: ClassVar = "r_0"

    lon_0: Parameter = parameter("0 deg")
    lat_0: Parameter = parameter("0 deg", min=-90.0, max=90.0)
    r_0: Parameter = parameter("1 deg", min=0.0)
    e: Parameter = parameter(0.0, min=0.0, max=1.0, frozen=True)
    phi: Parameter = parameter("0 deg", min=-180.0, max=180.0, frozen=True)
    edge_width: Parameter = parameter(0.01, min=0.0, max=1.0, frozen=True)

    @staticmethod
    def evaluate(
        lon: Array, lat: Array, lon_0: Array, lat_0: Array, r_0: Array, e: Array, phi: Array, edge_width: Array
    ) -> Array:
        """Surface brightness [sr-1]."""
        width = jnp.maximum(edge_width, SMALLEST)
        # by parts, the integral along a ray is the mean of 1 - cos(r x) over a Gaussian in x about 1, of this sigma
        sigma = width / (_EDGE * np.sqrt(2.0))
        below = (1.0 + sigma**2) * norm.cdf(-1.0 / sigma) - sigma * norm.pdf(1.0 / sigma)

        def ray(radius_squared: Array) -> Array:
            radius = jnp.sqrt(radius_squared)
            spread = -jnp.expm1(-0.5 * radius_squared * sigma**2)
            return 2.0 * jnp.sin(0.5 * radius) ** 2 + jnp.cos(radius) * spread - 0.5 * radius_squared * below

        squared = ellipse_squared(lon, lat, lon_0, lat_0, r_0, e, phi)
        central = squared < _CENTER
        distance = jnp.where(central, 0.0, jnp.sqrt(jnp.where(central, 1.0, squared)))
        return 0.5 * erfc(_EDGE * (distance - 1.0) / width) / integrate_ellipse(ray, r_0, e)

    def values_at_nodes(self, lon: Array, lat: Array, spacing: Array, energy: Array | None = None) -> Array:
        """As `values`, up to a factor, the edge seen through a Gaussian of the spacing."""
        values = self._values()
        step = spacing * RAD / (at_least(values["r_0"]) * axis_ratio(values["e"]))
        width = jnp.sqrt(values.pop("edge_width") ** 2 + 2.0 * (_SOFT * _EDGE * step) ** 2)
        # the centre, to which a wide edge reaches, is blunted too
        distance = jnp.sqrt(ellipse_squared(lon, lat, major=values.pop("r_0"), **values) + step**2)
        return 0.5 * erfc(_EDGE * (distance - jnp.sqrt(1.0 + step**2)) / width)

    @property
    def evaluation_radius(self) -> float:
        """1.1 r_0 (1 + edge_width) [deg]."""
        return 1.1 * float(self.r_0.canonical) * (1.0 + float(self.edge_width.value))

    @property
    def evaluation_bin_size_min(self) -> float:
        """r_0 (1 - edge_width) / 10 [deg]."""
        return float(self.r_0.canonical) * (1.0 - float(self.edge_width.value)) / 10.0

    def mesh(self) -> Mesh:
        """Cells of 1.2 edge widths at the edge, which ends 3 of them outside."""
        width = float(self.edge_width.value)
        return Mesh(unit=self.minor_axis, extent=1.0 + 3.0 * width, edges=((1.0, max(1.2 * width, 2e-3)),))


def _root(x: Array) -> Array:
    """Square root, 0 below 0; below 1e-6 blunted to a power that has two continuous derivatives."""
    t = jnp.clip(x / _RIM, 0.0, 1.0)
    blunt = _RIM**0.5 * t**3 * (7.875 - 11.25 * t + 4.375 * t * t)
    inside = x > _RIM
    return jnp.where(inside, jnp.sqrt(jnp.where(inside, x, 1.0)), blunt)


def _soft_root(radius: Array, squared: Array, step: Array) -> Array:
    """sqrt(radius^2 - squared), ending as softly as nodes `step` apart can follow: analytic, as softplus is.

    A softplus of length u makes the sphere heavier and wider, in proportion to u^1.5: of two lengths the combination in
    which that cancels.
    """
    unit, rest = _SOFT_ROOT * step * (2.0 * radius + step), radius**2 - squared
    excess = 2.0**1.5 - 1.0
    return (1.0 + 1.0 / excess) * _softened(rest, unit) - _softened(rest, 2.0 * unit) / excess


def _softened(x: Array, unit: Array) -> Array:
    # below -100 it is 1e-22, and a square root of zero has no derivative
    return jnp.sqrt(unit * jax.nn.softplus(jnp.maximum(x / unit, -100.0)))


def _shell(squared: Array, inner: Array, width: Array) -> Array:
    """Projected shell [sr-1] at separations squared [rad^2], for radius and width [deg].

    Numerator and normalisation are both divided by r_out^2 - r_in^2, which keeps thin shells exact.
    """
    inside, outside = inner * RAD, (inner + width) * RAD
    scale = jnp.maximum(inside, SMALLEST * RAD)
    outer_root = outside * _root(1.0 - squared / outside**2)
    inner_root = scale * _root((inside**2 - squared) / scale**2)
    thickness = width * RAD * (inside + outside)
    hollow = squared < inside**2 * (1.0 - _RIM)
    both = jnp.where(hollow, outer_root + inner_root, 1.0)
    value = jnp.where(hollow, 1.0 / both, (outer_root - inner_root) / thickness)
    # (r_out^n - r_in^n) / (r_out - r_in) over r_out^(n - 1), by its recursion
    ratio = inside / outside
    total, difference, power = 0.0, 1.0 + ratio + ratio**2, ratio**3
    for k, coefficient in enumerate(_SHELL):
        total = total + coefficient * (-(outside**2)) ** k * difference
        difference = difference + power + power * ratio
        power = power * ratio**2
    return value * (inside + outside) / (2.0 * jnp.pi * outside**2 * total)


class RingModel(SpatialModel):
    """Base of shells: what follows from their inner and outer radius."""

    def radii(self) -> tuple[Any, Any]:
        """Inner and outer radius [deg]."""
        raise NotImplementedError

    def axes(self) -> tuple[Any, Any, Any]:
        """Outer radius [deg] as major half axis, eccentricity 0, position angle 0."""
        return self.radii()[1], 0.0, 0.0

    def values_at_nodes(self, lon: Array, lat: Array, spacing: Array, energy: Array | None = None) -> Array:
        """As `values`, up to a factor, rims no sharper than the spacing."""
        inner, outer = (jnp.maximum(radius, 0.0) * RAD for radius in self.radii())
        squared, step = separation_squared(lon, lat, self.lon_0.canonical, self.lat_0.canonical), spacing * RAD
        return _soft_root(outer, squared, step) - _soft_root(inner, squared, step)

    @property
    def evaluation_radius(self) -> float:
        """Outer radius [deg]."""
        return float(self.radii()[1])

    @property
    def evaluation_bin_size_min(self) -> float:
        """Thickness of the shell [deg]."""
        inner, outer = self.radii()
        return float(outer - inner)

    def mesh(self) -> Mesh:
        """Cells of 0.01 at the rims, growing away from them."""
        inner, outer = (float(radius) for radius in self.radii())
        return Mesh(unit=outer, extent=1.0, edges=((inner / outer, 0.01), (1.0, 0.01)))

    def to_region(self, size_factor: float = 1.0, **kwargs: Any) -> sky_regions.CircleAnnulusSkyRegion:
        """Ring from `size_factor` times the inner to the outer radius; `kwargs` go to the region."""
        inner, outer = (float(radius) * size_factor * u.deg for radius in self.radii())
        return sky_regions.CircleAnnulusSkyRegion(self.position, inner_radius=inner, outer_radius=outer, **kwargs)


class ShellSpatialModel(RingModel):
    """Homogeneous shell seen in projection: N (sqrt(r_out^2 - sep^2) - sqrt(r_in^2 - sep^2)), r_out = radius + width.

    In a plane N = 3 / (2 pi (r_out^3 - r_in^3)); here it is that of the sphere. The square roots have infinite slope at
    their rims: within the outermost 5e-7 of each radius they are blunted (C2), so that all derivatives are finite.
    """

    tag: ClassVar = ("shell",)

    lon_0: Parameter = parameter("0 deg")
    lat_0: Parameter = parameter("0 deg", min=-90.0, max=90.0)
    radius: Parameter = parameter("1 deg")
    width: Parameter = parameter("0.2 deg")

    @staticmethod
    def evaluate(lon: Array, lat: Array, lon_0: Array, lat_0: Array, radius: Array, width: Array) -> Array:
        """Surface brightness [sr-1]."""
        squared = separation_squared(lon, lat, lon_0, lat_0)
        return _shell(squared, jnp.maximum(radius, 0.0), jnp.maximum(width, SMALLEST))

    def radii(self) -> tuple[Any, Any]:
        """Inner and outer radius [deg]."""
        return self.radius.canonical, self.radius.canonical + self.width.canonical


class Shell2SpatialModel(RingModel):
    """`ShellSpatialModel` by its outer radius r_0 and relative thickness: r_in = (1 - eta) r_0."""

    tag: ClassVar = ("shell2",)

    lon_0: Parameter = parameter("0 deg")
    lat_0: Parameter = parameter("0 deg", min=-90.0, max=90.0)
    r_0: Parameter = parameter("1 deg")
    eta: Parameter = parameter(0.2, min=0.02, max=1.0)

    @staticmethod
    def evaluate(lon: Array, lat: Array, lon_0: Array, lat_0: Array, r_0: Array, eta: Array) -> Array:
        """Surface brightness [sr-1]."""
        squared, outer = separation_squared(lon, lat, lon_0, lat_0), jnp.maximum(r_0, SMALLEST)
        thin = jnp.clip(eta, SMALLEST, 1.0)
        return _shell(squared, outer * (1.0 - thin), outer * thin)

    def radii(self) -> tuple[Any, Any]:
        """Inner and outer radius [deg]."""
        outer = self.r_0.canonical
        return outer * (1.0 - self.eta.value), outer
