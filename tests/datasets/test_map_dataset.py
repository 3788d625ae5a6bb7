"""Cubes: made, checked, cut, merged; masks and numbers for the likelihood."""

import pickle

import astropy.units as u
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cubes import (
    CENTER,
    ENERGY,
    ENERGY_TRUE,
    GEOM,
    assert_same_cube,
    flat_signal,
    make_cube,
    make_edisp,
    make_onoff_cube,
    make_psf,
    threshold_mask,
)
from gammax.datasets import MapDataset, MapDatasetOnOff
from gammax.errors import DataValueError, GammaxError, GeometryError, SchemaError
from gammax.irf import EDispKernelMap, EDispMap, RecoPSFMap
from gammax.maps import MapAxis, RegionNDMap, WcsGeom, WcsNDMap


@pytest.fixture(params=[make_cube, make_onoff_cube], ids=["cash", "wstat"])
def make(request):
    """Maker of either kind of cube."""
    return request.param


@pytest.mark.parametrize("cls", [MapDataset, MapDatasetOnOff])
def test_create_makes_zeros_over_the_geometries_of_the_field(cls):
    empty = cls.create(GEOM, ENERGY_TRUE, name="target")
    assert empty.counts.data.shape == (4, 20, 24)
    assert empty.exposure.data.shape == (6, 20, 24)
    # 0.2 deg pixels over 1.2 x 1 deg; 66 bins of rad to 0.66 deg: the defaults of Gammapy 2.1
    assert empty.psf.psf_map.data.shape == (6, 66, 5, 6)
    assert_allclose(empty.psf.geom.axes["rad"].edges_value("deg")[[0, -1]], [0, 0.66])
    assert isinstance(empty.edisp, EDispKernelMap)
    assert empty.edisp.edisp_map.data.shape == (6, 4, 5, 6)
    assert not empty.mask.any()
    assert not any(part.data.any() for part in (empty.counts, empty.background, empty.exposure))


def test_create_with_other_axes():
    migra, rad = MapAxis.from_bounds(0.2, 5, 24, "migra"), MapAxis.from_bounds(0, 0.3, 10, "rad", unit="deg")
    empty = MapDataset.create(GEOM, migra_axis=migra, rad_axis=rad, binsz_irf="0.5 deg", reco_psf=True)
    assert isinstance(empty.edisp, EDispMap)
    assert isinstance(empty.psf, RecoPSFMap)
    assert empty.energy_axis_true.name == "energy_true"
    assert_array_equal(empty.energy_axis_true.edges_value("TeV"), ENERGY.edges_value("TeV"))
    assert empty.psf.psf_map.data.shape == (4, 10, 2, 2)
    with pytest.raises(GeometryError, match="GX-DATASETS-280"):
        MapDataset.create(GEOM.to_image())
    with pytest.raises(GeometryError, match="GX-DATASETS-281"):
        MapDataset.create(GEOM, ENERGY)


def test_from_geoms_leaves_out_what_has_no_geometry():
    empty = MapDataset.from_geoms(GEOM, name="counts only")
    assert (empty.exposure, empty.psf, empty.edisp) == (None, None, None)
    with pytest.raises(SchemaError, match="no exposure"):
        _ = empty.energy_axis_true


