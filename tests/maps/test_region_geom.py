"""RegionGeom: regions from strings and lists, shapes, masks, the projection for files."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from regions import CircleSkyRegion

from gammax.errors import DataValueError, GeometryError, SchemaError, UnitError
from gammax.maps import MapAxis, RegionGeom

CIRCLE = "icrs;circle(83.63, 22.01, 0.11)"


@pytest.fixture
def energy():
    return MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", nbin=10, per_decade=True)


@pytest.fixture
def geom(energy):
    return RegionGeom.create(CIRCLE, [energy])


def test_data_shape_reverses_the_axes(energy):
    true = MapAxis.from_energy_bounds("0.05 TeV", "100 TeV", nbin=3, name="energy_true")
    assert RegionGeom.create(CIRCLE, [energy, true]).data_shape == (3, 27, 1, 1)
    assert RegionGeom.create(CIRCLE, energy).data_shape == (27, 1, 1)
    assert RegionGeom.create(CIRCLE).data_shape == (1, 1)


def test_center_and_projection(geom):
    assert_allclose([geom.center_skydir.ra.deg, geom.center_skydir.dec.deg], [83.63, 22.01])
    assert geom.frame == "icrs"
    # the projection of the peer's file for this region (reference dataset w01)
    assert_array_equal(geom.wcs.wcs.crpix, [2.5, 2.5])
    assert_array_equal(geom.wcs.wcs.cdelt, [-0.1, 0.1])
    assert geom.wcs.pixel_shape == (4, 4)
    assert list(geom.wcs.wcs.ctype) == ["RA---TAN", "DEC--TAN"]


@pytest.mark.parametrize(
    ("region", "shape", "ctype"),
    [
        ("icrs;point(83.63, 22.01)", (1, 1), "RA---TAN"),
        ("galactic;ellipse(10, 0, 1, 2, 45)", (32, 32), "GLON-TAN"),  # sqrt(2.5) deg from the centre, as the peer
        ("fk5;circle(83.63, 22.01, 0.11)", (4, 4), "RA---TAN"),
    ],
)
def test_projection_of_other_shapes(region, shape, ctype):
    geom = RegionGeom.create(region)
    assert geom.wcs.pixel_shape == shape
    assert geom.wcs.wcs.ctype[0] == ctype


def test_union_keeps_its_parts_in_order():
    centers = [(83.6, 22.0), (84.0, 22.5), (359.9, -80.0)]
    circles = [CircleSkyRegion(SkyCoord(*center, unit="deg"), 0.1 * u.deg) for center in centers[:2]]
    geom = RegionGeom.create(circles)
    assert [region.center.ra.deg for region in geom.regions] == [83.6, 84.0]
    assert RegionGeom.create(geom.region).regions == geom.regions
    lines = "\n".join(f"icrs;circle({ra},{dec},0.1)" for ra, dec in centers[:2])
    assert geom.is_allclose(RegionGeom.create(lines))


def test_center_of_a_union_is_the_mean_direction():
    # two points on the equator either side of 0h: the middle is at 0h, not at 180 deg
    geom = RegionGeom.create("icrs;circle(359, 0, 0.1)\nicrs;circle(3, 0, 0.1)")
    assert_allclose(geom.center_skydir.ra.deg, 1.0, atol=1e-12)
    assert_allclose(geom.center_skydir.dec.deg, 0.0, atol=1e-12)


def test_without_region(energy):
    geom = RegionGeom.create(None, energy)
    assert geom.center_skydir is None
    assert geom.wcs is None
    assert geom.regions == []
    assert geom.to_region_hdu() is None
    assert "none" in repr(geom)


@pytest.mark.parametrize("region", ["hello", "image;circle(3, 4, 5)", "", "icrs;circle(1, 2)", 5, []])
def test_refused_regions(region):
    with pytest.raises(GeometryError, match="GX-MAPS-03"):
        RegionGeom.create(region)


def test_refused_intersection():
    left, right = RegionGeom.create("icrs;circle(1, 2, 3)\nicrs;circle(2, 2, 3)").regions
    with pytest.raises(GeometryError, match="GX-MAPS-032"):
        RegionGeom.create(left & right)


def test_regions_on_opposite_sides_need_a_projection():
    with pytest.raises(GeometryError, match="GX-MAPS-034"):
        RegionGeom.create("icrs;circle(83.63, 22.01, 0.11)\nicrs;circle(263.63, -22.01, 0.11)")


@pytest.mark.parametrize(
    ("low", "high", "round_to_edge", "first", "last"),
    [
        # Gammapy 2.1 on the same axis
        (1, 10, False, 11, 19),
        (1, 10, True, 10, 20),
        (None, 10, False, 0, 19),
        (None, 10, True, 0, 20),
        (1, None, False, 11, 26),
        (1, None, True, 10, 26),
        (0.9, 11, False, 10, 20),
        (0.9, 11, True, 10, 20),
    ],
)
def test_energy_mask(geom, low, high, round_to_edge, first, last):
    low, high = (None if limit is None else f"{limit} TeV" for limit in (low, high))
    mask = geom.energy_mask(low, high, round_to_edge=round_to_edge)
    assert mask.data.dtype == bool
    assert mask.data.shape == geom.data_shape
    assert_array_equal(np.flatnonzero(mask.data), np.arange(first, last + 1))


@settings(max_examples=30, deadline=None)
@given(first=st.integers(0, 26), count=st.integers(1, 27))
def test_energy_mask_at_edges_of_a_float32_kev_file(first, count):
    tev = MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", nbin=10, per_decade=True)
    kev = MapAxis.from_energy_edges(tev.edges_value("keV").astype(np.float32), unit="keV")
    last = min(first + count, 27)
    mask = RegionGeom.create(None, kev).energy_mask(tev.edges[first], tev.edges[last])
    assert_array_equal(np.flatnonzero(mask.data), np.arange(first, last))


def test_energy_mask_over_two_axes(energy):
    true = MapAxis.from_energy_bounds("0.05 TeV", "100 TeV", nbin=3, name="energy_true")
    mask = RegionGeom.create(None, [energy, true]).energy_mask("1 TeV")
    assert_array_equal(mask.data[:, :, 0, 0].sum(axis=1), [16, 16, 16])


def test_refused_limits(geom):
    with pytest.raises(UnitError):
        geom.energy_mask(1.0)
    with pytest.raises(DataValueError, match="GX-MAPS-036"):
        geom.energy_mask("10 TeV", "1 TeV")
    with pytest.raises(DataValueError, match="GX-MAPS-035"):
        geom.energy_mask(np.nan * u.TeV)
    with pytest.raises(SchemaError, match="GX-MAPS-021"):
        RegionGeom.create(CIRCLE).energy_mask("1 TeV")


def test_difference(geom, energy):
    assert geom.difference(RegionGeom.create(CIRCLE, energy.to_unit("keV"))) == ""
    assert "region 0" in geom.difference(RegionGeom.create("icrs;circle(83.64, 22.01, 0.11)", energy))
    assert "region 0" in geom.difference(RegionGeom.create("icrs;circle(83.63, 22.01, 0.12)", energy))
    assert "1 regions against 0" in geom.difference(RegionGeom.create(None, energy))
    assert "27 bins against 1" in geom.difference(geom.squash("energy"))


@pytest.mark.parametrize(
    "region",
    [
        CIRCLE,
        "icrs;point(83.63, 22.01)",
        "galactic;ellipse(10, 0, 1, 2, 45)",
        "icrs;polygon(83.63, 22.01, 84, 22, 84, 23)",
        "icrs;annulus(83.63, 22.01, 0.11, 0.2)",
        "icrs;box(83.63, 22.01, 0.11, 0.2, 10)",
        "\n".join(f"icrs;circle({83 + k / 3}, 22.01, 0.{k + 1})" for k in range(8)),
    ],
)
def test_region_table_round_trip(region):
    geom = RegionGeom.create(region)
    hdu = geom.to_region_hdu("COUNTS_REGION")
    back = RegionGeom.from_hdulist(fits.HDUList([fits.PrimaryHDU(), hdu]), "COUNTS_REGION")
    assert back.difference(geom) == ""
    assert back.wcs.pixel_shape == geom.wcs.pixel_shape
    assert len(hdu.data) == len(geom.regions)
    assert back.to_region_hdu("COUNTS_REGION").header == hdu.header


def test_region_table_counts_pixels_from_0():
    # Gammapy's files: a region at the reference position has X = CRPIX1 - 1
    hdu = RegionGeom.create(CIRCLE).to_region_hdu()
    assert_allclose([hdu.data["X"][0], hdu.data["Y"][0], hdu.data["R"][0]], [1.5, 1.5, 1.1], rtol=1e-5)


def test_empty_region_table_is_no_region():
    hdu = RegionGeom.create(CIRCLE).to_region_hdu()
    empty = fits.BinTableHDU(hdu.data[:0], hdu.header)
    assert RegionGeom.from_hdulist(fits.HDUList([fits.PrimaryHDU(), empty])).region is None


def test_damaged_region_tables():
    def read(change):
        hdu = RegionGeom.create(CIRCLE).to_region_hdu()
        hdu = change(hdu) or hdu
        return RegionGeom.from_hdulist(fits.HDUList([fits.PrimaryHDU(), hdu]))

    def bad_shape(hdu):
        hdu.data["SHAPE"][0] = "blob"

    with pytest.raises(GeometryError, match="GX-MAPS-061"):
        RegionGeom.create("icrs;point(263.63, -22.01)", wcs=RegionGeom.create(CIRCLE).wcs).to_region_hdu()
    with pytest.raises(Exception, match="GX-MAPS-063") as info:
        read(bad_shape)
    assert info.value.__cause__ is not None
    with pytest.raises(SchemaError, match="GX-MAPS-065"):
        read(lambda hdu: hdu.header.remove("CTYPE1") or hdu.header.remove("CTYPE2"))
    with pytest.raises(SchemaError, match="GX-MAPS-062"):
        read(lambda hdu: fits.BinTableHDU.from_columns(hdu.columns[1:], header=hdu.header))
    with pytest.raises(SchemaError, match="GX-FITS-004"):
        RegionGeom.from_hdulist(fits.HDUList([fits.PrimaryHDU()]))


def test_solid_angle():
    # caps on the sphere: 2 pi (1 - cos r); a rectangle in the tangential plane: 0.2 deg x 0.4 deg
    circle = RegionGeom.create("icrs;circle(83.63, 22.01, 2)")
    assert circle.solid_angle().to_value("sr") == pytest.approx(2 * np.pi * (1 - np.cos(np.deg2rad(2))), rel=1e-12)
    ring = RegionGeom.create("icrs;annulus(83.63, 22.01, 1, 2)").solid_angle().to_value("sr")
    expected = 2 * np.pi * (np.cos(np.deg2rad(1)) - np.cos(np.deg2rad(2)))
    assert ring == pytest.approx(expected, rel=1e-12)
    box = RegionGeom.create("galactic;box(0, 60, 0.2, 0.4, 30)").solid_angle().to_value("sr")
    assert box == pytest.approx(0.08 * np.deg2rad(1) ** 2, rel=1e-5)
    assert RegionGeom.create("icrs;point(83.63, 22.01)").solid_angle().value == 0
    with pytest.raises(GeometryError, match="no solid angle"):
        RegionGeom(None).solid_angle()


def test_solid_angle_of_a_union_counts_what_is_shared_once():
    # two circles of radius 1 at distance 1: a lens of 2 acos(1/2) - sqrt(3)/2 is shared
    union = RegionGeom.create("icrs;circle(83.63, 0, 1)\nicrs;circle(84.63, 0, 1)").solid_angle().to_value("deg2")
    lens = 2 * np.arccos(0.5) - np.sqrt(3) / 2
    assert union == pytest.approx(2 * np.pi - lens, rel=1e-3)
