"""Regions on images: the masks of the peer, the same with any version of `regions`, none lost at seams."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from numpy.testing import assert_allclose, assert_array_equal
from regions import CircleSkyRegion, PixCoord, PointSkyRegion

from gammax.errors import GeometryError
from gammax.maps import MapAxis, RegionGeom, WcsGeom
from gammax.maps._wcs_region import region_to_pixel, region_to_sky

# Gammapy 2.1 on this image: pixels inside, sums of x, y and x * y over them
GEOM = {"npix": (60, 50), "binsz": 0.05, "skydir": (83.63, 22.01), "proj": "TAN"}
PEER = {
    "icrs;circle(83.1,22.7,0.33)": (136, 5327, 5200, 203628),
    "icrs;ellipse(83.63,22.31,0.5,0.2,30)": (126, 3717, 3843, 114490),
    "icrs;box(83.63,22.01,1.0,0.4,20)": (160, 4720, 3920, 117089),
    "icrs;polygon(83,21.5,84,21.6,84.1,22.6,83.5,22.2)": (225, 6488, 5184, 146371),
    "icrs;annulus(83.63,22.01,0.3,0.6)": (336, 9912, 8232, 242844),
}


def circle(lon, lat, radius):
    return CircleSkyRegion(SkyCoord(lon, lat, unit="deg"), radius * u.deg)


@pytest.mark.parametrize("region", PEER)
def test_masks_are_those_of_gammapy(region):
    mask = WcsGeom.create(**GEOM).region_mask(region).data
    y, x = np.nonzero(mask)
    assert (mask.sum(), x.sum(), y.sum(), (x * y).sum()) == PEER[region]


def test_lists_inside_and_outside():
    geom = WcsGeom.create(**GEOM)
    left, right = circle(84.2, 22, 0.3), circle(83.9, 22, 0.3)
    either = geom.region_mask([left, right])
    assert_array_equal(either.data, geom.region_mask(left).data | geom.region_mask(right).data)
    assert_array_equal(geom.region_mask([left, right], inside=False).data, ~either.data)
    assert_array_equal(geom.region_mask(left & right).data, geom.region_mask(left).data & geom.region_mask(right).data)
    assert not geom.region_mask([]).data.any()
    assert geom.region_mask([], inside=False).data.all()
    with pytest.raises(GeometryError, match="not a sky region"):
        geom.region_mask(3)


def test_masks_fill_all_planes():
    cube = WcsGeom.create(**GEOM, axes=[MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2)])
    mask = cube.region_mask(circle(83.63, 22.01, 0.3))
    assert mask.data.shape == (2, 50, 60)
    assert_array_equal(mask.data[0], mask.data[1])


def test_compounds_and_long_unions():
    geom = WcsGeom.create(**GEOM)
    a, b, c = (circle(lon, 22, 0.3) for lon in (83.4, 83.6, 83.8))
    left, middle, right = (geom.region_mask(region).data for region in (a, b, c))
    assert_array_equal(geom.region_mask((a & b) ^ (b | c)).data, (left & middle) ^ (middle | right))
    # as many as a catalogue of sources has: deeper than Python calls go
    far = PointSkyRegion(SkyCoord(0, 0, unit="deg"))
    assert_array_equal(geom.region_mask([a, *[far] * 1100, c]).data, left | right)


def test_a_point_marks_its_pixel():
    geom = WcsGeom.create(**GEOM)
    position = geom.pix_to_coord((12.4, 30.6))["skycoord"]
    assert_array_equal(np.argwhere(geom.region_mask(PointSkyRegion(position)).data), [[31, 12]])
    assert not geom.region_mask("icrs;point(0, 0)").data.any()


@pytest.mark.parametrize("shape", ["circle({},1)", "ellipse({},1,2,30)", "annulus({},1,2)", "point({})"])
def test_what_the_projection_does_not_reach_is_not_inside(shape):
    geom = WcsGeom.create(**GEOM)
    assert not geom.region_mask("icrs;" + shape.format("263.63,-22.01")).data.any()


def test_regions_across_the_seam_of_the_sky():
    # the same shapes at longitude 180, where the image is torn, and at 0, where it is not
    geom = WcsGeom.create(binsz=2, frame="galactic")
    for shape in ("circle({}, 3, 11)", "polygon({}, -11, {}, 11, {}, 3)"):
        there = geom.region_mask("galactic;" + shape.format(*("180", "170", "191"))).data
        here = geom.region_mask("galactic;" + shape.format(*("0", "350", "11"))).data
        assert here.sum() > 20
        assert_array_equal(there, np.roll(here, 90, axis=1))


def test_circles_are_drawn_with_the_scale_to_the_north():
    # Gammapy 2.1 with regions 0.11 writes 11.00082339 pixels for this circle, 0.4956 deg north of the middle
    geom = WcsGeom.create(npix=228, binsz=0.01, skydir=(83.633333333333, 21.514444444444), proj="TAN")
    on = circle(83.63, 22.01, 0.11)
    pixels = region_to_pixel(on, geom.wcs)
    assert pixels.radius == pytest.approx(11.00082339, abs=1e-7)
    back = region_to_sky(pixels, geom.wcs)
    assert back.center.separation(on.center).deg < 1e-12
    assert back.radius.to_value("deg") == pytest.approx(0.11, rel=1e-9)
    assert pixels.center.separation(PixCoord(113.5, 113.5)) == pytest.approx(49.56, abs=0.01)


def test_region_geom_contains():
    center = SkyCoord(83.63, 22.01, unit="deg")
    angle = np.linspace(0, 350, 36) * u.deg
    geom = RegionGeom.create(circle(83.63, 22.01, 0.11))
    # the border of the circle on the sky
    assert geom.contains(center.directional_offset_by(angle, 0.11 * (1 - 3e-6) * u.deg)).all()
    assert not geom.contains(center.directional_offset_by(angle, 0.11 * (1 + 3e-6) * u.deg)).any()
    assert geom.contains(center.galactic)
    two = RegionGeom.create([circle(83.63, 22.01, 0.11), circle(84.63, 22.01, 0.11)])
    assert_array_equal(two.contains(SkyCoord([83.6, 84.6, 84.1], [22, 22, 22], unit="deg")), [True, True, False])
    assert not RegionGeom.create("icrs;point(83.63, 22.01)").contains(center)
    # the other side of the sky
    assert not geom.contains(SkyCoord(263.63, -22.01, unit="deg"))
    with pytest.raises(GeometryError, match="no region"):
        RegionGeom.create(None).contains(center)


def test_excluded_shapes_are_refused():
    with pytest.raises(GeometryError, match="an excluded shape has no inside"):
        WcsGeom.create(**GEOM).region_mask("icrs;-circle(83.63, 22.01, 0.3)")


def test_other_shapes_come_back():
    geom = WcsGeom.create(**GEOM)
    box = RegionGeom.create("icrs;box(83.63,22.01,1.0,0.4,20)").region
    back = region_to_sky(region_to_pixel(box, geom.wcs), geom.wcs)
    assert_allclose([back.width.to_value("deg"), back.height.to_value("deg")], [1.0, 0.4], rtol=1e-5)


@pytest.mark.parametrize("shape", ["circle(83.1,22.7,0.33)", "annulus(83.1,22.7,0.3,0.6)"])
def test_tables_hold_sizes_with_the_same_scale(shape):
    # 0.9 deg from the middle of a tangential image, where versions of `regions` differ by 1e-5 and more
    image = WcsGeom.create(**GEOM)
    geom = RegionGeom.create(f"icrs;{shape}", wcs=image.wcs)
    table = geom.to_region_hdu()
    pixels = region_to_pixel(geom.region, image.wcs)
    inner = pixels.radius if shape.startswith("circle") else [pixels.inner_radius, pixels.outer_radius]
    assert_allclose(np.ravel(table.data["R"])[: np.size(inner)], inner, rtol=1e-12)
    back = RegionGeom.from_hdulist(fits.HDUList([fits.PrimaryHDU(), table]))
    names = ["radius"] if shape.startswith("circle") else ["inner_radius", "outer_radius"]
    for name in names:
        assert getattr(back.region, name).to_value("deg") == pytest.approx(
            getattr(geom.region, name).to_value("deg"), rel=1e-10
        )
