"""CashCountsStatistic and WStatCountsStatistic: numbers of the peer, closed forms, corners."""

import mp_oracles
import numpy as np
import pytest

from gammax.errors import DataValueError
from gammax.stats import CashCountsStatistic, WStatCountsStatistic, cash, wstat

# the lists below are Gammapy 2.1 on these two unless they say otherwise
CASH = CashCountsStatistic(n_on=[13, 7, 3, 0, 1000, 1], mu_bkg=[5.5, 2.0, 9.0, 2.0, 900.0, 0.1])
WSTAT = WStatCountsStatistic(
    n_on=[13, 13, 5, 0, 9, 0, 1, 100],
    n_off=[11, 7, 20, 5, 0, 0, 0, 900],
    alpha=[0.5, 0.25, 0.5, 0.5, 0.5, 0.5, 0.1, 0.1],
)


def close(ours, expected):
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


def test_cash_numbers_of_gammapy():
    close(CASH.n_sig, [7.5, 5.0, -6.0, -2.0, 100.0, 0.9])
    close(CASH.error, [3.60555127546, 2.64575131106, 1.73205080757, 0.0, 31.6227766017, 1.0])
    close(CASH.stat_null, [-33.3234503982, -5.70406052784, 4.81665253598, 4.0, -11804.7895266, 4.80517018599])
    close(CASH.stat_max, [-40.688683294, -13.2427420868, -0.591673732009, 0.0, -11815.510558, 2.0])
    np.testing.assert_allclose(
        CASH.ts, [7.3652328958, 7.53868155894, 5.40832626799, 4.0, 10.7210313157, 2.80517018599], rtol=1e-10
    )
    close(CASH.sqrt_ts, [2.71389625738, 2.7456659591, -2.32558084529, -2.0, 3.27429859904, 1.67486422912])
    close(
        CASH.p_value,
        [0.00332484934745, 0.00301941078571, 0.0100204612071, 0.0227501319482, 0.00052962308185, 0.0469804366934],
    )
    close(CASH.compute_errn(), [3.28021155835, 2.32345717901, 1.41602574422, 0.0, 31.2903253898, 0.698290437316])
    close(CASH.compute_errn(2), [5.94409080574, 4.05092127965, 2.27957381296, 0.0, 61.9193066434, 0.947530902542])
    close(CASH.compute_errp(), [3.94630912462, 2.98906807258, 2.0802366975, 0.5, 31.9569846492, 1.35767667395])
    close(CASH.compute_errp(2), [8.60168631792, 6.70081744831, 4.90765816932, 2.0, 64.585854799, 3.50524149579])


def test_wstat_numbers_of_gammapy():
    close(WSTAT.n_sig, [7.5, 11.25, -5.0, -2.5, 9.0, 0.0, 1.0, 10.0])
    close(WSTAT.error, [3.9686269666, 3.66571957465, 3.16227766017, 1.11803398875, 3.0, 0.0, 1.0, 10.4403065089])
    ts = [4.37994732261, 19.0715298803, 2.1846060341, 4.05465108108, 19.775021196, 0.0, 4.7957905456, 0.971431424562]
    close(WSTAT.ts, ts)
    close(WSTAT.stat_null, ts)
    np.testing.assert_array_equal(WSTAT.stat_max, 0.0)
    p_value = [0.0181820606278, 6.29546185688e-06, 0.0696983643687, 0.0220249106486, 4.35568686826e-06, 0.5]
    np.testing.assert_allclose(WSTAT.p_value, [*p_value, 0.0142646806125, 0.162161722524], rtol=1e-9)
    errn = [3.74952182686, 3.35712247655, 3.1215873393, 1.29055290356, 2.67634518427, 0.25, 0.698290437316]
    close(WSTAT.compute_errn(), [*errn, 10.1417479313])
    errn = [7.18881564007, 6.15041502878, 6.30439176519, 2.94688108965, 4.74753781004, 1.0, 0.96021047272]
    close(WSTAT.compute_errn(2), [*errn, 19.7052488636])
    errp = [4.2364750915, 3.99513973365, 3.29085272483, 0.972674459459, 3.34219027063, 0.5, 1.35767667395]
    close(WSTAT.compute_errp(), [*errp, 10.7476571325])
    ul = [22.1079269846, 25.3573030441, 6.33689796664, 2.47267445946, 21.2190900655, 4.5, 7.51719276585]
    close(WSTAT.compute_upper_limit(), [*ul, 44.1591745661])


