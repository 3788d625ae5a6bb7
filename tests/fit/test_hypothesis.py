"""Nested hypotheses: Gammapy's numbers on a real spectrum, closed forms, the half-mixture at a bound."""

import astropy.units as u
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from scipy.stats import kstest

from derivatives import toy_spectrum
from gammax.datasets import Datasets
from gammax.errors import FitError, GammaxWarning
from gammax.fit import Fit, _newton, optimum, select_nested_models
from gammax.likelihood import Likelihood
from gammax.models import (
    ExpCutoffPowerLawSpectralModel,
    Models,
    Parameter,
    PowerLawSpectralModel,
    SkyModel,
)
from gammax.stats import CashCountsStatistic, ts_to_p_value, ts_to_sigma


@pytest.mark.data
def test_gammapy_on_real_spectra(data_dir):
    """Four H.E.S.S. runs: cutoff or none. Gammapy 2.1, NestedModelSelection with minuit's tol 1e-5 and strategy 2:
    ts 3.90170 and 105.36792, ts_known_bkg 49.9683 and 250.274, ts_asimov 49.9756 and 250.478 (with the measured OFF
    counts; ours are the expected ones)."""
    spectra = Datasets.read(data_dir / "joint-crab" / "datasets.yaml")
    hess = Datasets([d for d in spectra if d.name.startswith("hess")]).with_fit_range("0.03 TeV", "30 TeV")
    model = ExpCutoffPowerLawSpectralModel(index=2.0, amplitude="3e-11 TeV-1 s-1 cm-2", lambda_="0.1 TeV-1")
    crab = SkyModel(model, name="crab")
    one = select_nested_models(hess, crab, "crab.spectral.lambda_", 0)
    assert one.ts == pytest.approx(3.90170, abs=1e-5)
    assert one.ts_known_bkg == pytest.approx(49.968, abs=5e-3)
    assert one.ts_asimov == pytest.approx(49.976, abs=5e-2)
    assert (one.ts_threshold, one.is_preferred) == (4.0, False)
    assert one.significance == pytest.approx(np.sqrt(one.ts))
    assert one.models is one.fit_results_null.models
    two = select_nested_models(hess, crab, ["crab.spectral.lambda_", "crab.spectral.index"], [0, 2.0], n_sigma=5)
    assert two.ts == pytest.approx(105.36792, abs=1e-4)
    assert two.ts_known_bkg == pytest.approx(250.274, abs=2e-2)
    assert two.ts_asimov == pytest.approx(250.478, abs=0.2)
    assert two.significance == pytest.approx(float(ts_to_sigma(two.ts, 2)))
    # sigma_to_ts(5, 2) of Gammapy 2.1
    assert two.ts_threshold == pytest.approx(28.743702426857563)
    assert two.models is two.fit_results.models


def one_bin(counts, minimum=-np.inf):
    """One bin, its background, and a source whose amplitude alone is free."""
    spectrum = toy_spectrum("cash", n_reco=1, counts=counts)
    amplitude = Parameter("amplitude", "1e-12 TeV-1 s-1 cm-2", min=minimum)
    source = SkyModel(PowerLawSpectralModel(index=2.5, amplitude=amplitude).freeze("index"), name="x")
    return spectrum, source


@pytest.mark.parametrize("excess", [0.3, -0.2])
def test_one_bin_is_a_counting_experiment(excess):
    """The fit is perfect: the test statistic is that of n counts over b, and so is that of its Asimov data."""
    background = one_bin(1.0)[0].background.values()[0]
    counts = background * (1 + excess)
    found = select_nested_models(*one_bin(counts), "x.spectral.amplitude", 0)
    want = float(CashCountsStatistic(counts, background).ts)
    for ts in (found.ts, found.ts_asimov, found.ts_known_bkg):
        assert ts == pytest.approx(want, rel=1e-7)
    assert found.p_value == pytest.approx(float(ts_to_p_value(want)), rel=1e-6)
    assert not found.at_bound


def test_a_norm_at_its_bound_is_tested_one_sided():
    background = one_bin(1.0)[0].background.values()[0]
    counts = 1.3 * background
    above = select_nested_models(*one_bin(counts, 0.0), "x.spectral.amplitude", 0)
    want = float(CashCountsStatistic(counts, background).ts)
    assert above.at_bound
    assert above.p_value == pytest.approx(0.5 * float(ts_to_p_value(want)), rel=1e-6)
    assert above.significance == pytest.approx(np.sqrt(want), rel=1e-7)
    with pytest.warns(GammaxWarning, match="less than one count"):
        below = select_nested_models(*one_bin(0.8 * background, 0.0), "x.spectral.amplitude", 0)
    assert below.fit_results.status == "at_bound"
    assert below.ts == pytest.approx(0.0, abs=1e-9)
    assert below.significance == pytest.approx(0.0, abs=1e-4)
    assert not below.is_preferred