def bad_parts():
    shifted = WcsGeom.create(skydir=(83.66, 22.01), binsz=0.05, npix=(24, 20), axes=(ENERGY,))
    coarse = GEOM.replace_axes((ENERGY.squash(),))
    zeros = WcsNDMap(GEOM)
    return {
        "no map": ({"counts": 3}, SchemaError),
        "axis": ({"counts": WcsNDMap(GEOM.replace_axes((ENERGY_TRUE,)))}, GeometryError),
        "image": ({"background": WcsNDMap(shifted)}, GeometryError),
        "bins": ({"background": WcsNDMap(coarse)}, GeometryError),
        "mask of numbers": ({"mask_safe": zeros}, DataValueError),
        "counts of booleans": ({"counts": WcsNDMap(GEOM, np.ones(GEOM.data_shape, bool))}, DataValueError),
        "exposure over energy": ({"exposure": zeros}, GeometryError),
        "exposure elsewhere": ({"exposure": WcsNDMap(shifted.replace_axes((ENERGY_TRUE,)))}, GeometryError),
        "region": ({"background": RegionNDMap.create("icrs;circle(83.63, 22.01, 0.1)", ENERGY)}, GeometryError),
        "psf": ({"psf": make_edisp()}, SchemaError),
        "edisp": ({"edisp": make_psf()}, SchemaError),
        "edisp axis": ({"edisp": make_edisp().to_image()}, GeometryError),
        "name": ({"name": ""}, SchemaError),
        "field": ({"models": None}, SchemaError),
    }


@pytest.mark.parametrize("case", bad_parts())
def test_parts_that_do_not_fit_are_refused(case):
    changes, error = bad_parts()[case]
    with pytest.raises(error):
        make_cube().replace(**changes)


def test_arrays_are_canonical_read_only_and_harmless_outside(make):
    dataset = make(threshold=1)
    bad = dataset.counts.data.copy()
    bad[0, 3, 4] = np.nan
    dataset = dataset.replace(counts=dataset.counts.replace(data=bad), exposure=dataset.exposure.to_unit("m2 s"))
    arrays = dataset.arrays
    assert_allclose(arrays.energy, 0.5 * 2.0 ** np.arange(5), rtol=1e-13)
    assert_allclose(arrays.energy_true, 0.25 * 2.0 ** np.arange(7), rtol=1e-13)
    assert_allclose(arrays.exposure, make(threshold=1).exposure.data, rtol=1e-13)
    assert_array_equal(arrays.mask, dataset.mask)
    assert_array_equal(arrays.counts[0], 0)
    assert_array_equal(arrays.counts[1:], dataset.counts.data[1:])
    if dataset.stat_type == "wstat":
        assert arrays.background is None
        assert_array_equal(arrays.alpha[0], 1)
        assert_allclose(arrays.alpha[1:], (dataset.acceptance.data / dataset.acceptance_off.data)[1:], rtol=1e-15)
    else:
        assert arrays.alpha is None
        assert arrays.counts_off is None
        assert_array_equal(arrays.background[1:], dataset.background.data[1:])
    assert not any(array.flags.writeable for array in arrays if array is not None)
    assert all(array.dtype == np.float64 for array in arrays if array is not None and array is not arrays.mask)


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [("counts", -1.0, "energy 1 to 2 TeV"), ("background", np.nan, "energy 1 to 2 TeV"),
     ("exposure", np.inf, "energy_true 0.5 to 1 TeV")],
)  # fmt: skip
def test_bad_numbers_are_told_with_pixel_and_energy(field, value, where):
    dataset = make_cube()
    data = getattr(dataset, field).data.copy()
    data[1, 5, 7] = value
    with pytest.raises(DataValueError, match=rf"pixel \(7, 5\), {where}"):
        _ = dataset.replace(**{field: getattr(dataset, field).replace(data=data)}).arrays


def test_alpha_must_be_positive_inside_the_mask():
    dataset = make_onoff_cube()
    data = dataset.acceptance_off.data.copy()
    data[2, 1, 0] = 0
    with pytest.raises(DataValueError, match=r"pixel \(0, 1\), energy 2 to 4 TeV"):
        _ = dataset.replace(acceptance_off=dataset.acceptance_off.replace(data=data)).arrays


def test_exposure_off_the_sky_is_none():
    geom = WcsGeom.create(npix=(24, 12), binsz=15, proj="AIT", axes=(ENERGY,))
    lon = geom.get_coord()["skycoord"].spherical.lon.deg
    data = np.broadcast_to(np.where(np.isfinite(lon), 1e10, np.nan), (6, 12, 24))
    exposure = WcsNDMap(geom.replace_axes((ENERGY_TRUE,)), data, "cm2 s")
    assert np.isnan(lon).any()
    assert_array_equal(MapDataset("sky", WcsNDMap(geom), exposure).arrays.exposure, np.nan_to_num(data))


