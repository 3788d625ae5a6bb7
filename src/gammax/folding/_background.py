"""Predicted counts that no response applies to: backgrounds under their models, templates of counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from gammax._config import require_x64
from gammax.errors import ModelError
from gammax.maps import WcsGeom
from gammax.models import FoVBackgroundModel, Models, TemplateNPredModel

if TYPE_CHECKING:
    from gammax.datasets import MapDataset, SpectrumDataset
    from gammax.models._sky_model import Component


def predict_background(
    dataset: MapDataset | SpectrumDataset, models: Models | Component | Iterable[Component]
) -> np.ndarray:
    """Predicted counts of the background of a dataset and of templates of counts, shape of its geometry (R, ny, nx).

    Parameters
    ----------
    models : the `FoVBackgroundModel` of the dataset scales its background, which is taken as it is without one;
        `TemplateNPredModel` add to it.

    Raises
    ------
    ModelError : as `check_backgrounds`.
    """
    require_x64()
    models = models if isinstance(models, Models) else Models(models)
    applying = [model for model in models if model.applies_to(dataset.name)]
    check_backgrounds(dataset, applying)
    shape = dataset.geom.data_shape
    predicted = np.zeros(shape) if dataset.background is None else dataset.background.values("").reshape(shape)
    for model in applying:
        if isinstance(model, FoVBackgroundModel):
            predicted = predicted * model.evaluate_geom(dataset.geom)
    for model in applying:
        if isinstance(model, TemplateNPredModel):
            predicted = predicted + model.evaluate().values("")
    return predicted


def check_backgrounds(dataset: MapDataset | SpectrumDataset, models: Iterable[Component]) -> None:
    """Raise where models of counts do not fit the dataset they apply to.

    Raises
    ------
    ModelError : two background models, a spatial factor on a region, a template on another geometry.
    """
    scaling: list[str] = []
    for model in models:
        where = {"model": model.name, "dataset": dataset.name}
        if isinstance(model, FoVBackgroundModel):
            scaling.append(model.name)
            if model.spatial_model is not None and not isinstance(dataset.geom, WcsGeom):
                raise ModelError("GX-FOLD-018", "a region has no pixels for a spatial factor", **where)
        elif isinstance(model, TemplateNPredModel):
            is_image = isinstance(dataset.geom, WcsGeom)
            difference = model.map.geom.difference(dataset.geom) if is_image else "an image against a region"
            if difference:
                raise ModelError(
                    "GX-FOLD-012",
                    "the template is on another geometry than the dataset",
                    found=difference,
                    **where,
                )
    if len(scaling) > 1:
        raise ModelError(
            "GX-FOLD-019",
            "two models scale one background",
            dataset=dataset.name,
            found=", ".join(scaling),
            expected="one, whose spectral model may be a product",
        )
