"""Spectra of equal shape, stacked, so that a hundred runs are one matrix product and one compiled program."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.errors import ModelError
from gammax.folding import fold_flux
from gammax.folding._background import check_backgrounds
from gammax.folding._irf import EnergySpline, energy_spline, scaled_flux
from gammax.likelihood._curves import Derivatives, Moved, count_emptied, expected_on, look, scatter
from gammax.likelihood._parts import FixedCounts, ScaledCounts, bend_along, unit_factor, unit_flux
from gammax.likelihood._plan import NO_EFFECTS, Effects, IRFPlan, Plan, split_plans
from gammax.likelihood._table import Recipe
from gammax.models import FoVBackgroundModel, n_panels
from gammax.stats import cash, cash_curvature, wstat, wstat_curvature

if TYPE_CHECKING:
    from gammax.datasets import SpectrumDataset, SpectrumDatasetOnOff


class SpectrumStack(eqx.Module):
    """D datasets with R reconstructed and T true bins that see the same sources.

    Attributes
    ----------
    edges : true-energy edges [TeV], (T + 1,).
    response : exposure times energy dispersion [cm2 s], (D, R, T).
    counts, mask : (D, R); the mask is 1 inside and 0 outside.
    backgrounds : of a cash fit, each (D, R).
    counts_off, alpha : (D, R) OFF counts and exposure ratio of a wstat fit, else None.
    templates : sources with a frozen shape.
    spline : over reconstructed energies, where their scale may differ from that of the responses.
    moving : recipes of the other sources.
    moved : free slots that the datasets depend on, and the fit's parameters in them.
    effects : of a model of the responses, on all D datasets alike.
    """

    edges: Array
    response: Array
    counts: Array
    mask: Array
    backgrounds: tuple[FixedCounts | ScaledCounts, ...]
    counts_off: Array | None
    alpha: Array | None
    templates: tuple[FixedCounts, ...]
    spline: EnergySpline | None
    moving: tuple[Recipe, ...] = eqx.field(static=True)
    moved: tuple[tuple[int, ...], tuple[int, ...]] = eqx.field(static=True)
    panels: int = eqx.field(static=True)
    effects: Effects = eqx.field(static=True)

    def signal(self, values: Array) -> Array:
        """Predicted signal counts (D, R) for the vector of slot values."""
        scales = self.effects.scales(values)
        signal = jnp.zeros_like(self.counts)
        if self.moving:
            models = [recipe.build(values) for recipe in self.moving]
            flux = scaled_flux(models, self.edges, self.panels, scales._replace(aeff_norm=None))
            signal = signal + fold_flux(flux, self.response)
        for template in self.templates:
            signal = signal + template.counts(values, self.edges, self.panels)
        # one factor for all sources: those of frozen shape remain templates
        signal = signal if scales.aeff_norm is None else signal * scales.aeff_norm
        return signal if self.spline is None else self.spline.shifted(signal, scales.energy_scale_reco)

    def background(self, values: Array) -> Array:
        """Expected background counts (D, R); 0 for wstat, which profiles them."""
        parts = [part.counts(values, self.edges, self.panels) for part in self.backgrounds]
        return sum(parts, start=jnp.zeros_like(self.counts))

    def expectation(self, values: Array) -> Array:
        """What the statistic compares with the counts, (D, R): signal for wstat, signal + background for cash."""
        return self.signal(values) + self.background(values)

    def on_counts(self, expectation: Array) -> Array:
        """Predicted ON counts (D, R): for wstat the profiled background is added to the signal."""
        return expected_on(self.counts, self.counts_off, self.alpha, expectation)

    def statistic(self, expectation: Array) -> Array:
        """-2 ln L per bin (D, R), zero outside the mask."""
        if self.alpha is None:
            per_bin = cash(self.counts, expectation)
        else:
            per_bin = wstat(self.counts, self.counts_off, self.alpha, expectation)
        return self.mask * per_bin

    def curvature(self, expectation: Array) -> Array:
        """Expected second derivative of the statistic per bin (D, R), zero outside the mask."""
        if self.alpha is None:
            per_bin = cash_curvature(self.counts, expectation)
        else:
            per_bin = wstat_curvature(self.counts, self.counts_off, self.alpha, expectation)
        return self.mask * per_bin

    def derivatives(self, values: Array, size: int) -> Derivatives:
        """Value, and derivatives by the slot values of the fit's `size` parameters."""
        own, columns = self.own_derivatives(values), np.array(self.moved[1], dtype=int)
        return scatter(columns[None], jax.tree.map(lambda part: part[None], own), size)

    def own_derivatives(self, values: Array) -> Derivatives:
        """Value, and derivatives by the numbers in the moved slots."""
        slots = np.array(self.moved[0], dtype=int)
        signal = self.signal(values)
        mu = signal + self.background(values)
        value, first, second = look(self.statistic, mu)

        def flat(x: Array) -> Array:
            return self.expectation(Moved(values, self.moved[0], x)).ravel()

        jacobian, bend = bend_along(flat, values[slots], first.ravel())
        return Derivatives(
            value=jnp.sum(value),
            gradient=jacobian @ first.ravel(),
            hessian=(jacobian * second.ravel()) @ jacobian.T + bend,
            fisher=(jacobian * self.curvature(mu).ravel()) @ jacobian.T,
            emptied=count_emptied(self.mask, signal, self.on_counts(mu)),
            lowest=jnp.full((), jnp.inf),
        )


