"""Maps along their axes: sums, integrals, products, stacks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gammax.errors import GeometryError
from gammax.maps import LabelMapAxis, MapAxis, RegionNDMap, WcsGeom, WcsNDMap

ENERGY = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=4)
RAD = MapAxis.from_bounds(0, 0.3, 3, name="rad", unit="deg")
IMAGE = WcsGeom.create(skydir=(83.63, 22.01), npix=(3, 2), binsz=0.1)
CUBE = IMAGE.to_cube([ENERGY, RAD])


@pytest.fixture
def cube(rng):
    return WcsNDMap(CUBE, rng.normal(size=CUBE.data_shape), "m2")


def test_reductions(cube):
    highest = cube.reduce_over_axes(np.maximum)
    assert highest.geom.is_image
    assert_array_equal(highest.data, cube.data.max(axis=(0, 1)))
    one = cube.reduce_over_axes(np.maximum, axes_names=["rad"], keepdims=True)
    assert one.geom.axes["rad"].nbin == 1
    assert_array_equal(one.data, cube.data.max(axis=0, keepdims=True))
    weights = cube > 0 * cube.quantity.unit
    assert_allclose(cube.sum_over_axes(["energy"], weights=weights).data[:, 0], (cube.data * weights.data).sum(axis=1))
    assert_array_equal(weights.reduce_over_axes(np.logical_and).data, weights.data.all(axis=(0, 1)))
    assert weights.sum_over_axes(weights=weights).is_mask
    # an image has nothing to sum
    assert_array_equal(highest.sum_over_axes(keepdims=False).data, highest.data)


def test_regrouping(cube):
    coarse = MapAxis.from_energy_edges([0.1, 1, 9.7], unit="TeV")
    grouped = cube.resample_axis(coarse)
    assert_allclose(grouped.data, cube.data.reshape(3, 2, 2, 2, 3).sum(axis=2), rtol=1e-14)
    # the outer bins are left out
    inner = cube.resample_axis(MapAxis.from_energy_edges([0.3, 3], unit="TeV"))
    assert_allclose(inner.data[:, 0], cube.data[:, 1:3].sum(axis=1), rtol=1e-14)
    first = WcsNDMap(IMAGE.to_cube([ENERGY, RAD.squash()]), np.ones((1, 4, 2, 3)))
    assert_allclose(cube.resample_axis(coarse, weights=first).data, grouped.data)
    mask = cube > cube.quantity.mean()
    assert_array_equal(mask.resample_axis(coarse).data, mask.data.reshape(3, 2, 2, 2, 3).any(axis=2))
    both = mask.resample_axis(coarse, ufunc=np.logical_and)
    assert_array_equal(both.data, mask.data.reshape(3, 2, 2, 2, 3).all(axis=2))


def test_integrals_along_an_axis(cube):
    total = cube.cumsum("energy")
    assert total.unit == "m2 TeV"
    assert_array_equal(total.geom.axes["energy"].nodes, ENERGY.nodes)
    assert_array_equal(total.data[:, 0], 0)
    widths = np.diff(ENERGY.edges_value("TeV"))[:, None, None]
    assert_allclose(total.data[:, -1], (cube.data * widths).sum(axis=1), rtol=1e-12)
    # a constant over a disk of 0.3 deg: its area
    flat = WcsNDMap(CUBE, np.ones(CUBE.data_shape))
    disk = flat.cumsum("rad")
    assert disk.unit == "deg2"
    assert_allclose(disk.data[:, 0, 0, 0], np.pi * np.array([0, 0.1, 0.2, 0.3]) ** 2, rtol=1e-12, atol=1e-17)
    normed = flat.normalize("rad")
    assert normed.unit == "deg-2"
    assert_allclose(normed.data, 1 / (np.pi * 0.09), rtol=1e-12)
    assert_array_equal(WcsNDMap(CUBE).normalize("rad").data, 0)


def test_products(cube, rng):
    true = ENERGY.rename("energy_true")
    matrix = RegionNDMap.create(None, [RAD.rename("x"), ENERGY], data=rng.normal(size=(4, 3, 1, 1)))
    folded = cube @ matrix
    # the energies go, what is new takes their place
    assert folded.geom.axes.names == ("x", "rad")
    assert_allclose(folded.data, np.einsum("reyx,en->rnyx", cube.data, matrix.values()), rtol=1e-12)
    vector = RegionNDMap.create(None, [RAD], data=[1, 2, 3], unit="s")
    summed = cube.dot(vector)
    assert (summed.geom.axes.names, summed.unit) == (("energy",), "m2 s")
    assert_allclose(summed.data, np.tensordot([1, 2, 3], cube.data, 1), rtol=1e-12)
    for wrong in ([true], [ENERGY, RAD], [ENERGY.slice(slice(0, 2))]):
        with pytest.raises(GeometryError, match="one axis in common"):
            cube.dot(RegionNDMap.create(None, wrong))


def test_splitting_and_stacking(cube):
    parts = cube.split_by_axis("energy")
    assert [part.data.shape for part in parts] == [(3, 1, 2, 3)] * 4
    together = WcsNDMap.from_stack(parts, axis_name="energy")
    assert_array_equal(together.data, cube.data)
    assert together.geom.is_allclose(cube.geom)
    labels = LabelMapAxis(["a", "b"], name="dataset")
    both = WcsNDMap.from_stack([cube, (cube * 2).to_unit("cm2")], axis=labels)
    assert both.geom.axes.names == ("energy", "rad", "dataset")
    assert_allclose(both.data, [cube.data, 2 * cube.data])
    single = both.slice_by_idx({"dataset": slice(1, 2)})
    assert str(single.geom.axes["dataset"].center[0]) == "b"
    with pytest.raises(GeometryError, match="different geometries"):
        WcsNDMap.from_stack([cube, cube.crop((1, 0))], axis=labels)
    with pytest.raises(GeometryError, match="different geometries"):
        WcsNDMap.from_stack([cube, cube.crop((1, 0))])
    with pytest.raises(GeometryError, match="do not adjoin"):
        WcsNDMap.from_stack(parts[::-1], axis_name="energy")


def test_axes_change(cube):
    renamed = cube.rename_axes("energy", "energy_true")
    assert renamed.geom.axes.names == ("energy_true", "rad")
    assert renamed.data is cube.data
    turned = cube.reorder_axes(["rad", "energy"])
    assert_array_equal(turned.data, np.swapaxes(cube.data, 0, 1))
    image = cube.reduce_over_axes()
    assert_array_equal(image.to_cube([ENERGY.squash()]).data[0], image.data)
    with pytest.raises(GeometryError, match="must have one bin"):
        image.to_cube([ENERGY])
