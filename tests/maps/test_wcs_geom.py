"""Image geometries: pixels where the peer has them, coordinates both ways, solid angles of the sphere."""

import pickle

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from gammax.errors import GeometryError, SchemaError, UnitError
from gammax.maps import MapAxis, WcsGeom

CRAB = (83.63, 22.01)
ENERGY = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=2)
RAD = MapAxis.from_bounds(0, 3, 3, name="rad", unit="deg")
# Gammapy 2.1: pixels (0, 0), (3, last) and (last, 5) of these geometries
PEER = [
    (
        {"npix": (20, 18), "binsz": 0.1, "skydir": CRAB, "proj": "CAR"},
        [
            (84.64855680148253, 21.15683545755501),
            (84.33532199499533, 22.858500635518496),
            (82.60785887474947, 21.656824321634442),
        ],
    ),
    (
        {"npix": (20, 18), "binsz": 0.1, "skydir": CRAB, "proj": "TAN"},
        [
            (84.64846475968736, 21.157015172953795),
            (84.33529115329961, 22.858383735351843),
            (82.60795214732862, 21.65687735454727),
        ],
    ),
    (
        {"width": (40, 21.1), "binsz": 2, "skydir": (300, -60), "proj": "AIT", "frame": "galactic"},
        [
            (345.8685441224294, -63.114411126474224),
            (319.5926339416068, -48.04718415034112),
            (265.41343517388776, -54.95842332609982),
        ],
    ),
]


@pytest.mark.parametrize(("parameters", "expected"), PEER)
def test_pixel_centres_are_those_of_gammapy(parameters, expected):
    sky = WcsGeom.create(**parameters).get_coord()["skycoord"].spherical
    pixels = [(0, 0), (-1, 3), (5, -1)]
    assert_allclose([(sky.lon.deg[k], sky.lat.deg[k]) for k in pixels], expected, rtol=0, atol=1e-10)


def test_shape_from_width_rounds_half_to_even():
    # Gammapy 2.1: the same numbers of pixels
    shapes = {0.25: 2, 0.35: 3, 0.7: 7, 1.05: 10, 1.15: 11, 1.2: 12}
    assert {width: WcsGeom.create(width=width, binsz=0.1).npix[0] for width in shapes} == shapes
    assert WcsGeom.create(width="2 deg", binsz=(0.5 * u.deg, "12 arcmin")).npix == (4, 10)
    assert WcsGeom.create(binsz=2).npix == (180, 90)
    assert WcsGeom.create(npix=7, width=3, binsz=0.1).npix == (7, 7)


def test_shape_and_names():
    geom = WcsGeom.create(npix=(5, 4), binsz=0.5, skydir=CRAB, proj="TAN", axes=[ENERGY, RAD])
    assert geom.data_shape == (3, 2, 4, 5)
    assert (geom.proj, geom.frame, geom.is_image, geom.to_image().is_image) == ("TAN", "icrs", False, True)
    assert_allclose(geom.pixel_scales.to_value("deg"), [0.5, 0.5])
    assert_allclose(geom.width.to_value("deg"), [2.5, 2.0])
    assert geom.center_skydir.separation(SkyCoord(*CRAB, unit="deg")).deg < 1e-12
    assert geom.to_image().to_cube([ENERGY]).axes.names == ("energy",)
    assert geom.squash("rad").data_shape == (1, 2, 4, 5)
    assert geom.slice_by_idx({"rad": slice(1, 3)}).data_shape == (2, 2, 4, 5)
    assert "5 x 4 pixels of 0.5 x 0.5 deg at 83.6300 22.0100 deg icrs, TAN" in repr(geom)


def test_centre_is_taken_in_any_frame():
    crab = SkyCoord(*CRAB, unit="deg")
    geom = WcsGeom.create(npix=3, skydir=crab.galactic, frame="icrs")
    assert geom.center_skydir.separation(crab).deg < 1e-12
    assert_allclose(geom.wcs.wcs.crval, CRAB, rtol=1e-13)
    assert_allclose(WcsGeom.create(npix=3).wcs.wcs.crval, [0, 0])
    assert WcsGeom.create(npix=3, skydir=crab, frame="fk5").frame == "fk5"


