"""Where a statistic has risen by a given amount, the slow and sure way."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from gammax.fit._trust_region import State, minimise
from gammax.fit.error_products._reach import PRECISION, Goal, Reached, farthest
from gammax.fit.error_products._rise import look_for_rise
from gammax.likelihood import Problem

# a search that ends on a jump of the statistic, not where it has risen by as much as is wanted, misses by more
_MISSES = 1e-6


class Hold(NamedTuple):
    """Where to begin, and which parameters stay there, (P,)."""

    theta: Array
    held: Array


class Settled(NamedTuple):
    """Minimum over what is not held: the point (P,), its statistic and slopes (P,), and whether it is a minimum."""

    theta: Array
    value: Array
    gradient: Array
    converged: Array
    emptied: Array
    lowest: Array


def settle(problem: Problem, tolerance: float, max_steps: int, hold: Hold) -> Settled:
    """Minimise with some parameters held."""
    state = _minimum(problem, hold, tolerance, max_steps)
    now = state.derivatives
    converged = (state.edm <= tolerance) & state.convex & jnp.isfinite(now.value)
    return Settled(state.theta, now.value, now.gradient, converged, now.emptied, now.lowest)


def _minimum(problem: Problem, hold: Hold, tolerance: float, max_steps: int) -> State:
    # held is lower = upper: numbers, so that any parameter is held by the same program
    lower, upper = (jnp.where(hold.held, hold.theta, bound) for bound in (problem.lower, problem.upper))
    held = eqx.tree_at(lambda p: (p.lower, p.upper), problem, (lower, upper))
    return minimise(held.derivatives, hold.theta, lower, upper, tolerance, max_steps)


def climb(problem: Problem, theta: Array, stat: Array, tolerance: float, max_steps: int, goal: Goal) -> Reached:
    """What `gammax.fit.error_products._reach.reach` finds, by a search over the distance with a whole fit at every one.

    The first is where a parabola would have risen, if the direction is a standard deviation long.
    """
    end = farthest(problem, theta, goal.direction)

    def risen(t: Array) -> tuple[Array, Array, tuple[Settled, Array, Array]]:
        point = jnp.clip(theta + t * goal.direction, problem.lower, problem.upper)
        settled = settle(problem, tolerance, max_steps, Hold(point, goal.held))
        missing = stat + goal.rise - jnp.where(settled.converged, settled.value, jnp.nan)
        # the derivative of a profile is the partial derivative at its optimum (envelope theorem)
        return -missing, settled.gradient @ goal.direction, (settled, missing, t)

    t, (last, missing, asked) = look_for_rise(risen, jnp.zeros(()), jnp.sqrt(goal.rise), end)
    found = jnp.isfinite(t) & last.converged & (jnp.abs(missing) < _MISSES)
    # the search may also have run out of looks on the way
    beyond = jnp.isnan(t) & (asked >= end) & (missing > PRECISION)
    return Reached(last.theta, t, missing, found, beyond, jnp.array(False), last.emptied, last.lowest)
