"""Parameters: numbers with a unit, bounds and a state, and the way a model declares them."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import equinox as eqx
import jax
import numpy as np

from gammax.errors import ModelError, UnitError
from gammax.models._number import as_number
from gammax.models._prior import Prior
from gammax.units import canonical_factor, parse_unit, same_dimension, to_quantity, unit_string


class Parameter(eqx.Module):
    """One number of a model, in the user's unit.

    Parameters
    ----------
    name : what the model calls it.
    value : number, or Quantity or text that carries its unit ("1e-12 TeV-1 s-1 cm-2").
    unit : unit of `value`, `min` and `max`; taken from `value` where that has one.
    min, max : bounds; infinite where there is no limit.
    frozen : held at its value in a fit.
    link : label; parameters of equal label are one parameter in a fit, whose value is that of the first.
    interp : "lin" or "log", how a scan of the parameter is spaced.
    prior : what is known of the value besides the data; its numbers are in `unit`. As long as it is there, its support
        narrows the bounds. It counts in the statistic of a frozen parameter too, as a constant.

    Raises
    ------
    UnitError : value and unit do not agree. ModelError : NaN, bounds in the wrong order, unknown `interp`, no prior.
    """

    value: np.ndarray
    _min: np.ndarray
    _max: np.ndarray
    prior: Prior | None
    name: str = eqx.field(static=True)
    unit: str = eqx.field(static=True)
    frozen: bool = eqx.field(static=True)
    link: str | None = eqx.field(static=True)
    interp: str = eqx.field(static=True)

    # equinox looks at every attribute that is read, for methods that are handed to JAX as they are: those of parameters
    # are not, and a fit reads some five hundred of their attributes
    __getattribute__ = object.__getattribute__

    def __init__(
        self,
        name: str,
        value: Any,
        unit: str | None = None,
        min: Any = -np.inf,
        max: Any = np.inf,
        frozen: bool = False,
        link: str | None = None,
        interp: str = "lin",
        prior: Prior | None = None,
    ):
        if isinstance(value, (str, u.Quantity)):
            quantity = to_quantity(value, unit, name)
            unit = unit_string(quantity.unit) if unit is None else unit
            value = quantity.to_value(parse_unit(unit))
        self.name, self.unit = name, unit or ""
        self.value = as_number(value, name)
        self._min, self._max = self._bound(min, -np.inf), self._bound(max, np.inf)
        self.frozen, self.link, self.interp, self.prior = frozen, link, interp, prior
        if interp not in ("lin", "log"):
            raise ModelError("GX-MODEL-001", "unknown interp", found=interp, expected="lin or log", parameter=name)
        if prior is not None and not isinstance(prior, Prior):
            raise ModelError("GX-MODEL-104", "not a prior", found=type(prior).__name__, parameter=name)
        if any(isinstance(bound, jax.core.Tracer) for bound in (self.min, self.max)) or self.min <= self.max:
            return
        raise ModelError(
            "GX-MODEL-002",
            "lower bound above the upper one",
            parameter=name,
            found=f"min {self.min}, max {self.max}",
        )

    def _bound(self, bound: Any, infinite: float) -> Any:
        if isinstance(bound, (str, u.Quantity)):
            bound = to_quantity(bound, self.unit, self.name).to_value(parse_unit(self.unit))
        bound = as_number(bound, self.name)
        # the field's files write NaN for "no limit"
        return as_number(infinite, self.name) if isinstance(bound, np.ndarray) and np.isnan(bound) else bound

    @property
    def min(self) -> Any:
        """Lower bound, within the support of the prior."""
        return self._min if self.prior is None else _larger(self._min, self.prior.support[0])

    @property
    def max(self) -> Any:
        """Upper bound, within the support of the prior."""
        return self._max if self.prior is None else -_larger(-self._max, -self.prior.support[1])

    @property
    def quantity(self) -> u.Quantity:
        """Value with unit."""
        return u.Quantity(self.value, parse_unit(self.unit))

    @property
    def canonical(self) -> Any:
        """Value in canonical units; works on numbers and on traced values."""
        return self.value * canonical_factor(self.unit)

    def replace(self, **changes: Any) -> Parameter:
        """Parameter with some fields changed; a value or a bound may be a Quantity of any fitting unit.

        With another `unit` alone the numbers are converted; the prior is with any other unit.

        Raises
        ------
        ModelError : a prior that cannot be converted, else as `Parameter`.
        """
        fields = {name: getattr(self, name) for name in ("name", "value", "unit", "frozen", "link", "interp", "prior")}
        fields |= {"min": self._min, "max": self._max}
        if "unit" in changes and changes["unit"] != self.unit:
            factor = canonical_factor(self.unit) / canonical_factor(changes["unit"])
            if "value" not in changes:
                fields |= {key: fields[key] * factor for key in ("value", "min", "max")}
            if self.prior is not None and "prior" not in changes and factor != 1.0:
                fields["prior"] = self.prior.rescaled(factor)
        return Parameter(**{**fields, **changes})

    def with_value(self, value: Any) -> Parameter:
        """Parameter with another number in the same unit; takes traced values, checks nothing."""
        leaves, structure = jax.tree.flatten(self)
        return jax.tree.unflatten(structure, [as_number(value, self.name), *leaves[1:]])

    def __repr__(self) -> str:
        bounds = "" if np.isinf(self.min) and np.isinf(self.max) else f", min={self.min:g}, max={self.max:g}"
        state = ", frozen" if self.frozen else ""
        link = f", link={self.link!r}" if self.link else ""
        prior = f", prior={self.prior}" if self.prior is not None else ""
        unit = f" {self.unit}" if self.unit else ""
        return f"Parameter({self.name} = {self.value:.6g}{unit}{bounds}{state}{link}{prior})"


def _larger(one: Any, other: Any) -> Any:
    """Larger of two numbers, traced or not."""
    traced = any(isinstance(number, jax.core.Tracer) for number in (one, other))
    return jax.numpy.maximum(one, other) if traced else np.maximum(one, other)


def parameter(default: Any, *, is_norm: bool = False, **options: Any) -> Any:
    """Declare a parameter of a model: ``index: Parameter = parameter(2.0)``.

    Parameters
    ----------
    default : number, or text with unit.
    is_norm : the model is proportional to this parameter (an amplitude, a norm).
    **options : those of `Parameter`.
    """
    return eqx.field(metadata={"default": default, "is_norm": is_norm, "options": options})


def is_parameter(node: Any) -> bool:
    """Whether a node of a model tree is a `Parameter`."""
    return isinstance(node, Parameter)


def make_parameter(field: Any, given: Any = None) -> Parameter:
    """Parameter of a declared field with the user's value: number, text, Quantity, Parameter or None (default).

    Raises
    ------
    UnitError : the value's unit does not fit the field's.
    """
    default = Parameter(field.name, field.metadata["default"], **field.metadata["options"])
    if given is None:
        return default
    if isinstance(given, Parameter):
        if not same_dimension(given.unit, default.unit):
            raise UnitError(
                "GX-MODEL-003",
                f"{field.name} has the wrong unit",
                found=repr(given.unit),
                expected=f"{default.unit!r} or a unit that converts to it",
                parameter=field.name,
            )
        return given.replace(name=field.name)
    if isinstance(given, (str, u.Quantity)):
        unit = unit_string(to_quantity(given, default.unit, field.name).unit)
        factor = canonical_factor(default.unit) / canonical_factor(unit)
        return default.replace(value=given, unit=unit, min=default.min * factor, max=default.max * factor)
    if default.unit:
        raise UnitError(
            "GX-MODEL-004",
            f"{field.name} needs a unit",
            found=repr(given),
            expected=repr(default.unit),
            do=f"write '{given} {default.unit}'",
            parameter=field.name,
        )
    return default.replace(value=given)