@given(
    lon=st.floats(0, 360),
    lat=st.floats(-85, 85),
    proj=st.sampled_from(["CAR", "TAN", "AIT", "SIN", "STG", "ZEA", "MOL", "SFL"]),
    frame=st.sampled_from(["icrs", "galactic"]),
)
@settings(max_examples=30, deadline=None)
def test_coordinates_come_back(lon, lat, proj, frame):
    geom = WcsGeom.create(npix=(30, 20), binsz=0.1, skydir=(lon, lat), proj=proj, frame=frame, axes=[ENERGY])
    pix = (np.array([0.0, 3.25, 29.0]), np.array([19.0, 7.5, 0.0]), np.array([0.0, 0.3, 1.0]))
    assert_allclose(geom.coord_to_pix(geom.pix_to_coord(pix)), pix, atol=1e-8)
    coords = geom.get_coord()
    x, y, k = geom.coord_to_idx(coords)
    assert_array_equal(x, np.broadcast_to(np.arange(30), (20, 30)))
    assert_array_equal(y, np.broadcast_to(np.arange(20)[:, None], (20, 30)))
    assert_array_equal(k.ravel(), [0, 1])
    assert geom.contains(coords).shape == geom.data_shape
    assert geom.contains(coords).all()


def test_outside():
    geom = WcsGeom.create(npix=4, binsz=1, skydir=(10, 0), proj="TAN", axes=[ENERGY])
    positions = SkyCoord([10.1, 12.1, 190.0], [0, 0, 0], unit="deg")
    assert_array_equal(geom.contains(positions), [True, False, False])
    assert_array_equal(geom.coord_to_idx(positions)[0], [1, -1, -1])
    # a tangential image sees less than half the sky
    assert_array_equal(np.isnan(geom.coord_to_pix(positions)[0]), [False, False, True])
    within = geom.contains({"skycoord": positions[:1], "energy": [0.05, 1, 20] * u.TeV})
    assert_array_equal(within, [False, True, False])
    # the corners of an all-sky image are no sky
    allsky = WcsGeom.create(binsz=10, proj="AIT", frame="galactic")
    assert not allsky.contains(allsky.get_coord()["skycoord"])[0, 0]


def test_cylindrical_images_repeat_after_360_deg():
    allsky = WcsGeom.create(binsz=10, frame="galactic")
    lon = SkyCoord([179.9, 180.1, -179.9], [0, 0, 0], unit="deg", frame="galactic")
    assert_allclose(allsky.coord_to_pix(lon)[0], [-0.49, 35.49, 35.49], atol=1e-9)
    # an image far from its reference point, as cut out of an all-sky one
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.cdelt, wcs.wcs.crpix = ["GLON-CAR", "GLAT-CAR"], [0, 0], [-1, 1], [185.5, 3]
    cutout = WcsGeom(wcs, (10, 5))
    assert_array_equal(cutout.contains(lon), [True, True, True])
    mask = cutout.region_mask("galactic;circle(180, 0, 2.2)").data
    # 17 whole numbers (x + 1/2, y) within 2.2 of the origin: 4 in the middle row, 4 beside it, 2 above and below
    assert_array_equal(mask.sum(axis=1), [2, 4, 4, 4, 2])
    assert_array_equal(np.flatnonzero(mask[2]), [3, 4, 5, 6])


def test_separation():
    geom = WcsGeom.create(npix=(3, 1), binsz=2, skydir=(20, 60), proj="ARC")
    # in the zenithal equidistant projection distances from the reference point are true
    assert_allclose(geom.separation(SkyCoord(20, 60, unit="deg")).to_value("deg"), [[2, 0, 2]], atol=1e-10)


def test_solid_angle_of_a_cylindrical_image():
    # a CAR pixel: d(lon) * (sin(lat_max) - sin(lat_min))
    geom = WcsGeom.create(binsz=1)
    expected = np.radians(1) * np.diff(np.sin(np.radians(np.arange(-90, 91))))
    assert_allclose(geom.solid_angle().to_value("sr")[:, ::60], np.tile(expected[:, None], 6), rtol=3e-10)
    assert geom.solid_angle().sum().to_value("sr") == pytest.approx(4 * np.pi, rel=1e-10)


@pytest.mark.parametrize(
    ("proj", "skydir"), [("ZEA", (10, 89.97)), ("AIT", (0, 0)), ("SFL", (10, -70)), ("CEA", (0, 0))]
)
def test_solid_angle_in_equal_area_projections(proj, skydir):
    # these keep areas (Calabretta & Greisen 2002): every pixel has the same, at the pole too
    area = WcsGeom.create(npix=(30, 20), binsz=0.1, skydir=skydir, proj=proj).solid_angle().to_value("deg2")
    assert_allclose(area, 0.01, rtol=1e-9)


def test_solid_angle_of_a_large_tangential_image():
    # a square of half-width tan(a) on the tangential plane: 4 asin(sin^2 of its half opening angle a)
    geom = WcsGeom.create(npix=(400, 400), binsz=0.25, skydir=(10, 50), proj="TAN")
    half = np.arctan(np.radians(50))
    assert geom.solid_angle().sum().to_value("sr") == pytest.approx(4 * np.arcsin(np.sin(half) ** 2), rel=1e-10)


