"""What a fit of cubes takes for granted while it runs, and whether it still holds at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gammax.fit._result import FitResult
from gammax.models import IRFModel, Models, SkyModel

# degrees, and part of the extent, by which a source may move or grow before responses are looked up anew
_STEP_DEG, _GROWTH = 1e-4, 0.05
# what the warning says that is given where it never ends
MOVES_ON = "moves on, by"
# how often responses are looked up anew, and the part of an error by which the last look may still have changed a
# minimum that is called one
LOOKS, RESTLESS = 4, 0.1


def moved_models(start: Models, end: Models, step_deg: float = _STEP_DEG, growth: float = _GROWTH) -> list[str]:
    """Names of the sources that have moved or changed their size, and of the PSFs that have changed their width, since
    responses were looked up."""
    pairs, tied = zip(start, end, strict=True), bool(start.ties)
    return [a.name for a, b in pairs if _has_moved(a, b, tied, step_deg, growth)]


def place_of(start: Models, result: FitResult) -> Models:
    """Where to look up the responses of a minimum, and to go on from.

    What the data leave open goes back to its start, as where a source without flux lies does not matter; so does what
    is at zero, as an extent that responses of another place have brought there would stay. Other bounds are places.
    """
    if not np.isnan(result.errors).any():
        return result.models
    parameters, at_start = result.models.parameters, start.parameters
    limits = np.array([(parameters[name].min, parameters[name].max) for name in result.names])
    back = goes_back(result.names, result.values, result.errors, limits[:, 0], limits[:, 1], result.status)
    values = {name: at_start[name].value for name, lost in zip(result.names, back, strict=True) if lost}
    return result.models.with_values(values) if values else result.models


def goes_back(
    names: Sequence[str], values: np.ndarray, errors: np.ndarray, lower: np.ndarray, upper: np.ndarray, status: str
) -> np.ndarray:
    """Which free parameters of a minimum are not where `place_of` goes on from, (P,); values and limits are rounded."""
    at_limit = np.isclose(values, lower, rtol=1e-12, atol=0.0) | np.isclose(values, upper, rtol=1e-12, atol=0.0)
    places = np.array([name.endswith((".lon_0", ".lat_0")) for name in names])
    return np.isnan(errors) & (((values == 0.0) & ~places) | ((status == "singular") & ~at_limit))


def say_moving(names: Sequence[str], change: float) -> str:
    """That some models move on, by so many errors."""
    return f"{', '.join(names)}: {MOVES_ON} {change:.2g} sigma, whenever responses are looked up where the fit ends"


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
