"""Model YAML in the field's form, written; keys that say what the class says anyway are left out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from astropy.units import Quantity, Unit

from gammax._paths import check_targets, resolve_path
from gammax._yaml import write_yaml
from gammax.errors import GammaxWarning, ModelError
from gammax.models._background import FoVBackgroundModel, TemplateNPredModel
from gammax.models._compound import CompoundSpectralModel
from gammax.models._covariance_file import write_covariance
from gammax.models._function import function_entry
from gammax.models._irf_model import IRFModel
from gammax.models._models import Models
from gammax.models._parameter import Parameter
from gammax.models._point import ConstantSpatialModel
from gammax.models._sky_model import Component, SkyModel
from gammax.models._spatial import SpatialModel
from gammax.models._spectral import SpectralModel
from gammax.models._template_spatial import TemplateSpatialModel
from gammax.models._template_spectral import TemplateSpectralModel
from gammax.models._yaml_prior import prior_dict


def models_to_dict(models: Models, folder: Path | None = None) -> dict[str, Any]:
    """See `Models.to_dict`; files inside `folder` are named relative to it."""
    if models.ties:
        warnings.warn(
            f"GX-MODEL-114 a file has no ties: written as frozen at their values are "
            f"{', '.join(f'{tie.name} = {tie}' for tie in models.ties)}",
            GammaxWarning,
            stacklevel=3,
        )
    if models.penalties:
        warnings.warn(
            f"GX-MODEL-115 a file has no penalties: left out are {', '.join(map(repr, models.penalties))}",
            GammaxWarning,
            stacklevel=3,
        )
    errors = iter(np.nan_to_num(models.errors))
    return {"components": [_component_dict(model, errors, folder) for model in models]}


def _component_dict(model: Component, errors: Iterator[float], folder: Path | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": model.name, "type": type(model).__name__}
    datasets = {} if model.datasets_names is None else {"datasets_names": list(model.datasets_names)}
    if isinstance(model, IRFModel):
        return {**entry, **datasets, "parameters": _parameter_dicts(model.irf, errors)}
    parts = {"spectral": _spectral_dict(model.spectral_model, errors)}
    if model.spatial_model is not None:
        parts["spatial"] = _spatial_dict(model.spatial_model, errors, folder)
    if isinstance(model, FoVBackgroundModel) and model.name == f"{model.dataset_name}-bkg":
        del entry["name"]
    if isinstance(model, TemplateNPredModel):
        return {**entry, **dict(reversed(parts.items())), **_file_entry(model.filename, folder), **datasets}
    if isinstance(model, SkyModel) and not all(model.apply_irf.values()):
        entry["apply_irf"] = model.apply_irf
    return {**entry, **datasets, **parts}


def _spectral_dict(model: SpectralModel, errors: Iterator[float]) -> dict[str, Any]:
    if isinstance(model, CompoundSpectralModel):
        return {
            "type": "CompoundSpectralModel",
            "model1": _spectral_dict(model.model1, errors),
            "model2": _spectral_dict(model.model2, errors),
            "operator": model.operator,
        }
    entry = {"type": type(model).__name__, "parameters": _parameter_dicts(model, errors)}
    if isinstance(model, TemplateSpectralModel):
        entry |= {"energy": _array_dict(model.energy), "values": _array_dict(model.values)}
    return {**entry, **function_entry(model)}


def _spatial_dict(model: SpatialModel, errors: Iterator[float], folder: Path | None) -> dict[str, Any]:
    entry = {"type": type(model).__name__, "frame": model.frame, "parameters": _parameter_dicts(model, errors)}
    if isinstance(model, ConstantSpatialModel):
        del entry["frame"]
        if entry["parameters"] == [{"name": "value", "value": 1.0, "unit": "sr-1"}]:
            entry["parameters"] = []
    if isinstance(model, TemplateSpatialModel):
        unit = "1 / sr" if model.normalize else Unit(model.map.unit).to_string()
        entry |= {**_file_entry(model.filename, folder), "normalize": model.normalize, "unit": unit}
    return {**entry, **function_entry(model)}


def _parameter_dicts(model: SpectralModel | SpatialModel, errors: Iterator[float]) -> list[dict[str, Any]]:
    default = model.default_parameters()
    return [_parameter_dict(getattr(model, name), default[name], next(errors)) for name in default]


def _parameter_dict(p: Parameter, default: Parameter, error: float) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": p.name, "value": float(p.value)}
    # the support of a prior is no bound of its own
    default, own = default.replace(unit=p.unit), p.replace(prior=None)
    options = {
        "unit": p.unit or None,
        "error": float(error) or None,
        "min": None if own.min == default.min else _bound(own.min),
        "max": None if own.max == default.max else _bound(own.max),
        "frozen": p.frozen if p.frozen != default.frozen else None,
        "interp": p.interp if p.interp != default.interp else None,
        "link": p.link,
        "prior": None if p.prior is None else prior_dict(p.prior),
    }
    return {**entry, **{key: value for key, value in options.items() if value is not None}}


def _array_dict(values: Quantity) -> dict[str, Any]:
    return {"data": values.value.tolist(), "unit": values.unit.to_string()}


def _file_entry(filename: str | None, folder: Path | None) -> dict[str, str]:
    """Key `filename`, relative to the folder where the file is inside."""
    if filename is None:
        return {}
    inside = folder is not None and Path(filename).is_absolute() and Path(filename).is_relative_to(folder)
    return {"filename": Path(filename).relative_to(folder).as_posix() if inside else filename}


def _bound(value: np.ndarray) -> float:
    """The field's files write NaN for "no limit"."""
    return np.nan if np.isinf(value) else float(value)


def write_models(models: Models, path: str | Path, overwrite: bool, overwrite_templates: bool) -> None:
    """See `Models.write`."""
    path = resolve_path(path).absolute()
    filed = [_with_file(model, path.stem) for model in models]
    models = Models(filed, models.covariance, models.penalties, models.ties)
    content = models_to_dict(models, path.parent)
    covariance = path.with_name(f"{path.stem}_covariance.dat")
    check_targets([path] if models.covariance is None else [path, covariance], overwrite)
    for template in _templates(models):
        target = resolve_path(template.filename, path.parent)
        if overwrite_templates or not target.exists():
            template.map.write(target, overwrite=overwrite_templates)
    if models.covariance is not None:
        write_covariance(models, covariance, overwrite)
        content["covariance"] = covariance.name
    write_yaml(content, path, overwrite)


def _templates(models: Models) -> list[Any]:
    """Everything with a map, one for each file.

    Raises
    ------
    ModelError : two maps for one file.
    """
    found: dict[str, Any] = {}
    for model in models:
        for part in (model, model.spatial_model):
            if isinstance(part, (TemplateNPredModel, TemplateSpatialModel)):
                other = found.setdefault(str(part.filename), part)
                if other.map is not part.map and not other.map.is_allclose(part.map, rtol=0.0):
                    raise ModelError("GX-MODEL-074", "two templates name one file", file=part.filename)
    return list(found.values())


def _with_file(model: Component, stem: str) -> Component:
    """Model whose templates have names of files."""
    name = re.sub(r"[^\w.-]", "_", f"{stem}_{model.name}")
    spatial = model.spatial_model
    if isinstance(spatial, TemplateSpatialModel) and spatial.filename is None:
        file = f"{name}_spatial.fits" if isinstance(model, TemplateNPredModel) else f"{name}.fits"
        model = model.replace(spatial_model=spatial.with_filename(file))
    if isinstance(model, TemplateNPredModel) and model.filename is None:
        model = model.replace(filename=f"{name}.fits")
    return model
