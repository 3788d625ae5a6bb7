"""The compiled part of a likelihood: pure functions of a vector of factors and a tree of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from gammax.likelihood._counts import expected_counts, with_counts, with_expected
from gammax.likelihood._cube import CubeStack
from gammax.likelihood._curves import Derivatives, add_up, gather
from gammax.likelihood._own import OwnStack
from gammax.likelihood._parts import bend_along
from gammax.likelihood._penalties import JointPenalty, PriorGroup
from gammax.likelihood._runs import RunStack
from gammax.likelihood._shard import by_dataset, total
from gammax.likelihood._stack import SpectrumStack
from gammax.likelihood._table import fill
from gammax.likelihood._ties import SlotTie, follow, moving_slots


class Problem(eqx.Module):
    """Statistic S(theta) = -2 ln L of stacked datasets; theta are factors, value = factor * scale.

    Attributes
    ----------
    stacks : what is "per stack" has the shape (D, R) of D spectra, (D, E) of D cubes or regions with E elements.
    values : number of every parameter slot, in the parameters' units, (S,).
    scale : of the free slots, (P,).
    lower, upper : bounds of the free slots as factors, (P,).
    free : the free slots.
    penalties : priors and penalties, part of the statistic as they are of no dataset.
    ties : of slots to others.
    mesh : devices over which the datasets are spread; None: one device.
    """

    stacks: tuple[SpectrumStack | RunStack | CubeStack | OwnStack, ...]
    values: Array
    scale: Array
    lower: Array
    upper: Array
    free: tuple[int, ...] = eqx.field(static=True)
    penalties: tuple[PriorGroup | JointPenalty, ...] = ()
    ties: tuple[SlotTie, ...] = eqx.field(static=True, default=())
    mesh: Mesh | None = eqx.field(static=True, default=None)

    def slot_values(self, theta: Array) -> Array:
        """Number of every parameter slot for the factors theta (P,)."""
        return follow(fill(self.values, self.free, theta * self.scale), self.ties)

    def expectations(self, theta: Array) -> tuple[Array, ...]:
        """Per stack: what the statistic compares with the counts."""
        values = self.slot_values(theta)
        return by_dataset(lambda stack, values: stack.expectation(values), self.stacks, values, self.mesh)

    def signals(self, theta: Array) -> tuple[Array, ...]:
        """Per stack: predicted signal counts."""
        values = self.slot_values(theta)
        return by_dataset(lambda stack, values: stack.signal(values), self.stacks, values, self.mesh)

    def on_counts(self, theta: Array) -> tuple[Array, ...]:
        """Per stack: predicted ON counts, the profiled background of wstat included."""
        return tuple(s.on_counts(mu) for s, mu in zip(self.stacks, self.expectations(theta), strict=True))

    def with_counts(self, counts: Sequence[Array | None]) -> Problem:
        """Problem with other (ON) counts, per stack; None leaves the data of a dataset of the user's own."""
        stacks = tuple(with_counts(stack, data) for stack, data in zip(self.stacks, counts, strict=True))
        return eqx.tree_at(lambda problem: problem.stacks, self, stacks)

    def asimov(self, theta: Array) -> Problem:
        """Problem whose data are what it expects at theta, ON and OFF."""
        return with_expected(self, expected_counts(self, theta))

    def with_masks(self, masks: Sequence[Array]) -> Problem:
        """Problem with other masks, per stack, 1 inside and 0 outside."""
        return eqx.tree_at(lambda problem: [stack.mask for stack in problem.stacks], self, list(masks))

    def bins(self, expectations: tuple[Array, ...]) -> tuple[Array, ...]:
        """Per stack: the statistic in bins, zero outside masks."""
        return tuple(stack.statistic(mu) for stack, mu in zip(self.stacks, expectations, strict=True))

    def statistic(self, theta: Array) -> Array:
        """-2 ln L summed over the bins inside masks, with priors and penalties."""
        bins = total(_statistic_of, self.stacks, self.slot_values(theta), self.mesh, _add, jax.lax.psum)
        return bins + self.prior_statistic(theta) if self.penalties else bins

    def prior_statistic(self, theta: Array) -> Array:
        """-2 ln of priors and penalties alone."""
        values = self.slot_values(theta)
        return sum((penalty.statistic(values) for penalty in self.penalties), start=jnp.zeros(()))

    @property
    def has_corners(self) -> bool:
        """Whether there are priors with corners."""
        return any(isinstance(group, PriorGroup) and group.has_corners for group in self.penalties)

    def in_corners(self, theta: Array, errors: Array) -> Array:
        """Which parameters are in the corner of a prior, where the curvature says nothing of an error, (P,) bool.

        Parameters
        ----------
        errors : of the factors, by the curvature there, (P,).
        """
        values, found = self.slot_values(theta), jnp.zeros(theta.shape, dtype=bool)
        for group in self.penalties:
            if isinstance(group, PriorGroup) and group.has_corners:
                found |= group.in_corners(values, errors * self.scale)
        return found

    def fisher(self, theta: Array) -> Array:
        """J^T diag(w) J with the expected curvature w of the statistic (2 x the Fisher matrix), (P, P)."""
        return self.derivatives(theta).fisher

    def derivatives(self, theta: Array) -> Derivatives:
        """Value, gradient, exact Hessian and Fisher matrix.

        d2S = J^T diag(s'') J + sum_i s'_i d2(mu_i): the second derivative of the statistic is taken per bin, where it
        is exact at every corner; that of mu is contracted with s' before it is formed, part by part, as no part knows
        of the parameters of another.
        """
        values, moved = self.slot_values(theta), moving_slots(self.free, self.ties)
        size = len(moved)
        found = total(
            lambda stack, values: stack.derivatives(values, size), self.stacks, values, self.mesh, add_up, gather
        )
        if self.penalties:
            found = add_up([found, *(penalty.derivatives(values, size) for penalty in self.penalties)])
        if self.ties:
            return _through(lambda theta: self.slot_values(theta)[np.array(moved)], theta, found)
        pairs = jnp.outer(self.scale, self.scale)
        return found._replace(
            gradient=found.gradient * self.scale, hessian=found.hessian * pairs, fisher=found.fisher * pairs
        )