def test_null_models_are_frozen_at_their_values_and_compile_nothing_anew():
    spectrum = toy_spectrum("wstat")
    frozen = Models(SkyModel(PowerLawSpectralModel(index=2.2, amplitude="1e-12 TeV-1 s-1 cm-2"), name="x"))
    found = select_nested_models(spectrum, frozen.freeze("x.spectral.index"), ["x.spectral.index"], [2.2])
    compiled = _newton._solve._cache_size()
    again = select_nested_models(spectrum, frozen, ["x.spectral.index"], [2.3])
    assert _newton._solve._cache_size() == compiled
    assert again.ts != found.ts
    want = Fit().run(spectrum, frozen.freeze("x.spectral.index"))
    assert found.fit_results_null.total_stat == pytest.approx(want.total_stat, rel=1e-10)
    index = found.fit_results_null.models.parameters["x.spectral.index"]
    assert (float(index.value), index.frozen, float(index.max)) == (2.2, True, np.inf)
    assert not found.fit_results.models.parameters["x.spectral.index"].frozen
    assert "not preferred" in repr(select_nested_models(spectrum, frozen, "x.spectral.index", 2.4))


class Number(eqx.Module):
    """A measurement of the index of the source of the same name."""

    name: str = eqx.field(static=True)
    best: Array
    error: Array

    def npred(self, models):
        return models[self.name].spectral_model.index.value

    def statistic(self, npred):
        return ((npred - self.best) / self.error) ** 2


def test_the_null_hypothesis_may_be_a_link():
    """Does one index do for two sources? In closed form: (m1 - m2)^2 / (s1^2 + s2^2), at their weighted mean."""
    datasets = [Number("a", np.array(2.0), np.array(0.1)), Number("b", np.array(2.3), np.array(0.2))]
    spectrum = PowerLawSpectralModel(index=2.2, amplitude="1e-12 TeV-1 s-1 cm-2").freeze("amplitude")
    models = Models([SkyModel(spectrum, name, datasets_names=name) for name in "ab"])
    found = select_nested_models(datasets, models, "b.spectral.index", "a.spectral.index")
    assert found.ts == pytest.approx(0.3**2 / 0.05, rel=1e-9)
    # with the other index as fitted alone
    assert found.ts_known_bkg == pytest.approx((0.3 / 0.2) ** 2, rel=1e-9)
    null = found.fit_results_null.models
    assert [float(null[name].spectral_model.index.value) for name in "ab"] == pytest.approx([2.06, 2.06])


def linked_numbers():
    """One index of two measurements, tied to nothing, and a third of its own."""
    best = {"a": (2.0, 0.1), "b": (2.3, 0.2), "c": (2.6, 0.1)}
    datasets = [Number(name, *map(np.array, numbers)) for name, numbers in best.items()]
    spectrum = PowerLawSpectralModel(index=2.2, amplitude="1e-12 TeV-1 s-1 cm-2").freeze("amplitude")
    models = Models([SkyModel(spectrum, name, datasets_names=name) for name in "abc"])
    return datasets, models.link("i", "a.spectral.index", "b.spectral.index")


@pytest.mark.parametrize("name", ["a.spectral.index", "b.spectral.index"])
def test_a_linked_parameter_is_held_by_either_name(name):
    """(x - m)^2 / s^2 summed: at 2.5 29.0 - 4.05 and 25 + 1 against 1.8 at the weighted mean 2.06."""
    datasets, models = linked_numbers()
    found = select_nested_models(datasets, models, name, 2.5)
    assert found.ts == pytest.approx(0.5**2 / 0.01 + 0.2**2 / 0.04 - 0.3**2 / 0.05, rel=1e-9)
    null = found.fit_results_null.models.parameters
    assert [float(null[f"{n}.spectral.index"].value) for n in "ab"] == [2.5, 2.5]
    assert [(null[f"{n}.spectral.index"].frozen, np.isinf(null[f"{n}.spectral.index"].max)) for n in "ab"] == [
        (True, True)
    ] * 2


@pytest.mark.parametrize("name", ["a.spectral.index", "b.spectral.index"])
def test_linked_parameters_are_linked_to_another_together(name):
    """All three at their weighted mean, against 2.06 and 2.6."""
    found = select_nested_models(*linked_numbers(), name, "c.spectral.index")
    assert found.ts == pytest.approx(0.54**2 / (1 / 125 + 1 / 100), rel=1e-9)


def with_bounds(best, **options):
    """Measurements of the indices of two sources, of errors 0.1, both bounded."""
    datasets = [Number(name, np.array(value), np.array(0.1)) for name, value in zip("ab", best, strict=True)]
    spectra = [
        PowerLawSpectralModel(index=Parameter("index", 2.2, **options), amplitude="1e-12 TeV-1 s-1 cm-2") for _ in best
    ]
    sources = [
        SkyModel(spectrum.freeze("amplitude"), name, datasets_names=name)
        for name, spectrum in zip("ab", spectra, strict=True)
    ]
    return datasets, Models(sources)


