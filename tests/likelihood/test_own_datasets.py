"""Data of the user's own in a likelihood: X-ray points, upper limits, profiles, correlated points."""

import threading

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.units import Quantity
from jax import Array
from scipy.optimize import minimize
from scipy.special import log_ndtr

from cubes import make_cube
from derivatives import assert_derivative, fd_gradient, toy_spectrum
from gammax.datasets import Dataset, Datasets
from gammax.errors import FitError, GammaxWarning, SchemaError
from gammax.estimators import FluxPointsEstimator
from gammax.fit import Fit
from gammax.fit._fit import FitResult
from gammax.likelihood import Likelihood
from gammax.likelihood._likelihood import _statistic
from gammax.models import (
    GaussianPrior,
    Models,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
)
from gammax.stats import chi2

CRAB = SkyModel(PowerLawSpectralModel(index=2.2, amplitude="1.5e-12 TeV-1 s-1 cm-2"), name="x")
PLACE = PointSpatialModel(lon_0="83.63 deg", lat_0="22.01 deg")
# 1 to 10 keV, a spectrum that the power law of the toy meets there within some 10 %
ENERGY = np.geomspace(1e-9, 1e-8, 6)
FLUX = 2e-12 * ENERGY**-2.5 * np.array([1.05, 0.93, 1.02, 1.1, 0.97, 0.9])
ERROR = 0.1 * FLUX


class Points(eqx.Module):
    """Fluxes with Gaussian errors; where `limit`, upper limits of that width."""

    name: str = eqx.field(static=True)
    energy: Array
    flux: Array
    error: Array
    limit: Array

    def npred(self, models):
        return models["x"].spectral_model.dnde(self.energy)

    def statistic(self, npred):
        below = -2.0 * jax.scipy.special.log_ndtr((self.flux - npred) / self.error)
        return jnp.where(self.limit, below, chi2(self.flux, npred, self.error))

    def with_data(self, values):
        return eqx.tree_at(lambda own: own.flux, self, values)


def xray(name="xray", flux=FLUX, n_limits=2):
    return Points(name, ENERGY, flux, ERROR, np.arange(6) >= 6 - n_limits)


def test_the_protocol_is_what_it_says():
    assert isinstance(xray(), Dataset)
    assert not isinstance(toy_spectrum("wstat"), Dataset)
    assert not isinstance(CRAB, Dataset)


@pytest.fixture(scope="module")
def joint() -> FitResult:
    return Fit().run([toy_spectrum("wstat"), xray()], CRAB)


def test_points_and_limits_join_a_spectrum(joint):
    """The statistic, added up by hand in numpy, and its minimum by scipy's simplex."""
    spectrum = Likelihood(toy_spectrum("wstat"), CRAB)

    def by_hand(values):
        index, amplitude = values[0], values[1] * 1e-12
        pull = (FLUX - amplitude * ENERGY**-index) / ERROR
        own = np.where(np.arange(6) >= 4, -2.0 * log_ndtr(pull), pull**2).sum()
        return float(spectrum(jnp.array([index, amplitude / 1e-12]))) + own

    likelihood = Likelihood([toy_spectrum("wstat"), xray()], CRAB)
    theta = likelihood.theta0
    assert float(likelihood(theta)) == pytest.approx(by_hand(theta), rel=1e-12)
    parts = likelihood.statistic_by_dataset(theta)
    assert float(parts["toy"]) == pytest.approx(float(spectrum(theta)), rel=1e-13)
    np.testing.assert_allclose(sum(parts.values()), likelihood(theta), rtol=1e-14)
    np.testing.assert_allclose(likelihood.npred(theta)["xray"], 1.5e-12 * ENERGY**-2.2, rtol=1e-13)
    assert joint.status == "ok"
    found = minimize(by_hand, [2.5, 1.8], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10})
    assert joint.total_stat == pytest.approx(found.fun, abs=1e-7)
    np.testing.assert_allclose(joint.values / [1.0, 1e-12], found.x, rtol=1e-5)
    alone = Fit().run(toy_spectrum("wstat"), CRAB)
    assert joint.errors[0] < 0.1 * alone.errors[0]


@pytest.mark.parametrize("n_limits", [0, 2])
def test_derivatives_are_exact(n_limits):
    likelihood = Likelihood(xray(n_limits=n_limits), CRAB)
    gradient, hessian = jax.jit(jax.grad(likelihood)), jax.jit(jax.hessian(likelihood))
    for theta in (np.array([2.5, 1.8]), np.array([2.6, 2.4])):
        found = likelihood.derivatives(theta)
        assert_derivative(found.gradient, fd_gradient(likelihood, theta, 1e-4), 1e-6)
        assert_derivative(found.gradient, gradient(theta), 1e-10)
        assert_derivative(found.hessian, fd_gradient(gradient, theta, 1e-4), 1e-6)
        assert_derivative(found.hessian, hessian(theta), 1e-10)
        assert np.linalg.eigvalsh(found.fisher)[0] > 0


