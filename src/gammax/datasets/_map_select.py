"""Cubes on other pixels: parts of them, with a margin, with pixels merged."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord

from gammax.datasets._map_off import grouped
from gammax.errors import GeometryError, SchemaError
from gammax.maps import WcsNDMap


def cutout(dataset: Any, position: SkyCoord, width: Any, mode: str, name: str) -> Any:
    """Part around a position; parameters and errors as `MapDataset.cutout`."""
    _require_image(dataset, "cut out of")
    parts = dataset._parts()
    if mode == "partial":
        parts["mask_safe"] = _mask_safe(dataset)
    changes = {part: value.cutout(position, width, mode) for part, value in parts.items()}
    return dataset.replace(name=name, **changes)


def pad(dataset: Any, pad_width: Any, name: str) -> Any:
    """Dataset with a margin; parameters as `MapDataset.pad`."""
    _require_image(dataset, "pad")
    parts = {field: value for field in dataset.map_fields if (value := getattr(dataset, field)) is not None}
    parts["mask_safe"] = _mask_safe(dataset)
    changes = {field: value.pad(pad_width) for field, value in parts.items()}
    if dataset.exposure is not None:
        changes["exposure"] = dataset.exposure.pad(pad_width, mode="edge")
    return dataset.replace(name=name, **changes)


def downsample(dataset: Any, factor: int, axis_name: str | None, name: str) -> Any:
    """Dataset with pixels or energies merged; parameters and errors as `MapDataset.downsample`."""
    if axis_name is not None:
        if axis_name != "energy":
            raise SchemaError("GX-DATASETS-251", f"cannot merge bins of {axis_name!r}", expected="energy")
        return dataset.resample_energy_axis(dataset.energy_axis.downsample(factor), name)
    _require_image(dataset, "merge pixels of")
    geom = dataset.geom.downsample(factor)

    def add(values: np.ndarray) -> np.ndarray:
        shape = (len(values), geom.npix[1], factor, geom.npix[0], factor)
        return values.reshape(shape).sum(axis=(2, 4))

    safe = _mask_safe(dataset).data
    changes = grouped(dataset, safe, geom, add)
    for field in ("mask_safe", "mask_fit"):
        if (mask := getattr(dataset, field)) is not None:
            changes[field] = mask.replace(geom=geom, data=add(mask.data) == factor**2)
    if (exposure := dataset.exposure) is not None:
        changes["exposure"] = exposure.downsample(factor, preserve_counts=False)
    return dataset.replace(name=name, **changes)


def _mask_safe(dataset: Any) -> Any:
    return dataset._to_map(np.ones(dataset.mask.shape, bool)) if dataset.mask_safe is None else dataset.mask_safe


def _require_image(dataset: Any, action: str) -> None:
    if not isinstance(dataset.counts, WcsNDMap):
        raise GeometryError("GX-DATASETS-250", f"cannot {action} a dataset of one region", dataset=dataset.name)
