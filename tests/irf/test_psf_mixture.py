"""PSFs as sums of Gaussians: exact where they are one, and how near on published tables."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from numpy.testing import assert_allclose

from gammax.errors import DataValueError
from gammax.irf import PSFMap, gaussian_mixture
from gammax.irf._psf_profile import SR, integral_to

RAD = np.linspace(0, 1, 1001)


def gaussians(weights, sigma, rad=RAD):
    half = rad[:, np.newaxis] ** 2 / (2 * np.asarray(sigma) ** 2)
    return (np.exp(-half) / (2 * np.pi * np.asarray(sigma) ** 2 * SR)) @ weights


def worst(mixture, rad, values):
    """Largest difference of containment within 97 %, smallest density against the peak: on points that no fit used."""
    x = np.linspace(0, 5 * rad[-1], 7003)
    half = x[:, np.newaxis] ** 2 / (2 * mixture.sigma**2)
    contained = mixture.weights @ -np.expm1(-half).T
    density = mixture.weights @ (np.exp(-half) / (2 * np.pi * mixture.sigma**2)).T
    table = integral_to(rad, values, x) / integral_to(rad, values, rad[-1:])
    inner = table < 0.97
    return np.abs(contained - table)[inner].max(), (density.min(axis=1) / density.max(axis=1)).min()


def test_a_sum_of_gaussians_is_found_again():
    values = np.array([gaussians([0.7, 0.3], [0.05, 0.12]), gaussians([1.0], [0.08])])
    mixture = gaussian_mixture(RAD, values, 16)
    assert mixture.sigma.shape == (16,)
    assert_allclose(np.diff(np.log(mixture.sigma)), np.log(mixture.sigma[1] / mixture.sigma[0]), rtol=1e-9)
    assert_allclose(mixture.weights.sum(axis=1), 1, rtol=1e-13)
    assert mixture.error < 1e-4
    assert_allclose(mixture.weights @ mixture.sigma**2, [0.7 * 0.05**2 + 0.3 * 0.12**2, 0.08**2], rtol=2e-3)


def test_empty_energies_have_no_weights():
    values = np.array([gaussians([1.0], [0.08]), np.zeros(len(RAD))])
    mixture = gaussian_mixture(RAD, values, 8)
    assert mixture.weights[0].any()
    assert not mixture.weights[1].any()
    nothing = gaussian_mixture(RAD, values[1:], 8)
    assert nothing.weights.shape == (1, 8)
    assert not nothing.weights.any()
    assert nothing.error == 0


def test_the_norm_of_the_table_does_not_matter():
    values = gaussians([0.7, 0.3], [0.05, 0.12])[np.newaxis]
    assert_allclose(gaussian_mixture(RAD, 7 * values).weights, gaussian_mixture(RAD, values).weights, atol=1e-9)


def test_the_number_follows_a_tolerance():
    values = gaussians([0.7, 0.3], [0.04, 0.15])[np.newaxis]
    loose, tight = (gaussian_mixture(RAD, values, n=None, tolerance=t) for t in (1e-2, 1e-4))
    assert len(loose.sigma) < len(tight.sigma)
    assert loose.inner_error < 1e-2
    assert tight.inner_error < 1e-4


def test_a_table_that_ends_too_early_is_continued_without_negative_density():
    rad = np.linspace(0, 0.3, 301)
    values = (1 + (rad / 0.05) ** 2)[np.newaxis] ** -1.5
    mixture = gaussian_mixture(rad, values, 16)
    inner, smallest = worst(mixture, rad, values)
    assert inner < 5e-3
    assert smallest > -2e-6
    # what is missing at the end lies beyond it
    assert mixture.error > 5e-3


def test_what_is_no_density_is_refused():
    values = gaussians([1.0], [0.08])[np.newaxis]
    with pytest.raises(DataValueError, match="GX-IRF-100"):
        gaussian_mixture(RAD[1:], values[:, 1:])
    with pytest.raises(DataValueError, match="GX-IRF-101"):
        gaussian_mixture(RAD, -values)
    with pytest.raises(DataValueError, match="GX-IRF-102"):
        gaussian_mixture(RAD, values, 0)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "position", "twelve", "sixteen"),
    [
        ("w02_a1/crab-stacked.fits", SkyCoord(83.62, 22.02, unit="deg"), 1.2e-3, 9e-4),
        ("w03_stacked/stacked.fits", SkyCoord(359.95, -0.05, unit="deg", frame="galactic"), 4e-4, 3.5e-4),
        ("w04/fermi-3fhl-gc.fits", SkyCoord(0, 0, unit="deg", frame="galactic"), 1.5e-4, 6e-5),
    ],
    ids=["hess", "cta", "fermi"],
)
def test_published_tables(reference_dir, name, position, twelve, sixteen):
    """H.E.S.S., CTA 1DC and Fermi-LAT; the tolerances are what was found, rounded up."""
    rad, values = PSFMap.read(reference_dir / "datasets" / name).profile(position)
    for n, bound in ((12, twelve), (16, sixteen)):
        mixture = gaussian_mixture(rad, values, n)
        inner, smallest = worst(mixture, rad, values)
        assert inner < bound
        assert abs(inner - mixture.inner_error) < 0.05 * inner
        assert smallest > -1e-5
        assert_allclose(mixture.weights.sum(axis=1), 1, rtol=1e-13)
