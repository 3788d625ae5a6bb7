"""Angles on the sphere that stay exact and differentiable where the textbook forms do not.

Everything is built on h = sin^2(separation / 2), half the chord squared: smooth on the whole sphere, exact at small
angles. Angles are degrees outside, radians inside. What has no derivative there (the separation at the antipode, a
direction at separation zero) stands still within the tiny neighbourhoods named below, with zero derivatives.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.special import comb

RAD = np.pi / 180.0
# smallest size of a source [deg]: four micro-arcseconds; below, sizes are this
SMALLEST = 1e-9
# 1 - h at which the separation stops growing and loses its direction: 0.04 arcsec from the antipode
_ANTIPODE = 1e-14
# square of the sine of the separation below which there is no direction
_CENTER = 1e-60
# square of the smallest axis ratio
_FLATTEST = 1e-12
# up to here the series of arcsin^2 has converged: 0.02^10 is 1e-17
_SERIES_END = 0.02
# arcsin^2(x) = 1/2 sum_n (2 x)^(2 n) / (n^2 binom(2 n, n)): coefficients of x^(2 n - 2), n = 1 ... 10
_ARCSIN = [4.0**n / (2.0 * n**2 * comb(2 * n, n)) for n in range(1, 11)]
# middles of 16 intervals in a quarter of an ellipse, by the eccentric anomaly
_ANOMALY = (np.arange(16) + 0.5) * (np.pi / 32)


def half_chord_squared(lon: Array, lat: Array, lon_0: Array, lat_0: Array) -> Array:
    """h = sin^2(separation / 2) of positions [deg]."""
    d_lon, d_lat = (lon - lon_0) * (0.5 * RAD), (lat - lat_0) * (0.5 * RAD)
    return jnp.sin(d_lat) ** 2 + jnp.cos(lat * RAD) * jnp.cos(lat_0 * RAD) * jnp.sin(d_lon) ** 2


def arcsin_ratio(half: Array) -> Array:
    """arcsin^2(sqrt(h)) / h, analytic at h = 0: (separation / 2)^2 over h."""
    near = half < _SERIES_END
    small = jnp.where(near, half, 0.0)
    series = jnp.zeros_like(small)
    for coefficient in reversed(_ARCSIN):
        series = coefficient + small * series
    large = jnp.minimum(jnp.where(near, 0.5, half), 1.0 - _ANTIPODE)
    return jnp.where(near, series, jnp.arcsin(jnp.sqrt(large)) ** 2 / large)


def separation_squared(lon: Array, lat: Array, lon_0: Array, lat_0: Array) -> Array:
    """Square of the angular separation [rad^2] of positions [deg]."""
    half = half_chord_squared(lon, lat, lon_0, lat_0)
    return 4.0 * half * arcsin_ratio(half)


def axis_ratio(e: Array) -> Array:
    """Minor over major axis of eccentricity e, sqrt(1 - e^2), at least 1e-6."""
    return jnp.sqrt(jnp.maximum(1.0 - e * e, _FLATTEST))


def at_least(size: Array) -> Array:
    """Size [deg], at least `SMALLEST`, in radians."""
    return jnp.maximum(size, SMALLEST) * RAD


def ellipse_squared(lon: Array, lat: Array, lon_0: Array, lat_0: Array, major: Array, e: Array, phi: Array) -> Array:
    """(separation / r)^2 of positions [deg], r the radius of an ellipse in their direction.

    Parameters
    ----------
    major : half axis [deg]. e : eccentricity. phi : position angle of the major axis [deg], from north through east.
    """
    half, _, flat = _in_axes(lon, lat, lon_0, lat_0, major, e, phi)
    beyond = half > 1.0 - _ANTIPODE
    inside = flat * arcsin_ratio(half) / jnp.where(beyond, 1.0, 1.0 - half)
    return jnp.where(beyond, (jnp.pi / at_least(major)) ** 2, inside)


def ellipse_gaussian(lon: Array, lat: Array, lon_0: Array, lat_0: Array, major: Array, e: Array, phi: Array) -> Array:
    """h / (2 sin^2(r / 2)), the exponent of a Gaussian; parameters as `ellipse_squared`."""
    half, length, flat = _in_axes(lon, lat, lon_0, lat_0, major, e, phi)
    # the part without a direction is a quadratic at the centre: exact derivatives there, whatever r is taken
    central = length < _CENTER
    radius = jnp.where(central, at_least(major) ** 2, jnp.where(central, 1.0, length) / jnp.where(central, 1.0, flat))
    beyond = half > 1.0 - _ANTIPODE
    inside = flat * radius / (8.0 * jnp.where(beyond, 1.0, 1.0 - half))
    return jnp.where(beyond, 0.5, inside) / jnp.sin(0.5 * jnp.sqrt(radius)) ** 2


def _in_axes(
    lon: Array, lat: Array, lon_0: Array, lat_0: Array, major: Array, e: Array, phi: Array
) -> tuple[Array, Array, Array]:
    """Of positions: h, sin^2(separation), and that over r^2 [rad^2]: (v^2 + q^2 u^2) / (q major)^2.

    u and v are sin(separation) times cosine and sine of the angle to the major axis, q is the axis ratio.
    """
    half = half_chord_squared(lon, lat, lon_0, lat_0)
    d_lon, d_lat = (lon - lon_0) * RAD, (lat - lat_0) * RAD
    east = jnp.cos(lat * RAD) * jnp.sin(d_lon)
    north = jnp.sin(d_lat) + 2.0 * jnp.sin(lat_0 * RAD) * jnp.cos(lat * RAD) * jnp.sin(0.5 * d_lon) ** 2
    cosine, sine = jnp.cos(phi * RAD), jnp.sin(phi * RAD)
    along, across = north * cosine + east * sine, east * cosine - north * sine
    size, ratio = at_least(major), axis_ratio(e)
    return half, along**2 + across**2, (across / (size * ratio)) ** 2 + (along / size) ** 2


def integrate_ellipse(function: Callable[[Array], Array], major: Array, e: Array) -> Array:
    """Integral over all directions of f(r^2), r the radius [rad] of an ellipse: 2 pi f(major^2) at e = 0.

    In the eccentric anomaly t, d(psi) = q dt / (cos^2 t + q^2 sin^2 t) and r^2 = major^2 (cos^2 t + q^2 sin^2 t), so
    that powers of r^2 are trigonometric polynomials, which the 16 nodes integrate exactly.
    """
    size, ratio = at_least(major), axis_ratio(e)
    relative = np.cos(_ANOMALY) ** 2 + (ratio * np.sin(_ANOMALY)) ** 2
    return 2.0 * np.pi * jnp.mean(function(size**2 * relative) * ratio / relative)
