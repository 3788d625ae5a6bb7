"""The parameter table: which numbers of the models a fit moves, and how they get back into the models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.errors import FitError, ModelError
from gammax.likelihood._ties import SlotTie, follow, moving_slots, tied_covariance
from gammax.models import Models, Parameter, SpatialModel, SpectralModel
from gammax.models._parameter import is_parameter


class Slots:
    """Where each parameter of the models finds its number: linked parameters share a slot, in order of appearance.

    Attributes
    ----------
    names, parameters : of the first parameter in each slot.
    of_parameter : slot of every parameter of the models, linked ones repeated.
    of_name : the same by name.
    free : slots that are a fit's parameters.
    ties : of slots, in an order in which every one finds its sources done.
    moved : slots that a fit moves: the free ones, then those tied to them.
    """

    def __init__(self, models: Models):
        self.names: list[str] = []
        self.parameters: list[Parameter] = []
        self.of_parameter: list[int] = []
        by_label: dict[str, int] = {}
        parameters = models.parameters
        for name, parameter in parameters.items():
            slot = len(self.names) if parameter.link is None else by_label.setdefault(parameter.link, len(self.names))
            if slot == len(self.names):
                self.names.append(name)
                self.parameters.append(parameter)
            self.of_parameter.append(slot)
        self.free = tuple(slot for slot, parameter in enumerate(self.parameters) if not parameter.frozen)
        place = self.of_name = dict(zip(parameters, self.of_parameter, strict=True))
        self.ties = tuple(SlotTie(place[t.name], tuple(place[s] for s in t.sources), t.function) for t in models.ties)
        self.moved = moving_slots(self.free, self.ties)

    def check_start(self) -> None:
        """Raise where a fit cannot start.

        Raises
        ------
        FitError : no free parameter. ModelError : a start value that is not finite or is outside its bounds.
        """
        if not self.free:
            raise FitError("GX-FIT-002", "no free parameter", do="unfreeze one, or evaluate the statistic alone")
        tied = {self.names[tie.target] for tie in self.ties}
        for name, parameter in zip(self.names, self.parameters, strict=True):
            if not np.isfinite(parameter.value):
                raise ModelError("GX-FIT-003", "the value is not a number", parameter=name, found=parameter.value)
            # what bounds a tied parameter are the bounds of its sources
            if name not in tied and not parameter.min <= parameter.value <= parameter.max:
                raise ModelError(
                    "GX-FIT-004",
                    "the start value is outside its bounds",
                    parameter=name,
                    found=float(parameter.value),
                    expected=f"{parameter.min} to {parameter.max}",
                    do="move the value or widen the bounds",
                )

    def column(self, attribute: str) -> np.ndarray:
        """value, min or max of every slot, in the parameters' units."""
        return np.array([getattr(parameter, attribute) for parameter in self.parameters], dtype=np.float64)

    def moved_to(self, values: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers (S,) and covariance (S, S) of all slots for those of the free ones, (P,) and (P, P)."""
        numbers, free = self.column("value"), list(self.free)
        numbers[free] = values
        whole = np.zeros((len(numbers), len(numbers)))
        whole[np.ix_(free, free)] = covariance
        if self.ties:
            tied = [tie.target for tie in self.ties]
            cross, own = tied_covariance(
                lambda x: follow(fill(numbers, self.free, x), self.ties)[np.array(tied)], values, covariance
            )
            whole[np.ix_(tied, free)], whole[np.ix_(free, tied)], whole[np.ix_(tied, tied)] = cross, cross.T, own
            numbers = np.array(follow(jnp.asarray(numbers), self.ties))
        return numbers, whole


_latest: tuple[Models, Slots] | None = None


def slots_of(models: Models) -> Slots:
    """Slots of models, which never change; the last ones are kept, as a fit asks for them twice, and making them takes
    4 % of a small fit."""
    global _latest
    latest = _latest
    if latest is None or latest[0] is not models:
        latest = _latest = models, Slots(models)
    return latest[1]


class Recipe:
    """How to build one model from a vector of numbers; hashable, so that equal structures share one compiled program
    whatever the sources are called.

    Attributes
    ----------
    slots : where its parameters are in the vector.
    """

    def __init__(self, model: SpectralModel | SpatialModel, slots: Sequence[int]):
        parameters, self._structure = jax.tree.flatten(model, is_leaf=is_parameter)
        self._parameters = tuple((parameter.name, parameter.unit) for parameter in parameters)
        self.slots = tuple(slots)
        self._key = (self._structure, self._parameters, self.slots)

    def renumbered(self, first: int = 0) -> Recipe:
        """Recipe that finds its parameters one after another, from a place on."""
        other = copy(self)
        other.slots = tuple(range(first, first + len(self.slots)))
        other._key = (self._structure, self._parameters, other.slots)
        return other

    def placed(self, places: Mapping[int, int]) -> Recipe:
        """Recipe that finds its parameters in other places."""
        other = copy(self)
        other.slots = tuple(places[slot] for slot in self.slots)
        other._key = (self._structure, self._parameters, other.slots)
        return other

    def build(self, values: Array) -> SpectralModel:
        """Model with (traced) numbers from the vector of slot values."""
        parameters = [
            _blank(name, unit).with_value(values[slot])
            for (name, unit), slot in zip(self._parameters, self.slots, strict=True)
        ]
        return jax.tree.unflatten(self._structure, parameters)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Recipe) and self._key == other._key

    def __repr__(self) -> str:
        return f"Recipe{self._key}"


@lru_cache(maxsize=256)
def _blank(name: str, unit: str) -> Parameter:
    return Parameter(name, 0.0, unit)


def factor_scale(values: np.ndarray) -> np.ndarray:
    """Powers of ten that bring values to |factor| in [1, 10); 1 for zero."""
    size = np.abs(np.where(values == 0.0, 1.0, values))
    return 10.0 ** np.floor(np.log10(size))


def factor_bounds(slots: Slots, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the free parameters as factors, (P,): rounded inwards, so that no factor is that of a value outside."""
    free = list(slots.free)
    least, most = slots.column("min")[free], slots.column("max")[free]
    lower, upper = least / scale, most / scale
    wide = least < most
    lower = np.where(wide & (lower * scale < least), np.nextafter(lower, np.inf), lower)
    upper = np.where(wide & (upper * scale > most), np.nextafter(upper, -np.inf), upper)
    return lower, upper


def fill(values: Array, free: tuple[int, ...], moved: Array) -> Array:
    """Vector of slot values with those of the free slots exchanged."""
    return jnp.asarray(values).at[np.array(free, dtype=int)].set(moved)
