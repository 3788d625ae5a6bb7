"""Every status that is not ok is provoked, no success there; good fits give no false alarm; warnings where due."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from derivatives import toy_spectrum
from gammax.datasets import Datasets
from gammax.errors import GammaxWarning
from gammax.fit import Fit
from gammax.fit._warnings import _is_thin
from gammax.models import LogParabolaSpectralModel, Models, Parameter, PowerLawSpectralModel, SkyModel
from gammax.stats import cash, wstat

AMPLITUDE = "1e-12 TeV-1 s-1 cm-2"
BACKENDS = ("newton", "minuit", "scipy", "optax")


def power_law(name="x", **values):
    return SkyModel(PowerLawSpectralModel(**{"index": 2.0, "amplitude": AMPLITUDE, **values}), name=name)


def fixed_line(name="x", **values):
    source = power_law(name, **values)
    return source.replace(spectral_model=source.spectral_model.freeze("index"))


def with_counts(dataset, counts, off=None, alpha=None):
    """The dataset with other counts."""

    def as_map(like, values):
        return like.replace(data=np.broadcast_to(values, like.data.size).astype(float).reshape(like.data.shape))

    dataset = dataset.replace(counts=as_map(dataset.counts, counts))
    if off is not None:
        dataset = dataset.replace(counts_off=as_map(dataset.counts_off, off))
    if alpha is not None:
        dataset = dataset.replace(acceptance_off=as_map(dataset.acceptance_off, 1.0 / alpha))
    return dataset


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("start", [{"amplitude": "1e300 TeV-1 s-1 cm-2"}, {"index": -800.0}])
def test_a_likelihood_that_is_not_finite_at_the_start_is_invalid_input(backend, start):
    """npred overflows: no exception, but which dataset, and which of its bins."""
    datasets = [toy_spectrum("cash", "a"), toy_spectrum("cash", "b")]
    result = Fit(backend=backend).run(datasets, power_law(**start))
    assert result.status == "invalid_input"
    assert not result.success
    assert "not finite in a (9 of 9 bins: 0, 1, 2, 3, 4 and 4 more); b (" in result.message
    assert np.isnan(result.errors).all()
    np.testing.assert_array_equal(result.values, [result.models.parameters[name].value for name in result.names])


@pytest.mark.parametrize("backend", BACKENDS)
def test_statuses_of_every_backend(backend):
    """at_bound, not_converged, no_data: none of them a success, and no error that does not exist."""
    spectrum = toy_spectrum("wstat")
    bounded = PowerLawSpectralModel(index=Parameter("index", 3.5, min=3.0), amplitude=AMPLITUDE)
    hasty = {"newton": {}, "minuit": {"tol": 1e8, "strategy": 0}, "scipy": {"maxiter": 1}}
    hasty["optax"] = {"optimizer": optax.sgd(1e-6)}
    impatient = Fit(backend, max_steps=1, backend_options=hasty[backend])
    cases = {
        "at_bound": (Fit(backend), spectrum, SkyModel(bounded, name="x")),
        "not_converged": (impatient, spectrum, power_law()),
        "no_data": (Fit(backend), with_counts(spectrum, 0, 0), power_law()),
    }
    for status, (fit, dataset, model) in cases.items():
        result = fit.run(dataset, model)
        assert (result.status, result.success) == (status, False)
        assert np.isnan(result.errors).all() if status != "at_bound" else np.isnan(result.errors[0])


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_singular_direction_is_named(backend):
    """The third status of every backend: two sources of one shape."""
    result = Fit(backend).run(toy_spectrum("wstat"), Models([fixed_line("a"), fixed_line("b")]))
    assert (result.status, result.success) == ("singular", False)
    assert "a.spectral.amplitude - b.spectral.amplitude" in result.message
    assert np.isnan(result.errors).all()


@pytest.mark.parametrize("statistic", ["cash", "wstat"])
def test_five_hundred_good_fits_give_no_false_alarm(statistic):
    """Two statistics: a thousand fits."""
    dataset, truth = toy_spectrum(statistic), power_law(index=2.5, amplitude="2e-12 TeV-1 s-1 cm-2")
    expected = np.asarray(dataset.npred_signal(Models(truth)).data).ravel()
    background = 0.3 * expected[0] * dataset.energy_axis.center_value("TeV") ** -1.8
    rng = np.random.default_rng(5)
    if statistic == "cash":
        dataset = dataset.replace(background=dataset.background.replace(data=background.reshape(-1, 1, 1)))
    for _ in range(500):
        off = rng.poisson(5 * background) if statistic == "wstat" else None
        result = Fit().run(with_counts(dataset, rng.poisson(expected + background), off), truth)
        assert result.success
        assert not result.warnings
        assert np.isfinite(result.errors).all()


@pytest.mark.data
def test_joint_crab_gives_no_false_alarm(data_dir):
    """Half of its bins have no OFF count, but not those with the signal."""
    spectra = Datasets.read(data_dir / "joint-crab" / "datasets.yaml").with_fit_range("0.03 TeV", "30 TeV")
    model = LogParabolaSpectralModel(amplitude="3.8e-11 TeV-1 s-1 cm-2", reference="1 TeV", alpha=2.5, beta=0.1)
    result = Fit().run(spectra, SkyModel(model, name="crab"))
    assert result.success
    assert not result.warnings


def test_biased_wstat_warns_once_for_all_datasets():
    """0.1 OFF and 1.2 signal counts per bin, alpha 1: 10 % too low in the table. Grouped, or at alpha 0.05: no word."""
    rng = np.random.default_rng(1)
    datasets = [toy_spectrum("wstat", name, n_reco=40) for name in ("a", "b", "c", "d")]
    thin = [with_counts(one, rng.poisson(1.3, 40), rng.poisson(0.1, 40), alpha=1.0) for one in datasets]
    with pytest.warns(GammaxWarning, match="group bins or model the background") as warned:
        result = Fit().run(thin, fixed_line())
    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert result.success
    assert result.warnings == (str(warned[0].message),)
    assert "biased in a, b, c and 1 more" in result.warnings[0]
    assert f"warning: {result.warnings[0]}" in repr(result)
    for good in (with_counts(thin[0], 13, 12), with_counts(thin[0], rng.poisson(1.3, 40), rng.poisson(0.1, 40), 0.05)):
        assert not Fit().run(good, fixed_line()).warnings


def test_a_thin_dataset_beside_a_good_one_does_not_bias_the_fit():
    rng = np.random.default_rng(1)
    thin = with_counts(toy_spectrum("wstat", "thin"), rng.poisson(1.3, 9), rng.poisson(0.1, 9), alpha=1.0)
    weak = thin.replace(exposure=thin.exposure.replace(data=thin.exposure.data * 0.01))
    assert not Fit().run([toy_spectrum("wstat", "good"), weak], fixed_line()).warnings


def test_a_source_without_a_count_is_named():
    """0.1 counts expected in two datasets; a source of 200 counts is not named."""
    datasets = [toy_spectrum("cash", "a"), toy_spectrum("cash", "b", seed=1)]
    unit = "TeV-1 s-1 cm-2"
    least = Parameter("amplitude", 6e-16, unit, min=5e-16, max=1e-15)
    faint = fixed_line("faint", amplitude=least)
    with pytest.warns(GammaxWarning, match=r"less than one count .* of faint \(0\.\d+\)$"):
        result = Fit().run(datasets, Models([power_law(), faint]))
    assert result.status == "at_bound"


def toys(alpha, off, signal, number, seed):
    """Mean amplitude and coverage of delta TS < 1 of 40 equal bins, for wstat and for cash with a known background."""
    rng = np.random.default_rng(seed)
    background = alpha * off
    n_on = rng.poisson(signal + background, (number, 40)).astype(float)
    n_off = rng.poisson(off, (number, 40)).astype(float)

    def fit(statistic, lowest):
        def halve(_, ends):
            middle = 0.5 * (ends[0] + ends[1])
            below = jax.grad(statistic)(middle) < 0
            return jnp.where(below, middle, ends[0]), jnp.where(below, ends[1], middle)

        best = jax.lax.fori_loop(0, 34, halve, (lowest, 8.0))[0]
        return best, statistic(1.0) - statistic(best) < 1.0

    def both(counts):
        on, off_counts = counts
        with_off = fit(lambda a: wstat(on, off_counts, alpha, a * signal).sum(), -3.0)
        known = fit(lambda a: cash(on, a * signal + background).sum(), -0.999 * background / signal)
        return *with_off, *known

    found = jax.jit(lambda counts: jax.lax.map(both, counts, batch_size=500))((n_on, n_off))
    return [float(np.mean(part)) for part in found]


def is_thin(alpha, off, signal):
    return bool(_is_thin(np.array([[1.0], [off], [signal], [alpha]]))[0])


@pytest.mark.slow
def test_the_wstat_warning_is_where_the_bias_is():
    """Own simulations: inside the trigger's region bias or loss of coverage are met, outside neither is.

    Bars: 1 % of bias and 0.02 of coverage, against a known background; 3 sigma of the 40 000 simulations on top.
    """
    biased = [(1, 0.1, 1.25), (1, 3, 5), (1, 1, 2.5), (0.5, 3, 1.25), (0.3, 3, 0.6), (0.2, 2, 0.6), (0.1, 2, 0.3)]
    good = [(1, 7, 2.5), (1, 10, 5), (1, 3, 10), (0.5, 3, 5), (0.3, 7, 1.25), (0.3, 1, 2.5), (0.1, 1, 1.25)]
    for alpha, off, signal in biased:
        best, covered, known, known_covered = toys(alpha, off, signal, 40_000, 7)
        assert is_thin(alpha, off, signal)
        assert abs(best - known) > 0.01 or known_covered - covered > 0.02
    for alpha, off, signal in good:
        best, covered, known, known_covered = toys(alpha, off, signal, 40_000, 7)
        assert not is_thin(alpha, off, signal)
        assert abs(best - known) < 0.01 + 3 * 0.002
        assert known_covered - covered < 0.02 + 3 * 0.0025
