"""The statistic of cubes has no step and no ripple: scanned through centres and edges of pixels, borders, thresholds.

Expected values: 4th-order central differences, step 1e-3 of an error, of the statistic and of its gradient. Slopes are
per error, where 1 is what one error is worth: the scale of all tolerances.
"""

import jax
import numpy as np
import pytest

from cubes import make_cube, offset_mask
from gammax.folding import predict_background, predict_cube
from gammax.folding._view import make_view
from gammax.likelihood import Likelihood
from gammax.models import (
    DiskSpatialModel,
    GaussianSpatialModel,
    GeneralizedGaussianSpatialModel,
    Models,
    PointSpatialModel,
    PowerLawSpectralModel,
    ShellSpatialModel,
    SkyModel,
)

CUBE = make_cube(slope=0.02, threshold=1)
IMAGE = CUBE.geom.to_image()
PIXEL = float(IMAGE.pixel_scales.to_value("deg").max())
# sizes at which a fit that starts there has another number of nodes in a pixel than one that starts a little lower
SHAPES = {
    "point": (PointSpatialModel, {}, "exposure-first"),
    "gaussian": (GaussianSpatialModel, {"sigma": 0.04}, "psf-first"),
    "ellipse": (GaussianSpatialModel, {"sigma": 3 * PIXEL / 2, "e": 0.6, "phi": 30.0}, "exposure-first"),
    "disk": (DiskSpatialModel, {"r_0": PIXEL / 6 / 0.099}, "psf-first"),
    "general": (GeneralizedGaussianSpatialModel, {"r_0": 7.8 * PIXEL / 8, "eta": 0.6}, "exposure-first"),
    "shell": (ShellSpatialModel, {"radius": 0.1, "width": PIXEL / 6}, "exposure-first"),
}
SIZE = {"gaussian": "sigma", "ellipse": "sigma", "disk": "r_0", "general": "r_0", "shell": "width"}
STILL = {"general": "eta", "shell": "radius"}
WEIGHTS = np.array([1.0, -8.0, 8.0, -1.0]) / 12
# 25 points 1e-4 of an error apart, and what their differences reach
SPACING, REACH = 1e-4, 20
OFFSETS = SPACING * np.arange(-12 - REACH, 12 + REACH + 1)
# columns and rows of the source: centre and corner of a pixel, border of the image, beyond it
PLACES = [(21.0, 10.0), (21.5, 9.5), (23.5, 10.2), (23.9, 9.7)]


def lonlat(x, y):
    place = IMAGE.pix_to_coord(np.array([[x], [y]]))["skycoord"][0]
    return float(place.ra.deg), float(place.dec.deg)


def models_of(kind, x, y, **changes):
    """A source at a pixel; the second parameter of shapes that have two stands still, they are much the same."""
    lon, lat = lonlat(x, y)
    shape, sizes, _ = SHAPES[kind]
    sizes = {**sizes, **changes}
    spatial = shape(lon_0=f"{lon!r} deg", lat_0=f"{lat!r} deg").replace(**sizes)
    spatial = spatial.freeze(STILL[kind]) if kind in STILL else spatial
    spectrum = PowerLawSpectralModel(index=2.2, amplitude="1e-9 cm-2 s-1 TeV-1", reference="1 TeV")
    return Models([SkyModel(spectrum, spatial_model=spatial, name="source")])


def likelihood_of(kind):
    """Likelihood of a source near the border of the image, and of the field of view, with counts nearly as expected."""
    order = SHAPES[kind][2]
    truth = models_of(kind, 21.3, 9.6)
    counts = predict_cube(CUBE, truth, order=order) + predict_background(CUBE, truth)
    cube = CUBE.replace(counts=CUBE.counts.replace(data=counts))
    cube = cube.replace(mask_fit=offset_mask(cube, IMAGE.pix_to_coord((14.0, 10.0))["skycoord"], 0.52))
    return Likelihood(cube, models_of(kind, 21.4, 10.0), order)


