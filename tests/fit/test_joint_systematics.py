"""Bar: the published joint-Crab fit with an energy scale per instrument (Nigro et al. 2019, A&A 625 A10),
from the published OGIP spectra."""

import numpy as np
import pytest
import yaml

from gammax.datasets import Datasets
from gammax.fit import Fit
from gammax.likelihood import Likelihood
from gammax.models import GaussianPrior, IRFModel, LogParabolaSpectralModel, Models, Parameter, SkyModel

pytestmark = pytest.mark.data

# nominal ranges [TeV], each instrument's own, and the systematic error of its energy scale
RANGES = {"fermi": (0.03, 2), "magic": (0.08, 30), "veritas": (0.15, 30), "fact": (0.4, 30), "hess": (0.66, 30)}
SIGMA = {"fermi": 0.05, "magic": 0.15, "veritas": 0.15, "fact": 0.15, "hess": 0.15}
# Gammapy 2.1 on the same files; its Gaussian prior counts its constant, sum of ln(2 pi sigma^2) = -11.98
PEER_STATISTIC = 429.25148602140155
# of the paper's curvature, per log10, to that of the natural logarithm
TO_PAPER = np.array([1.0, 1.0, np.log(10.0), *np.ones(5)])


@pytest.fixture(scope="module")
def spectra(data_dir):
    every = Datasets.read(data_dir / "joint-crab" / "datasets.yaml")
    parts = {name: Datasets([d for d in every if d.name.startswith(name)]) for name in RANGES}
    return {name: part.with_fit_range(*(f"{e} TeV" for e in RANGES[name])) for name, part in parts.items()}


@pytest.fixture(scope="module")
def published(data_dir):
    path = data_dir / "joint-crab" / "published" / "fit_joint_systematics.yaml"
    rows = {row["name"]: row for row in yaml.safe_load(path.read_text())["parameters"]}
    found = [rows[name] for name in ("amplitude", "alpha", "beta", *(f"z_{name}" for name in RANGES))]
    return np.array([[row[key] for row in found] for key in ("value", "error")])


def crab(spectra, scale):
    """Log parabola, and for each instrument one scale of the energies of all its spectra."""
    spectrum = LogParabolaSpectralModel.from_log10(
        amplitude="3.8e-11 TeV-1 s-1 cm-2", reference="1 TeV", alpha=2.47, beta=0.24
    )
    scales = [Parameter(scale, 0.0, min=-0.3, max=0.3, prior=GaussianPrior(0.0, SIGMA[name])) for name in RANGES]
    responses = [
        IRFModel(name, [dataset.name for dataset in spectra[name]], **{scale: parameter})
        for name, parameter in zip(RANGES, scales, strict=True)
    ]
    return Models([SkyModel(spectrum, name="crab"), *responses])


def fitted(spectra, scale):
    datasets = [dataset for part in spectra.values() for dataset in part]
    return datasets, Fit().run(datasets, crab(spectra, scale))


def test_scales_of_the_true_energy_reproduce_the_paper(spectra, published):
    values, errors = published
    datasets, result = fitted(spectra, "energy_scale_true")
    assert result.status == "ok"
    assert len(result.names) == 8
    np.testing.assert_allclose((result.values * TO_PAPER - values) / errors, 0.0, atol=0.01)
    np.testing.assert_allclose(result.errors * TO_PAPER, errors, rtol=0.005)
    # the peer's bin integrals are off by 1.4e-5, and it stops where it has come to
    np.testing.assert_allclose(result.total_stat, PEER_STATISTIC, rtol=0.0, atol=1e-6)
    # one equation: what the likelihood sums is what the datasets say under the same models
    of_data = sum(np.nansum(dataset.stat_array(result.models)) for dataset in datasets)
    penalty = sum((result.values[3:] / list(SIGMA.values())) ** 2 + np.log(2 * np.pi * np.square(list(SIGMA.values()))))
    np.testing.assert_allclose(of_data + penalty, result.total_stat, rtol=1e-12)


def test_scales_of_the_reconstructed_energy_do_not(spectra, published):
    """The negative control: as good a fit, and an amplitude 1.1 sigma off."""
    values, errors = published
    _, result = fitted(spectra, "energy_scale_reco")
    assert result.status == "ok"
    assert abs(result.total_stat - PEER_STATISTIC) < 2.0
    pulls = (result.values * TO_PAPER - values) / errors
    assert -1.3 < pulls[0] < -0.9
    assert np.abs(pulls[4:]).min() > 1.0


def test_spectra_of_equal_shape_are_one_stack(spectra):
    """Nine spectra of four instruments, their scales shared by the spectra of each, and Fermi's on another axis."""
    datasets = [dataset for part in spectra.values() for dataset in part]
    stacks = Likelihood(datasets, crab(spectra, "energy_scale_true")).problem.stacks
    assert sorted(len(stack.counts) for stack in stacks) == [1, 9]
