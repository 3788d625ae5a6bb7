"""What a likelihood needs of each model: recipes of its parts, and which of them stand still."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jax import Array

from gammax.errors import ModelError
from gammax.folding._irf import NEUTRAL, Scales, too_many_irfs
from gammax.likelihood._table import Recipe, Slots
from gammax.models import FoVBackgroundModel, IRFModel, Models, SkyModel, TemplateNPredModel
from gammax.models._compound import is_proportional
from gammax.units import canonical_factor


class Shape(NamedTuple):
    """A frozen spectral shape: the slot of its norm (None: frozen too), and the slot values with that norm at 1."""

    slot: int | None
    values: np.ndarray

    @property
    def slots(self) -> tuple[int, ...]:
        """The slot of its norm in a tuple, empty without one."""
        return () if self.slot is None else (self.slot,)


class Plan(NamedTuple):
    """A model in a likelihood.

    Attributes
    ----------
    spectrum, spatial : recipes of its parts; no spatial model: None.
    shape : of the spectrum, None where it moves.
    spatial_moves : whether a fit moves a spatial parameter.
    """

    model: SkyModel | FoVBackgroundModel | TemplateNPredModel
    spectrum: Recipe
    shape: Shape | None
    spatial: Recipe | None
    spatial_moves: bool

    @property
    def is_source(self) -> bool:
        """Whether it is seen through responses."""
        return isinstance(self.model, SkyModel)

    def placed(self, places: Mapping[int, int]) -> Plan:
        """Plan of a spectrum that finds its numbers in other places, counted from 0."""
        shape = self.shape
        if shape is not None:
            slot = None if shape.slot is None else places[shape.slot]
            shape = Shape(slot, shape.values[list(places)])
        return self._replace(spectrum=self.spectrum.placed(places), shape=shape)


class Effects(NamedTuple):
    """Those numbers of an `IRFModel` that a fit moves or that are not neutral.

    Attributes
    ----------
    names : fields of `Scales`. slots : where their numbers are. unit : of the reference energy [TeV].
    """

    names: tuple[str, ...] = ()
    slots: tuple[int, ...] = ()
    unit: float = 1.0

    def scales(self, values: Array) -> Scales:
        """The numbers, from the vector of slot values."""
        numbers = {name: values[slot] for name, slot in zip(self.names, self.slots, strict=True)}
        if "reference" in numbers:
            numbers["reference"] = numbers["reference"] * self.unit
        return Scales(**numbers)

    def only(self, names: Sequence[str]) -> Effects:
        """Effects of some names, where they are among these."""
        kept = [pair for pair in zip(self.names, self.slots, strict=True) if pair[0] in names]
        return Effects(tuple(name for name, _ in kept), tuple(slot for _, slot in kept), self.unit)

    def placed(self, places: Mapping[int, int]) -> Effects:
        """Effects that find their numbers in other places."""
        return self._replace(slots=tuple(places[slot] for slot in self.slots))


NO_EFFECTS = Effects()


class IRFPlan(NamedTuple):
    """A model of responses in a likelihood, and the slots of all its parameters."""

    model: IRFModel
    effects: Effects
    own: tuple[int, ...]
    is_source: bool = False


def make_plans(models: Models, slots: Slots) -> list[Plan | IRFPlan]:
    """Plans of all models, in order."""
    values, free, plans = slots.column("value"), set(slots.moved), []
    rest = list(slots.of_parameter)
    for model in models:
        own = {}
        for kind, part in model.parts.items():
            own[kind], rest = rest[: len(part.parameters)], rest[len(part.parameters) :]
        if isinstance(model, IRFModel):
            plans.append(IRFPlan(model, _effects(model, own["irf"], values, free), tuple(own["irf"])))
            continue
        spatial = None if model.spatial_model is None else Recipe(model.spatial_model, own["spatial"])
        plans.append(
            Plan(
                model,
                Recipe(model.spectral_model, own["spectral"]),
                _shape(model.spectral_model, own["spectral"], values, free),
                spatial,
                spatial is not None and bool(free.intersection(own["spatial"])),
            )
        )
    return plans


def split_plans(plans: Sequence[Plan | IRFPlan], dataset: str) -> tuple[list[Plan], Effects, float]:
    """Plans of what adds to the counts of a dataset, what a model of its responses does, and the width of its PSF at
    the start.

    Raises
    ------
    ModelError : two models of responses.
    """
    found = [plan for plan in plans if isinstance(plan, IRFPlan)]
    if len(found) > 1:
        raise too_many_irfs(dataset, [plan.model for plan in found])
    plain = [plan for plan in plans if isinstance(plan, Plan)]
    if not found:
        return plain, NO_EFFECTS, 1.0
    return plain, found[0].effects, float(found[0].model.irf.psf_width.value)


def check_effects(plans: Sequence[Plan | IRFPlan], columns: Mapping[int, int], used: set[int]) -> None:
    """Raise where a fit would move a number of responses that nothing depends on.

    Parameters
    ----------
    columns : number of the fit's parameter in every slot that moves. used : those that datasets depend on.

    Raises
    ------
    ModelError : there is one.
    """
    for plan in plans:
        if not isinstance(plan, IRFPlan):
            continue
        slots = {p.name: slot for p, slot in zip(plan.model.irf.parameters, plan.own, strict=True)}
        for name, slot in slots.items():
            if slot in columns and columns[slot] not in used:
                raise ModelError(
                    "GX-MODEL-204",
                    "no dataset depends on this parameter of its responses",
                    model=plan.model.name,
                    parameter=name,
                    datasets=", ".join(plan.model.datasets_names),
                    expected=_NEEDED.get(name, "a source that is seen in one of them"),
                    do="freeze it",
                )


_NEEDED = {"psf_width": "a source that is seen through a PSF", "reference": "a tilt that is free or not 0"}


def _effects(model: IRFModel, own: Sequence[int], values: np.ndarray, moving: set[int]) -> Effects:
    slots = dict(zip(model.irf.parameter_names(), own, strict=True))
    acting = [name for name, neutral in NEUTRAL.items() if slots[name] in moving or values[slots[name]] != neutral]
    if "aeff_tilt" in acting:
        acting.append("reference")
    unit = canonical_factor(model.irf.reference.unit)
    return Effects(tuple(acting), tuple(slots[name] for name in acting), unit)


def _shape(spectrum, own: list[int], values: np.ndarray, free: set[int]) -> Shape | None:
    moving = sorted(free.intersection(own))
    norms = [
        slot
        for slot, parameter in zip(own, spectrum.parameters, strict=True)
        if own.count(slot) == 1 and is_proportional(spectrum, parameter)
    ]
    if not moving:
        return Shape(None, values)
    if len(moving) > 1 or moving[0] not in norms:
        return None
    at_one = values.copy()
    at_one[moving[0]] = 1.0
    return Shape(moving[0], at_one)
