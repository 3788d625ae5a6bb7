"""Datasets together with models: predictions, statistic, simulation, summary."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from spectra import make_onoff, make_spectrum, npred_power_law

from gammax.datasets import Datasets
from gammax.errors import FitError, ModelError
from gammax.models import Models, PowerLawSpectralModel, SkyModel

AMPLITUDE = "4e-11 TeV-1 s-1 cm-2"


def source(name="source", amplitude=AMPLITUDE, **options):
    return SkyModel(PowerLawSpectralModel(index=2.3, amplitude=amplitude), name=name, **options)


def test_signal_is_the_folded_integral_flux(make):
    dataset = make(threshold=2)
    assert_allclose(dataset.npred_signal(Models([source()])).values(), npred_power_law(dataset), rtol=1e-12)


def test_models_by_name_and_by_dataset(make):
    models = Models([source("a"), source("b", "8e-11 TeV-1 s-1 cm-2"), source("c", datasets_names=["other"])])
    dataset = make("this")
    one = npred_power_law(dataset)
    assert_allclose(dataset.npred_signal(models).values(), 3 * one, rtol=1e-12)
    assert_allclose(dataset.npred_signal(models, model_names=["b"]).values(), 2 * one, rtol=1e-12)
    assert_allclose(dataset.replace(name="other").npred_signal(models).values(), 4 * one, rtol=1e-12)


def test_prediction_is_signal_and_background():
    models = Models([source()])
    known = make_spectrum()
    assert_allclose(known.npred(models).values(), npred_power_law(known) + known.background.values(), rtol=1e-12)
    onoff = make_onoff(seed=2)
    signal, off = npred_power_law(onoff), onoff.npred_off(models).values()
    assert_allclose(onoff.npred(models).values(), signal + off / 4, rtol=1e-12)
    # the profiled background is where d wstat / d mu_off = 0: alpha (n_on / mu_on - 1) + n_off / mu_off - 1 = 0
    slope = (onoff.counts.values() / (signal + off / 4) - 1) / 4 + onoff.counts_off.values() / off - 1
    assert_allclose(slope, 0, atol=1e-9)


def test_statistic_is_that_of_the_prediction():
    models = Models([source()])
    known = make_spectrum(threshold=2)
    mu, n = known.npred(models).values()[2:], known.counts.values()[2:]
    assert_allclose(known.stat_sum(models), 2 * (mu - n * np.log(mu)).sum(), rtol=1e-12)
    onoff = make_onoff(seed=2)
    on, off = onoff.npred(models).values(), onoff.npred_off(models).values()
    n_on, n_off = onoff.counts.values(), onoff.counts_off.values()
    # -2 ln L of both Poisson laws at the profiled background, less the same where the expectations are the counts
    expected = 2 * (on - n_on + n_on * np.log(n_on / on) + off - n_off + n_off * np.log(n_off / off)).sum()
    assert_allclose(onoff.stat_sum(models), expected, rtol=1e-10)
    both = Datasets([known, onoff.replace(name="b")])
    assert_allclose(both.stat_sum(models), known.stat_sum(models) + onoff.stat_sum(models), rtol=1e-14)


def test_fake_has_the_mean_of_the_prediction(rng):
    models = Models([source()])
    dataset = make_onoff()
    mean = npred_power_law(dataset) + 2.5
    total = sum(dataset.fake(models, 2.5, rng).counts.values() for _ in range(400))
    assert np.abs((total - 400 * mean) / np.sqrt(400 * mean)).max() < 4


def test_summary_with_models_tells_the_signal(make):
    info = make(threshold=2).info_dict(models=Models([source()]))
    assert_allclose(info["npred_signal"], npred_power_law(make(threshold=2))[2:].sum(), rtol=1e-12)
    assert_allclose(info["npred"], info["npred_signal"] + info["npred_background"], rtol=1e-12)


def test_a_bare_spectral_model_is_told_apart(make):
    with pytest.raises(ModelError, match="wrap it: SkyModel"):
        make().npred(PowerLawSpectralModel())


def test_nothing_is_predicted_in_single_precision(make):
    import jax

    dataset = make()
    with jax.enable_x64(False), pytest.raises(FitError, match="64-bit"):
        dataset.npred_signal(Models([source()]))
