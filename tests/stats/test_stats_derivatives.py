"""Derivatives of every statistic: finite differences, forward = reverse, and no NaN at the hostile points."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gammax.stats import cash, cash_curvature, chi2, cstat, wstat, wstat_curvature, wstat_mu_bkg

STEP = 1e-3


def first_difference(function, x, step=STEP):
    """Fourth-order central difference."""
    f = [function(x + k * step) for k in (-2, -1, 1, 2)]
    return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step)


def second_difference(function, x, step=STEP):
    f = [function(x + k * step) for k in (-2, -1, 0, 1, 2)]
    return (-f[0] + 16 * f[1] - 30 * f[2] + 16 * f[3] - f[4]) / (12 * step**2)


def random_bins(n=40):
    rng = np.random.default_rng(7)
    n_on, n_off = rng.poisson(rng.choice([0.3, 3.0, 40.0], (2, n))).astype(float)
    return {
        "n_on": n_on,
        "n_off": n_off,
        "alpha": 10 ** rng.uniform(-2, 0.5, n),
        "mu": 10 ** rng.uniform(-1, 2, n),
        "signal": 10 ** rng.uniform(-1, 2, n) * np.where(rng.random(n) < 0.3, -1, 1),
    }


BINS = random_bins()

# each in a factor that is 1 at the point: mu = mu_0 factor
STATISTICS = {
    "cash": lambda f: cash(BINS["n_on"], BINS["mu"] * f),
    "cash below the floor": lambda f: cash(BINS["n_on"], -BINS["mu"] * f, 50.0),
    "cstat": lambda f: cstat(BINS["n_on"], BINS["mu"] * f),
    "cstat below the floor": lambda f: cstat(BINS["n_on"], -BINS["mu"] * f, 50.0),
    "cstat in the counts": lambda f: cstat((BINS["n_on"] + 1) * f, BINS["mu"]),
    "chi2": lambda f: chi2(BINS["n_on"], BINS["mu"] * f, BINS["alpha"]),
    "chi2 in sigma": lambda f: chi2(BINS["n_on"], BINS["mu"], BINS["alpha"] * f),
    "wstat": lambda f: wstat(BINS["n_on"], BINS["n_off"], BINS["alpha"], BINS["signal"] * f),
    "wstat in alpha": lambda f: wstat(BINS["n_on"], BINS["n_off"], BINS["alpha"] * f, BINS["signal"]),
    "wstat in n_on": lambda f: wstat((BINS["n_on"] + 1) * f, BINS["n_off"], BINS["alpha"], BINS["signal"]),
    "wstat in n_off": lambda f: wstat(BINS["n_on"], (BINS["n_off"] + 1) * f, BINS["alpha"], BINS["signal"]),
    "mu_bkg": lambda f: wstat_mu_bkg(BINS["n_on"], BINS["n_off"], BINS["alpha"], BINS["signal"] * f),
    "mu_bkg in alpha": lambda f: wstat_mu_bkg(BINS["n_on"], BINS["n_off"], BINS["alpha"] * f, BINS["signal"]),
    "mu_bkg in n_on": lambda f: wstat_mu_bkg((BINS["n_on"] + 1) * f, BINS["n_off"], BINS["alpha"], BINS["signal"]),
    "mu_bkg in n_off": lambda f: wstat_mu_bkg(BINS["n_on"], (BINS["n_off"] + 1) * f, BINS["alpha"], BINS["signal"]),
    "cash weight": lambda f: cash_curvature(BINS["n_on"], BINS["mu"] * f),
    "wstat weight": lambda f: wstat_curvature(BINS["n_on"], BINS["n_off"], BINS["alpha"], BINS["signal"] * f),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_gradient_and_hessian_against_finite_differences(name):
    function = jax.jit(STATISTICS[name])
    one = jnp.ones(len(BINS["mu"]))

    def slope(factor):
        return jax.jvp(function, (factor,), (one,))[1]

    def pair(factor):
        return jax.jvp(slope, (factor,), (one,))

    gradient, hessian = (np.asarray(x) for x in jax.jit(pair)(one))
    expected = np.asarray(first_difference(function, one))
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())
    expected = np.asarray(second_difference(function, one))
    np.testing.assert_allclose(hessian, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())
    expected = np.asarray(first_difference(jax.jit(slope), one))
    np.testing.assert_allclose(hessian, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())


MATRIX = np.random.default_rng(3).uniform(0.1, 5.0, (40, 3))
THETA = jnp.array([0.7, 1.3, 0.4])
FITS = {
    "cash": lambda theta: cash(BINS["n_on"], MATRIX @ theta).sum(),
    "cstat": lambda theta: cstat(BINS["n_on"], MATRIX @ theta).sum(),
    "wstat": lambda theta: wstat(BINS["n_on"], BINS["n_off"], BINS["alpha"], MATRIX @ theta - 3.0).sum(),
    "chi2": lambda theta: chi2(BINS["n_on"], MATRIX @ theta, BINS["alpha"]).sum(),
}


@pytest.mark.parametrize("name", FITS)
def test_parameters_forward_equals_reverse(name):
    function = FITS[name]
    forward = jax.jit(jax.jacfwd(jax.jacfwd(function)))(THETA)
    for second in (jax.hessian, lambda f: jax.jacrev(jax.grad(f)), lambda f: jax.jacrev(jax.jacfwd(f))):
        np.testing.assert_allclose(jax.jit(second(function))(THETA), forward, rtol=1e-12)
    gradient = jax.jit(jax.grad(function))(THETA)
    np.testing.assert_allclose(jax.jit(jax.jacfwd(function))(THETA), gradient, rtol=1e-12)
    compiled = jax.jit(function)
    for i, axis in enumerate(jnp.eye(3)):
        expected = float(first_difference(lambda t, axis=axis: compiled(THETA + t * axis), 0.0))
        np.testing.assert_allclose(gradient[i], expected, rtol=1e-6)


def test_third_derivative_of_wstat():
    second = jax.grad(jax.grad(lambda f: wstat(7.0, 11.0, 0.4, 5.0 * f)))
    np.testing.assert_allclose(jax.jit(jax.grad(second))(1.0), first_difference(jax.jit(second), 1.0), rtol=1e-8)


def test_slope_in_a_count_with_empty_bins():
    # what the derivative of a fit in its data needs; closed form with n_on = 0: slope = 2 (1 - n_on / mu_on)
    mixed = jax.jit(jax.grad(jax.grad(wstat, argnums=3), argnums=0))(0.0, 4.0, 0.5, 2.0)
    np.testing.assert_allclose(mixed, -2 / (2.0 + 0.5 * 4.0 / 1.5), rtol=1e-14)


def test_derivatives_inside_control_flow():
    # what a compiled fit does around the statistic; bins without counts among them
    n_on, n_off = jnp.array([0.0, 0.0, 3.0, 4.0]), jnp.array([0.0, 2.0, 0.0, 5.0])
    expected = jax.jit(jax.grad(lambda s: wstat(n_on, n_off, 0.5, s).sum()))(2.0)

    def scanned(s):
        return jax.lax.scan(lambda total, n: (total + wstat(*n, 0.5, s), None), 0.0, (n_on, n_off))[0]

    def branched(s):
        return jax.lax.cond(s > 0, lambda: wstat(n_on, n_off, 0.5, s), lambda: cstat(n_on, s)).sum()

    def rematerialised(s):
        return jax.checkpoint(lambda x, n: wstat(n, n_off, 0.5, x))(s, n_on).sum()

    for function in (scanned, branched, rematerialised, jax.jit(scanned)):
        np.testing.assert_allclose(jax.jit(jax.grad(function))(2.0), expected, rtol=1e-14)
        assert np.isfinite(jax.jit(jax.hessian(function))(2.0))


def test_derivatives_in_empty_counts_are_finite():
    for function in (wstat, lambda n, m, a, s: cstat(n, s) + cstat(m, s) + cash(n, s)):
        slopes = jax.jit(jax.grad(function, argnums=(0, 1, 2, 3)))(0.0, 0.0, 0.5, 2.0)
        assert np.isfinite(slopes).all()


HOSTILE_COUNTS = [0.0, 1e-300, 1e-8, 1.0, 1e9]
HOSTILE_MU = [0.0, 1e-300, 1e-10, 1e-10 * (1 + 1e-9), 1e-10 * (1 - 1e-9), 1e-3, 1.0, 1e12, -1e-300, -1e-10, -1.0, -1e12]
HOSTILE_ALPHA = [1e-6, 0.3, 1.0, 1e4]
HOSTILE_SIGNAL = [0.0, 1e-300, -1e-300, 1e-9, -1e-9, 1.0, -1.0, 1e12, -1e12, 1e100, -1e100]


def hostile_wstat_points():
    """Counts x alpha x signal, and both kinks with 1e-9 to either side."""
    points = [list(p) for p in itertools.product(HOSTILE_COUNTS, HOSTILE_COUNTS, HOSTILE_ALPHA, HOSTILE_SIGNAL)]
    for n, alpha, shift in itertools.product(HOSTILE_COUNTS, HOSTILE_ALPHA, (-1e-9, 0.0, 1e-9)):
        kink = alpha * n / (1 + alpha)
        points += [[n, 0.0, alpha, kink + shift], [n, 0.0, alpha, kink * (1 + shift)]]
        points += [[0.0, n, alpha, -kink + shift], [0.0, n, alpha, -kink * (1 + shift)]]
    return np.array(points).T


def everything(function, x):
    """Value, gradient and Hessian per point: forward, and reverse."""
    one = jnp.ones_like(x)

    def slope(y):
        return jax.jvp(function, (y,), (one,))[1]

    def reverse(y):
        return jax.grad(lambda z: function(z).sum())(y)

    forward = function(x), *jax.jvp(slope, (x,), (one,))
    return forward, (function(x), reverse(x), jax.grad(lambda y: reverse(y).sum())(x))


def assert_sane(function, x, orders=3):
    forward, reverse = (np.asarray(parts) for parts in jax.jit(lambda y: everything(function, y))(jnp.asarray(x)))
    assert np.isfinite(forward).all(), np.unique(np.argwhere(~np.isfinite(forward))[:, 1]).tolist()
    np.testing.assert_allclose(forward[:orders], reverse[:orders], rtol=1e-12)
    return forward


@pytest.mark.parametrize("statistic", [cash, cstat])
def test_hostile_points_of_cash(statistic):
    n_on, mu = np.array(list(itertools.product(HOSTILE_COUNTS, HOSTILE_MU))).T
    assert (assert_sane(lambda x: statistic(n_on, x), mu)[2] >= 0).all()
    weight = np.asarray(cash_curvature(n_on, mu))
    assert (np.isfinite(weight) & (weight > 0)).all()


def test_hostile_points_of_wstat():
    n_on, n_off, alpha, signal = hostile_wstat_points()
    value, slope, curvature = assert_sane(lambda s: wstat(n_on, n_off, alpha, s), signal)
    assert (value >= -1e-290).all()
    assert (curvature >= 0).all()
    assert (slope <= 2).all()
    # its second derivative is mostly zero up to rounding, which forward and reverse do not share
    assert_sane(lambda s: wstat_mu_bkg(n_on, n_off, alpha, s), signal, orders=2)
    weight = np.asarray(wstat_curvature(n_on, n_off, alpha, signal))
    assert (np.isfinite(weight) & (weight > 0)).all()


def test_hostile_points_of_chi2():
    y, mu, sigma = np.array(list(itertools.product([0.0, -3.0, 1e12], [0.0, 1e12], [1e-9, 1.0, np.inf]))).T
    assert_sane(lambda x: chi2(y, x, sigma), mu)


@pytest.mark.parametrize(("n_on", "n_off"), [(6.0, 0.0), (0.0, 6.0), (0.0, 0.0)])
def test_one_sided_differences_at_the_kinks(n_on, n_off):
    # the side of larger mu_sig, as documented; forward difference of second order
    alpha = 0.5
    kink = (alpha * n_on - alpha * n_off) / (1 + alpha)

    def function(s):
        return wstat(n_on, n_off, alpha, s)

    h = 1e-4
    for f in (jax.jit(function), jax.jit(jax.grad(function))):
        expected = (-3 * f(kink) + 4 * f(kink + h) - f(kink + 2 * h)) / (2 * h)
        np.testing.assert_allclose(jax.jit(jax.grad(f))(kink), expected, rtol=1e-5, atol=1e-8)
