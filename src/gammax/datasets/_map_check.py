"""What a cube must satisfy before it exists: maps over one image and one set of energy bins, responses of the kinds."""

from __future__ import annotations

from typing import Any

import numpy as np

from gammax.datasets._check import check_same_axis
from gammax.errors import DataValueError, GeometryError, SchemaError
from gammax.irf import EDispKernelMap, EDispMap, PSFMap, RecoPSFMap
from gammax.maps import RegionNDMap, WcsNDMap

CubeMap = WcsNDMap | RegionNDMap


def check_cube(value: Any, field: str, axis: str, dataset: str) -> CubeMap:
    """`value` if it is a map over the one axis named `axis`.

    Raises
    ------
    SchemaError : not a map. GeometryError : other axes. DataValueError : booleans where numbers belong, or the reverse.
    """
    if not isinstance(value, CubeMap):
        raise SchemaError(
            "GX-DATASETS-200",
            f"{field} of a map dataset must be a WcsNDMap (or a RegionNDMap)",
            found=type(value).__name__,
            dataset=dataset,
        )
    if value.geom.axes.names != (axis,):
        raise GeometryError(
            "GX-DATASETS-201",
            f"{field} must have the axis {axis!r} and no other",
            dataset=dataset,
            found=", ".join(value.geom.axes.names) or "no axis",
        )
    if value.is_mask != field.startswith("mask"):
        kind = "booleans" if field.startswith("mask") else "numbers"
        raise DataValueError("GX-DATASETS-202", f"{field} must hold {kind}", found=value.data.dtype, dataset=dataset)
    return value


def check_same_image(value: CubeMap, counts: CubeMap, field: str, dataset: str) -> None:
    """Raise GeometryError unless two maps lie on the same pixels, or both on a region."""
    if type(value) is not type(counts):
        difference = f"{type(value).__name__} against {type(counts).__name__}"
    elif isinstance(value, WcsNDMap):
        difference = counts.geom.to_image().difference(value.geom.to_image())
    else:
        difference = ""
    if difference:
        raise GeometryError(
            "GX-DATASETS-203", f"{field} and counts lie on different images", dataset=dataset, found=difference
        )


def check_psf(psf: Any, dataset: str) -> None:
    """Raise SchemaError unless `psf` is a PSF map. Its energies need not be those of the exposure."""
    if not isinstance(psf, PSFMap | RecoPSFMap):
        raise SchemaError(
            "GX-DATASETS-204",
            "psf of a dataset must be a PSFMap or a RecoPSFMap",
            found=type(psf).__name__,
            dataset=dataset,
        )


def check_edisp_map(edisp: Any, counts: CubeMap, exposure: CubeMap | None, dataset: str) -> None:
    """Raise unless `edisp` is a map of energy dispersions over the energy axes of counts and exposure."""
    if not isinstance(edisp, EDispKernelMap | EDispMap):
        raise SchemaError(
            "GX-DATASETS-205",
            "edisp of a map dataset must be an EDispKernelMap or an EDispMap",
            found=type(edisp).__name__,
            dataset=dataset,
        )
    axes = edisp.edisp_map.geom.axes
    if "energy" in axes:
        check_same_axis(axes["energy"], counts.geom.axes["energy"], "edisp", "counts", dataset)
    if exposure is not None:
        check_same_axis(axes["energy_true"], exposure.geom.axes["energy_true"], "edisp", "exposure", dataset)


def as_cube(value: Any, like: CubeMap, name: str) -> CubeMap:
    """Map on the geometry of another from a map, a number, or an array that broadcasts to it.

    Raises
    ------
    GeometryError : a map of another geometry, or an array of another shape.
    """
    geom = like.geom
    if isinstance(value, CubeMap):
        difference = type(value).__name__ if type(value) is not type(like) else geom.difference(value.geom)  # type: ignore[arg-type]
        if difference:
            raise GeometryError("GX-DATASETS-206", f"{name} does not fit the dataset", found=difference)
        return value
    data = np.asarray(value, dtype=np.float64)
    try:
        data = np.broadcast_to(data, geom.data_shape)
    except ValueError as error:
        raise GeometryError(
            "GX-DATASETS-206", f"{name} does not fit the dataset", found=data.shape, expected=geom.data_shape
        ) from error
    return type(like)(geom, data)  # type: ignore[arg-type]
