"""Point sources and Gaussians through whole cubes: nothing is lost, moved, or dependent on frame, order or pixels.

Expected values are closed forms: totals are flux x exposure, centroids the pixel of the source, sums of parts.
"""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from cubes import ENERGY, make_cube
from gammax.datasets import stack
from gammax.folding import predict_cube, total_flux
from gammax.maps import WcsGeom
from gammax.models import (
    DiskSpatialModel,
    GaussianSpatialModel,
    GeneralizedGaussianSpatialModel,
    Models,
    PointSpatialModel,
    PowerLawSpectralModel,
    Shell2SpatialModel,
    ShellSpatialModel,
    SkyModel,
    n_panels,
)

ORDERS = ("exposure-first", "psf-first")
DECLINATIONS = (0.0, 60.0, 85.0, 89.5)


def spectrum(amplitude=1e-11):
    return PowerLawSpectralModel(index=2.2, amplitude=f"{amplitude} cm-2 s-1 TeV-1", reference="1 TeV")


def source(kind, lon, lat, frame="icrs", amplitude=1e-11, name="source", **shape):
    spatial = kind(lon_0=f"{lon!r} deg", lat_0=f"{lat!r} deg", frame=frame, **shape)
    return SkyModel(spectrum(amplitude), spatial_model=spatial, name=name)


def tan_cube(lon=83.63, lat=22.01, npix=81, binsz=0.02, **options):
    geom = WcsGeom.create(skydir=(lon, lat), proj="TAN", binsz=binsz, npix=npix, axes=(ENERGY,))
    return make_cube(geom=geom, **options)


def expected_total(cube, model):
    """Counts of a source in a cube of one exposure per energy."""
    arrays = cube.arrays
    flux = np.asarray(total_flux([model.spectral_model], arrays.energy_true, n_panels(arrays.energy_true)))
    kernel = cube.edisp.get_edisp_kernel(energy_axis=cube.energy_axis, position=model.position).pdf_matrix
    return (flux * arrays.exposure[:, 0, 0]) @ kernel


@pytest.mark.parametrize(("lon", "lat"), [(83.63, 0.0), *((0.0, lat) for lat in DECLINATIONS)])
@pytest.mark.parametrize("order", ORDERS)
def test_sub_pixel_steps_of_a_point_keep_total_and_centroid(lon, lat, order):
    """Total constant to 1e-6, centroid 1e-4 pixel: a mixture whose PSF, of 0.06 deg, is wholly inside of the image."""
    cube = tan_cube(lon, lat)
    geom, (y, x), totals = cube.geom.to_image(), np.indices((81, 81)), []
    for step in np.linspace(-1.1, 1.1, 7):
        pixel = (40 + step, 40 - 0.37 * step)
        there = geom.pix_to_coord(np.array(pixel)[:, None])["skycoord"][0]
        model = source(PointSpatialModel, float(there.ra.deg), float(there.dec.deg))
        counts = predict_cube(cube, model, order=order)
        totals.append(counts.sum(axis=(1, 2)))
        assert np.allclose(totals[-1], expected_total(cube, model), rtol=1e-5)
        image = counts.sum(axis=0)
        centroid = [(image * axis).sum() / image.sum() for axis in (x, y)]
        assert np.allclose(centroid, pixel, rtol=0, atol=1e-4)
    assert np.allclose(totals, totals[0], rtol=1e-6)


SHAPES = {
    "gaussian": (lambda s: {"sigma": f"{s} deg"}, GaussianSpatialModel, 1e-6),
    "ellipse": (lambda s: {"sigma": f"{s} deg", "e": 0.5, "phi": "40 deg"}, GaussianSpatialModel, 1e-6),
    "general": (lambda s: {"r_0": f"{s / 4} deg", "eta": 0.9}, GeneralizedGaussianSpatialModel, 1e-6),
    "disk": (lambda s: {"r_0": f"{s} deg"}, DiskSpatialModel, 1e-4),
    "shell": (lambda s: {"radius": f"{s} deg", "width": f"{s / 5} deg"}, ShellSpatialModel, 1e-4),
    "shell2": (lambda s: {"r_0": f"{s} deg", "eta": 0.3}, Shell2SpatialModel, 1e-4),
}


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize(("size", "binsz"), [(0.001, 0.02), (0.12, 0.02), (1.0, 0.2)])
def test_no_part_of_an_extended_source_is_lost(kind, size, binsz):
    """Gaussians by closed forms and on nodes 1e-6, disks and shells 1e-4; at any declination, across the wrap."""
    shape, model_class, rtol = SHAPES[kind]
    for lat in DECLINATIONS:
        cube = tan_cube(0.0, lat, npix=121, binsz=binsz)
        model = source(model_class, 359.99, min(lat + 0.013, 89.9), **shape(size))
        counts = predict_cube(cube, model).sum(axis=(1, 2))
        assert np.allclose(counts, expected_total(cube, model), rtol=rtol), lat


