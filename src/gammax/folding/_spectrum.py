"""Spectra through responses: mu_i = sum_t R[i, t] Phi[t] (one region, so exposure and containment are in R).

Of a spectrum with a PSF the containment is not in the exposure: it is that of every source, as in a cube.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

import jax
import numpy as np
from jax import Array

from gammax import _regions as sky_regions
from gammax._config import require_x64
from gammax.folding._cube import predict_cube
from gammax.folding._flux import choose_models, fold_flux, total_flux
from gammax.folding._irf import (
    EnergySpline,
    Scales,
    energy_spline,
    irf_model,
    scaled_flux,
    scales_of,
)
from gammax.models import Models, SkyModel, SpectralModel, n_panels

if TYPE_CHECKING:
    from gammax.datasets import SpectrumDataset, SpectrumDatasetOnOff


@partial(jax.jit, static_argnames="panels")
def fold_spectrum(model: SpectralModel, edges: Array, response: Array, panels: int) -> Array:
    """Predicted counts (..., R) of one spectrum; arguments as `total_flux` and `fold_flux`."""
    return fold_flux(total_flux([model], edges, panels), response)


@partial(jax.jit, static_argnames="panels")
def _fold(
    model: SpectralModel, edges: Array, response: Array, spline: EnergySpline | None, scales: Scales, panels: int
) -> Array:
    """As `fold_spectrum`, through responses of some scales."""
    counts = fold_flux(scaled_flux([model], edges, panels, scales), response)
    return counts if spline is None else spline.shifted(counts, scales.energy_scale_reco)


def predict_signal(
    dataset: SpectrumDataset | SpectrumDatasetOnOff,
    models: Models | SkyModel | Iterable[SkyModel],
    model_names: Iterable[str] | None = None,
) -> np.ndarray:
    """Predicted signal counts of a dataset, shape (R,), masked bins included.

    Parameters
    ----------
    dataset : a spectrum.
    models : those that do not apply to the dataset by their `datasets_names`, or do not reach its region, add nothing;
        the `IRFModel` that applies changes how the others are seen.
    model_names : the sources to add up; None for all.

    Raises
    ------
    ModelError : a name that is no model's; a source without place, with a PSF. Others as `predict_cube`.
    """
    require_x64()
    if dataset.psf is not None:
        return predict_cube(dataset, models, model_names)[:, 0, 0]
    arrays = dataset.arrays
    panels = n_panels(arrays.energy_true)
    models = models if isinstance(models, Models) else Models(models)
    scales, spline = scales_of(irf_model(models, dataset.name)), None
    if scales.energy_scale_reco is not None:
        spline = energy_spline(dataset.energy_axis.edges_value("TeV"))
    signal = np.zeros(arrays.response.shape[0])
    for model in choose_models(models, model_names):
        if isinstance(model, SkyModel) and model.applies_to(dataset.name) and reaches(model, dataset):
            seen = _fold(model.spectral_model, arrays.energy_true, arrays.response, spline, scales, panels)
            signal = signal + np.asarray(seen)
    return signal


def reaches(model: SkyModel, dataset: SpectrumDataset | SpectrumDatasetOnOff) -> bool:
    """Whether a source shines into the region of a spectrum: its extent touches the region.

    Without a PSF such a source is taken whole: its spectrum is that of what the region holds of it, with whatever
    containment the exposure was corrected for. One without place, or with a spectrum whose region is a point or
    unknown, always does.
    """
    geom, position = dataset.geom, model.position
    if position is None or geom.region is None or isinstance(geom.region, sky_regions.PointSkyRegion):
        return True
    extent = np.sqrt(geom.solid_angle().to_value("deg2") / np.pi) + (model.evaluation_radius or 0.0)
    touches = bool(model.evaluation_radius) and geom.center_skydir.separation(position).deg < extent
    return bool(touches or np.all(geom.contains(position)))