def test_a_cube_without_exposure_has_arrays_and_a_statistic():
    dataset = make_cube().replace(exposure=None, psf=None, edisp=None)
    assert dataset.arrays.exposure is None
    assert dataset.stat_sum() == make_cube().stat_sum()


def test_statistics_are_those_of_the_bins(make):
    dataset = make(threshold=2)
    n = dataset.counts.data
    if dataset.stat_type == "cash":
        # Cash 1979: 2 (mu - n ln mu)
        mu = dataset.background.data
        expected = 2 * (mu - n * np.log(mu))
    else:
        # XSPEC manual, appendix B, wstat: without a source the best OFF rate is (n + m) / (1 + alpha)
        m, alpha = dataset.counts_off.data, dataset.alpha.data
        off = (n + m) / (1 + alpha)
        with np.errstate(divide="ignore", invalid="ignore"):
            n_term = np.where(n > 0, n * np.log(n / (alpha * off)), 0)
            m_term = np.where(m > 0, m * np.log(m / off), 0)
        expected = 2 * (n_term + m_term)
        assert_allclose(dataset.npred_off().data, off, rtol=1e-9)
        assert_allclose(dataset.npred_background().data, alpha * off, rtol=1e-9)
    assert np.isnan(dataset.stat_array()[:2]).all()
    assert_allclose(dataset.stat_array()[2:], expected[2:], rtol=1e-9, atol=1e-9)
    assert_allclose(dataset.stat_sum(), expected[2:].sum(), rtol=1e-12)


def test_residuals(make):
    dataset = make(threshold=1)
    mu, n = dataset.npred().data, dataset.counts.data
    assert np.isnan(dataset.residuals().data[0]).all()
    assert_allclose(dataset.residuals().data[1:], (n - mu)[1:], rtol=1e-13)
    assert_allclose(dataset.residuals(method="diff/sqrt(model)").data[1:], ((n - mu) / np.sqrt(mu))[1:], rtol=1e-13)
    with pytest.raises(SchemaError, match="unknown residuals"):
        dataset.residuals(method="sigma")


def test_fake_counts_follow_the_prediction():
    faked = make_cube().fake(random_state=3)
    mu = make_cube().background.data
    # 1920 bins: chi2 of the sum, 5 standard deviations
    assert abs(faked.counts.data.sum() - mu.sum()) < 5 * np.sqrt(mu.sum())
    assert_array_equal(faked.counts.data, make_cube().fake(random_state=3).counts.data)
    onoff = make_onoff_cube().fake(None, 2.0, random_state=3)
    mean_off = 2.0 / onoff.alpha.data
    assert abs(onoff.counts_off.data.sum() - mean_off.sum()) < 5 * np.sqrt(mean_off.sum())
    with pytest.raises(GeometryError, match="GX-DATASETS-206"):
        make_onoff_cube().fake(None, np.ones(3))


def test_masks_and_energy_ranges():
    dataset = make_cube(threshold=1)
    cut = dataset.mask_safe.data.copy()
    cut[:2, 0, 0] = False
    cut[:, 1, 1] = False
    dataset = dataset.replace(mask_safe=dataset.mask_safe.replace(data=cut))
    low, high = dataset.energy_range
    assert_allclose([low.data[5, 5], low.data[0, 0], high.data[0, 0]], [1, 2, 8], rtol=1e-12)
    assert np.isnan(low.data[1, 1])
    assert not dataset.mask_image.data[1, 1]
    fit = dataset.with_fit_range("2 TeV", "4 TeV")
    assert_allclose(u.Quantity(fit.energy_range_total).to_value("TeV"), [2, 4], rtol=1e-12)
    assert_allclose(fit.energy_range_fit[1].data, 4, rtol=1e-12)
    assert_allclose(fit.energy_range_safe[1].data[5, 5], 8, rtol=1e-12)
    assert fit.mask.sum() == 20 * 24 - 1
    with pytest.raises(DataValueError, match="no energy bin is left"):
        dataset.with_fit_range("10 TeV")