def test_excess_of_a_significance_of_gammapy():
    excess = [15.3988596819, 10.5505459902, 18.7528306212, 10.5505459902, 154.111224266, 4.33947715532]
    close(CASH.n_sig_matching_significance(5), excess)
    excess = [23.1218872263, 13.7026084985, 28.0091831401, 18.6469621955, 11.3779903328, 11.3779903328]
    close(WSTAT.n_sig_matching_significance(5), [*excess, 5.2129048928, 54.6354813406])
    excess = [-2.54062040723, -1.22228143307, -3.54106412824, -1.60481798355, np.nan, np.nan, np.nan, -9.74874139105]
    close(WSTAT.n_sig_matching_significance(-1), excess)


def test_excess_of_a_significance_comes_back():
    # closed loop: sqrt_ts of the counts that were found. Gammapy 2.1 gives NaN for (n_off 5, alpha 0.2) at -1, though
    # its own sqrt_ts of n_on = 0.1512 there is -1
    for significance in (-1.0, 0.5, 3.0, 40.0):
        excess = WStatCountsStatistic(0, [5, 300, 40], [0.2, 0.1, 2.0]).n_sig_matching_significance(significance)
        again = WStatCountsStatistic(excess + np.array([1, 30, 80]), [5, 300, 40], [0.2, 0.1, 2.0]).sqrt_ts
        np.testing.assert_allclose(again, significance, rtol=1e-9)
        excess = CashCountsStatistic(0, [1.0, 30.0]).n_sig_matching_significance(significance)
        again = CashCountsStatistic(excess + np.array([1.0, 30.0]), [1.0, 30.0]).sqrt_ts
        np.testing.assert_allclose(again, significance, rtol=1e-9)


def test_excess_of_a_significance_that_cannot_be():
    # sqrt_ts of n_on = 0 is -sqrt(2 mu_bkg) = -0.447: nothing is lower (Gammapy 2.1: +0.51, a positive excess)
    assert np.isnan(CashCountsStatistic(1, 0.1).n_sig_matching_significance(-2.5))
    close(
        CashCountsStatistic(0.1 + CashCountsStatistic(1, 0.1).n_sig_matching_significance(-0.447), 0.1).sqrt_ts, -0.447
    )
    assert np.isnan(CashCountsStatistic(1, 0.0).n_sig_matching_significance(5))
    assert CashCountsStatistic(1, 0.1).n_sig_matching_significance(0) == 0
    with_signal = WStatCountsStatistic(0, 50, 0.5, mu_sig=10.0)
    excess = with_signal.n_sig_matching_significance(3)
    close(WStatCountsStatistic(35 + excess, 50, 0.5, mu_sig=10.0).sqrt_ts, 3.0)


def test_upper_limit_of_no_counts():
    # closed form: -2 ln L = 2 mu_on has its minimum at mu_on = 0 and reaches n_sigma^2 at mu_on = n_sigma^2 / 2.
    # Gammapy 2.1 returns 4.5 whatever the background, against its own n_sig + errp = 2.5 and its limits for n_on > 0
    statistic = CashCountsStatistic(0, 2.0)
    close(statistic.compute_upper_limit(3), 4.5 - 2.0)
    close(statistic.n_sig + statistic.compute_errp(3), 2.5)
    # W = 2 (mu_sig + n_off ln(1 + alpha)) for n_on = 0
    close(WStatCountsStatistic(0, 5, 0.5).compute_upper_limit(3), 4.5 - 5 * np.log(1.5))
    close(WStatCountsStatistic(0, 0, 0.5).compute_upper_limit(3), 4.5)


def test_lower_error_at_the_bounds():
    # no counts, known background: mu_on = 0 already
    assert CashCountsStatistic(0, 2.0).compute_errn() == 0.0
    # W = -2 mu_sig / alpha below zero
    close(WStatCountsStatistic(0, 0, 0.1).compute_errn(2), 0.1 * 4 / 2)
    # n_off = 0: W is linear below alpha n_on / (1 + alpha)
    n_on, alpha = 9.0, 0.5
    kink = alpha * n_on / (1 + alpha)
    at_kink = 2 * (kink - n_on + n_on * np.log(n_on / kink))
    close(WStatCountsStatistic(n_on, 0, alpha).compute_errn(5), n_on - (kink - (25 - at_kink) * alpha / 2))


def test_interval_ends_lie_on_the_threshold():
    rng = np.random.default_rng(11)
    n_on, n_off = np.floor(10 ** rng.uniform(-0.5, 6, (2, 25)))
    alpha = 10 ** rng.uniform(-3, 1, 25)
    for n_sigma in (0.1, 1.0, 8.0):
        statistic = WStatCountsStatistic(n_on, n_off, alpha)
        errors = -statistic.compute_errn(n_sigma), statistic.compute_errp(n_sigma)
        for end in (statistic.n_sig + error for error in errors):
            values = [float(mp_oracles.wstat(*bin_)[0]) for bin_ in zip(n_on, n_off, alpha, end, strict=True)]
            np.testing.assert_allclose(values, n_sigma**2, rtol=1e-7)
        statistic = CashCountsStatistic(n_on[n_on > 0], 3.0)
        for end in (-statistic.compute_errn(n_sigma), statistic.compute_errp(n_sigma)):
            pairs = zip(statistic.n_on, statistic.n_on + end, strict=True)
            values = [float(mp_oracles.poisson_terms(*pair)[0]) for pair in pairs]
            np.testing.assert_allclose(values, n_sigma**2, rtol=1e-7)


