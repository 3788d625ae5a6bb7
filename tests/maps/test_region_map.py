"""RegionNDMap: shapes, units, cuts, sums, comparison, pictures."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gammax.errors import DataValueError, GeometryError, UnitError
from gammax.maps import MapAxis, RegionGeom, RegionNDMap

CIRCLE = "icrs;circle(83.63, 22.01, 0.11)"


@pytest.fixture
def energy():
    return MapAxis.from_energy_edges([1, 2, 4, 8], unit="TeV")


@pytest.fixture
def counts(energy):
    return RegionNDMap(RegionGeom.create(CIRCLE, energy), np.array([3, 2, 1]))


def test_data_take_the_shape_of_the_geometry(counts):
    assert counts.data.dtype == np.float64
    assert_array_equal(counts.data, [[[3]], [[2]], [[1]]])
    assert_array_equal(counts.values(), [3, 2, 1])
    assert_array_equal(RegionNDMap(counts.geom).data, np.zeros((3, 1, 1)))
    big_endian = RegionNDMap(counts.geom, np.array([3, 2, 1], dtype=">f4"))
    assert big_endian.data.dtype.isnative


def test_data_are_a_read_only_copy(energy):
    data = np.array([3.0, 2.0, 1.0]).reshape(3, 1, 1)
    counts = RegionNDMap.create(CIRCLE, energy, data=data)
    data[0] = 7
    assert counts.values()[0] == 3
    with pytest.raises(ValueError, match="read-only"):
        counts.data[0] = 1


def test_bool_data_stay_bool(counts):
    mask = counts.replace(data=np.array([True, False, True]))
    assert mask.is_mask
    assert not counts.is_mask
    assert_array_equal(mask.sum_over_axes().data, [[[True]]])


def test_units(energy):
    exposure = RegionNDMap.create(CIRCLE, energy.rename("energy_true"), unit="m2 s", data=[1, 2, 3])
    assert exposure.quantity.unit == u.Unit("m2 s")
    assert_allclose(exposure.values("cm2 s"), [1e4, 2e4, 3e4])
    assert exposure.to_unit("cm2 s").is_allclose(exposure)
    with pytest.raises(UnitError, match="GX-MAPS-040"):
        exposure.values("cm2")


def test_slice_and_sum(counts, energy):
    cut = counts.slice_by_idx({"energy": slice(1, 3)})
    assert_array_equal(cut.values(), [2, 1])
    assert_array_equal(cut.geom.axes["energy"].edges_value("TeV"), [2, 4, 8])
    assert counts.sum_over_axes().data.shape == (1, 1, 1)
    assert counts.sum_over_axes().values() == 6
    true = energy.rename("energy_true")
    edisp = RegionNDMap.create(CIRCLE, [energy, true], data=np.arange(9).reshape(3, 3))
    assert_array_equal(edisp.sum_over_axes(["energy"]).values(), [[3], [12], [21]])
    assert_array_equal(edisp.slice_by_idx({"energy": slice(0, 1)}).values(), [[0], [3], [6]])


def test_comparison(counts):
    assert counts.is_allclose(counts.replace(data=counts.data * (1 + 1e-7)))
    assert not counts.is_allclose(counts.replace(data=counts.data * (1 + 1e-5)))
    assert not counts.is_allclose(counts.slice_by_idx({"energy": slice(0, 2)}))
    nan = counts.replace(data=np.array([np.nan, 2, 1]))
    assert nan.is_allclose(nan)


def test_refused_data(counts):
    with pytest.raises(GeometryError, match="GX-MAPS-042"):
        counts.replace(data=np.ones(4))
    with pytest.raises(GeometryError, match="GX-MAPS-042"):
        counts.replace(data=1.0)
    for data in ([1j, 2, 3], ["a", "b", "c"], [1, 2, 3] * u.s):
        with pytest.raises(DataValueError, match="GX-MAPS-041"):
            counts.replace(data=data)


def test_plots_take_and_return_axes(counts, energy):
    ax = plt.figure().subplots()
    assert counts.plot_hist(ax) is ax
    assert counts.plot(ax) is ax
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "Energy [TeV]"
    assert_array_equal(ax.patches[0].get_data().values, [3, 2, 1])
    edisp = RegionNDMap.create(None, [energy, energy.rename("energy_true")])
    assert len(edisp.plot(axis_name="energy_true").lines) == 3
    with pytest.raises(GeometryError, match="GX-MAPS-090"):
        edisp.plot_hist()
    plt.close("all")
