"""Predicted counts whose shape stands still, and what still moves in them."""

from __future__ import annotations

import equinox as eqx
import numpy as np
from jax import Array

from gammax.folding import total_flux
from gammax.likelihood._plan import Plan
from gammax.likelihood._table import Recipe


class FixedSource(eqx.Module):
    """A source of frozen place and shape: counts of a unit flux in every true-energy bin, (E, T)."""

    matrix: Array
    spectrum: Recipe = eqx.field(static=True)

    def counts(self, values: Array, edges: Array, panels: int) -> Array:
        """Predicted counts of the elements, (E,)."""
        return self.matrix @ total_flux([self.spectrum.build(values)], edges, panels)


class FixedCounts(eqx.Module):
    """Predicted counts of frozen shape, (..., E), times one parameter (None: none)."""

    template: Array
    slot: int | None = eqx.field(static=True)

    def counts(self, values: Array, edges: Array, panels: int) -> Array:
        """Predicted counts, shape of the template."""
        return self.template if self.slot is None else self.template * values[self.slot]


class ScaledCounts(eqx.Module):
    """Predicted counts times a norm model of the reconstructed energy: background, counts templates.

    Attributes
    ----------
    template : counts, (..., E).
    energy : their reconstructed bins, (E,).
    centers : centres of the reconstructed bins [TeV], (R,).
    """

    template: Array
    energy: Array
    centers: Array
    norm: Recipe = eqx.field(static=True)

    def counts(self, values: Array, edges: Array, panels: int) -> Array:
        """Predicted counts, shape of the template."""
        return self.template * self.norm.build(values).dnde(self.centers)[self.energy]


def scaled_counts(
    template: np.ndarray, energy: np.ndarray, centers: np.ndarray, plan: Plan | None
) -> FixedCounts | ScaledCounts:
    """Counts (..., E) times the norm model of a plan, where there is one; arguments as the fields of `ScaledCounts`."""
    if plan is None:
        return FixedCounts(template, None)
    if plan.shape is None:
        return ScaledCounts(template, energy, centers, plan.spectrum)
    factor = np.asarray(plan.spectrum.build(plan.shape.values).dnde(centers))
    return FixedCounts(template * factor[energy], plan.shape.slot)
