"""Predicted counts of cubes and of regions with a PSF, bin by bin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import jax
import numpy as np
from jax import Array

from gammax._config import require_x64
from gammax.folding._flux import choose_models, total_flux
from gammax.folding._footprint import counts_after, make_footprint
from gammax.folding._psf_table import comes_after
from gammax.folding._region_view import view_of
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
        nothing.
    model_names : the models to add up; None for all.
    order : "exposure-first" or "psf-first", see `gammax.likelihood.Likelihood`.

    Raises
    ------
    ModelError : a name that is no model's, a sky model without spatial model. GeometryError : a source off the image.
    """
    require_x64()
    edges = dataset.arrays.energy_true
    signal = np.zeros(dataset.geom.data_shape)
    for model in choose_models(models, model_names):
        if not isinstance(model, SkyModel) or not model.applies_to(dataset.name):
            continue
        after = comes_after(dataset, model)
        seen = (view_of if after else make_footprint)(dataset, model, order)
        if seen is None:
            continue
        flux = total_flux([model.spectral_model], edges, n_panels(edges))
        if after:
            counts = counts_after(seen, model.spatial_model, seen.response * flux)
        else:
            counts = np.asarray(_fold(seen.basis, seen.response, flux))
        signal[:, seen.rows, seen.columns] += counts
    return signal


@jax.jit
def _fold(basis: Array, response: Array, flux: Array) -> Array:
    return jax.numpy.einsum("rt,tyx->ryx", response * flux, basis)
