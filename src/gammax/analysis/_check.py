"""Checks of a configuration: every message names the key, as ``fit.fit_range.min``, and the file where there is one.

What a file says (`convert_section`), and what a run needs that this version may not do (`check_needs`, `unused`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

import astropy.units as u
import msgspec
import numpy as np
from astropy.coordinates import Angle
from astropy.time import Time

from gammax.errors import DataValueError, SchemaError, UnitError, did_you_mean
from gammax.units import to_quantity

if TYPE_CHECKING:
    from gammax.analysis._config import AnalysisConfig

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
# keys that ask for a product; how it would be made is settled by others, which are kept without effect
_ASKS = {
    "excess_map": ("excess_map.energy_edges.",),
    "light_curve": ("light_curve.time_intervals.", "light_curve.energy_edges."),
}
# what spectra have no use for, and what cubes have none for
_FOR_MAPS = ("excess_map", "light_curve", "datasets.geom.wcs", "datasets.geom.selection", "datasets.map_selection")
_FOR_SPECTRA = ("excess_map", "light_curve", "datasets.containment_correction")
_EXAMPLES = {"TeV": "'1 TeV'", "deg": "'0.1 deg'", "time": "'2004-12-04T22:00:00'"}


def convert_section(content: Any, section: type, file: Path | None, path: tuple[str, ...] = ()) -> Any:
    """Section from a mapping, all keys and values checked; `path` is where the section stands.

    Raises
    ------
    SchemaError : an unknown key, a value of the wrong kind. UnitError : a quantity with a missing or wrong unit.
    DataValueError : an energy or an angle that is not finite.
    """
    _check_keys(content, section, file, path)
    try:
        converted = msgspec.convert(content, section)
    except msgspec.ValidationError as error:
        raise _wrong_value(str(error), content, section, file, path) from error
    for key, text, unit in _quantities(converted, path):
        _check_time(key, text, file) if unit == "time" else _check_quantity(key, text, unit, file)
    return converted


def check_level(level: str) -> str:
    """Log level in lower case.

    Raises
    ------
    SchemaError : no such level.
    """
    if level.lower() not in LOG_LEVELS:
        raise SchemaError(
            "GX-ANALYSIS-005",
            f"unknown log level {level!r}",
            key="general.log.level",
            do=did_you_mean(level.lower(), LOG_LEVELS),
        )
    return level.lower()


def _check_keys(content: Any, section: type, file: Path | None, path: tuple[str, ...]) -> None:
    if not isinstance(content, dict):
        raise SchemaError(
            "GX-ANALYSIS-003",
            "a section must be a mapping",
            key=".".join(path),
            file=file,
            found="nothing" if content is None else f"a {type(content).__name__}",
            expected=f"keys {', '.join(section.__struct_fields__)}",
        )
    for key, value in content.items():
        if key not in section.__struct_fields__:
            raise SchemaError(
                "GX-ANALYSIS-001",
                f"unknown key {key!r}",
                key=".".join((*path, str(key))),
                file=file,
                do=did_you_mean(key, section.__struct_fields__),
            )
        inner = _hints(section)[key]
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            _check_keys(value, inner, file, (*path, key))


def _wrong_value(message: str, content: Any, section: type, file: Path | None, path: tuple[str, ...]) -> SchemaError:
    """Error of a value of the wrong kind, with what the key takes: a unit, a choice, or msgspec's words."""
    what, _, key = message.partition(" - at `$")
    key = key.strip("`.")
    value, hint = content, section
    for name in re.sub(r"\[.*", "", key).split("."):
        value, hint = value[name], _hints(hint)[name]
    unit, choices = _unit_of(hint), _choices(hint)
    if unit:
        what = f"Expected text, for example {_EXAMPLES[unit]}"
    bad = next((v for v in value if v not in choices), value) if isinstance(value, list) else value
    key = ".".join((*path, key))
    return SchemaError(
        "GX-ANALYSIS-002",
        f"wrong value of {key}",
        found=repr(bad),
        expected=None if choices else what.removeprefix("Expected ").split(", got")[0],
        do=did_you_mean(bad, choices) if choices else "",
        key=key,
        file=file,
    )


