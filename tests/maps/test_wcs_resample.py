"""Maps on other pixels: Gammapy's numbers, and sums that stay."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from gammax.errors import GeometryError, UnitError
from gammax.maps import MapAxis, WcsGeom, WcsNDMap

ENERGY = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=4)
GEOM = WcsGeom.create(skydir=(83.63, 22.01), npix=(24, 18), binsz=0.1, proj="CAR", axes=[ENERGY])
WAVES = WcsNDMap(GEOM, np.cos(np.arange(1728)).reshape(GEOM.data_shape) + 2)


def near(lon, lat):
    return SkyCoord(lon, lat, unit="deg")


def values(item):
    """Sum, a value in the middle and one at the beginning."""
    return [item.data.sum(), item.data.ravel()[item.data.size // 2 + 3], item.data.ravel()[5]]


def test_larger_pixels_are_those_of_gammapy():
    # Gammapy 2.1 on the same map
    total = 3456.1170780141856
    assert_allclose(values(WAVES.downsample(3)), [total, 21.383185736158165, 15.435154822723973], rtol=1e-12)
    mean = [864.0292695035464, 1.2898513430473963, 1.3532729222588715]
    assert_allclose(values(WAVES.downsample(2, preserve_counts=False)), mean, rtol=1e-12)
    energies = [total, 4.948292613138512, 3.3339939300912604]
    assert_allclose(values(WAVES.downsample(2, axis_name="energy")), energies, rtol=1e-12)


def test_larger_pixels_with_weights_and_gaps():
    data = np.array([[1.0, 3.0, np.nan, 8.0], [5.0, 7.0, np.nan, np.nan]])
    image = WcsNDMap.create(npix=(4, 2), binsz=1, data=data)
    assert_array_equal(image.downsample(2).data, [[16, 8]])
    assert_array_equal(image.downsample(2, preserve_counts=False).data, [[4, 8]])
    weights = np.array([[1, 0, 1, 0], [1, 0, 1, 0]])
    assert_array_equal(image.downsample(2, preserve_counts=False, weights=weights).data, [[3, 0]])
    mask = image > 6
    assert_array_equal(mask.downsample(2).data, [[True, True]])
    assert_array_equal(mask.downsample(2, weights=weights).data, [[False, False]])


@pytest.mark.parametrize(("proj", "skydir"), [("CAR", (83.63, 60)), ("TAN", (10, 89)), ("AIT", (0, 0))])
def test_smaller_pixels_keep_the_counts_of_every_pixel(proj, skydir):
    geom = WcsGeom.create(skydir=skydir, npix=(8, 6), binsz=1, proj=proj, axes=[ENERGY])
    counts = WcsNDMap(geom, np.arange(geom.data_shape[0] * 48.0).reshape(geom.data_shape))
    fine = counts.upsample(3)
    assert_allclose(fine.downsample(3).data, counts.data, rtol=1e-13)
    # evenly over the area
    density = fine.data / fine.geom.solid_angle().value
    blocks = density.reshape(4, 6, 3, 8, 3)
    assert_allclose(blocks.max(axis=(2, 4)), blocks.min(axis=(2, 4)), rtol=1e-10)
    energies = counts.upsample(2, axis_name="energy")
    assert_allclose(energies.downsample(2, axis_name="energy").data, counts.data, rtol=1e-13)
    assert_allclose(counts.upsample(2, preserve_counts=False).downsample(2, preserve_counts=False).data, counts.data)


def test_smaller_pixels_by_splines():
    x = np.tile(np.arange(24.0), (18, 1))
    ramp = WcsNDMap(GEOM.to_image(), x)
    fine = ramp.upsample(2, order=1, preserve_counts=False)
    # a straight line stays one, but for the outer half pixels, which are flat
    assert_allclose(fine.data[0, 1:-1], np.arange(46) / 2 + 0.25)


def test_off_sky_pixels_are_shared_evenly():
    allsky = WcsNDMap.create(binsz=30, proj="AIT", data=np.ones((6, 12)))
    assert_allclose(allsky.upsample(2).downsample(2).data, 1, rtol=1e-13)


def test_cutouts():
    part = WAVES.cutout(near(84.5, 22.6), 1.1)
    # Gammapy 2.1: the shape
    assert part.data.shape == (4, 9, 9)
    slices = part.geom.cutout_slices(GEOM)["parent-slices"]
    assert_array_equal(part.data, WAVES.data[(..., *slices)])
    assert np.shares_memory(part.data, WAVES.data)
    wide = WAVES.cutout(near(84.5, 22.6), 1.1, mode="partial")
    assert wide.data.shape == (4, 11, 11)
    assert wide.data.sum() == pytest.approx(part.data.sum(), rel=1e-13)
    assert (wide.data == 0).sum() == 4 * (121 - 81)
    mask = (WAVES > 2).cutout(near(84.5, 22.6), 1.1, mode="partial")
    assert mask.is_mask


def test_pad_and_crop():
    padded = WAVES.pad((2, 1), cval=5.0)
    assert padded.data.shape == (4, 20, 28)
    assert (padded.data[:, 0] == 5).all()
    assert_array_equal(padded.crop((2, 1)).data, WAVES.data)
    assert padded.crop((2, 1)).geom.is_allclose(GEOM)
    assert_array_equal(WAVES.pad(1, mode="edge").data[:, 0, 1:-1], WAVES.data[:, 0])


def test_stacking_is_that_of_gammapy():
    part = WAVES.cutout(near(84.5, 22.6), 1.1)
    weights = WcsNDMap(part.geom, np.arange(part.data.size).reshape(part.data.shape) % 3 > 0)
    stacked = WAVES.stack(part, weights=weights)
    # Gammapy 2.1 on the same maps
    assert_allclose(values(stacked), [3888.381503498196, 2.996835787428882, 2.283662185463226], rtol=1e-12)
    # a part beyond the image, and the image into its part
    wide = WAVES.cutout(near(84.5, 22.6), 1.1, mode="partial")
    assert_allclose(WAVES.stack(wide).data, WAVES.stack(part).data)
    assert_allclose(part.stack(WAVES).data, 2 * part.data)


@given(order=st.permutations(range(4)))
def test_stacks_do_not_depend_on_the_order(order):
    positions = [near(84.5, 22.6), near(83, 21.5), near(83.6, 22), near(82.6, 22.8)]
    parts = [WAVES.cutout(position, 1.3) for position in positions]
    stacked = WcsNDMap(GEOM)
    for k in order:
        stacked = stacked.stack(parts[k])
    assert stacked.data.sum() == pytest.approx(sum(part.data.sum() for part in parts), rel=1e-13)
    other = parts[3].stack(parts[2])
    assert other.data.shape == parts[3].data.shape


def test_stacking_units_masks_and_gaps():
    area = WcsNDMap(GEOM, WAVES.data, "m2")
    assert_allclose(area.stack(WcsNDMap(GEOM, WAVES.data, "cm2")).data, WAVES.data * 1.0001)
    gaps = np.where(WAVES.data > 2, np.nan, 1.0)
    assert_array_equal(WcsNDMap(GEOM).stack(WcsNDMap(GEOM, gaps)).data, WAVES.data <= 2)
    assert np.isnan(WcsNDMap(GEOM).stack(WcsNDMap(GEOM, gaps), nan_to_num=False).data).any()
    low, high = WAVES < 1.5, WAVES > 2.5
    assert_array_equal(low.stack(high).data, low.data | high.data)
    assert_array_equal(low.stack(high, weights=WAVES > 2.7).data, low.data | (WAVES > 2.7).data)
    image = WcsNDMap(GEOM.squash("energy"), np.ones((1, 18, 24)))
    assert_allclose(WAVES.stack(WAVES, weights=image).data, 2 * WAVES.data)
    with pytest.raises(UnitError):
        area.stack(WcsNDMap(GEOM, unit="s"))
    with pytest.raises(GeometryError, match="different axes"):
        WAVES.stack(image)
    with pytest.raises(GeometryError, match="do not match"):
        WAVES.stack(WcsNDMap(GEOM.upsample(2)))
    with pytest.raises(GeometryError, match="weights do not fit"):
        WAVES.stack(WAVES, weights=WAVES.crop(1))
    with pytest.raises(GeometryError, match="weights do not fit"):
        image.stack(image, weights=WAVES)


def test_resampling():
    target = WcsGeom.create(skydir=(83.63, 22.01), npix=(5, 4), binsz=0.25, proj="TAN", axes=[ENERGY])
    # Gammapy 2.1 on the same map (its maps are single precision)
    expected = [960.0508422851562, 19.991485595703125, 6.779260635375977]
    assert_allclose(values(WAVES.resample(target)), expected, rtol=1e-6)
    wide = WcsGeom.create(skydir=(83.7, 22.01), npix=9, binsz=0.35, proj="TAN", axes=[ENERGY])
    assert WAVES.resample(wide).data.sum() == pytest.approx(WAVES.data.sum(), rel=1e-13)
    mean = WcsNDMap(GEOM, np.full(GEOM.data_shape, 3.0)).resample(wide, preserve_counts=False)
    assert set(np.unique(mean.data)) == {0.0, 3.0}
    mask = (WAVES > 2.9).resample(wide)
    assert mask.is_mask
    weights = np.arange(4).reshape(4, 1, 1)
    weighted = WAVES.resample(wide, weights=weights).data.sum()
    assert weighted == pytest.approx((WAVES.data * weights).sum(), rel=1e-13)


@pytest.mark.parametrize(
    ("proj", "frame", "binsz", "npix"),
    [("TAN", "galactic", 0.13, 40), ("CAR", "icrs", 0.31, 20), ("AIT", "galactic", 0.05, 90), ("TAN", "icrs", 1.7, 3)],
)
def test_reprojection_keeps_counts(proj, frame, binsz, npix):
    target = WcsGeom.create(skydir=near(83.63, 22.01), npix=npix, binsz=binsz, proj=proj, frame=frame)
    counts = WAVES.reproject_to_geom(target, preserve_counts=True)
    assert_allclose(counts.data.sum(axis=(1, 2)), WAVES.data.sum(axis=(1, 2)), rtol=1e-12)
    assert counts.geom.axes.names == ("energy",)
    # a constant stays one wherever the map reaches
    flat = WcsNDMap(GEOM, np.full(GEOM.data_shape, 3.0)).reproject_to_geom(target)
    assert_allclose(flat.data[flat.data != 0], 3, rtol=1e-13)


def test_reprojection_onto_the_same_and_aligned_pixels():
    assert_allclose(WAVES.reproject_to_geom(GEOM, preserve_counts=True).data, WAVES.data, rtol=1e-9)
    coarse = GEOM.downsample(3)
    assert_allclose(WAVES.reproject_to_geom(coarse, preserve_counts=True).data, WAVES.downsample(3).data, rtol=1e-9)
    mask = GEOM.region_mask("icrs;circle(83.63, 22.01, 0.5)")
    assert_array_equal(mask.reproject_to_geom(GEOM).data, mask.data)
    with pytest.raises(GeometryError, match="different axes"):
        WAVES.reproject_to_geom(GEOM.squash("energy"))


def test_reprojection_of_a_smooth_field():
    # exp(lat) on the sky, known everywhere: mean over pixels of 0.1 deg, to second order in their size
    geom = WcsGeom.create(skydir=(83.63, 22.01), npix=60, binsz=0.1, proj="TAN")
    lat = np.radians(geom.get_coord()["skycoord"].dec.deg)
    target = WcsGeom.create(skydir=near(83.63, 22.01), npix=20, binsz=0.1, proj="CAR", frame="galactic")
    expected = np.exp(np.radians(target.get_coord()["skycoord"].icrs.dec.deg))
    found = WcsNDMap(geom, np.exp(lat)).reproject_to_geom(target).data
    # squares turned against each other overlap to some 1e-2 of their size, over which the field changes by 1.7e-3
    assert_allclose(found, expected, rtol=1e-4)
    counts = WcsNDMap(geom, np.exp(lat) * geom.solid_angle().value).reproject_to_geom(target, preserve_counts=True)
    assert_allclose(counts.data, expected * target.solid_angle().value, rtol=0.02)


def test_reprojection_onto_a_closed_image():
    allsky = WcsGeom.create(binsz=10, frame="galactic")
    part = WcsNDMap(WcsGeom.create(skydir=(180, 0), npix=5, binsz=3, frame="galactic"), np.ones((5, 5)))
    counts = part.reproject_to_geom(allsky, preserve_counts=True)
    assert counts.data.sum() == pytest.approx(25, rel=1e-12)
    assert_allclose(counts.data[:, 0].sum(), 12.5, rtol=1e-9)
