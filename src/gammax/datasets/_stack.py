"""Stacking: one spectrum that stands for several, masks and all.

With weights w_d (the mask of dataset d, 0 or 1 per reconstructed bin i) and true-energy bins t:

    counts[i]   = sum_d w_d[i] counts_d[i]                 (and background, OFF counts, acceptance)
    exposure[t] = sum_d exposure_d[t]
    edisp[t, i] = sum_d w_d[i] exposure_d[t] edisp_d[t, i] / exposure[t]

so that the stacked response predicts exactly the sum of the masked predictions, also where the datasets have different
energy thresholds. The stacked acceptance_off conserves the excess: alpha = sum w alpha_d off_d / sum w off_d. PSFs are
averaged with their exposures as weights, which is exact where the thresholds or the PSFs are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gammax.datasets._arrays import kernel_of
from gammax.datasets._base import SpectrumBase
from gammax.datasets._dataset import DatasetBase
from gammax.datasets._tables import stack_gti, stack_tables
from gammax.errors import DataValueError, GeometryError, SchemaError
from gammax.irf import EDispKernel
from gammax.maps import RegionGeom, RegionNDMap


def stack(datasets: Sequence[DatasetBase], name: str = "stacked") -> Any:
    """One dataset for all. Pure, and the same whatever the order; of cubes, the first must hold the others.

    The mask_safe of the stack holds the bins that any dataset covers. Fit masks: where all datasets have the same one
    the stack keeps it and sums within mask_safe; where they differ, each dataset counts within its own mask_safe and
    mask_fit. Datasets without any bin left are skipped; ``meta`` names them.

    Raises
    ------
    SchemaError : no dataset, or datasets of different kinds, or with and without PSF. GeometryError : axes that differ.
    DataValueError : no dataset has a bin left.
    """
    datasets = list(datasets)
    require_one_kind(datasets)
    if not any(dataset.mask.any() for dataset in datasets):
        raise DataValueError(
            "GX-DATASETS-050",
            "nothing to stack: the masks leave no bin of any dataset",
            datasets=", ".join(dataset.name for dataset in datasets),
        )
    if not isinstance(datasets[0], SpectrumBase):
        from gammax.datasets._map_stack import stack_maps

        return stack_maps(datasets, name)
    kept = [dataset for dataset in datasets if dataset.mask.any()]
    for other in kept[1:]:
        require_same_axes(kept[0], other)
    weights, mask_fit = _weights(kept)
    changes = _stack_off(kept, weights) if kept[0].stat_type == "wstat" else _stack_background(kept, weights)
    livetimes = [dataset.livetime for dataset in kept]
    return kept[0].replace(
        name=name,
        counts=_sum(kept, weights, "counts"),
        exposure=kept[0].exposure.replace(data=_exposures(kept).sum(axis=0)),
        edisp=_stack_edisp(kept, weights),
        psf=_stack_psf(kept),
        mask_safe=RegionNDMap(kept[0].geom, weights.any(axis=0)),
        mask_fit=mask_fit,
        gti=stack_gti([dataset.gti for dataset in kept]),
        meta_table=stack_tables([dataset.meta_table for dataset in kept]),
        livetime=None if None in livetimes else float(np.sum(livetimes)),
        meta=stack_meta(datasets, kept),
        **changes,
    )


def require_one_kind(datasets: Sequence[DatasetBase]) -> None:
    """Raise SchemaError unless there are datasets, all of one kind."""
    if not datasets:
        raise SchemaError("GX-DATASETS-051", "nothing to stack: no dataset was given")
    for other in datasets[1:]:
        if other.tag != datasets[0].tag:
            raise SchemaError(
                "GX-DATASETS-052",
                "datasets of different kinds cannot be stacked",
                found=f"{datasets[0].tag} {datasets[0].name!r} and {other.tag} {other.name!r}",
            )


def require_same_axes(mine: Any, other: Any) -> None:
    """Raise GeometryError unless two datasets have the same energy axes; the true one where both have an exposure."""
    both = mine.exposure is not None and other.exposure is not None
    for axis in ("energy_axis", "energy_axis_true") if both else ("energy_axis",):
        left, right = getattr(mine, axis), getattr(other, axis)
        if difference := left.difference(right):
            raise GeometryError(
                "GX-DATASETS-053",
                f"cannot stack {other.name!r} on {mine.name!r}: axis {left.name!r} differs",
                found=difference,
                do="bring both to the same energy axes first",
            )


def _weights(datasets: Sequence[SpectrumBase]) -> tuple[np.ndarray, RegionNDMap | None]:
    """Bins that each dataset contributes, shape (D, R), and the fit mask that they share."""
    fit = [None if dataset.mask_fit is None else dataset.mask_fit.values() for dataset in datasets]
    shared = all((other is None) == (fit[0] is None) and np.array_equal(other, fit[0]) for other in fit)
    if not shared:
        return np.array([dataset.mask for dataset in datasets]), None
    return np.array([dataset.replace(mask_fit=None).mask for dataset in datasets]), datasets[0].mask_fit


def _masked(datasets: Sequence[SpectrumBase], weights: np.ndarray, field: str) -> np.ndarray:
    """Values of a field, shape (D, R), zero where a dataset does not contribute."""
    values = [
        np.zeros(len(w)) if (data := getattr(dataset, field)) is None else data.values("")
        for dataset, w in zip(datasets, weights, strict=True)
    ]
    return np.where(weights, values, 0.0)


def _sum(datasets: Sequence[SpectrumBase], weights: np.ndarray, field: str) -> RegionNDMap:
    return RegionNDMap(_geom(datasets, field), _masked(datasets, weights, field).sum(axis=0))


def _geom(datasets: Sequence[SpectrumBase], field: str) -> RegionGeom:
    """Geometry of a field; without region where the datasets have different ones."""
    geoms = [value.geom for dataset in datasets if (value := getattr(dataset, field)) is not None]
    same = all(geoms[0].is_allclose(other) for other in geoms[1:])
    return geoms[0] if same else RegionGeom(None, geoms[0].axes)


def _exposures(datasets: Sequence[SpectrumBase]) -> np.ndarray:
    return np.array([dataset.exposure.values(datasets[0].exposure.unit) for dataset in datasets])


def _stack_edisp(datasets: Sequence[SpectrumBase], weights: np.ndarray) -> EDispKernel | None:
    if weights.all() and all(dataset.edisp is None for dataset in datasets):
        return None
    exposures = _exposures(datasets)
    kernels = np.array([kernel_of(dataset).pdf_matrix for dataset in datasets])
    summed = np.einsum("dt,dti,di->ti", exposures, kernels, weights.astype(np.float64))
    total = np.broadcast_to(exposures.sum(axis=0)[:, np.newaxis], summed.shape)
    matrix = np.divide(summed, total, out=np.zeros_like(summed), where=total > 0)
    return EDispKernel((datasets[0].energy_axis_true, datasets[0].energy_axis), matrix)


def _stack_psf(datasets: Sequence[SpectrumBase]) -> Any:
    """PSF for all.

    Raises
    ------
    SchemaError : not every dataset has one. GeometryError : they are those of different regions.
    """
    missing = [dataset.name for dataset in datasets if dataset.psf is None]
    if len(missing) == len(datasets):
        return None
    if missing:
        raise SchemaError(
            "GX-DATASETS-054", "cannot stack datasets with and without psf", found=f"none in {missing[0]!r}"
        )
    if _geom(datasets, "counts").region is None:
        raise GeometryError(
            "GX-DATASETS-055", "spectra with a PSF cannot be stacked over different regions", do="fit them together"
        )
    psf: Any = datasets[0].psf
    for other in datasets[1:]:
        psf = psf.stack(other.psf)
    return psf


def _stack_background(datasets: Sequence[SpectrumBase], weights: np.ndarray) -> dict[str, Any]:
    if all(dataset.background is None for dataset in datasets):
        return {"background": None}
    return {"background": _sum(datasets, weights, "background")}


def _stack_off(datasets: Sequence[SpectrumBase], weights: np.ndarray) -> dict[str, Any]:
    acceptance = _sum(datasets, weights, "acceptance")
    counts_off = _sum(datasets, weights, "counts_off")
    background = _masked(datasets, weights, "background").sum(axis=0)
    on, off = acceptance.values(), counts_off.values()
    if off.sum() > 0:
        # a bin without OFF counts has no alpha of its own: it takes the mean of the others, weighted by OFF counts
        fallback = on * (off.sum() / background.sum())
    else:
        fallback = _masked(datasets, weights, "acceptance_off").sum(axis=0)
    acceptance_off = np.where(off > 0, on * off / np.where(off > 0, background, 1.0), fallback)
    return {
        "acceptance": acceptance,
        "counts_off": counts_off,
        "acceptance_off": RegionNDMap(_geom(datasets, "acceptance_off"), acceptance_off),
    }


def stack_meta(datasets: Sequence[DatasetBase], kept: Sequence[DatasetBase]) -> dict[str, Any]:
    """Names of the datasets in a stack, and of those that no mask left in."""
    skipped = [dataset.name for dataset in datasets if not dataset.mask.any()]
    return {"stacked": [dataset.name for dataset in kept], **({"skipped": skipped} if skipped else {})}
