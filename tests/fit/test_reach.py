"""Ends of intervals and points of contours where it is hard: bounds, walls, flat directions, two minima, bananas."""

from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from iminuit import Minuit
from scipy.stats import chi2, norm

from gammax.fit import Fit
from gammax.fit.error_products import _rise
from gammax.fit.error_products._best import Best
from gammax.fit.error_products._climb import climb
from gammax.fit.error_products._confidence import find_ends
from gammax.fit.error_products._contour import _rays
from gammax.fit.error_products._reach import Goal
from gammax.fit.error_products._rises import _climbed, _judge, find_rises
from gammax.fit.error_products._scan import points_at
from gammax.likelihood import Derivatives


def parabola(x, y, z):
    return 3.0 * x**2 - 2.0 * x * y + 2.0 * y**2 + y * z + z**2 + 1.0


def banana(x, y, z):
    """Rosenbrock's valley: the profile of x is a parabola, that of y is not."""
    return (1.0 - x) ** 2 + 20.0 * (y - x**2) ** 2 + z**2


def two_minima(x, y, z):
    """The deeper one near x = -1, the other near 1, a hump of about 4 between them."""
    return 4.0 * (x**2 - 1.0) ** 2 + 0.5 * x + (y - x) ** 2 + z**2


def one_sided(x, y, z):
    """Rises to 2 at most on the upper side."""
    return jnp.where(x > 0, 2.0 * x**2 / (1.0 + x**2), x**2) + (y - x) ** 2 + z**2


def wall(x, y, z):
    """Jumps by 100 at 0.5, rises by 0.25 up to there."""
    return x**2 + y**2 + z**2 + jnp.where(x > 0.5, 100.0, 0.0)


def valley(x, y, z):
    """Only the sum of x and y counts."""
    return (x + y) ** 2 + z**2


def slope(x, y, z):
    """Has its minimum beyond x = 0."""
    return (x + 1.0) ** 2 + (y - x) ** 2 + z**2


FUNCTIONS = (parabola, banana, two_minima, one_sided, wall, valley, slope)


class Toy(eqx.Module):
    """One of the functions as a problem; which one is a number, so that all share their programs."""

    chosen: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    scale: np.ndarray
    free: tuple = eqx.field(static=True, default=(0, 1, 2))
    stacks: tuple = ()
    penalties: tuple = ()
    has_corners: bool = eqx.field(static=True, default=False)

    def statistic(self, theta):
        return sum(jnp.where(self.chosen[i], function(*theta), 0.0) for i, function in enumerate(FUNCTIONS))

    def derivatives(self, theta):
        """With the absolute diagonal of the Hessian in place of the Fisher matrix."""
        value, gradient = jax.value_and_grad(self.statistic)(theta)
        hessian = jax.hessian(self.statistic)(theta)
        fisher = jnp.diag(jnp.abs(jnp.diag(hessian)))
        return Derivatives(value, gradient, hessian, fisher, jnp.zeros((), int), jnp.full((), jnp.inf))


_derivatives = jax.jit(lambda toy, theta: toy.derivatives(theta))


def best_of(function, theta=(0.0, 0.0, 0.0), lower=-np.inf, status="ok"):
    """A function at its minimum."""
    theta, ones = np.array(theta), np.ones(3)
    toy = Toy(np.array([f is function for f in FUNCTIONS]), lower * ones, np.inf * ones, ones)
    there = _derivatives(toy, theta)
    hessian, inside = np.asarray(there.hessian), theta > toy.lower
    covariance = np.full((3, 3), np.nan)
    if np.linalg.matrix_rank(hessian) == 3:
        covariance[np.ix_(inside, inside)] = 2.0 * np.linalg.inv(hessian[np.ix_(inside, inside)])
    likelihood = SimpleNamespace(problem=toy, names=("x", "y", "z"), units=("",) * 3)
    return Best(likelihood, theta, float(there.value), covariance, status, "", False, {name: name for name in "xyz"})


def minuit_of(best, function):
    """iminuit at the same minimum, within the same bounds."""
    toy = best.problem
    minuit = Minuit(
        lambda t: float(function(*t)), best.theta, grad=lambda t: np.asarray(_derivatives(toy, t).gradient), name="xyz"
    )
    minuit.errordef, minuit.tol, minuit.strategy = 1, 1e-5, 2
    minuit.limits = list(zip(toy.lower, toy.upper, strict=True))
    minuit.migrad()
    return minuit


