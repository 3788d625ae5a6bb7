"""Minima, covariances and honest statuses."""

import jax
import numpy as np
import pytest

from derivatives import assert_derivative, fd_gradient, toy_spectrum
from gammax.datasets import Datasets
from gammax.errors import FitError, GammaxWarning, ModelError
from gammax.fit import Fit
from gammax.fit.backends._minuit import make_minuit
from gammax.likelihood import Likelihood
from gammax.models import (
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    Models,
    Parameter,
    PowerLawSpectralModel,
    SkyModel,
)

AMPLITUDE = "1e-12 TeV-1 s-1 cm-2"


def power_law(name="x", **values):
    return SkyModel(PowerLawSpectralModel(**{"index": 2.0, "amplitude": AMPLITUDE, **values}), name=name)


def fd_covariance(likelihood, theta):
    """Twice the inverse of a Hessian by 4th-order differences of the statistic alone, in steps of 3 % of an error."""
    size = len(theta)
    step = 0.03 * np.sqrt(np.diag(2.0 * np.linalg.inv(np.asarray(likelihood.derivatives(theta).fisher))))

    def scaled(x):
        return likelihood(theta + x * step)

    def gradient(x):
        return fd_gradient(scaled, x, step=1.0)

    hessian = fd_gradient(gradient, np.zeros(size), step=1.0)
    return 2.0 * np.linalg.inv(hessian) * np.outer(step, step)


def assert_errors(datasets, result):
    """Covariance against finite differences 1e-4, errors against HESSE (strategy 2, at our minimum) 5e-3."""
    likelihood = Likelihood(datasets, result.models)
    theta, scale = np.asarray(likelihood.theta0), np.asarray(likelihood.problem.scale)
    assert_derivative(result.covariance, fd_covariance(likelihood, theta) * np.outer(scale, scale), 1e-4)
    minuit = make_minuit(likelihood, theta)
    minuit.strategy = 2
    minuit.hesse()
    np.testing.assert_allclose(np.array(minuit.errors) * scale, result.errors, rtol=5e-3)


@pytest.mark.parametrize("statistic", ["cash", "wstat"])
def test_minimum_covariance_and_iminuit(statistic):
    """Gradient zero, covariance by finite differences 1e-4, iminuit's minimum 0.01 sigma and HESSE errors 5e-3."""
    datasets = [toy_spectrum(statistic, "a"), toy_spectrum(statistic, "b", seed=1)]
    result, check = (Fit(backend=backend).run(datasets, power_law()) for backend in ("newton", "minuit"))
    assert result.status == check.status == "ok"
    assert result.success
    likelihood = Likelihood(datasets, result.models)
    theta = np.asarray(likelihood.theta0)
    scaled = np.asarray(jax.grad(likelihood)(theta)) * result.errors / np.asarray(likelihood.problem.scale)
    np.testing.assert_allclose(scaled, 0.0, atol=1e-4)
    np.testing.assert_allclose(result.total_stat, likelihood(theta), rtol=1e-12)
    scale = np.asarray(likelihood.problem.scale)
    assert_derivative(result.covariance, fd_covariance(likelihood, theta) * np.outer(scale, scale), 1e-4)
    np.testing.assert_allclose((check.values - result.values) / result.errors, 0.0, atol=0.01)
    np.testing.assert_allclose(check.errors, result.errors, rtol=5e-3)
    assert abs(check.total_stat - result.total_stat) < 1e-4


@pytest.mark.data
@pytest.mark.parametrize(
    "model",
    [
        ExpCutoffPowerLawSpectralModel(index=2.0, amplitude=AMPLITUDE, lambda_="0.1 TeV-1"),
        LogParabolaSpectralModel(amplitude=AMPLITUDE, reference="1 TeV", alpha=2.0, beta=0.1),
    ],
    ids=["cutoff", "log parabola"],
)
def test_covariance_on_real_spectra(reference_dir, model):
    """H.E.S.S. Crab, four runs."""
    datasets = Datasets.read(reference_dir / "datasets" / "w01" / "datasets.yaml")
    result = Fit().run(datasets, SkyModel(model, name="crab"))
    assert_errors(datasets, result)


