"""The trust region at work on a likelihood: in one call where steps are quick, else a few steps at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jax import Array

from gammax.fit._covariance import CurvatureReport, report_curvature
from gammax.fit._even import Diagonals, bounded, diagonals_of, near_bounds, on_even_bounds, pinned
from gammax.fit._judge import Minimum, judge_newton
from gammax.fit._quick import quick_options
from gammax.fit._trust_region import CORNER_STEP, State, advance, is_corner, minimise
from gammax.fit._warnings import gauge_off
from gammax.likelihood import Derivatives, Likelihood, Problem
from gammax.likelihood._cube import CubeStack
from gammax.likelihood._runs import RunStack
from gammax.likelihood._shard import on_devices, over_processes
from gammax.likelihood._stack import SpectrumStack

# called with the best point so far, its statistic and the number of steps
Show = Callable[[np.ndarray, float, int], None]


def unseen(theta: np.ndarray, value: float, n_steps: int) -> None:
    """Nobody watches."""


# a fit shows where it is about this often [s]; before it knows how long a step takes it makes this many at a time
_PERIOD, _FIRST_STEPS = 0.5, 2
# elements of cubes times parameters that a step goes through in some 5 ms
_FEW_NUMBERS = 1_000_000


class Ended(NamedTuple):
    """Where the trust region ended, the curvature there, and gauges of the OFF counts."""

    state: State
    report: CurvatureReport
    gauges: tuple[Array, ...]


# minimum of a problem from start values
Search = Callable[[Problem, Any], Ended]


def run_newton(likelihood: Likelihood, tolerance: float, max_steps: int, show: Show = unseen) -> Minimum:
    """Minimum by the trust region; see `finish` for where it ends."""

    def search(problem: Problem, theta: Array | np.ndarray) -> Ended:
        return solve(problem, theta, tolerance, max_steps, show)

    ended = search(likelihood.problem, likelihood.theta0)
    ended, problem = finish(likelihood.problem, ended, search, tolerance)
    if problem is not likelihood.problem:
        likelihood = eqx.tree_at(lambda own: own.problem, likelihood, problem)
    return judge_newton(likelihood, *ended, tolerance)


def finish(problem: Problem, ended: Ended, search: Search, tolerance: float) -> tuple[Ended, Problem]:
    """Where a search ended, or what is there beside it: the corner at zero, if it has not converged; the bounds at
    which the prediction is even. And the problem, with zero among its bounds in a corner."""
    here = ended.state.derivatives
    if not _is_converged(ended, tolerance):
        if not (np.isfinite(here.value) and np.isfinite(here.gradient).all()):
            return ended, problem
        # at the wall of an empty bin, too, a fit may be on its way to the corner
        lower = corner_bounds(problem, np.asarray(ended.state.theta), float(here.value))
        if lower is not None:
            problem = bounded(problem, lower, problem.upper)
            ended = _after(ended, search(problem, ended.state.theta))
    return _settled(problem, ended, search, tolerance), problem


def _settled(problem: Problem, ended: Ended, search: Search, tolerance: float) -> Ended:
    """The same end, or the minimum on the bounds beside it at which the prediction is even."""
    limits = np.asarray(problem.lower), np.asarray(problem.upper)
    if not np.isfinite(limits).any():
        return ended
    theta = np.asarray(ended.state.theta)
    shape = (
        np.asarray(part) for part in (ended.state.derivatives.gradient, ended.report.active, ended.report.covariance)
    )
    bounds = near_bounds(theta, *limits, *shape, _is_converged(ended, tolerance), tolerance)
    if not np.isfinite(bounds).any():
        return ended

    def visit(places: np.ndarray) -> tuple[Ended, Diagonals]:
        there = search(bounded(problem, *pinned(places, *limits)), theta)
        return there, diagonals_of(there.state.derivatives)

    there = on_even_bounds(bounds, limits, diagonals_of(ended.state.derivatives), visit, tolerance)
    return ended if there is None or not _is_converged(there, tolerance) else _after(ended, there)


def _is_converged(ended: Ended, tolerance: float) -> bool:
    return float(ended.state.edm) <= tolerance and bool(ended.state.convex)


def _after(first: Ended, then: Ended) -> Ended:
    """A search that went on where another had ended, with the steps of both."""
    return then._replace(state=then.state._replace(n_steps=first.state.n_steps + then.state.n_steps))


def solve(problem: Problem, theta: Array, tolerance: float, max_steps: int, show: Show = unseen) -> Ended:
    """Minimum of a problem; spectra only take a moment, other fits show where they are on the way."""
    if all(_takes_a_moment(stack) for stack in problem.stacks):
        cubes = any(isinstance(stack, CubeStack) for stack in problem.stacks)
        return (_solve_cubes() if cubes else _solve)(problem, theta, tolerance, max_steps)
    return solve_in_steps(problem, theta, tolerance, max_steps, show)


def solve_in_steps(problem: Problem, theta: Array, tolerance: float, max_steps: int, show: Show = unseen) -> Ended:
    """The same, some steps at a time: one program, as the number of steps is not compiled in."""
    advanced, problem = solve_slow(), on_devices(problem, problem.mesh)
    state = blank_state(np.clip(theta, problem.lower, problem.upper))
    limit, steps = 0, _FIRST_STEPS
    while True:
        limit, begun = min(limit + steps, max_steps), time.monotonic()
        solved = advanced(problem, state, tolerance, limit)
        state = solved.state
        done = int(state.n_steps)
        show(np.asarray(state.theta), float(state.derivatives.value), done)
        if done < limit or limit == max_steps:
            return solved
        # a call that had to be compiled is followed by a single step, which tells how long one takes; processes, each
        # with a clock of its own, must all make the same calls
        if not over_processes(problem.mesh):
            steps = max(1, int(_PERIOD * steps / (time.monotonic() - begun)))


def _takes_a_moment(stack: Any) -> bool:
    """Whether all steps of a fit take less than half a second: spectra, and cubes in which no source moves."""
    if isinstance(stack, CubeStack):
        return not stack.moves and stack.counts.size * stack.cubes.columns.shape[-1] < _FEW_NUMBERS
    return isinstance(stack, SpectrumStack | RunStack)


def blank_state(theta: np.ndarray) -> State:
    """State before the first point, as `gammax.fit._trust_region.start`, made without a compiled program."""
    unknown, infinite = np.full(theta.shape * 2, np.inf), np.array(np.inf)
    nothing = Derivatives(infinite, unknown[0], unknown, unknown, np.array(0), infinite)
    return State(theta, nothing, theta, infinite, np.array(1.0), infinite, np.array(False), np.array(0))


def _report(problem: Problem, state: State) -> Ended:
    report = report_curvature(problem, state.theta, state.derivatives)
    return Ended(state, report, gauge_off(problem, state.theta))


def _minimum(problem: Problem, theta: Array, tolerance: float, max_steps: int) -> Ended:
    return _report(problem, minimise(problem.derivatives, theta, problem.lower, problem.upper, tolerance, max_steps))


_solve = jax.jit(_minimum, static_argnames="max_steps")


@cache
def _solve_cubes() -> Callable[..., Ended]:
    return jax.jit(_minimum, static_argnames="max_steps", compiler_options=quick_options())


def _advanced(problem: Problem, state: State, tolerance: float, limit: int) -> Ended:
    return _report(problem, advance(problem.derivatives, state, problem.lower, problem.upper, tolerance, limit))


@cache
def solve_slow() -> Callable[..., Ended]:
    return jax.jit(_advanced, compiler_options=quick_options())


value_and_gradient = jax.jit(lambda problem, theta: jax.value_and_grad(problem.statistic)(theta))


def corner_bounds(problem: Problem, theta: np.ndarray, value: float) -> np.ndarray | None:
    """Lower bounds with 0 for every parameter whose minimum is a corner at 0, None if there is no such parameter.

    In bins without ON and OFF counts wstat has a corner at zero signal, where its slope jumps from -2 / alpha to 2:
    a source that is not there has its minimum in it, and no Newton step can end there.
    """
    lower, found = np.array(problem.lower), False
    for i in np.flatnonzero((lower < 0) & (np.asarray(problem.upper) > 0)):
        right = np.array(theta)
        right[i] = 0.0
        left = right.copy()
        left[i] = -CORNER_STEP
        (there, slope), (_, slope_left) = value_and_gradient(problem, right), value_and_gradient(problem, left)
        if is_corner(there - value, slope[i], slope_left[i]):
            lower[i], found = 0.0, True
    return lower if found else None
