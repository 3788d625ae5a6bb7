"""One minimum from everywhere, on the ten spectra of the joint-crab data (Nigro et al. 2019, A&A 625, A10)."""

import numpy as np
import pytest

from gammax.datasets import Datasets
from gammax.fit import Fit
from gammax.models import LogParabolaSpectralModel, Models, SkyModel

pytestmark = pytest.mark.data

NAMES = (
    "fermi",
    "magic-5029747",
    "magic-5029748",
    "veritas-54809",
    "veritas-57993",
    "fact",
    "hess-23523",
    "hess-23526",
    "hess-23559",
    "hess-23592",
)


def crab(amplitude=3.8e-11, alpha=2.5, beta=0.1):
    model = LogParabolaSpectralModel(amplitude=f"{amplitude} TeV-1 s-1 cm-2", reference="1 TeV", alpha=alpha, beta=beta)
    return SkyModel(model, name="crab")


@pytest.fixture(scope="module")
def spectra(data_dir):
    spectra = Datasets.read(data_dir / "joint-crab" / "datasets.yaml").with_fit_range("0.03 TeV", "30 TeV")
    assert tuple(spectra.names) == NAMES
    return spectra


def test_twenty_starts_reach_one_minimum(spectra):
    """Amplitude over two decades, index over 1.2, ten datasets: 99 % reach one minimum, to 1e-4 sigma, or say so."""
    rng = np.random.default_rng(20261123)
    reached = 0
    for spectrum in spectra:
        best = Fit().run(spectrum, crab())
        assert best.success
        assert not best.warnings
        for _ in range(20):
            start = crab(3.8e-11 * 10 ** rng.uniform(-1, 1), 2.5 + rng.uniform(-0.6, 0.6))
            result = Fit().run(spectrum, start)
            if result.success:
                np.testing.assert_allclose((result.values - best.values) / best.errors, 0.0, atol=1e-4)
                reached += 1
    assert reached >= 198


@pytest.mark.parametrize("name", [NAMES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES[1:])])
def test_iminuit_agrees(spectra, name):
    """From the same start, and from our minimum: delta TS 1e-4, 0.01 sigma."""
    best = Fit().run(spectra[name], crab())
    for check in (best.compare(Fit("minuit").run(spectra[name], crab())), Fit().cross_check(spectra[name], best)):
        assert abs(check.delta_stat) < 1e-4
        assert np.abs(check.differences).max() < 0.01
        assert check.agrees


def test_asimov_closure(spectra):
    """ON counts as the model and the OFF counts predict: the model is found again to 1e-4 sigma, the statistic is 0."""
    truth, asimov = crab(4e-11, 2.4, 0.12), []
    for spectrum in spectra:
        expected = np.asarray(spectrum.npred_signal(Models(truth)).data)
        background = spectrum.counts_off.data * spectrum.acceptance.data / spectrum.acceptance_off.data
        background = np.where(spectrum.counts_off.data > 0, background, 0.0)
        asimov.append(spectrum.replace(counts=spectrum.counts.replace(data=expected + background)))
    result = Fit().run(asimov, crab(2e-11, 2.9, 0.05))
    assert result.success
    np.testing.assert_allclose((result.values - [4e-11, 2.4, 0.12]) / result.errors, 0.0, atol=1e-4)
    assert result.total_stat < 1e-6
