"""Model YAML in the field's form, read: components, their parts by type, parameters by name, files beside it."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from astropy.units import Quantity

from gammax._paths import resolve_path
from gammax._yaml import read_yaml
from gammax.errors import GammaxError, GammaxWarning, SchemaError, did_you_mean
from gammax.maps import WcsNDMap
from gammax.models._background import FoVBackgroundModel, TemplateNPredModel
from gammax.models._compound import CompoundSpectralModel
from gammax.models._covariance_file import read_covariance
from gammax.models._function import check_read
from gammax.models._irf_model import IRFModel, IRFScales
from gammax.models._models import Models
from gammax.models._parameter import Parameter
from gammax.models._point import ConstantSpatialModel
from gammax.models._sky_model import Component, SkyModel
from gammax.models._spatial import SPATIAL_MODELS, SpatialModel
from gammax.models._spectral import SPECTRAL_MODELS, SpectralModel
from gammax.models._template_spatial import TemplateSpatialModel
from gammax.models._template_spectral import TemplateSpectralModel
from gammax.models._yaml_prior import read_prior
from gammax.units import canonical_factor, parse_unit, same_dimension


class _ParameterEntry(msgspec.Struct, forbid_unknown_fields=True):
    """One parameter; from `interp` on the keys steer the peer's scans and solver, or are its old bookkeeping."""

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
    prior: dict[str, Any] | None = None


class _ArrayEntry(msgspec.Struct, forbid_unknown_fields=True):
    data: list[float]
    unit: str = ""


