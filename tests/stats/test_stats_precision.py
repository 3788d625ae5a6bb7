"""cash, cstat, wstat against mpmath (50 digits) to 1e-12 of the sum of |terms|, which the value never exceeds."""

import mp_oracles
import mpmath as mp
import numpy as np
import pytest

from gammax.stats import cash, cstat, wstat, wstat_mu_bkg

BAR = 1e-12
N_POINTS = 300


@pytest.fixture(scope="module")
def points():
    """Random bins over the range of reliability: a third of them near the minimum, a fifth with negative signal."""
    rng = np.random.default_rng(1)
    n_on, n_off = np.floor(10 ** rng.uniform(-0.5, 6, (2, N_POINTS)))
    alpha = 10 ** rng.uniform(-4, 1, N_POINTS)
    signal = 10 ** rng.uniform(-8, 7, N_POINTS) * np.where(rng.random(N_POINTS) < 0.2, -1, 1)
    near = rng.random(N_POINTS) < 0.33
    signal = np.where(near, (n_on - alpha * n_off) * (1 + 1e-3 * rng.normal(size=N_POINTS)), signal)
    mu = np.where(near, np.maximum(n_on, 1) * (1 + 1e-4 * rng.normal(size=N_POINTS)), np.abs(signal))
    assert {(a, b) for a, b in zip(n_on > 0, n_off > 0, strict=True)} == {(a, b) for a in (0, 1) for b in (0, 1)}
    return n_on, n_off, alpha, signal, mu


def test_cash_and_cstat_to_mpmath(points):
    n_on, _, _, _, mu = points
    ours, ours_zero = np.asarray(cash(n_on, mu)), np.asarray(cstat(n_on, mu))
    for i in range(N_POINTS):
        n, m = mp.mpf(n_on[i]), mp.mpf(mu[i])
        expected, size = mp_oracles.poisson_terms(n, m)
        log_term = n * mp.log(m)
        assert abs(ours[i] - 2 * (m - log_term)) <= BAR * 2 * (m + abs(log_term))
        assert abs(ours_zero[i] - expected) <= BAR * size


def test_cstat_keeps_its_digits_near_the_minimum():
    n = np.array([1e3, 1e6, 1e9])
    mu = n * (1 + 1e-6)
    expected = [float(mp_oracles.poisson_terms(*pair)[0]) for pair in zip(n, mu, strict=True)]
    # relative to the value itself, 1e-9 ... 1e-3, not to its terms, where n * 1e-16 would be lost
    np.testing.assert_allclose(np.asarray(cstat(n, mu)), expected, rtol=1e-8)


def test_wstat_and_mu_bkg_to_mpmath(points):
    n_on, n_off, alpha, signal, _ = points
    ours, ours_bkg = np.asarray(wstat(*points[:4])), np.asarray(wstat_mu_bkg(*points[:4]))
    for i in range(N_POINTS):
        bin_ = n_on[i], n_off[i], alpha[i], signal[i]
        expected, size = mp_oracles.wstat(*bin_)
        mu_bkg = mp_oracles.profile(*bin_)[1]
        assert abs(ours[i] - expected) <= BAR * size, bin_
        assert abs(ours_bkg[i] - mu_bkg) <= BAR * mu_bkg, bin_


def test_mu_bkg_where_the_textbook_root_cancels():
    # (C + D) / (2 alpha (1 + alpha)) with C < 0 loses 9e-8 and more here; the reference is bisection in mpmath
    for bin_ in [(1.0, 3.0, 0.1, 1e7), (10.0, 1.0, 1e-3, 1e8), (5.0, 5.0, 10.0, 1e9)]:
        expected = mp_oracles.profile(*bin_)[1]
        assert abs(float(wstat_mu_bkg(*bin_)) - expected) <= 4e-16 * expected


def test_expected_on_counts_keep_their_digits_at_large_negative_signal():
    # mu_on = mu_sig + alpha mu_bkg cancels to nothing there; wstat needs it to full precision
    for bin_ in [(3.0, 5.0, 0.1, -1e7), (1e6, 2.0, 0.3, -1e9), (1.0, 1e6, 10.0, -1e8)]:
        expected = mp_oracles.wstat(*bin_)[0]
        assert abs(float(wstat(*bin_)) - expected) <= 1e-14 * expected
