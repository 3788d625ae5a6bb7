"""What a fit of cubes takes for granted while it runs, and whether it still holds at its end."""

from __future__ import annotations

from typing import Any

import numpy as np

from gammax.fit._result import FitResult
from gammax.models import IRFModel, Models, SkyModel

# degrees, and part of the extent, by which a source may move or grow before responses are looked up anew
_STEP_DEG, _GROWTH = 1e-4, 0.05


def have_moved(start: Models, end: Models, step_deg: float = _STEP_DEG, growth: float = _GROWTH) -> bool:
    """Whether a source has moved or changed its size, or a PSF its width, since its responses were looked up."""
    return bool(moved_models(start, end, step_deg, growth))


def moved_models(start: Models, end: Models, step_deg: float = _STEP_DEG, growth: float = _GROWTH) -> list[str]:
    """Names of what has moved, see `have_moved`."""
    pairs, tied = zip(start, end, strict=True), bool(start.ties)
    return [a.name for a, b in pairs if _has_moved(a, b, tied, step_deg, growth)]


def place_of(start: Models, result: FitResult) -> Models:
    """Where to look up the responses of a minimum, and to go on from.

    What has no error goes back to its start: an extent that responses of another place have brought to 0 would stay
    there, and where a source without flux lies does not matter.
    """
    lost = [name for name, error in zip(result.names, result.errors, strict=True) if np.isnan(error)]
    values = {name: start.parameters[name].value for name in lost}
    return result.models.with_values(values) if values else result.models


def _has_moved(start: Any, end: Any, tied: bool, step_deg: float, growth: float) -> bool:
    if isinstance(start, IRFModel):
        return _has_widened(start, end, growth)
    if not _may_move(start, tied):
        return False
    return start.position.separation(end.position).deg > step_deg or _has_grown(start, end, growth)


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