def test_a_name_as_null_value_is_at_no_bound():
    """The other index ends at 2.0, by coincidence the bound of the tested one: nothing is one-sided."""
    found = select_nested_models(*with_bounds([1.8, 2.3], min=2.0), "b.spectral.index", "a.spectral.index")
    assert float(found.fit_results.models["a"].spectral_model.index.value) == 2.0
    assert not found.at_bound


def test_the_threshold_is_that_of_the_significance():
    """Two parameters, one null value at its bound: half chi2 of 1 and of 2 degrees, against one-sided n sigma."""
    for excess in (0.24, 0.27):
        for n_sigma in (1.0, 2.0, 2.2, 2.5):
            datasets, models = with_bounds([2.0 + excess, 2.1], min=2.0)
            names = ["a.spectral.index", "b.spectral.index"]
            found = select_nested_models(datasets, models, names, [2.0, 2.1], n_sigma=n_sigma)
            assert found.at_bound
            assert found.ts == pytest.approx((excess / 0.1) ** 2, rel=1e-6)
            assert found.is_preferred == (found.significance >= n_sigma)


@pytest.mark.parametrize("null", [2.1 * u.one, np.array(2.1), [2.1 * u.one]])
def test_a_null_value_may_be_a_quantity(null):
    found = select_nested_models(*with_bounds([2.3, 2.3]), "a.spectral.index", null)
    assert found.ts == pytest.approx(4.0, rel=1e-9)


class TwoValleys(Number):
    """Two minima in the index: -1 near 1.5, where the null hypothesis has it, and 0 near 3."""

    def statistic(self, npred):
        return 100.0 * jnp.minimum((npred - 1.5) ** 2 - 0.01, (npred - 3.0) ** 2)


def test_a_lower_minimum_under_the_null_hypothesis_is_no_test_statistic():
    """The fit with more freedom starts in the wrong valley."""
    source = SkyModel(PowerLawSpectralModel(index=2.9, amplitude="1e-12 TeV-1 s-1 cm-2").freeze("amplitude"), "x")
    other = Number("y", np.array(2.0), np.array(0.1))
    y = source.replace(name="y", datasets_names="y")
    datasets = [TwoValleys("x", np.array(0.0), np.array(0.0)), other]
    models = Models([source.replace(datasets_names="x"), y])
    with pytest.warns(GammaxWarning, match="GX-FIT-411"):
        found = select_nested_models(datasets, models, "x.spectral.index", 1.5)
    assert np.isnan([found.ts, found.p_value, found.significance]).all()
    assert not found.is_preferred


class Plain:
    name = "plain"

    def npred(self, models):
        return models["x"].spectral_model.amplitude.value[None]

    def statistic(self, npred):
        return (npred / 1e-12 - 3.0) ** 2


def test_own_data_without_asimov_data():
    _, source = one_bin(1.0)
    found = select_nested_models(Plain(), source, "x.spectral.amplitude", 1e-12)
    assert found.ts == pytest.approx(4.0, rel=1e-9)
    assert np.isnan(found.ts_asimov)


def test_values_and_parameters_must_match():
    with pytest.raises(FitError, match="GX-FIT-410"):
        select_nested_models(*one_bin(1.0), ["x.spectral.amplitude"], [0, 1])


@pytest.mark.slow
def test_the_half_mixture_of_a_bounded_norm():
    """10 000 simulations of 400 background counts without a source: chi2 with 0 and with 1 degree of freedom, half each
    (Chernoff 1954); p-values are uniform above 0.5 and 1 below it, the binomial errors are 0.005 and 0.0022."""
    spectrum, source = toy_spectrum("cash"), one_bin(1.0, 0.0)[1]
    background = spectrum.background.data * (400.0 / spectrum.background.data.sum())
    likelihood = Likelihood(spectrum.replace(background=spectrum.background.replace(data=background)), source)
    toys = np.random.default_rng(11).poisson(background.ravel(), (10_000, background.size)).astype(float)

    @jax.jit
    @jax.vmap
    def test_statistic(counts):
        toy = likelihood.with_counts({"toy": counts})
        return toy(np.zeros(1)) - toy(optimum(toy))

    ts = np.asarray(test_statistic(toys))
    assert np.isfinite(ts).all()
    assert np.mean(ts < 1e-8) == pytest.approx(0.5, abs=0.02)
    assert np.mean(ts > 2.706) == pytest.approx(0.05, abs=0.007)
    positive = ts[ts > 1e-8]
    uniform = 2.0 * ts_to_p_value(positive, at_bound=True)
    assert kstest(uniform, "uniform").pvalue > 1e-3
