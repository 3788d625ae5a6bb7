"""Shapes on maps: nothing is lost, whatever the size of source and pixel, the declination, the projection."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gammax.maps import MapAxis, WcsGeom
from gammax.models import (
    ConstantSpatialModel,
    DiskSpatialModel,
    GaussianSpatialModel,
    GeneralizedGaussianSpatialModel,
    PointSpatialModel,
    PowerLawSpectralModel,
    Shell2SpatialModel,
    ShellSpatialModel,
    SkyModel,
)

SHAPES = {
    "gauss": (lambda s, **at: GaussianSpatialModel(sigma=f"{s / 3} deg", **at), 1e-6),
    "ellipse": (lambda s, **at: GaussianSpatialModel(sigma=f"{s / 3} deg", e=0.9, phi="30 deg", **at), 1e-6),
    "general": (lambda s, **at: GeneralizedGaussianSpatialModel(r_0=f"{s / 8} deg", eta=0.9, **at), 1e-6),
    "general, sharp": (lambda s, **at: GeneralizedGaussianSpatialModel(r_0=f"{s} deg", eta=0.05, e=0.7, **at), 1e-6),
    "disk": (lambda s, **at: DiskSpatialModel(r_0=f"{s} deg", **at), 1e-4),
    "elongated disk": (lambda s, **at: DiskSpatialModel(r_0=f"{s} deg", e=0.8, phi="30 deg", **at), 1e-4),
    "shell": (lambda s, **at: ShellSpatialModel(radius=f"{s} deg", width=f"{s / 5} deg", **at), 1e-4),
    "shell2": (lambda s, **at: Shell2SpatialModel(r_0=f"{s} deg", eta=0.1, **at), 1e-4),
}


@pytest.mark.parametrize(("dec", "proj"), [(0.0, "CAR"), (60.0, "TAN"), (85.0, "CAR"), (89.5, "TAN")])
@pytest.mark.parametrize("name", SHAPES)
def test_nothing_is_lost(name, dec, proj):
    """The sum over a map that holds the source is 1: from 1/100 of a pixel to many, off centre, across the wrap."""
    build, bar = SHAPES[name]
    for size, binsz in ((0.001, 0.1), (0.03, 0.02), (2.0, 0.25)):
        geom = WcsGeom.create(skydir=(0.0, dec), proj=proj, binsz=binsz, width=max(9 * size, 5 * binsz))
        model = build(size, lon_0="359.993 deg", lat_0=f"{dec - 0.004} deg")
        assert model.integrate_geom(geom).data.sum() == pytest.approx(1.0, abs=bar)


@pytest.mark.parametrize(("lon", "lat"), [(179.99, 0.0), (180.003, 85.0), (77.0, 89.5), (0.3, -89.99)])
@pytest.mark.parametrize("name", ["gauss", "disk"])
def test_nothing_is_lost_on_the_whole_sky(name, lon, lat):
    """Plate carree of the whole sky: pixels at the poles are slivers, and the image ends at longitude 180."""
    build, bar = SHAPES[name]
    geom = WcsGeom.create(binsz=2.0, proj="CAR")
    for size in (0.001, 2.0):
        model = build(size, lon_0=f"{lon} deg", lat_0=f"{lat} deg")
        assert model.integrate_geom(geom).data.sum() == pytest.approx(1.0, abs=bar)


@pytest.mark.parametrize("name", SHAPES)
def test_pixels_are_right_one_by_one(name):
    """Against 400 x 400 points in each pixel (rectangles, 2e-4 of the largest; their own error at edges)."""
    model = SHAPES[name][0](0.06, lon_0="0.01 deg", lat_0="40.02 deg")
    geom = WcsGeom.create(skydir=(0.0, 40.0), proj="TAN", binsz=0.05, npix=3)
    got, want = model.integrate_geom(geom).data, model.integrate_geom(geom, oversampling_factor=400).data
    assert np.abs(got - want).max() < 2e-4 * want.max()


def test_one_place_in_two_frames():
    """The fractions are those of the same sky, whatever frame model and map are in: 1e-8."""
    place = SkyCoord(83.63, 22.01, unit="deg")
    maps = [WcsGeom.create(skydir=place, frame=frame, proj="TAN", binsz=0.1, npix=12) for frame in ("icrs", "galactic")]
    for geom in maps:
        one, two = (
            GaussianSpatialModel.from_position(p, sigma="0.15 deg").integrate_geom(geom).data
            for p in (place, place.galactic)
        )
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-8)


def test_points():
    """Sum 1 and centroid at the point, by sub-pixel steps; across the seam of an image of the whole sky."""
    geom = WcsGeom.create(skydir=(0.0, 60.0), proj="TAN", binsz=0.1, npix=9)
    y, x = np.indices((9, 9))
    for step in np.linspace(-0.5, 0.5, 5):
        where = geom.pix_to_coord((4.0 + step, 3.3))["skycoord"]
        fractions = PointSpatialModel.from_position(where).integrate_geom(geom).data
        np.testing.assert_allclose(
            [fractions.sum(), (fractions * x).sum(), (fractions * y).sum()], [1.0, 4.0 + step, 3.3], atol=1e-9
        )
    whole = WcsGeom.create(binsz=1.0, proj="CAR")
    assert PointSpatialModel(lon_0="180 deg").integrate_geom(whole).data.sum() == pytest.approx(1.0, abs=1e-12)
    outside = PointSpatialModel(lon_0="90 deg", lat_0="-30 deg").integrate_geom(geom)
    assert outside.data.sum() == 0.0
    brightness = PointSpatialModel(lat_0="60 deg").evaluate_geom(geom)
    assert (brightness * geom.solid_angle()).sum().to_value("") == pytest.approx(1.0)


def test_a_constant_is_its_solid_angle():
    geom = WcsGeom.create(skydir=(0.0, 60.0), proj="TAN", binsz=0.5, npix=9)
    got = ConstantSpatialModel(value="3 sr-1").integrate_geom(geom)
    np.testing.assert_allclose(got.data, 3 * geom.solid_angle().to_value("sr"), rtol=1e-14)


def test_a_source_outside_leaves_nothing():
    geom = WcsGeom.create(skydir=(0.0, 0.0), proj="TAN", binsz=0.1, npix=10)
    assert not GaussianSpatialModel(lon_0="40 deg", sigma="0.1 deg").integrate_geom(geom).data.any()


def test_flux_of_a_sky_model():
    """Integral of E^-2 from 1 to 10 TeV is 0.9 A, and the map holds all of it."""
    axis = MapAxis.from_energy_edges([1, 10, 100], unit="TeV", name="energy_true")
    geom = WcsGeom.create(skydir=(0.0, 0.0), proj="TAN", binsz=0.1, npix=20, axes=[axis])
    model = SkyModel(PowerLawSpectralModel(), spatial_model=GaussianSpatialModel(sigma="0.1 deg"))
    flux = model.integrate_geom(geom)
    assert flux.unit == "s-1 cm-2"
    np.testing.assert_allclose(flux.data.sum(axis=(1, 2)), [0.9e-12, 0.09e-12], rtol=1e-6)
