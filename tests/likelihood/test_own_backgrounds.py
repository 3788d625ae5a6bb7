"""Spectra with models of their own for their backgrounds: one stack, one program."""

import numpy as np
import pytest

from derivatives import assert_derivative, fd_gradient, toy_spectrum
from gammax.fit import Fit
from gammax.likelihood import Likelihood
from gammax.models import FoVBackgroundModel, Models, PowerLawNormSpectralModel, PowerLawSpectralModel, SkyModel


def own_backgrounds(names, *free):
    """A source, and for each dataset a background model with a norm and a tilt of its own."""
    source = SkyModel(PowerLawSpectralModel(index=2.4, amplitude="2e-12 TeV-1 s-1 cm-2"), "source")
    backgrounds = []
    for number, name in enumerate(names):
        norm = PowerLawNormSpectralModel(norm=1.0 + 0.002 * number, tilt=0.05 - 0.003 * number)
        norm = norm.freeze("norm", "tilt").unfreeze(*free)
        backgrounds.append(FoVBackgroundModel(dataset_name=name, spectral_model=norm))
    return Models([source, *backgrounds])


def total(datasets, models):
    """Statistic of the datasets one by one."""
    return sum(np.nansum(dataset.stat_array(models)) for dataset in datasets)


def test_a_hundred_runs_with_norms_of_their_own_are_one_stack():
    drawn = [toy_spectrum("cash", seed=seed) for seed in range(10)]
    datasets = [drawn[n % 10].replace(name=f"run {n}") for n in range(100)]
    models = own_backgrounds([dataset.name for dataset in datasets], "norm")
    likelihood = Likelihood(datasets, models)
    assert [np.shape(stack.counts) for stack in likelihood.problem.stacks] == [(100, 9)]
    assert len(likelihood.theta0) == 102
    assert float(likelihood(likelihood.theta0)) == pytest.approx(total(datasets, models), rel=1e-12)


@pytest.mark.parametrize("free", [("norm",), ("norm", "tilt"), ()])
def test_derivatives_of_runs_with_backgrounds_of_their_own(free):
    """Against finite differences (bars 1e-6 and 1e-4); no run knows of another's background."""
    datasets = [toy_spectrum("cash", name, seed) for seed, name in enumerate("abc")]
    models = own_backgrounds("abc", *free)
    likelihood = Likelihood(datasets, models)
    assert [len(stack.counts) for stack in likelihood.problem.stacks] == [3]
    theta = np.asarray(likelihood.theta0)
    found = likelihood.derivatives(theta)
    np.testing.assert_allclose([found.value, likelihood(theta)], total(datasets, models), rtol=1e-12)
    assert_derivative(found.gradient, fd_gradient(likelihood, theta), 1e-6)
    assert_derivative(found.hessian, fd_gradient(lambda x: likelihood.derivatives(x).gradient, theta), 1e-6)
    if free:
        own = [[likelihood.names.index(f"{name}-bkg.spectral.{key}") for key in free] for name in "ab"]
        assert np.all(np.asarray(found.hessian)[np.ix_(*own)] == 0.0)


def test_other_axes_and_other_models_are_other_stacks():
    """A tilt acts at the centres of a run's own bins."""
    datasets = [toy_spectrum("cash", "a"), toy_spectrum("cash", "b", energy=("0.5 TeV", "10 TeV"))]
    for free, count in ((("norm",), 1), (("tilt",), 2)):
        models = own_backgrounds("ab", *free)
        likelihood = Likelihood(datasets, models)
        assert len(likelihood.problem.stacks) == count
        assert float(likelihood(likelihood.theta0)) == pytest.approx(total(datasets, models), rel=1e-12)


def test_a_fit_finds_the_norm_of_each_run():
    datasets = [toy_spectrum("cash", name, seed) for seed, name in enumerate("abc")]
    models = own_backgrounds("abc", "norm")
    result = Fit().run(datasets, models)
    assert result.success
    apart = Fit().run(list(reversed(datasets)), models)
    np.testing.assert_allclose(apart.values, result.values, rtol=1e-6)