class Number(eqx.Module):
    """A parameter, measured elsewhere: any profile of it."""

    name: str = eqx.field(static=True)
    parameter: str = eqx.field(static=True)
    profile: object = eqx.field(static=True)
    best: Array
    error: Array

    def npred(self, models):
        return models.parameters[self.parameter].value

    def statistic(self, npred):
        return self.profile((npred - self.best) / self.error)


def test_a_quadratic_profile_is_a_gaussian_prior():
    """The same slope and curvature, so the same minimum and error; the value differs by the constant 2 ln(sigma
    sqrt(2 pi)) of the density."""
    index = "x.spectral.index"
    profile = Number("elsewhere", index, jnp.square, np.array(2.1), np.array(0.05))
    spectrum = toy_spectrum("wstat")
    by_profile = Likelihood([spectrum, profile], CRAB)
    by_prior = Likelihood(spectrum, Models(CRAB).with_prior(index, GaussianPrior(2.1, 0.05)))
    theta = np.array([2.3, 1.4])
    one, other = by_profile.derivatives(theta), by_prior.derivatives(theta)
    for part in ("gradient", "hessian", "fisher"):
        np.testing.assert_allclose(getattr(one, part), getattr(other, part), rtol=1e-11)
    constant = 2.0 * np.log(0.05 * np.sqrt(2.0 * np.pi))
    assert float(other.value - one.value) == pytest.approx(constant, abs=1e-9)


def test_two_quadratic_profiles_meet_at_their_weighted_mean():
    """Closed form: mean (m1 / s1^2 + m2 / s2^2) s^2 with 1 / s^2 = 1 / s1^2 + 1 / s2^2."""
    one, other = (
        Number(name, "x.spectral.index", jnp.square, np.array(best), np.array(error))
        for name, best, error in (("one", 2.0, 0.1), ("other", 2.3, 0.2))
    )
    result = Fit().run([one, other], Models(CRAB).freeze("x.spectral.amplitude"))
    assert result.status == "ok"
    assert result.values[0] == pytest.approx((2.0 / 0.01 + 2.3 / 0.04) / 125.0, abs=1e-12)
    assert result.errors[0] == pytest.approx(125.0**-0.5, rel=1e-10)
    # the amplitude, of which these data know nothing, is not made up
    with pytest.warns(GammaxWarning, match="less than one count"):
        assert Fit().run([one, other], CRAB).status == "singular"


def test_curvature_that_is_negative_is_left_out_of_the_fisher_matrix():
    """A Cauchy profile, ln(1 + x^2), is concave beyond x = 1: exact Hessian below 0, Fisher matrix 0."""
    cauchy = Number("heavy", "x.spectral.index", _cauchy, np.array(2.0), np.array(0.1))
    likelihood = Likelihood(cauchy, Models(CRAB).freeze("x.spectral.amplitude"))
    near, far = (likelihood.derivatives(np.array([index])) for index in (2.05, 2.2))
    # d2/dx2 of 2 ln(1 + x^2) = 4 (1 - x^2) / (1 + x^2)^2, over the error squared
    assert float(near.fisher[0, 0]) == pytest.approx(4 * 0.75 / 1.25**2 / 0.01, rel=1e-12)
    assert float(far.hessian[0, 0]) == pytest.approx(4 * -3.0 / 25.0 / 0.01, rel=1e-12)
    assert float(far.fisher[0, 0]) == 0.0


def _cauchy(x):
    return 2.0 * jnp.log1p(x**2)


class Correlated(eqx.Module):
    """Points with a covariance; the statistic as one number or, in their shape, as shares of it."""

    name: str = eqx.field(static=True)
    shares: bool = eqx.field(static=True)
    energy: Array
    flux: Array
    inverse: Array

    def npred(self, models):
        return models["x"].spectral_model.dnde(self.energy)

    def statistic(self, npred):
        r = (npred - self.flux) * 1e12
        return r * (self.inverse @ r) if self.shares else r @ self.inverse @ r


