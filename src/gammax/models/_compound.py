"""Sums and products of spectral models."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
from astropy.units import Unit
from jax import Array

from gammax.errors import ModelError
from gammax.models._parameter import Parameter
from gammax.models._spectral import SpectralModel
from gammax.units import same_dimension, unit_string


class CompoundSpectralModel(SpectralModel):
    """Two spectral models, added or multiplied; made by ``model1 + model2`` and ``model1 * model2``.

    Raises
    ------
    ModelError : unknown operator, a sum of different units, a product of two fluxes.
    """

    tag: ClassVar = ("compound",)

    model1: SpectralModel
    model2: SpectralModel
    operator: str = eqx.field(static=True)

    def __init__(self, model1: SpectralModel, model2: SpectralModel, operator: str):
        self.model1, self.model2, self.operator = model1, model2, operator
        for part in (model1, model2):
            if not isinstance(part, SpectralModel):
                raise ModelError("GX-MODEL-007", "not a spectral model", found=type(part).__name__)
        if operator not in ("add", "mul"):
            raise ModelError("GX-MODEL-008", "unknown operator", found=operator, expected="add or mul")
        if operator == "add" and not same_dimension(model1.unit, model2.unit):
            raise ModelError(
                "GX-MODEL-009",
                "the two models of a sum have different units",
                found=f"{model1.unit!r} and {model2.unit!r}",
            )
        if operator == "mul" and model1.unit and model2.unit:
            raise ModelError(
                "GX-MODEL-010",
                "a product of two fluxes is not a flux",
                found=f"{type(model1).__name__} * {type(model2).__name__}",
                do="one factor must be a norm model, such as PowerLawNormSpectralModel",
            )

    @property
    def unit(self) -> str:
        """Unit of `dnde`."""
        return (
            unit_string(Unit(self.model1.unit) * Unit(self.model2.unit)) if self.operator == "mul" else self.model1.unit
        )

    def dnde(self, energy: Array) -> Array:
        """Differential flux [cm-2 s-1 TeV-1] at energies [TeV], any shape."""
        first, second = self.model1.dnde(energy), self.model2.dnde(energy)
        return first * second if self.operator == "mul" else first + second

    def integral_values(self, edges: Array, panels: int = 1) -> Array:
        """Flux in bins [cm-2 s-1]; a sum keeps the closed forms of its parts."""
        if self.operator == "add":
            return self.model1.integral_values(edges, panels) + self.model2.integral_values(edges, panels)
        return super().integral_values(edges, panels)

    def energy_flux_values(self, edges: Array, panels: int = 1) -> Array:
        """Energy flux in bins [TeV cm-2 s-1]; a sum keeps the closed forms of its parts."""
        if self.operator == "add":
            return self.model1.energy_flux_values(edges, panels) + self.model2.energy_flux_values(edges, panels)
        return super().energy_flux_values(edges, panels)

    def with_default_state(self) -> CompoundSpectralModel:
        """Model with its parameters free or frozen as the classes of its parts declare them."""
        parts = self.model1.with_default_state(), self.model2.with_default_state()
        return CompoundSpectralModel(*parts, self.operator)

    def replace(self, **changes: Any) -> CompoundSpectralModel:
        """Model with parameters of its parts changed; a name that both parts have must be changed on the part.

        Raises
        ------
        ModelError : a name that no part has, or that both have.
        """
        owners = {
            name: [part for part in (self.model1, self.model2) if name in {p.name for p in part.parameters}]
            for name in changes
        }
        for name, parts in owners.items():
            if len(parts) != 1:
                raise ModelError(
                    "GX-MODEL-011",
                    f"{len(parts)} parts of the model have a parameter {name!r}",
                    expected="exactly one",
                    do="build the model anew from its changed parts",
                )

        def changed(part: SpectralModel) -> SpectralModel:
            own: dict[str, Any] = {name: change for name, change in changes.items() if owners[name][0] is part}
            return part.replace(**own) if own else part

        return CompoundSpectralModel(changed(self.model1), changed(self.model2), self.operator)

    def __repr__(self) -> str:
        return f"{self.model1!r} {'*' if self.operator == 'mul' else '+'} {self.model2!r}"


def is_proportional(model: SpectralModel, chosen: Parameter) -> bool:
    """Whether the model is proportional to one of its parameters, told by object identity."""
    if not isinstance(model, CompoundSpectralModel):
        return any(getattr(model, name) is chosen for name in model.norm_names())
    if model.operator == "mul":
        return is_proportional(model.model1, chosen) or is_proportional(model.model2, chosen)
    return False
