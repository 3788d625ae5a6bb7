"""One dataset: what it refuses, masks, slices, plain arrays."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from spectra import ENERGY, ENERGY_TRUE, REGION, make_onoff, make_spectrum, power_law_flux

from gammax.datasets import SpectrumDataset, SpectrumDatasetOnOff
from gammax.errors import DataValueError, GammaxError, GeometryError, SchemaError, UnitError
from gammax.irf import EDispKernel
from gammax.maps import MapAxis, RegionGeom, RegionNDMap

OTHER = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", 9)


def with_value(region_map, k, value):
    data = region_map.values().copy()
    data[k] = value
    return region_map.replace(data=data)


def test_fields_are_frozen_and_replace_makes_a_new_dataset(make):
    dataset = make()
    renamed = dataset.replace(name="b")
    assert (dataset.name, renamed.name) == ("a", "b")
    assert renamed.counts is dataset.counts
    with pytest.raises(AttributeError):
        dataset.name = "c"
    with pytest.raises(ValueError, match="read-only"):
        dataset.counts.data[0] = 1


def test_replace_names_a_misspelt_field(make):
    with pytest.raises(SchemaError, match="did you mean 'mask_fit'"):
        make().replace(maskfit=None)


@pytest.mark.parametrize("field", ["counts", "mask_safe", "mask_fit"])
def test_maps_must_share_the_energy_axis(make, field):
    dataset = make()
    geom = RegionGeom.create(REGION, (OTHER,))
    with pytest.raises(GeometryError, match="different axes 'energy'") as caught:
        dataset.replace(**{field: RegionNDMap(geom, np.ones(9, bool if "mask" in field else float))})
    assert caught.value.context["dataset"] == "a"


def test_edisp_must_have_the_axes_of_exposure_and_counts(make):
    with pytest.raises(GeometryError, match="edisp and counts"):
        make().replace(edisp=EDispKernel.from_gauss(ENERGY_TRUE, OTHER, 0.2, 0))
    with pytest.raises(GeometryError, match="edisp and exposure"):
        make().replace(edisp=EDispKernel.from_gauss(OTHER.rename("energy_true"), ENERGY, 0.2, 0))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"counts": 8.0}, SchemaError),
        ({"counts": None}, SchemaError),
        ({"exposure": "counts"}, GeometryError),
        ({"edisp": "a kernel"}, SchemaError),
        ({"mask_fit": "counts"}, DataValueError),
        ({"name": ""}, SchemaError),
        ({"livetime": 0.0}, DataValueError),
        ({"livetime": float("nan")}, DataValueError),
        ({"livetime": "3 m"}, UnitError),
    ],
)
def test_parts_of_the_wrong_kind_are_refused(make, change, error):
    dataset = make()
    change = {key: dataset.counts if value == "counts" else value for key, value in change.items()}
    with pytest.raises(error):
        dataset.replace(**change)


def test_booleans_are_no_counts(make):
    dataset = make()
    for field in ("counts", "exposure"):
        whole = getattr(dataset, field)
        with pytest.raises(DataValueError, match=f"{field} must hold numbers"):
            dataset.replace(**{field: whole.replace(data=whole.data > 0)})


def test_a_slice_must_be_a_slice(make):
    for idx in (3, "energy", slice("a", None), None):
        with pytest.raises(GeometryError, match="cannot slice"):
            make().slice_by_idx({"energy": idx})


def test_only_the_first_three_fields_go_by_position(make):
    dataset = make()
    fields = [field.name for field in dataclasses.fields(dataset) if not field.kw_only]
    assert fields == ["name", "counts", "exposure"]


def test_a_response_that_is_zero_all_over_the_mask_is_refused(make):
    dataset = make(threshold=2)
    assert dataset.arrays.response.any()
    matrix = dataset.edisp.pdf_matrix.copy()
    matrix[:, 2:] = 0
    with pytest.raises(DataValueError, match="GX-DATASETS-005"):
        dataset.replace(edisp=EDispKernel((ENERGY_TRUE, ENERGY), matrix)).arrays.mask.any()


def test_livetime_takes_a_quantity():
    assert make_spectrum().replace(livetime="0.5 h").livetime == 1800.0


def test_mask_is_safe_and_fit(make):
    assert make().replace(mask_safe=None).mask.all()
    dataset = make(threshold=2, mask_fit=np.arange(8) < 6)
    assert_array_equal(dataset.mask, [False, False, True, True, True, True, False, False])
    low, high = dataset.energy_range
    # edges of 8 log bins from 0.1 to 10 TeV: 10^(-1 + k / 4)
    assert_allclose([low.to_value("TeV"), high.to_value("TeV")], [10**-0.5, 10**0.5], rtol=1e-12)


def test_energy_range_of_an_empty_mask_is_nan(make):
    low, high = make(threshold=8).energy_range
    assert np.isnan(low)
    assert np.isnan(high)


def test_fit_range_takes_bins_that_lie_wholly_inside(make):
    assert_array_equal(np.flatnonzero(make().with_fit_range("0.2 TeV", "4 TeV").mask), [2, 3, 4, 5])
    # limits equal to edges within 1e-6 select the bins at them: 10^-0.5 and 10^0.5 TeV, in GeV and rounded
    on_edges = make().with_fit_range("316.22777 GeV", "3162.2776 GeV")
    assert_array_equal(np.flatnonzero(on_edges.mask), [2, 3, 4, 5])


def test_empty_fit_range_is_an_error_that_names_the_usable_range(make):
    with pytest.raises(
        DataValueError, match=r"GX-DATASETS-022.*\n.*dataset a\n.*20 TeV to None\n.*0.1778 TeV to 10 TeV"
    ):
        make(threshold=1).with_fit_range("20 TeV")


def test_slices_keep_the_numbers(make):
    dataset = make(threshold=1, mask_fit=np.arange(8) < 7)
    cut = dataset.slice_by_idx({"energy": slice(2, 6), "energy_true": slice(1, 12)}, name="cut")
    assert cut.name == "cut"
    assert_array_equal(cut.arrays.response, dataset.arrays.response[2:6, 1:12])
    assert_array_equal(cut.arrays.counts, dataset.arrays.counts[2:6])
    assert_array_equal(cut.mask, dataset.mask[2:6])
    assert_array_equal(cut.arrays.energy_true, dataset.arrays.energy_true[1:13])
    with pytest.raises(SchemaError, match="did you mean 'energy'"):
        dataset.slice_by_idx({"energi": slice(1)})


def test_slice_by_energy_moves_limits_to_the_nearest_edges(make):
    # edges 0.1, 0.178, 0.316, 0.562, 1, ...: in log energy 0.35 TeV is nearest to 0.316, 0.8 TeV to 1
    cut = make().slice_by_energy("0.35 TeV", "0.8 TeV")
    assert_allclose(cut.energy_axis.edges_value("TeV"), 10 ** np.array([-0.5, -0.25, 0.0]), rtol=1e-12)
    assert make().slice_by_energy(energy_max="1 TeV").energy_axis.nbin == 4
    with pytest.raises(DataValueError, match="no energy bin is left"):
        make().slice_by_energy("20 TeV", "30 TeV")


def test_arrays_are_the_response_in_canonical_units(make):
    dataset = make(threshold=2)
    arrays = dataset.arrays
    assert arrays is dataset.arrays
    exposure = dataset.exposure.values() * 1e4  # m2 to cm2
    assert_allclose(arrays.response, (dataset.edisp.pdf_matrix * exposure[:, None]).T, rtol=1e-15)
    assert_allclose(arrays.energy_true, np.geomspace(0.05, 20, 14), rtol=1e-14)
    assert all(
        array.dtype == (bool if name == "mask" else np.float64)
        for name, array in zip(arrays._fields, arrays, strict=True)
        if array is not None
    )
    assert_array_equal(arrays.counts[:2], 0)
    assert_array_equal(arrays.counts[2:], dataset.counts.values()[2:])


def test_without_edisp_a_true_bin_fills_the_reconstructed_bins_it_overlaps():
    # exposure constant: the counts of a power law, flat inside a true bin, split by overlap; closed form for one pair
    dataset = make_spectrum(edisp=False)
    response, true, reco = dataset.arrays.response, dataset.arrays.energy_true, ENERGY.edges_value("TeV")
    k, j = 3, 2  # true bin 0.199 to 0.315 TeV against reconstructed bin 0.316 to 0.562: no overlap
    assert response[j, k] == 0
    overlap = min(reco[2], true[3]) - max(reco[1], true[2])
    exposure = dataset.exposure.values("cm2 s")
    assert_allclose(response[1, 2], exposure[2] * overlap / (true[3] - true[2]), rtol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_bad_counts_inside_the_mask_are_refused_and_named(make, value):
    dataset = make(threshold=2)
    with pytest.raises(DataValueError) as caught:
        _ = dataset.replace(counts=with_value(dataset.counts, 4, value)).arrays
    assert caught.value.code == "GX-DATASETS-001"
    assert caught.value.context["index"] == 4
    outside = dataset.replace(counts=with_value(dataset.counts, 1, value)).arrays
    assert outside.counts[1] == 0


@pytest.mark.parametrize("field", ["background", "counts_off"])
def test_bad_background_inside_the_mask_is_refused(field):
    dataset = make_spectrum() if field == "background" else make_onoff()
    with pytest.raises(DataValueError, match=field):
        _ = dataset.replace(**{field: with_value(getattr(dataset, field), 4, np.nan)}).arrays


@pytest.mark.parametrize(("field", "value"), [("acceptance", 0.0), ("acceptance_off", 0.0), ("acceptance_off", np.nan)])
def test_bad_alpha_inside_the_mask_is_refused(field, value):
    dataset = make_onoff(threshold=2)
    with pytest.raises(DataValueError) as caught:
        _ = dataset.replace(**{field: with_value(getattr(dataset, field), 3, value)}).arrays
    assert caught.value.code == "GX-DATASETS-002"
    assert "acceptance_off" in caught.value.context["found"]
    assert dataset.replace(**{field: with_value(getattr(dataset, field), 0, value)}).arrays.alpha[0] == 1


@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_bad_exposure_is_refused(make, value):
    dataset = make()
    with pytest.raises(DataValueError, match="GX-DATASETS-003"):
        _ = dataset.replace(exposure=with_value(dataset.exposure, 5, value)).arrays


def test_no_exposure_at_all_is_named(make):
    dataset = make()
    with pytest.raises(DataValueError, match="exposure is zero"):
        _ = dataset.replace(exposure=dataset.exposure.replace(data=np.zeros(13))).arrays


@pytest.mark.parametrize("cls", [SpectrumDataset, SpectrumDatasetOnOff])
def test_create_is_empty_and_ready_to_be_filled(cls):
    dataset = cls.create(RegionGeom.create(REGION, (ENERGY,)), ENERGY_TRUE, name="new")
    assert dataset.counts.values().sum() == 0
    filled = dataset.replace(exposure=dataset.exposure.replace(data=np.full(13, 1e12)))
    # diagonal response and constant exposure: npred of the whole reconstructed range is exposure x flux per overlap
    assert_allclose(filled.arrays.response.sum(axis=0)[3:11], 1e12, rtol=1e-12)
    assert power_law_flux(filled.arrays.energy_true).shape == (13,)


def test_repr_is_one_line_of_facts():
    text = repr(make_onoff(threshold=3).replace(counts_off=RegionNDMap(make_onoff().counts.geom, np.arange(8.0))))
    assert text.startswith("SpectrumDatasetOnOff('a', 8 bins 0.1 to 10 TeV, 5 in the mask:")
    assert "25 off" in text
    assert "\n" not in text


def test_every_refusal_is_one_of_ours(make):
    for change in ({"counts": 3}, {"gtis": 1}, {"livetime": "soon"}):
        with pytest.raises(GammaxError):
            make().replace(**change)