def test_correlated_points():
    """Generalised least squares in closed form: points of a model that is linear in its amplitude, errors included."""
    energy, rng = np.array([0.5, 1.0, 2.0, 4.0]), np.random.default_rng(3)
    shape, mixing = energy**-2.2, rng.normal(size=(4, 4))
    inverse = np.linalg.inv(mixing @ mixing.T + 0.1 * np.eye(4))
    flux = 1e-12 * (2.0 * shape + 0.1 * rng.normal(size=4))
    whole, shared = (Correlated("points", shares, energy, flux, inverse) for shares in (False, True))
    result = Fit().run(whole, Models(CRAB).freeze("x.spectral.index"))
    weight = shape @ inverse @ shape
    assert 1e12 * result.values[0] == pytest.approx(1e12 * shape @ inverse @ flux / weight, rel=1e-9)
    assert 1e12 * result.errors[0] == pytest.approx(weight**-0.5, rel=1e-9)
    theta = np.array([2.4, 1.7])
    likelihoods = [Likelihood(own, CRAB) for own in (whole, shared)]
    found, other = (likelihood.derivatives(theta) for likelihood in likelihoods)
    assert all(likelihood.problem.stacks[0].mixes for likelihood in likelihoods)
    assert_derivative(found.hessian, jax.jit(jax.hessian(likelihoods[0]))(theta), 1e-10)
    for part, want in zip(other[:4], found[:4], strict=True):
        np.testing.assert_allclose(part, want, rtol=1e-9)
    assert np.linalg.eigvalsh(found.fisher)[0] > 0


class Indices(Correlated):
    """Multiples of the index: nothing is rounded."""

    def npred(self, models):
        return self.energy * models["x"].spectral_model.index.value

    def statistic(self, npred):
        return (npred - self.flux) * (self.inverse @ (npred - self.flux))


def test_correlated_points_that_are_just_as_expected():
    """Asimov data: no residual and no slope, and correlated all the same. Closed form, 1 / sqrt(n C^-1 n)."""
    numbers = np.array([1.0, 2.0, 4.0])
    inverse = np.array([[2.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 2.0]])
    asimov = Indices("points", True, numbers, 2.0 * numbers, inverse)
    model = CRAB.replace(spectral_model=PowerLawSpectralModel(index=2.0).freeze("amplitude"))
    result = Fit().run(asimov, model)
    assert result.status == "ok"
    assert result.errors[0] == pytest.approx((numbers @ inverse @ numbers) ** -0.5, rel=1e-9)


def test_minuit_starts_where_the_curvature_is_negative(joint):
    """Upper limits far below the model: without a positive definite matrix MIGRAD takes no step."""
    datasets = [toy_spectrum("wstat"), xray()]
    likelihood = Likelihood(datasets, CRAB)
    assert np.linalg.eigvalsh(likelihood.derivatives(likelihood.theta0).hessian)[0] < 0
    assert joint.compare(Fit(backend="minuit").run(datasets, CRAB)).agrees


def test_other_data_of_one_shape_share_the_compiled_program():
    Likelihood([toy_spectrum("wstat"), xray()], CRAB)(np.ones(2))
    compiled = _statistic._cache_size()
    for factor in (1.1, 1.2):
        # from a file: 32 bits, the other byte order
        flux = (factor * FLUX).astype(">f4")
        value = Likelihood([toy_spectrum("wstat"), xray(flux=flux)], CRAB)(np.ones(2))
        assert np.isfinite(value)
    assert _statistic._cache_size() == compiled


class Plain:
    """No pytree: closed over."""

    def __init__(self, name, best):
        self.name, self.best = name, jnp.asarray([best])

    def npred(self, models):
        return models["x"].spectral_model.index.value[None]

    def statistic(self, npred):
        return ((npred - self.best) / 0.1) ** 2


def test_any_object_will_do_and_later_changes_are_seen_by_later_likelihoods_alone():
    own, models = Plain("plain", 2.0), Models(CRAB).freeze("x.spectral.amplitude")
    first = Likelihood(own, models)
    assert float(first(np.array([2.1]))) == pytest.approx(1.0)
    own.best = np.array([2.1])
    assert float(Likelihood(own, models)(np.array([2.1]))) == pytest.approx(0.0)
    assert float(jax.grad(first)(np.array([2.1]))[0]) == pytest.approx(20.0)


def test_what_is_changed_in_place_is_seen_by_later_likelihoods_alone():
    """In an object that is closed over, by a program compiled later, and in arrays that are given to one."""
    own, models, index = Plain("plain", 2.0), Models(CRAB).freeze("x.spectral.amplitude"), np.array([2.1])
    own.best = np.array([2.0])
    first = Likelihood(own, models)
    own.best[:] = 2.1
    assert float(first(index)) == pytest.approx(1.0)
    # with what cannot be copied, too
    own.lock = threading.Lock()
    assert float(Likelihood(own, models)(index)) == pytest.approx(0.0)
    points = xray(flux=FLUX.copy())
    likelihood = Likelihood(points, CRAB)
    before = float(likelihood(likelihood.theta0))
    points.flux[:] = 2.0 * FLUX
    assert float(likelihood(likelihood.theta0)) == before


