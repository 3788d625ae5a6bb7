"""Functional ties in a likelihood and a fit: exact derivatives and errors; as links and as hand-written models."""

import jax.numpy as jnp
import numpy as np

from cubes import make_cube
from derivatives import assert_derivative, fd_gradient, toy_spectrum
from gammax.estimators import FluxPointsEstimator
from gammax.fit import Fit
from gammax.likelihood import Likelihood
from gammax.models import (
    FoVBackgroundModel,
    GaussianPrior,
    GaussianPriorPenalty,
    Models,
    Parameter,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
    SpectralModel,
    parameter,
)

# no empty bins: they have corners, where finite differences mean nothing
DATASETS = [toy_spectrum("cash", "a", flux=4e-12), toy_spectrum("wstat", "b", seed=1, flux=2e-11)]


def two_sources(**options):
    def source(name):
        return SkyModel(PowerLawSpectralModel(index=2.4, amplitude="3e-12 TeV-1 s-1 cm-2"), name=name, **options)

    return Models([source("a"), source("b")])


def bent(amplitude, index):
    return 3e-12 * (amplitude / 3e-12) ** 1.3 * jnp.exp((index - 2.4) ** 2)


def check_derivatives(likelihood, theta, step):
    found = likelihood.derivatives(theta)
    assert_derivative(found.gradient, fd_gradient(likelihood, theta, step), 1e-6)
    gradient = fd_gradient(lambda x: likelihood.derivatives(x).gradient, theta, step)
    assert_derivative(found.hessian, gradient, 1e-6)
    np.testing.assert_allclose(found.value, likelihood(theta), rtol=1e-13)


def test_derivatives_and_errors():
    """Curved ties, one of them to a tied parameter, with priors on them; errors by the slopes."""
    models = two_sources()
    models = models.tie("b.spectral.reference", lambda index: (index / 2.0) ** 2, "b.spectral.index")
    models = models.tie("b.spectral.index", jnp.sqrt, "a.spectral.index")
    models = models.tie("b.spectral.amplitude", bent, "a.spectral.amplitude", "a.spectral.index")
    models = models.with_prior("b.spectral.index", GaussianPrior(1.5, 0.02))
    models = models.with_prior("b.spectral.amplitude", GaussianPrior(2e-12, 1e-12))
    penalty = GaussianPriorPenalty.L2_penalty(["a.spectral.index", "b.spectral.reference"], lambda_=9.0)
    models = models.with_penalties(penalty)
    likelihood = Likelihood(DATASETS[:1], models)
    assert likelihood.names == ("a.spectral.index", "a.spectral.amplitude")
    theta = np.asarray(likelihood.theta0) * np.array([1.02, 0.99])
    check_derivatives(likelihood, theta, 1e-3)
    assert np.linalg.eigvalsh(likelihood.fisher(theta))[0] > 0

    result = Fit().run(DATASETS[:1], models)
    assert result.success
    fitted = result.models
    values = {name: float(p.value) for name, p in fitted.parameters.items()}
    errors = dict(zip(fitted.parameters, fitted.errors, strict=True))
    index, amplitude = (values[name] for name in result.names)
    np.testing.assert_allclose(values["b.spectral.index"], np.sqrt(index), rtol=1e-12)
    np.testing.assert_allclose(values["b.spectral.reference"], index / 4, rtol=1e-12)
    np.testing.assert_allclose(errors["b.spectral.reference"], errors["a.spectral.index"] / 4, rtol=1e-10)
    np.testing.assert_allclose(values["b.spectral.amplitude"], bent(amplitude, index), rtol=1e-12)
    slopes = values["b.spectral.amplitude"] * np.array([2 * (index - 2.4), 1.3 / amplitude])
    variance = slopes @ result.covariance @ slopes
    np.testing.assert_allclose(errors["b.spectral.amplitude"], np.sqrt(variance), rtol=1e-9)
    # fully correlated with what it is tied to
    names = list(fitted.parameters)
    pair = [names.index(name) for name in ("a.spectral.index", "b.spectral.reference")]
    block = fitted.covariance[np.ix_(pair, pair)]
    np.testing.assert_allclose(block[0, 1] ** 2, block[0, 0] * block[1, 1], rtol=1e-9)
    assert fitted.ties == models.ties


def same_index(index):
    return index


def test_an_equal_value_is_a_link():
    linked = two_sources().link("index", "a.spectral.index", "b.spectral.index").freeze("b.spectral.amplitude")
    tied = two_sources().tie("b.spectral.index", same_index, "a.spectral.index").freeze("b.spectral.amplitude")
    one, other = Fit().run(DATASETS[:1], linked), Fit().run(DATASETS[:1], tied)
    assert one.names == other.names
    np.testing.assert_allclose(other.total_stat, one.total_stat, rtol=1e-13)
    np.testing.assert_allclose(other.values, one.values, rtol=1e-8)
    np.testing.assert_allclose(other.models.covariance, one.models.covariance, rtol=1e-6, atol=1e-30)


class TwoLines(SpectralModel):
    """Two power laws, the second twice as strong and harder by 0.5."""

    index: Parameter = parameter(2.4)
    amplitude: Parameter = parameter("3e-12 TeV-1 s-1 cm-2", is_norm=True)

    @staticmethod
    def evaluate(energy, index, amplitude):
        return amplitude * (energy**-index + 2.0 * energy ** (0.5 - index))


