"""The compiled part of a likelihood: pure functions of a vector of factors and a tree of arrays."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.likelihood._cube import CubeStack
from gammax.likelihood._curves import Derivatives, add_up
from gammax.likelihood._stack import SpectrumStack
from gammax.likelihood._table import fill


class Problem(eqx.Module):
    """Statistic S(theta) = -2 ln L of stacked datasets; theta are factors, value = factor * scale.

    Attributes
    ----------
    stacks : what is "per stack" has the shape (D, R) of D spectra, (D, E) of D cubes or regions with E elements.
    values : number of every parameter slot, in the parameters' units, (S,).
    scale : of the free slots, (P,).
    lower, upper : bounds of the free slots as factors, (P,).
    free : the free slots.
    """

    stacks: tuple[SpectrumStack | CubeStack, ...]
    values: Array
    scale: Array
    lower: Array
    upper: Array
    free: tuple[int, ...] = eqx.field(static=True)

    def slot_values(self, theta: Array) -> Array:
        """Number of every parameter slot for the factors theta (P,)."""
        return fill(self.values, self.free, theta * self.scale)

    def expectations(self, theta: Array) -> tuple[Array, ...]:
        """Per stack: what the statistic compares with the counts."""
        values = self.slot_values(theta)
        return tuple(stack.expectation(values) for stack in self.stacks)

    def signals(self, theta: Array) -> tuple[Array, ...]:
        """Per stack: predicted signal counts."""
        values = self.slot_values(theta)
        return tuple(stack.signal(values) for stack in self.stacks)

    def on_counts(self, theta: Array) -> tuple[Array, ...]:
        """Per stack: predicted ON counts, the profiled background of wstat included."""
        return tuple(s.on_counts(mu) for s, mu in zip(self.stacks, self.expectations(theta), strict=True))

    def with_counts(self, counts: Sequence[Array]) -> Problem:
        """Problem with other (ON) counts, per stack."""
        return eqx.tree_at(lambda problem: [stack.counts for stack in problem.stacks], self, list(counts))

    def with_masks(self, masks: Sequence[Array]) -> Problem:
        """Problem with other masks, per stack, 1 inside and 0 outside."""
        return eqx.tree_at(lambda problem: [stack.mask for stack in problem.stacks], self, list(masks))

    def bins(self, expectations: tuple[Array, ...]) -> tuple[Array, ...]:
        """Per stack: the statistic in bins, zero outside masks."""
        return tuple(stack.statistic(mu) for stack, mu in zip(self.stacks, expectations, strict=True))

    def statistic(self, theta: Array) -> Array:
        """-2 ln L summed over the bins inside masks."""
        return sum((jnp.sum(part) for part in self.bins(self.expectations(theta))), start=jnp.zeros(()))

    def fisher(self, theta: Array) -> Array:
        """J^T diag(w) J with the expected curvature w of the statistic (2 x the Fisher matrix), (P, P)."""
        return self.derivatives(theta).fisher

    def derivatives(self, theta: Array) -> Derivatives:
        """Value, gradient, exact Hessian and Fisher matrix.

        d2S = J^T diag(s'') J + sum_i s'_i d2(mu_i): the second derivative of the statistic is taken per bin, where it
        is exact at every corner; that of mu is contracted with s' before it is formed, part by part, as no part knows
        of the parameters of another.
        """
        values, size = self.slot_values(theta), theta.shape[0]
        total = add_up([stack.derivatives(values, size) for stack in self.stacks])
        pairs = jnp.outer(self.scale, self.scale)
        return total._replace(
            gradient=total.gradient * self.scale, hessian=total.hessian * pairs, fisher=total.fisher * pairs
        )


def no_bins(problem: Problem) -> bool:
    """Whether nothing is left to fit: no bin inside the masks, or none with a count."""
    inside = [np.asarray(stack.mask) for stack in problem.stacks]
    counted = [
        np.sum(mask * (stack.counts + (0.0 if stack.counts_off is None else stack.counts_off)))
        for mask, stack in zip(inside, problem.stacks, strict=True)
    ]
    return not sum(mask.sum() for mask in inside) or not sum(counted)
