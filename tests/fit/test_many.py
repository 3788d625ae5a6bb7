"""Thousands of fits at once: each is the fit that `Fit.run` makes, and none spoils another."""

import os
import signal
import time
import warnings

import equinox as eqx
import numpy as np
import pytest
from jax import Array

from derivatives import toy_spectrum
from gammax.errors import FitError
from gammax.fit import Fit, fit_many
from gammax.fit.batches import _fit_many
from gammax.fit.batches._judge import AT_BOUND, NOT_CONVERGED, OK, judge_many, messages_of
from gammax.fit.batches._many import solve_many
from gammax.fit.batches._result import Frame
from gammax.fit.batches._store import Finished
from gammax.fit.batches._sweep import Plan, blank, run_plan
from gammax.likelihood import Likelihood
from gammax.models import GeneralizedGaussianPrior, Models, Parameter, PowerLawSpectralModel, SkyModel
from gammax.stats import chi2

AMPLITUDE = "1e-12 TeV-1 s-1 cm-2"
INDEX = "x.spectral.index"
K = 6


def power_law(name="x", **values):
    return SkyModel(PowerLawSpectralModel(**{"index": 2.0, "amplitude": AMPLITUDE, **values}), name=name)


def toys(number=K, first=0, **options):
    """Spectra with other ON and OFF counts, and those counts (K, R)."""
    spectra = [toy_spectrum("wstat", "toy", seed, **options) for seed in range(first, first + number)]
    return spectra, {
        name: np.array([getattr(d, name).values().ravel() for d in spectra]) for name in ("counts", "counts_off")
    }


