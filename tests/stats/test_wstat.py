"""wstat: published vectors, corners, kinks, weights."""

import jax
import mp_oracles
import numpy as np
import pytest

from gammax.stats import wstat, wstat_curvature, wstat_mu_bkg

# Sherpa, as quoted by Gammapy's test of its statistics
N_ON = [0, 13, 7, 5, 11, 16, 0, 9, 3, 12]
N_OFF = [0, 7, 4, 0, 18, 7, 1, 5, 12, 25]
ALPHA = [0.83746243, 0.17003354, 0.26034507, 0.69197751, 0.89557033, 0.34068848, 0.0646732, 0.86411967]
ALPHA += [0.29087245, 0.74108241]
MU_SIG = [0.59752422, 9.13666449, 12.98288095, 5.56974565, 13.52509804, 11.81725635, 0.47963765, 11.17708176]
MU_SIG += [5.18504894, 8.30202394]
WSTAT = [1.19504844, 0.625311794002, 4.25810886127, 0.0603765381044, 11.7285002468, 0.206014834301]
WSTAT += [1.084611, 2.72972381792, 4.60602990838, 7.51658734973]


slope = jax.jit(jax.grad(wstat, argnums=3))
curvature = jax.jit(jax.grad(jax.grad(wstat, argnums=3), argnums=3))


def test_wstat_reproduces_sherpa():
    np.testing.assert_allclose(wstat(N_ON, N_OFF, ALPHA, MU_SIG), WSTAT, rtol=1e-7)


def test_corners_of_sherpa():
    # closed forms of the XSPEC manual's special cases
    n_on, n_off, alpha, s = 0.0, 5.0, 0.5, 2.3
    np.testing.assert_allclose(wstat(n_on, n_off, alpha, s), 2 * (s + n_off * np.log(1 + alpha)), rtol=1e-12)
    n_on, n_off = 9.0, 0.0
    expected = -2 * (s / alpha + n_on * np.log(alpha / (1 + alpha)))
    np.testing.assert_allclose(wstat(n_on, n_off, alpha, s), expected, rtol=1e-12)
    n_on, s = 5.0, 5.3
    expected = 2 * (s + n_on * (np.log(n_on) - np.log(s) - 1))
    np.testing.assert_allclose(wstat(n_on, n_off, alpha, s), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("n_on", "n_off", "alpha", "mu_sig", "mu_bkg", "value"),
    [
        # n_on = 0: mu_bkg = n_off / (1 + alpha) while that leaves mu_on >= 0, -mu_sig / alpha below
        (0.0, 6.0, 0.5, -1.0, 4.0, 2 * (-1 + 6 * np.log(1.5))),
        (0.0, 6.0, 0.5, -2.5, 5.0, 2 * (5 - 6 + 6 * np.log(6 / 5))),
        (0.0, 6.0, 0.5, -3.0, 6.0, 0.0),
        (0.0, 6.0, 0.5, -4.0, 8.0, 2 * (8 - 6 + 6 * np.log(6 / 8))),
        # n_off = 0: mu_bkg = n_on / (1 + alpha) - mu_sig / alpha while positive
        (6.0, 0.0, 0.5, -1.0, 6.0, 2 * (2 - 6 + 6 * np.log(6 / 2)) + 2 * 6.0),
        (6.0, 0.0, 0.5, 2.0, 0.0, 2 * (2 - 6 + 6 * np.log(6 / 2))),
        (6.0, 0.0, 0.5, 6.0, 0.0, 0.0),
        # neither: 2 mu_sig above zero, -2 mu_sig / alpha below
        (0.0, 0.0, 0.5, 3.0, 0.0, 6.0),
        (0.0, 0.0, 0.5, -3.0, 6.0, 12.0),
        (0.0, 0.0, 0.5, 0.0, 0.0, 0.0),
        # the minimum
        (6.0, 4.0, 0.5, 4.0, 4.0, 0.0),
        (1.0, 9.0, 0.5, -3.5, 9.0, 0.0),
    ],
)
def test_constrained_profile_in_closed_form(n_on, n_off, alpha, mu_sig, mu_bkg, value):
    np.testing.assert_allclose(wstat_mu_bkg(n_on, n_off, alpha, mu_sig), mu_bkg, rtol=1e-14, atol=0)
    np.testing.assert_allclose(wstat(n_on, n_off, alpha, mu_sig), value, rtol=1e-14, atol=0)