def test_solid_angle_off_the_sky():
    area = WcsGeom.create(binsz=10, proj="AIT").solid_angle()
    assert np.isnan(area[0, 0])
    assert np.isfinite(area[9, 18])


def test_difference():
    create = {"npix": (20, 10), "binsz": 0.1, "skydir": CRAB, "proj": "TAN"}
    geom = WcsGeom.create(**create)
    # the same image with another reference pixel, 1e-9 pixels away
    moved = WcsGeom.create(**create).wcs
    moved.wcs.crpix += 1e-9
    assert geom.is_allclose(WcsGeom(moved, (20, 10)))
    moved.wcs.crpix += 1e-3
    assert "pixels 0.001 apart" in geom.difference(WcsGeom(moved, (20, 10)))
    assert geom.difference(geom.to_cube([ENERGY])) == "axes  against energy"
    for change, words in [
        ({"npix": (20, 11)}, "npix (20, 10) against (20, 11)"),
        ({"frame": "galactic"}, "frame icrs against galactic"),
        ({"proj": "SIN"}, "apart"),
        ({"binsz": 0.1001}, "apart"),
    ]:
        assert words in geom.difference(WcsGeom.create(**(create | change)))
    # one pixel still has a size
    assert not WcsGeom.create(npix=1, binsz=0.1).is_allclose(WcsGeom.create(npix=1, binsz=0.2))
    allsky = WcsGeom.create(binsz=10, proj="AIT")
    assert allsky.is_allclose(allsky)


def test_pickle_keeps_every_bit():
    geom = WcsGeom.create(npix=(4, 3), binsz=1 / 30, skydir=(250 / 3, 200 / 9), proj="TAN", axes=[ENERGY])
    copy = pickle.loads(pickle.dumps(geom))
    assert_array_equal(copy.wcs.wcs.crval, [250 / 3, 200 / 9])
    assert_array_equal(copy.get_coord()["skycoord"].ra.deg, geom.get_coord()["skycoord"].ra.deg)
    assert copy.is_allclose(geom)


def test_the_projection_is_a_copy():
    wcs = WcsGeom.create(npix=4).wcs
    geom = WcsGeom(wcs, (4, 4))
    wcs.wcs.crval = [10, 0]
    assert geom.center_skydir.ra.deg == pytest.approx(0)


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"proj": "XYZ"}, SchemaError, "unknown projection 'XYZ'"),
        ({"frame": "supergalactic"}, SchemaError, "unknown frame"),
        ({"npix": 0}, GeometryError, "npix is not a positive whole number"),
        ({"npix": 2.5}, GeometryError, "npix is not a positive whole number"),
        ({"npix": (1, 2, 3)}, GeometryError, "npix has 3 values"),
        ({"binsz": -0.1}, GeometryError, "binsz is not positive"),
        ({"binsz": np.nan}, GeometryError, "binsz is not positive"),
        ({"binsz": "1 TeV"}, UnitError, "binsz has the wrong unit"),
        ({"width": 0.04, "binsz": 0.1}, GeometryError, "smaller than half a pixel"),
        ({"skydir": "Crab", "npix": 2}, GeometryError, "skydir has 4 values|skydir is not a position"),
        ({"skydir": (10, 95), "npix": 2}, GeometryError, "skydir is not a position"),
        ({"skydir": SkyCoord([1, 2], [3, 4], unit="deg"), "npix": 2}, GeometryError, "several positions"),
        ({"npix": 2, "axes": [ENERGY, ENERGY]}, GeometryError, "same name"),
    ],
)
def test_wrong_parameters_are_told(parameters, error, words):
    with pytest.raises(error, match=words):
        WcsGeom.create(**parameters)


def test_wrong_projections_are_told():
    with pytest.raises(GeometryError, match="not a projection of the sky"):
        WcsGeom(WCS(naxis=2), (3, 3))
    with pytest.raises(GeometryError, match="not a projection of the sky"):
        WcsGeom(WcsGeom.create(npix=3).wcs.swapaxes(0, 1), (3, 3))
    with pytest.raises(GeometryError, match="at least one pixel"):
        WcsGeom(WcsGeom.create(npix=3).wcs, (3, 0))


def test_missing_coordinates_are_told():
    geom = WcsGeom.create(npix=3, axes=[ENERGY])
    with pytest.raises(SchemaError, match="coordinate 'energy' is missing"):
        geom.coord_to_pix({"skycoord": geom.center_skydir})
    with pytest.raises(UnitError):
        geom.coord_to_idx({"skycoord": geom.center_skydir, "energy": 1 * u.m})