@pytest.mark.parametrize("kind", ["ellipse", "general", "disk", "shell"])
def test_a_source_between_the_nodes_of_a_large_pixel_is_not_lost(kind):
    """A size of 0.001 deg at the corner of pixels of 0.1 deg, where nodes are 0.0017 deg apart."""
    cube = tan_cube(npix=21, binsz=0.1)
    corner = cube.geom.to_image().pix_to_coord(np.array([[10.5], [10.5]]))["skycoord"][0]
    shape, model_class, rtol = SHAPES[kind]
    model = source(model_class, float(corner.ra.deg), float(corner.dec.deg), **shape(0.001))
    assert np.allclose(predict_cube(cube, model).sum(axis=(1, 2)), expected_total(cube, model), rtol=rtol)


def test_counts_are_linear_in_the_amplitude_and_add_up():
    cube = tan_cube(slope=0.01)
    one = source(PointSpatialModel, 83.64, 22.03, name="one")
    two = source(GaussianSpatialModel, 83.5, 21.9, sigma="0.1 deg", name="two")
    both = predict_cube(cube, Models([one, two]))
    parts = predict_cube(cube, one), predict_cube(cube, two)
    assert np.allclose(both, sum(parts), rtol=1e-10, atol=0)
    assert np.allclose(predict_cube(cube, one.replace(spectral_model=spectrum(3e-11))), 3 * parts[0], rtol=1e-10)
    assert np.allclose(predict_cube(cube, Models([two, one])), both, rtol=1e-10)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["point", "gaussian", "disk"])
def test_icrs_and_galactic_sources_are_the_same(kind, order):
    cube = tan_cube(slope=0.01)
    kinds = {
        "point": (PointSpatialModel, {}),
        "gaussian": (GaussianSpatialModel, {"sigma": "0.08 deg"}),
        "disk": (DiskSpatialModel, {"r_0": "0.15 deg"}),
    }
    shape, options = kinds[kind]
    here = SkyCoord(83.641, 22.037, unit="deg")
    there = here.galactic
    icrs = predict_cube(cube, source(shape, float(here.ra.deg), float(here.dec.deg), **options), order=order)
    galactic = source(shape, float(there.l.deg), float(there.b.deg), "galactic", **options)
    found = predict_cube(cube, galactic, order=order)
    assert np.allclose(found, icrs, rtol=0, atol=1e-8 * icrs.max())


def test_the_order_of_stacking_does_not_matter():
    cubes = [tan_cube(name=name, seed=seed, slope=0.01 * seed) for name, seed in (("a", 1), ("b", 2), ("c", 3))]
    model = source(GaussianSpatialModel, 83.64, 22.03, sigma="0.05 deg")
    one, two = (predict_cube(stack(chosen, name="s"), model) for chosen in (cubes, cubes[::-1]))
    assert np.allclose(one, two, rtol=1e-10, atol=1e-10 * one.max())


@pytest.mark.parametrize("order", ORDERS)
def test_the_prediction_does_not_depend_on_where_the_image_is_cut(order):
    """A cutout of the cube sees what the whole sees: 1e-7 in bins that both have, or 1e-9 of the largest."""
    cube = tan_cube(npix=121)
    model = source(PointSpatialModel, 83.7, 22.1)
    small = cube.cutout(SkyCoord(83.66, 22.05, unit="deg"), "1 deg")
    whole, part = predict_cube(cube, model, order=order), predict_cube(small, model, order=order)
    corner = small.geom.to_image().pix_to_coord(np.zeros((2, 1)))["skycoord"]
    x, y = (round(float(p[0])) for p in cube.geom.to_image().coord_to_pix(corner))
    ny, nx = part.shape[1:]
    assert np.allclose(part, whole[:, y : y + ny, x : x + nx], rtol=1e-7, atol=1e-9 * whole.max())
