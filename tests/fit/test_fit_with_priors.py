"""A fit with priors on real data, against Gammapy 2.1: the H.E.S.S. spectra of the joint-Crab set, 0.66 to 30 TeV."""

import numpy as np
import pytest

from gammax.datasets import Datasets
from gammax.fit import Fit
from gammax.likelihood import Likelihood
from gammax.models import (
    GaussianPrior,
    GeneralizedGaussianPrior,
    LogParabolaSpectralModel,
    LogUniformPrior,
    Models,
    SkyModel,
)

pytestmark = pytest.mark.data

# amplitude, alpha, beta: values and HESSE errors of Gammapy 2.1 (tol 1e-4), total statistic, sum of priors there
PEER_VALUES = [4.560159366907338e-11, 2.547664950038735, 0.08877371095555346]
PEER_ERRORS = [2.658268688866131e-12, 0.08010541323226995, 0.048137133400937004]
PEER_TOTAL, PEER_PRIORS = 92.38956942961246, -51.566232622434114


def test_hess_spectra(data_dir):
    spectra = Datasets.read(data_dir / "joint-crab" / "datasets.yaml")
    hess = Datasets([d for d in spectra if d.name.startswith("hess")]).with_fit_range("0.66 TeV", "30 TeV")
    spectrum = LogParabolaSpectralModel(amplitude="3.8e-11 TeV-1 s-1 cm-2", alpha=2.4, beta=0.1, reference="1 TeV")
    models = Models(SkyModel(spectrum, name="crab"))
    for name, prior in {
        "alpha": GaussianPrior(2.6, 0.1),
        "amplitude": LogUniformPrior(1e-12, 1e-10),
        "beta": GeneralizedGaussianPrior(0.1, 0.05, 0.3),
        "reference": GaussianPrior(1.2, 0.2),
    }.items():
        models = models.with_prior(f"crab.spectral.{name}", prior)
    result = Fit().run(hess, models)
    assert result.status == "ok"
    np.testing.assert_allclose((result.values - PEER_VALUES) / PEER_ERRORS, 0.0, atol=0.01)
    np.testing.assert_allclose(result.errors, PEER_ERRORS, rtol=0.005)
    # the peer's coarser integrals of the spectrum cost 1e-4
    np.testing.assert_allclose(result.total_stat, PEER_TOTAL, atol=1e-3)
    likelihood = Likelihood(hess, result.models)
    np.testing.assert_allclose(likelihood.prior_stat(likelihood.theta0), PEER_PRIORS, atol=0.01)
