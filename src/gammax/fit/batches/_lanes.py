"""Many minimisations in one program: lanes that go on with the next member when they are done with one.

A vmapped loop runs until its slowest member is done, and all others wait. Here W lanes take a step together, and those
that have finished write down what they found and take the next member: no more steps are made than are needed, but for
the last few. The number of members is not compiled in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from gammax.fit._covariance import CurvatureReport, report_curvature
from gammax.fit._quick import quick_options
from gammax.fit._trust_region import CORNER_STEP, State, is_corner, start, step
from gammax.likelihood import Problem

# first steps may be longer than those of a single fit: most members start near their minimum, within a few errors, and
# need one step less in six; those that start a decade off end where they did
FIRST_RADIUS = 4.0
# radius at which the loop of a single fit ends, too
_SHORTEST = 1e-12


class Members(NamedTuple):
    """C problems that differ in some of their arrays.

    Attributes
    ----------
    shared : problem with the arrays that all members have, None in place of the others.
    varied : problem with the others, (C, ...), None in place of the shared ones.
    theta, lower, upper : start values and bounds as factors, (C, P).
    """

    shared: Problem
    varied: Any
    theta: Array
    lower: Array
    upper: Array


class _Lanes(NamedTuple):
    """What W lanes work on.

    Attributes
    ----------
    member : number of the member, (W,). varied, lower, upper : its arrays, (W, ...). state : how far it is.
    """

    member: Array
    varied: Any
    lower: Array
    upper: Array
    state: State


@cache
def solver() -> Any:
    """`solve` compiled."""
    return jax.jit(solve, static_argnames="width", compiler_options=quick_options())


def solve(
    members: Members, number: Array, tolerance: float, max_steps: Array, radius: Array, width: int
) -> tuple[State, CurvatureReport]:
    """Minima of the first `number` of C members and their curvature, (C, ...); what lies beyond is not looked at.

    Parameters
    ----------
    tolerance, max_steps : as `minimise`.
    radius : of the trust region at the start.
    width : number of lanes.
    """
    found = jax.vmap(start)(members.theta, members.lower, members.upper)

    def working(carry: tuple[_Lanes, State, Array]) -> Array:
        return jnp.any(carry[0].member < number)

    def advance(carry: tuple[_Lanes, State, Array]) -> tuple[_Lanes, State, Array]:
        lanes, found, following = carry
        lanes = lanes._replace(state=jax.vmap(partial(_step, members.shared))(lanes))
        done = _is_done(lanes.state, tolerance, max_steps) & (lanes.member < number)

        def go_on() -> tuple[_Lanes, State, Array]:
            place = jnp.where(done, lanes.member, members.theta.shape[0])
            written = jax.tree.map(lambda all_, new: all_.at[place].set(new, mode="drop"), found, lanes.state)
            member = jnp.where(done, following + jnp.cumsum(done) - 1, lanes.member)
            fresh = _take(members, member, radius)
            kept = jax.tree.map(partial(_where, done), fresh, lanes)
            return kept, written, following + jnp.sum(done)

        return jax.lax.cond(jnp.any(done), go_on, lambda: (lanes, found, following))

    first = _take(members, jnp.arange(width), radius), found, jnp.asarray(width)
    found = jax.lax.while_loop(working, advance, first)[1]
    return found, _reports(members, found, number, width)


def _take(members: Members, member: Array, radius: Array) -> _Lanes:
    """Members at their start; numbers that are too large give any."""
    varied, theta, lower, upper = jax.tree.map(lambda leaf: jnp.asarray(leaf)[member], members[1:])
    state = jax.vmap(start)(theta, lower, upper)
    return _Lanes(member, varied, lower, upper, state._replace(radius=jnp.full(member.shape, radius)))


def _where(chosen: Array, new: Array, old: Array) -> Array:
    return jnp.where(chosen.reshape(-1, *(1,) * (new.ndim - 1)), new, old)


def _step(shared: Problem, lane: _Lanes) -> State:
    problem = eqx.combine(shared, lane.varied)
    return step(problem.derivatives, lane.state, lane.lower, lane.upper)


def _is_done(state: State, tolerance: float, max_steps: Array) -> Array:
    reached = (state.edm <= tolerance) & state.convex
    return reached | (state.n_steps >= max_steps) | (state.radius <= _SHORTEST)


def _reports(members: Members, found: State, number: Array, width: int) -> CurvatureReport:
    """Curvature at the minima of the first `number` members."""

    def one(state: State, lower: Array, upper: Array) -> CurvatureReport:
        bounded = eqx.tree_at(lambda p: (p.lower, p.upper), members.shared, (lower, upper))
        return report_curvature(bounded, state.theta, state.derivatives)

    return in_blocks(one, (found, members.lower, members.upper), number, width)


def in_blocks(function: Callable[..., Any], rows: tuple[Any, ...], number: Array, width: int) -> Any:
    """What a function gives for the first `number` of C rows of its arguments, (C, ...), `width` at a time."""
    several = jax.vmap(function)
    empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(several, *rows))

    def some(block: Array, found: Any) -> Any:
        place = block * width + jnp.arange(width)
        new = several(*jax.tree.map(lambda leaf: jnp.asarray(leaf)[place], rows))
        return jax.tree.map(lambda all_, own: all_.at[place].set(own, mode="drop"), found, new)

    return jax.lax.fori_loop(0, (number + width - 1) // width, some, empty)


@cache
def corner_finder() -> Any:
    """`find_corners` compiled."""
    return jax.jit(find_corners, static_argnames="width", compiler_options=quick_options())


def find_corners(members: Members, value: Array, width: int) -> Array:
    """Lower bounds (C, P) with 0 for every parameter whose minimum is a corner at 0, as `corner_bounds` finds them.

    Parameters
    ----------
    members : with the best points that were found in the place of start values. value : the statistic there, (C,).
    """

    def of_member(own: tuple[Any, Array, Array, Array, Array]) -> Array:
        varied, theta, lower, upper, best = own
        look = jax.value_and_grad(eqx.combine(members.shared, varied).statistic)

        def of_parameter(only: Array) -> Array:
            here = jnp.where(only, 0.0, theta)
            (there, slope), (_, slope_left) = look(here), look(jnp.where(only, -CORNER_STEP, here))
            return jnp.any(only & (lower < 0) & (upper > 0) & is_corner(there - best, slope, slope_left))

        return jnp.where(jax.vmap(of_parameter)(jnp.eye(theta.shape[0], dtype=bool)), 0.0, lower)

    return jax.lax.map(of_member, (*members[1:], value), batch_size=width)


@cache
def diagonal_finder() -> Any:
    """`find_diagonals` compiled."""
    return jax.jit(find_diagonals, static_argnames="width", compiler_options=quick_options())


def find_diagonals(members: Members, number: Array, width: int) -> tuple[Array, Array, Array]:
    """Statistic, diagonals of Fisher matrix and Hessian of the first `number` of C members at their points."""

    def of_member(varied: Any, theta: Array) -> tuple[Array, Array, Array]:
        there = eqx.combine(members.shared, varied).derivatives(theta)
        return there.value, jnp.diag(there.fisher), jnp.diag(there.hessian)

    return in_blocks(of_member, (members.varied, members.theta), number, width)
