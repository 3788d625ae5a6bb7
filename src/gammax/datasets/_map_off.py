"""Bins of a cube taken together: sums of counts, and the OFF acceptance that conserves the excess."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gammax.datasets._statistics import acceptance_off


def grouped(dataset: Any, weights: np.ndarray, geom: Any, add: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
    """Counted fields of a dataset with bins taken together.

    Parameters
    ----------
    weights : bins that count, bool, shape of the counts.
    geom : geometry of the result, a `WcsGeom` or `RegionGeom`.
    add : sums the values, of shape (R, ny, nx), of bins that come together.
    """
    from gammax.maps import RegionGeom, RegionNDMap, WcsNDMap

    make = RegionNDMap if isinstance(geom, RegionGeom) else WcsNDMap
    sums = {
        field: add(np.where(weights, data.values(), 0.0).reshape(data.data.shape))
        for field in dataset.counted_fields
        if (data := getattr(dataset, field)) is not None
    }
    if dataset.stat_type == "wstat":
        background = add(np.where(weights, dataset.background.values(), 0.0))
        sums["acceptance_off"] = acceptance_off(
            sums["acceptance"], sums["counts_off"], background, sums["acceptance_off"]
        )
    return {field: make(geom, data.reshape(geom.data_shape)) for field, data in sums.items()}
