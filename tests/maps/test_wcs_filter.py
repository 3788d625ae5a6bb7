"""Convolved and smoothed maps, masks grown and shrunk, values of regions."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from numpy.testing import assert_allclose, assert_array_equal
from regions import CircleSkyRegion, PointSkyRegion

from gammax.errors import DataValueError, GeometryError, SchemaError, UnitError
from gammax.maps import MapAxis, RegionNDMap, WcsGeom, WcsNDMap

ENERGY = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=4)
GEOM = WcsGeom.create(skydir=(83.63, 22.01), npix=(24, 18), binsz=0.1, proj="CAR", axes=[ENERGY])
WAVES = WcsNDMap(GEOM, np.cos(np.arange(1728)).reshape(GEOM.data_shape) + 2)
CIRCLE = CircleSkyRegion(SkyCoord(83.63, 22.01, unit="deg"), 0.5 * u.deg)


@pytest.mark.parametrize(
    ("width", "kernel", "expected"),
    # Gammapy 2.1 on the same map: a value in the middle and one at the beginning
    [
        ("0.15 deg", "gauss", [2.140205591463264, 1.9248905266763603]),
        ("0.25 deg", "disk", [2.1048549887205326, 1.824161594045497]),
        (3, "box", [2.5420033672184705, 1.9582184173761086]),
    ],
)
def test_smoothing_is_that_of_gammapy(width, kernel, expected):
    smooth = WAVES.smooth(width, kernel)
    assert_allclose(smooth.data.ravel()[[864 + 3, 5]], expected, rtol=1e-12)
    assert_allclose(smooth.data.sum(axis=(1, 2)), WAVES.data.sum(axis=(1, 2)), rtol=1e-12)


def test_smoothing_widths():
    point = WcsNDMap(GEOM.to_image(), np.eye(18, 24, 3))
    # a box of 0.3 deg is one of three pixels, whatever the rounding
    assert_array_equal(point.smooth("0.3 deg", "box").data, point.smooth(3, "box").data)
    assert_allclose(point.smooth(0.2 * u.deg).data, point.smooth(2.0).data, rtol=1e-12)
    with pytest.raises(SchemaError, match="unknown kernel"):
        point.smooth(1, "ring")
    with pytest.raises(GeometryError, match="not positive"):
        point.smooth(0)
    with pytest.raises(UnitError):
        point.smooth("1 TeV")


@pytest.mark.parametrize("method", ["fft", "direct"])
def test_convolution(rng, method):
    kernel = rng.uniform(size=(5, 7))
    inside = WAVES.pad((6, 5)).convolve(kernel, method)
    # inside a margin nothing is lost
    assert inside.data.sum() == pytest.approx(WAVES.data.sum() * kernel.sum(), rel=1e-12)
    full = WAVES.convolve(kernel, method, mode="full")
    assert full.data.shape == (4, 22, 30)
    assert_allclose(full.data, WAVES.pad((3, 2)).convolve(kernel, method).data, rtol=1e-10)
    assert_allclose(full.crop((3, 2)).data, WAVES.convolve(kernel, method).data, rtol=1e-10)
    # each bin of energy with its own kernel
    kernels = rng.uniform(size=(4, 3, 3))
    by_bin = WAVES.convolve(kernels, method)
    for k in range(4):
        image = WAVES.slice_by_idx({"energy": slice(k, k + 1)}).to_image()
        assert_allclose(by_bin.data[k], image.convolve(kernels[k], method).data, rtol=1e-10)


def test_convolution_with_kernels_as_maps():
    kernel_geom = WcsGeom.create(npix=3, binsz=0.1, proj="TAN", axes=[ENERGY.rename("energy_true")])
    weights = np.zeros(kernel_geom.data_shape)
    weights[:, 1, 1] = [1, 2, 3, 4]
    image = WcsNDMap(GEOM.to_image(), np.eye(18, 24))
    cube = image.convolve(WcsNDMap(kernel_geom, weights))
    assert cube.geom.axes.names == ("energy_true",)
    assert_allclose(cube.data[3], 4 * image.data, atol=1e-14)
    holder = type("Kernel", (), {"psf_kernel_map": WcsNDMap(kernel_geom, weights)})()
    assert_array_equal(image.convolve(holder).data, cube.data)
    with pytest.raises(GeometryError, match="other pixels"):
        image.convolve(WcsNDMap(kernel_geom.upsample(2)))


def test_kernels_that_do_not_fit_are_told():
    for kernel in (np.ones((3, 3, 3)), np.ones(3)):
        with pytest.raises(GeometryError, match="other axes"):
            WAVES.convolve(kernel)
    with pytest.raises(GeometryError, match="even number"):
        WAVES.convolve(np.ones((2, 3)), mode="full")
    with pytest.raises(SchemaError, match="'valid'"):
        WAVES.convolve(np.ones((3, 3)), mode="valid")


def test_growing_and_shrinking():
    mask = np.zeros((18, 24), bool)
    mask[9, 12] = True
    point = WcsNDMap(GEOM.to_image(), mask)
    disk = point.binary_dilate("0.2 deg")
    # pixels with x^2 + y^2 <= 4
    assert disk.data.sum() == 13
    assert point.binary_dilate(2).data.sum() == 13
    box = point.binary_dilate(0.5 * u.deg, kernel="box")
    assert box.data[7:12, 10:15].all()
    assert box.data.sum() == 25
    assert_array_equal(disk.binary_erode(2).data, mask)
    assert_array_equal(box.binary_erode(5, kernel="box").data, mask)
    # beyond the border nothing is set
    everywhere = WcsNDMap(GEOM, np.ones(GEOM.data_shape, bool))
    assert everywhere.binary_erode(3, kernel="box").data.sum() == 4 * 16 * 22
    with pytest.raises(DataValueError, match="only masks"):
        WAVES.binary_dilate(1)
    with pytest.raises(SchemaError, match="unknown kernel"):
        point.binary_erode(1, kernel="ring")


def test_spectra_are_those_of_gammapy():
    # Gammapy 2.1 on the same map
    total = [158.89910489179005, 163.51170278735745, 161.31865693307842, 156.57006755526845]
    assert_allclose(WAVES.get_spectrum(CIRCLE).values(), total, rtol=1e-12)
    mean = [1.9862388111473757, 2.043896284841968, 2.01648321166348, 1.9571258444408557]
    assert_allclose(WAVES.to_region_nd_map(CIRCLE, func=np.mean).values(), mean, rtol=1e-12)
    spectrum = WAVES.get_spectrum("icrs;circle(83.63, 22.01, 0.5)")
    assert isinstance(spectrum, RegionNDMap)
    assert_allclose(spectrum.geom.region.radius.to_value("deg"), 0.5)
    assert_allclose(WAVES.get_spectrum().values(), WAVES.data.sum(axis=(1, 2)), rtol=1e-12)


def test_spectra_with_weights():
    keep = WAVES < 2.5
    inside = GEOM.to_image().region_mask(CIRCLE).data
    expected = [plane[inside & cut].mean() for plane, cut in zip(WAVES.data, keep.data, strict=True)]
    # a mask leaves pixels out, numbers multiply
    assert_allclose(WAVES.to_region_nd_map(CIRCLE, np.mean, keep).values(), expected, rtol=1e-12)
    twice = WcsNDMap(GEOM.to_image(), np.full((18, 24), 2.0))
    assert_allclose(WAVES.get_spectrum(CIRCLE, weights=twice).values(), 2 * WAVES.get_spectrum(CIRCLE).values())
    with pytest.raises(GeometryError, match="different images"):
        WAVES.get_spectrum(CIRCLE, weights=keep.crop(1))


def test_values_at_a_point():
    position = SkyCoord(83.2, 22.3, unit="deg")
    linear = WAVES.interp_by_coord({"skycoord": position, "energy": ENERGY.center})
    assert_allclose(WAVES.to_region_nd_map(position, method="linear").values(), linear)
    x, y = (int(k) for k in GEOM.to_image().coord_to_idx(position))
    assert_array_equal(WAVES.to_region_nd_map(PointSkyRegion(position)).values(), WAVES.data[:, y, x])
    mask = WAVES > 2
    assert_array_equal(mask.to_region_nd_map(position).values(), mask.data[:, y, x])
    assert mask.to_region_nd_map(CIRCLE, np.any).is_mask
    with pytest.raises(GeometryError, match="one axis of energy"):
        WAVES.sum_over_axes(keepdims=False).get_spectrum(CIRCLE)
