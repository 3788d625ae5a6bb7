"""Priors in the field's model YAML, read and written."""

from __future__ import annotations

from typing import Any

import msgspec

from gammax.errors import ModelError, SchemaError, UnitError, did_you_mean
from gammax.models._prior import PRIORS, Prior
from gammax.units import canonical_factor, same_dimension


class _Number(msgspec.Struct, forbid_unknown_fields=True):
    """One number; from `error` on the keys are the peer's bookkeeping."""

    name: str
    value: float
    unit: str = ""
    error: float = 0.0
    min: float | None = None
    max: float | None = None


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    parameters: list[_Number]
    weight: float = 1.0


def read_prior(content: dict[str, Any] | None, unit: str, **where: Any) -> Prior | None:
    """Prior of a parameter in `unit` from its entry.

    Raises
    ------
    SchemaError : unknown type or number, a number in another unit than the parameter, no density. `where` is told.
    """
    if content is None:
        return None
    try:
        entry = msgspec.convert(content, _Entry, strict=False)
    except msgspec.ValidationError as error:
        raise SchemaError("GX-MODEL-073", f"prior: {error}", **where) from error
    if entry.type not in PRIORS:
        raise SchemaError("GX-MODEL-073", f"unknown prior {entry.type!r}", do=did_you_mean(entry.type, PRIORS), **where)
    # the numbers of a prior are in the unit of its parameter, whatever the file says; it may say that
    for other in (number for number in entry.parameters if not _is_unit(number.unit, unit)):
        raise SchemaError(
            "GX-MODEL-073",
            f"the prior's {other.name} is in another unit than its parameter",
            found=other.unit,
            expected=unit or "none",
            **where,
        )
    numbers = {number.name: number.value for number in entry.parameters}
    try:
        return PRIORS[entry.type](**numbers, weight=entry.weight)
    except (ModelError, TypeError) as error:
        raise SchemaError("GX-MODEL-073", f"prior: {error}", **where) from error


def _is_unit(said: str, unit: str) -> bool:
    """Whether what a file says is the unit of the parameter, however it is spelled, or nothing."""
    try:
        return not said or (same_dimension(said, unit) and canonical_factor(said) == canonical_factor(unit))
    except UnitError:
        return False


def prior_dict(prior: Prior) -> dict[str, Any]:
    """Entry of a prior."""
    numbers = [{"name": name, "value": float(value), "unit": ""} for name, value in prior.numbers.items()]
    return {"type": type(prior).__name__, "parameters": numbers, "weight": float(prior.weight)}