def test_own_data_join_a_cube_and_see_only_their_models():
    """Every dataset its own source, and one that both see; the sum of the parts."""
    spectrum = PowerLawSpectralModel(index=2.2, amplitude="1e-10 TeV-1 s-1 cm-2")
    shared = SkyModel(spectrum, "x", spatial_model=PLACE)
    lonely = SkyModel(spectrum, "y", spatial_model=PLACE, datasets_names=["a"])
    cube, own = make_cube("a"), Number("own", "x.spectral.index", jnp.square, np.array(2.0), np.array(0.1))
    models = Models([shared, lonely]).freeze(model_type="spatial")
    together = Likelihood([cube, own], models)
    parts = together.statistic_by_dataset(together.theta0)
    assert float(parts["own"]) == pytest.approx(4.0)
    assert float(together(together.theta0)) == pytest.approx(float(parts["a"]) + 4.0, rel=1e-12)
    assert together.problem.stacks[1].moved[0] == (0, 1)


def test_own_data_are_data():
    """Where a spectrum has no counts, the fit goes on with what there is."""
    empty = toy_spectrum("wstat", counts=0)
    with pytest.warns(GammaxWarning, match="wstat is biased"):
        result = Fit().run([empty, xray()], CRAB)
    assert result.status == "ok"
    assert Fit().run(empty, CRAB).status == "no_data"


def test_asimov_data(joint):
    """ON, OFF and own data as expected: the gradient vanishes there, and the minimum is found again."""
    likelihood = Likelihood([toy_spectrum("wstat"), xray(n_limits=0)], joint.models)
    asimov = likelihood.asimov(likelihood.theta0)
    scaled = jax.grad(asimov)(likelihood.theta0) / np.sqrt(np.diag(asimov.fisher(likelihood.theta0)))
    np.testing.assert_allclose(scaled, 0.0, atol=1e-9)
    np.testing.assert_allclose(asimov.problem.stacks[1].dataset.flux, likelihood.npred(likelihood.theta0)["xray"])
    back = likelihood.with_counts({"xray": FLUX + ERROR})
    shift = float(back(likelihood.theta0) - likelihood(likelihood.theta0))
    pull = (FLUX - likelihood.npred(likelihood.theta0)["xray"]) / ERROR
    assert shift == pytest.approx(float(np.sum((pull + 1) ** 2 - pull**2)), rel=1e-9)


class Complex(eqx.Module):
    name: str = "complex"

    def npred(self, models):
        return models["x"].spectral_model.index.value

    def statistic(self, npred):
        return npred * 1j


class Numpy(Complex):
    def npred(self, models):
        return models["x"].spectral_model(Quantity(1.0, "TeV")).value


@pytest.mark.parametrize(
    ("dataset", "code"),
    [
        ("a name", "GX-FIT-400"),
        (Points, "GX-FIT-400"),
        (Points("q", Quantity(ENERGY, "TeV"), FLUX, ERROR, ERROR > 1), "GX-FIT-401"),
        (Complex(), "GX-FIT-402"),
        (Numpy(), "GX-FIT-405"),
    ],
)
def test_what_cannot_be_data_is_refused(dataset, code):
    with pytest.raises(FitError, match=code):
        Likelihood([toy_spectrum("wstat"), dataset], CRAB)


def test_what_cannot_be_exchanged_is_refused():
    plain = Likelihood([toy_spectrum("wstat"), Plain("plain", 2.0)], CRAB)
    with pytest.raises(FitError, match="GX-FIT-403"):
        plain.asimov(plain.theta0)
    with pytest.raises(FitError, match="GX-FIT-406"):
        plain.with_counts({"tye": np.ones(9)})
    with pytest.raises(FitError, match="GX-FIT-406"):
        plain.with_dataset(xray("toy"))
    with pytest.raises(FitError, match="GX-FIT-404"):
        plain.with_dataset(xray("plain"))
    with pytest.raises(FitError, match="GX-FIT-409"):
        jax.jit(lambda best: plain.with_dataset(Plain("plain", best))(plain.theta0))(2.0)
    with pytest.raises(FitError, match="GX-FIT-407"):
        plain.with_counts({"toy": np.ones(8)})
    cube = Likelihood(make_cube("a"), SkyModel(CRAB.spectral_model, "x", spatial_model=PLACE).freeze("spatial"))
    with pytest.raises(FitError, match="GX-FIT-408"):
        cube.asimov(cube.theta0)


def test_flux_points_are_not_those_of_own_data():
    estimator = FluxPointsEstimator(Quantity([1.0, 3.0], "TeV"), source="x")
    with pytest.raises(FitError, match="GX-FLUX-005"):
        estimator.run([toy_spectrum("wstat"), xray()], CRAB)


def test_datasets_that_are_written_and_cut_hold_ours_alone():
    with pytest.raises(SchemaError, match="list"):
        Datasets([toy_spectrum("wstat"), xray()])
