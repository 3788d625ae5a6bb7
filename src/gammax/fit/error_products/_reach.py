"""Where a statistic has risen by a given amount: end points of intervals, limits, points of contours.

Along a direction d of the parameters of interest the statistic, minimised over the others, is the profile P(t). Wanted
is t with P(t) = S_min + rise, which is where the Lagrange conditions of the largest t inside that region hold:
S = S_min + rise and dS/dn = 0 for the other parameters n. Both are solved at once by Newton steps with the exact
Hessian, from the minimum outwards: its quadratic model gives P and two derivatives of it at every point looked at,

    P = S - g_n A^-1 g_n / 2,   P' = g.d - h_n A^-1 g_n,   P'' = d.H.d - h_n A^-1 h_n,   A = H_nn, h_n = (H d)_n,

so that on a parabola the first step ends at the answer. The same conditions by a search over t with whole fits inside
(`climb`) is what MINOS does (James & Roos 1975, Comput. Phys. Commun. 10, 343): slower, it is for where this fails.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from gammax.fit._trust_region import FLAT, active_bounds, fisher_scale
from gammax.likelihood import Problem

# a point is there when rise and minimum over the other parameters hold to this, in units of the statistic
PRECISION = 1e-9
_MAX_STEPS = 30
_SHORTER = 0.3
_TINY = 1e-300


class Goal(NamedTuple):
    """What to look for.

    Attributes
    ----------
    direction : in the parameters of interest, of any length, (P,).
    held : parameters of interest, and whatever else must not move, (P,).
    rise : of the statistic above its minimum.
    """

    direction: Array
    held: Array
    rise: Array


class Reached(NamedTuple):
    """Where the search ended.

    Attributes
    ----------
    theta : the point, (P,); t : its distance along the direction.
    missing : what the profile lacks of the rise there.
    found, beyond : whether the rise is reached there; whether it is not where a bound ends the direction.
    flat : the profile does not rise along the direction.
    emptied, lowest : as in `gammax.likelihood.Derivatives`.
    """

    theta: Array
    t: Array
    missing: Array
    found: Array
    beyond: Array
    flat: Array
    emptied: Array
    lowest: Array


class _Model(NamedTuple):
    """Quadratic model at a point: what the profile lacks, and the step that would give it.

    Attributes
    ----------
    missing, edm : rise that the profile lacks, distance of the other parameters from their minimum.
    merit : how far the point is from being the wanted one, in units of the statistic.
    stride : along the direction.
    back, along : of the other parameters, (P,): their way to the minimum here, and how that moves along the direction.
    outward : the profile rises along the direction, and the others are at a minimum, not at a saddle.
    flat : neither slope nor curvature along the direction.
    """

    missing: Array
    edm: Array
    merit: Array
    stride: Array
    back: Array
    along: Array
    outward: Array
    flat: Array
    emptied: Array
    lowest: Array


class _Search(NamedTuple):
    """The best point so far with its model, the part of its step to try next, and where that leads."""

    theta: Array
    t: Array
    model: _Model
    part: Array
    trial: Array
    trial_t: Array
    n_steps: Array


def farthest(problem: Problem, theta: Array, direction: Array) -> Array:
    """Distance along a direction at which the first bound is met; infinity if there is none."""
    room = jnp.where(direction > 0, problem.upper - theta, problem.lower - theta)
    return jnp.min(jnp.where(direction != 0, room / jnp.where(direction != 0, direction, 1.0), jnp.inf))


def reach(problem: Problem, theta: Array, stat: Array, goal: Goal) -> Reached:
    """Follow a direction from the best fit `theta`, whose statistic is `stat`, to the wanted rise."""
    end = farthest(problem, theta, goal.direction)
    precision = PRECISION + 1e-12 * jnp.abs(stat)

    def beyond(search: _Search) -> Array:
        missing = search.model.missing
        return (search.t >= end) & (missing > precision) & (search.model.edm < 1e-3 * missing)

    def stays(search: _Search) -> Array:
        return search.model.flat & (search.t == 0.0)

    def unfinished(search: _Search) -> Array:
        done = (search.model.merit <= precision) | beyond(search) | stays(search)
        return (search.n_steps < _MAX_STEPS) & ((search.n_steps == 0) | ~done) & (search.part > 1e-6)

    def step(search: _Search) -> _Search:
        new = _model(problem, search.trial, search.trial_t, stat, goal)
        better = (search.n_steps == 0) | (new.merit < search.model.merit)
        point, t, model = jax.tree.map(
            lambda a, b: jnp.where(better, a, b),
            (search.trial, search.trial_t, new),
            (search.theta, search.t, search.model),
        )
        part = jnp.where(better, 1.0, _SHORTER * search.part)
        trial_t = jnp.clip(t + part * model.stride, 0.0, end)
        others = point + part * model.back + (trial_t - t) * model.along
        trial = jnp.where(goal.held, theta + trial_t * goal.direction, others)
        trial = jnp.clip(trial, problem.lower, problem.upper)
        return _Search(point, t, model, part, trial, trial_t, search.n_steps + 1)

    last = jax.lax.while_loop(unfinished, step, _start(theta))
    model = last.model
    found = (model.merit <= precision) & model.outward
    return Reached(last.theta, last.t, model.missing, found, beyond(last), stays(last), model.emptied, model.lowest)


def _start(theta: Array) -> _Search:
    """Nothing looked at: the first trial is the best fit itself, so that the derivatives are compiled once."""
    zero, no = jnp.zeros(()), jnp.array(False)
    still = jnp.zeros_like(theta)
    nothing = _Model(zero, zero, zero, zero, still, still, no, no, jnp.zeros((), dtype=int), zero)
    return _Search(theta, zero, nothing, jnp.ones(()), theta, zero, jnp.zeros((), dtype=int))


def _model(problem: Problem, point: Array, t: Array, stat: Array, goal: Goal) -> _Model:
    now, direction = problem.derivatives(point), goal.direction
    pinned = goal.held | active_bounds(point, now.gradient, problem.lower, problem.upper)
    scale = jnp.where(pinned, 0.0, fisher_scale(now.fisher))
    eigenvalues, vectors = jnp.linalg.eigh(now.hessian * jnp.outer(scale, scale) + jnp.diag(pinned.astype(point.dtype)))
    # away from the minimum a direction may bend downwards: it is followed as if it bent upwards
    steep = jnp.abs(eigenvalues) > FLAT
    inverse = jnp.where(steep, 1.0 / jnp.where(steep, jnp.abs(eigenvalues), 1.0), 0.0)

    def solve(vector: Array) -> Array:
        return scale * (vectors @ (inverse * (vectors.T @ (scale * vector))))

    bend = now.hessian @ direction
    to_minimum, along = solve(now.gradient), solve(bend)
    edm = 0.5 * now.gradient @ to_minimum
    missing = stat + goal.rise - (now.value - edm)
    slope = now.gradient @ direction - bend @ to_minimum
    curvature = direction @ bend - bend @ along
    size = direction @ now.fisher @ direction
    # as far again as the point is; from the start, two times as far as a parabola goes
    first = 2.0 * jnp.sqrt(2.0 * goal.rise / jnp.maximum(jnp.maximum(curvature, FLAT * size), _TINY))
    longest = jnp.where(t > 0, t, first)
    stride = jnp.clip(_stride(missing, slope, curvature, longest), -0.5 * t, longest)
    known = jnp.isfinite(now.value) & jnp.all(jnp.isfinite(now.gradient)) & jnp.all(jnp.isfinite(now.hessian))
    return _Model(
        missing=missing,
        edm=edm,
        merit=jnp.where(known, jnp.abs(missing) + edm, jnp.inf),
        stride=stride,
        back=-to_minimum,
        along=-along,
        outward=(slope > 0) & (eigenvalues[0] > -FLAT),
        flat=(jnp.abs(slope) <= 1e-6 * jnp.sqrt(size)) & (curvature <= FLAT * size),
        emptied=now.emptied,
        lowest=now.lowest,
    )


def _stride(missing: Array, slope: Array, curvature: Array, longest: Array) -> Array:
    """Distance at which a parabola has risen by what is missing, on its rising side; `longest` where it never does."""
    root = slope**2 + 2.0 * curvature * missing
    pace = slope + jnp.sqrt(jnp.maximum(root, 0.0))
    rises = (root >= 0) & (pace > 0)
    return jnp.where(rises, 2.0 * missing / jnp.where(rises, pace, 1.0), jnp.where(missing > 0, longest, -longest))
