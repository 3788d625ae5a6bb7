"""Models of responses in the likelihood: derivatives, one equation, stacks of runs with numbers of their own."""

import numpy as np
import pytest

from cubes import make_cube
from derivatives import assert_derivative, fd_gradient, toy_spectrum
from gammax.errors import ModelError
from gammax.fit import Fit
from gammax.likelihood import Likelihood
from gammax.likelihood._runs import _blocks, _in_blocks
from gammax.models import (
    GaussianPrior,
    GaussianSpatialModel,
    IRFModel,
    Models,
    Parameter,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
)
from gammax.stats import cash

PLACE = {"lon_0": "83.66 deg", "lat_0": "22.03 deg"}
SCALES = ("energy_scale_true", "energy_scale_reco", "aeff_norm", "aeff_tilt")


def source(name, amplitude=2e-12, spatial=None):
    spectrum = PowerLawSpectralModel(index=2.4, amplitude=f"{amplitude} TeV-1 s-1 cm-2")
    return SkyModel(spectrum, name, spatial_model=spatial)


def freed(name, datasets, **scales):
    """Responses with free scales."""
    return IRFModel(name, datasets, **{key: Parameter(key, value) for key, value in scales.items()})


def of_runs(names):
    """A source that moves, one of frozen shape, and for each dataset four scales of its own."""
    norm = source("norm", 2e-13)
    shared = [source("x"), norm.replace(spectral_model=norm.spectral_model.freeze("index"))]
    values = [(0.02 * i - 0.01, 0.03 - 0.02 * i, 1.0 + 0.03 * i, 0.02 * i + 0.01) for i in range(len(names))]
    own = [freed(f"irf-{n}", n, **dict(zip(SCALES, row, strict=True))) for n, row in zip(names, values, strict=True)]
    return Models([*shared, *own])


@pytest.mark.parametrize("statistic", ["wstat", "cash"])
def test_runs_with_scales_of_their_own(statistic):
    """One stack, whose value is that of the datasets; derivatives against finite differences (bars 1e-6 and 1e-4)."""
    datasets = [toy_spectrum(statistic, name, seed) for seed, name in enumerate("abc")]
    models = of_runs("abc")
    likelihood = Likelihood(datasets, models)
    assert [len(stack.counts) for stack in likelihood.problem.stacks] == [3]
    theta = np.asarray(likelihood.theta0)
    found = likelihood.derivatives(theta)
    alone = sum(np.nansum(dataset.stat_array(models)) for dataset in datasets)
    np.testing.assert_allclose([found.value, likelihood(theta)], alone, rtol=1e-12)
    assert_derivative(found.gradient, fd_gradient(likelihood, theta), 1e-6)
    assert_derivative(found.hessian, fd_gradient(lambda x: likelihood.derivatives(x).gradient, theta), 1e-6)
    # runs do not know of one another's responses
    rows = {name: [i for i, full in enumerate(likelihood.names) if full.startswith(f"irf-{name}.")] for name in "ab"}
    assert len(rows["a"]) == 4
    assert np.all(np.asarray(found.hessian)[np.ix_(rows["a"], rows["b"])] == 0.0)


def test_one_model_for_all_runs_is_the_same_numbers_in_each():
    """The flux is then shared: another program, the same statistic."""
    datasets = [toy_spectrum("wstat", name, seed) for seed, name in enumerate("ab")]
    together = Models([source("x"), freed("irf", ["a", "b"], energy_scale_true=0.05, aeff_norm=1.1)])
    apart = Models([source("x"), *(freed(name, name, energy_scale_true=0.05, aeff_norm=1.1) for name in "ab")])
    one, two = (Likelihood(datasets, models) for models in (together, apart))
    np.testing.assert_allclose(one(one.theta0), two(two.theta0), rtol=1e-13)


def test_runs_are_one_stack_however_many():
    runs = [toy_spectrum("wstat", f"run-{i}", i) for i in range(30)]
    own = [IRFModel(run.name, run.name, energy_scale_true=GaussianPrior(0.0, 0.15)) for run in runs]
    likelihood = Likelihood(runs, Models([source("x"), *own]))
    assert [len(stack.counts) for stack in likelihood.problem.stacks] == [30]
    assert len(likelihood.names) == 32


@pytest.mark.parametrize(("depth", "most"), [(1, 9), (7, 3), (100, 19), (101, 19), (5, 1)])
def test_runs_that_do_not_come_in_equal_parts(depth, most):
    """As few blocks as there must be, the last two overlapping; every run is there once."""
    firsts, size = _blocks(depth, most)
    assert (len(firsts), size <= most) == (np.ceil(depth / most), True)
    assert firsts[-1] + size == depth
    runs = {"a": np.arange(depth), "b": np.arange(2.0 * depth).reshape(depth, 2)}
    found = _in_blocks(lambda run: (run["a"] ** 2, run["b"].sum()), runs, depth, most)
    np.testing.assert_array_equal(found[0], runs["a"] ** 2)
    np.testing.assert_array_equal(found[1], runs["b"].sum(axis=1))


