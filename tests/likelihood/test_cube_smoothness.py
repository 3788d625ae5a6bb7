"""The statistic of cubes has no step: derivatives against differences through pixel centres, edges and cutouts.

Expected values: 4th-order central differences of the statistic and of its gradient, step 1e-3 of an error.
"""

import jax
import numpy as np
import pytest

from cubes import make_cube
from gammax.folding import predict_background, predict_cube
from gammax.likelihood import Likelihood
from gammax.models import (
    DiskSpatialModel,
    GaussianSpatialModel,
    Models,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
)

CUBE = make_cube(slope=0.02)
SHAPES = {
    "point": (PointSpatialModel, {}),
    "gaussian": (GaussianSpatialModel, {"sigma": "0.04 deg"}),
    "disk": (DiskSpatialModel, {"r_0": "0.12 deg", "edge_width": 0.2}),
}
WEIGHTS = np.array([1.0, -8.0, 8.0, -1.0]) / 12
STEPS = np.array([-2, -1, 1, 2])


def scene(kind, order, x=12.0, y=10.0):
    """Likelihood of a source at a pixel of the cube with counts that it does not fit."""
    place = CUBE.geom.to_image().pix_to_coord(np.array([[x], [y]]))["skycoord"][0]
    model, options = SHAPES[kind]
    spatial = model(lon_0=f"{float(place.ra.deg)!r} deg", lat_0=f"{float(place.dec.deg)!r} deg", **options)
    spectrum = PowerLawSpectralModel(index=2.2, amplitude="2e-10 cm-2 s-1 TeV-1", reference="1 TeV")
    models = Models([SkyModel(spectrum, spatial_model=spatial, name="source")])
    return models, Likelihood(CUBE, models, order)


def errors_of(likelihood, theta):
    fisher = np.asarray(likelihood.derivatives(theta).fisher)
    return np.sqrt(np.diag(np.linalg.inv(fisher / 2)))


def counts_of(kind, order):
    """Asimov counts a little off the models, so that slopes are of the order of one per error."""
    models, _ = scene(kind, order, 12.3, 9.6)
    return predict_cube(CUBE, models, order=order) + predict_background(CUBE, models)


# pixel centres, edges between pixels, and between
PLACES = [(12.0, 10.0), (12.5, 9.5), (12.0 + 1e-7, 10.0), (13.3, 10.2)]


@pytest.mark.parametrize("border", [False, True])
@pytest.mark.parametrize(
    ("kind", "order"), [("point", "exposure-first"), ("gaussian", "psf-first"), ("disk", "psf-first")]
)
def test_derivatives_are_those_of_differences_wherever_the_source_is(kind, order, border):
    """Gradient to 1e-6 and Hessian to 1e-4, of what an error is worth, in every parameter; one likelihood."""
    shift = 9.0 if border else 0.0
    cube = CUBE.replace(counts=CUBE.counts.replace(data=counts_of(kind, order)))
    likelihood = Likelihood(cube, scene(kind, order, 12.4 + shift, 10.0)[0], order)
    value, gradient = jax.jit(lambda t: likelihood(t)), jax.jit(jax.grad(likelihood))
    unit = np.diag(errors_of(likelihood, likelihood.theta0))
    slots = [likelihood.names.index(f"source.spatial.{name}") for name in ("lon_0", "lat_0")]
    step = 1e-3
    for x, y in PLACES:
        place = CUBE.geom.to_image().pix_to_coord(np.array([[x + shift], [y]]))["skycoord"][0]
        lonlat = np.array([float(place.ra.deg), float(place.dec.deg)])
        theta = likelihood.theta0.at[np.array(slots)].set(lonlat / np.asarray(likelihood.problem.scale)[slots])
        curvature = unit @ np.asarray(likelihood.derivatives(theta).hessian) @ unit
        slope = np.asarray(gradient(theta)) @ unit
        near = [[theta + k * step * row for k in STEPS] for row in unit]
        values = np.array([[float(value(point)) for point in row] for row in near])
        slopes = np.array([[np.asarray(gradient(point)) @ unit for point in row] for row in near])
        # the statistic has 14 digits: rounding alone is 1e-14 of it over the step
        rounding = 1e-13 * abs(values).max() / step
        assert np.allclose(values @ WEIGHTS / step, slope, rtol=1e-6, atol=rounding), (x, y)
        found = np.einsum("pkq,k->pq", slopes, WEIGHTS) / step
        assert np.allclose(found, curvature, rtol=0, atol=1e-4 * np.abs(curvature).max()), (x, y)


@pytest.mark.parametrize("kind", ["point", "disk"])
def test_a_scan_of_a_position_has_no_step(kind):
    """Spacing 1e-4 of an error through a pixel centre: the slopes lie on a parabola."""
    _, likelihood = scene(kind, "exposure-first")
    theta, unit = likelihood.theta0, errors_of(likelihood, likelihood.theta0)
    slot = likelihood.names.index("source.spatial.lon_0")
    gradient = jax.jit(jax.grad(likelihood))
    offsets = 1e-4 * np.arange(-10, 11)
    slopes = np.array([float(gradient(theta.at[slot].add(k * unit[slot]))[slot]) * unit[slot] for k in offsets])
    smooth = np.polynomial.Polynomial.fit(offsets, slopes, 2)(offsets)
    assert np.abs(slopes - smooth).max() < 1e-8 * max(np.abs(slopes).max(), 1.0)
