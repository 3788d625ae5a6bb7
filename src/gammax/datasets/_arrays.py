"""A spectrum as plain arrays: all that the likelihood needs of it, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gammax.errors import DataValueError
from gammax.irf import EDispKernel

if TYPE_CHECKING:
    from gammax.datasets._base import SpectrumBase


class SpectrumArrays(NamedTuple):
    """Arrays of one spectrum with R reconstructed and T true energy bins; float64, canonical units, read-only.

    Outside the mask the values are harmless (0, alpha 1), so that they can be computed with and thrown away.
    """

    energy_true: np.ndarray  # (T + 1,) edges [TeV]
    response: np.ndarray  # (R, T) exposure x energy dispersion [cm2 s]
    counts: np.ndarray  # (R,)
    mask: np.ndarray  # (R,) bool: bins that enter the statistic
    background: np.ndarray | None  # (R,) expected background counts (cash)
    counts_off: np.ndarray | None  # (R,) (wstat)
    alpha: np.ndarray | None  # (R,) acceptance / acceptance_off (wstat)


def spectrum_arrays(dataset: SpectrumBase) -> SpectrumArrays:
    """Arrays of a dataset.

    Raises
    ------
    DataValueError : NaN or negative counts or background, or an alpha that is not positive and finite, inside the
    mask; an exposure that is negative or not finite, or zero in every bin (`EDispKernel` checks the dispersion); a
    response that is zero all over the mask.
    """
    mask = dataset.mask
    values = {name: _values(dataset, name, mask) for name in ("counts", "background", "counts_off")}
    alpha = _alpha(dataset, mask) if dataset.stat_type == "wstat" else None
    arrays = SpectrumArrays(
        energy_true=dataset.exposure.geom.axes["energy_true"].edges_value("TeV"),
        response=_response(dataset, mask),
        mask=mask,
        alpha=alpha,
        **values,
    )
    for array in arrays:
        if array is not None:
            array.setflags(write=False)
    return arrays


def first_bad(bad: np.ndarray) -> int | None:
    """Index of the first True, None where there is none."""
    return int(np.argmax(bad)) if bad.any() else None


def kernel_of(dataset: SpectrumBase) -> EDispKernel:
    """Energy dispersion of a dataset; without one, true and reconstructed energy are the same."""
    if dataset.edisp is not None:
        return dataset.edisp
    return EDispKernel.from_diagonal_response(dataset.energy_axis_true, dataset.energy_axis)


def _values(dataset: SpectrumBase, name: str, mask: np.ndarray) -> np.ndarray | None:
    if name == "background" and dataset.stat_type == "wstat":
        return None
    data = getattr(dataset, name, None)
    if data is None:
        return np.zeros(len(mask)) if name == "background" else None
    values = data.values("")
    k = first_bad(mask & ~(np.isfinite(values) & (values >= 0)))
    if k is not None:
        raise DataValueError(
            "GX-DATASETS-001",
            f"{name} is not a finite number >= 0 inside the mask",
            dataset=dataset.name,
            index=k,
            energy=_bin(dataset, k),
            found=values[k],
            do="exclude the bin by mask_safe",
        )
    return np.where(mask, values, 0.0)


def _alpha(dataset: SpectrumBase, mask: np.ndarray) -> np.ndarray:
    alpha = dataset.alpha.values()
    k = first_bad(mask & ~(np.isfinite(alpha) & (alpha > 0)))
    if k is not None:
        on, off = (getattr(dataset, name).values()[k] for name in ("acceptance", "acceptance_off"))
        raise DataValueError(
            "GX-DATASETS-002",
            "alpha is not a finite number > 0 inside the mask",
            dataset=dataset.name,
            index=k,
            energy=_bin(dataset, k),
            found=f"acceptance {on:g} / acceptance_off {off:g}",
            do="exclude the bin by mask_safe",
        )
    return np.where(mask, alpha, 1.0)


def _response(dataset: SpectrumBase, mask: np.ndarray) -> np.ndarray:
    exposure = dataset.exposure.values("cm2 s")
    kernel = kernel_of(dataset).pdf_matrix
    k = first_bad(~(np.isfinite(exposure) & (exposure >= 0)))
    if k is not None:
        raise DataValueError(
            "GX-DATASETS-003",
            "exposure is not a finite number >= 0",
            dataset=dataset.name,
            index=k,
            found=f"{exposure[k]:g} cm2 s",
        )
    if mask.any() and not exposure.any():
        raise DataValueError("GX-DATASETS-004", "exposure is zero in every true energy bin", dataset=dataset.name)
    response = np.ascontiguousarray((kernel * exposure[:, np.newaxis]).T)
    if mask.any() and not response[mask].any():
        raise DataValueError(
            "GX-DATASETS-005",
            "the response is zero in every bin of the mask",
            dataset=dataset.name,
            expected="bins whose counts some true energy can reach",
            do="look at the energy dispersion and at the masks",
        )
    return response


def _bin(dataset: SpectrumBase, k: int) -> str:
    low, high = dataset.energy_axis.edges_value("TeV")[k : k + 2]
    return f"{low:.4g} to {high:.4g} TeV"
