"""The likelihood as a function: what it adds up, how it is staged, and that JAX takes it as it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from derivatives import toy_spectrum
from gammax.likelihood import Likelihood
from gammax.likelihood._table import factor_scale
from gammax.models import LogParabolaSpectralModel, Models, PowerLawNormSpectralModel, PowerLawSpectralModel, SkyModel

NORM = "2e-12 TeV-1 s-1 cm-2"
CURVED = SkyModel(LogParabolaSpectralModel(amplitude=NORM, reference="1 TeV", alpha=2.3, beta=0.1), name="x")
LINE = SkyModel(PowerLawSpectralModel(index=2.6, amplitude=NORM), name="y")


def expected_counts(dataset, *models):
    """By hand, with numpy: sum over true bins of response times flux in the bin."""
    arrays = dataset.arrays
    flux = sum(np.asarray(m.spectral_model.integral_values(arrays.energy_true, 4)) for m in models)
    return arrays.response @ flux


def test_total_is_the_sum_over_datasets_and_bins():
    datasets = [toy_spectrum("wstat", "a"), toy_spectrum("cash", "b", 1), toy_spectrum("wstat", "c", 2, n_reco=5)]
    models = Models([CURVED, LINE.replace(datasets_names=["b"])])
    likelihood = Likelihood(datasets, models)
    theta, parts = likelihood.theta0, likelihood.statistic_by_dataset(likelihood.theta0)
    assert list(parts) == ["a", "b", "c"]
    np.testing.assert_allclose(likelihood(theta), sum(parts.values()), rtol=1e-14)
    for dataset in datasets:
        np.testing.assert_allclose(parts[dataset.name], dataset.stat_sum(models), rtol=1e-12)
    npred, signal = likelihood.npred(theta), likelihood.npred_signal(theta)
    np.testing.assert_allclose(signal["a"], expected_counts(datasets[0], CURVED), rtol=1e-10)
    np.testing.assert_allclose(npred["a"], datasets[0].npred(models).values(), rtol=1e-10)
    background = datasets[1].background.values()
    np.testing.assert_allclose(npred["b"], expected_counts(datasets[1], CURVED, LINE) + background, rtol=1e-10)


def test_equal_shapes_share_one_stack_and_names_do_not_matter():
    datasets = [toy_spectrum("wstat", f"run {i}", i) for i in range(5)]
    likelihood = Likelihood(datasets, CURVED)
    assert len(likelihood.problem.stacks) == 1
    alone = sum(float(Likelihood([dataset], CURVED)(likelihood.theta0)) for dataset in datasets)
    np.testing.assert_allclose(likelihood(likelihood.theta0), alone, rtol=1e-13)


def test_staged_templates_predict_what_moving_models_do():
    """A frozen shape is folded once; with its index free it is folded at every call: the same counts."""
    dataset = toy_spectrum("wstat")
    frozen = LINE.replace(spectral_model=LINE.spectral_model.freeze("index"))
    still = LINE.replace(name="still", spectral_model=LINE.spectral_model.freeze())
    product = LINE.replace(
        name="product", spectral_model=LINE.spectral_model.freeze() * PowerLawNormSpectralModel(norm=1.7)
    )
    staged, moving = (Likelihood([dataset], Models([CURVED, line, still, product])) for line in (frozen, LINE))
    assert [len(stack.moving) for stack in staged.problem.stacks] == [1]
    assert [len(stack.moving) for stack in moving.problem.stacks] == [2]
    np.testing.assert_allclose(staged(staged.theta0), moving(moving.theta0), rtol=1e-13)
    there = staged.theta0 * 1.3
    place = [moving.names.index(name) for name in staged.names]
    np.testing.assert_allclose(staged(there), moving(moving.theta0.at[jnp.array(place)].set(there)), rtol=1e-13)


def test_npred_is_linear_in_amplitude():
    """Also for zero and negative amplitudes, 1e-12 relative."""
    likelihood = Likelihood([toy_spectrum("wstat")], LINE)
    place = likelihood.names.index("y.spectral.amplitude")
    one = likelihood.npred_signal(likelihood.theta0)["toy"]
    for factor in (-2.0, 0.0, 0.5):
        theta = likelihood.theta0.at[place].multiply(factor)
        np.testing.assert_allclose(likelihood.npred_signal(theta)["toy"], factor * one, rtol=1e-12, atol=1e-300)


def test_jax_takes_a_likelihood_as_it_is():
    """jit, grad and vmap over the vector, and over the likelihood itself, which is a pytree."""
    likelihood = Likelihood([toy_spectrum("wstat"), toy_spectrum("cash", "b")], CURVED)
    theta = likelihood.theta0
    value, gradient = jax.jit(jax.value_and_grad(likelihood))(theta)
    np.testing.assert_allclose(value, likelihood(theta), rtol=1e-14)
    many = theta + 0.01 * jnp.arange(4.0)[:, None]
    np.testing.assert_allclose(jax.vmap(likelihood)(many), [likelihood(t) for t in many], rtol=1e-13)
    inside = jax.jit(lambda function, x: function(x) + jax.grad(function)(x).sum())
    np.testing.assert_allclose(inside(likelihood, theta), value + gradient.sum(), rtol=1e-12)


def test_values_and_factors():
    likelihood = Likelihood([toy_spectrum("wstat")], CURVED)
    values = likelihood.to_values(likelihood.theta0)
    np.testing.assert_allclose(values, [2e-12, 2.3, 0.1], rtol=1e-15)
    np.testing.assert_allclose(likelihood.from_values(values), likelihood.theta0, rtol=1e-15)
    assert np.all((np.abs(likelihood.theta0) >= 1) & (np.abs(likelihood.theta0) < 10))
    np.testing.assert_allclose(factor_scale(np.array([0.0, -3e-12, 2.5, 1e5])), [1.0, 1e-12, 1.0, 1e5], rtol=1e-15)
    assert list(likelihood.parameters["name"]) == list(likelihood.names)
    assert likelihood.names[0] in repr(likelihood)


def test_evaluations_of_changed_numbers_do_not_compile_again():
    from gammax.likelihood._likelihood import _statistic

    Likelihood([toy_spectrum("wstat")], CURVED)(np.ones(3))
    compiled = _statistic._cache_size()
    for seed in range(3):
        changed = CURVED.replace(spectral_model=CURVED.spectral_model.replace(alpha=2.0 + 0.1 * seed), name=f"s{seed}")
        Likelihood([toy_spectrum("wstat", f"run {seed}", seed)], changed)(np.ones(3))
    assert _statistic._cache_size() == compiled


@pytest.mark.parametrize("statistic", ["cash", "wstat"])
def test_bins_outside_the_mask_do_not_count(statistic):
    """Dropping bins by a mask leaves the sum over the others, whatever is in the dropped ones."""
    dataset = toy_spectrum(statistic)
    whole = dataset.stat_array(Models(CURVED))
    cut = dataset.with_fit_range("1 TeV", "10 TeV")
    likelihood = Likelihood([cut], CURVED)
    np.testing.assert_allclose(likelihood(likelihood.theta0), whole[cut.mask].sum(), rtol=1e-12)
