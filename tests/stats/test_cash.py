"""cash, cstat and chi2: values, the extension below the floor, weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gammax.errors import DataValueError
from gammax.stats import cash, cash_curvature, chi2, chi2_curvature, cstat

# Sherpa, as quoted by Gammapy's test of its statistics (reliability of the vectors: rtol 1e-7)
SHERPA_N_ON = [0, 13, 7, 5, 11, 16, 0, 9, 3, 12]
SHERPA_MU = [0.59752422, 9.13666449, 12.98288095, 5.56974565, 13.52509804, 11.81725635, 0.47963765, 11.17708176]
SHERPA_MU += [5.18504894, 8.30202394]
SHERPA_CASH = [1.19504844, -39.24635098872072, -9.925081055136996, -6.034002586236575, -30.249839537105466]
SHERPA_CASH += [-55.39143500383233, 0.9592753, -21.095413867175516, 0.49542219758430406, -34.19193611846045]

FLOOR = 1e-3


COMPILED = {
    statistic: [jax.jit(f) for f in (statistic, jax.grad(statistic, 1), jax.grad(jax.grad(statistic, 1), 1))]
    for statistic in (cash, cstat)
}


def derivatives(statistic, n_on, mu, floor=FLOOR):
    """Value, gradient and Hessian in mu."""
    return [float(f(n_on, mu, floor)) for f in COMPILED[statistic]]


def test_cash_reproduces_sherpa():
    np.testing.assert_allclose(cash(SHERPA_N_ON, SHERPA_MU), SHERPA_CASH, rtol=1e-7)


def test_cstat_is_cash_minus_cash_of_the_perfect_model():
    n_on = np.array(SHERPA_N_ON, dtype=float)
    perfect = np.where(n_on > 0, 2 * n_on * (1 - np.log(np.where(n_on > 0, n_on, 1))), 0)
    np.testing.assert_allclose(cstat(n_on, SHERPA_MU), SHERPA_CASH - perfect, rtol=1e-7)
    np.testing.assert_array_equal(cstat(n_on[n_on > 0], n_on[n_on > 0]), 0)


@pytest.mark.parametrize("statistic", [cash, cstat])
@pytest.mark.parametrize("n_on", [0.0, 1.0, 7.0])
def test_extension_is_continuous_to_second_order(statistic, n_on):
    # closed form at the floor: 2 (mu - n ln mu) has slope 2 (1 - n / mu) and curvature 2 n / mu^2
    expected = [None, 2 * (1 - n_on / FLOOR), 2 * n_on / FLOOR**2]
    above = derivatives(statistic, n_on, FLOOR)
    below = derivatives(statistic, n_on, FLOOR * (1 - 1e-9))
    np.testing.assert_allclose(above[1:], expected[1:], rtol=1e-14)
    np.testing.assert_allclose(below[0], above[0], atol=1e-7)
    np.testing.assert_allclose(below[1], above[1], rtol=1e-8)
    np.testing.assert_allclose(below[2], above[2], rtol=1e-8, atol=1e-7 / FLOOR)


@pytest.mark.parametrize("n_on", [0.0, 2.0])
def test_extension_is_the_documented_polynomial(n_on):
    mu = -3 * FLOOR
    taylor = -np.log(FLOOR) - (mu - FLOOR) / FLOOR + (mu - FLOOR) ** 2 / (2 * FLOOR**2)
    penalty = (FLOOR - mu) ** 3 / FLOOR**2
    np.testing.assert_allclose(cash(n_on, mu, FLOOR), 2 * (mu + n_on * taylor + penalty), rtol=1e-14)
    saturated = 2 * n_on * (1 - np.log(n_on)) if n_on else 0.0
    np.testing.assert_allclose(cstat(n_on, mu, FLOOR), cash(n_on, mu, FLOOR) - saturated, rtol=1e-13)


@pytest.mark.parametrize("statistic", [cash, cstat])
@pytest.mark.parametrize("n_on", [0.0, 1e-3, 5.0, 1e6])
@pytest.mark.parametrize("mu", [0.0, -1e-12, -1e-3, -1.0, -1e9])
def test_extension_points_back_to_positive_expectations(statistic, n_on, mu):
    _, slope, curvature = derivatives(statistic, n_on, mu, floor=1e-10)
    assert slope < 0
    assert curvature > 0


@pytest.mark.parametrize("floor", [0, -1.0, float("nan")])
def test_floor_must_be_positive(floor):
    for function in (cash, cstat, cash_curvature):
        with pytest.raises(DataValueError, match="GX-STATS-001"):
            function(1.0, 1.0, floor)


def test_cash_curvature_is_the_expected_curvature():
    # sum over the Poisson probabilities of the exact second derivative 2 n / mu^2 is 2 / mu
    mu = np.array([1e-3, 0.3, 4.0, 1e7])
    np.testing.assert_allclose(cash_curvature(0.0, mu), 2 / mu, rtol=1e-15)
    counts = np.arange(60.0)
    probability = np.exp(-4.0) * 4.0**counts / np.cumprod(np.maximum(counts, 1))
    exact = [derivatives(cash, n, 4.0)[2] for n in counts]
    np.testing.assert_allclose(probability @ exact, cash_curvature(0.0, 4.0), rtol=1e-12)


def test_cash_curvature_below_the_floor():
    # closed form: 2 / floor (counts replaced by their expectation, the floor) + second derivative of the penalty
    depth = np.array([0.0, 1.0, 5.0])
    expected = 2 / FLOOR + 12 * depth / FLOOR
    np.testing.assert_allclose(cash_curvature(3.0, FLOOR * (1 - depth), FLOOR), expected, rtol=1e-12)


def test_inputs_broadcast_and_come_back_as_float64():
    value = cash(np.arange(3)[:, None], np.ones(2, dtype=np.float32))
    assert value.shape == (3, 2)
    assert value.dtype == jnp.float64
    assert cash_curvature(np.zeros(3), 1.0).shape == (3,)


def test_chi2_closed_form():
    np.testing.assert_allclose(chi2([1.0, 2.0, 5.0], 3.0, [2.0, 0.5, np.inf]), [1.0, 4.0, 0.0])
    np.testing.assert_allclose(chi2_curvature([2.0, 0.5, np.inf, 0.0]), [0.5, 8.0, 0.0, 0.0])


def test_nan_counts_are_not_hidden():
    for statistic in (cash, cstat):
        assert np.isnan(statistic(np.nan, 1.0))
        assert np.isnan(statistic(1.0, np.nan))
