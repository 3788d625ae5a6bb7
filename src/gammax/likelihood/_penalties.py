"""What is known besides the data, in a likelihood: priors of parameters, and penalties that join several."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.likelihood._curves import Derivatives, look, scatter
from gammax.likelihood._parts import stacked
from gammax.likelihood._table import Slots
from gammax.models import Models, Prior


class PriorGroup(eqx.Module):
    """K priors of one class: their numbers have a leading axis, so that a hundred nuisances are one program.

    Attributes
    ----------
    prior : numbers (K,).
    slots : of the parameters, (K,).
    columns : of the moving slots; beyond their number where a parameter stands still, (K,).
    """

    prior: Prior
    slots: Array
    columns: Array

    def _each(self, values: Array) -> Array:
        return jax.vmap(lambda prior, value: prior.statistic(value))(self.prior, values)

    def statistic(self, values: Array) -> Array:
        """Sum of -2 ln pdf, constants included, for the vector of slot values."""
        return jnp.sum(self._each(values[self.slots]))

    @property
    def has_corners(self) -> bool:
        """Whether priors of this class have corners."""
        return type(self.prior).in_corner is not Prior.in_corner

    def in_corners(self, values: Array, errors: Array) -> Array:
        """Which of the first moving slots, those with errors (P,), are in the corner of a prior."""
        own = jnp.take(errors, self.columns, mode="fill", fill_value=0.0)
        found = jax.vmap(lambda prior, *numbers: prior.in_corner(*numbers))(self.prior, values[self.slots], own)
        return jnp.zeros(errors.shape, dtype=bool).at[self.columns].max(found, mode="drop")

    def derivatives(self, values: Array, size: int) -> Derivatives:
        """Value, and derivatives by the `size` moving slots; Fisher: see `Prior.step_curvature`."""
        own = values[self.slots]
        value, first, second = look(self._each, own)
        steps = jax.vmap(lambda prior, *numbers: prior.step_curvature(*numbers))(self.prior, own, second)
        return scatter(self.columns[:, None], _apart(value, first, second, steps), size)


class JointPenalty(eqx.Module):
    """A penalty of K parameters: mean (K,), precision (K, K), strength; slots and columns as `PriorGroup`."""

    mean: Array
    precision: Array
    lambda_: Array
    slots: Array
    columns: Array

    def statistic(self, values: Array) -> Array:
        """Quadratic form for the vector of slot values."""
        off = values[self.slots] - self.mean
        return self.lambda_ * (off @ self.precision @ off)

    def derivatives(self, values: Array, size: int) -> Derivatives:
        """Value, and derivatives by the `size` moving slots; the curvature is its own expectation."""
        double = 2.0 * self.lambda_ * self.precision
        gradient = double @ (values[self.slots] - self.mean)
        own = _without_bins(self.statistic(values), gradient, double, double)
        return scatter(self.columns[None], jax.tree.map(lambda part: part[None], own), size)


def _apart(value: Array, first: Array, second: Array, steps: Array) -> Derivatives:
    """Derivatives of K functions of one number each, (K, 1) and (K, 1, 1)."""
    return jax.vmap(_without_bins)(value, first[:, None], second[:, None, None], steps[:, None, None])


def _without_bins(value: Array, gradient: Array, hessian: Array, fisher: Array) -> Derivatives:
    """Derivatives of what has no bins."""
    return Derivatives(value, gradient, hessian, fisher, jnp.zeros((), dtype=int), jnp.full((), jnp.inf))


def make_penalties(models: Models, slots: Slots) -> tuple[PriorGroup | JointPenalty, ...]:
    """Priors of all slots, grouped by class, and the penalties of the models; none is left out."""
    columns = {slot: column for column, slot in enumerate(slots.moved)}

    def places(chosen: Sequence[int]) -> dict[str, np.ndarray]:
        return {
            "slots": np.array(chosen, dtype=int),
            "columns": np.array([columns.get(slot, len(columns)) for slot in chosen], dtype=int),
        }

    groups: dict[Any, list[int]] = {}
    for slot, parameter in enumerate(slots.parameters):
        if parameter.prior is not None:
            groups.setdefault(jax.tree.structure(parameter.prior), []).append(slot)
    priors = [
        PriorGroup(jax.tree.map(stacked, *(slots.parameters[slot].prior for slot in group)), **places(group))
        for group in groups.values()
    ]
    joint = [
        JointPenalty(p.mean, p.precision, p.lambda_, **places([slots.of_name[name] for name in p.parameters]))
        for p in models.penalties
    ]
    return (*priors, *joint)


def exchange_prior(
    penalties: Sequence[PriorGroup | JointPenalty], slot: int, prior: Prior
) -> tuple[PriorGroup | JointPenalty, ...] | None:
    """Penalties in which the prior of a slot has other numbers, traced ones too; None: it has none of that class."""
    changed, found = [], False
    for group in penalties:
        if isinstance(group, PriorGroup) and jax.tree.structure(group.prior) == jax.tree.structure(prior):
            here = group.slots == slot
            found |= isinstance(here, jax.core.Tracer) or bool(here.any())
            numbers = jax.tree.map(partial(jnp.where, here), prior, group.prior)
            changed.append(PriorGroup(numbers, group.slots, group.columns))
        else:
            changed.append(group)
    return tuple(changed) if found else None


def describe(penalties: Sequence[PriorGroup | JointPenalty]) -> str:
    """Numbers of priors and penalties, in words."""
    priors = sum(len(part.slots) for part in penalties if isinstance(part, PriorGroup))
    joint = sum(isinstance(part, JointPenalty) for part in penalties)
    return (f", {priors} priors" if priors else "") + (f", {joint} penalties" if joint else "")
