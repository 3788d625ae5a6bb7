"""What a fit of cubes takes for granted while it runs, and whether it still holds at its end."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from gammax.likelihood._likelihood import is_cube
from gammax.models import Models, SkyModel, n_panels

# degrees, and part of the extent, by which a source may move or grow before responses are looked up anew
_STEP_DEG, _GROWTH = 1e-4, 0.05


def have_moved(start: Models, end: Models) -> bool:
    """Whether a source has moved or changed its size since its responses were looked up."""
    pairs = [(a, b) for a, b in zip(start, end, strict=True) if isinstance(a, SkyModel) and a.position is not None]
    return any(a.position.separation(b.position).deg > _STEP_DEG or _has_grown(a, b) for a, b in pairs)


def _has_grown(start: SkyModel, end: SkyModel) -> bool:
    before, after = (model.evaluation_radius or 0.0 for model in (start, end))
    return abs(after - before) > _GROWTH * before + _STEP_DEG


def may_be_negative(datasets: tuple[Any, ...], models: Models) -> bool:
    """Whether a source or background of a cube is negative at some energy, so that bins without counts must not be
    merged."""
    for dataset in datasets:
        if not is_cube(dataset):
            continue
        for model in models:
            if model.applies_to(dataset.name) and _lowest(model, dataset) < 0:
                return True
    return False


def _lowest(model: Any, dataset: Any) -> float:
    if isinstance(model, SkyModel):
        edges = dataset.arrays.energy_true
        return float(np.min(_fluxes(model.spectral_model, edges, n_panels(edges))))
    return float(np.min(_factors(model.spectral_model, dataset.energy_axis.center_value("TeV"))))


# compiled whole: operation by operation each would be compiled for itself
_fluxes = jax.jit(lambda spectrum, edges, panels: spectrum.integral_values(edges, panels), static_argnums=2)
_factors = jax.jit(lambda norm, energies: norm.dnde(energies))