def test_known_background_without_any():
    statistic = CashCountsStatistic([0, 5], 0.0)
    np.testing.assert_array_equal(statistic.ts, [0.0, np.inf])
    np.testing.assert_array_equal(statistic.sqrt_ts, [0.0, np.inf])


def test_same_statistic_as_the_device_functions():
    close(CASH.stat_null, cash(CASH.n_on, CASH.mu_bkg))
    shifted = WStatCountsStatistic(WSTAT.n_on, WSTAT.n_off, WSTAT.alpha, 2.5)
    close(shifted.stat_null, wstat(WSTAT.n_on, WSTAT.n_off, WSTAT.alpha, 2.5))
    close(shifted.n_sig, WSTAT.n_sig - 2.5)
    close(shifted.compute_errp(), WSTAT.compute_errp())
    close(shifted.compute_upper_limit(), WSTAT.compute_upper_limit() - 2.5)


def test_sum_keeps_counts_and_background():
    # Gammapy 2.1: WStatCountsStatistic([13, 13, 5], [11, 7, 20], [.5, .25, .5]).sum(): alpha 0.45394736842105265
    total = WSTAT[:3].sum()
    np.testing.assert_allclose(total.alpha, 0.45394736842105265, rtol=1e-14)
    np.testing.assert_allclose([total.n_on, total.n_off, total.n_bkg], [31, 38, 17.25], rtol=1e-14)
    # no OFF counts: Gammapy 2.1 gives alpha = NaN and with it no significance
    close(WStatCountsStatistic([3, 4], [0, 0], 0.5).sum().sqrt_ts, WStatCountsStatistic(7, 0, 0.5).sqrt_ts)
    image = WStatCountsStatistic(np.ones((2, 3)), 2.0, 0.5, mu_sig=0.25).sum(axis=0)
    for values, expected in ((image.n_on, 2), (image.n_off, 4), (image.alpha, 0.5), (image.mu_sig, 0.5)):
        np.testing.assert_array_equal(values, np.full(3, expected))
    total = CASH.sum()
    np.testing.assert_allclose([total.n_on, total.mu_bkg], [1024, 918.6])


def test_scalars_info_and_representation():
    statistic = WStatCountsStatistic(13, 11, 0.5)
    assert isinstance(statistic.compute_errn(), float)
    assert set(statistic.info_dict()) == {
        "n_on", "n_off", "alpha", "mu_sig", "background", "excess", "significance", "p_value",
    }  # fmt: skip
    assert statistic.info_dict()["excess"] == 7.5
    assert "mu_bkg" in CASH.info_dict()
    assert repr(statistic) == "WStatCountsStatistic(n_on 13, background 5.50, excess 7.50 +- 3.97, 2.09 sigma)"
    assert repr(CASH) == "CashCountsStatistic(shape (6,), n_on 1024, excess 105.40)"


def test_arrays_are_copied_and_frozen():
    counts = np.array([1.0, 2.0])
    statistic = CashCountsStatistic(counts, 1.0)
    counts[0] = 7
    assert statistic.n_on[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        statistic.n_on[0] = 3


def test_nan_stays_nan():
    for statistic in (CashCountsStatistic([np.nan, 3], 2.0), WStatCountsStatistic([5, 3], 4, [np.nan, 0.5])):
        for values in (
            statistic.sqrt_ts,
            statistic.p_value,
            statistic.compute_errn(),
            statistic.compute_errp(),
            statistic.compute_upper_limit(),
        ):
            np.testing.assert_array_equal(np.isnan(values), [True, False])
    matched = WStatCountsStatistic(5, [np.nan, 4], 0.5).n_sig_matching_significance(5)
    np.testing.assert_array_equal(np.isnan(matched), [True, False])


def test_impossible_input_is_refused():
    for make in (
        lambda: CashCountsStatistic(-1, 1.0),
        lambda: CashCountsStatistic(1, -1.0),
        lambda: WStatCountsStatistic(1, 1, 0.0),
        lambda: WStatCountsStatistic([1, 2], [1, -1], 0.5),
    ):
        with pytest.raises(DataValueError, match="GX-STATS-002"):
            make()
    with pytest.raises(DataValueError, match=r"n_off\[1\] = -1"):
        WStatCountsStatistic([1, 2], [1, -1], 0.5)
    for statistic in (CASH, WSTAT):
        with pytest.raises(DataValueError, match="GX-STATS-003"):
            statistic.compute_errp(0)
