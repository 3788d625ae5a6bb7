"""Many minima at once: chunks of one compiled program, and up to three starts for those that do not get there."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from gammax.fit._covariance import CurvatureReport
from gammax.fit._even import Diagonals, are_even, inside, is_as_low, near_bounds, pinned
from gammax.fit._trust_region import FLAT, State
from gammax.fit.batches._lanes import FIRST_RADIUS, Members, corner_finder, diagonal_finder, solver
from gammax.likelihood import Problem

# steps after which a member is put aside and started anew: ordinary fits need 3 to 10
_FIRST_STEPS = 25
# numbers in the arrays of all members of a chunk, and in the Jacobians of all lanes: 32 MB each
_AT_ONCE = 4_000_000
_MOST_MEMBERS, _MOST_LANES = 1024, 64
# by how much the statistic may be higher than at a point that was seen before
_WORSE = 1e-6


class Solved(NamedTuple):
    """Minima of K members, factor space, numpy.

    Attributes
    ----------
    theta (K, P), value (K,), gradient (K, P), edm (K,) : of the best point found.
    converged : whether it is a minimum within the bounds, (K,).
    active : parameters at a bound, or held, (K, P).
    covariance : twice the inverse Hessian, (K, P, P); meaningless where `active`, or where a direction is flat.
    n_steps : of all starts, (K,).
    flatness, directions : (K, P), (K, P, P); emptied, lowest : (K,), as in `CurvatureReport`.
    """

    theta: np.ndarray
    value: np.ndarray
    gradient: np.ndarray
    edm: np.ndarray
    converged: np.ndarray
    active: np.ndarray
    covariance: np.ndarray
    n_steps: np.ndarray
    flatness: np.ndarray
    directions: np.ndarray
    emptied: np.ndarray
    lowest: np.ndarray


class Shape(NamedTuple):
    """Members in a chunk, and lanes that share them out among themselves."""

    members: int
    lanes: int


def solve_many(
    problem: Problem,
    theta: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    tolerance: float = 1e-10,
    max_steps: int = 100,
    chunk: int | None = None,
) -> Solved:
    """Minima of one problem from K start values, or under K pairs of bounds, by one compiled program.

    Parameters
    ----------
    theta, lower, upper : start values and bounds as factors, (K, P) or (P,); lower = upper holds a parameter.
    tolerance : predicted distance to the minimum at which to stop, in units of the statistic.
    max_steps : of each start; a member that does not converge is started three times.
    chunk : members that go into the program at once; from the size of the problem unless given.
    """
    theta, lower, upper = np.broadcast_arrays(*(np.atleast_2d(array) for array in (theta, lower, upper)))
    nothing = jax.tree.map(lambda leaf: None, problem)
    shape = shape_of(problem, nothing, chunk)
    parts = []
    for first in range(0, len(theta), shape.members):
        rows = slice(first, first + shape.members)
        members = Members(problem, nothing, theta[rows], lower[rows], upper[rows])
        parts.append(solve_chunk(members, shape, tolerance, max_steps))
    return join(parts)


def join(parts: list[Solved]) -> Solved:
    """Chunks one after another."""
    return parts[0] if len(parts) == 1 else Solved(*map(np.concatenate, zip(*parts, strict=True)))


def shape_of(problem: Problem, varied: Any, chunk: int | None = None) -> Shape:
    """Members and lanes that keep memory bounded, and a chunk below a second or so.

    Parameters
    ----------
    varied : the arrays of one member that others do not share.
    """
    own = sum(np.size(leaf) for leaf in jax.tree.leaves(varied))
    bins = sum(np.size(stack.mask) for stack in problem.stacks)
    size = len(problem.free)
    work = sum(np.size(leaf) for leaf in jax.tree.leaves(problem)) + bins * size
    members = chunk or _below(_AT_ONCE // max(own + size * size, work), _MOST_MEMBERS)
    most = _MOST_LANES if jax.default_backend() == "cpu" else _MOST_MEMBERS
    lanes = _below(_AT_ONCE // ((bins + size) * (size + 8) + own), most)
    return Shape(members, min(members, lanes))


def _below(number: int, most: int) -> int:
    """A power of two: programs for problems of nearly equal size are the same."""
    return min(most, 1 << max(0, number).bit_length() >> 1) or 1


def solve_chunk(members: Members, shape: Shape, tolerance: float, max_steps: int) -> Solved:
    """Minima of at most `shape.members` members; those that do not converge, or only in a corner, are begun again from
    the middle of the others, and then as a single fit begins.

    What is found depends on nothing but the members of the chunk.
    """
    work = _Chunk(members, shape, tolerance)
    return work.settle(_search(work, max_steps), max_steps)


def _search(work: _Chunk, max_steps: int) -> Solved:
    """Minima within the bounds, or corners at 0."""
    members = work.members
    first = work.solve(np.arange(len(members.theta)), members.theta, min(max_steps, _FIRST_STEPS))
    solved = work.corner(first, max_steps)
    late = np.union1d(_unfinished(solved), _doubtful(first, solved))
    if not late.size:
        return solved
    # members of a chunk are of a kind: where most of them end is where the others should begin
    middle = np.median(solved.theta[solved.converged], axis=0) if solved.converged.any() else members.theta[late]
    again = work.solve(late, np.broadcast_to(middle, members.theta[late].shape), max_steps)
    solved = _better(solved, late, again)
    late = np.union1d(_unfinished(solved), _doubtful(first, solved))
    if late.size:
        alone = work.solve(late, members.theta[late], max_steps, radius=1.0)
        solved = _better(solved, late, alone, settled=True)
    return work.corner(solved, max_steps)


def _unfinished(solved: Solved) -> np.ndarray:
    """Members that have not converged, and that are not at the wall of an empty bin, or nowhere."""
    return np.flatnonzero(~solved.converged & (solved.emptied == 0) & np.isfinite(solved.value))


def _doubtful(first: Solved, cornered: Solved) -> np.ndarray:
    """Members that ended in a corner after a few steps and have a flat direction there: without a source its shape is
    open, and with another shape its norm may leave the corner."""
    flat = (cornered.flatness <= FLAT).any(axis=1)
    return np.flatnonzero(flat & cornered.converged & ~first.converged)


class _Chunk(NamedTuple):
    """Members of a chunk, the shape of the program, and the tolerance."""

    members: Members
    shape: Shape
    tolerance: float

    def solve(self, rows: np.ndarray, theta: np.ndarray, max_steps: int, radius: float = FIRST_RADIUS) -> Solved:
        """Some of the members from start values (K, P)."""
        members = padded(self.members, rows, theta, self.shape.members)
        found = solver()(members, len(rows), self.tolerance, max_steps, radius, width=self.shape.lanes)
        state, report = jax.tree.map(lambda leaf: np.asarray(leaf)[: len(rows)], found)
        return collect(state, report, self.tolerance)

    def corner(self, solved: Solved, max_steps: int) -> Solved:
        """Minima of those that could not end as theirs is a corner at 0: there the parameter is held from below."""
        rows = np.flatnonzero(~solved.converged & np.isfinite(solved.value))
        if not rows.size:
            return solved
        value = np.zeros(self.shape.members)
        value[: len(rows)] = solved.value[rows]
        found = corner_finder()(
            padded(self.members, rows, solved.theta[rows], self.shape.members), value, width=self.shape.lanes
        )
        lower = self.members.lower.copy()
        lower[rows] = np.asarray(found)[: len(rows)]
        rows = np.flatnonzero((lower != self.members.lower).any(axis=1))
        if not rows.size:
            return solved
        bounded = self._replace(members=self.members._replace(lower=lower))
        return _better(solved, rows, bounded.solve(rows, solved.theta[rows], max_steps))

    def settle(self, solved: Solved, max_steps: int) -> Solved:
        """The same ends, or minima on the bounds beside them at which the prediction is even, see `_even`."""
        lower, upper = self.members.lower, self.members.upper
        # a corner is a bound, too
        limits = np.where(solved.active & (solved.theta == 0.0) & (lower < 0) & (upper > 0), 0.0, lower), upper
        shape = solved.gradient, solved.active, solved.covariance
        bounds = near_bounds(solved.theta, *limits, *shape, solved.converged, self.tolerance)
        while (rows := np.flatnonzero(np.isfinite(bounds).any(axis=1))).size:
            low, high = pinned(bounds, *limits)
            held = self._replace(members=self.members._replace(lower=low, upper=high))
            there = held.solve(rows, solved.theta[rows], max_steps)
            beside = inside(bounds, *limits)[rows]
            beside = np.where(np.isfinite(beside), beside, there.theta)
            here, found, near = (self._diagonals(rows, at) for at in (solved.theta[rows], there.theta, beside))
            even = are_even(bounds[rows], found, near)
            whole = (even == np.isfinite(bounds[rows])).all(axis=1)
            good = whole & there.converged & is_as_low(bounds[rows], here, found, self.tolerance)
            n_steps = there.n_steps + solved.n_steps[rows]
            solved = _exchanged(solved, rows[good], take(there._replace(n_steps=n_steps), good))
            bounds[rows] = np.where(even & ~whole[:, None], bounds[rows], np.nan)
        return solved

    def _diagonals(self, rows: np.ndarray, theta: np.ndarray) -> Diagonals:
        """Of some members at points (K, P)."""
        members = padded(self.members, rows, theta, self.shape.members)
        found = diagonal_finder()(members, len(rows), width=self.shape.lanes)
        return Diagonals(*(np.asarray(part)[: len(rows)] for part in found))


def padded(members: Members, rows: np.ndarray, theta: np.ndarray, size: int) -> Members:
    """Some of the members at other points (N, P), in the shape of a program for `size` of them."""

    def longer(array: np.ndarray) -> np.ndarray:
        out = np.zeros((size, *array.shape[1:]), array.dtype)
        out[: len(array)] = array
        return out

    varied, lower, upper = jax.tree.map(
        lambda array: longer(np.asarray(array)[rows]), (members.varied, members.lower, members.upper)
    )
    return Members(members.shared, varied, longer(theta), lower, upper)


def collect(state: State, report: CurvatureReport, tolerance: float) -> Solved:
    """Minima of K members from where their trust regions ended and the curvature there, (K, ...)."""
    return Solved(
        theta=state.theta,
        value=state.derivatives.value,
        gradient=state.derivatives.gradient,
        edm=state.edm,
        converged=(state.edm <= tolerance) & state.convex,
        active=report.active,
        covariance=report.covariance,
        n_steps=state.n_steps,
        flatness=report.flatness,
        directions=report.directions,
        emptied=report.emptied,
        lowest=report.lowest,
    )


def take(solved: Solved, rows: object) -> Solved:
    """Some of the members, or one."""
    return Solved(*(part[rows] for part in solved))


def _better(solved: Solved, rows: np.ndarray, again: Solved, settled: bool = False) -> Solved:
    """Minima with those of some rows exchanged where the new ones are not worse.

    Parameters
    ----------
    settled : whether a minimum is better than a point that is none, such as one that runs away to lower values.
    """
    old = take(solved, rows)
    worse = np.isfinite(old.value) & ~(again.value <= old.value + _WORSE)
    if settled:
        worse &= old.converged | ~again.converged
    n_steps = old.n_steps + again.n_steps
    chosen = (np.where(worse.reshape(-1, *(1,) * (a.ndim - 1)), a, b) for a, b in zip(old, again, strict=True))
    return _exchanged(solved, rows, Solved(*chosen)._replace(n_steps=n_steps))


def _exchanged(solved: Solved, rows: np.ndarray, new: Solved) -> Solved:
    """Minima with those of some rows exchanged."""
    parts = [part.copy() for part in solved]
    for part, own in zip(parts, new, strict=True):
        part[rows] = own
    return Solved(*parts)
