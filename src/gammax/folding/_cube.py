"""Predicted counts of cubes and of regions with a PSF, bin by bin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax import Array

from gammax._config import require_x64
from gammax.folding._flux import choose_models
from gammax.folding._footprint import at_scale, counts_after, depends_on_energy, make_footprint
from gammax.folding._irf import Scales, energy_spline, irf_model, on_source, scaled_flux, scales_of
from gammax.folding._psf_table import comes_after
from gammax.folding._psf_width import PSFWidth
from gammax.folding._region_view import RegionView, view_of
from gammax.folding._view import View
from gammax.models import Models, SkyModel, n_panels

if TYPE_CHECKING:
    from gammax.datasets import MapDataset, MapDatasetOnOff, SpectrumDataset, SpectrumDatasetOnOff
    from gammax.models._sky_model import Component


def predict_cube(
    dataset: MapDataset | MapDatasetOnOff | SpectrumDataset | SpectrumDatasetOnOff,
    models: Models | Component | Iterable[Component],
    model_names: Iterable[str] | None = None,
    order: str = "exposure-first",
) -> np.ndarray:
    """Predicted signal counts of a cube, shape (R, ny, nx), masked bins included.

    Of a region, (R, 1, 1): the cube integrated over it, see `gammax.datasets.SpectrumDataset`.

    Parameters
    ----------
    models : sky models that do not apply to the dataset by their `datasets_names`, and models of backgrounds, add
        nothing; the `IRFModel` that applies changes how the others are seen.
    model_names : the sources to add up; None for all.
    order : "exposure-first" or "psf-first", see `gammax.likelihood.Likelihood`.

    Raises
    ------
    ModelError : a name that is no model's, a sky model without spatial model. GeometryError : a source off the image.
    """
    require_x64()
    edges = dataset.arrays.energy_true
    models = models if isinstance(models, Models) else Models(models)
    every = scales_of(irf_model(models, dataset.name))
    signal = np.zeros(dataset.geom.data_shape)
    for model in choose_models(models, model_names):
        if not isinstance(model, SkyModel) or not model.applies_to(dataset.name):
            continue
        scales, after = on_source(every, model), comes_after(dataset, model)
        seen = _view_after(dataset, model, order, scales) if after else make_footprint(dataset, model, order, scales)
        if seen is None:
            continue
        flux = scaled_flux([model.spectral_model], edges, n_panels(edges), scales)
        response = seen.response
        if scales.energy_scale_reco is not None:
            spline = energy_spline(dataset.energy_axis.edges_value("TeV"))
            response = spline.shifted(response.T, scales.energy_scale_reco).T
        if after:
            counts = counts_after(seen, model.spatial_model, response * flux)
        else:
            counts = np.asarray(_fold(seen.basis, response, flux))
        signal[:, seen.rows, seen.columns] += counts
    return signal


def _view_after(dataset: Any, model: SkyModel, order: str, scales: Scales) -> View | RegionView | None:
    """View through a PSF in reconstructed energy."""
    view = view_of(dataset, model, order, PSFWidth(1.0 if scales.psf_width is None else scales.psf_width))
    scale = scales.energy_scale_true if depends_on_energy(model) else None
    return None if view is None else at_scale(view, scale)


@jax.jit
def _fold(basis: Array, response: Array, flux: Array) -> Array:
    return jax.numpy.einsum("rt,tyx->ryx", response * flux, basis)
