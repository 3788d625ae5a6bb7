"""Stacking of response maps.

With exposures A_d, responses R_d and masks w_d, of which those over reconstructed energies i stay in the response:

    exposure[t]    = sum_d A_d[t] max_i w_d[i]
    response[t, i] = sum_d w_d[i] A_d[t] R_d[t, i] / exposure[t]

so that flux x exposure x response is the sum of the masked predictions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gammax.errors import GeometryError
from gammax.maps import RegionGeom


def masked_maps(data: Any, exposure: Any, weights: Any) -> tuple[Any, Any]:
    """Response and exposure with weights; parameters and errors as `IRFMap.masked`."""
    cut = _weights(data, weights)
    kept = cut.max(axis=1, keepdims=True)
    share = np.divide(cut, kept, out=np.zeros_like(cut), where=kept > 0)
    return data.replace(data=data.data * share), exposure.replace(data=exposure.data * kept)


def _weights(data: Any, weights: Any) -> np.ndarray:
    """Weights in four dimensions that broadcast against the response."""
    array = np.asarray(weights.data, float)
    axes = weights.geom.axes
    if array.shape[-2:] != data.data.shape[-2:] or (
        not isinstance(data.geom, RegionGeom) and weights.geom.to_image().difference(data.geom.to_image())
    ):
        raise GeometryError("GX-IRF-120", "mask and response have different pixels", found=weights.geom, do="resample")
    known = data.geom.axes.names
    for name in axes.names:
        if name not in known:
            array = array.max(axis=axes.array_position(name), keepdims=True)
    shape = [1, 1]
    for k, name in enumerate(reversed(known)):
        if name in axes:
            shape[k] = axes[name].nbin
    if axes.names not in ((), known) and len([name for name in axes.names if name in known]) == 2:
        raise GeometryError("GX-IRF-121", "mask and response have axes in another order", found=axes, expected=known)
    for n, axis in zip(shape, reversed(data.geom.axes), strict=True):
        if n not in (1, axis.nbin):
            raise GeometryError(
                "GX-IRF-122", f"axis {axis.name!r} of mask and response differ", found=n, expected=axis.nbin
            )
    return array.reshape(*shape, *array.shape[-2:])


def stacked_maps(data: Any, exposure: Any, other: Any, other_exposure: Any) -> tuple[Any, Any]:
    """Response and exposure of two; the image of the other may be a part of the first."""
    if difference := data.geom.axes.difference(other.geom.axes):
        raise GeometryError("GX-IRF-123", "responses over different axes cannot be stacked", found=difference)
    whole, part = _shared(data.geom, other.geom)
    add = other_exposure.values(exposure.unit)
    add = add.reshape(other_exposure.data.shape)
    values = other.values(data.unit).reshape(other.data.shape)
    total, events = exposure.data.copy(), data.data * exposure.data
    total[whole] += add[part]
    events[whole] += (values * add)[part]
    mean = np.divide(events, total, out=np.zeros_like(events), where=total > 0)
    return data.replace(data=mean), exposure.replace(data=total)


def _shared(geom: Any, other: Any) -> tuple[Any, Any]:
    """Indices of the pixels that two geometries share."""
    if isinstance(geom, RegionGeom) != isinstance(other, RegionGeom):
        raise GeometryError("GX-IRF-124", "a region cannot be stacked on an image", found=other, expected=geom)
    if isinstance(geom, RegionGeom):
        return ..., ...
    slices = other.cutout_slices(geom)
    return (..., *slices["parent-slices"]), (..., *slices["cutout-slices"])
