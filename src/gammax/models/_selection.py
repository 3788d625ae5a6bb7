"""Which models of a list meet some conditions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gammax.errors import ModelError


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