class _SpectralEntry(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    parameters: list[_ParameterEntry] = []
    model1: dict[str, Any] | None = None
    model2: dict[str, Any] | None = None
    operator: str | None = None
    energy: _ArrayEntry | None = None
    values: _ArrayEntry | None = None


class _SpatialEntry(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    frame: str = "icrs"
    parameters: list[_ParameterEntry] = []
    filename: str | None = None
    normalize: bool = True
    unit: str | None = None


class _ComponentEntry(msgspec.Struct, forbid_unknown_fields=True):
    """One model; bare `parameters` are those of an `IRFModel`, or of the spectrum of a background, as old files have
    them."""

    type: str = "SkyModel"
    name: str | None = None
    spectral: dict[str, Any] | None = None
    spatial: dict[str, Any] | None = None
    temporal: dict[str, Any] | None = None
    parameters: list[dict[str, Any]] | None = None
    apply_irf: dict[str, bool] | None = None
    datasets_names: list[str] | str | None = None
    filename: str | None = None


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    components: list[_ComponentEntry]
    covariance: str | None = None
    metadata: dict[str, Any] | None = None
    checksum: str | None = None


class _Reader(NamedTuple):
    """A component on its way to a model: its name for messages, the folder of its files, all parameters read so far."""

    owner: str
    folder: Path | None
    entries: list[_ParameterEntry | None]


def _convert(content: Any, kind: Any, **where: Any) -> Any:
    try:
        return msgspec.convert(content, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SchemaError(
            "GX-MODEL-020", f"models: {error}", do="see Models.to_dict for the layout", **where
        ) from error


def models_from_dict(content: dict[str, Any], folder: str | Path | None = None) -> Models:
    """See `Models.from_dict`. Errors of single parameters become a diagonal covariance."""
    document = _convert(content, _Document)
    entries: list[_ParameterEntry | None] = []
    base = None if folder is None else resolve_path(folder)
    models = Models([_component(component, base, entries) for component in document.components])
    errors = [_error(entry, p) for entry, p in zip(entries, models.parameters.values(), strict=True)]
    return Models(models.models, np.diag(np.square(errors))) if any(errors) else models


def _error(entry: _ParameterEntry | None, p: Parameter) -> float:
    """Error of an entry in the unit of its parameter, which a link may have changed."""
    if entry is None:
        return 0.0
    return entry.error * (canonical_factor(entry.unit) / canonical_factor(p.unit) if entry.unit else 1.0)


def _component(entry: _ComponentEntry, folder: Path | None, entries: list[_ParameterEntry | None]) -> Component:
    owner = entry.name or f"{entry.type} of {entry.datasets_names}"
    kind = next((kind for kind in _KINDS if entry.type in (kind.__name__, *kind.tag)), None)
    if kind is None:
        names = [kind.__name__ for kind in _KINDS]
        raise SchemaError(
            "GX-MODEL-021", f"unknown model type {entry.type!r}", model=owner, do=did_you_mean(entry.type, names)
        )
    reader = _Reader(owner, folder, entries)
    given = {"name": entry.name, "datasets_names": entry.datasets_names, "temporal": entry.temporal}
    given |= {"apply_irf": entry.apply_irf, "filename": entry.filename, "parameters": entry.parameters}
    for key, value in given.items():
        if value is not None and key not in _KEYS[kind]:
            raise SchemaError("GX-MODEL-067", f"a {kind.__name__} cannot have {key!r} here", model=owner)
    if kind is FoVBackgroundModel:
        return _fov_background(entry, reader)
    if kind is IRFModel:
        return _irf_model(entry, reader)
    if entry.spectral is None and kind is SkyModel:
        raise SchemaError("GX-MODEL-020", "models: a SkyModel needs `spectral`", model=owner)
    if entry.name is None:
        raise SchemaError("GX-MODEL-020", "models: a model needs a `name`", model=owner)
    parts: dict[str, Any] = {
        "spectral_model": _spectral_model(entry.spectral or {"type": "PowerLawNormSpectralModel"}, reader),
        "spatial_model": None if entry.spatial is None else _spatial_model(entry.spatial, reader),
    }
    if kind is TemplateNPredModel:
        template, filename = _read_map(entry.filename, reader)
        return TemplateNPredModel(
            template, name=entry.name, filename=filename, datasets_names=entry.datasets_names, **parts
        )
    return SkyModel(name=entry.name, datasets_names=entry.datasets_names, apply_irf=entry.apply_irf, **parts)


_KINDS = (SkyModel, FoVBackgroundModel, TemplateNPredModel, IRFModel)
_KEYS = {
    SkyModel: ("name", "datasets_names", "apply_irf"),
    FoVBackgroundModel: ("name", "datasets_names", "parameters"),
    TemplateNPredModel: ("name", "datasets_names", "filename"),
    IRFModel: ("name", "datasets_names", "parameters"),
}


def _fov_background(entry: _ComponentEntry, reader: _Reader) -> FoVBackgroundModel:
    names = [entry.datasets_names] if isinstance(entry.datasets_names, str) else entry.datasets_names or []
    if len(names) != 1:
        raise SchemaError(
            "GX-MODEL-068",
            "a FoVBackgroundModel is for one dataset",
            found=names,
            expected="datasets_names of one name",
        )
    spectral = entry.spectral or {"type": "PowerLawNormSpectralModel", "parameters": entry.parameters or []}
    # the field's files may leave out the spectrum: all defaults, nothing to warn of
    model = _spectral_model(spectral, reader, quiet=entry.spectral is None)
    spatial = None if entry.spatial is None else _spatial_model(entry.spatial, reader)
    return FoVBackgroundModel(names[0], model, spatial, entry.name)


def _irf_model(entry: _ComponentEntry, reader: _Reader) -> IRFModel:
    """Model of responses; what a file leaves out is neutral."""
    for key in ("spectral", "spatial"):
        if getattr(entry, key) is not None:
            raise SchemaError("GX-MODEL-067", f"an IRFModel cannot have {key!r} here", model=reader.owner)
    listed = _convert(entry.parameters or [], list[_ParameterEntry], model=reader.owner)
    parameters = _parameters(IRFScales, listed, reader, quiet=True)
    return IRFModel(entry.name or "", entry.datasets_names or (), **parameters)


def _look_up(content: dict[str, Any], known: dict[str, Any], what: str, code: str, owner: str) -> Any:
    name = content.get("type")
    if not isinstance(name, str) or name not in known:
        raise SchemaError(code, f"unknown {what} model {name!r}", model=owner, do=did_you_mean(str(name), known))
    check_read(known[name], owner)
    return known[name]


def _spectral_model(content: dict[str, Any], reader: _Reader, quiet: bool = False) -> SpectralModel:
    kind = _look_up(content, SPECTRAL_MODELS, "spectral", "GX-MODEL-022", reader.owner)
    entry = _convert(content, _SpectralEntry, model=reader.owner)
    if kind is CompoundSpectralModel:
        if entry.model1 is None or entry.model2 is None or entry.operator is None:
            raise SchemaError("GX-MODEL-023", "a compound model needs model1, model2 and operator", model=reader.owner)
        first = _spectral_model(entry.model1, reader)
        return CompoundSpectralModel(first, _spectral_model(entry.model2, reader), entry.operator)
    if kind is TemplateSpectralModel:
        if entry.energy is None or entry.values is None:
            raise SchemaError("GX-MODEL-069", "a template needs energy and values", model=reader.owner)
        arrays = (Quantity(part.data, parse_unit(part.unit)) for part in (entry.energy, entry.values))
        return TemplateSpectralModel(*arrays)
    return kind(**_parameters(kind, entry.parameters, reader, quiet))


def _spatial_model(content: dict[str, Any], reader: _Reader) -> SpatialModel:
    kind = _look_up(content, SPATIAL_MODELS, "spatial", "GX-MODEL-070", reader.owner)
    entry = _convert(content, _SpatialEntry, model=reader.owner)
    # a constant and the place of a map need no word: their defaults are what files leave out
    quiet = kind in (ConstantSpatialModel, TemplateSpatialModel)
    values = _parameters(kind, entry.parameters, reader, quiet)
    if kind is not TemplateSpatialModel:
        return kind(frame=entry.frame, **values)
    template, filename = _read_map(entry.filename, reader)
    if not template.unit and entry.unit:
        template = template.replace(unit=entry.unit)
    if "frame" in content and entry.frame != template.geom.frame:
        raise SchemaError(
            "GX-MODEL-071",
            "the frame of a template is that of its map",
            model=reader.owner,
            found=entry.frame,
            expected=template.geom.frame,
        )
    return TemplateSpatialModel(template, entry.normalize, filename, **values)


def _read_map(filename: str | None, reader: _Reader) -> tuple[WcsNDMap, str]:
    """Map of a template, and the name to keep of its file: whole, unless it has a variable in it."""
    if filename is None:
        raise SchemaError("GX-MODEL-072", "a template needs a filename", model=reader.owner)
    path = resolve_path(filename, reader.folder)
    return WcsNDMap.read(path), filename if filename.startswith(("$", "~")) else str(path)


def _parameters(kind: Any, listed: list[_ParameterEntry], reader: _Reader, quiet: bool = False) -> dict[str, Parameter]:
    """Parameters of a class from their entries, which are put on record."""
    given = {parameter.name: parameter for parameter in listed}
    if len(given) < len(listed):
        twice = Counter(parameter.name for parameter in listed).most_common(1)[0][0]
        raise SchemaError("GX-MODEL-033", f"parameter {twice!r} is given twice", model=reader.owner)
    default = kind.default_parameters()
    for name in given:
        if name not in default:
            raise SchemaError(
                "GX-MODEL-024",
                f"{kind.__name__} has no parameter {name!r}",
                model=reader.owner,
                do=did_you_mean(name, default),
            )
    missing = [name for name in default if name not in given]
    if missing and not quiet:
        warnings.warn(
            f"GX-MODEL-025 model {reader.owner}: {kind.__name__} takes its default for {', '.join(missing)}",
            GammaxWarning,
            stacklevel=2,
        )
    reader.entries.extend(given.get(name) for name in default)
    return {name: _parameter(entry, default[name], reader.owner) for name, entry in given.items()}


def _parameter(entry: _ParameterEntry, default: Parameter, owner: str) -> Parameter:
    default = _in_unit(default, entry.unit)
    prior = read_prior(entry.prior, default.unit, model=owner, parameter=entry.name)
    # the peer writes the support of a prior as bounds; here they follow from it
    low, high = (None, None) if prior is None else prior.support
    return Parameter(
        entry.name,
        entry.value,
        unit=default.unit,
        min=default.min if entry.min in (None, low) else entry.min,
        max=default.max if entry.max in (None, high) else entry.max,
        frozen=default.frozen if entry.frozen is None else entry.frozen,
        link=entry.link,
        interp=default.interp if entry.interp is None else entry.interp,
        prior=prior,
    )


def _in_unit(default: Parameter, unit: str | None) -> Parameter:
    """Default of a class in another unit; one that does not convert is left for `make_parameter` to refuse."""
    if unit is None:
        return default
    return default.replace(unit=unit) if same_dimension(default.unit, unit) else Parameter(default.name, 0.0, unit)


def read_models(path: str | Path) -> Models:
    """See `Models.read`."""
    path = resolve_path(path)
    content = read_yaml(path, "models file")
    try:
        models = models_from_dict(content, path.parent)
    except GammaxError as error:
        # a fault in a template names that file, and then who asked for it
        raise error.with_context(**{"models" if "file" in error.context else "file": path}) from error
    if content.get("covariance"):
        return Models(models.models, read_covariance(models, resolve_path(content["covariance"], path.parent)))
    return models
