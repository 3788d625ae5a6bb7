"""The likelihood inside other JAX programs: every transformation, over the vector and over what it holds."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from derivatives import assert_derivative, fd_gradient, toy_spectrum
from gammax.likelihood import Likelihood
from gammax.models import PowerLawSpectralModel, SkyModel

CRAB = SkyModel(PowerLawSpectralModel(index=2.2, amplitude="1.5e-12 TeV-1 s-1 cm-2"), name="x")


@pytest.fixture(scope="module")
def likelihood() -> Likelihood:
    return Likelihood(toy_spectrum("wstat"), CRAB)


def test_as_an_argument_it_is_traced_once():
    """Other data and other start values: one trace; another free parameter: a second one."""
    traces = []

    @jax.jit
    def program(likelihood, theta):
        traces.append(1)
        return jax.value_and_grad(likelihood)(theta)

    for seed in range(3):
        source = CRAB.replace(spectral_model=CRAB.spectral_model.replace(index=2.0 + 0.1 * seed))
        likelihood = Likelihood(toy_spectrum("wstat", seed=seed), source)
        value, gradient = program(likelihood, likelihood.theta0)
        np.testing.assert_allclose(value, likelihood(likelihood.theta0), rtol=1e-13)
        np.testing.assert_allclose(gradient, likelihood.derivatives(likelihood.theta0).gradient, rtol=1e-9)
    assert len(traces) == 1
    freed = CRAB.replace(spectral_model=CRAB.spectral_model.unfreeze("reference"))
    likelihood = Likelihood(toy_spectrum("wstat"), freed)
    program(likelihood, likelihood.theta0)
    assert len(traces) == 2


def test_closed_over_and_passed_it_is_the_same_function(likelihood):
    """In a loop that JAX compiles, too: three steps of gradient descent, as the same steps by hand."""

    def descend(likelihood, theta):
        def step(theta, _):
            slope = jax.grad(likelihood)(theta)
            return theta - 1e-4 * slope, likelihood(theta)

        return jax.lax.scan(step, theta, length=3)

    closed = jax.jit(lambda theta: descend(likelihood, theta))(likelihood.theta0)
    passed = jax.jit(descend)(likelihood, likelihood.theta0)
    theta, values = likelihood.theta0, []
    for _ in range(3):
        values.append(float(likelihood(theta)))
        theta = theta - 1e-4 * likelihood.derivatives(theta).gradient
    for end, trace in (closed, passed):
        np.testing.assert_allclose(end, theta, rtol=1e-12)
        np.testing.assert_allclose(trace, values, rtol=1e-12)


def test_derivatives_nest_and_batch(likelihood):
    """A batch of Hessians, and of npred the Jacobian in either mode."""
    theta = likelihood.theta0
    many = theta + 0.01 * jnp.arange(3.0)[:, None]
    batch = jax.jit(jax.vmap(jax.hessian(likelihood)))(many)
    np.testing.assert_allclose(batch[2], likelihood.derivatives(many[2]).hessian, rtol=1e-9)
    npred = jax.jit(lambda theta: likelihood.npred(theta)["toy"])
    forward, reverse = jax.jacfwd(npred)(theta), jax.jacrev(npred)(theta)
    np.testing.assert_allclose(forward, reverse, rtol=1e-10)
    assert_derivative(forward, fd_gradient(npred, theta), 1e-6)


def test_what_it_holds_can_be_varied():
    """By counts, in closed form: d(-2 ln L) / dn is -2 ln mu for cash, 2 ln(n / mu_on) for wstat; by exposure."""
    likelihood = Likelihood([toy_spectrum("wstat"), toy_spectrum("cash", "b", 1)], CRAB)
    theta, counts = likelihood.theta0, {name: np.full(9, 7.0) for name in ("toy", "b")}

    @jax.jit
    def statistic(counts, factor):
        stacks = likelihood.problem.stacks
        response = [jnp.asarray(stack.response) * factor for stack in stacks]
        longer = eqx.tree_at(lambda own: [stack.response for stack in own.problem.stacks], likelihood, response)
        return longer.with_counts(counts)(theta)

    slopes = jax.grad(statistic)(counts, 1.0)
    npred = likelihood.with_counts(counts).npred(theta)
    np.testing.assert_allclose(slopes["b"], -2 * np.log(npred["b"]), rtol=1e-10)
    np.testing.assert_allclose(slopes["toy"], 2 * np.log(7.0 / npred["toy"]), rtol=1e-10)
    by_exposure = jax.grad(statistic, argnums=1)(counts, 1.0)
    difference = fd_gradient(lambda f: statistic(counts, f[0]), np.array([1.0]))
    assert_derivative(np.atleast_1d(by_exposure), difference, 1e-7)
    toys = np.random.default_rng(1).poisson(7.0, (4, 9)).astype(float)
    each = jax.vmap(lambda n: likelihood.with_counts({"b": n})(theta))(toys)
    alone = [likelihood.with_counts({"b": n})(theta) for n in toys]
    np.testing.assert_allclose(each, alone, rtol=1e-13)


def test_asimov_data_have_their_minimum_where_they_were_made(likelihood):
    """Gradient zero, and the exact Hessian is the Fisher matrix: nothing is left of the residuals."""
    theta = likelihood.theta0 * jnp.array([1.1, 0.8])
    asimov = likelihood.asimov(theta)
    found = asimov.derivatives(theta)
    size = np.sqrt(np.diag(found.fisher))
    np.testing.assert_allclose(found.gradient / size, 0.0, atol=1e-9)
    np.testing.assert_allclose(found.hessian, found.fisher, rtol=1e-8)
    # OFF counts are the profiled background, which the expected counts do not change
    np.testing.assert_allclose(asimov.npred(theta)["toy"], likelihood.npred(theta)["toy"], rtol=1e-12)