@jax.jit
def slopes_along(problem, start, step):
    """Values and gradients at the offsets from a point along a step."""
    return jax.lax.map(jax.value_and_grad(problem.statistic), start + jax.numpy.asarray(OFFSETS)[:, None] * step)


def difference(lattice):
    """4th-order differences, by ten steps of the lattice, at its inner points."""
    inner = len(lattice) - 2 * REACH
    parts = [lattice[REACH + k * 10 : REACH + k * 10 + inner] for k in (-2, -1, 1, 2)]
    return sum(weight * part for weight, part in zip(WEIGHTS, parts, strict=True)) / (10 * SPACING)


@pytest.mark.parametrize("kind", SHAPES)
def test_a_scan_has_no_step(kind):
    """Gradient 1e-6 and Hessian 1e-4, along each parameter of the shape and along all of them together."""
    likelihood = likelihood_of(kind)
    scale = np.asarray(likelihood.problem.scale)
    slots = [likelihood.names.index(f"source.spatial.{name}") for name in ("lon_0", "lat_0")]
    here = likelihood.derivatives(likelihood.theta0)
    errors = np.sqrt(np.diag(np.linalg.inv(np.asarray(here.fisher) / 2)))
    spatial = ["spatial" in name for name in likelihood.names]
    directions = [*np.eye(len(errors))[spatial], np.ones(len(errors)) / len(errors) ** 0.5]
    for place in PLACES:
        theta = likelihood.theta0.at[np.array(slots)].set(lonlat(*place) / scale[slots])
        hessian = np.asarray(likelihood.derivatives(theta).hessian) * errors[:, None] * errors
        for direction in directions:
            values, gradients = map(np.asarray, slopes_along(likelihood.problem, theta, errors * direction))
            slopes = gradients * errors
            along = (slopes @ direction)[REACH:-REACH]
            found = difference(values)
            assert np.abs(found - along).max() < 1e-6 * max(np.abs(along).max(), 1.0), (place, direction)
            bend, middle = hessian @ direction, difference(slopes)[12]
            assert np.abs(middle - bend).max() < 1e-4 * max(np.abs(bend).max(), 1.0), (place, direction)
            smooth = np.polynomial.Polynomial.fit(OFFSETS, slopes @ direction, 3)(OFFSETS)
            assert np.abs(slopes @ direction - smooth).max() < 1e-7 * max(np.abs(along).max(), 1.0)


@pytest.mark.parametrize("kind", SHAPES)
def test_a_scan_through_two_pixels_has_no_ripple(kind):
    """Slopes lie on a polynomial to 0.02 per error: what nodes add and take as edges pass over them would not."""
    likelihood = likelihood_of(kind)
    slot = likelihood.names.index("source.spatial.lat_0")
    fisher = np.asarray(likelihood.derivatives(likelihood.theta0).fisher)
    error = np.sqrt(2 / fisher[slot, slot])
    step = np.zeros(len(fisher))
    step[slot] = PIXEL / np.asarray(likelihood.problem.scale)[slot] / OFFSETS[-1]
    _, gradients = slopes_along(likelihood.problem, likelihood.theta0, step)
    slopes = np.asarray(gradients)[:, slot] * error
    smooth = np.polynomial.Chebyshev.fit(OFFSETS, slopes, 12)(OFFSETS)
    assert np.abs(slopes - smooth).max() < 0.02


@pytest.mark.parametrize("kind", ["ellipse", "disk", "general", "shell"])
def test_scans_pass_a_threshold_of_the_nodes(kind):
    """A fit that starts a thousandth higher has fewer nodes per pixel than one that starts as much lower."""
    size, order = SHAPES[kind][1][SIZE[kind]], SHAPES[kind][2]
    starts = [models_of(kind, 21.4, 10.0, **{SIZE[kind]: size * factor})["source"] for factor in (0.999, 1.001)]
    low, high = (make_view(CUBE, start, order).basis.factor for start in starts)
    assert low == high + 1
