"""What a fit of cubes takes for granted while it runs, and whether it still holds at its end."""

from __future__ import annotations

from typing import Any

from gammax.models import IRFModel, Models, SkyModel

# degrees, and part of the extent, by which a source may move or grow before responses are looked up anew
_STEP_DEG, _GROWTH = 1e-4, 0.05


def have_moved(start: Models, end: Models, step_deg: float = _STEP_DEG, growth: float = _GROWTH) -> bool:
    """Whether a source has moved or changed its size, or a PSF its width, since its responses were looked up."""
    if any(_has_widened(a, b, growth) for a, b in zip(start, end, strict=True) if isinstance(a, IRFModel)):
        return True
    pairs = [(a, b) for a, b in zip(start, end, strict=True) if _may_move(a, tied=bool(start.ties))]
    return any(a.position.separation(b.position).deg > step_deg or _has_grown(a, b, growth) for a, b in pairs)


def _has_widened(start: IRFModel, end: IRFModel, growth: float) -> bool:
    before, after = (float(model.irf.psf_width.value) for model in (start, end))
    return abs(after - before) > growth * before


def _may_move(model: Any, tied: bool) -> bool:
    if not isinstance(model, SkyModel) or model.spatial_model is None:
        return False
    return (tied or any(not p.frozen for p in model.spatial_model.parameters)) and model.position is not None


def _has_grown(start: SkyModel, end: SkyModel, growth: float) -> bool:
    before, after = (model.evaluation_radius or 0.0 for model in (start, end))
    return abs(after - before) > growth * before + _STEP_DEG