def test_the_same_as_a_model_written_by_hand():
    models = two_sources().tie("b.spectral.amplitude", lambda x: 2.0 * x, "a.spectral.amplitude")
    models = models.tie("b.spectral.index", lambda x: x - 0.5, "a.spectral.index")
    tied, by_hand = (Fit().run(DATASETS[:1], m) for m in (models, SkyModel(TwoLines(), name="a")))
    # integrals over bins: closed forms there, Gauss-Legendre here
    np.testing.assert_allclose(tied.total_stat, by_hand.total_stat, rtol=1e-9)
    np.testing.assert_allclose((tied.values - by_hand.values) / by_hand.errors, 0.0, atol=1e-4)
    np.testing.assert_allclose(tied.errors, by_hand.errors, rtol=1e-4)


def test_tied_to_what_stands_still():
    """It stands still as well, and its source keeps the shape of a template."""
    models = two_sources().freeze("a.spectral.index").freeze("b.spectral.amplitude")
    tied = models.tie("b.spectral.index", same_index, "a.spectral.index")
    frozen = tied.untie()
    one, other = Likelihood(DATASETS, tied), Likelihood(DATASETS, frozen)
    assert one.names == other.names
    assert all(not stack.moving for stack in one.problem.stacks if hasattr(stack, "moving"))
    assert float(one(one.theta0)) == float(other(other.theta0))


def test_no_error_without_that_of_its_source():
    models = two_sources().tie("b.spectral.index", same_index, "a.spectral.index").freeze("b.spectral.amplitude")
    bounded = models["a"].spectral_model.index.replace(min=2.39)
    models = models.replace(models["a"].replace(spectral_model=models["a"].spectral_model.replace(index=bounded)))
    result = Fit().run(DATASETS[:1], models)
    assert result.status == "at_bound"
    table = result.models.to_parameters_table()
    errors = dict(zip(result.models.parameters, table["error"], strict=True))
    assert np.isnan(errors["a.spectral.index"])
    assert np.isnan(errors["b.spectral.index"])
    assert np.isfinite(errors["a.spectral.amplitude"])


def test_bounds_of_a_tied_parameter_do_not_hold():
    models = two_sources()
    bounded = models["b"].spectral_model.index.replace(max=3.0)
    models = models.replace(models["b"].replace(spectral_model=models["b"].spectral_model.replace(index=bounded)))
    tied = models.tie("b.spectral.index", lambda x: x + 1.0, "a.spectral.index")
    assert np.isfinite(Likelihood(DATASETS, tied)(Likelihood(DATASETS, tied).theta0))


def test_places_in_a_cube():
    """A source at a fixed distance of another, its background's norm that of the amplitude: derivatives."""
    place = {"lat_0": "22.03 deg", "frame": "icrs"}
    spectrum = PowerLawSpectralModel(index=2.2, amplitude="2e-10 TeV-1 s-1 cm-2").freeze("index")
    sources = [
        SkyModel(spectrum, name=name, spatial_model=PointSpatialModel(lon_0=f"{lon} deg", **place).freeze("lat_0"))
        for name, lon in (("a", 83.66), ("b", 83.7))
    ]
    models = Models([*sources, FoVBackgroundModel("a")]).freeze("b.spectral.amplitude")
    models = models.tie("b.spatial.lon_0", lambda lon: lon - 0.1, "a.spatial.lon_0")
    models = models.tie("a-bkg.spectral.norm", lambda x: (x / 2e-10) ** 0.1, "a.spectral.amplitude")
    likelihood = Likelihood(make_cube(slope=0.02), models, dense=True)
    assert likelihood.names == ("a.spectral.amplitude", "a.spatial.lon_0")
    # a position is of order 8 in factor space: small steps
    check_derivatives(likelihood, likelihood.theta0, 1e-4)


def test_flux_points_keep_what_is_known_of_others():
    """Sources of one shape, whose sum A_a + A_b + A_c the data give: a prior holds A_b, A_c is tied to half of it, and
    1e-12 more of A_b are 0.5 less of the norm of A_a, 3e-12. A penalty holds the shape.
    """
    models = two_sources() + SkyModel(two_sources()["b"].spectral_model.freeze("index"), name="c")
    models = models.tie("c.spectral.amplitude", lambda x: 0.5 * x, "b.spectral.amplitude")
    models = models.with_penalties(GaussianPriorPenalty.from_diagonal(["b.spectral.index"], 1e-6, 2.4))
    edges = DATASETS[0].energy_axis.edges[[0, 4, 9]]
    estimator = FluxPointsEstimator(energy_edges=edges, source="a", reoptimize=True)

    def run(amplitude):
        known = models.with_prior("b.spectral.amplitude", GaussianPrior(amplitude, 1e-17))
        return estimator.run(DATASETS[:1], known.with_values({"b.spectral.amplitude": amplitude}))

    one, other = run(1e-12), run(2e-12)
    assert np.all(one.status == "ok")
    np.testing.assert_allclose(other.norm - one.norm, -0.5, rtol=1e-3)
    np.testing.assert_allclose(other.norm_err, one.norm_err, rtol=1e-3)
