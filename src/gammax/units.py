"""The door between astropy Quantities and plain floats.

Inside, everything is a float64 in canonical units: energy TeV, length cm, time s, angle deg (solid angle sr), hence
flux cm-2 s-1 TeV-1 and exposure cm2 s. Quantities exist only on the user's side of this file.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import astropy.units as u
import numpy as np

from gammax.errors import UnitError


@lru_cache(maxsize=1024)
def parse_unit(text: str | u.UnitBase, **context: Any) -> Any:
    """Unit from any spelling found in the field's files (``m**2``, ``m^2``, ``sr^(-1)``, ``1/s/MeV/sr``).

    Raises
    ------
    UnitError : if no reading of the text is a unit.
    """
    try:
        return u.Unit(_one_fraction(text) if isinstance(text, str) else text)
    except (ValueError, TypeError) as error:
        raise UnitError(
            "GX-UNIT-001", f"{text!r} is not a unit", expected="a FITS unit such as 'TeV-1 s-1 cm-2'", **context
        ) from error


def _one_fraction(text: str) -> str:
    """``1/s/MeV/sr``, as the first CTA files spell it, with one slash."""
    above, *below = text.split("/")
    return f"{above}/({' '.join(below)})" if len(below) > 1 else text


@lru_cache(maxsize=1024)
def canonical_factor(unit: str) -> float:
    """What a number in `unit` must be multiplied by to be in canonical units."""
    parsed = parse_unit(unit)
    si = parsed.decompose(bases=(u.kg, u.m, u.s, u.rad))
    power = {base.name: exponent for base, exponent in zip(si.bases, si.powers, strict=True)}
    energy, angle = power.get("kg", 0), power.get("rad", 0)
    canonical = u.TeV**energy * u.cm ** (power.get("m", 0) - 2 * energy) * u.s ** (power.get("s", 0) + 2 * energy)
    return float(parsed.to(canonical * (u.deg**angle if abs(angle) == 1 else u.rad**angle)))


@lru_cache(maxsize=1024)
def same_dimension(unit: str, other: str) -> bool:
    """Whether two units can be converted into each other."""
    return parse_unit(unit).is_equivalent(parse_unit(other))


def unit_string(unit: Any) -> str:
    """Short FITS-like spelling (``TeV-1 s-1 cm-2``); falls back to astropy's generic one."""
    parsed = parse_unit(unit)
    try:
        return parsed.to_string("fits")
    except ValueError:
        return parsed.to_string()


def to_quantity(value: Any, unit: str | None = "", name: str = "value") -> u.Quantity:
    """Quantity from a Quantity, a string (``"1 TeV"``) or a bare number (only where `unit` is dimensionless).

    With `unit` None any unit will do.

    Raises
    ------
    UnitError : unit missing, unreadable or of another dimension than `unit`.
    """
    try:
        quantity = u.Quantity(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise UnitError(
            "GX-UNIT-002",
            f"cannot read {name}",
            found=repr(value),
            expected=f"a number with unit {unit or ''!r}",
            parameter=name,
        ) from error
    if unit is not None and not quantity.unit.is_equivalent(parse_unit(unit)):
        raise UnitError(
            "GX-UNIT-003",
            f"{name} has the wrong unit",
            found=f"{quantity.unit.to_string() or 'dimensionless'!r}",
            expected=f"{unit!r} or a unit that converts to it",
            do=f"give {name} with its unit, for example '1 {unit}'",
            parameter=name,
        )
    return quantity


def to_value(value: Any, unit: str, name: str = "value") -> np.ndarray:
    """Plain float64 array in `unit`; refuses bare numbers where a unit is needed.

    Raises
    ------
    UnitError : as `to_quantity`.
    """
    return np.asarray(to_quantity(value, unit, name).to_value(parse_unit(unit)), dtype=np.float64)
