"""What a fit of cubes takes for granted while it runs, and whether it still holds at its end."""

from __future__ import annotations

from typing import Any

from gammax.models import Models, SkyModel

# degrees, and part of the extent, by which a source may move or grow before responses are looked up anew
_STEP_DEG, _GROWTH = 1e-4, 0.05


def have_moved(start: Models, end: Models) -> bool:
    """Whether a source has moved or changed its size since its responses were looked up."""
    pairs = [(a, b) for a, b in zip(start, end, strict=True) if _may_move(a)]
    return any(a.position.separation(b.position).deg > _STEP_DEG or _has_grown(a, b) for a, b in pairs)


def _may_move(model: Any) -> bool:
    if not isinstance(model, SkyModel) or model.spatial_model is None:
        return False
    return any(not p.frozen for p in model.spatial_model.parameters) and model.position is not None


def _has_grown(start: SkyModel, end: SkyModel) -> bool:
    before, after = (model.evaluation_radius or 0.0 for model in (start, end))
    return abs(after - before) > _GROWTH * before + _STEP_DEG