@pytest.mark.data
@pytest.mark.parametrize("name", ["magic", "veritas", "fact", "hess", "joint"])
def test_hesse_on_joint_crab(data_dir, name):
    """Five instruments; Fermi alone is left out, it has bins without OFF counts, where HESSE straddles a kink."""
    spectra = Datasets.read(data_dir / "joint-crab" / "datasets.yaml")
    chosen = spectra if name == "joint" else Datasets([d for d in spectra if d.name.startswith(name)])
    chosen = chosen.with_fit_range("0.03 TeV", "30 TeV")
    model = LogParabolaSpectralModel(amplitude="3.8e-11 TeV-1 s-1 cm-2", reference="1 TeV", alpha=2.5, beta=0.1)
    result = Fit().run(chosen, SkyModel(model, name="crab"))
    assert result.status == "ok"
    assert_errors(chosen, result)


def test_far_starts_reach_one_minimum():
    """Amplitude over two decades, index over 1.2: spread below 1e-4 sigma."""
    dataset = toy_spectrum("wstat")
    found = [
        Fit().run([dataset], power_law(amplitude=f"{2e-12 * f} TeV-1 s-1 cm-2", index=2.4 + d))
        for f in (0.1, 1.0, 10.0)
        for d in (-0.6, 0.0, 0.6)
    ]
    assert {result.status for result in found} == {"ok"}
    spread = np.ptp([result.values for result in found], axis=0) / found[0].errors
    assert spread.max() < 1e-4


def test_asimov_closure():
    """Counts equal to the prediction are fitted by their own model, from a start 2 times off, to 1e-4 sigma."""
    truth = power_law(index=2.3, amplitude="2e-12 TeV-1 s-1 cm-2")
    dataset = toy_spectrum("cash")
    npred = np.asarray(dataset.npred(Models(truth)).data)
    asimov = dataset.replace(counts=dataset.counts.replace(data=npred))
    result = Fit().run([asimov], power_law(index=1.8, amplitude="4e-12 TeV-1 s-1 cm-2"))
    np.testing.assert_allclose((result.values - [2.3, 2e-12]) / result.errors, 0.0, atol=1e-4)


def test_inputs_are_unchanged_and_the_result_carries_everything():
    models = Models(power_law())
    result = Fit().run([toy_spectrum("wstat")], models)
    assert models["x"].spectral_model.index.value == 2.0
    fitted = result.models["x"].spectral_model
    np.testing.assert_array_equal([fitted.index.value, fitted.amplitude.value], result.values)
    np.testing.assert_array_equal(result.models.errors[:2], result.errors)
    assert result.models.errors[2] == 0.0
    np.testing.assert_allclose(np.diag(result.correlation), 1.0, rtol=1e-12)
    assert "x.spectral.index" in repr(result)
    assert "ok" in result._repr_html_()
    assert "x.spectral.index" in result._repr_html_()
    band = result.models.evaluate_error("x", "1 TeV")
    np.testing.assert_allclose(band[1] / band[0], result.errors[1] / result.values[1], rtol=1e-9)


def test_parameter_at_its_bound_has_no_error():
    best = Fit().run([toy_spectrum("wstat")], power_law())
    bound = best.values[0] + 0.1
    for backend in ("newton", "minuit"):
        model = PowerLawSpectralModel(index=Parameter("index", 3.0, min=bound, max=4.0), amplitude=AMPLITUDE)
        result = Fit(backend=backend).run([toy_spectrum("wstat")], SkyModel(model, name="x"))
        assert result.status == "at_bound"
        assert "x.spectral.index" in result.message
        assert not result.success
        np.testing.assert_allclose(result.values[0], bound, rtol=1e-3 if backend == "minuit" else 0.0)
        assert np.isnan(result.errors[0])
        assert result.errors[1] > 0


