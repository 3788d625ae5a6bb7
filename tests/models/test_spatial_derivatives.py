"""Derivatives of shapes: against finite differences, and finite where formulas are not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.units import deg

from derivatives import assert_derivative, fd_gradient
from gammax.models import (
    DiskSpatialModel,
    GaussianSpatialModel,
    GeneralizedGaussianSpatialModel,
    Shell2SpatialModel,
    ShellSpatialModel,
)

# shape parameters, behind lon_0 and lat_0
SHAPES = {
    "gauss": (GaussianSpatialModel, [0.3, 0.0, 20.0]),
    "ellipse": (GaussianSpatialModel, [0.3, 0.6, 20.0]),
    "general": (GeneralizedGaussianSpatialModel, [0.3, 0.8, 0.4, -100.0]),
    "general, sharp": (GeneralizedGaussianSpatialModel, [0.4, 0.1, 0.0, 0.0]),
    "disk": (DiskSpatialModel, [0.4, 0.5, 20.0, 0.4]),
    "shell": (ShellSpatialModel, [0.3, 0.15]),
    "shell2": (Shell2SpatialModel, [0.5, 0.3]),
}


def brightness(kind):
    return lambda x, lon, lat: kind.evaluate(lon, lat, *x)


@pytest.mark.parametrize("name", SHAPES)
def test_gradient_and_hessian(name):
    """4th-order differences: 1e-6 of each element, and 1e-7 (1e-6 for the Hessian) of the largest."""
    kind, shape = SHAPES[name]
    here = jax.jit(lambda s, x, scale, lon, lat: brightness(kind)(x + scale * s, lon, lat))
    gradient, hessian = jax.jit(jax.grad(here)), jax.jit(jax.hessian(here))
    rng, zero = np.random.default_rng(3), np.zeros(2 + len(shape))
    for lat_0 in (0.0, -60.0, 89.9):
        x = np.array([359.95, lat_0, *shape])
        # steps that move everything by little: longitudes near the pole by more
        scale = np.array([1 / np.cos(np.radians(lat_0)), 1.0, *[0.3 if abs(v) < 1 else 50.0 for v in shape]])
        # away from the rims, where differences fail
        points = SkyCoord(*x[:2], unit="deg").directional_offset_by(
            rng.uniform(0, 360, 3) * deg, [0.07, 0.21, 0.4] * deg
        )
        for place in zip(points.ra.deg, points.dec.deg, strict=True):
            rest = (x, scale, *place)
            want = fd_gradient(lambda s, rest=rest: here(s, *rest), zero, 1e-4)
            assert_derivative(gradient(zero, *rest), want, rtol=1e-6, floor=1e-7)
            want = fd_gradient(lambda s, rest=rest: gradient(s, *rest), zero, 1e-4)
            assert_derivative(hessian(zero, *rest), want, rtol=1e-6, floor=1e-6)


HOSTILE = {
    "centre": (10.0, 20.0, 10.0, 20.0),
    "centre on the pole": (10.0, 90.0, 200.0, 90.0),
    "source on the pole": (10.0, 89.8, 0.0, 90.0),
    "antipode": (190.0, -20.0, 10.0, 20.0),
    "antipodal poles": (190.0, -90.0, 10.0, 90.0),
    "across the wrap": (359.99, 0.0, 0.01, 0.0),
    "wrapped centre": (360.0, 20.0, 0.0, 20.0),
    "tiny distance": (10.0 + 1e-13, 20.0, 10.0, 20.0),
    "north": (10.0, 20.3, 10.0, 20.0),
    "rim": (10.0, 20.5, 10.0, 20.0),
    "a quarter": (100.0, 0.0, 10.0, 0.0),
}
SIZES = {
    "gauss": [[0.3, 0.0, 0.0], [1e-9, 0.0, 0.0], [0.0, 0.5, 0.0], [0.3, 1.0, 30.0], [170.0, 0.3, 0.0], [1e-300, 0, 0]],
    "general": [[0.5, eta, e, 10.0] for eta in (0.01, 0.5, 0.7, 1.0) for e in (0.0, 0.9)] + [[0.0, 0.5, 0.0, 0.0]],
    "disk": [[0.5, 0.0, 0.0, w] for w in (0.0, 0.01, 1.0)] + [[0.0, 0.0, 0.0, 0.01], [0.5, 1.0, 30.0, 0.01]],
    "shell": [[0.3, 0.2], [0.5, 0.0], [0.0, 0.5], [0.5, 1e-6], [0.0, 0.0], [0.5, 0.1]],
    "shell2": [[0.5, 0.2], [0.5, 1.0], [0.5, 0.02], [0.0, 0.2], [0.5, 0.0]],
}


@pytest.mark.parametrize("name", SIZES)
def test_finite_everywhere(name):
    """Value, gradient and Hessian where textbook forms have NaN: all places times all sizes."""
    function = brightness(SHAPES[name][0])
    places, shapes = np.array(list(HOSTILE.values())), np.array(SIZES[name])
    x = np.concatenate([np.repeat(places[:, 2:], len(shapes), axis=0), np.tile(shapes, (len(places), 1))], axis=1)
    lon, lat = np.repeat(places[:, :2], len(shapes), axis=0).T
    derivatives = (function, jax.grad(function), jax.hessian(function), jax.jacfwd(function))
    for derivative in derivatives:
        values = np.asarray(jax.jit(jax.vmap(derivative))(x, lon, lat))
        bad = ~np.isfinite(values.reshape(len(x), -1)).all(axis=1)
        assert not bad.any(), (x[bad][:4], lon[bad][:4], lat[bad][:4])


@pytest.mark.parametrize(("kind", "rest"), [(GaussianSpatialModel, [0.0]), (DiskSpatialModel, [0.0, 0.5])])
def test_a_round_shape_has_no_preferred_angle(kind, rest):
    """At e = 0 shapes are even in e and independent of phi."""
    shape = jax.jit(lambda e, phi: kind.evaluate(0.2, 0.1, 0.0, 0.0, 0.3, e, phi, *rest[1:]))
    gradient = jax.jit(jax.grad(shape, argnums=(0, 1)))
    assert np.abs(gradient(0.0, 40.0)).max() < 1e-9
    second = jax.jit(jax.hessian(shape))
    f = [float(shape(e, 40.0)) for e in (0.0, 1e-2, 2e-2)]
    # even function: f(e) = f0 + a e^2 + b e^4
    want = 2 * (16 * (f[1] - f[0]) - (f[2] - f[0])) / (12 * 1e-4)
    assert float(second(0.0, 40.0)) == pytest.approx(want, rel=1e-4)


@pytest.mark.parametrize("e", [0.0, 0.8])
def test_curvature_at_the_peak_of_a_gaussian(e):
    """-1 / sigma^2 along both axes [deg-2], to sigma^2 / 12 of it: what a fit that starts at a pixel centre needs."""
    hessian = jax.jit(jax.hessian(lambda x: jnp.log(GaussianSpatialModel.evaluate(10.0, 0.0, x[0], x[1], 0.1, e, 0.0))))
    got = np.asarray(hessian(jnp.array([10.0, 0.0])))
    np.testing.assert_allclose(got, -np.diag([1 / (0.1**2 * (1 - e**2)), 1 / 0.1**2]), rtol=1e-5, atol=1e-6)


def test_a_shell_is_blunt_within_its_rim_only():
    """5e-7 of the radius inside the rim the formula holds to 1e-12; at the rim the slope is finite and ends."""
    outer, inner = 0.5, 0.4
    norm = ShellSpatialModel.evaluate(0.0, 0.0, 0.0, 0.0, inner, outer - inner) / (outer - inner)
    for distance in (0.1, inner * (1 - 6e-7), inner, 0.45, outer * (1 - 6e-7)):
        want = np.sqrt(outer**2 - distance**2) - np.sqrt(max(inner**2 - distance**2, 0.0))
        got = ShellSpatialModel.evaluate(0.0, distance, 0.0, 0.0, inner, outer - inner)
        assert float(got / norm) == pytest.approx(want, rel=2e-11)
    assert ShellSpatialModel.evaluate(0.0, outer * (1 + 1e-12), 0.0, 0.0, inner, outer - inner) == 0.0
