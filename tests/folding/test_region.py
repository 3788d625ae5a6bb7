"""Regions as cubes integrated over them: what falls into a region of points, Gaussians and other shapes."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from numpy.testing import assert_allclose
from regions import CircleSkyRegion, PointSkyRegion
from scipy.stats import ncx2

from cubes import CENTER, ENERGY, ENERGY_TRUE, make_cube
from gammax.errors import GammaxError
from gammax.folding import predict_cube
from gammax.irf import PSFMap
from gammax.maps import MapAxis, RegionGeom, WcsGeom, WcsNDMap
from gammax.models import (
    ConstantSpatialModel,
    DiskSpatialModel,
    GaussianSpatialModel,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
    TemplateSpatialModel,
)

RADIUS, WIDTH = 0.11, 0.06
FINE = MapAxis.from_bounds(0.0, 0.66, 660, "rad", unit="deg")
PSF = PSFMap.from_gauss(ENERGY_TRUE, FINE, f"{WIDTH} deg")
CIRCLE = CircleSkyRegion(CENTER, RADIUS * u.deg)


def sky_model(spatial, **options):
    return SkyModel(
        PowerLawSpectralModel(amplitude="1e-10 cm-2 s-1 TeV-1"), name="source", spatial_model=spatial, **options
    )


def beside(offset, model=PointSpatialModel, **size):
    place = CENTER.directional_offset_by(60 * u.deg, offset * u.deg)
    return sky_model(model(lon_0=place.ra, lat_0=place.dec, **size))


def fraction_in(dataset, model):
    """Predicted counts over those of all of the source, which a spectrum without PSF takes whole."""
    whole = dataset.replace(psf=None).npred_signal(SkyModel(model.spectral_model, name="all")).values()
    return dataset.npred_signal(model).values() / whole


def in_circle(offset, width):
    """Closed form: part of a Gaussian of a width within the radius, its centre at an offset."""
    return ncx2.cdf(RADIUS**2 / width**2, 2, np.maximum(offset, 1e-9) ** 2 / width**2)


@pytest.fixture(scope="module")
def spectrum():
    """Spectrum of the circle, with a Gaussian PSF."""
    return make_cube().to_spectrum_dataset(CIRCLE).replace(psf=PSF)


def test_containment_of_a_point(spectrum):
    contained = PSF.containment(RADIUS * u.deg, "1 TeV")
    assert_allclose(fraction_in(spectrum, beside(0.0)), contained, atol=1e-4)
    assert contained == pytest.approx(in_circle(0.0, WIDTH), abs=1e-4)


@pytest.mark.parametrize("offset", [0.05, 0.11, 0.3])
def test_points_and_gaussians_nearby(spectrum, offset):
    assert_allclose(fraction_in(spectrum, beside(offset)), in_circle(offset, WIDTH), atol=1e-4)
    wide = beside(offset, GaussianSpatialModel, sigma="0.08 deg")
    assert_allclose(fraction_in(spectrum, wide), in_circle(offset, np.hypot(WIDTH, 0.08)), atol=1e-4)


@pytest.mark.parametrize(("offset", "radius"), [(0.1, 0.15), (0.2, 0.02), (0.3, 1.5)])
def test_shapes_of_any_kind(spectrum, offset, radius):
    # by brute force: closed form for a point, over a fine grid of points of the source in a plane
    model = beside(offset, DiskSpatialModel, r_0=radius * u.deg)
    half = min(1.2 * radius, 0.9)
    x = np.linspace(-half, half, 201)
    center = np.array([-0.3 if radius > 1 else 0.0, 0.0])
    east, north = np.meshgrid(x + center[0], x)
    place = model.spatial_model.position
    sky = place.spherical_offsets_by(east * u.deg, north * u.deg)
    brightness = np.asarray(model.spatial_model.values(sky.ra.deg, sky.dec.deg))
    apart = np.linspace(0, 3, 3001)
    seen = np.interp(sky.separation(CENTER).deg, apart, in_circle(apart, WIDTH))
    norm = np.deg2rad(x[1] - x[0]) ** 2 if radius > 1 else 1 / brightness.sum()
    assert_allclose(fraction_in(spectrum, model), (brightness * seen).sum() * norm, rtol=1e-3)


def test_a_sky_that_is_the_same_everywhere(spectrum):
    model = sky_model(ConstantSpatialModel(value="1 sr-1"))
    assert_allclose(fraction_in(spectrum, model), CIRCLE_AREA, rtol=1e-4)


CIRCLE_AREA = 2 * np.pi * (1 - np.cos(np.deg2rad(RADIUS)))


def test_a_region_is_the_cube_integrated_over_it():
    tangential = WcsGeom.create(skydir=CENTER, binsz=0.025, npix=(48, 40), proj="TAN", axes=(ENERGY,))
    cube = make_cube(geom=tangential)
    # the centre of an all-sky map is on the other side of the sky
    sky = WcsGeom.create(binsz=2, axes=(ENERGY_TRUE,))
    level = sky.get_coord()["skycoord"].separation(CENTER).deg + np.arange(2, 8)[:, None, None]
    diffuse = sky_model(TemplateSpatialModel(WcsNDMap(sky, level, "sr-1"), normalize=False))
    region = "icrs;box(83.63, 22.01, 0.4, 0.3, 0)"
    # the pixels whose centres lie inside are those that the box is made of
    inside = tangential.to_image().region_mask(region).data
    assert inside.sum() == 192
    part = cube.to_region_map_dataset(region)
    for model in (diffuse, beside(0.25), beside(0.2, GaussianSpatialModel, sigma="0.1 deg", e=0.5)):
        expected = predict_cube(cube, model)[:, inside].sum(axis=1)
        assert_allclose(part.npred_signal(model).values(), expected, rtol=1e-3)
    assert_allclose(
        predict_cube(part, beside(0.25), order="psf-first")[:, 0, 0], part.npred_signal(beside(0.25)).values()
    )


def test_without_psf_a_region_holds_a_part_of_the_shape(spectrum):
    region = make_cube().to_region_map_dataset(CIRCLE).replace(psf=None)
    whole = spectrum.replace(psf=None).npred_signal(beside(0.0)).values()
    gaussian = beside(0.1, GaussianSpatialModel, sigma="0.08 deg")
    assert_allclose(region.npred_signal(gaussian).values() / whole, in_circle(0.1, 0.08), rtol=1e-4)
    disk = beside(0.05, DiskSpatialModel, r_0="0.03 deg", edge_width=0.01)
    assert_allclose(region.npred_signal(disk).values(), whole, rtol=1e-9)
    assert_allclose(region.npred_signal(beside(0.1)).values(), whole, rtol=1e-12)
    assert_allclose(region.npred_signal(beside(0.12)).values(), 0.0)
    # the PSF is left out of one source
    free = sky_model(beside(0.1).spatial_model, apply_irf={"exposure": True, "psf": False, "edisp": True})
    assert_allclose(spectrum.npred_signal(free).values(), whole, rtol=1e-12)


def test_sources_out_of_reach_add_nothing(spectrum):
    far = SkyCoord(263.0, -22.0, unit="deg")
    assert not spectrum.npred_signal(sky_model(PointSpatialModel(lon_0=far.ra, lat_0=far.dec))).values().any()


@pytest.mark.parametrize(
    ("change", "model", "code"),
    [
        (lambda d: d, sky_model(None), "GX-FOLD-011"),
        (lambda d: moved(d, PointSkyRegion(CENTER)), beside(0.0), "GX-FOLD-014"),
        (lambda d: moved(d, None), beside(0.0), "GX-FOLD-014"),
        (
            lambda d: make_cube().to_region_map_dataset(PointSkyRegion(CENTER)).replace(psf=None),
            beside(0.0),
            "GX-FOLD-014",
        ),
    ],
    ids=["no place", "point", "no region", "point and no PSF"],
)
def test_what_a_region_needs(spectrum, change, model, code):
    with pytest.raises(GammaxError, match=code):
        change(spectrum).npred_signal(model)


def moved(dataset, region):
    return dataset.replace(counts=dataset.counts.replace(geom=RegionGeom.create(region, dataset.geom.axes)))
