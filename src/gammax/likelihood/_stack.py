"""Spectra of equal shape, stacked, so that a hundred runs are one matrix product and one compiled program."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.folding import fold_flux, total_flux
from gammax.likelihood._table import Recipe
from gammax.models import n_panels
from gammax.stats import cash, cash_curvature, wstat, wstat_curvature, wstat_mu_bkg

if TYPE_CHECKING:
    from gammax.datasets import SpectrumDataset, SpectrumDatasetOnOff


class Template(eqx.Module):
    """A source whose shape is held: its counts per unit norm, folded once, and the slot of its norm (None: frozen)."""

    counts: Array
    slot: int | None = eqx.field(static=True)


class SpectrumStack(eqx.Module):
    """D datasets with R reconstructed and T true bins that see the same sources.

    Attributes
    ----------
    edges : true-energy edges [TeV], (T + 1,).
    response : exposure times energy dispersion [cm2 s], (D, R, T).
    counts, mask : (D, R); the mask is 1 inside and 0 outside.
    background : (D, R) expected background of a cash fit, else None.
    counts_off, alpha : (D, R) OFF counts and exposure ratio of a wstat fit, else None.
    templates : sources with a frozen shape.
    moving : recipes of the other sources.
    """

    edges: Array
    response: Array
    counts: Array
    mask: Array
    background: Array | None
    counts_off: Array | None
    alpha: Array | None
    templates: tuple[Template, ...]
    moving: tuple[Recipe, ...] = eqx.field(static=True)
    panels: int = eqx.field(static=True)

    def signal(self, values: Array) -> Array:
        """Predicted signal counts (D, R) for the vector of slot values."""
        signal = jnp.zeros_like(self.counts)
        if self.moving:
            models = [recipe.build(values) for recipe in self.moving]
            signal = signal + fold_flux(total_flux(models, self.edges, self.panels), self.response)
        for template in self.templates:
            signal = signal + (template.counts if template.slot is None else template.counts * values[template.slot])
        return signal

    def expectation(self, values: Array) -> Array:
        """What the statistic compares with the counts, (D, R): signal for wstat, signal + background for cash."""
        return self.signal(values) if self.background is None else self.signal(values) + self.background

    def on_counts(self, expectation: Array) -> Array:
        """Predicted ON counts (D, R): for wstat the profiled background is added to the signal."""
        if self.background is not None:
            return expectation
        return expectation + self.alpha * wstat_mu_bkg(self.counts, self.counts_off, self.alpha, expectation)

    def statistic(self, expectation: Array) -> Array:
        """-2 ln L per bin (D, R), zero outside the mask."""
        if self.background is None:
            per_bin = wstat(self.counts, self.counts_off, self.alpha, expectation)
        else:
            per_bin = cash(self.counts, expectation)
        return self.mask * per_bin

    def curvature(self, expectation: Array) -> Array:
        """Expected second derivative of the statistic per bin (D, R), zero outside the mask."""
        if self.background is None:
            per_bin = wstat_curvature(self.counts, self.counts_off, self.alpha, expectation)
        else:
            per_bin = cash_curvature(self.counts, expectation)
        return self.mask * per_bin


def stack_key(dataset: SpectrumDataset | SpectrumDatasetOnOff, sources: tuple[int, ...]) -> Hashable:
    """Datasets of equal key go into one stack."""
    arrays = dataset.arrays
    return dataset.stat_type, arrays.response.shape, arrays.energy_true.tobytes(), sources


def make_stack(
    datasets: Sequence[SpectrumDataset | SpectrumDatasetOnOff],
    moving: Sequence[Recipe],
    shaped: Sequence[tuple[Recipe, int | None, np.ndarray]],
) -> SpectrumStack:
    """Stack datasets of equal key.

    Parameters
    ----------
    datasets : of equal `stack_key`.
    moving : recipes of sources whose shape moves.
    shaped : sources of frozen shape: recipe, slot of the norm, slot values with that norm at 1.
    """
    parts = [dataset.arrays for dataset in datasets]

    def stacked(field: str) -> np.ndarray | None:
        arrays = [getattr(part, field) for part in parts]
        return None if arrays[0] is None else np.stack(arrays).astype(np.float64)

    edges, response, panels = parts[0].energy_true, stacked("response"), n_panels(parts[0].energy_true)
    templates = [
        Template(_fold_recipe(recipe, values, edges, response, panels), slot) for recipe, slot, values in shaped
    ]
    return SpectrumStack(
        edges=edges,
        response=response,
        counts=stacked("counts"),
        mask=stacked("mask"),
        background=stacked("background"),
        counts_off=stacked("counts_off"),
        alpha=stacked("alpha"),
        templates=tuple(templates),
        moving=tuple(moving),
        panels=panels,
    )


def _fold_recipe(recipe: Recipe, values: np.ndarray, edges: np.ndarray, response: np.ndarray, panels: int) -> Array:
    return _fold_built(values, edges, response, recipe, panels)


_fold_built = jax.jit(
    lambda values, edges, response, recipe, panels: fold_flux(
        total_flux([recipe.build(values)], edges, panels), response
    ),
    static_argnums=(3, 4),
)
