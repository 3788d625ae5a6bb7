"""Which models of a list meet some conditions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gammax.errors import ModelError, did_you_mean
from gammax.models._background import FoVBackgroundModel
from gammax.models._sky_model import Component


def selection_mask(
    models: Sequence[Any],
    name_substring: str | None,
    datasets_names: str | Sequence[str] | None,
    tag: str | Sequence[str] | None,
    model_type: str | None,
    frozen: bool | None,
) -> list[bool]:
    """Whether each model meets all conditions; parameters as `Models.select`."""
    if model_type not in (None, "spectral", "spatial"):
        raise ModelError("GX-MODEL-055", "unknown model_type", found=model_type, expected="spectral or spatial")
    datasets, tags = _several(datasets_names), _several(tag)
    mask = []
    for model in models:
        part = model if model_type is None else model.parts.get(model_type)
        conditions = (
            name_substring is None or name_substring in model.name,
            datasets is None or any(model.applies_to(name) for name in datasets),
            tags is None or (part is not None and not {type(part).__name__, *part.tag}.isdisjoint(tags)),
            frozen is None or all(p.frozen for p in model.parameters) == frozen,
        )
        mask.append(all(conditions))
    return mask


def _several(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    return None if given is None else (given,) if isinstance(given, str) else tuple(given)


def reassigned(model: Component, old: str, new: str) -> Component:
    """Model that names one dataset in the place of another, and what is named after it."""
    if model.datasets_names is None or old not in model.datasets_names:
        return model
    if isinstance(model, FoVBackgroundModel):
        name = f"{new}-bkg" if model.name == f"{old}-bkg" else model.name
        return model.replace(dataset_name=new, name=name)
    return model.replace(datasets_names=[new if name == old else name for name in model.datasets_names])


def rows_of(models: Any, name: str, part: str | None) -> slice:
    """Rows of the covariance for one model or its "spectral" or "spatial" part; errors as `Models.subcovariance`."""
    place, parts = models.names.index(models[name].name), models[name].parts
    start = sum(len(model.parameters) for model in models.models[:place])
    if part is None:
        return slice(start, start + len(models[name].parameters))
    if part not in parts:
        raise ModelError("GX-MODEL-066", f"the model has no {part} part", model=name, do=did_you_mean(part, parts))
    for kind, own in parts.items():
        if kind == part:
            break
        start += len(own.parameters)
    return slice(start, start + len(parts[part].parameters))
