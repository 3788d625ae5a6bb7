"""The optimum as a differentiable function: against refits, and in closed form."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from derivatives import assert_derivative, fd_gradient, toy_spectrum
from gammax.fit import Fit, optimum
from gammax.likelihood import Likelihood
from gammax.models import GaussianPrior, Models, PowerLawSpectralModel, SkyModel
from gammax.stats import cash

CRAB = SkyModel(PowerLawSpectralModel(index=2.2, amplitude="1.5e-12 TeV-1 s-1 cm-2"), name="x")


def test_derivatives_are_those_of_refits():
    """By every count of a spectrum, by its livetime and by the width of a prior, 1e-6."""
    spectrum = toy_spectrum("wstat")
    models = Models(CRAB).with_prior("x.spectral.index", GaussianPrior(2.2, 0.1))
    likelihood = Likelihood(spectrum, models)

    @jax.jit
    def found(numbers):
        counts, livetime, width = numbers[:9], numbers[9], numbers[10]
        response = jnp.asarray(likelihood.problem.stacks[0].response) * livetime
        exposed = eqx.tree_at(lambda own: own.problem.stacks[0].response, likelihood, response)
        believed = exposed.with_prior("x.spectral.index", GaussianPrior(2.2, width))
        return optimum(believed.with_counts({"toy": counts}))

    # away from empty bins, below which no difference can step
    numbers = np.array([*(spectrum.counts.values() + 2.0), 1.0, 0.1])
    jacobian = jax.jit(jax.jacfwd(found))(numbers)
    difference = np.concatenate(
        [
            fd_gradient(lambda n: found(np.array([*n, 1.0, 0.1])), numbers[:9], 0.1),
            fd_gradient(lambda n: found(np.array([*numbers[:9], *n])), numbers[9:], 1e-3),
        ],
        axis=1,
    )
    for got, want in zip(jacobian.T, difference.T, strict=True):
        assert_derivative(got, want, 1e-6)
    # as long again and the same counts: the flux is as much smaller
    assert float(jacobian[1, 9]) == pytest.approx(-float(found(numbers)[1]), rel=1e-9)


class Counts(eqx.Module):
    """Poisson counts at some energies: a small non-linear problem."""

    name: str = eqx.field(static=True)
    energy: Array
    counts: Array

    def npred(self, models):
        return 1e14 * models["x"].spectral_model.dnde(self.energy)

    def statistic(self, npred):
        return cash(self.counts, npred)

    def with_data(self, values):
        return eqx.tree_at(lambda own: own.counts, self, values)


ENERGY, COUNTS = np.array([0.5, 1.0, 2.0, 4.0]), np.array([650.0, 170.0, 30.0, 7.0])


@pytest.fixture(scope="module")
def small() -> Likelihood:
    return Likelihood(Counts("small", ENERGY, COUNTS), CRAB)


def of_counts(likelihood, counts):
    return optimum(likelihood.with_counts({"small": counts}))


# compiled once for all tests: bounds and data are arguments
_FOUND = jax.jit(of_counts)
_FORWARD = jax.jit(jax.jacfwd(of_counts, argnums=1))


def test_it_is_that_of_the_fit_wherever_it_starts_and_says_when_it_is_lost(small):
    result = Fit().run(Counts("small", ENERGY, COUNTS), CRAB)
    np.testing.assert_allclose(small.to_values(optimum(small)), result.values, rtol=1e-8)
    np.testing.assert_allclose(optimum(small, small.theta0 * 1.3), optimum(small), rtol=1e-10)
    assert np.isnan(optimum(small, max_steps=2)).all()


def test_reverse_mode_second_derivatives_and_batches(small):
    """Reverse mode is forward mode; the gradient of a gradient is that of refits, 1e-6; each of a batch is alone."""
    jacobian = _FORWARD(small, COUNTS)
    assert_derivative(jacobian, fd_gradient(lambda c: _FOUND(small, c), COUNTS, 0.1), 1e-6)

    def slope(counts):
        return jax.grad(lambda c: of_counts(small, c)[0])(counts)

    reverse, second = jax.jit(lambda c: (slope(c), jax.grad(lambda c: slope(c)[0])(c)))(COUNTS)
    np.testing.assert_allclose(reverse, jacobian[0], rtol=1e-10)
    assert_derivative(second, fd_gradient(lambda c: _FORWARD(small, c)[0, 0], COUNTS, 0.1), 1e-6)
    batch = COUNTS + np.arange(3.0)[:, None]
    each = jax.jit(jax.vmap(_FORWARD, in_axes=(None, 0)))(small, batch)
    np.testing.assert_allclose(each[2], _FORWARD(small, batch[2]), rtol=1e-9)


def bounded(likelihood, bound):
    lower = jnp.asarray(likelihood.problem.lower).at[0].set(bound)
    return eqx.tree_at(lambda own: own.problem.lower, likelihood, lower)


def test_at_a_bound_the_others_move_alone(small):
    """The index stays at its bound; the bound itself carries it along, and the amplitude follows."""
    bound = float(optimum(small)[0]) + 0.1
    inside = _FORWARD(bounded(small, bound), COUNTS)
    np.testing.assert_array_equal(inside[0], 0.0)
    assert_derivative(inside[1], fd_gradient(lambda c: _FOUND(bounded(small, bound), c), COUNTS, 0.1)[1], 1e-6)
    follow = jax.jit(jax.jacfwd(lambda b: optimum(bounded(small, b))))(bound)
    assert float(follow[0]) == 1.0
    assert_derivative(follow, fd_gradient(lambda b: optimum(bounded(small, b[0])), np.array([bound]))[:, 0], 1e-6)


class Number(eqx.Module):
    """A measurement of the index."""

    name: str = eqx.field(static=True)
    best: Array
    error: Array

    def npred(self, models):
        return models["x"].spectral_model.index.value

    def statistic(self, npred):
        return ((npred - self.best) / self.error) ** 2


def test_the_weighted_mean_and_its_derivatives_in_closed_form():
    """mean = sum m w / sum w, w = 1 / s^2: d mean / d m = w / sum w, d mean / d s = -2 w (m - mean) / (s sum w)."""
    best, error = np.array([2.0, 2.3]), np.array([0.1, 0.2])
    models = Models(CRAB).freeze("x.spectral.amplitude")
    likelihood = Likelihood([Number(n, b, e) for n, b, e in zip("ab", best, error, strict=True)], models)

    def mean(best, error):
        changed = likelihood
        for name, b, e in zip("ab", best, error, strict=True):
            changed = changed.with_dataset(Number(name, b, e))
        return optimum(changed)[0]

    weight = error**-2
    want = best @ weight / weight.sum()
    value, slopes = jax.jit(jax.value_and_grad(mean, argnums=(0, 1)))(best, error)
    assert float(value) == pytest.approx(want, rel=1e-13)
    np.testing.assert_allclose(slopes[0], weight / weight.sum(), rtol=1e-12)
    np.testing.assert_allclose(slopes[1], -2 * weight * (best - want) / (error * weight.sum()), rtol=1e-12)
