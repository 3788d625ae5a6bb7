"""Predictions, statistic, residuals and simulation of one dataset, without sources or with a background alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chisquare
from scipy.stats import poisson as poisson_law
from spectra import make_onoff, make_spectrum

from gammax.datasets import SpectrumDatasetOnOff
from gammax.errors import DataValueError, GeometryError, SchemaError
from gammax.maps import RegionNDMap


def test_background_is_alpha_times_off():
    dataset = make_onoff(seed=3)
    assert_allclose(dataset.alpha.values(), 1 / 5, rtol=1e-15)
    assert_allclose(dataset.background.values(), dataset.counts_off.values() / 5, rtol=1e-15)
    assert_allclose(dataset.excess.values(), dataset.counts.values() - dataset.counts_off.values() / 5, rtol=1e-14)


def test_alpha_of_empty_acceptances_is_zero():
    dataset = make_onoff(threshold=1)
    zero = dataset.acceptance.values().copy()
    zero[0] = 0
    dataset = dataset.replace(acceptance=dataset.acceptance.replace(data=zero),
                              acceptance_off=dataset.acceptance_off.replace(data=3 * zero))  # fmt: skip
    assert dataset.alpha.values()[0] == 0
    assert dataset.background.values()[0] == 0
    assert dataset.npred_background().values()[0] == 0
    assert np.isfinite(dataset.stat_sum())


def test_without_signal_the_expected_background_is_the_pooled_one():
    # profile of wstat at mu_sig = 0: mu_off = (n_on + n_off) / (1 + alpha), closed form
    dataset = make_onoff(seed=2, threshold=2)
    alpha = 1 / 4
    pooled = (dataset.counts.values() + dataset.counts_off.values()) / (1 + alpha)
    assert_allclose(dataset.npred_off().values(), pooled, rtol=1e-12)
    assert_allclose(dataset.npred_background().values(), alpha * pooled, rtol=1e-12)
    assert_allclose(dataset.npred().values(), alpha * pooled, rtol=1e-12)


def test_statistic_of_one_bin_by_hand():
    # wstat at mu_sig = 0, Li & Ma form: 2 (n_on ln(n_on / mu_on) + n_off ln(n_off / mu_off)), the linear terms cancel
    dataset = make_onoff(seed=2, threshold=2)
    n_on, n_off, alpha = dataset.counts.values(), dataset.counts_off.values(), 1 / 4
    mu_off = (n_on + n_off) / (1 + alpha)
    expected = 2 * (n_on * np.log(n_on / (alpha * mu_off)) + n_off * np.log(n_off / mu_off))
    values = dataset.stat_array()
    assert np.isnan(values[:2]).all()
    assert_allclose(values[2:], expected[2:], rtol=1e-10)
    assert_allclose(dataset.stat_sum(), expected[2:].sum(), rtol=1e-10)


def test_cash_statistic_of_a_known_background():
    dataset = make_spectrum(threshold=3)
    mu, n = dataset.background.values(), dataset.counts.values()
    assert_allclose(dataset.stat_array()[3:], 2 * (mu - n * np.log(mu))[3:], rtol=1e-12)
    assert_array_equal(dataset.npred().values(), mu)
    assert_array_equal(dataset.replace(background=None).npred_background().values(), np.zeros(8))


def test_residuals(make):
    dataset = make(threshold=2)
    data, model = dataset.counts.values(), dataset.npred().values()
    assert np.isnan(dataset.residuals().values()[:2]).all()
    assert_allclose(dataset.residuals(method="diff").values()[2:], (data - model)[2:], rtol=1e-13)
    assert_allclose(dataset.residuals(method="diff/model").values()[2:], (data / model - 1)[2:], rtol=1e-12)
    assert_allclose(
        dataset.residuals(method="diff/sqrt(model)").values()[2:], ((data - model) / np.sqrt(model))[2:], rtol=1e-12
    )
    with pytest.raises(SchemaError, match="did you mean 'diff/model'"):
        dataset.residuals(method="diff/mode")


def test_from_spectrum_dataset_and_back():
    known = make_spectrum(threshold=2)
    onoff = SpectrumDatasetOnOff.from_spectrum_dataset(known, acceptance=1, acceptance_off=np.full(8, 4.0), name="on")
    assert onoff.name == "on"
    # no OFF counts given: their expectation, background / alpha
    assert_allclose(onoff.counts_off.values(), 4 * known.background.values(), rtol=1e-15)
    back = onoff.to_spectrum_dataset(name="a")
    assert_allclose(back.background.values(), known.background.values(), rtol=1e-15)
    for part in ("edisp", "mask_safe", "gti", "meta_table", "livetime", "meta", "counts", "exposure"):
        assert getattr(back, part) is getattr(known, part)


def test_from_spectrum_dataset_refuses_what_does_not_fit():
    known = make_spectrum()
    with pytest.raises(GeometryError, match="acceptance does not fit"):
        SpectrumDatasetOnOff.from_spectrum_dataset(known, acceptance=np.ones(7), acceptance_off=1)
    with pytest.raises(SchemaError, match="needs OFF counts"):
        SpectrumDatasetOnOff.from_spectrum_dataset(known.replace(background=None), acceptance=1, acceptance_off=1)


def test_fake_is_reproducible_and_leaves_the_original_alone():
    dataset = make_onoff()
    before = dataset.counts.values().copy()
    fakes = [dataset.fake(None, dataset.background, random_state=seed) for seed in (7, 7, 8)]
    assert_array_equal(fakes[0].counts.values(), fakes[1].counts.values())
    assert_array_equal(fakes[0].counts_off.values(), fakes[1].counts_off.values())
    assert not np.array_equal(fakes[0].counts_off.values(), fakes[2].counts_off.values())
    assert_array_equal(dataset.counts.values(), before)
    assert fakes[0].counts.data.dtype == np.float64
    assert fakes[0].counts_off.geom is dataset.counts_off.geom


@pytest.mark.parametrize("which", ["counts", "counts_off"])
def test_fake_counts_follow_a_poisson_law(which, rng):
    # 4000 draws of one bin against the probabilities of the law; p > 1e-4 fails once in 10^4 seeds, the seed is fixed
    dataset = make_onoff(seed=1)
    mean = {"counts": 2.5, "counts_off": 7.5}[which]  # alpha = 1 / 3
    draws = [getattr(dataset.fake(None, 2.5, rng), which).values() for _ in range(500)]
    values = np.concatenate(draws).astype(int)
    top = int(poisson_law.ppf(0.995, mean))
    found = np.bincount(np.minimum(values, top), minlength=top + 1)
    law = poisson_law.pmf(np.arange(top), mean)
    assert chisquare(found, len(values) * np.append(law, 1 - law.sum())).pvalue > 1e-4


def test_fake_of_a_known_background(rng):
    dataset = make_spectrum()
    total = sum(dataset.fake(None, rng).counts.values() for _ in range(400))
    pull = (total - 400 * dataset.background.values()) / np.sqrt(400 * dataset.background.values())
    assert np.abs(pull).max() < 4


@pytest.mark.parametrize("value", [-1.0, np.nan])
def test_fake_refuses_an_impossible_expectation(value):
    dataset = make_spectrum()
    bad = dataset.replace(background=RegionNDMap(dataset.geom, np.full(8, value)))
    with pytest.raises(DataValueError, match="cannot draw counts"):
        bad.fake(None, 1)
    with pytest.raises(DataValueError, match="cannot draw counts"):
        make_onoff().fake(None, value, 1)


def test_fake_refuses_what_is_no_seed():
    with pytest.raises(SchemaError, match="no seed"):
        make_spectrum().fake(None, "random")


def test_without_off_acceptance_there_is_neither_nan_nor_warning():
    # Gammapy 2.1 takes alpha = 1.8e308 there, and so 0 without OFF counts as well
    dataset = make_onoff(threshold=2)
    zero, off = dataset.acceptance_off.values().copy(), dataset.counts_off.values().copy()
    zero[:2], off[:2] = 0, (0, 3)
    dataset = dataset.replace(
        acceptance_off=dataset.acceptance_off.replace(data=zero), counts_off=dataset.counts_off.replace(data=off)
    )
    assert_array_equal(dataset.alpha.values()[:2], np.inf)
    assert_array_equal(dataset.background.values()[:2], [0, np.inf])
    assert_array_equal(dataset.npred_background().values()[:2], 0)
    assert np.isfinite(dataset.stat_sum())
    assert dataset.excess.values()[0] == dataset.counts.values()[0]
    assert dataset.to_spectrum_dataset().background.values()[0] == 0


def test_expected_off_counts_without_acceptance():
    known = make_spectrum(threshold=2)
    background = known.background.values().copy()
    background[:2] = 0
    known = known.replace(background=known.background.replace(data=background))
    acceptance = np.ones(len(background))
    acceptance[:2] = (0, 1)
    acceptance_off = 4 * np.ones(len(background))
    acceptance_off[1] = 0
    onoff = SpectrumDatasetOnOff.from_spectrum_dataset(known, acceptance, acceptance_off)
    assert_allclose(onoff.counts_off.values(), 4 * background, rtol=1e-14)
