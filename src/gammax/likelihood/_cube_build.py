"""Cubes, regions and models to `CubeStack`: what each source and background does to the elements, like with like."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import equinox as eqx
import jax
import numpy as np

from gammax.errors import ModelError
from gammax.folding._background import check_backgrounds
from gammax.folding._footprint import Footprint, depends_on_energy, make_footprint
from gammax.folding._irf import Scales, energy_spline, on_source
from gammax.folding._mixture import Mixture
from gammax.folding._psf_table import comes_after, is_blurred
from gammax.folding._psf_width import PSFWidth
from gammax.folding._region_view import RegionView, view_of
from gammax.folding._view import View, round_up
from gammax.likelihood._cube import Cube, CubeStack
from gammax.likelihood._layout import RegionLayout, make_layout, pad_to
from gammax.likelihood._moving import MovingGrid, MovingMixture
from gammax.likelihood._parts import (
    Dispersion,
    FixedCounts,
    FixedPlace,
    FixedSource,
    Group,
    ScaledCounts,
    make_group,
    stacked,
    unit_factor,
    unit_flux,
)
from gammax.likelihood._plan import NO_EFFECTS, Effects, IRFPlan, Plan, split_plans
from gammax.maps import WcsGeom
from gammax.models import GaussianSpatialModel, TemplateNPredModel, n_panels

if TYPE_CHECKING:
    from gammax.datasets import MapDataset, MapDatasetOnOff, SpectrumDataset, SpectrumDatasetOnOff

    Dataset = MapDataset | MapDatasetOnOff | SpectrumDataset | SpectrumDatasetOnOff


class _Member(NamedTuple):
    """A model in a cube.

    Attributes
    ----------
    view : how the cube sees it; None: a background or a template of counts.
    slots : of its own numbers. free : places of those that a fit moves.
    effects : of a model of the responses, its numbers among these.
    """

    plan: Plan
    view: View | RegionView | Footprint | None
    slots: tuple[int, ...]
    free: tuple[int, ...]
    effects: Effects = NO_EFFECTS

    @property
    def is_counts(self) -> bool:
        """Whether its counts are staged, up to factors."""
        still = not isinstance(self.view, View | RegionView) and not self.effects.names
        return still and (self.plan is None or self.plan.shape is not None)


class _Sizes(NamedTuple):
    """Sizes of a moving source that padding brings to those of its like; the cutout of a grid is as it is.

    Attributes
    ----------
    shape : of the cutout. n_places : single bins in it. n_masks : distinct masks; 0: none is needed.
    """

    shape: tuple[int, int]
    n_places: int
    n_masks: int


class Draft:
    """A cube, or a region into which sources are folded, under the models that apply to it, before it is known what it
    will be stacked with.

    Parameters
    ----------
    plans : sky models, background models, templates of counts and models of responses that apply to the dataset.
    order : as `make_view`.
    dense : keep every bin that a source reaches for itself: needed where mu may be negative, and for other counts.
    columns : number of the fit's parameter in every free slot.

    Raises
    ------
    ModelError, SchemaError, GeometryError : as `view_of` and `check_backgrounds`; two models of responses.
    """

    def __init__(
        self, dataset: Dataset, plans: Sequence[Plan | IRFPlan], order: str, dense: bool, columns: dict[int, int]
    ):
        self.dataset, self.fit_columns = dataset, columns
        plans, effects, width = split_plans(plans, dataset.name)
        # without exposure there is no source, and nothing that true energies are needed for
        edges = dataset.arrays.energy_true
        self.edges = dataset.energy_axis.edges_value("TeV") if edges is None else edges
        self.centers = dataset.energy_axis.center_value("TeV")
        self.panels = n_panels(self.edges)
        others = [plan for plan in plans if not plan.is_source]
        check_backgrounds(dataset, [plan.model for plan in others])
        templates = [plan for plan in others if isinstance(plan.model, TemplateNPredModel)]
        scaling = [plan for plan in others if not isinstance(plan.model, TemplateNPredModel)]
        # between bins counts may become negative, which those that are merged must not
        dense = dense or "energy_scale_reco" in effects.names
        seen = [_see(dataset, plan, order, effects, PSFWidth(width), columns) for plan in plans if plan.is_source]
        seen = [(plan, view, own) for plan, view, own in seen if view is not None]
        if isinstance(dataset.geom, WcsGeom):
            near = _near(dataset.geom.data_shape[1:], [view for _, view, _ in seen], others)
            self.layout = make_layout(dataset, near, dense, self._factor(scaling[0]) if scaling else None)
        else:
            self.layout = RegionLayout(dataset)
        self.n_single = round_up(len(self.layout.energy))
        self.sources = _by_kind([self._member(*one) for one in (*seen, *((plan, None) for plan in templates))])
        self.backgrounds = _by_kind(self._background(scaling))
        members = [m for group in (*self.sources.values(), *self.backgrounds.values()) for m in group]
        moving = {m.slots[place] for m in members for place in m.free}
        self.columns = {slot: place for place, slot in enumerate(sorted(moving))}

    @property
    def key(self) -> Hashable:
        """Cubes of equal key go into one stack."""
        groups = (self.sources, self.backgrounds)
        counted = [tuple((kind, len(found)) for kind, found in group.items()) for group in groups]
        kind = type(self.layout), self.dataset.arrays.counts_off is None
        shape = (*kind, self.layout.n_energy, len(self.edges), self.n_single.bit_length())
        return (shape, self.panels, len(self.columns), *counted)

    def _member(self, plan: Plan, view: View | Footprint | None, effects: Effects = NO_EFFECTS) -> _Member:
        moves = isinstance(view, View | RegionView)
        if plan.shape is not None and not moves and set(effects.names) <= {"aeff_norm"}:
            slots, effects = plan.shape.slots + effects.slots, NO_EFFECTS
        else:
            slots = plan.spectrum.slots + (plan.spatial.slots if moves else ())
            places = {slot: len(slots) + i for i, slot in enumerate(effects.slots)}
            slots, effects = slots + effects.slots, effects.placed(places)
        free = tuple(i for i, slot in enumerate(slots) if slot in self.fit_columns)
        return _Member(plan, view, slots, free, effects)

    def _background(self, plans: list[Plan]) -> list[_Member]:
        if self.dataset.arrays.background is not None:
            return [self._member(plan, None) for plan in plans[:1]] or [_Member(None, None, (), ())]
        if plans:
            raise ModelError(
                "GX-FIT-012",
                "a background model needs a known background (cash)",
                model=plans[0].model.name,
                dataset=self.dataset.name,
            )
        return []

    # -- parts ------------------------------------------------------------------------------------------------------

    def sizes(self, kind: Hashable) -> _Sizes:
        """Sizes that moving sources of a kind need."""
        views = [member.view for member in self.sources[kind]]
        found = [self.layout.masks(view)[1] for view in views]
        shapes = [masks.shape[1:] for masks in found]
        shape = (max(ny for ny, _ in shapes), max(nx for _, nx in shapes))
        masked = any(not (masks == 1).all() for masks in found) or any(other != shape for other in shapes)
        places = max(len(self.layout.places(view)) for view in views)
        return _Sizes(shape, round_up(places), max(map(len, found)) if masked else 0)

    def cube(self, n_single: int, sizes: dict[Hashable, _Sizes]) -> Cube:
        """Cube with so many single elements, and moving sources of some sizes, by kind."""
        layout = self.layout
        data = layout.data(n_single)
        return Cube(
            edges=self.edges,
            energy=layout.energy_of(n_single),
            sources=tuple(
                self._group([self._source(m, n_single, sizes.get(kind)) for m in members], members)
                for kind, members in self.sources.items()
            ),
            backgrounds=tuple(
                self._group([self._scaled(m, layout.background(n_single), n_single) for m in members], members)
                for members in self.backgrounds.values()
            ),
            columns=np.array([self.fit_columns[slot] for slot in self.columns], dtype=int),
            panels=self.panels,
            merged=layout.merges,
            **data,
        )

    def _group(self, parts: list[eqx.Module], members: list[_Member]) -> Group:
        return make_group(parts, [m.slots for m in members], members[0].free, self.columns)

    def _source(self, member: _Member, n_single: int, sizes: _Sizes | None) -> eqx.Module:
        plan, view = member.plan, member.view
        if view is None:
            counts, factor = np.where(self.dataset.arrays.mask, plan.model.map.values(), 0.0), self._factor(plan)
            counts = counts if factor is None else counts * factor
            return self._scaled(member, self.layout.gather(counts, n_single), n_single)
        if isinstance(view, Footprint):
            return self._fixed(member, n_single)
        masks = (sizes.n_masks, *sizes.shape) if sizes.n_masks else None
        common = {
            "spectrum": plan.spectrum.renumbered(),
            "effects": member.effects,
            "elements": self.layout.elements(view, n_single, sizes.n_places, masks),
            "dispersion": self._dispersion(member),
            "spatial": plan.spatial.renumbered(len(plan.spectrum.slots)),
        }
        if not isinstance(view.basis, Mixture):
            return MovingGrid(**common, grid=view.basis, follows_energy=_follows_energy(plan, member.effects))
        sized = isinstance(plan.model.spatial_model, GaussianSpatialModel)
        return MovingMixture(**common, mixture=_padded(view.basis, sizes.shape), sized=sized)

    def _fixed(self, member: _Member, n_single: int) -> FixedCounts | FixedSource | FixedPlace:
        """Source that stands still."""
        plan, view, recipe = member.plan, member.view, member.plan.spectrum.renumbered()
        if member.is_counts:
            counts = self.layout.counts(view, unit_flux(plan, self.edges, self.panels), n_single)
            return FixedCounts(counts, tuple(range(len(member.slots))))
        if "energy_scale_reco" not in member.effects.names:
            return FixedSource(recipe, member.effects, self.layout.matrix(view, n_single))
        before = self.layout.matrix(view._replace(response=np.ones_like(view.response)), n_single)
        energy = self.layout.energy_of(n_single)
        return FixedPlace(recipe, member.effects, before, energy, self._dispersion(member))

    def _dispersion(self, member: _Member) -> Dispersion:
        scaled = "energy_scale_reco" in member.effects.names
        spline = energy_spline(self.dataset.energy_axis.edges_value("TeV")) if scaled else None
        return Dispersion(member.view.response, spline)

    def _scaled(self, member: _Member, template: np.ndarray, n_single: int) -> FixedCounts | ScaledCounts:
        """Counts of the elements (E,) under the norm model of a plan."""
        plan = member.plan
        if plan is None:
            return FixedCounts(template, ())
        energy = self.layout.energy_of(n_single)
        if plan.shape is None:
            return ScaledCounts(template, energy, self.centers, plan.spectrum.renumbered())
        return FixedCounts(template * unit_factor(plan, self.centers)[energy], tuple(range(len(member.slots))))

    def _factor(self, plan: Plan) -> np.ndarray | None:
        """Factor of the spatial part of a model of counts in every pixel, (ny, nx); None without one.

        Raises
        ------
        ModelError : it has free parameters.
        """
        spatial = plan.model.spatial_model
        if spatial is None:
            return None
        if plan.spatial_moves:
            raise ModelError(
                "GX-FIT-013",
                "the spatial factor of a background cannot be fitted",
                model=plan.model.name,
                do="freeze it",
            )
        return np.nan_to_num(spatial.evaluate_geom(self.dataset.geom.to_image()).value)


def stack_cubes(drafts: Sequence[Draft], agree: Callable[[Sequence[int]], tuple[int, ...]] = tuple) -> CubeStack:
    """Stack of cubes of equal key.

    Parameters
    ----------
    agree : gives the sizes that are wanted everywhere, where other processes stack other cubes.
    """
    first, image = drafts[0], drafts[0].dataset.geom.data_shape
    (n_single,) = agree(_as_before((first.key, image), (max(draft.n_single for draft in drafts),)))
    sizes = {}
    for kind in first.sources:
        if kind[0] in ("mixture", "grid"):
            wanted = _largest([draft.sizes(kind) for draft in drafts])
            *shape, n_places = agree(_as_before((kind, image), (*wanted.shape, wanted.n_places)))
            # what is padded needs a mask
            (n_masks,) = agree((wanted.n_masks or int(tuple(shape) != wanted.shape),))
            sizes[kind] = _Sizes((shape[0], shape[1]), n_places, n_masks)
    cubes = [draft.cube(n_single, sizes) for draft in drafts]
    return CubeStack(jax.tree.map(stacked, *cubes))


# sizes of the programs that were last made, by what else they depend on
_USED: dict[Hashable, tuple[int, ...]] = {}
_WASTE, _MOST_USED = 1.4, 256


def _as_before(key: Hashable, wanted: tuple[int, ...]) -> tuple[int, ...]:
    """Sizes of a program that is there, where they hold what is wanted and not much more; else those that are wanted.

    A source that grows a little during a fit would have its program compiled anew, which takes longer than the fit.
    """
    known = _USED.get(key)
    if len(_USED) > _MOST_USED:
        _USED.clear()
    if known is None or any(not n <= k <= _WASTE * n for n, k in zip(wanted, known, strict=True)):
        known = _USED[key] = wanted
    return known


def forget_sizes() -> None:
    """Have the next cubes take the sizes that they want, whatever was made before: numbers depend on padding, in their
    last digits."""
    _USED.clear()


def _largest(sizes: Sequence[_Sizes]) -> _Sizes:
    shape = (max(size.shape[0] for size in sizes), max(size.shape[1] for size in sizes))
    masked = any(size.n_masks for size in sizes) or any(size.shape != shape for size in sizes)
    n_masks = max(1, *(size.n_masks for size in sizes)) if masked else 0
    return _Sizes(shape, max(size.n_places for size in sizes), n_masks)


def _by_kind(members: Sequence[_Member]) -> dict[Hashable, list[_Member]]:
    """Members that can be stacked, by what they have in common."""
    groups: dict[Hashable, list[_Member]] = {}
    for number, member in enumerate(members):
        groups.setdefault(_kind(member, number), []).append(member)
    return groups


def _kind(member: _Member, number: int) -> Hashable:
    plan, view, free, effects = member.plan, member.view, member.free, member.effects
    if member.is_counts:
        return "counts", len(member.slots), free
    if not isinstance(view, View | RegionView):
        return "scaled" if view is None else "source", plan.spectrum.renumbered(), free, effects
    recipes = plan.spectrum.renumbered(), plan.spatial.renumbered(len(plan.spectrum.slots))
    basis = view.basis
    if isinstance(basis, Mixture):
        shapes = (np.shape(basis.weights), None if basis.area is None else np.shape(basis.area))
        return "mixture", *recipes, free, effects, basis.reco, basis.exposure is None, *shapes
    leaves, structure = jax.tree.flatten(basis)
    return "grid", *recipes, free, effects, structure, tuple(map(np.shape, leaves)), number


def _see(
    dataset: Dataset, plan: Plan, order: str, effects: Effects, width: PSFWidth, columns: dict[int, int]
) -> tuple[Plan, View | RegionView | Footprint | None, Effects]:
    """A source, how it is seen, and what moves of the responses that it is seen through.

    What is seen through a PSF in reconstructed energy has no matrix, moving or not. A width of the PSF that does not
    move is in the view.
    """
    model = plan.model
    through = on_source(Scales(*Scales._fields), model)
    effects = effects.only([name for name in through if name is not None])
    moves = is_blurred(dataset, model) and any(slot in columns for slot in effects.only(["psf_width"]).slots)
    width = width._replace(moves=moves)
    if not moves:
        effects = effects.only([name for name in effects.names if name != "psf_width"])
    if not (plan.spatial_moves or moves or _follows_energy(plan, effects) or comes_after(dataset, model)):
        return plan, make_footprint(dataset, model, order, Scales(psf_width=width.value)), effects
    view = view_of(dataset, model, order, width)
    if view is not None and moves and isinstance(view.basis, Mixture):
        # its Gaussians are those at the start: the width comes on top
        view = view._replace(basis=view.basis.widened(1.0 / width.value))
    return plan, view, effects


def _follows_energy(plan: Plan, effects: Effects) -> bool:
    """Whether the shape of a source depends on the true energy, and the scale of that is not the one of the files."""
    return "energy_scale_true" in effects.names and depends_on_energy(plan.model)


def _padded(mixture: Mixture, shape: tuple[int, int]) -> Mixture:
    """Mixture in a cutout that is larger at its far ends."""
    if mixture.shape == shape:
        return mixture
    exposure = mixture.exposure
    padded = None if exposure is None else pad_to(exposure, (len(exposure), *shape))
    return dataclasses.replace(mixture, shape=shape, exposure=padded)


def _near(shape: tuple[int, ...], views: Sequence[View | Footprint], others: Sequence[Plan]) -> np.ndarray:
    """Pixels that a source may reach, (ny, nx)."""
    if any(isinstance(plan.model, TemplateNPredModel) for plan in others):
        return np.ones(shape, bool)
    near = np.zeros(shape, bool)
    for view in views:
        near[view.rows, view.columns] = True
    return near
