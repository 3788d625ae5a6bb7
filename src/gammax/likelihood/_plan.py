"""What a likelihood needs of each model: recipes of its parts, and which of them stand still."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gammax.likelihood._table import Recipe, Slots
from gammax.models import FoVBackgroundModel, Models, SkyModel, TemplateNPredModel
from gammax.models._compound import is_proportional


class Shape(NamedTuple):
    """A frozen spectral shape: the slot of its norm (None: frozen too), and the slot values with that norm at 1."""

    slot: int | None
    values: np.ndarray


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


def make_plans(models: Models, slots: Slots) -> list[Plan]:
    """Plans of all models, in order."""
    values, free, plans = slots.column("value"), set(slots.free), []
    rest = list(slots.of_parameter)
    for model in models:
        own = {}
        for kind, part in model.parts.items():
            own[kind], rest = rest[: len(part.parameters)], rest[len(part.parameters) :]
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