class SpectrumDraft(NamedTuple):
    """A spectrum under the models that apply to it, before it is known what it will be stacked with.

    Attributes
    ----------
    effects : of the model of its responses. columns : number of the fit's parameter in every slot that moves.
    """

    dataset: SpectrumDataset | SpectrumDatasetOnOff
    plans: list[Plan]
    effects: Effects
    columns: Mapping[int, int]

    @property
    def key(self) -> Hashable:
        """Spectra of equal key go into one stack."""
        arrays, effects = self.dataset.arrays, self.effects
        kind = self.dataset.stat_type, arrays.response.shape, arrays.energy_true.tobytes()
        if "energy_scale_reco" in effects.names:
            # one spline over reconstructed energies serves the whole stack
            kind = *kind, self.dataset.energy_axis.edges_value("TeV").tobytes()
        if any(plan.shape is None for plan in self.scaling):
            # so do the centres of its bins where a background is scaled by energy
            kind = *kind, self.dataset.energy_axis.edges_value("TeV").tobytes()
        sources = tuple(plan.model.name for plan in self.plans if plan.is_source)
        scaling = tuple((plan.spectrum.renumbered(), plan.shape is None) for plan in self.scaling)
        own = tuple((self.slots.index(slot), slot in self.columns) for slot in self.own)
        return (*kind, sources, scaling, effects.names, effects.unit, own)

    @property
    def scaling(self) -> list[Plan]:
        """Plans of what is not a source: the model of its background."""
        return [plan for plan in self.plans if not plan.is_source]

    @property
    def own(self) -> list[int]:
        """Slots of the numbers that may be those of one spectrum: of its background, then of its responses."""
        used = [plan.spectrum.slots if plan.shape is None else plan.shape.slots for plan in self.scaling]
        return [*(slot for slots in used for slot in slots), *self.effects.slots]

    @property
    def slots(self) -> list[int]:
        """Slots of its numbers, one after another: those of its sources, then those of its responses."""
        own = [slot for plan in self.plans for slot in plan.spectrum.slots]
        return list(dict.fromkeys([*own, *self.effects.slots]))

    def placed(self) -> SpectrumDraft:
        """Draft that finds its numbers one after another."""
        slots = self.slots
        places = {slot: place for place, slot in enumerate(slots)}
        return SpectrumDraft(
            self.dataset,
            [plan.placed(places) for plan in self.plans],
            self.effects.placed(places),
            {places[slot]: 0 for slot in slots if slot in self.columns},
        )


