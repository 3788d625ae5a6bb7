"""Response maps in files: gadf, images or region tables."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from astropy.io import fits

from gammax._fits import file_of, get_hdu
from gammax.errors import GammaxWarning, SchemaError, did_you_mean
from gammax.maps import RegionNDMap, WcsNDMap

# of the axis of distances, as older files of the field have it (fermi-3fhl-crab)
_OLD_NAMES = {"theta": "rad"}


def check_format(format: str, known: tuple[str, ...]) -> None:
    """Raise SchemaError for a format that is none."""
    if format not in known:
        raise SchemaError("GX-IRF-130", f"unknown format {format!r}", do=did_you_mean(format, known))


def irf_map_hdus(data: Any, exposure: Any, hdu: str) -> list[Any]:
    """HDUs of a response and its exposure."""
    hdus = list(data.to_hdulist(hdu=hdu)[1:])
    return hdus if exposure is None else [*hdus, *exposure.to_hdulist(hdu=f"{hdu}_EXPOSURE")[1:]]


def read_irf_maps(hdus: fits.HDUList, hdu: str) -> tuple[Any, Any]:
    """Response and exposure, None where there is none."""
    name = hdu.upper()
    exposure = f"{name}_EXPOSURE"
    return _read(hdus, name), _read(hdus, exposure) if exposure in hdus else None


def _read(hdus: fits.HDUList, name: str) -> Any:
    is_image = get_hdu(hdus, name).is_image
    data = WcsNDMap.from_hdulist(hdus, name, mask=False) if is_image else RegionNDMap.from_hdulist(hdus, name)
    names = {old: new for old, new in _OLD_NAMES.items() if old in data.geom.axes.names}
    if names:
        data = type(data)(data.geom.replace_axes(data.geom.axes.rename(names)), data.data, data.unit)
    bad = ~np.isfinite(data.data)
    if bad.any():
        warnings.warn(
            f"{file_of(hdus)}: {bad.sum()} of {bad.size} numbers in HDU {name} are not finite and set to 0",
            GammaxWarning,
            stacklevel=5,
        )
        data = data.replace(data=np.where(bad, 0.0, data.data))
    return data