@lru_cache
def _hints(section: type) -> dict[str, Any]:
    return get_type_hints(section, include_extras=True)


def _unit_of(hint: Any) -> str | None:
    """What a text field must convert to, None for fields that are no quantities."""
    for part in (hint, *get_args(hint)):
        if get_origin(part) is Annotated and (extra := part.__metadata__[0].extra):
            return extra["unit"]
    return None


def _choices(hint: Any) -> tuple[str, ...]:
    """The words of a `Literal`, wherever it stands in a hint."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(dict.fromkeys(word for part in get_args(hint) for word in _choices(part)))


def _quantities(section: msgspec.Struct, path: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    for key, hint in _hints(type(section)).items():
        value = getattr(section, key)
        if isinstance(value, msgspec.Struct):
            yield from _quantities(value, (*path, key))
        elif unit := _unit_of(hint):
            texts = value if isinstance(value, tuple) else (value,)
            yield from ((".".join((*path, key)), text, unit) for text in texts if isinstance(text, str))


def _check_quantity(key: str, text: str, unit: str, file: Path | None) -> None:
    try:
        # angles as astropy reads them, "5h34m" and "22d" too
        quantity = Angle(text) if unit == "deg" else to_quantity(text, unit, key)
    except (UnitError, u.UnitsError, ValueError, TypeError) as error:
        raise UnitError(
            "GX-ANALYSIS-004",
            f"{key} is not a quantity in {unit} or a unit that converts to it",
            found=repr(text),
            expected=f"for example {_EXAMPLES[unit]}",
            key=key,
            file=file,
        ) from error
    if not np.isfinite(quantity.value):
        raise DataValueError("GX-ANALYSIS-006", f"{key} is not finite", found=repr(text), key=key, file=file)


def _check_time(key: str, text: str, file: Path | None) -> None:
    try:
        Time(text)
    except ValueError as error:
        raise SchemaError(
            "GX-ANALYSIS-007",
            f"{key} is not a time",
            found=repr(text),
            expected=f"for example {_EXAMPLES['time']}",
            key=key,
            file=file,
        ) from error


def check_needs(config: AnalysisConfig) -> None:
    """Raise where a run would need what this version cannot do, whatever it starts from.

    Raises
    ------
    SchemaError : names the key.
    """
    for section, keys in _ASKS.items():
        for key in config.changes():
            if key.startswith(keys):
                raise SchemaError(
                    "GX-ANALYSIS-012",
                    f"this version makes no {section.replace('_', ' ')}",
                    key=key,
                    do=f"remove the section {section}",
                )


def unused(config: AnalysisConfig, reduces: bool) -> list[str]:
    """Settings that differ from the defaults and that a run pays no heed to, as far as a section tells.

    ``["observations", "datasets.background"]`` where the datasets were reduced before (`reduces` is false).
    """
    if reduces:
        ignored = list(_FOR_MAPS if config.datasets.type == "1d" else _FOR_SPECTRA)
    else:
        ignored = ["observations", "datasets", "general.n_jobs", "excess_map", "light_curve"]
    if config.datasets.background.method is None:
        ignored += ["datasets.background.exclusion", "datasets.background.parameters"]
    found: dict[str, None] = {}
    # of cubes the region is shown, whoever made them
    used = ("datasets.type", "datasets.on_region.") if config.datasets.type == "3d" else ()
    for key in config.changes():
        if not key.startswith(used) and any(key == name or key.startswith(f"{name}.") for name in ignored):
            parts = key.split(".")
            # as much of the key as says which setting: all datasets.* are different things
            depth = {"datasets": 3 if reduces else 2, "general": 2}.get(parts[0], 1)
            found[".".join(parts[:depth])] = None
    return list(found)