def test_identical_sources_are_singular():
    models = Models(
        [
            power_law("a").replace(spectral_model=power_law().spectral_model.freeze("index")),
            power_law("b").replace(spectral_model=power_law().spectral_model.freeze("index")),
        ]
    )
    result = Fit().run([toy_spectrum("wstat")], models)
    assert result.status == "singular"
    assert "a.spectral.amplitude - b.spectral.amplitude" in result.message
    assert np.isnan(result.errors).all()


def test_free_reference_is_singular():
    """Amplitude, index and reference of a power law are degenerate: the direction is named."""
    result = Fit().run(
        [toy_spectrum("wstat")], power_law().replace(spectral_model=power_law().spectral_model.unfreeze())
    )
    assert result.status == "singular"
    assert "reference" in result.message


def test_no_data():
    empty = toy_spectrum("wstat", counts=0)
    result = Fit().run([empty], power_law())
    assert result.status == "no_data"
    assert np.isnan(result.errors).all()
    nothing = empty.counts.replace(data=np.zeros(empty.counts.data.shape, dtype=bool))
    assert "no bin" in Fit().run([toy_spectrum("wstat").replace(mask_fit=nothing)], power_law()).message


def test_not_converged_says_so():
    result = Fit(max_steps=1).run([toy_spectrum("wstat")], power_law())
    assert result.status == "not_converged"
    assert np.isnan(result.errors).all()


@pytest.mark.parametrize(
    ("code", "model"),
    [
        ("GX-FIT-002", power_law().replace(spectral_model=power_law().spectral_model.freeze())),
        ("GX-FIT-003", power_law(index=np.nan)),
        ("GX-FIT-004", power_law(index=Parameter("index", 5.0, min=0.0, max=4.0))),
        ("GX-FIT-006", power_law().replace(datasets_names=["elsewhere"])),
    ],
)
def test_fits_that_cannot_start(code, model):
    with pytest.raises((FitError, ModelError)) as caught:
        Fit().run([toy_spectrum("wstat")], model)
    assert caught.value.code == code


def test_no_dataset_and_unknown_backend():
    with pytest.raises(FitError, match="GX-FIT-005"):
        Fit().run([], power_law())
    with pytest.raises(FitError, match="did you mean 'minuit'"):
        Fit(backend="miniut")


def test_a_sweep_of_values_bounds_names_and_data_compiles_once():
    """Same structure, other numbers and other names: one trace of the solver."""
    from gammax.fit._newton import _solve

    Fit().run([toy_spectrum("wstat")], power_law())
    compiled = _solve._cache_size()
    for seed in range(3):
        bounded = PowerLawSpectralModel(index=Parameter("index", 2.0 + 0.1 * seed, min=0.0), amplitude=AMPLITUDE)
        Fit().run([toy_spectrum("wstat", f"run {seed}", seed)], SkyModel(bounded, name=f"source {seed}"))
    assert _solve._cache_size() == compiled


def flat_spectrum(counts, off, alpha=0.2):
    """ON-OFF spectrum of the toy with other counts."""
    dataset = toy_spectrum("wstat")
    shape = dataset.counts.data.shape

    def as_map(like, values):
        return like.replace(data=np.array(values, dtype=float).reshape(shape))

    return dataset.replace(
        counts=as_map(dataset.counts, counts),
        counts_off=as_map(dataset.counts_off, off),
        acceptance_off=as_map(dataset.acceptance_off, np.full(9, 1.0 / alpha)),
    )


