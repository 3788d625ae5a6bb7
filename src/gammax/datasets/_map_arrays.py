"""A cube as plain arrays: all that the likelihood needs of it beside its responses, checked."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gammax.errors import DataValueError
from gammax.maps import WcsNDMap


class CubeArrays(NamedTuple):
    """Arrays of one cube of R reconstructed and T true energies and ny x nx pixels; float64, canonical, read-only.

    Outside the mask the values are harmless (0, alpha 1), so that they can be computed with and thrown away; the
    exposure is given everywhere, since sources outside the mask shine into it.
    """

    energy: np.ndarray  # (R + 1,) edges [TeV]
    energy_true: np.ndarray | None  # (T + 1,) edges [TeV]; None without exposure
    counts: np.ndarray  # (R, ny, nx)
    mask: np.ndarray  # (R, ny, nx) bool: bins that enter the statistic
    background: np.ndarray | None  # (R, ny, nx) expected background counts (cash)
    counts_off: np.ndarray | None  # (R, ny, nx) (wstat)
    alpha: np.ndarray | None  # (R, ny, nx) acceptance / acceptance_off (wstat)
    exposure: np.ndarray | None  # (T, ny, nx) [cm2 s]


def cube_arrays(dataset: Any) -> CubeArrays:
    """Arrays of a map dataset.

    Raises
    ------
    DataValueError : NaN or negative counts or background, or an alpha that is not positive and finite, inside the mask;
    an exposure that is negative or not finite anywhere on the sky, or zero everywhere. All with pixel and energy.
    """
    shape = dataset.geom.data_shape
    mask = dataset.mask.reshape(shape)
    wstat = dataset.stat_type == "wstat"
    arrays = CubeArrays(
        energy=dataset.energy_axis.edges_value("TeV"),
        energy_true=None if dataset.exposure is None else dataset.energy_axis_true.edges_value("TeV"),
        counts=_values(dataset, "counts", mask),
        mask=mask,
        background=None if wstat else _values(dataset, "background", mask),
        counts_off=_values(dataset, "counts_off", mask) if wstat else None,
        alpha=_alpha(dataset, mask) if wstat else None,
        exposure=None if dataset.exposure is None else _exposure(dataset, mask),
    )
    for array in arrays:
        if array is not None:
            array.setflags(write=False)
    return arrays


def _values(dataset: Any, name: str, mask: np.ndarray) -> np.ndarray:
    data = getattr(dataset, name)
    if data is None:
        return np.zeros(mask.shape)
    values = data.values("").reshape(mask.shape)
    index = first_bad(mask & ~(np.isfinite(values) & (values >= 0)))
    if index is not None:
        raise DataValueError(
            "GX-DATASETS-210",
            f"{name} is not a finite number >= 0 inside the mask",
            dataset=dataset.name,
            **where(data.geom, index),
            found=values[index],
            do="exclude the bin by mask_safe",
        )
    return np.where(mask, values, 0.0)


def _alpha(dataset: Any, mask: np.ndarray) -> np.ndarray:
    alpha = dataset.alpha.values().reshape(mask.shape)
    index = first_bad(mask & ~(np.isfinite(alpha) & (alpha > 0)))
    if index is not None:
        on, off = (getattr(dataset, name).data[index] for name in ("acceptance", "acceptance_off"))
        raise DataValueError(
            "GX-DATASETS-211",
            "alpha is not a finite number > 0 inside the mask",
            dataset=dataset.name,
            **where(dataset.geom, index),
            found=f"acceptance {on:g} / acceptance_off {off:g}",
            do="exclude the bin by mask_safe",
        )
    return np.where(mask, alpha, 1.0)


def _exposure(dataset: Any, mask: np.ndarray) -> np.ndarray:
    geom = dataset.exposure.geom
    values = dataset.exposure.values("cm2 s").reshape(geom.data_shape)
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any() and isinstance(dataset.exposure, WcsNDMap):
        # the corners of an all-sky image are no place on the sky, and have no exposure
        bad &= np.isfinite(geom.get_coord()["skycoord"].spherical.lon.deg)
    index = first_bad(bad)
    if index is not None:
        raise DataValueError(
            "GX-DATASETS-212",
            "exposure is not a finite number >= 0",
            dataset=dataset.name,
            **where(geom, index),
            found=f"{values[index]:g} cm2 s",
        )
    values = np.where(np.isfinite(values) & (values >= 0), values, 0.0)
    if mask.any() and not values.any():
        raise DataValueError("GX-DATASETS-213", "exposure is zero everywhere", dataset=dataset.name)
    return values


def first_bad(bad: np.ndarray) -> tuple[int, ...] | None:
    """Index of the first True, None where there is none."""
    return tuple(int(k) for k in np.unravel_index(np.argmax(bad), bad.shape)) if bad.any() else None


def where(geom: Any, index: tuple[int, ...]) -> dict[str, str]:
    """Pixel (x, y) and energy of a bin, for messages."""
    k, y, x = index
    (axis,) = geom.axes
    low, high = axis.edges_value("TeV")[k : k + 2]
    return {"pixel": f"({x}, {y})", axis.name: f"{low:.4g} to {high:.4g} TeV"}