def ends(best, name, sigma=1.0):
    found = find_ends(Fit(), best, [name, name], [1, -1], sigma, True)
    return found.values[:, best.names.index(name)], found.status, found.message


@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_on_a_parabola_errors_are_those_of_its_inverse_hessian(sigma):
    best = best_of(parabola)
    for i, name in enumerate("xyz"):
        values, status, _ = ends(best, name, sigma)
        expected = sigma * np.sqrt(best.covariance[i, i]) * np.array([1, -1])
        np.testing.assert_allclose(values, expected, rtol=1e-9)
        assert status == ["ok", "ok"]
    scan = np.linspace(-2, 2, 5)
    profile = points_at(Fit(), best, [1], scan[:, None])
    np.testing.assert_allclose(profile.stat, 1.0 + scan**2 / best.covariance[1, 1], rtol=1e-9)


def test_contour_of_a_parabola_is_an_ellipse():
    best = best_of(parabola)
    found = find_rises(Fit(), best, _rays(best, [0, 1], 12, 2.0))
    points = found.values[:, :2]
    metric = np.linalg.inv(best.covariance[:2, :2])
    np.testing.assert_allclose(np.einsum("ki,ij,kj->k", points, metric, points), 4.0, rtol=1e-9)
    angle = np.unwrap(np.arctan2(*np.linalg.solve(np.linalg.cholesky(best.covariance[:2, :2]), points.T)[::-1]))
    np.testing.assert_allclose(np.diff(angle), 2.0 * np.pi / 12, rtol=1e-6)


def test_banana_against_minos_and_mncontour():
    """Far from a parabola: ends of both at 2 sigma within 1e-3 of a sigma, contour's delta TS at iminuit's points."""
    best = best_of(banana, (1.0, 1.0, 0.0))
    minuit = minuit_of(best, banana)
    minuit.minos(cl=2.0 * norm.cdf(2.0) - 1.0)
    for i, name in enumerate("xy"):
        values, status, _ = ends(best, name, 2.0)
        errors = minuit.merrors[i]
        sigma = np.sqrt(best.covariance[i, i])
        np.testing.assert_allclose(values - 1.0, [errors.upper, errors.lower], atol=1e-3 * sigma)
        assert status == ["ok", "ok"]
    np.testing.assert_allclose(ends(best, "x", 2.0)[0], [3.0, -1.0], rtol=1e-9)
    contour = find_rises(Fit(), best, _rays(best, [0, 1], 16, 1.0))
    np.testing.assert_allclose([banana(*point) for point in contour.values], 1.0, atol=1e-8)
    theirs = minuit.mncontour(0, 1, cl=chi2(2).cdf(1.0), size=10)
    np.testing.assert_allclose([banana(*point, 0.0) for point in theirs], 1.0, atol=5e-3)


def test_the_slow_search_finds_the_same():
    best = best_of(banana, (1.0, 1.0, 0.0))
    goals = _rays(best, [0, 1], 6, 1.0)
    quick, slow = find_rises(Fit(), best, goals), _climbed(Fit(), best, goals)
    assert slow.found.all()
    np.testing.assert_allclose(slow.theta, quick.values, rtol=1e-7, atol=1e-7)


def test_bounds_end_intervals_and_cut_contours():
    """A bound of the parameter itself: no end, in words. Of another one: the constrained profile, as MINOS."""
    best = best_of(parabola, lower=-0.3)
    values, status, message = ends(best, "x")
    assert status == ["ok", "at_bound"]
    assert np.isnan(values[1])
    assert message[1] == "at the bound of x before the statistic has risen by 1"
    np.testing.assert_allclose(values[0], np.sqrt(best.covariance[0, 0]), rtol=1e-9)
    # y or z reach -0.3 on the way to the upper end of the other: y stays there
    minuit = minuit_of(best, parabola)
    minuit.minos("z")
    np.testing.assert_allclose(ends(best, "z")[0][0], minuit.merrors["z"].upper, rtol=2e-3)
    contour = find_rises(Fit(), best, _rays(best, [0, 1], 16, 1.0))
    cut = np.array([status == "at_bound" for status in contour.status])
    assert 0 < cut.sum() < 16
    np.testing.assert_array_equal(np.isnan(contour.values).all(axis=1), cut)
    assert set(contour.status) == {"ok", "at_bound"}
    assert np.all(contour.values[~cut] >= -0.3)


