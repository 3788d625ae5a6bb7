"""Stacking cubes: npred(stack) is the sum of the masked predictions, whatever the masks and the order."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table
from numpy.testing import assert_allclose, assert_array_equal

from cubes import (
    CENTER,
    ENERGY,
    ENERGY_TRUE,
    GEOM,
    assert_same_cube,
    flat_signal,
    make_cube,
    make_onoff_cube,
    offset_mask,
    threshold_mask,
)
from gammax.datasets import Datasets, MapDataset, MapDatasetOnOff, stack
from gammax.errors import DataValueError, GeometryError, SchemaError
from gammax.irf import EDispKernelMap, EDispMap
from gammax.maps import MapAxis, WcsNDMap

IMAGE_IRF = GEOM.to_image().to_binsz(0.2)


@pytest.fixture(params=[make_cube, make_onoff_cube], ids=["cash", "wstat"])
def make(request):
    """Maker of either kind of cube."""
    return request.param


def masked_sum(datasets, values):
    return sum(np.where(dataset.mask, values(dataset), 0) for dataset in datasets)


def three(make):
    return [make("a", 1), make("b", 2, threshold=1), make("c", 3, threshold=2)]


def test_counts_background_and_prediction_are_the_masked_sums(make):
    datasets = three(make)
    stacked = stack(datasets)
    for field in ("counts", "background", "excess"):
        expected = masked_sum(datasets, lambda dataset, field=field: getattr(dataset, field).data)
        assert_allclose(getattr(stacked, field).data, expected, rtol=1e-10, atol=1e-10, err_msg=field)
    # exact where the weights of the responses are the exposures in all of their pixels
    datasets = [with_true_weights(dataset) for dataset in datasets]
    assert_allclose(flat_signal(stack(datasets)), masked_sum(datasets, flat_signal), rtol=1e-12)
    assert stacked.mask.all()
    assert stacked.livetime == 3000
    assert stacked.meta == {"stacked": ["a", "b", "c"]}
    assert_array_equal(stacked.meta_table["OBS_ID"], [1, 2, 3])


def with_true_weights(dataset):
    """Dataset whose responses weigh as its exposure does, which is flat."""
    level = dataset.exposure.data[:, :1, :1]
    changes = {}
    for field in ("psf", "edisp"):
        response = getattr(dataset, field)
        shape = response.exposure_map.data.shape
        exposure = response.exposure_map.replace(data=np.broadcast_to(level[:, None], shape), unit="cm2 s")
        changes[field] = response._with(getattr(response, f"{field}_map"), exposure)
    return dataset.replace(**changes)


def test_prediction_with_offset_cuts_is_right_on_the_average_of_a_pixel_of_the_responses(make):
    # two runs at either side, one with a higher threshold: inside both cuts exact, on the borders in the mean
    left, right = (SkyCoord(83.63 + d, 22.01, unit="deg") for d in (0.3, -0.3))
    datasets = [with_true_weights(make("a", 1)), with_true_weights(make("b", 2, threshold=2))]
    datasets = [
        d.replace(mask_safe=offset_mask(d, where, 0.5)) for d, where in zip(datasets, (left, right), strict=True)
    ]
    stacked = stack(datasets)
    expected = masked_sum(datasets, flat_signal)
    mine = flat_signal(stacked)
    both = datasets[0].mask[3] & datasets[1].mask[3]
    x, y = IMAGE_IRF.coord_to_idx(GEOM.get_coord()["skycoord"])
    whole = np.zeros(IMAGE_IRF.image_shape)
    np.add.at(whole, (y, x), both)
    inside = whole[y, x] == 16
    assert inside.sum() >= 32
    assert_allclose(mine[:, inside], expected[:, inside], rtol=1e-12)
    assert_allclose(mine.sum(axis=(1, 2)), expected.sum(axis=(1, 2)), rtol=0.01)
    # the mask_safe of a stack alone tells where nothing was measured
    assert_array_equal(stacked.mask, datasets[0].mask | datasets[1].mask)


def test_order_does_not_matter(make):
    datasets = three(make)
    mine, theirs = stack(datasets), stack([datasets[k] for k in (2, 0, 1)])
    theirs = theirs.replace(meta=mine.meta, meta_table=mine.meta_table)
    assert_same_cube(mine, theirs, rtol=1e-12)


def test_pairs_make_the_same_as_all_at_once(make):
    a, b, c = three(make)
    once, twice = stack([a, b, c]), a.stack(b).stack(c)
    assert twice.name == "a"
    assert_same_cube(once, twice.replace(name=once.name, meta=once.meta), rtol=1e-12)


def test_stack_on_an_empty_target_is_the_masked_dataset(make):
    cls = MapDataset if make is make_cube else MapDatasetOnOff
    rad = make().psf.geom.axes["rad"]
    target = cls.create(GEOM, ENERGY_TRUE, rad_axis=rad, name="target")
    dataset = make(threshold=1)
    stacked = target.stack(dataset)
    masked = dataset.to_masked()
    if make is make_onoff_cube:
        # bins without OFF counts take the mean alpha of the others in a stack
        some = dataset.counts_off.data > 0
        assert_allclose(stacked.alpha.data[some & masked.mask], dataset.alpha.data[some & masked.mask], rtol=1e-12)
        masked = masked.replace(acceptance_off=stacked.acceptance_off)
    assert stacked.meta == {"stacked": ["a"], "skipped": ["target"]}
    assert_same_cube(stacked, masked.replace(name="target", meta=stacked.meta), rtol=1e-13)


def test_a_masked_dataset_predicts_nothing_outside(make):
    dataset = make(threshold=2)
    masked = dataset.to_masked("m")
    assert masked.name == "m"
    assert_allclose(flat_signal(masked), np.where(dataset.mask, flat_signal(dataset), 0), rtol=1e-13)
    assert_array_equal(masked.counts.data, np.where(dataset.mask, dataset.counts.data, 0))
    assert_same_cube(masked, masked.to_masked(), rtol=1e-13)
    assert_allclose(masked.stat_sum(), dataset.stat_sum(), rtol=1e-13)


def test_cutouts_stack_onto_the_whole(make):
    # the two halves of a dataset make the dataset again
    dataset = make(threshold=1, slope=0.01)
    halves = []
    for k, d in enumerate((0.3, -0.3)):
        # pixels of 0.05 deg: 12 of 24 columns each
        half = dataset.cutout(SkyCoord(83.63 + d / np.cos(np.radians(22.01)), 22.01, unit="deg"), (0.6, 1.0))
        assert half.counts.data.shape == (4, 20, 12)
        halves.append(half.replace(name=str(k)))
    rad = dataset.psf.geom.axes["rad"]
    target = type(dataset).create(GEOM, ENERGY_TRUE, rad_axis=rad, name="target")
    stacked = stack([target, *halves], "whole")
    for field in ("counts", "background", "exposure", "mask_safe"):
        expected = getattr(dataset.to_masked(), field)
        assert_allclose(getattr(stacked, field).data, expected.data, rtol=1e-12, err_msg=field)
    assert_allclose(flat_signal(stacked), np.where(dataset.mask, flat_signal(dataset), 0), rtol=1e-12)
    with pytest.raises(GeometryError, match="pixels of the images do not match"):
        target.stack(dataset.downsample(2))


def test_a_dataset_without_a_bin_is_skipped_and_recorded(make):
    datasets = [make("a", 1), make("b", 2, threshold=4)]
    stacked = stack(datasets)
    assert stacked.meta == {"stacked": ["a"], "skipped": ["b"]}
    assert stacked.livetime == 1000
    assert_array_equal(stacked.exposure.data, datasets[0].exposure.data)
    with pytest.raises(DataValueError, match="nothing to stack"):
        stack(datasets[1:])
    assert not datasets[1].stack(datasets[1].replace(name="c")).counts.data.any()


def test_fit_masks_that_differ_cut_and_one_is_kept(make):
    some, other = threshold_mask(GEOM, 2), threshold_mask(GEOM, 1)
    same = stack([make("a", 1, mask_fit=some), make("b", 2, mask_fit=some)])
    assert_array_equal(same.mask_fit.data, some.data)
    assert same.counts.data[0].sum() == sum(make(n, k).counts.data[0].sum() for n, k in (("a", 1), ("b", 2)))
    cut = [with_true_weights(make("a", 1, mask_fit=some)), with_true_weights(make("b", 2, mask_fit=other))]
    stacked = stack(cut)
    assert stacked.mask_fit is None
    assert_array_equal(stacked.counts.data, masked_sum(cut, lambda dataset: dataset.counts.data))
    assert_allclose(flat_signal(stacked), masked_sum(cut, flat_signal), rtol=1e-12)


def test_off_counts_weigh_alpha():
    datasets = [make_onoff_cube("a", 1), make_onoff_cube("b", 5)]
    stacked = stack(datasets)
    off = [dataset.counts_off.data for dataset in datasets]
    mean = sum(dataset.background.data.sum() for dataset in datasets) / (off[0] + off[1]).sum()
    none = (off[0] + off[1]) == 0
    some = datasets[0].replace(counts_off=datasets[0].counts_off.replace(data=np.zeros(GEOM.data_shape)))
    assert_allclose(stacked.alpha.data[none], mean, rtol=1e-12)
    alone = stack([some, some.replace(name="again")])
    # nothing weighs the two: acceptances add
    assert_allclose(alone.alpha.data, some.alpha.data, rtol=1e-12)


def test_overlapping_times_are_joined_and_units_converted():
    early, late = make_cube("a", 1), make_cube("b", 2)
    gti = Table({"START": [150.0], "STOP": [250.0]}, units=["s", "s"], meta=early.gti.meta)
    later = late.replace(gti=gti, exposure=late.exposure.to_unit("m2 s"))
    stacked = stack([early, later])
    # 100 to 190 and 150 to 250
    assert_array_equal([stacked.gti["START"], stacked.gti["STOP"]], [[100], [250]])
    assert stacked.exposure.unit == early.exposure.unit
    assert_allclose(stacked.exposure.data, early.exposure.data + late.exposure.data, rtol=1e-13)
    assert len(stack([early, late]).gti) == 2


def test_migra_maps_become_kernel_maps_where_energies_are_cut():
    migra = EDispMap.from_diagonal_response(ENERGY_TRUE, MapAxis.from_bounds(0.2, 5, 96, "migra"), IMAGE_IRF)
    migra = migra._with(migra.edisp_map, migra.exposure_map.replace(data=np.ones(migra.exposure_map.data.shape)))
    whole, cut = make_cube("a", 1).replace(edisp=migra), make_cube("b", 2, threshold=2).replace(edisp=migra)
    assert isinstance(stack([whole, whole.replace(name="c")]).edisp, EDispMap)
    stacked = stack([whole, cut])
    assert isinstance(stacked.edisp, EDispKernelMap)
    kernel = migra.to_edisp_kernel_map(ENERGY).edisp_map.data
    # both weigh the same: half is left of the bins that one of them does not count
    assert_allclose(stacked.edisp.edisp_map.data[:, :2], kernel[:, :2] / 2, rtol=1e-13)
    assert_allclose(stacked.edisp.edisp_map.data[:, 2:], kernel[:, 2:], rtol=1e-13)


def test_stacks_that_cannot_be():
    a, b = make_cube("a", 1), make_cube("b", 2, threshold=1)
    with pytest.raises(SchemaError, match="with and without psf"):
        stack([a, b.replace(psf=None)])
    with pytest.raises(SchemaError, match="GX-DATASETS-231"):
        stack([a.replace(edisp=None), b.replace(edisp=None)])
    assert stack([a.replace(edisp=None), a.replace(edisp=None, name="c")]).edisp is None
    with pytest.raises(SchemaError, match="different kinds"):
        stack([a, make_onoff_cube("b")])
    with pytest.raises(GeometryError, match="axis 'energy' differs"):
        stack([a, b.to_image()])


def test_a_bad_count_inside_the_mask_stays_one():
    data = make_cube().counts.data.copy()
    data[1, 2, 3] = np.nan
    bad = make_cube().replace(counts=WcsNDMap(GEOM, data))
    with pytest.raises(DataValueError, match=r"pixel \(3, 2\)"):
        _ = stack([bad, make_cube("b", 2)]).arrays


def test_datasets_reduce(make):
    datasets = Datasets(three(make))
    assert_same_cube(datasets.stack_reduce("all"), stack(list(datasets), "all"))
    assert_allclose(CENTER.separation(datasets[0].geom.center_skydir).deg, 0, atol=1e-9)