def _statistic_of(stack: SpectrumStack | RunStack | CubeStack | OwnStack, values: Array) -> Array:
    return jnp.sum(stack.statistic(stack.expectation(values)))


def _add(numbers: Sequence[Array]) -> Array:
    return sum(numbers, start=jnp.zeros(()))


def _through(function: Callable[[Array], Array], theta: Array, outer: Derivatives) -> Derivatives:
    """Derivatives by theta (P,) of what depends on numbers (M,) that are a function of theta: the chain rule, with the
    curvature of the function."""
    slopes, bend = bend_along(function, theta, outer.gradient)
    return outer._replace(
        gradient=slopes @ outer.gradient,
        hessian=slopes @ outer.hessian @ slopes.T + bend,
        fisher=slopes @ outer.fisher @ slopes.T,
    )


def no_bins(problem: Problem) -> bool:
    """Whether nothing is left to fit: no bin inside the masks, or none with a count."""
    if any(isinstance(stack, OwnStack) for stack in problem.stacks):
        return False
    # arrays that are spread over processes only JAX can add up
    numbers = np if problem.mesh is None else jnp
    inside = [numbers.asarray(stack.mask) for stack in problem.stacks]
    counted = [
        numbers.sum(mask * (stack.counts + (0.0 if stack.counts_off is None else stack.counts_off)))
        for mask, stack in zip(inside, problem.stacks, strict=True)
    ]
    return not sum(float(mask.sum()) for mask in inside) or not sum(map(float, counted))