def run(datasets, models):
    """A fit of its own, whose warnings are not the point."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Fit().run(datasets, models)


def assert_same_fit(results, k, alone):
    """The same minimum: 1e-5 sigma, errors and statistic to rounding."""
    assert results.status[k] == alone.status
    np.testing.assert_allclose(results.total_stat[k], alone.total_stat, rtol=1e-9, atol=1e-9)
    sigma = np.where(alone.errors > 0, alone.errors, np.abs(alone.values) + 1e-300)
    np.testing.assert_allclose((results.values[k] - alone.values) / sigma, 0.0, atol=1e-5)
    np.testing.assert_allclose(results.errors[k], alone.errors, rtol=1e-5)


@pytest.fixture(scope="module")
def likelihood():
    return Likelihood([toy_spectrum("wstat")], power_law())


def test_solve_many_finds_what_one_fit_finds(likelihood):
    """From K starts, and under K pairs of bounds; chunks make no difference."""
    problem, theta = likelihood.problem, np.asarray(likelihood.theta0)
    alone = run([toy_spectrum("wstat")], power_law())
    starts = theta * np.array([[1.0, 1.0], [0.8, 3.0], [1.2, 0.3]])
    solved = solve_many(problem, starts, problem.lower, problem.upper)
    assert solved.converged.all()
    errors = alone.errors / problem.scale
    np.testing.assert_allclose((solved.theta - alone.values / problem.scale) / errors, np.zeros((3, 2)), atol=1e-5)
    np.testing.assert_allclose(
        solved.covariance[1] * np.outer(problem.scale, problem.scale), alone.covariance, rtol=1e-4
    )
    held = alone.values[0] + alone.errors[0] * np.linspace(-1, 1, 5)
    lower, upper = (np.tile(np.asarray(bound), (5, 1)) for bound in (problem.lower, problem.upper))
    lower[:, 0] = upper[:, 0] = held
    profile = solve_many(problem, theta, lower, upper)
    np.testing.assert_array_equal(profile.theta[:, 0], held)
    np.testing.assert_array_equal(profile.active, np.tile([True, False], (5, 1)))
    # the profile of a nearly quadratic statistic rises by 1 within 1 sigma
    np.testing.assert_allclose(profile.value - alone.total_stat, [1, 0.25, 0, 0.25, 1], atol=0.06)
    again = solve_many(problem, theta, lower, upper, chunk=2)
    np.testing.assert_allclose(again.value, profile.value, rtol=1e-12)


def test_other_counts(likelihood):
    """Each member is the fit that its dataset gets alone."""
    spectra, counts = toys()
    results = fit_many(likelihood, {"toy": counts}, models=Models(power_law()))
    assert len(results) == K
    assert results.success.all()
    for k, dataset in enumerate(spectra):
        alone = run([dataset], power_law())
        assert_same_fit(results, k, alone)
        assert 1 < results.n_steps[k] <= alone.n_steps
    mine, alone = results[2], run([spectra[2]], power_law())
    np.testing.assert_allclose(mine.models["x"].spectral_model.index.value, alone.values[0], rtol=1e-5)
    np.testing.assert_allclose(mine.models.errors, alone.models.errors, rtol=1e-5)
    assert "index" in repr(mine)


def test_a_bad_member_spoils_no_other(likelihood):
    _, counts = toys()
    good = fit_many(likelihood, {"toy": counts})
    counts["counts"][1, 3] = np.nan
    counts["counts_off"][2, 0] = -1.0
    counts["counts"][3], counts["counts_off"][3] = 0.0, 0.0
    results = fit_many(likelihood, {"toy": counts})
    assert list(results.status) == ["ok", "invalid_input", "invalid_input", "no_data", "ok", "ok"]
    assert np.isnan(results.errors[1:4]).all()
    np.testing.assert_array_equal(results.values[[0, 4, 5]], good.values[[0, 4, 5]])
    assert "no count" in results.messages[3]


def test_held_parameters(likelihood):
    """Held: value exact, error 0, the others as when it is frozen; beyond its bounds it is invalid input."""
    values = np.array([1.9, 2.4, np.nan])
    results = fit_many(likelihood, held={INDEX: values})
    assert list(results.status) == ["ok", "ok", "invalid_input"]
    np.testing.assert_array_equal(results.values[:2, 0], values[:2])
    np.testing.assert_array_equal(results.errors[:2, 0], 0.0)
    frozen = SkyModel(power_law(index=2.4).spectral_model.freeze("index"), name="x")
    alone = run([toy_spectrum("wstat")], frozen)
    np.testing.assert_allclose(results.values[1, 1], alone.values[0], rtol=1e-5)
    np.testing.assert_allclose(results.errors[1, 1], alone.errors[0], rtol=1e-5)
    one = fit_many(likelihood, theta0=np.tile(likelihood.theta0, (2, 1)), held={INDEX: 2.4})
    np.testing.assert_allclose(one.total_stat, results.total_stat[1], rtol=1e-12)


NARROW = Parameter("index", 2.0, min=1.9, max=2.1)


@pytest.mark.parametrize(
    ("flux", "model"),
    [(1e-12, power_law(index=NARROW)), (1e-14, SkyModel(power_law().spectral_model.freeze("index"), name="x"))],
    ids=["bounds in the way", "corner at zero"],
)
@pytest.mark.filterwarnings("ignore::gammax.errors.GammaxWarning")
def test_statuses_are_those_of_single_fits(flux, model):
    """Where OFF counts are few the minimum of a source that is not there is a corner at 0; a single fit that ends at
    the wall of an empty bin finds the corner beside it, too."""
    spectra, counts = toys(12, flux=flux, n_reco=4)
    models = Models(model)
    results = fit_many(Likelihood(spectra[:1], models), {"toy": counts}, models=models)
    alone = [run([dataset], models) for dataset in spectra]
    assert [one.status for one in alone] == list(results.status)
    assert "at_bound" in results.status
    for k, one in enumerate(alone):
        assert results.messages[k] == one.message
        assert results.warnings[k] == one.warnings
        np.testing.assert_allclose(results.total_stat[k], one.total_stat, atol=1e-6)
        np.testing.assert_array_equal(np.isnan(results.errors[k]), np.isnan(one.errors))


@pytest.mark.filterwarnings("ignore::gammax.errors.GammaxWarning")
def test_a_corner_where_the_index_is_open_is_left_again():
    """The first of these ends in the corner after some steps of a batch, with an index by which it could leave it."""
    spectra, counts = toys(6, flux=1e-13, first=265)
    results = fit_many(Likelihood(spectra[:1], power_law()), {"toy": counts})
    alone = [run([dataset], power_law()) for dataset in spectra]
    assert list(results.status) == [one.status for one in alone]
    assert alone[0].n_steps > 25
    np.testing.assert_allclose(results.total_stat[0], alone[0].total_stat, atol=1e-8)


def test_a_parameter_in_the_corner_of_its_prior_is_at_no_bound():
    """Unless it is at one; a corner at zero is one."""
    theta, yes = np.array([[2.0, 3.0], [1.0, 0.0]]), np.ones((2, 2), bool)
    solved = blank(2, 2)._replace(theta=theta, active=yes, flatness=np.ones((2, 2)))
    lower, upper = np.full((2, 2), -9.0), np.array([[9.0, 3.0], [1.0, 9.0]])
    frame = Frame(("a", "b"), ("", ""), np.ones(2))
    messages = messages_of(np.full(2, AT_BOUND), solved, lower, upper, frame)
    assert messages == ["at a bound: b; in a corner of its prior: a", "at a bound: a, b"]


@pytest.mark.parametrize("eta", [0.7, 1.0, 2.0])
def test_a_prior_may_have_its_corner_at_zero(eta):
    """As the single fit says; what the data do not touch is there to the last bit."""
    models = Models([power_law(), power_law("y", amplitude="0 TeV-1 s-1 cm-2", index=0.0)])
    models = models.freeze("y.spectral.amplitude")
    models = models.with_prior("y.spectral.index", GeneralizedGaussianPrior(0.0, 0.12, eta))
    spectra, counts = toys(2)
    results = fit_many(Likelihood(spectra[:1], models), {"toy": counts})
    alone = run([spectra[1]], models)
    assert results.messages[1] == alone.message == "in a corner of its prior: y.spectral.index"


def test_what_has_not_converged_says_why():
    """In the words of a single fit."""
    edm = np.array([3.0, 1e-12, np.nan])
    solved = blank(3, 1)._replace(edm=edm, n_steps=np.array([9, 8, 7]))
    bound, frame = np.zeros((3, 1)), Frame(("a",), ("",), np.ones(1), tolerance=1e-10)
    assert messages_of(np.full(3, NOT_CONVERGED), solved, bound, bound, frame) == [
        "stopped after 9 steps with edm 3.0e+00",
        "stopped after 8 steps with edm 1.0e-12 at a saddle, from which the statistic falls",
        "stopped after 7 steps where the curvature of the statistic is not finite",
    ]


def test_identical_sources_are_singular():
    spectra, counts = toys(2)
    twins = Models([SkyModel(power_law().spectral_model.freeze("index"), name=name) for name in "ab"])
    results = fit_many(Likelihood(spectra[:1], twins), {"toy": counts})
    assert set(results.status) == {"singular"}
    assert np.isnan(results.errors).all()
    assert "a.spectral.amplitude - b.spectral.amplitude" in results.messages[0]


def test_step_limit_is_told(likelihood):
    results = fit_many(likelihood, {"toy": toys(2)[1]}, max_steps=1)
    assert set(results.status) == {"not_converged"}
    assert np.isnan(results.errors).all()
    assert not results.success.any()


def test_one_of_two_datasets_varies():
    """A joint fit, other counts for one of them, known background."""
    first, second = toy_spectrum("cash", "a"), toy_spectrum("cash", "b", seed=1)
    others = [toy_spectrum("cash", "b", seed=seed) for seed in (2, 3)]
    counts = np.array([dataset.counts.values().ravel() for dataset in others])
    results = fit_many(Likelihood([first, second], power_law()), {"b": counts})
    for k, other in enumerate(others):
        assert_same_fit(results, k, run([first, other], power_law()))


class Points(eqx.Module):
    """Measured fluxes."""

    name: str = eqx.field(static=True)
    energy: Array
    flux: Array

    def npred(self, models):
        return 1e12 * models["x"].spectral_model.dnde(self.energy)

    def statistic(self, npred):
        return chi2(self.flux, npred, 0.1)

    def with_data(self, values):
        return Points(self.name, self.energy, values)


def test_data_of_your_own():
    """Other points in the place of the measured ones, beside a spectrum that stays."""
    points = Points("points", np.array([1.0, 3.0]), np.array([1.0, 0.2]))
    others = np.array([[1.1, 0.1], [0.9, 0.3]])
    spectrum = toy_spectrum("wstat")
    results = fit_many(Likelihood([spectrum, points], power_law()), {"points": others})
    for k, values in enumerate(others):
        assert_same_fit(results, k, run([spectrum, points.with_data(values)], power_law()))


def test_results(likelihood):
    results = fit_many(likelihood, {"toy": toys()[1]})
    assert f"{K} fits, {K} ok" in repr(results)
    np.testing.assert_array_equal(
        results.value("x.spectral.amplitude").to_value("TeV-1 s-1 cm-2"), results.values[:, 1]
    )
    np.testing.assert_allclose(results.pulls(INDEX, 2.0), (results.values[:, 0] - 2) / results.errors[:, 0], rtol=1e-12)
    table = results.to_table()
    assert len(table) == K
    np.testing.assert_array_equal(table[f"{INDEX}_err"], results.error(INDEX))
    np.testing.assert_allclose(results.summary()["mean"], results.values.mean(axis=0), rtol=1e-12)
    some = results[[4, 1]]
    np.testing.assert_array_equal(some.values, results.values[[4, 1]])
    assert len(results[results.total_stat < 0]) == 0
    assert "nan" in repr(results[:0])
    axes = results.plot(INDEX)
    assert axes.get_xlabel() == INDEX
    axes.figure.clear()
    assert "pull" in results.plot(INDEX, truth=2.5).get_xlabel()


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("GX-FIT-302", {"held": {"x.spectral.indx": 2.0}}),
        ("GX-FIT-303", {}),
        ("GX-FIT-303", {"held": {INDEX: 2.0}}),
        ("GX-FIT-304", {"data": {"toy": np.ones((3, 9))}, "held": {INDEX: np.ones(2)}}),
        ("GX-FIT-305", {"theta0": np.ones(2)}),
        ("GX-FIT-306", {"data": {"other": np.ones((3, 9))}}),
        ("GX-FIT-307", {"data": {"toy": {"count": np.ones((3, 9))}}}),
        ("GX-FIT-308", {"data": {"toy": np.ones((3, 8))}}),
        ("GX-FIT-308", {"data": {"toy": 5.0}}),
        ("GX-FIT-303", {"data": {"toy": np.ones((0, 9))}}),
        ("GX-FIT-305", {"held": {INDEX: np.ones((3, 1))}}),
        ("GX-FIT-319", {"held": {INDEX: [2.0]}, "chunk": -1}),
        ("GX-FIT-319", {"held": {INDEX: [2.0]}, "tolerance": np.nan}),
        ("GX-FIT-319", {"held": {INDEX: [2.0]}, "tolerance": np.inf}),
        ("GX-FIT-320", {"held": {INDEX: [2.0]}, "models": power_law("y")}),
    ],
)
def test_what_cannot_be_a_batch(likelihood, code, arguments):
    with pytest.raises(FitError) as raised:
        fit_many(likelihood, **arguments)
    assert raised.value.code == code


def test_models_are_asked_for(likelihood):
    results = fit_many(likelihood, held={INDEX: [2.0, 2.1]})
    with pytest.raises(FitError) as raised:
        results[0]
    assert raised.value.code == "GX-FIT-301"


def test_thousand_members_are_judged_in_a_moment():
    """Statuses, errors and messages of 1000 members take far less than their fits, 50 ms."""
    solved = blank(1000, 5)._replace(
        converged=np.ones(1000, bool), value=np.zeros(1000), gradient=np.zeros((1000, 5)), flatness=np.ones((1000, 5))
    )
    begun = time.perf_counter()
    status, _ = judge_many(solved, np.zeros((1000, 5), bool), np.full(1000, OK))
    assert time.perf_counter() - begun < 0.05
    assert set(status) == {OK}


def numbered(rows):
    """Minima that are known by their numbers."""
    return Finished(blank(len(rows), 1)._replace(value=rows.astype(float)))


def with_signals(function):
    """Its result, where a process that was started in the background may ignore the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return function()
    finally:
        signal.signal(signal.SIGINT, before)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)


def test_ctrl_c_returns_what_is_finished():
    def solve(rows):
        if rows[0] == 4:
            interrupt()
        return numbered(rows)

    solved, done, _ = with_signals(lambda: run_plan(Plan(7, 1, 2, solve)))
    np.testing.assert_array_equal(done, np.arange(7) < 4)
    np.testing.assert_array_equal(solved.value[done], [0, 1, 2, 3])
    assert np.isnan(solved.value[~done]).all()


def test_ctrl_c_while_warnings_are_found(likelihood, monkeypatch):
    """All fits are there, without warnings."""
    monkeypatch.setattr(_fit_many, "warnings_of", lambda *_: interrupt())
    results = with_signals(lambda: fit_many(likelihood, held={INDEX: [2.0, 2.1]}))
    assert results.success.all()
    assert results.warnings == ((), ())
