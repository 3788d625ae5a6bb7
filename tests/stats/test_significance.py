"""Li & Ma significances and the translation between test statistics and sigmas."""

import mp_oracles
import mpmath as mp
import numpy as np
import pytest

from gammax.errors import DataValueError
from gammax.stats import li_ma_significance, sigma_to_ts, ts_to_p_value, ts_to_sigma


def test_li_ma_against_other_codes():
    # MAGIC's MMath::SignificanceLiMa(11, 27, 1/3), printed in Gammapy's issue 1296
    np.testing.assert_allclose(li_ma_significance(11, 27, 1 / 3), 0.552853039809283797, rtol=1e-12)
    # Gammapy 2.1, WStatCountsStatistic(n_on, n_off, alpha).sqrt_ts
    n_on, n_off, alpha = [13, 13, 5, 0, 9, 0, 178], [11, 7, 20, 5, 0, 0, 40], [0.5, 0.25, 0.5, 0.5, 0.5, 0.5, 0.5]
    expected = [2.09283236849, 4.36709627559, -1.47804128295, -2.01361641856, 4.4469114221, 0.0, 14.6877035738]
    np.testing.assert_allclose(li_ma_significance(n_on, n_off, alpha), expected, rtol=1e-11)


def test_li_ma_is_equation_17():
    rng = np.random.default_rng(5)
    n_on, n_off = np.floor(10 ** rng.uniform(-0.5, 6, (2, 50)))
    alpha = 10 ** rng.uniform(-3, 1, 50)
    ours = li_ma_significance(n_on, n_off, alpha)
    expected = [float(mp_oracles.li_ma(*bin_)) for bin_ in zip(n_on, n_off, alpha, strict=True)]
    np.testing.assert_allclose(ours, expected, rtol=1e-11)


def test_li_ma_of_a_tiny_excess_keeps_its_digits():
    # one count in 1e10: the two terms of equation 17 cancel to 1e-11 of themselves
    n_on, n_off, alpha = 1e10 + 1, 1e10, 1.0
    expected = float(mp_oracles.li_ma(n_on, n_off, alpha))
    np.testing.assert_allclose(li_ma_significance(n_on, n_off, alpha), expected, rtol=1e-5)


def test_li_ma_refuses_impossible_input():
    for bad in ((-1, 2, 0.5), (1, -2, 0.5), (1, 2, 0.0), (1, 2, -1.0), (np.inf, 2, 1.0)):
        with pytest.raises(DataValueError, match="GX-STATS-002"):
            li_ma_significance(*bad)


def log_sf(ts, df):
    """ln of the upper regularised incomplete gamma function, mpmath."""
    return mp.log(mp.gammainc(mp.mpf(df) / 2, mp.mpf(ts) / 2, mp.inf, regularized=True))


@pytest.mark.parametrize("df", [2, 3, 7, 40])
@pytest.mark.parametrize("n_sigma", [0.1, 1.0, 5.0, 35.0, 36.5, 45.0, 300.0])
def test_sigma_to_ts_has_the_same_tail_in_mpmath(n_sigma, df):
    # beyond 37 sigma the probability is below the smallest float: Gammapy 2.1 returns inf there
    ts = float(sigma_to_ts(n_sigma, df))
    np.testing.assert_allclose(float(log_sf(ts, df)), float(log_sf(n_sigma**2, 1)), rtol=1e-11)
    np.testing.assert_allclose(ts_to_sigma(ts, df), n_sigma, rtol=1e-11)


def test_conversions_to_gammapy():
    # Gammapy 2.1, ts_to_sigma(25, 2) and sigma_to_ts(5, 2)
    np.testing.assert_allclose(ts_to_sigma(25, 2), 4.6260722655790145, rtol=1e-12)
    np.testing.assert_allclose(sigma_to_ts(5, 2), 28.743702426857563, rtol=1e-12)


def test_one_degree_of_freedom_is_the_square():
    np.testing.assert_array_equal(sigma_to_ts([0.0, 3.0, -3.0, 1e3]), [0.0, 9.0, 9.0, 1e6])
    np.testing.assert_array_equal(ts_to_sigma([0.0, 9.0, 1e6, -1e-9]), [0.0, 3.0, 1e3, 0.0])
    np.testing.assert_allclose(ts_to_sigma([0.0, -1.0], 2), 0.0, atol=1e-12)


def log_sf_noncentral(ts, df, shift):
    """ln of the survival function of non-central chi2, the density integrated by mpmath."""

    def density(x):
        order = mp.mpf(df) / 2 - 1
        return mp.exp(-(x + shift) / 2) / 2 * (x / shift) ** (order / 2) * mp.besseli(order, mp.sqrt(shift * x))

    steps = [ts, ts + 20, ts + 100, ts + 400, ts + 2000]
    return mp.log(mp.quad(density, steps))


@pytest.mark.parametrize(("n_sigma", "df", "asimov"), [(5.0, 2, 3.0), (3.0, 5, 4.0), (60.0, 3, 2.0)])
def test_noncentral_tails_in_mpmath(n_sigma, df, asimov):
    """Also where the probability is no float: Gammapy 2.1 returns inf for ts_to_sigma(1e4, 4, 100)."""
    ts = float(sigma_to_ts(n_sigma, df, asimov))
    want = log_sf_noncentral(n_sigma**2, 1, asimov**2)
    np.testing.assert_allclose(float(log_sf_noncentral(ts, df, asimov**2)), float(want), rtol=1e-9)
    np.testing.assert_allclose(ts_to_sigma(ts, df, asimov**2), n_sigma, rtol=1e-10)


def test_noncentral_conversions_to_gammapy():
    # Gammapy 2.1: sigma_to_ts(5, 2, 3), ts_to_sigma(25, 2, 9), sigma_to_ts(5, 3, 6)
    np.testing.assert_allclose(sigma_to_ts(5, 2, 3), 26.289016293176694, rtol=1e-12)
    np.testing.assert_allclose(ts_to_sigma(25, 2, 9), 4.870926970141168, rtol=1e-12)
    np.testing.assert_allclose(sigma_to_ts([5.0, 0.0], 3, 6), [26.834642045287243, 0.0], rtol=1e-12)


def test_p_values_in_mpmath():
    """The tail of chi2; with a bounded parameter half of it, and half of that with one degree of freedom less."""
    np.testing.assert_allclose(ts_to_p_value(9.0, 3), float(mp.exp(log_sf(9.0, 3))), rtol=1e-13)
    mixed = (mp.exp(log_sf(9.0, 3)) + mp.exp(log_sf(9.0, 2))) / 2
    np.testing.assert_allclose(ts_to_p_value(9.0, 3, at_bound=True), float(mixed), rtol=1e-13)
    # one bounded norm: the one-sided tail of the normal law beyond sqrt(ts), and no evidence at all at 0
    tail = [float(mp.ncdf(-x)) for x in (1.0, 3.0, 30.0)]
    np.testing.assert_allclose(ts_to_p_value([1.0, 9.0, 900.0], at_bound=True), tail, rtol=1e-12)
    np.testing.assert_array_equal(ts_to_p_value([0.0, -1e-9], at_bound=True), [1.0, 1.0])


def test_what_is_no_test_statistic_has_no_p_value():
    """NaN stays NaN, without a warning of numpy."""
    for df in (1, 2):
        found = ts_to_p_value([np.nan, 0.0, 4.0], df, at_bound=True)
        assert np.isnan(found[0])
        assert found[1] == 1.0
        assert 0 < found[2] < 1
