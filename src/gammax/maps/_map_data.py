"""The numbers of a map: plain, real, of the shape of its geometry, and never changed."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np

from gammax.errors import DataValueError, GeometryError


def frozen(data: np.ndarray) -> np.ndarray:
    """An array that nobody else holds, made read-only, so that a map keeps it without a copy."""
    data.setflags(write=False)
    return data


def as_data(data: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Read-only float64 or bool array of a shape; zeros for None.

    Copied unless it is such an array already and so is all that it is a view of (the data of other maps).

    Raises
    ------
    GeometryError : it has another shape. DataValueError : no plain real numbers.
    """
    array = np.zeros(shape) if data is None else np.asarray(data)
    if isinstance(data, u.Quantity) or array.dtype.kind not in "biuf":
        raise DataValueError(
            "GX-MAPS-122",
            "map data must be plain real numbers",
            found=type(data).__name__,
            do="pass the numbers as data and their unit as unit",
        )
    if array.shape != shape:
        raise GeometryError("GX-MAPS-123", "data and geometry have different shapes", found=array.shape, expected=shape)
    dtype = np.dtype(bool if array.dtype.kind == "b" else np.float64)
    return array if array.dtype == dtype and _is_frozen(array) else frozen(array.astype(dtype))


def _is_frozen(array: Any) -> bool:
    while isinstance(array, np.ndarray) and not array.flags.writeable:
        if array.base is None:
            return True
        array = array.base
    return False


def finite_sum(data: np.ndarray, axis: tuple[int, ...]) -> np.ndarray:
    """Sum over some axes without what is NaN; for bool: whether any is set."""
    if data.dtype == bool:
        return np.logical_or.reduce(data, axis=axis)
    return np.nansum(data, axis=axis) if np.isnan(data).any() else data.sum(axis=axis)
