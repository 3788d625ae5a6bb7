"""Spectra through responses: mu_i = sum_t R[i, t] Phi[t] (one region, so exposure and containment are in R)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from regions import PointSkyRegion

from gammax._config import require_x64
from gammax.errors import ModelError, did_you_mean
from gammax.models import Models, SkyModel, SpectralModel, n_panels

if TYPE_CHECKING:
    from gammax.datasets import SpectrumDataset, SpectrumDatasetOnOff


def total_flux(spectral_models: Iterable[SpectralModel], edges: Array, panels: int) -> Array:
    """Flux of several spectra in true-energy bins.

    Parameters
    ----------
    spectral_models : what adds up.
    edges : true-energy edges [TeV], shape (T + 1,).
    panels : quadrature panels per bin, `gammax.models.n_panels`.

    Returns
    -------
    shape (T,) [cm-2 s-1].
    """
    fluxes = [model.integral_values(edges, panels) for model in spectral_models]
    return sum(fluxes, start=jnp.zeros(edges.shape[0] - 1))


def fold_flux(flux: Array, response: Array) -> Array:
    """Predicted counts (..., R) of a flux (T,) [cm-2 s-1] through responses (..., R, T) [cm2 s]."""
    return response @ flux


@partial(jax.jit, static_argnames="panels")
def fold_spectrum(model: SpectralModel, edges: Array, response: Array, panels: int) -> Array:
    """Predicted counts (..., R) of one spectrum; arguments as `total_flux` and `fold_flux`."""
    return fold_flux(total_flux([model], edges, panels), response)


def predict_signal(
    dataset: SpectrumDataset | SpectrumDatasetOnOff,
    models: Models | SkyModel | Iterable[SkyModel],
    model_names: Iterable[str] | None = None,
) -> np.ndarray:
    """Predicted signal counts of a dataset, shape (R,), masked bins included.

    Parameters
    ----------
    dataset : a spectrum.
    models : those that do not apply to the dataset by their `datasets_names`, or do not reach its region, add nothing.
    model_names : the models to add up; None for all.

    Raises
    ------
    ModelError : a name that is no model's.
    """
    require_x64()
    arrays = dataset.arrays
    panels = n_panels(arrays.energy_true)
    signal = np.zeros(arrays.response.shape[0])
    for model in choose_models(models, model_names):
        if isinstance(model, SkyModel) and model.applies_to(dataset.name) and reaches(model, dataset):
            signal = signal + np.asarray(
                fold_spectrum(model.spectral_model, arrays.energy_true, arrays.response, panels)
            )
    return signal


def reaches(model: SkyModel, dataset: SpectrumDataset | SpectrumDatasetOnOff) -> bool:
    """Whether a source shines into the region of a spectrum: its extent touches the region.

    A source that does is taken whole, as its exposure is that of a source in the region; one without place, or with a
    spectrum whose region is a point or unknown, always does.
    """
    geom, position = dataset.geom, model.position
    if position is None or geom.region is None or isinstance(geom.region, PointSkyRegion):
        return True
    extent = np.sqrt(geom.solid_angle().to_value("deg2") / np.pi) + (model.evaluation_radius or 0.0)
    touches = bool(model.evaluation_radius) and geom.center_skydir.separation(position).deg < extent
    return bool(touches or np.all(geom.contains(position)))


def choose_models(models: Any, names: Iterable[str] | None) -> list[Any]:
    """The models of some names, all without names.

    Raises
    ------
    ModelError : a name that is no model's.
    """
    models = models if isinstance(models, Models) else Models(models)
    chosen = models.names if names is None else tuple(names)
    for name in chosen:
        if name not in models.names:
            raise ModelError("GX-FOLD-001", f"no model named {name!r}", do=did_you_mean(name, models.names))
    return [model for model in models if model.name in chosen]
