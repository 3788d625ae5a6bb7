"""Images made from images: the pixels of Gammapy's, and parts that know where they belong."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from gammax.errors import GeometryError, SchemaError, UnitError
from gammax.maps import MapAxis, WcsGeom

ENERGY = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=4)
# the image of the Crab nebula of the reference results, and that of the galactic centre
CRAB = WcsGeom.create(skydir=(83.633, 22.014), binsz=0.02, width=(2, 2), proj="CAR", axes=[ENERGY])
CENTRE = WcsGeom.create(skydir=(0, 0), binsz=0.02, width=(10, 8), proj="CAR", frame="galactic")
TAN = WcsGeom.create(skydir=(83.63, 22.01), npix=(51, 38), binsz=0.02, proj="TAN", axes=[ENERGY])


def icrs(lon, lat):
    return SkyCoord(lon, lat, unit="deg")


# Gammapy 2.1: CRPIX and number of pixels of these cutouts
CUTOUTS = [
    (CRAB, icrs(83.633333, 22.514444), {"width": 5 * u.deg}, (50.5, 50.5), (100, 100)),
    (CRAB, icrs(84.2, 22.6), {"width": 0.5}, (39.5, -16.5), (25, 25)),
    (CRAB, icrs(84.2, 22.6), {"width": (0.3, 0.9)}, (34.5, -6.5), (15, 43)),
    (CRAB, icrs(84.2, 22.6), {"width": 1.5, "mode": "partial"}, (64.5, 8.5), (75, 75)),
    (CENTRE, icrs(266.404988, -28.936178), {"width": "5 deg"}, (125.5, 125.5), (250, 250)),
    (CENTRE, SkyCoord(359.5, 0.5, unit="deg", frame="galactic").icrs, {"width": 5}, (100.5, 100.5), (250, 250)),
    (CENTRE, SkyCoord(3.1, -3.3, unit="deg", frame="galactic").icrs, {"width": 5}, (250.5, 200.5), (220, 160)),
]


@pytest.mark.parametrize(("geom", "position", "parameters", "crpix", "npix"), CUTOUTS)
def test_cutouts_are_those_of_gammapy(geom, position, parameters, crpix, npix):
    part = geom.cutout(position, **parameters)
    assert_allclose(part.wcs.wcs.crpix, crpix, rtol=0, atol=1e-12)
    assert part.npix == npix
    assert part.axes == geom.axes
    assert part.is_aligned(geom)


def test_cutout_sizes():
    middle = TAN.center_skydir
    assert TAN.cutout(middle, 0.1, odd_npix=True).npix == (5, 5)
    assert TAN.cutout(middle, 0.081, odd_npix=True).npix == (5, 5)
    assert TAN.cutout(middle, 0.01, min_npix=4).npix == (4, 4)
    # half to even, as the field rounds
    assert TAN.cutout(middle, (0.05, 0.07)).npix == (2, 4)


def test_cutouts_that_do_not_fit_are_told():
    outside = icrs(85, 22)
    for mode in ("trim", "partial", "strict"):
        with pytest.raises(GeometryError, match="outside the image"):
            CRAB.cutout(outside, 0.1, mode=mode)
    with pytest.raises(GeometryError, match="beyond the image"):
        CRAB.cutout(CRAB.center_skydir, 2.1, mode="strict")
    with pytest.raises(GeometryError, match="does not reach"):
        TAN.cutout(icrs(263.63, -22.01), 0.1)
    with pytest.raises(SchemaError, match="unknown mode"):
        CRAB.cutout(CRAB.center_skydir, 0.1, mode="full")
    with pytest.raises(UnitError):
        CRAB.cutout(CRAB.center_skydir, "1 TeV")


@given(
    lon=st.floats(82.7, 84.5),
    lat=st.floats(21.1, 22.9),
    width=st.floats(0.02, 3),
    mode=st.sampled_from(["trim", "partial"]),
)
def test_slices_point_at_the_same_pixels(lon, lat, width, mode):
    part = CRAB.cutout(icrs(lon, lat), width, mode=mode)
    slices = part.cutout_slices(CRAB)
    whole, own = CRAB.get_coord()["skycoord"].ra.deg, part.get_coord()["skycoord"].ra.deg
    assert_allclose(own[slices["cutout-slices"]], whole[slices["parent-slices"]], rtol=0, atol=1e-10)
    if mode == "trim":
        assert slices["cutout-slices"] == (slice(0, part.npix[1]), slice(0, part.npix[0]))


def test_slices_of_images_apart_are_empty():
    left, right = CRAB.cutout(icrs(84.2, 22), 0.2), CRAB.cutout(icrs(83.2, 22), 0.2)
    slices = left.cutout_slices(right)
    assert np.zeros(right.image_shape)[slices["parent-slices"]].size == 0
    assert np.zeros(left.image_shape)[slices["cutout-slices"]].size == 0


def test_images_that_do_not_match():
    # half a pixel aside, other pixels, another projection, one pixel alone of another size
    others = [
        WcsGeom.create(skydir=(83.633, 22.024), binsz=0.02, width=2, proj="CAR", axes=[ENERGY]),
        WcsGeom.create(skydir=(83.633, 22.014), binsz=0.04, width=2, proj="CAR", axes=[ENERGY]),
        WcsGeom.create(skydir=(83.633, 22.014), binsz=0.02, width=2, proj="TAN", axes=[ENERGY]),
        WcsGeom.create(skydir=(83.633, 22.014), binsz=0.03, npix=1, proj="CAR", axes=[ENERGY]),
    ]
    for other in others:
        assert not other.is_aligned(CRAB)
        with pytest.raises(GeometryError, match="do not match"):
            other.cutout_slices(CRAB)
    assert not CRAB.to_image().is_aligned(CRAB)


def test_parts_across_the_seam_of_the_sky():
    # seen from an all-sky image, this part begins at its first column or ends at its last
    allsky = WcsGeom.create(binsz=10, frame="galactic")
    part = allsky.cutout(SkyCoord(175, 5, unit="deg", frame="galactic"), 30, mode="partial")
    assert part.npix == (3, 3)
    slices = part.cutout_slices(allsky)
    assert slices["parent-slices"] == (slice(8, 11), slice(0, 2))
    assert slices["cutout-slices"] == (slice(0, 3), slice(1, 3))


def test_pad_crop_and_back():
    padded = TAN.pad((3, 2))
    # Gammapy 2.1: CRPIX and number of pixels
    assert_allclose(padded.wcs.wcs.crpix, [29, 21.5])
    assert padded.npix == (57, 42)
    assert padded.crop((3, 2)).is_allclose(TAN, atol_pix=1e-12)
    with pytest.raises(GeometryError, match="at least one pixel"):
        TAN.crop(19)
    with pytest.raises(GeometryError, match="pad_width is not a whole number"):
        TAN.pad(-1)


def test_larger_and_smaller_pixels():
    # Gammapy 2.1: CRPIX, CDELT and number of pixels
    fine = TAN.upsample(3)
    assert_allclose(fine.wcs.wcs.crpix, [77, 57.5])
    assert fine.npix == (153, 114)
    assert fine.downsample(3).is_allclose(TAN, atol_pix=1e-10)
    coarse = TAN.crop((3, 1)).downsample(3)
    assert_allclose(coarse.wcs.wcs.crpix, [8, 6.5])
    other = TAN.to_binsz(0.05)
    assert_allclose([*other.wcs.wcs.crpix, *other.wcs.wcs.cdelt], [10.5, 8, -0.05, 0.05])
    assert (TAN.to_odd_npix().npix, TAN.to_odd_npix(0.31 * u.deg).npix) == ((51, 51), (31, 31))
    # 0.25 deg are 12.5 pixels: 25, and no more for a rounding error
    assert TAN.to_odd_npix("0.25 deg").npix == (25, 25)
    assert TAN.upsample(2, axis_name="energy").axes["energy"].nbin == 8
    assert TAN.downsample(2, axis_name="energy").axes["energy"].nbin == 2
    with pytest.raises(GeometryError, match="multiples of 4"):
        TAN.downsample(4)
    with pytest.raises(GeometryError, match="factor is not"):
        TAN.upsample(1.5)


def test_rotated_images_keep_their_matrix():
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [10, 20], [3, 2]
    wcs.wcs.cd = np.array([[-0.08, 0.06], [0.06, 0.08]])
    geom = WcsGeom(wcs, (6, 4))
    fine = geom.upsample(2)
    assert_allclose(fine.pixel_scales.to_value("deg"), 0.05)
    assert fine.downsample(2).is_allclose(geom)
    assert_allclose(fine.solid_angle().sum() / geom.solid_angle().sum(), 1, rtol=1e-9)


def test_masks():
    # Gammapy 2.1: number of bins set
    assert TAN.boundary_mask(0.1 * u.deg).data.sum() == 4592
    assert TAN.energy_mask(0.3 * u.TeV, round_to_edge=True).data.sum() == 5814
    # at (51 - 2 * 5) * (38 - 2 * 10) pixels the margins differ
    assert TAN.boundary_mask((0.1, 0.2)).data[0].sum() == 41 * 18
    assert not TAN.boundary_mask(1).data.any()
    bins = TAN.energy_mask("0.316228 TeV", "10 TeV").data[:, 0, 0]
    assert_array_equal(bins, [False, True, True, True])


def test_region_weights():
    weights = TAN.to_image().region_weights("icrs;circle(83.63, 22.01, 0.1)")
    # Gammapy 2.1; a circle of 5 pixels has 78.54
    assert weights.data.sum() == pytest.approx(78.6, abs=1e-9)
    assert weights.data.max() == 1
    assert TAN.region_weights("icrs;circle(83.63, 22.01, 0.1)", 2).data.shape == TAN.data_shape


def test_volume_and_outline():
    widths = np.diff(ENERGY.edges_value("TeV"))
    volume = TAN.bin_volume()
    assert_allclose(volume.to_value("TeV sr"), TAN.solid_angle().value * widths[:, None, None], rtol=1e-12)
    assert TAN.to_image().bin_volume().unit == u.sr
    corners = TAN.coord_to_pix({"skycoord": TAN.footprint, "energy": 1 * u.TeV})
    assert_allclose(corners[:2], [[0, 0, 50, 50], [0, 37, 37, 0]], atol=1e-9)
    box = CRAB.footprint_rectangle_sky_region
    assert_allclose([box.width.to_value("deg"), box.height.to_value("deg")], [2, 2])


def test_axes_of_a_geometry():
    rad = MapAxis.from_bounds(0, 1, 3, name="rad", unit="deg")
    cube = TAN.to_cube([rad])
    assert cube.drop("energy").axes.names == ("rad",)
    assert cube.reorder_axes(["rad", "energy"]).data_shape == (4, 3, 38, 51)
    assert cube.rename_axes(["rad", "energy"], ["theta", "energy_true"]).axes.names == ("energy_true", "theta")
    assert cube.as_energy_true.axes.names == ("energy_true", "rad")
    assert (cube.has_energy_axis, cube.drop("energy").has_energy_axis) == (True, False)
    assert (cube.is_flat, cube.squash("rad").squash("energy").is_flat) == (False, True)
    assert cube.replace_axis(rad.downsample(3)).data_shape == (1, 4, 38, 51)
    coarse = MapAxis.from_energy_edges([0.1, 1, 9.7], unit="TeV")
    assert_allclose(cube.resample_axis(coarse).axes["energy"].edges_value("TeV"), [0.1, 1, 10])
    with pytest.raises(GeometryError, match="not the names"):
        cube.reorder_axes(["rad"])
    with pytest.raises(GeometryError, match="as many new names"):
        cube.rename_axes(["rad"], ["a", "b"])
    with pytest.raises(GeometryError, match="no bin left"):
        cube.resample_axis(MapAxis.from_energy_edges([20, 30], unit="TeV"))


def test_fine_axes():
    fine = ENERGY.upsample(5)
    assert_array_equal(fine.edges_value("TeV")[::5], ENERGY.edges_value("TeV"))
    assert_allclose(np.diff(np.log(fine.edges_value("TeV"))), np.log(100) / 20)
    joined = MapAxis.from_stack([ENERGY.slice(slice(0, 1)), ENERGY.slice(slice(1, 4)).to_unit("GeV")])
    assert joined.is_allclose(ENERGY, rtol=1e-14)
    with pytest.raises(GeometryError, match="do not adjoin"):
        MapAxis.from_stack([ENERGY, ENERGY])
    with pytest.raises(GeometryError, match="cannot upsample"):
        ENERGY.upsample(0)
