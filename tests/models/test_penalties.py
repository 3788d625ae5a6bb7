"""Gaussian penalties of several parameters: formulas, units, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gammax.errors import GammaxWarning, ModelError
from gammax.models import GaussianPriorPenalty, Models, PowerLawSpectralModel, SkyModel

NAMES = ["a.spectral.index", "b.spectral.index", "c.spectral.index"]
VALUES = np.array([2.1, 2.4, 1.9])
# stat_sum() of Gammapy 2.1's classes
PEER = {"full": 6.285492227979275, "diagonal": 5.062499999999999, "l2": 27.56, "smooth": 1.0799999999999994}


def make_models():
    spectra = [PowerLawSpectralModel(index=value, amplitude="1e-12 TeV-1 s-1 cm-2") for value in VALUES]
    return Models([SkyModel(spectrum, name=name) for name, spectrum in zip("abc", spectra, strict=True)])


def test_formulas():
    """Values as Gammapy 2.1's classes of the same names give them for these numbers."""
    mean, covariance = [2.0, 2.1, 2.2], [[0.01, 0.002, 0.0], [0.002, 0.02, 0.003], [0.0, 0.003, 0.03]]
    full = GaussianPriorPenalty(NAMES, mean, covariance, lambda_=0.7)
    np.testing.assert_allclose(full.statistic(VALUES), PEER["full"], rtol=1e-12)
    # a normal density without its constants
    density = scipy.stats.multivariate_normal(mean, covariance)
    np.testing.assert_allclose(full.statistic(VALUES), -1.4 * (density.logpdf(VALUES) - density.logpdf(mean)))
    precision = GaussianPriorPenalty.from_precision(NAMES, np.linalg.inv(covariance), mean, 0.7)
    np.testing.assert_allclose(precision.statistic(VALUES), full.statistic(VALUES), rtol=1e-12)
    np.testing.assert_allclose(precision.covariance, covariance, rtol=1e-12, atol=1e-16)
    diagonal = GaussianPriorPenalty.from_diagonal(NAMES, [0.1, 0.2, 0.4], mean=2.0)
    np.testing.assert_allclose(diagonal.statistic(VALUES), PEER["diagonal"], rtol=1e-12)
    np.testing.assert_allclose(GaussianPriorPenalty.L2_penalty(NAMES, lambda_=2.0).statistic(VALUES), PEER["l2"])
    smooth = GaussianPriorPenalty.SmoothnessPenalty(NAMES, mean=2.0, lambda_=3.0)
    np.testing.assert_allclose(smooth.statistic(VALUES), PEER["smooth"], rtol=1e-12)
    np.testing.assert_allclose(smooth.statistic(VALUES), 3 * (0.1**2 + 0.3**2 + 0.5**2 + 0.1**2), rtol=1e-12)


def test_a_precision_may_leave_directions_free():
    """Differences alone: no penalty on a common shift."""
    penalty = GaussianPriorPenalty.from_precision(NAMES[:2], [[1.0, -1.0], [-1.0, 1.0]])
    np.testing.assert_allclose(penalty.statistic(VALUES[:2]), 0.3**2, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: GaussianPriorPenalty("a.spectral.index"), "GX-MODEL-110"),
        (lambda: GaussianPriorPenalty([]), "GX-MODEL-110"),
        (lambda: GaussianPriorPenalty(NAMES, mean=[1.0, 2.0]), "GX-MODEL-111"),
        (lambda: GaussianPriorPenalty(NAMES, covariance=np.eye(2)), "GX-MODEL-111"),
        (lambda: GaussianPriorPenalty(NAMES, covariance=np.diag([1.0, 1.0, 0.0])), "GX-MODEL-112"),
        (lambda: GaussianPriorPenalty(NAMES[:2], covariance=[[1.0, 0.5], [0.0, 1.0]]), "GX-MODEL-112"),
        (lambda: GaussianPriorPenalty(NAMES[:2], covariance=[[1.0, 2.0], [2.0, 1.0]]), "GX-MODEL-112"),
        (lambda: GaussianPriorPenalty.from_precision(NAMES[:1], [[np.nan]]), "GX-MODEL-112"),
        (lambda: GaussianPriorPenalty(NAMES, mean=[1.0, np.nan, 2.0]), "GX-MODEL-119"),
        (lambda: GaussianPriorPenalty(NAMES, lambda_=-1.0), "GX-MODEL-119"),
        (lambda: GaussianPriorPenalty(NAMES, lambda_=np.nan), "GX-MODEL-119"),
        (lambda: GaussianPriorPenalty.from_precision(NAMES[:2], [[1, -1], [-1, 1]]).covariance, "GX-MODEL-112"),
        (lambda: make_models().with_penalties(GaussianPriorPenalty(["a.spectral.indx"])), "GX-MODEL-017"),
    ],
)
def test_refused(make, code):
    with pytest.raises(ModelError, match=code):
        make()


def test_covariances_can_be_differentiated_by():
    """lambda z^2 of independent parameters: d / d sigma_i is -2 z_i^2 / sigma_i."""
    sigma, off = np.array([0.1, 0.2, 0.4]), VALUES - 2.0

    def by_matrix(sigma):
        return GaussianPriorPenalty(NAMES, 2.0, jnp.diag(sigma**2)).statistic(VALUES)

    def by_diagonal(sigma):
        return GaussianPriorPenalty.from_diagonal(NAMES, sigma, 2.0).statistic(VALUES)

    for statistic in (by_matrix, by_diagonal):
        np.testing.assert_allclose(jax.grad(statistic)(sigma), -2.0 * off**2 / sigma**3, rtol=1e-12)


def test_models_keep_penalties():
    models = make_models().with_penalties(GaussianPriorPenalty(NAMES[:2]))
    others = [
        models.with_values({NAMES[0]: 3.0}),
        models.freeze(model_type="spectral"),
        models.unfreeze(NAMES[2]),
        models.link("index", NAMES[0], NAMES[2]),
        Models(models),
        models.replace(models["a"]),
    ]
    assert all([penalty.parameters for penalty in other.penalties] == [tuple(NAMES[:2])] for other in others)
    assert models.select(name_substring="a").penalties == models.with_penalties().penalties == ()


def test_another_unit_converts_a_penalty():
    names = ["a.spectral.reference", "a.spectral.index"]
    models = make_models().with_penalties(GaussianPriorPenalty(names, [1.1, 2.0], [[0.04, 0.01], [0.01, 0.09]]))
    moved = models["a"].spectral_model.replace(reference=models["a"].spectral_model.reference.replace(unit="GeV"))
    other = models.replace(models["a"].replace(spectral_model=moved))
    np.testing.assert_allclose(other.penalties[0].mean, [1100.0, 2.0])
    np.testing.assert_allclose(
        other.penalties[0].statistic(np.array([1000.0, 2.1])), models.penalties[0].statistic(np.array([1.0, 2.1]))
    )


def test_a_file_has_no_penalties(tmp_path):
    models = make_models().with_penalties(GaussianPriorPenalty(NAMES))
    with pytest.warns(GammaxWarning, match="GX-MODEL-115"):
        models.write(tmp_path / "models.yaml")
    assert Models.read(tmp_path / "models.yaml").penalties == ()