def test_axes_that_differ_are_not_one_stack():
    """As many bins of other reconstructed energies: each run as alone."""
    runs = [toy_spectrum("cash", "a"), toy_spectrum("cash", "b", 1, energy=("1 TeV", "5 TeV"))]
    models = Models([source("x"), IRFModel("irf", ["a", "b"], energy_scale_reco=0.1).freeze()])
    together = Likelihood(runs, models)
    npred = together.npred_signal(together.theta0)
    for run in runs:
        alone = Likelihood(run, models.select(datasets_names=run.name))
        np.testing.assert_allclose(npred[run.name], alone.npred_signal(alone.theta0)[run.name], rtol=1e-12)


def test_closure():
    """Asimov counts of responses that are off, fitted from elsewhere: the truth to 1e-4 sigma."""
    dataset = toy_spectrum("wstat", "a", flux=2e-11)
    truth = {"energy_scale_true": 0.08, "energy_scale_reco": -0.05, "aeff_norm": 1.1, "aeff_tilt": 0.05}
    priors = {name: GaussianPrior(value, 0.1) for name, value in truth.items()}
    models = Models([source("x", 2e-11), IRFModel("irf", "a", **priors)])
    true = models.with_values({f"irf.irf.{name}": value for name, value in truth.items()})
    asimov = dataset.replace(
        counts=dataset.counts.replace(data=dataset.npred(true).data),
        counts_off=dataset.counts_off.replace(data=dataset.npred_off(true).data),
    )
    start = models.with_values({"x.spectral.index": 2.2, "x.spectral.amplitude": 3e-11})
    result = Fit().run(asimov, start)
    assert result.status == "ok"
    expected = [2.4, 2e-11, *truth.values()]
    np.testing.assert_allclose((result.values - expected) / result.errors, 0.0, atol=1e-4)


def test_cubes():
    """A Gaussian that moves, a point that stands still: one equation, and derivatives by all five numbers."""
    cube = make_cube(slope=0.02, threshold=1)
    numbers = {"energy_scale_true": 0.07, "energy_scale_reco": -0.06, "aeff_norm": 1.1, "aeff_tilt": 0.08}
    still = source("still", 2e-10, PointSpatialModel(**PLACE))
    moving = source("moving", 2e-10, GaussianSpatialModel(**PLACE, sigma="0.07 deg"))
    models = Models([moving, still.freeze(), freed("irf", "a", **numbers, psf_width=1.15)])
    likelihood = Likelihood(cube, models)
    per_bin = np.asarray(cash(cube.arrays.counts, cube.npred(models).data))
    theta = np.asarray(likelihood.theta0)
    found = likelihood.derivatives(theta)
    values = [found.value, likelihood(theta)]
    np.testing.assert_allclose(values, per_bin[cube.arrays.mask].sum(), rtol=1e-11)
    # positions of 83 deg are 8.3 in factor space: steps of 2e-5 there are 2e-4 deg
    assert_derivative(found.gradient, fd_gradient(likelihood, theta, 2e-5), rtol=1e-5, floor=1e-6)
    hessian = fd_gradient(lambda x: likelihood.derivatives(x).gradient, theta, 2e-5)
    assert_derivative(found.hessian, hessian, rtol=1e-5, floor=1e-6)


@pytest.mark.parametrize("name", ["energy_scale_true", "energy_scale_reco", "aeff_norm"])
def test_sources_that_stand_still_in_a_cube(name):
    """Staged as far as a scale leaves them: merged bins, templates of counts."""
    cube = make_cube(slope=0.02, threshold=1)
    still = source("still", 2e-10, GaussianSpatialModel(**PLACE, sigma="0.07 deg").freeze())
    shaped = still.replace(name="shaped", spectral_model=still.spectral_model.freeze("index"))
    models = Models([still, shaped, freed("irf", "a", **{name: 0.9 if name == "aeff_norm" else 0.04})])
    likelihood = Likelihood(cube, models)
    per_bin = np.asarray(cash(cube.arrays.counts, cube.npred(models).data))
    theta = np.asarray(likelihood.theta0)
    found = likelihood.derivatives(theta)
    np.testing.assert_allclose(found.value, per_bin[cube.arrays.mask].sum(), rtol=1e-11)
    assert_derivative(found.gradient, fd_gradient(likelihood, theta), 1e-6)


@pytest.mark.parametrize(
    ("models", "code", "words"),
    [
        ([freed("irf", "a", psf_width=1.0)], "GX-MODEL-204", "through a PSF"),
        ([IRFModel("irf", "a", reference=Parameter("reference", "1 TeV"))], "GX-MODEL-204", "a tilt"),
        ([freed("one", "a", aeff_norm=1.0), freed("two", "a", aeff_tilt=0.0)], "GX-MODEL-203", "one, two"),
        ([freed("irf", "elsewhere", aeff_norm=1.0)], "GX-FIT-006", "elsewhere"),
    ],
)
def test_what_a_fit_refuses(models, code, words):
    """No flat direction without a word."""
    with pytest.raises(ModelError, match=code) as error:
        Likelihood(toy_spectrum("wstat", "a"), Models([source("x"), *models]))
    assert words in str(error.value)


def test_a_scale_of_datasets_without_sources_is_refused():
    elsewhere = source("x").replace(datasets_names=["b"])
    datasets = [toy_spectrum("wstat", "a"), toy_spectrum("wstat", "b")]
    with pytest.raises(ModelError, match="GX-MODEL-204"):
        Likelihood(datasets, Models([elsewhere, freed("irf", "a", aeff_norm=1.0)]))