def draft_spectrum(
    dataset: SpectrumDataset | SpectrumDatasetOnOff, plans: Sequence[Plan | IRFPlan], columns: Mapping[int, int]
) -> SpectrumDraft:
    """Draft of a spectrum; `columns` is the number of the fit's parameter in every slot that moves.

    Raises
    ------
    ModelError : two models of responses.
    """
    plans, effects, _ = split_plans(plans, dataset.name)
    return SpectrumDraft(dataset, plans, effects.only(_EFFECTS), columns)


# of a spectrum without PSF
_EFFECTS = ("energy_scale_true", "energy_scale_reco", "aeff_norm", "aeff_tilt", "reference")
# those that change the shape of a source's counts before they are folded
_DEFORMING = ("energy_scale_true", "aeff_tilt")


def make_stack(drafts: Sequence[SpectrumDraft]) -> SpectrumStack:
    """Stack spectra of equal key, whose responses have one model or none.

    Raises
    ------
    ModelError : a template of counts, which spectra do not take; a background model of a wstat fit, or two of them.
    """
    datasets, plans, effects, columns = [draft.dataset for draft in drafts], *drafts[0][1:]
    parts = [dataset.arrays for dataset in datasets]

    def stacked(field: str) -> np.ndarray | None:
        arrays = [getattr(part, field) for part in parts]
        return None if arrays[0] is None else np.stack(arrays).astype(np.float64, copy=False)

    edges, response, panels = parts[0].energy_true, stacked("response"), n_panels(parts[0].energy_true)
    sources = [plan for plan in plans if plan.is_source]
    deformed = bool(effects.only(_DEFORMING).names)
    fixed = [plan for plan in sources if plan.shape is not None and not deformed]
    templates = [FixedCounts(response @ unit_flux(plan, edges, panels), plan.shape.slots) for plan in fixed]
    return SpectrumStack(
        edges=edges,
        response=response,
        counts=stacked("counts"),
        mask=stacked("mask"),
        backgrounds=_backgrounds(drafts, stacked("background")),
        counts_off=stacked("counts_off"),
        alpha=stacked("alpha"),
        templates=tuple(templates),
        spline=_spline(datasets[0], effects),
        moving=tuple(plan.spectrum for plan in sources if deformed or plan.shape is None),
        moved=_moved(plans, effects if sources else NO_EFFECTS, columns),
        panels=panels,
        effects=effects,
    )


def _spline(dataset: SpectrumDataset | SpectrumDatasetOnOff, effects: Effects) -> EnergySpline | None:
    acts = "energy_scale_reco" in effects.names
    return energy_spline(dataset.energy_axis.edges_value("TeV")) if acts else None


def _moved(
    plans: Sequence[Plan], effects: Effects, columns: Mapping[int, int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    used = {slot for plan in plans for slot in plan.spectrum.slots} | set(effects.slots)
    slots = sorted(used & set(columns))
    return tuple(slots), tuple(columns[slot] for slot in slots)


def _backgrounds(
    drafts: Sequence[SpectrumDraft], background: np.ndarray | None
) -> tuple[FixedCounts | ScaledCounts, ...]:
    for draft in drafts:
        for plan in draft.scaling:
            if not isinstance(plan.model, FoVBackgroundModel) or background is None:
                raise ModelError(
                    "GX-FIT-011",
                    "the model does not apply to a spectrum of this kind",
                    model=plan.model.name,
                    found=type(plan.model).__name__,
                    dataset=draft.dataset.name,
                    expected="background models on a known background (cash), templates of counts on cubes",
                )
        if background is not None:
            check_backgrounds(draft.dataset, [plan.model for plan in draft.scaling])
    if background is None:
        return ()
    if not drafts[0].scaling:
        return (FixedCounts(background, ()),)
    plan, centers = drafts[0].scaling[0], [draft.dataset.energy_axis.center_value("TeV") for draft in drafts]
    if plan.shape is None:
        return (ScaledCounts(background, np.arange(len(centers[0])), centers[0], plan.spectrum),)
    factors = [unit_factor(draft.scaling[0], at) for draft, at in zip(drafts, centers, strict=True)]
    return (FixedCounts(background * np.stack(factors), plan.shape.slots),)