@pytest.mark.parametrize("backend", ["newton", "minuit"])
def test_a_source_that_empties_bins_has_no_error(backend):
    """ON 0 everywhere, OFF 10: the likelihood pushes the source to where nothing is expected. No 5.5 sigma deficit."""
    line = power_law().replace(spectral_model=power_law().spectral_model.freeze("index"))
    with pytest.warns(GammaxWarning, match="npred is not positive in"):
        result = Fit(backend=backend).run(flat_spectrum([0] * 9, [10] * 9), line)
    assert result.status == "at_bound"
    assert "nothing expected" in result.message
    assert np.isnan(result.errors).all()


def test_a_source_on_the_cash_wall_has_no_error():
    """A bin without counts and little background bounds a negative source; the wall's curvature is no error."""
    dataset = toy_spectrum("cash")
    shape = dataset.counts.data.shape
    counts = dataset.counts.replace(data=np.array([0.0] + [10.0] * 8).reshape(shape))
    background = dataset.background.replace(data=np.array([0.5] + [50.0] * 8).reshape(shape))
    line = power_law().replace(spectral_model=power_law().spectral_model.freeze("index"))
    with pytest.warns(GammaxWarning, match="npred is not positive in 1 bins"):
        result = Fit().run(dataset.replace(counts=counts, background=background), line)
    assert not result.success
    assert np.isnan(result.errors).all()


def test_a_source_that_is_not_there_ends_in_the_corner_of_empty_bins():
    """3 ON over 8 expected in one bin, nothing in the others: the minimum is the kink at zero, found and said."""
    line = power_law().replace(spectral_model=power_law().spectral_model.freeze("index"))
    with pytest.warns(GammaxWarning) as warned:
        result = Fit().run(flat_spectrum([3] + [0] * 8, [40] + [0] * 8), line)
    assert [str(warning.message) for warning in warned] == list(result.warnings)
    assert ["wstat is biased" in text for text in result.warnings] == [True, False]
    assert "less than one count is predicted in all datasets together of x" in result.warnings[1]
    assert result.status == "at_bound"
    assert result.values[0] == 0.0
    assert np.isnan(result.errors[0])


@pytest.mark.parametrize("backend", ["newton", "minuit"])
def test_degenerate_parameters_are_singular_for_every_backend(backend):
    models = Models([power_law("a"), power_law("b")]).freeze("a.spectral.index", "b.spectral.index")
    for chosen in (models, power_law().replace(spectral_model=power_law().spectral_model.unfreeze())):
        result = Fit(backend=backend).run(toy_spectrum("wstat", flux=1e-10), chosen)
        assert result.status == "singular"
        assert np.isnan(result.errors).any()


@pytest.mark.parametrize("backend", ["newton", "minuit"])
def test_a_held_parameter_is_as_good_as_frozen(backend):
    """min = max: the errors of the others are those with the parameter frozen."""
    held = PowerLawSpectralModel(index=Parameter("index", 2.4, min=2.4, max=2.4), amplitude=AMPLITUDE)
    frozen = PowerLawSpectralModel(index=2.4, amplitude=AMPLITUDE).freeze("index")
    result, want = (Fit(backend=backend).run(toy_spectrum("wstat"), SkyModel(m, name="x")) for m in (held, frozen))
    assert result.status == "ok"
    np.testing.assert_allclose(result.errors, [0.0, want.errors[0]], rtol=1e-5)


def test_an_error_band_at_a_bound_holds_the_parameter():
    best = Fit().run(toy_spectrum("wstat"), power_law())
    model = PowerLawSpectralModel(index=Parameter("index", 3.0, min=best.values[0] + 0.1), amplitude=AMPLITUDE)
    result = Fit().run(toy_spectrum("wstat"), SkyModel(model, name="x"))
    value, error = result.models.evaluate_error("x", "3 TeV")
    np.testing.assert_allclose(error / value, result.errors[1] / result.values[1], rtol=1e-9)


def test_datasets_of_one_name_are_refused():
    with pytest.raises(FitError, match="GX-FIT-008"):
        Fit().run([toy_spectrum("wstat"), toy_spectrum("wstat", seed=1)], power_law())
