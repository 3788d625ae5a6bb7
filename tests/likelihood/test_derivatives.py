"""Derivatives of the likelihood and of public array functions against 4th-order finite differences, in factor space.

Bars: gradient 1e-6, Hessian 1e-4 (the exact ones reach 1e-9); no NaN at the hostile points.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from derivatives import assert_derivative, fd_gradient, toy_spectrum
from gammax.folding import fold_flux, fold_spectrum, total_flux
from gammax.likelihood import Likelihood
from gammax.models import (
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    Models,
    Parameter,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    SpectralModel,
    parameter,
)

NORM = "2.1e-12 TeV-1 s-1 cm-2"


class Bump(SpectralModel):
    """A user's model, without closed forms."""

    height: Parameter = parameter("1e-12 TeV-1 s-1 cm-2", is_norm=True)
    centre: Parameter = parameter("2 TeV")
    width: Parameter = parameter(0.4)

    @staticmethod
    def evaluate(energy, height, centre, width):
        return height * jnp.exp(-0.5 * (jnp.log(energy / centre) / width) ** 2)


SPECTRA = {
    "power law": PowerLawSpectralModel(index=2.4, amplitude=NORM),
    "power law, index 1": PowerLawSpectralModel(index=1.0, amplitude="3e-13 TeV-1 s-1 cm-2"),
    "cutoff": ExpCutoffPowerLawSpectralModel(index=2.1, amplitude=NORM, lambda_="0.08 TeV-1").unfreeze("alpha"),
    "log parabola": LogParabolaSpectralModel(amplitude=NORM, reference="1 TeV", alpha=2.3, beta=0.15),
    "product": PowerLawSpectralModel(index=2.4, amplitude=NORM).freeze("amplitude")
    * PowerLawNormSpectralModel(norm=1.2).unfreeze("tilt"),
    "sum": PowerLawSpectralModel(index=2.4, amplitude=NORM) + Bump(height="2e-13 TeV-1 s-1 cm-2"),
    "norm alone": PowerLawSpectralModel(index=2.4, amplitude=NORM).freeze("index"),
    "user": Bump(height=NORM),
}

# a likelihood is a pytree: one program serves all points of one model
_GRADIENT = jax.jit(jax.grad(lambda likelihood, theta: likelihood(theta), argnums=1))
_HESSIAN = jax.jit(jax.hessian(lambda likelihood, theta: likelihood(theta), argnums=1))


def points(likelihood, n=5):
    rng = np.random.default_rng(1)
    start = np.asarray(likelihood.theta0)
    return start + rng.normal(size=(n, len(start))) * 0.05 * np.abs(start)


@pytest.mark.parametrize("statistic", ["cash", "wstat"])
@pytest.mark.parametrize("name", SPECTRA)
def test_statistic(statistic, name):
    """Every model x statistic: reverse mode, the assembled gradient and Hessian, and jax.hessian."""
    datasets = [toy_spectrum(statistic, "a"), toy_spectrum(statistic, "b", seed=1), toy_spectrum(statistic, "c", 2, 6)]
    likelihood = Likelihood(datasets, SkyModel(SPECTRA[name], name="x"))
    for theta in points(likelihood):
        reverse = _GRADIENT(likelihood, theta)
        gradient, hessian = fd_gradient(likelihood, theta), fd_gradient(lambda x: _GRADIENT(likelihood, x), theta)
        found = likelihood.derivatives(theta)
        assert_derivative(reverse, gradient, 1e-6)
        assert_derivative(found.gradient, gradient, 1e-6)
        assert_derivative(found.hessian, hessian, 1e-6)
        assert_derivative(_HESSIAN(likelihood, theta), hessian, 1e-6)
        np.testing.assert_allclose(found.value, likelihood(theta), rtol=1e-14)
        np.testing.assert_allclose(found.fisher, likelihood.fisher(theta), rtol=1e-12)


def test_fisher_matrix_is_the_expected_hessian():
    """E[d2S] over Poisson counts: with counts equal to the prediction the cash Hessian is J^T (2 / mu) J exactly."""
    dataset = toy_spectrum("cash")
    model = SkyModel(SPECTRA["log parabola"], name="x")
    likelihood = Likelihood([dataset], model)
    theta = np.asarray(likelihood.theta0)
    npred = np.asarray(likelihood.npred(theta)["toy"])
    asimov = dataset.replace(counts=dataset.counts.replace(data=npred.reshape(dataset.counts.data.shape)))
    there = Likelihood([asimov], model)
    assert_derivative(there.fisher(theta), jax.hessian(there)(theta), 1e-9)