def test_slices(make):
    dataset = make(threshold=1)
    part = dataset.slice_by_energy("1 TeV", "4 TeV", name="part")
    assert part.name == "part"
    assert_array_equal(part.counts.data, dataset.counts.data[1:3])
    assert_array_equal(part.edisp.edisp_map.data, dataset.edisp.edisp_map.data[:, 1:3])
    assert part.psf is dataset.psf
    assert part.exposure is dataset.exposure
    true = dataset.slice_by_idx({"energy_true": slice(2, 5), "rad": slice(0, 30)})
    assert true.psf.psf_map.data.shape == (3, 30, 5, 6)
    assert true.exposure.data.shape == (3, 20, 24)
    with pytest.raises(SchemaError, match="no axis 'offset'"):
        dataset.slice_by_idx({"offset": slice(0, 1)})


def test_cutout_takes_all_parts(make):
    dataset = make()
    part = dataset.cutout(CENTER, "0.4 deg")
    assert part.counts.data.shape == (4, 8, 8)
    assert_array_equal(part.counts.data, dataset.counts.data[:, 6:14, 8:16])
    assert part.geom.is_aligned(dataset.geom)
    # three pixels of the responses at least
    assert part.psf.psf_map.data.shape[-2:] == (3, 3)
    corner = dataset.cutout(dataset.geom.footprint[0], "0.4 deg", mode="partial")
    assert corner.counts.data.shape == (4, 8, 8)
    assert corner.mask.sum() < corner.mask.size
    assert_array_equal(corner.counts.data[~corner.mask], 0)
    assert dataset.replace(mask_safe=None).cutout(CENTER, "0.4 deg").mask_safe is None


def test_pad_adds_pixels_outside_the_mask(make):
    dataset = make().replace(mask_safe=None)
    wide = dataset.pad(2)
    assert wide.counts.data.shape == (4, 24, 28)
    assert_array_equal(wide.counts.data[:, 2:-2, 2:-2], dataset.counts.data)
    assert wide.counts.data.sum() == dataset.counts.data.sum()
    assert wide.mask.sum() == dataset.mask.sum()
    assert_array_equal(wide.exposure.data[:, 0, 0], dataset.exposure.data[:, 0, 0])
    assert_allclose(wide.stat_sum(), dataset.stat_sum(), rtol=1e-13)


def test_downsample_keeps_counts_excess_and_whole_pixels(make):
    dataset = make(threshold=1, slope=0.01)
    cut = dataset.mask_safe.data.copy()
    cut[:, 0, 0] = False
    dataset = dataset.replace(mask_safe=dataset.mask_safe.replace(data=cut))
    merged = dataset.downsample(2)
    assert merged.counts.data.shape == (4, 10, 12)
    blocks = np.where(cut, dataset.excess.data, 0).reshape(4, 10, 2, 12, 2).sum(axis=(2, 4))
    assert_allclose(merged.excess.data, blocks, rtol=1e-10, atol=1e-10)
    assert_allclose(merged.exposure.data, dataset.exposure.data.reshape(6, 10, 2, 12, 2).mean(axis=(2, 4)), rtol=1e-13)
    # three of four pixels are no pixel whose prediction is known
    assert not merged.mask[:, 0, 0].any()
    assert merged.mask.sum() == 3 * (120 - 1)
    with pytest.raises(GeometryError, match="multiples of 7"):
        dataset.downsample(7)
    with pytest.raises(SchemaError, match="cannot merge bins of 'rad'"):
        dataset.downsample(2, axis_name="rad")


