"""Predicted counts of cubes, bin by bin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import jax
import numpy as np
from jax import Array

from gammax._config import require_x64
from gammax.errors import ModelError
from gammax.folding._footprint import make_footprint
from gammax.folding._spectrum import choose_models, total_flux
from gammax.models import FoVBackgroundModel, Models, SkyModel, TemplateNPredModel, n_panels

if TYPE_CHECKING:
    from gammax.datasets import MapDataset, MapDatasetOnOff
    from gammax.models._sky_model import Component


def predict_cube(
    dataset: MapDataset | MapDatasetOnOff,
    models: Models | Component | Iterable[Component],
    model_names: Iterable[str] | None = None,
    order: str = "exposure-first",
) -> np.ndarray:
    """Predicted signal counts of a cube, shape (R, ny, nx), masked bins included.

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
    signal = np.zeros(dataset.arrays.counts.shape)
    for model in choose_models(models, model_names):
        if not isinstance(model, SkyModel) or not model.applies_to(dataset.name):
            continue
        seen = make_footprint(dataset, model, order)
        if seen is not None:
            flux = total_flux([model.spectral_model], edges, n_panels(edges))
            signal[:, seen.rows, seen.columns] += np.asarray(_fold(seen.basis, seen.response, flux))
    return signal


@jax.jit
def _fold(basis: Array, response: Array, flux: Array) -> Array:
    return jax.numpy.einsum("rt,tyx->ryx", response * flux, basis)


def predict_cube_background(dataset: MapDataset, models: Models | Component | Iterable[Component]) -> np.ndarray:
    """Predicted counts of the background of a cube and of templates of counts, shape (R, ny, nx).

    Parameters
    ----------
    models : the `FoVBackgroundModel` of the dataset scales its background, which is taken as it is without one;
        `TemplateNPredModel` add to it.

    Raises
    ------
    ModelError : a template on another geometry.
    """
    require_x64()
    shape = dataset.arrays.counts.shape
    given = dataset.background
    background = np.zeros(shape) if given is None else given.values("").reshape(shape)
    templates = np.zeros(shape)
    for model in models if isinstance(models, Models) else Models(models):
        if not model.applies_to(dataset.name):
            continue
        if isinstance(model, FoVBackgroundModel):
            background = background * model.evaluate_geom(dataset.geom)
        elif isinstance(model, TemplateNPredModel):
            if difference := model.map.geom.difference(dataset.geom):
                raise ModelError(
                    "GX-FOLD-012",
                    "the template is on another geometry than the dataset",
                    model=model.name,
                    dataset=dataset.name,
                    found=difference,
                )
            templates = templates + model.evaluate().values("")
    return background + templates