def test_best_fit_at_a_bound_has_its_upper_end():
    """S = (x + 1)^2 + (y - x)^2 with x >= 0: from S = 1 at 0, P = (x + 1)^2 = 5 at sqrt(5) - 1."""
    best = best_of(slope, lower=np.array([0.0, -9.0, -9.0]))
    values, status, message = ends(best, "x", 2.0)
    np.testing.assert_allclose(values[0], np.sqrt(5.0) - 1.0, rtol=1e-9)
    assert status == ["ok", "at_bound"]
    assert "bound of x" in message[1]
    contour = find_rises(Fit(), best, _rays(best, [0, 1], 8, 1.0))
    assert set(contour.status) == {"ok", "at_bound"}


def test_flat_direction_is_singular():
    """Only the sum counts: neither number has an interval, and a third one has."""
    best = best_of(valley, status="singular")
    for name in "xy":
        values, status, message = ends(best, name)
        assert status == ["singular"] * 2
        assert np.isnan(values).all()
        assert message[0] == f"the data do not constrain {name}"
    np.testing.assert_allclose(ends(best, "z")[0], [1.0, -1.0], rtol=1e-9)


def test_first_rise_with_two_minima():
    """From the deeper minimum: the end on this side of the hump; a profile tells of a deeper one, if it is not."""
    root = float(np.real(next(r for r in np.roots([16, 0, -16, 0.5]) if abs(r + 1) < 0.1)))
    best = best_of(two_minima, (root, root, 0.0))
    values, status, _ = ends(best, "x")
    roots = np.roots([4.0, 0.0, -8.0, 0.5, 4.0 - best.stat - 1.0])
    real = np.sort(np.real(roots[np.abs(np.imag(roots)) < 1e-9]))
    np.testing.assert_allclose(np.sort(values), real[:2], rtol=1e-8)
    assert status == ["ok", "ok"]


def test_what_never_rises_is_told():
    """At most 2 above: 1 sigma has an end, 2 sigma has none; a jump is no end."""
    best = best_of(one_sided)
    values, status, _ = ends(best, "x")
    np.testing.assert_allclose(values, [1.0, -1.0], rtol=1e-8)
    values, status, message = ends(best, "x", 2.0)
    assert status == ["not_converged", "ok"]
    assert "has risen by" in message[0]
    assert np.isnan(values[0])
    values, status, message = ends(best_of(wall), "x")
    assert status == ["not_converged", "ok"]
    np.testing.assert_allclose(values[1], -1.0, rtol=1e-9)


def test_out_of_looks_is_not_at_the_bound(monkeypatch):
    """A slow search that is given two looks, far from the bound at -50; and no bound is without a name."""
    monkeypatch.setattr(_rise, "_MAX_LOOKS", 2)
    best = best_of(banana, (1.0, 1.0, 0.0), lower=-50.0)
    down, held = np.array([-0.01, 0.0, 0.0]), np.array([True, False, False])
    goal = Goal(down, held, np.array(4.0))
    ended = climb(best.problem, best.theta, best.stat, 1e-10, 100, goal)
    assert not ended.found
    assert not ended.beyond
    assert ended.theta[0] > -49
    assert _judge(best, goal, ended._replace(beyond=True))[0] == "not_converged"
    assert _judge(best, goal, ended._replace(beyond=True, theta=np.full(3, -50.0)))[1].startswith("at the bound of x")


def test_no_minimum_no_numbers():
    best = best_of(parabola, status="not_converged")
    values, status, _ = ends(best, "x")
    assert status == ["not_converged"] * 2
    assert np.isnan(values).all()


def test_points_outside_the_bounds_have_no_statistic():
    best = best_of(parabola, lower=-0.3)
    points = points_at(Fit(), best, [0], np.array([[-0.4], [-0.3], [0.5]]))
    assert list(points.status) == ["at_bound", "ok", "ok"]
    np.testing.assert_array_equal(np.isnan(points.stat), [True, False, False])