@pytest.mark.parametrize("name", SPECTRA)
def test_array_functions_of_spectra(name):
    """dnde, integral_values, energy_flux_values, total_flux and fold_flux in every parameter."""
    model, edges = SPECTRA[name], np.geomspace(0.2, 30.0, 12)
    response = np.random.default_rng(0).uniform(size=(4, 11))
    values, structure = jax.tree.flatten(eqx.filter(model, lambda _: True))
    scale = np.array([10.0 ** np.floor(np.log10(abs(v))) if np.isfinite(v) and v else 1.0 for v in values])
    moving = [i for i, v in enumerate(values) if np.isfinite(v)]

    def at(theta):
        numbers = [theta[moving.index(i)] * scale[i] if i in moving else v for i, v in enumerate(values)]
        return jax.tree.unflatten(structure, numbers)

    def functions(theta):
        model = at(theta)
        flux = total_flux([model, model], jnp.asarray(edges), 2)
        return (
            model.dnde(jnp.asarray(edges)),
            model.integral_values(jnp.asarray(edges), 2),
            model.energy_flux_values(jnp.asarray(edges), 2),
            fold_flux(flux, response),
        )

    theta = np.array([values[i] for i in moving]) / scale[moving]
    norms = [1.0 / float(jnp.abs(part).max()) for part in functions(theta)]
    value = jax.jit(lambda t: [norm * part for norm, part in zip(norms, functions(t), strict=True)])
    forward, reverse, twice = (jax.jit(of(value)) for of in (jax.jacfwd, jax.jacrev, jax.hessian))
    for part in range(len(norms)):
        assert_derivative(forward(theta)[part], fd_gradient(lambda t, k=part: value(t)[k], theta), 1e-6)
        assert_derivative(reverse(theta)[part], forward(theta)[part], 1e-11)
        assert_derivative(twice(theta)[part], fd_gradient(lambda t, k=part: forward(t)[k], theta), 1e-6)


def test_fold_spectrum_in_response_and_energy():
    """The staged functions differentiate in the response as well: they are linear in it."""
    model, edges = SPECTRA["cutoff"], np.geomspace(0.2, 30.0, 6)
    response = np.random.default_rng(0).uniform(size=(3, 5))
    jacobian = jax.jacfwd(lambda r: fold_spectrum(model, edges, r, 2))(response)
    flux = np.asarray(model.integral_values(edges, 2))
    np.testing.assert_allclose(jacobian, np.einsum("ij,t->ijt", np.eye(3), flux), rtol=1e-13)


HOSTILE = {
    "amplitude 0": ("power law", {"amplitude": 0.0}),
    "amplitude < 0": ("power law", {"amplitude": -3e-12}),
    "far too bright": ("power law", {"amplitude": 1e-6}),
    "index 1 + 1e-10": ("power law", {"index": 1.0 + 1e-10}),
    "index 1 - 1e-7": ("power law", {"index": 1.0 - 1e-7}),
    "index 50": ("power law", {"index": 50.0}),
    "lambda 0": ("cutoff", {"lambda_": 0.0}),
    "lambda < 0": ("cutoff", {"lambda_": -0.05}),
    "lambda 0, alpha 1/2": ("cutoff", {"lambda_": 0.0, "alpha": 0.5}),
    "steep cutoff": ("cutoff", {"lambda_": 100.0}),
    "beta 0": ("log parabola", {"beta": 0.0}),
}


@pytest.mark.parametrize("statistic", ["cash", "wstat"])
@pytest.mark.parametrize("counts", [None, 0, 1])
@pytest.mark.parametrize("point", HOSTILE)
def test_no_nan_at_hostile_points(statistic, counts, point):
    """Value, gradient, Hessian and Fisher matrix stay finite, with counts, without any, and with one everywhere."""
    name, changes = HOSTILE[point]
    likelihood = Likelihood(
        [toy_spectrum(statistic, counts=counts)], SkyModel(SPECTRA[name].replace(**changes), name="x")
    )
    found = likelihood.derivatives(likelihood.theta0)
    assert all(np.isfinite(part).all() for part in (found.value, found.gradient, found.hessian, found.fisher))
    assert np.isfinite(_GRADIENT(likelihood, likelihood.theta0)).all()
    assert np.isfinite(_HESSIAN(likelihood, likelihood.theta0)).all()


def test_masked_bins_and_sources_elsewhere_have_no_gradient():
    """Flat directions are flat exactly: a source in the other dataset, a likelihood with every bin masked."""
    both = [toy_spectrum("wstat", "a"), toy_spectrum("wstat", "b", seed=1)]
    models = Models([SkyModel(SPECTRA["power law"], "x", ["a"]), SkyModel(SPECTRA["log parabola"], "y", ["b"])])
    likelihood = Likelihood(both, models)
    jacobian = jax.jacfwd(lambda theta: likelihood.npred(theta)["a"])(likelihood.theta0)
    of_y = [i for i, name in enumerate(likelihood.names) if name.startswith("y.")]
    assert np.all(np.asarray(jacobian)[:, of_y] == 0.0)
    nothing = both[0].counts.replace(data=np.zeros(both[0].counts.data.shape, dtype=bool))
    masked = Likelihood([both[0].replace(mask_fit=nothing)], SkyModel(SPECTRA["power law"], "x"))
    assert np.all(np.asarray(jax.grad(masked)(masked.theta0)) == 0.0)


def test_linked_parameters_add_their_gradients():
    """d/dx f(x, x) = f_1 + f_2, by the same likelihood with the link taken apart."""
    both = [toy_spectrum("wstat", "a"), toy_spectrum("wstat", "b", seed=1)]
    models = Models([SkyModel(SPECTRA["power law"], "x", ["a"]), SkyModel(SPECTRA["power law"], "y", ["b"])])
    apart = Likelihood(both, models)
    linked = Likelihood(both, models.link("index", "x.spectral.index", "y.spectral.index"))
    assert linked.names == ("x.spectral.index", "x.spectral.amplitude", "y.spectral.amplitude")
    g, h = jax.grad(apart)(apart.theta0), jax.grad(linked)(linked.theta0)
    order = {name: i for i, name in enumerate(apart.names)}
    np.testing.assert_allclose(h[0], g[order["x.spectral.index"]] + g[order["y.spectral.index"]], rtol=1e-12)
