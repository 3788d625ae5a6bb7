"""Backgrounds of cubes that nobody named."""

from __future__ import annotations

from gammax.datasets import Datasets, MapDataset
from gammax.models import FoVBackgroundModel, Models


def with_backgrounds(models: Models, datasets: Datasets) -> Models:
    """Models, with a free norm for the background of every cube that has one and that no model scales.

    Datasets with nothing inside their masks get none: there it could not be fitted.
    """
    known = models.background_models
    added = [
        FoVBackgroundModel(dataset.name)
        for dataset in datasets
        if isinstance(dataset, MapDataset)
        and dataset.background is not None
        and dataset.mask.any()
        and not any(model.applies_to(dataset.name) for model in known)
    ]
    return models + added if added else models
