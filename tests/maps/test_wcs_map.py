"""Maps of the sky: values at positions, arithmetic with units, logic of masks, one picture."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from numpy.testing import assert_allclose, assert_array_equal

from gammax.errors import DataValueError, GeometryError, SchemaError, UnitError
from gammax.maps import MapAxis, WcsGeom, WcsNDMap

ENERGY = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=2)
IMAGE = WcsGeom.create(npix=(3, 2), binsz=1, skydir=(10, 0), proj="TAN")
CUBE = IMAGE.to_cube([ENERGY])


@pytest.fixture
def image():
    return WcsNDMap(IMAGE, np.arange(6).reshape(2, 3), "m2")


@pytest.fixture
def cube():
    return WcsNDMap(CUBE, np.arange(12).reshape(2, 2, 3))


@pytest.fixture
def mask():
    return WcsNDMap(IMAGE, [[True, False, True], [False, False, True]])


def test_get_by_coord(image, mask, cube):
    # longitude grows to the left: pixel (0, 0) is at 11 deg, pixel (2, 1) at 9 deg
    positions = SkyCoord([11, 9, 10, 13, 190], [-0.5, 0.5, 0.4, 0, 0], unit="deg")
    assert_array_equal(image.get_by_coord(positions), [0, 5, 4, np.nan, np.nan])
    assert_array_equal(image.get_by_coord(positions.galactic), [0, 5, 4, np.nan, np.nan])
    assert_array_equal(mask.get_by_coord(positions), [True, True, False, False, False])
    energies = [0.2, 2, 20, 2, 2] * u.TeV
    values = cube.get_by_coord({"skycoord": positions, "energy": energies})
    assert_array_equal(values, [0, 11, np.nan, np.nan, np.nan])
    assert_array_equal(cube.get_by_coord(CUBE.get_coord()), cube.data)
    with pytest.raises(SchemaError, match="coordinate 'energy' is missing"):
        cube.get_by_coord(positions)


def test_logic(mask):
    other = WcsNDMap(IMAGE, [[True, True, False], [False, False, True]])
    a, b = mask.data, other.data
    assert_array_equal((mask & other).data, a & b)
    assert_array_equal((mask | other).data, a | b)
    assert_array_equal((mask ^ other).data, a ^ b)
    assert_array_equal((~mask).data, ~a)
    assert (~mask).is_mask


def test_logic_of_numbers_is_refused(image, mask):
    for wrong in (lambda: image & mask, lambda: mask & image, lambda: ~image, lambda: mask | 1):
        with pytest.raises(DataValueError, match="only masks combine"):
            wrong()


def test_arithmetic_with_units(image):
    small = WcsNDMap(IMAGE, np.full((2, 3), 5.0), "cm2")
    assert_allclose((image + small).data, image.data + 5e-4)
    assert (image - small).unit == "m2"
    assert_allclose((image + 1 * u.cm**2).data, image.data + 1e-4)
    assert_allclose((image * image).data, image.data**2)
    assert (image * image).unit == "m4"
    assert (image * (2 * u.s)).unit == ((2 * u.s) * image).unit == "m2 s"
    assert_allclose((2 * u.s * image).data, (np.float64(2) * image).data)
    assert_allclose((1 * u.m**2 + image).data, image.data + 1)
    ratio = image / image
    assert ratio.unit == ""
    assert_array_equal(ratio.data, [[np.nan, 1, 1], [1, 1, 1]])
    assert_array_equal((ratio + 1).data, [[np.nan, 2, 2], [2, 2, 2]])


def test_comparison_gives_masks(image, mask):
    above = image > 2 * u.m**2
    assert above.is_mask
    assert above.unit == ""
    assert_array_equal(above.data, image.data > 2)
    assert_array_equal((image >= image).data, True)
    assert_array_equal((image < 1e4 * u.cm**2).data, image.data < 1)
    assert_array_equal((image <= 1e4 * u.cm**2).data, image.data <= 1)
    # a mask on the right cuts a map out
    assert_array_equal((image * mask).data, image.data * mask.data)
    assert (image * mask).unit == "m2"


def test_wrong_arithmetic_is_told(image, cube, mask):
    with pytest.raises(GeometryError, match="different geometries"):
        image + cube
    with pytest.raises(UnitError, match="units do not fit"):
        image + 1
    with pytest.raises(DataValueError, match="a mask is no map of numbers"):
        mask + mask


def test_sums_and_slices(cube):
    assert_array_equal(cube.sum_over_axes().data, cube.data.sum(axis=0, keepdims=True))
    flat = cube.sum_over_axes(keepdims=False)
    assert flat.geom.is_image
    assert_array_equal(flat.data, cube.data.sum(axis=0))
    upper = cube.slice_by_idx({"energy": slice(1, 2)})
    assert_array_equal(upper.data, cube.data[1:])
    assert_array_equal(upper.to_image().data, cube.data[1])
    any_above = (cube > 10).sum_over_axes(keepdims=False)
    assert_array_equal(any_above.data, (cube.data > 10).any(axis=0))
    with pytest.raises(GeometryError, match="not an image"):
        cube.to_image()


def test_units_and_comparison(image):
    other = image.to_unit("cm2")
    assert_allclose(other.data, image.data * 1e4)
    assert image.is_allclose(other)
    assert not image.is_allclose(other.replace(data=other.data + 1))
    assert not image.is_allclose(image.replace(unit="s"))
    assert_allclose(image.quantity.to_value("cm2"), other.data)
    with pytest.raises(UnitError, match="does not convert"):
        image.values("s")


def test_data_are_checked_and_kept():
    data = np.zeros((2, 3))
    image = WcsNDMap(IMAGE, data)
    data[0, 0] = 5
    assert image.data[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        image.data[0, 0] = 1
    assert WcsNDMap.create(npix=(3, 2), unit="s").data.shape == (2, 3)
    assert WcsNDMap.from_geom(CUBE).data.shape == CUBE.data_shape
    with pytest.raises(GeometryError, match="different shapes"):
        WcsNDMap(IMAGE, np.zeros((3, 2)))
    with pytest.raises(GeometryError, match="different shapes"):
        WcsNDMap(CUBE, np.zeros((2,)))
    with pytest.raises(DataValueError, match="plain real numbers"):
        WcsNDMap(IMAGE, np.zeros((2, 3)) * u.s)
    with pytest.raises(DataValueError, match="plain real numbers"):
        WcsNDMap(IMAGE, np.zeros((2, 3), complex))


def test_plot(image, mask, cube):
    ax = image.plot()
    assert_array_equal(ax.images[0].get_array(), image.data)
    assert [coord.get_axislabel() for coord in ax.coords] == ["Right ascension", "Declination"]
    assert len(ax.figure.axes) == 2
    assert ax.figure.axes[1].get_ylabel() == "m2"
    figure = plt.figure()
    ax = figure.add_subplot(projection=IMAGE.wcs)
    assert mask.plot(ax) is ax
    assert len(figure.axes) == 1
    with pytest.raises(GeometryError, match="not an image"):
        cube.plot()
    with pytest.raises(GeometryError, match="sky coordinates"):
        image.plot(plt.figure().add_subplot())
    plt.close("all")
