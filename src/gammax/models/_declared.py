"""What spectral and spatial models share: declared parameters, changed copies, a registry of their names."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Self

import equinox as eqx
import jax

from gammax.errors import ModelError, did_you_mean
from gammax.models._parameter import Parameter, is_parameter, make_parameter


class DeclaredModel(eqx.Module):
    """A formula whose parameters are fields made with `parameter`.

    Raises
    ------
    ModelError : unknown parameter name. UnitError : a value without unit or with the wrong one.
    """

    tag: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **values: Any):
        fields = _declared(type(self))
        for name in values:
            if name not in fields:
                raise ModelError(
                    "GX-MODEL-005", f"{type(self).__name__} has no parameter {name!r}", do=did_you_mean(name, fields)
                )
        for name, field in fields.items():
            setattr(self, name, make_parameter(field, values.get(name)))

    def _values(self) -> dict[str, Any]:
        """Parameters in canonical units, numbers or traced."""
        return {name: getattr(self, name).canonical for name in self.parameter_names()}

    def _options(self) -> dict[str, Any]:
        """What the model is made from besides parameters."""
        return {}

    @classmethod
    def parameter_names(cls) -> tuple[str, ...]:
        """Names of the declared parameters, in order."""
        return tuple(_declared(cls))

    @classmethod
    def default_parameters(cls) -> dict[str, Parameter]:
        """Declared parameters with their defaults, by name."""
        return {name: make_parameter(field) for name, field in _declared(cls).items()}

    @classmethod
    def norm_names(cls) -> frozenset[str]:
        """Names of the parameters that the model is proportional to."""
        return frozenset(field.name for field in dataclasses.fields(cls) if field.metadata.get("is_norm"))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters, those of parts included, in order."""
        return tuple(leaf for leaf in jax.tree.leaves(self, is_leaf=is_parameter) if is_parameter(leaf))

    def replace(self, **changes: Any) -> Self:
        """Model with some parameters changed: numbers (in the parameter's unit), text or Quantities with unit, or
        whole `Parameter` objects.

        Raises
        ------
        ModelError : unknown parameter name. UnitError : a unit that does not fit.
        """
        names = self.parameter_names()
        for name in changes:
            if name not in names:
                raise ModelError(
                    "GX-MODEL-005", f"{type(self).__name__} has no parameter {name!r}", do=did_you_mean(name, names)
                )
        values = {name: getattr(self, name) for name in names}
        for name, change in changes.items():
            kept = values[name]
            values[name] = change.replace(name=name) if is_parameter(change) else kept.replace(value=change)
        return type(self)(**values, **self._options())

    def freeze(self, *names: str) -> Self:
        """Model with the named parameters (all, if none is named) held fixed in fits."""
        return self._with_state(names, True)

    def unfreeze(self, *names: str) -> Self:
        """Model with the named parameters (all, if none is named) free in fits."""
        return self._with_state(names, False)

    def with_default_state(self) -> Self:
        """Model with its parameters free or frozen as the class declares them."""
        default = self.default_parameters()

        def reset(leaf: Any) -> Any:
            return leaf.replace(frozen=default[leaf.name].frozen) if is_parameter(leaf) else leaf

        return jax.tree.map(reset, self, is_leaf=is_parameter)

    def _with_state(self, names: tuple[str, ...], frozen: bool) -> Self:
        chosen = names or tuple(parameter.name for parameter in self.parameters)
        unknown = set(chosen) - {parameter.name for parameter in self.parameters}
        if unknown:
            raise ModelError(
                "GX-MODEL-005",
                f"no parameter {sorted(unknown)[0]!r}",
                do=did_you_mean(sorted(unknown)[0], [p.name for p in self.parameters]),
            )

        def change(leaf: Any) -> Any:
            return leaf.replace(frozen=frozen) if is_parameter(leaf) and leaf.name in chosen else leaf

        return jax.tree.map(change, self, is_leaf=is_parameter)

    def __repr__(self) -> str:
        inside = ", ".join(f"{p.name}={p.value:.6g}{' ' if p.unit else ''}{p.unit}" for p in self.parameters)
        return f"{type(self).__name__}({inside})"


def _declared(cls: type) -> dict[str, Any]:
    return {field.name: field for field in dataclasses.fields(cls) if "default" in field.metadata}