@pytest.mark.parametrize(("n_on", "alpha"), [(9.0, 0.5), (1.0, 0.01), (1e5, 3.0)])
def test_kink_without_off_counts(n_on, alpha):
    # closed forms: slope -2 / alpha on both sides; curvature 0 below, 2 n_on / mu_sig^2 above and at the kink
    kink = alpha * n_on / (1 + alpha)
    step = 1e-9 * kink
    right = 2 * n_on / kink**2
    for mu_sig, expected in ((kink - step, 0.0), (kink, right), (kink + step, right)):
        np.testing.assert_allclose(slope(n_on, 0.0, alpha, mu_sig), -2 / alpha, rtol=1e-6)
        np.testing.assert_allclose(curvature(n_on, 0.0, alpha, mu_sig), expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(("n_off", "alpha"), [(9.0, 0.5), (1.0, 0.01), (1e5, 3.0)])
def test_kink_without_on_counts(n_off, alpha):
    # closed forms: slope 2 on both sides; curvature 2 n_off / mu_sig^2 below, 0 above and at the kink
    kink = -alpha * n_off / (1 + alpha)
    step = 1e-9 * abs(kink)
    left = 2 * n_off / kink**2
    for mu_sig, expected in ((kink - step, left), (kink, 0.0), (kink + step, 0.0)):
        np.testing.assert_allclose(slope(0.0, n_off, alpha, mu_sig), 2.0, rtol=1e-6)
        np.testing.assert_allclose(curvature(0.0, n_off, alpha, mu_sig), expected, rtol=1e-8, atol=1e-12)


def test_slope_jumps_only_where_both_counts_are_zero():
    for mu_sig, expected in ((-1e-9, -2 / 0.3), (0.0, 2.0), (1e-9, 2.0)):
        np.testing.assert_allclose(slope(0.0, 0.0, 0.3, mu_sig), expected, rtol=1e-14)
        assert curvature(0.0, 0.0, 0.3, mu_sig) == 0.0


@pytest.mark.parametrize("mu_sig", [-1e6, -30.0, 0.0, 2.0, 17.0, 1e6])
def test_slope_and_curvature_are_those_of_the_profile(mu_sig):
    # envelope theorem at the profile found by mpmath: 2 (1 - n_on / mu_on), and its derivative with mu_bkg following
    n_on, n_off, alpha = 7.0, 11.0, 0.4
    mu_on, mu_bkg = mp_oracles.profile(n_on, n_off, alpha, mu_sig)
    p, q = n_on / mu_on**2, n_off / mu_bkg**2
    np.testing.assert_allclose(slope(n_on, n_off, alpha, mu_sig), float(2 * (1 - n_on / mu_on)), rtol=1e-13)
    np.testing.assert_allclose(curvature(n_on, n_off, alpha, mu_sig), float(2 * p * q / (alpha**2 * p + q)), rtol=1e-12)


def test_wstat_tends_to_cstat_for_a_well_known_background():
    # alpha -> 0 at fixed alpha n_off: the closed form of a known background, to O(alpha)
    n_on, background, signal = 7.0, 3.0, 1.5
    mu = background + signal
    known = 2 * (mu - n_on + n_on * np.log(n_on / mu))
    np.testing.assert_allclose(wstat(n_on, background / 1e-8, 1e-8, signal), known, rtol=1e-6)


def test_wstat_curvature_is_the_expected_curvature():
    # at the truth: mean over Poisson counts of the exact second derivative, with counts = expectations in it
    n_on, n_off, alpha, signal = 40.0, 60.0, 0.5, 10.0
    np.testing.assert_allclose(wstat_curvature(n_on, n_off, alpha, signal), 2 / (40 + 0.25 * 60), rtol=1e-14)
    np.testing.assert_allclose(curvature(n_on, n_off, alpha, signal), 2 / (40 + 0.25 * 60), rtol=1e-12)
    assert float(wstat_curvature(0.0, 0.0, 0.5, 0.0)) == 2e10


def test_vmap_equals_loop_and_broadcast():
    arrays = [np.array(x, dtype=float) for x in (N_ON, N_OFF, ALPHA, MU_SIG)]
    value_and_slope = jax.value_and_grad(wstat, argnums=3)
    mapped = jax.jit(jax.vmap(value_and_slope))(*arrays)
    loop = [jax.jit(value_and_slope)(*bin_) for bin_ in zip(*arrays, strict=True)]
    np.testing.assert_allclose(mapped[0], [value for value, _ in loop], rtol=1e-14)
    np.testing.assert_allclose(mapped[1], [gradient for _, gradient in loop], rtol=1e-14)
    np.testing.assert_array_equal(wstat(np.array([[1], [2]]), 3, 0.5, np.zeros(2)).shape, (2, 2))


def test_nan_is_not_hidden():
    for bin_ in ((np.nan, 1.0, 0.5, 1.0), (1.0, np.nan, 0.5, 1.0), (1.0, 1.0, np.nan, 1.0), (1.0, 1.0, 0.5, np.nan)):
        assert np.isnan(wstat(*bin_))
