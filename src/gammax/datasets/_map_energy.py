"""Bins of reconstructed energy merged, masks and all."""

from __future__ import annotations

from typing import Any

import numpy as np

from gammax.datasets._map_mask import energy_shares, is_cut_in_energy
from gammax.datasets._map_off import grouped
from gammax.errors import GeometryError, SchemaError
from gammax.irf import EDispKernelMap
from gammax.maps import MapAxis


def resample_energy_axis(dataset: Any, energy_axis: MapAxis, name: str) -> Any:
    """Dataset over merged bins; parameters and errors as `MapDataset.resample_energy_axis`."""
    edges = _group_edges(dataset.energy_axis, energy_axis)

    def add(values: np.ndarray) -> np.ndarray:
        function = np.logical_or if values.dtype == bool else np.add
        return function.reduceat(values[: edges[-1]], edges[:-1], axis=0)

    axis = MapAxis(
        dataset.energy_axis.edges_value(dataset.energy_axis.unit)[edges],
        "energy",
        dataset.energy_axis.interp,
        dataset.energy_axis.unit,
    )
    geom = dataset.geom.replace_axes((axis,))
    weights = _weights(dataset, edges, add)
    changes = grouped(dataset, weights, geom, add)
    for field in ("mask_safe", "mask_fit"):
        if (mask := getattr(dataset, field)) is not None:
            values = weights if field == "mask_safe" else mask.values()
            changes[field] = mask.replace(geom=geom, data=add(values).reshape(geom.data_shape))
    return dataset.replace(name=name, edisp=_edisp(dataset, weights, edges, axis), **changes)


def _group_edges(old: MapAxis, new: MapAxis) -> np.ndarray:
    """Numbers of the edges of an axis that are those of another.

    Raises
    ------
    GeometryError : an edge of the new axis is none of the old one.
    """
    have, want = old.edges_value("TeV"), new.edges_value("TeV")
    edges = np.argmin(np.abs(np.log(have)[:, np.newaxis] - np.log(want)), axis=0)
    off = ~np.isclose(have[edges], want, rtol=1e-6, atol=0)
    if off.any():
        raise GeometryError(
            "GX-DATASETS-240",
            "the new energy edges must be edges of the dataset",
            found=f"{want[np.argmax(off)]:.6g} TeV",
            expected=", ".join(f"{edge:.6g}" for edge in have),
        )
    return edges


def _weights(dataset: Any, edges: np.ndarray, add: Any) -> np.ndarray:
    """Bins that count: mask_safe, and where mask_fit holds a part of a group, that part alone."""
    safe = np.ones(dataset.mask.shape, bool) if dataset.mask_safe is None else dataset.mask_safe.values()
    if dataset.mask_fit is None:
        return safe
    fit = dataset.mask_fit.values()
    some = np.zeros(fit.shape, bool)
    some[edges[0] : edges[-1]] = np.repeat(add(fit), np.diff(edges), axis=0)
    return safe & (fit | ~some)


def _edisp(dataset: Any, weights: np.ndarray, edges: np.ndarray, axis: MapAxis) -> Any:
    """Energy dispersion into the merged bins; of a group that the mask cuts, the bins inside alone."""
    edisp, first = dataset.edisp, edges[0]
    inside = weights[first : edges[-1]]
    cut = any(
        is_cut_in_energy(inside[low:high]) for low, high in zip(edges[:-1] - first, edges[1:] - first, strict=True)
    )
    if edisp is None and cut and dataset.exposure is not None:
        raise SchemaError(
            "GX-DATASETS-241",
            "without energy dispersion, bins inside and outside the mask cannot be merged",
            dataset=dataset.name,
            do="give the dataset an EDispKernelMap.from_diagonal_response",
        )
    if edisp is None or not (cut or isinstance(edisp, EDispKernelMap)):
        return edisp
    if not isinstance(edisp, EDispKernelMap):
        edisp = edisp.to_edisp_kernel_map(dataset.energy_axis)
    if cut:
        share, _ = energy_shares(dataset, weights, edisp.geom)
        edisp = edisp._with(edisp.edisp_map.replace(data=edisp.edisp_map.data * share), edisp.exposure_map)
    return edisp.resample_energy_axis(axis)
