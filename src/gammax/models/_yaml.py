"""Model YAML in the field's form: components, spectral models by type, parameters by name, a covariance file."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from astropy.table import Table

from gammax._paths import file_fault, resolve_path, write_text
from gammax._yaml import read_yaml, write_yaml
from gammax.errors import FileFormatError, GammaxError, GammaxWarning, SchemaError, did_you_mean
from gammax.models._compound import CompoundSpectralModel
from gammax.models._models import Models
from gammax.models._parameter import Parameter
from gammax.models._sky_model import SkyModel
from gammax.models._spectral import SPECTRAL_MODELS, SpectralModel
from gammax.units import canonical_factor, same_dimension


class _ParameterEntry(msgspec.Struct, forbid_unknown_fields=True):
    """One parameter; the last five keys steer the peer's scans and solver, or are its old bookkeeping."""

    name: str
    value: float
    unit: str | None = None
    error: float = 0.0
    min: float | None = None
    max: float | None = None
    frozen: bool | None = None
    link: str | None = None
    interp: str | None = None
    scale_method: str | None = None
    scale_transform: str | None = None
    factor: float | None = None
    scale: float | str | None = None


class _SpectralEntry(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    parameters: list[_ParameterEntry] = []
    model1: _SpectralEntry | None = None
    model2: _SpectralEntry | None = None
    operator: str | None = None


class _ComponentEntry(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    spectral: _SpectralEntry
    type: str = "SkyModel"
    datasets_names: list[str] | str | None = None


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    components: list[_ComponentEntry]
    covariance: str | None = None
    metadata: dict[str, Any] | None = None
    checksum: str | None = None


def models_from_dict(content: dict[str, Any]) -> Models:
    """See `Models.from_dict`. Errors of single parameters become a diagonal covariance."""
    try:
        document = msgspec.convert(content, _Document, strict=False)
    except msgspec.ValidationError as error:
        raise SchemaError("GX-MODEL-020", f"models: {error}", do="see Models.to_dict for the layout") from error
    entries: list[_ParameterEntry | None] = []
    models = Models([_sky_model(component, entries) for component in document.components])
    errors = [_error(entry, p) for entry, p in zip(entries, models.parameters.values(), strict=True)]
    return Models(models.models, np.diag(np.square(errors))) if any(errors) else models


def _error(entry: _ParameterEntry | None, p: Parameter) -> float:
    """Error of an entry in the unit of its parameter, which a link may have changed."""
    if entry is None:
        return 0.0
    return entry.error * (canonical_factor(entry.unit) / canonical_factor(p.unit) if entry.unit else 1.0)


def _sky_model(entry: _ComponentEntry, entries: list[_ParameterEntry | None]) -> SkyModel:
    if entry.type not in ("SkyModel", "sky-model"):
        raise SchemaError(
            "GX-MODEL-021",
            f"unknown model type {entry.type!r}",
            model=entry.name,
            do=did_you_mean(entry.type, ["SkyModel"]),
        )
    return SkyModel(_spectral_model(entry.spectral, entry.name, entries), entry.name, entry.datasets_names)


def _spectral_model(entry: _SpectralEntry, owner: str, entries: list[_ParameterEntry | None]) -> SpectralModel:
    if entry.type not in SPECTRAL_MODELS:
        raise SchemaError(
            "GX-MODEL-022",
            f"unknown spectral model {entry.type!r}",
            model=owner,
            do=did_you_mean(entry.type, SPECTRAL_MODELS),
        )
    kind = SPECTRAL_MODELS[entry.type]
    if kind is CompoundSpectralModel:
        if entry.model1 is None or entry.model2 is None or entry.operator is None:
            raise SchemaError("GX-MODEL-023", "a compound model needs model1, model2 and operator", model=owner)
        first = _spectral_model(entry.model1, owner, entries)
        return CompoundSpectralModel(first, _spectral_model(entry.model2, owner, entries), entry.operator)
    given = {parameter.name: parameter for parameter in entry.parameters}
    if len(given) < len(entry.parameters):
        twice = Counter(parameter.name for parameter in entry.parameters).most_common(1)[0][0]
        raise SchemaError("GX-MODEL-033", f"parameter {twice!r} is given twice", model=owner)
    default = kind()
    for name in given:
        if name not in kind.parameter_names():
            raise SchemaError(
                "GX-MODEL-024",
                f"{kind.__name__} has no parameter {name!r}",
                model=owner,
                do=did_you_mean(name, kind.parameter_names()),
            )
    missing = [name for name in kind.parameter_names() if name not in given]
    if missing:
        warnings.warn(
            f"GX-MODEL-025 model {owner}: {kind.__name__} takes its default for {', '.join(missing)}",
            GammaxWarning,
            stacklevel=2,
        )
    entries += [given.get(name) for name in kind.parameter_names()]
    return kind(**{name: _parameter(given[name], getattr(default, name)) for name in given})


def _parameter(entry: _ParameterEntry, default: Parameter) -> Parameter:
    default = _in_unit(default, entry.unit)
    return Parameter(
        entry.name,
        entry.value,
        unit=default.unit,
        min=default.min if entry.min is None else entry.min,
        max=default.max if entry.max is None else entry.max,
        frozen=default.frozen if entry.frozen is None else entry.frozen,
        link=entry.link,
        interp=default.interp if entry.interp is None else entry.interp,
    )


def _in_unit(default: Parameter, unit: str | None) -> Parameter:
    """Default of a class in another unit; one that does not convert is left for `make_parameter` to refuse."""
    if unit is None:
        return default
    return default.replace(unit=unit) if same_dimension(default.unit, unit) else Parameter(default.name, 0.0, unit)


def models_to_dict(models: Models) -> dict[str, Any]:
    """See `Models.to_dict`. Keys that say what the class says anyway are left out."""
    errors = iter(np.nan_to_num(models.errors))
    return {"components": [_component_dict(model, errors) for model in models]}


def _component_dict(model: SkyModel, errors: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": model.name, "type": "SkyModel"}
    if model.datasets_names is not None:
        entry["datasets_names"] = list(model.datasets_names)
    return {**entry, "spectral": _spectral_dict(model.spectral_model, errors)}


def _spectral_dict(model: SpectralModel, errors: Any) -> dict[str, Any]:
    if isinstance(model, CompoundSpectralModel):
        return {
            "type": "CompoundSpectralModel",
            "model1": _spectral_dict(model.model1, errors),
            "model2": _spectral_dict(model.model2, errors),
            "operator": model.operator,
        }
    default = type(model)()
    entries = [
        _parameter_dict(getattr(model, name), getattr(default, name), next(errors)) for name in model.parameter_names()
    ]
    return {"type": type(model).__name__, "parameters": entries}


def _parameter_dict(p: Parameter, default: Parameter, error: float) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": p.name, "value": float(p.value)}
    default = default.replace(unit=p.unit)
    options = {
        "unit": p.unit or None,
        "error": float(error) or None,
        "min": None if p.min == default.min else _bound(p.min),
        "max": None if p.max == default.max else _bound(p.max),
        "frozen": p.frozen if p.frozen != default.frozen else None,
        "interp": p.interp if p.interp != default.interp else None,
        "link": p.link,
    }
    return {**entry, **{key: value for key, value in options.items() if value is not None}}


def _bound(value: np.ndarray) -> float:
    """The field's files write NaN for "no limit"."""
    return np.nan if np.isinf(value) else float(value)


def write_models(models: Models, path: str | Path, overwrite: bool) -> None:
    """See `Models.write`."""
    path = resolve_path(path)
    content = models.to_dict()
    if models.covariance is not None:
        covariance = path.with_name(f"{path.stem}_covariance.dat")
        _write_covariance(models, covariance, overwrite)
        content["covariance"] = covariance.name
    write_yaml(content, path, overwrite)


def read_models(path: str | Path) -> Models:
    """See `Models.read`."""
    path = resolve_path(path)
    content = read_yaml(path, "models file")
    try:
        models = models_from_dict(content)
    except GammaxError as error:
        raise error.with_context(file=path) from error
    if content.get("covariance"):
        return Models(models.models, _read_covariance(models, resolve_path(content["covariance"], path.parent)))
    return models


def _write_covariance(models: Models, path: Path, overwrite: bool) -> None:
    names = list(models.parameters)
    width = max(len(name) for name in [*names, "Parameters"])
    rows = [["Parameters".rjust(width), *[str(i).rjust(25) for i in range(len(names))]]]
    rows += [
        [name.rjust(width), *[repr(float(value)).rjust(25) for value in row]]
        for name, row in zip(names, models.covariance, strict=True)
    ]
    write_text("".join("| " + " | ".join(row) + " |\n" for row in rows), path, overwrite)


def _read_covariance(models: Models, path: Path) -> np.ndarray:
    if fault := file_fault(path):
        raise FileFormatError("GX-MODEL-026", f"the covariance file that the models name {fault}", file=path)
    try:
        table = Table.read(path, format="ascii.fixed_width", delimiter="|")
        matrix = np.array([[row[name] for name in table.colnames[1:]] for row in table], dtype=np.float64)
        names = list(table["Parameters"])
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise FileFormatError("GX-MODEL-027", f"not a covariance table: {error}", file=path) from error
    if names != list(models.parameters) or matrix.shape != (len(names), len(names)):
        raise SchemaError(
            "GX-MODEL-028",
            "the covariance is not of these models' parameters",
            file=path,
            found=", ".join(names),
            expected=", ".join(models.parameters),
        )
    return matrix
