"""The compiled part of a likelihood: pure functions of a vector of factors and a tree of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from gammax.likelihood._stack import SpectrumStack
from gammax.likelihood._table import fill

# expected counts that are none: far below one, far above the floor of the statistic
_NO_COUNT = 1e-6


class Derivatives(NamedTuple):
    """The statistic at a point, with what a Newton step needs; all in factor space."""

    value: Array
    gradient: Array
    hessian: Array
    fisher: Array


class Problem(eqx.Module):
    """Statistic S(theta) = -2 ln L of stacked spectra; theta are factors, value = factor * scale.

    Attributes
    ----------
    values : number of every parameter slot, in the parameters' units, (S,).
    scale : of the free slots, (P,).
    lower, upper : bounds of the free slots as factors, (P,).
    free : the free slots.
    """

    stacks: tuple[SpectrumStack, ...]
    values: Array
    scale: Array
    lower: Array
    upper: Array
    free: tuple[int, ...] = eqx.field(static=True)

    def slot_values(self, theta: Array) -> Array:
        """Number of every parameter slot for the factors theta (P,)."""
        return fill(self.values, self.free, theta * self.scale)

    def expectations(self, theta: Array) -> tuple[Array, ...]:
        """Per stack (D, R): what the statistic compares with the counts."""
        values = self.slot_values(theta)
        return tuple(stack.expectation(values) for stack in self.stacks)

    def signals(self, theta: Array) -> tuple[Array, ...]:
        """Per stack (D, R): predicted signal counts."""
        values = self.slot_values(theta)
        return tuple(stack.signal(values) for stack in self.stacks)

    def on_counts(self, theta: Array) -> tuple[Array, ...]:
        """Per stack (D, R): predicted ON counts, the profiled background of wstat included."""
        return tuple(s.on_counts(mu) for s, mu in zip(self.stacks, self.expectations(theta), strict=True))

    def emptied_bins(self, theta: Array) -> Array:
        """Number of bins inside the masks where a negative signal leaves no expected ON count: the edge of physics."""
        parts = zip(self.stacks, self.signals(theta), self.on_counts(theta), strict=True)
        emptied = [jnp.sum((s.mask > 0) & (signal < 0) & (on <= _NO_COUNT)) for s, signal, on in parts]
        return sum(emptied, start=jnp.zeros((), dtype=int))

    def with_counts(self, counts: Sequence[Array]) -> Problem:
        """Problem with other (ON) counts, per stack (D, R)."""
        return eqx.tree_at(lambda problem: [stack.counts for stack in problem.stacks], self, list(counts))

    def with_masks(self, masks: Sequence[Array]) -> Problem:
        """Problem with other masks, per stack (D, R), 1 inside and 0 outside."""
        return eqx.tree_at(lambda problem: [stack.mask for stack in problem.stacks], self, list(masks))

    def bins(self, expectations: tuple[Array, ...]) -> tuple[Array, ...]:
        """Per stack (D, R): the statistic in bins, zero outside masks."""
        return tuple(stack.statistic(mu) for stack, mu in zip(self.stacks, expectations, strict=True))

    def statistic(self, theta: Array) -> Array:
        """-2 ln L summed over the bins inside masks."""
        return sum((jnp.sum(part) for part in self.bins(self.expectations(theta))), start=jnp.zeros(()))

    def fisher(self, theta: Array) -> Array:
        """J^T diag(w) J with the expected curvature w of the statistic (2 x the Fisher matrix), (P, P)."""
        mu, jacobian = self._jacobian(theta)
        return jacobian.T @ (self._weights(mu)[:, None] * jacobian)

    def derivatives(self, theta: Array) -> Derivatives:
        """Value, gradient, exact Hessian and Fisher matrix: one Hessian of a linear form, whose forward pass gives J.

        d2S = J^T diag(s'') J + sum_i s'_i d2(mu_i): the second derivative of the statistic is taken per bin, where it
        is exact at every corner, and that of mu is contracted with s' before it is formed.
        """
        mu = self.expectations(theta)
        flat, unravel = ravel_pytree(mu)
        ones = jnp.ones_like(flat)

        def bins(x: Array) -> Array:
            return ravel_pytree(self.bins(unravel(x)))[0]

        def slope(x: Array) -> tuple[Array, Array]:
            value, first = jax.jvp(bins, (x,), (ones,))
            return first, value

        first, second, value = jax.jvp(slope, (flat,), (ones,), has_aux=True)

        def contracted(x: Array) -> tuple[Array, Array]:
            there, pull = jax.vjp(lambda y: ravel_pytree(self.expectations(y))[0], x)
            return pull(first)[0], there

        def push(tangent: Array) -> tuple[Array, Array]:
            return jax.jvp(contracted, (theta,), (tangent,))[1]

        bend, jacobian = jax.vmap(push, out_axes=1)(jnp.eye(theta.shape[0]))
        return Derivatives(
            value=jnp.sum(value),
            gradient=first @ jacobian,
            hessian=jacobian.T @ (second[:, None] * jacobian) + bend,
            fisher=jacobian.T @ (self._weights(mu)[:, None] * jacobian),
        )

    def _jacobian(self, theta: Array) -> tuple[tuple[Array, ...], Array]:
        """Expectations and their derivatives, (bins, P), by one jvp per free parameter."""

        def push(tangent: Array) -> tuple[tuple[Array, ...], Array]:
            mu, change = jax.jvp(self.expectations, (theta,), (tangent,))
            return mu, ravel_pytree(change)[0]

        return jax.vmap(push, out_axes=(None, 1))(jnp.eye(theta.shape[0]))

    def _weights(self, mu: tuple[Array, ...]) -> Array:
        return ravel_pytree([stack.curvature(part) for stack, part in zip(self.stacks, mu, strict=True)])[0]


def no_bins(problem: Problem) -> bool:
    """Whether nothing is left to fit: no bin inside the masks, or none with a count."""
    inside = [np.asarray(stack.mask) for stack in problem.stacks]
    counted = [
        np.sum(mask * (stack.counts + (0.0 if stack.counts_off is None else stack.counts_off)))
        for mask, stack in zip(inside, problem.stacks, strict=True)
    ]
    return not sum(mask.sum() for mask in inside) or not sum(counted)
