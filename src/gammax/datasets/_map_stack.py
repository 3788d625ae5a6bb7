"""Stacking of cubes: the sum of their masked forms (`gammax.datasets._map_mask`).

    exposure[t, p] = sum_d m_d[p] exposure_d[t, p]
    psf, edisp     = means weighted with the exposures of the responses, masks included

The stack predicts the sum of the masked predictions as far as the exposures of the datasets change alike over a pixel
of the responses and one PSF stands for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from astropy.table import Table

from gammax.datasets._map_mask import is_cut_in_energy, masked
from gammax.datasets._stack import require_one_kind, require_same_axes, stack_meta
from gammax.datasets._statistics import acceptance_off
from gammax.datasets._tables import stack_gti, stack_tables
from gammax.errors import DataValueError, GeometryError, SchemaError
from gammax.irf import EDispKernelMap
from gammax.maps import WcsNDMap


def stack_maps(datasets: Sequence[Any], name: str) -> Any:
    """One dataset for all, on the image of the first, of which those of the others must be parts.

    Masks, and datasets without any bin left, as `gammax.datasets.stack` has it; but the stack of none is the first,
    made empty.
    """
    require_one_kind(datasets)
    first = datasets[0]
    for other in datasets[1:]:
        require_same_axes(first, other)
    kept = [dataset for dataset in datasets if dataset.mask.any()]
    weights, mask_fit = _weights(first, kept)
    _require_same_parts([first, *kept], weights)
    kernel = any(isinstance(d.edisp, EDispKernelMap) for d in datasets) or any(map(is_cut_in_energy, weights))
    stacked = None
    for dataset, mask in zip(kept, weights, strict=True):
        if stacked is None:
            stacked = _start(first, dataset, mask, kernel)
        if dataset is not first:
            stacked = _add(stacked, _part(dataset, mask, kernel))
    if stacked is None:
        return masked(first, first.mask, name)
    livetimes = [dataset.livetime for dataset in kept]
    return stacked.replace(
        name=name,
        mask_fit=mask_fit,
        gti=_union(stack_gti([dataset.gti for dataset in kept])),
        meta_table=stack_tables([dataset.meta_table for dataset in kept]),
        livetime=None if None in livetimes else float(np.sum(livetimes)),
        meta=stack_meta(datasets, kept),
    )


def stack_stream(reference: Any, datasets: Iterable[Any], name: str) -> Any:
    """As `stack_maps`, of datasets that are taken one by one: no two of them need be in memory.

    Each counts within its own mask_safe and mask_fit.

    Parameters
    ----------
    reference : dataset on the whole image; of it only the geometries matter.

    Raises
    ------
    DataValueError : no dataset has a bin left. Others as `gammax.datasets.stack`.
    """
    stacked, first_mask, skipped = None, None, []
    facts: dict[str, list[Any]] = {"name": [], "gti": [], "meta_table": [], "livetime": []}
    for dataset in datasets:
        mask = dataset.mask
        if not mask.any():
            skipped.append(dataset.name)
            continue
        first_mask = mask if first_mask is None else first_mask
        stacked = _emptied(reference, dataset) if stacked is None else stacked
        require_one_kind([stacked, dataset])
        require_same_axes(stacked, dataset)
        _require_same_parts([stacked, dataset], [first_mask, mask])
        kernel = isinstance(stacked.edisp, EDispKernelMap) or is_cut_in_energy(mask)
        stacked = _add(_with_kernels(stacked, kernel), _part(dataset, mask, kernel))
        for field, values in facts.items():
            values.append(getattr(dataset, field))
    if stacked is None:
        raise DataValueError(
            "GX-DATASETS-233", "nothing to stack: the masks leave no bin of any dataset", datasets=", ".join(skipped)
        )
    return stacked.replace(
        name=name,
        gti=_union(stack_gti(facts["gti"])),
        meta_table=stack_tables(facts["meta_table"]),
        livetime=None if None in facts["livetime"] else float(np.sum(facts["livetime"])),
        meta={"stacked": facts["name"], **({"skipped": skipped} if skipped else {})},
    )


def _emptied(reference: Any, like: Any) -> Any:
    """Dataset of zeros on the pixels of one, with the kind and the parts of another."""
    parts = {field: None for field in ("exposure", "psf", "edisp", "background") if getattr(like, field) is None}
    empty = reference.replace(mask_fit=None, **parts)
    empty = masked(empty, np.zeros(empty.mask.shape, bool), empty.name)
    if like.stat_type == "wstat" and empty.stat_type != "wstat":
        return type(like).from_map_dataset(empty, acceptance=0.0, acceptance_off=0.0, counts_off=0.0)
    return empty


def _weights(first: Any, kept: Sequence[Any]) -> tuple[list[np.ndarray], Any]:
    """Bins that each dataset contributes, and the fit mask that they share."""
    fits = [dataset.mask_fit for dataset in kept]
    if not any(fit is not None for fit in fits):
        return [dataset.mask for dataset in kept], None
    if all(fit is not None and fit.is_allclose(fits[0]) for fit in fits):
        return [d.replace(mask_fit=None).mask for d in kept], _sum(_zeros(first, bool), fits[0])
    return [dataset.mask for dataset in kept], None


def _zeros(dataset: Any, dtype: type) -> Any:
    return dataset._to_map(np.zeros(dataset.mask.shape, dtype))


def _require_same_parts(datasets: Sequence[Any], weights: Sequence[np.ndarray]) -> None:
    for field in ("exposure", "psf", "edisp"):
        missing = [dataset.name for dataset in datasets if getattr(dataset, field) is None]
        if missing and any(getattr(dataset, field) is not None for dataset in datasets):
            raise SchemaError(
                "GX-DATASETS-230", f"cannot stack datasets with and without {field}", found=f"none in {missing[0]!r}"
            )
    first = datasets[0]
    if first.exposure is not None and first.edisp is None and not _share_energies(weights):
        raise SchemaError(
            "GX-DATASETS-231",
            "without energy dispersion, datasets with different masks in energy cannot be stacked",
            do="give each an EDispKernelMap.from_diagonal_response",
        )


def _share_energies(weights: Sequence[np.ndarray]) -> bool:
    """Whether all masks hold the same energies, in all of their pixels."""
    energies = [mask.reshape(len(mask), -1).any(axis=1) for mask in weights]
    products = all(
        np.array_equal(mask, mask.any(axis=0) & energy.reshape(-1, *[1] * (mask.ndim - 1)))
        for mask, energy in zip(weights, energies, strict=True)
    )
    return products and all(np.array_equal(energy, energies[0]) for energy in energies)


def _start(first: Any, dataset: Any, mask: np.ndarray, kernel: bool) -> Any:
    """The first dataset, masked; emptied where it contributes nothing."""
    if dataset is first:
        return _part(first, mask, kernel)
    return _part(first, np.zeros(first.mask.shape, bool), kernel)


def _part(dataset: Any, mask: np.ndarray, kernel: bool) -> Any:
    return _with_kernels(masked(dataset, mask, dataset.name), kernel)


def _with_kernels(part: Any, kernel: bool) -> Any:
    if kernel and part.edisp is not None and not isinstance(part.edisp, EDispKernelMap):
        return part.replace(edisp=part.edisp.to_edisp_kernel_map(part.energy_axis))
    return part


def _add(stacked: Any, part: Any) -> Any:
    """Sum of two masked datasets."""
    changes = {}
    for field in ("mask_safe", "exposure", *stacked.counted_fields):
        mine, other = getattr(stacked, field), getattr(part, field)
        if other is not None:
            changes[field] = _sum(_zeros(stacked, float) if mine is None else mine, other)
    if stacked.exposure is not None:
        meta = {**part.exposure.meta, **stacked.exposure.meta}
        changes["exposure"] = changes["exposure"].replace(meta=meta)
    for field in ("psf", "edisp"):
        if getattr(stacked, field) is not None:
            changes[field] = getattr(stacked, field).stack(getattr(part, field))
    if stacked.stat_type == "wstat":
        changes["acceptance_off"] = _balanced(changes, _sum(stacked.background, part.background).values())
    return stacked.replace(mask_fit=None, **changes)


def _sum(mine: Any, other: Any) -> Any:
    if isinstance(mine, WcsNDMap):
        return mine.stack(other, nan_to_num=False)
    if difference := mine.geom.difference(other.geom):
        raise GeometryError("GX-DATASETS-232", "datasets of different regions cannot be stacked", found=difference)
    add = np.logical_or if mine.is_mask else np.add
    return mine.replace(data=add(mine.values(), other.values(mine.unit or None)))


def _balanced(sums: dict[str, Any], background: np.ndarray) -> Any:
    """OFF acceptance that conserves the excess; bins without OFF counts take the mean alpha of the others."""
    on, off = sums["acceptance"].values(), sums["counts_off"].values()
    total = background.sum()
    fallback = on * (off.sum() / total) if total > 0 else sums["acceptance_off"].values()
    return sums["acceptance_off"].replace(data=acceptance_off(on, off, background, fallback))


def _union(gti: Table | None) -> Table | None:
    """Intervals of a table in order of their start, those that overlap or touch joined."""
    if gti is None or len(gti) < 2:
        return gti
    start, stop = np.asarray(gti["START"], float), np.maximum.accumulate(np.asarray(gti["STOP"], float))
    first = np.append(True, start[1:] > stop[:-1])
    last = np.append(first[1:], True)
    return Table({"START": start[first], "STOP": stop[last]}, units=["s", "s"], meta=gti.meta)
