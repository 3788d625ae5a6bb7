"""Priors and penalties in a likelihood and a fit: closed forms, derivatives, sweeps of widths, the peer's numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from derivatives import assert_derivative, fd_gradient, toy_spectrum
from gammax.errors import ModelError
from gammax.fit import Fit
from gammax.likelihood import Likelihood
from gammax.models import (
    GaussianPrior,
    GaussianPriorPenalty,
    GeneralizedGaussianPrior,
    LogNormalPrior,
    LogUniformPrior,
    Models,
    PowerLawSpectralModel,
    SkyModel,
    UniformPrior,
)

# no empty bins: they have corners, where finite differences mean nothing
DATASETS = [toy_spectrum("cash", "a", flux=4e-12), toy_spectrum("wstat", "b", seed=1, flux=2e-11)]


def source(name, index=2.4, amplitude="3e-12 TeV-1 s-1 cm-2", **options):
    return SkyModel(PowerLawSpectralModel(index=index, amplitude=amplitude), name=name, **options)


def bright(prior=None):
    """Fit of the norm of a source alone, its n counts, and S, those expected at 1e-9 TeV-1 s-1 cm-2."""
    spectrum = toy_spectrum("cash", flux=1e-9)
    spectrum = spectrum.replace(background=spectrum.background.replace(data=0.0 * spectrum.background.data))
    models = Models(source("x", amplitude="1e-9 TeV-1 s-1 cm-2")).freeze("x.spectral.index")
    models = models.with_prior("x.spectral.amplitude", prior)
    likelihood = Likelihood(spectrum, models)
    unit = float(np.sum(likelihood.npred(likelihood.theta0)["toy"]))
    return Fit().run(spectrum, models), float(np.sum(spectrum.counts.data)), unit


def test_gaussian_prior_on_a_norm():
    """S a - n ln a + (a - m)^2 / 2 s^2 is least at the positive root of a^2 + (S s^2 - m) a - n s^2 = 0; near to it is
    the mean of data and prior, each weighted by its precision.
    """
    m, s = 1.6, 0.02
    prior = GaussianPrior(1e-9 * m, 1e-9 * s)
    (free, n, unit), (result, *_) = bright(), bright(prior)
    b = unit * s**2 - m
    best = 0.5 * (-b + np.sqrt(b**2 + 4 * n * s**2))
    np.testing.assert_allclose(result.values, 1e-9 * best, rtol=1e-7)
    # half the second derivative of -2 ln L: n / a^2 + 1 / s^2
    np.testing.assert_allclose(result.errors, 1e-9 / np.sqrt(n / best**2 + 1 / s**2), rtol=1e-7)
    assert result.success
    weights = np.array([free.errors[0] ** -2, (1e-9 * s) ** -2])
    np.testing.assert_allclose(result.values[0], weights @ [free.values[0], 1e-9 * m] / weights.sum(), rtol=2e-3)
    np.testing.assert_allclose(result.errors[0], weights.sum() ** -0.5, rtol=3e-2)
    # -2 ln L of the data rises by 2 (S a - n ln a), and the prior is in the total
    least = n / unit
    rise = 2 * (unit * (best - least) - n * np.log(best / least))
    total = free.total_stat + rise + float(prior.statistic(result.values[0]))
    np.testing.assert_allclose(result.total_stat, total, rtol=1e-10)


def test_what_the_data_do_not_know_stays_at_its_prior():
    """A source that is nearly nothing: index and error of the prior."""
    models = Models([source("a"), source("b", amplitude="1e-30 TeV-1 s-1 cm-2")]).freeze("b.spectral.amplitude")
    result = Fit().run(DATASETS[:1], models.with_prior("b.spectral.index", GaussianPrior(1.9, 0.12)))
    assert result.success
    np.testing.assert_allclose([result.values[-1], result.errors[-1]], [1.9, 0.12], rtol=1e-6)


def test_a_box_is_a_bound():
    models = Models(source("a")).with_prior("a.spectral.index", UniformPrior(1.0, 2.0))
    result = Fit().run(DATASETS[:1], models.with_values({"a.spectral.index": 1.5}))
    assert (result.status, result.values[0]) == ("at_bound", 2.0)
    with pytest.raises(ModelError, match="GX-FIT-004"):
        Likelihood(DATASETS, models)


ALL = {
    "a.spectral.index": GaussianPrior(2.2, 0.1, weight=0.8),
    "a.spectral.amplitude": LogUniformPrior(1e-13, 1e-11),
    "a.spectral.reference": GaussianPrior(1.1, 0.2),
    "b.spectral.index": GeneralizedGaussianPrior(2.0, 0.3, 0.3),
    "b.spectral.amplitude": LogNormalPrior(-26.0, 0.5),
}


def everything():
    """Two sources, all kinds of priors, one of a frozen parameter, and a penalty."""
    models = Models([source("a", datasets_names="a"), source("b", datasets_names="b")])
    for name, prior in ALL.items():
        models = models.with_prior(name, prior)
    names = ["a.spectral.index", "b.spectral.index", "b.spectral.reference"]
    covariance = [[0.01, 0.002, 0.0], [0.002, 0.02, 0.003], [0.0, 0.003, 0.03]]
    return models.with_penalties(GaussianPriorPenalty(names, [2.0, 2.1, 1.1], covariance, lambda_=0.7))


def test_value_and_derivatives():
    """Sum of all terms, and exact gradient and Hessian; the Fisher matrix gains the curvatures that are positive."""
    models = everything()
    likelihood = Likelihood(DATASETS, models)
    values = {name: float(p.value) for name, p in models.parameters.items()}
    terms = sum(float(prior.statistic(values[name])) for name, prior in ALL.items())
    penalty = models.penalties[0]
    terms += float(penalty.statistic(np.array([values[name] for name in penalty.parameters])))
    np.testing.assert_allclose(likelihood.prior_stat(likelihood.theta0), terms, rtol=1e-13)
    parts = sum(likelihood.statistic_by_dataset(likelihood.theta0).values())
    np.testing.assert_allclose(likelihood(likelihood.theta0), parts + terms, rtol=1e-13)
    assert "5 priors, 1 penalties" in repr(likelihood)

    theta = np.asarray(likelihood.theta0) * 1.01
    found = likelihood.derivatives(theta)
    assert_derivative(found.gradient, fd_gradient(likelihood, theta), 1e-6)
    assert_derivative(found.hessian, fd_gradient(lambda x: likelihood.derivatives(x).gradient, theta), 1e-6)
    np.testing.assert_allclose(found.value, likelihood(theta), rtol=1e-14)
    np.testing.assert_allclose(likelihood.fisher(theta), found.fisher, rtol=1e-12)
    bare = Likelihood(DATASETS, models.with_penalties().map_parameters(lambda _, p: p.replace(prior=None)))
    gained, curved = found.fisher - bare.fisher(theta), found.hessian - bare.derivatives(theta).hessian
    # of the log-uniform prior it is -2 / a^2, and does not count
    np.testing.assert_allclose(gained[1, 1], 0.0, atol=1e-9)
    assert curved[1, 1] < 0
    np.testing.assert_allclose(np.delete(gained, 1, 0), np.delete(curved, 1, 0), rtol=1e-6, atol=1e-6)


def test_backends_agree():
    newton, minuit = (Fit(backend).run(DATASETS, everything()) for backend in ("newton", "minuit"))
    assert newton.success
    assert minuit.success
    np.testing.assert_allclose(minuit.total_stat, newton.total_stat, atol=1e-5)
    np.testing.assert_allclose((minuit.values - newton.values) / newton.errors, 0.0, atol=3e-3)
    np.testing.assert_allclose(minuit.errors, newton.errors, rtol=1e-3)
    assert str(newton.models.parameters["a.spectral.index"].prior) == "GaussianPrior(mu=2.2, sigma=0.1, weight=0.8)"
    assert newton.models.penalties[0].parameters == everything().penalties[0].parameters


def test_linked_parameters_count_once():
    """They are one parameter; Gammapy 2.1 adds the prior of a linked parameter once for each model."""
    prior = GaussianPrior(2.0, 0.1)
    models = Models([source("a"), source("b")]).link("index", "a.spectral.index", "b.spectral.index")
    likelihood = Likelihood(DATASETS, models.with_prior("b.spectral.index", prior))
    np.testing.assert_allclose(likelihood.prior_stat(likelihood.theta0), prior.statistic(2.4), rtol=1e-14)


def test_the_prior_of_linked_parameters_goes_by_either_name():
    models = Models([source("a"), source("b")]).link("index", "a.spectral.index", "b.spectral.index")
    likelihood = Likelihood(DATASETS, models.with_prior("a.spectral.index", GaussianPrior(2.0, 0.1)))
    by_name = [likelihood.with_prior(f"{n}.spectral.index", GaussianPrior(2.0, 0.3))(likelihood.theta0) for n in "ab"]
    assert by_name[0] == by_name[1] != likelihood(likelihood.theta0)


def test_widths_are_swept_without_compiling_anew():
    traces = []

    @jax.jit
    def statistic(likelihood, theta):
        traces.append(1)
        return likelihood(theta)

    models, sigmas = everything(), np.array([0.05, 0.1, 0.4])
    likelihood = Likelihood(DATASETS, models)
    theta = likelihood.theta0
    others = [
        Likelihood(DATASETS, models.with_prior("a.spectral.index", GaussianPrior(2.2, s, weight=0.8))) for s in sigmas
    ]
    one_by_one = np.array([statistic(other, theta) for other in others])
    assert len(traces) == 1
    swept = jax.vmap(lambda s: likelihood.with_prior("a.spectral.index", GaussianPrior(2.2, s, weight=0.8))(theta))
    np.testing.assert_allclose(swept(jnp.asarray(sigmas)), one_by_one, rtol=1e-14)
    want = -1.6 * scipy.stats.norm.logpdf(2.4, 2.2, sigmas)
    np.testing.assert_allclose(np.diff(one_by_one), np.diff(want), rtol=1e-9)
    stronger = eqx.tree_at(lambda own: own.problem.penalties[-1].lambda_, likelihood, jnp.asarray(1.4))
    assert statistic(stronger, theta) > statistic(likelihood, theta)


@pytest.mark.parametrize(
    ("name", "prior", "code"),
    [
        ("a.spectral.indx", GaussianPrior(2.0, 0.1), "GX-MODEL-116"),
        ("a.spectral.reference", GaussianPrior(2.0, 0.1), "GX-MODEL-116"),
        ("a.spectral.index", UniformPrior(1.0, 3.0), "GX-MODEL-117"),
        ("b.spectral.index", GaussianPrior(2.0, 0.1), "GX-MODEL-117"),
    ],
)
def test_priors_that_cannot_be_exchanged(name, prior, code):
    with pytest.raises(ModelError, match=code):
        Likelihood(DATASETS, everything()).with_prior(name, prior)


def test_in_a_corner_there_is_no_error():
    """A Laplace prior that outweighs the data holds the index exactly; a wider one lets it go."""
    models = Models(source("a"))
    held = Fit().run(DATASETS[:1], models.with_prior("a.spectral.index", GeneralizedGaussianPrior(2.3, 0.01, 1.0)))
    assert held.status == "at_bound"
    np.testing.assert_allclose(held.values[0], 2.3, atol=1e-9)
    assert np.isnan(held.errors[0])
    assert held.errors[1] > 0
    wide = Fit().run(DATASETS[:1], models.with_prior("a.spectral.index", GeneralizedGaussianPrior(2.3, 1.0, 1.0)))
    assert wide.success
    assert abs(wide.values[0] - 2.3) > 1e-3


@pytest.mark.parametrize("eta", [0.3, 0.4, 0.7, 0.9])
def test_a_curvature_of_nothing_or_without_end_is_no_error(eta):
    """At its centre a generalised Gaussian bends by 0 or infinity: 2 p (p - 1) x^(p - 2), p = 1 / eta. Where it holds
    what the data leave open there is no error; where data outweigh it, and do not end in its centre, theirs stands."""
    open_index = Models([source("a"), source("b", amplitude="1e-30 TeV-1 s-1 cm-2")]).freeze("b.spectral.amplitude")
    held = Fit().run(DATASETS[:1], open_index.with_prior("b.spectral.index", GeneralizedGaussianPrior(1.9, 0.12, eta)))
    assert held.status == "at_bound"
    np.testing.assert_allclose(held.values[-1], 1.9, atol=1e-3)
    assert np.isnan(held.errors[-1])
    assert np.all(held.errors[:-1] > 0)
    bare = Fit().run(DATASETS[:1], Models(source("a")))
    prior = GeneralizedGaussianPrior(bare.values[0] + 0.7 * bare.errors[0], 50.0 * bare.errors[0], eta)
    wide = Fit().run(DATASETS[:1], Models(source("a")).with_prior("a.spectral.index", prior))
    # |x - mu| is 0.014 sigma
    assert wide.status == "ok"
    np.testing.assert_allclose(wide.errors, bare.errors, rtol=2e-3)


def test_a_box_wider_than_the_error_changes_nothing():
    """At its very centre too."""
    bare = Fit().run(DATASETS[:1], Models(source("a")))
    prior = GeneralizedGaussianPrior(bare.values[0], 5.0 * bare.errors[0], 0.3)
    boxed = Fit().run(DATASETS[:1], Models(source("a")).with_prior("a.spectral.index", prior))
    assert boxed.status == "ok"
    np.testing.assert_allclose(boxed.errors, bare.errors, rtol=1e-4)