def test_merged_energies_predict_the_sum_of_their_masked_bins(make):
    dataset = make(threshold=1)
    image = dataset.to_image()
    assert image.counts.data.shape == (1, 20, 24)
    assert_allclose(image.counts.data[0], dataset.counts.data[1:].sum(axis=0))
    assert_allclose(image.excess.data[0], dataset.excess.data[1:].sum(axis=0), rtol=1e-10, atol=1e-10)
    assert_allclose(flat_signal(image)[0], flat_signal(dataset)[1:].sum(axis=0), rtol=1e-12)
    halves = dataset.downsample(2, axis_name="energy")
    assert_allclose(flat_signal(halves)[0], flat_signal(dataset)[1], rtol=1e-12)
    assert_allclose(halves.energy_axis.edges_value("TeV"), [0.5, 2, 8], rtol=1e-12)
    with pytest.raises(GeometryError, match="must be edges of the dataset"):
        dataset.resample_energy_axis(MapAxis.from_energy_edges([1, 3] * u.TeV))


def test_a_fit_mask_inside_a_merged_bin_cuts_it():
    dataset = make_cube().with_fit_range("1 TeV", "8 TeV")
    image = dataset.to_image()
    assert image.mask.all()
    assert_allclose(image.counts.data[0], dataset.counts.data[1:].sum(axis=0))
    assert_allclose(flat_signal(image)[0], flat_signal(dataset)[1:].sum(axis=0), rtol=1e-12)


def test_a_cut_between_merged_bins_needs_an_energy_dispersion():
    dataset = make_cube(threshold=1).replace(edisp=None)
    with pytest.raises(SchemaError, match="GX-DATASETS-241"):
        dataset.to_image()
    assert make_cube().replace(edisp=None).to_image().edisp is None
    migra = EDispMap.from_diagonal_response(ENERGY_TRUE, geom=GEOM.to_image().to_binsz(0.2))
    assert isinstance(dataset.replace(edisp=migra).to_image().edisp, EDispKernelMap)
    assert isinstance(make_cube().replace(edisp=migra).to_image().edisp, EDispMap)


def test_on_off_from_and_to_a_cube():
    cube = make_cube()
    onoff = MapDatasetOnOff.from_map_dataset(cube, 1.0, 4.0)
    assert_allclose(onoff.counts_off.data, 4 * cube.background.data, rtol=1e-13)
    assert_allclose(onoff.to_map_dataset("back").background.data, cube.background.data, rtol=1e-13)
    with pytest.raises(SchemaError, match="needs OFF counts"):
        MapDatasetOnOff.from_map_dataset(cube.replace(background=None), 1.0, 4.0)


def test_info(make):
    dataset = make(threshold=1)
    info = dataset.info_dict()
    assert info["counts"] == dataset.counts.data[1:].sum()
    assert_allclose(info["background"], dataset.background.data[1:].sum(), rtol=1e-13)
    assert (info["n_bins"], info["n_fit_bins"]) == (1920, 1440)
    assert info["livetime"] == 1000 * u.s
    assert info["ontime"] == 90 * u.s
    assert dataset.info_dict(in_safe_data_range=False)["counts"] == dataset.counts.data.sum()
    if dataset.stat_type == "wstat":
        assert_allclose(info["alpha"], info["background"] / info["counts_off"], rtol=1e-12)


def test_repr_and_pickle(make):
    dataset = make(threshold=1)
    assert "24 x 20 pixels, 4 bins 0.5 to 8 TeV, 1440 in the mask" in repr(dataset)
    assert_same_cube(dataset, pickle.loads(pickle.dumps(dataset)))


def test_every_error_of_a_mask_names_the_kind():
    with pytest.raises(GammaxError, match="mask_fit must hold booleans"):
        make_cube(mask_fit=WcsNDMap(GEOM))
    assert make_cube(mask_fit=threshold_mask(GEOM, 2)).mask.sum() == 960
