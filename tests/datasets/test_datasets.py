"""The container: order, names, ranges, tables."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from spectra import make_onoff, make_spectrum

from gammax.datasets import Datasets
from gammax.errors import DataValueError, SchemaError


@pytest.fixture
def datasets():
    return Datasets([make_onoff("a", 1), make_onoff("b", 2, threshold=2), make_onoff("c", 3, threshold=5)])


def test_sequence_by_index_slice_and_name(datasets):
    assert len(datasets) == 3
    assert datasets.names == ["a", "b", "c"]
    assert datasets["b"] is datasets[1]
    assert datasets[1:].names == ["b", "c"]
    assert datasets.select(["c", "a"]).names == ["c", "a"]
    assert datasets.select("b").names == ["b"]
    assert "c" in datasets
    assert datasets[0] in datasets
    assert "d" not in datasets
    assert [dataset.name for dataset in reversed(datasets)] == ["c", "b", "a"]


def test_unknown_name_is_met_with_the_known_ones(datasets):
    with pytest.raises(SchemaError, match="known: a, b, c"):
        datasets["d"]


def test_names_are_unique(datasets):
    with pytest.raises(SchemaError, match="unique"):
        datasets + make_onoff("a", 4)
    assert (datasets + make_onoff("d", 4)).names == ["a", "b", "c", "d"]
    assert (datasets[:1] + datasets[2:]).names == ["a", "c"]


def test_only_datasets_go_in():
    with pytest.raises(SchemaError, match="not a dataset"):
        Datasets(["a"])


def test_members_that_are_not_there(datasets):
    for key in (99, -99, 1.0, None, slice("a", None)):
        with pytest.raises(SchemaError, match="GX-DATASETS-114"):
            datasets[key]
    with pytest.raises(SchemaError, match="GX-DATASETS-110"):
        Datasets(1)


def test_replace_exchanges_by_name(datasets):
    new = datasets.replace(make_onoff("b", 7))
    assert new.names == datasets.names
    assert new["a"] is datasets["a"]
    assert new["b"] is not datasets["b"]
    with pytest.raises(SchemaError, match="no dataset 'x'"):
        datasets.replace(make_onoff("x"))


def test_fit_range_may_leave_single_datasets_empty_but_not_all(datasets):
    # edges 10^(-1 + k / 4) TeV; c begins at bin 5, 1.78 TeV
    fit = datasets.with_fit_range(energy_max="1 TeV")
    assert [int(dataset.mask.sum()) for dataset in fit] == [4, 2, 0]
    low, high = fit.energy_ranges
    assert_allclose(low.to_value("TeV"), [0.1, 10**-0.5, np.nan], rtol=1e-12)
    assert_allclose(high.to_value("TeV"), [1, 1, np.nan], rtol=1e-12)
    with pytest.raises(DataValueError, match="no energy bin of any dataset"):
        datasets.with_fit_range("20 TeV")


def test_slice_by_energy(datasets):
    assert [dataset.energy_axis.nbin for dataset in datasets.slice_by_energy("1 TeV")] == [4, 4, 4]
    with pytest.raises(DataValueError, match="no energy bin is left"):
        datasets.slice_by_energy("20 TeV")


def test_statistics_add_up(datasets):
    assert_allclose(datasets.stat_sum(), sum(dataset.stat_sum() for dataset in datasets), rtol=1e-15)


def test_info_table_sums_over_the_safe_range(datasets):
    table = datasets.info_table()
    assert list(table["name"]) == ["a", "b", "c"]
    assert_array_equal(table["counts"], [d.counts.values()[d.mask].sum() for d in datasets])
    assert_array_equal(table["n_fit_bins"], [8, 6, 3])
    assert_array_equal(table["ontime"], [1100, 1100, 1100])
    assert table["livetime"].unit == "s"
    assert table["exposure_max"].unit == "m2 s"
    assert np.isnan(table["npred_signal"]).all()


def test_cumulative_info_table_is_that_of_growing_stacks(datasets):
    masked = make_onoff("m", 5, threshold=8)
    table = Datasets([masked, *datasets]).info_table(cumulative=True)
    assert_array_equal(table["counts"], np.cumsum([0, *datasets.info_table()["counts"]]))
    assert_allclose(table["excess"][1:], np.cumsum(datasets.info_table()["excess"]), rtol=1e-12)
    assert_array_equal(table["livetime"], [1000, 1000, 2000, 3000])
    assert set(table["name"]) == {"stacked"}


def test_info_of_all_bins_and_of_a_known_background():
    dataset = make_spectrum(threshold=3)
    safe, full = dataset.info_dict(), dataset.info_dict(in_safe_data_range=False)
    assert safe["counts"] == dataset.counts.values()[3:].sum()
    assert full["counts"] == dataset.counts.values().sum()
    assert "counts_off" not in safe
    # significance of counts over a known background: 2 (n ln(n / b) - (n - b)), Cash 1979
    n, b = full["counts"], dataset.background.values().sum()
    assert_allclose(full["sqrt_ts"], np.sqrt(2 * (n * np.log(n / b) - n + b)), rtol=1e-10)
    assert np.isnan(dataset.replace(background=None).info_dict()["excess"])


def test_fractional_counts_are_not_rounded():
    dataset = make_spectrum()
    half = dataset.replace(counts=dataset.counts.replace(data=np.full(8, 0.3)))
    assert_allclose(half.info_dict()["counts"], 2.4, rtol=1e-12)


def test_info_table_of_mixed_kinds_is_refused():
    with pytest.raises(SchemaError, match="different kinds"):
        Datasets([make_spectrum("a"), make_onoff("b")]).info_table()


def test_repr_lists_the_datasets(datasets):
    assert repr(datasets).splitlines()[0] == "Datasets(3)"
    assert len(repr(datasets).splitlines()) == 4


@pytest.mark.data
def test_peer_info_of_the_hess_crab_runs(reference_dir):
    peer = json.loads((reference_dir / "results" / "w01_hess_crab_1d.json").read_text())
    datasets = Datasets.read(reference_dir / "datasets" / "w01" / "datasets.yaml")
    # the peer's spectrum files have no livetime; its reduction had
    livetimes = [run["livetime_s"] for run in peer["reduced"]]
    datasets = Datasets(d.replace(livetime=t) for d, t in zip(datasets, livetimes, strict=True))
    table = datasets.info_table(cumulative=True)
    for key, expected in peer["info_table_cumulative"].items():
        # single precision inside the peer
        assert_allclose(table[key], expected, rtol=3e-7, err_msg=key)
    info = datasets.stack_reduce().info_dict()
    for key, expected in peer["reduced_stacked"]["info_dict_safe"].items():
        value = info[key].to_value(expected["unit"]) if isinstance(expected, dict) else info[key]
        number = expected["value"] if isinstance(expected, dict) else expected
        assert_allclose(value, float(number), rtol=3e-7, err_msg=key)
    assert set(info) == {*peer["reduced_stacked"]["info_dict_safe"], "name", "stat_type"}
