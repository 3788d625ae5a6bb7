"""Images and cubes in gadf FITS: an image HDU, and its bands (axes) in a table."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from astropy.io import fits

from gammax._fits import file_of, get_hdu, read_meta
from gammax.errors import DataValueError, GeometryError, SchemaError
from gammax.maps._axes import MapAxes
from gammax.maps._bands import axis_cards, bands_hdu, read_bands
from gammax.maps._gadf import _plain
from gammax.maps._map_data import frozen
from gammax.maps._wcs_formats import (
    FERMI_BANDS,
    energies_hdu,
    fermi_unit,
    is_sparse,
    read_fermi_axis,
    sparse_data,
    sparse_hdu,
    sparse_shape,
)
from gammax.maps._wcs_geom import WcsGeom
from gammax.maps._wcs_projection import read_projection
from gammax.units import unit_string


def image_hdus(
    geom: WcsGeom, data: np.ndarray, unit: str, meta: dict[str, Any], hdu: str, hdu_bands: str, sparse: bool
) -> list[Any]:
    """Image HDU (masks as 64-bit integers), or a table of its pixels, and where there are axes their bands table."""
    header = geom.to_header()
    header.update(axis_cards(geom.axes))
    header["WCSSHAPE"] = "({})".format(",".join(str(n) for n in reversed(geom.data_shape)))
    if geom.axes:
        header["BANDSHDU"] = hdu_bands
    header["META"] = json.dumps(meta, default=_plain)
    header["BUNIT"] = unit
    array = data.astype(np.int64) if data.dtype == bool else data
    if sparse:
        image = sparse_hdu(array, header, hdu)
    else:
        image = fits.PrimaryHDU(array, header) if hdu == "PRIMARY" else fits.ImageHDU(array, header, name=hdu)
    if not geom.axes:
        return [image]
    return [image, energies_hdu(geom.axes[0]) if hdu_bands == "ENERGIES" else bands_hdu(geom.axes, hdu_bands)]


def read_image(
    hdus: fits.HDUList, hdu: str | None, mask: bool | None
) -> tuple[WcsGeom, np.ndarray, str, dict[str, Any]]:
    """Geometry, data, unit and meta of a map; parameters and errors as `WcsNDMap.from_hdulist`."""
    file = file_of(hdus)
    image = _find_image(hdus, hdu, file)
    unit = unit_string(str(image.header.get("BUNIT", "")).strip())
    if image.is_image:
        npix, n_axes = (image.header["NAXIS1"], image.header["NAXIS2"]), image.header["NAXIS"] - 2
    else:
        npix, n_axes = sparse_shape(image, file)
    bands = _find_bands(hdus, image) if n_axes else None
    axes = MapAxes() if bands is None else _read_axes(bands, file)
    if bands is not None and bands.name == "ENERGIES" and not unit:
        unit = unit_string(fermi_unit(hdus))
    geom = WcsGeom(read_projection(image.header, file, image.name), npix, axes)
    array = np.asarray(image.data) if image.is_image else sparse_data(image, geom.data_shape, file)
    if array.shape != geom.data_shape:
        raise GeometryError(
            "GX-MAPS-140",
            "image and bands table have different shapes",
            file=file,
            hdu=image.name,
            found=array.shape,
            expected=geom.data_shape,
        )
    return geom, _read_data(image, array, unit, mask, file), unit, read_meta(image, file)


def is_map(hdu: Any) -> bool:
    """Whether an HDU is an image of the sky, whole or sparse."""
    return hdu.header["NAXIS"] >= 2 if hdu.is_image else is_sparse(hdu)


def _find_image(hdus: fits.HDUList, name: str | None, file: str | None) -> Any:
    if name is not None:
        image = get_hdu(hdus, name.upper())
        if is_map(image):
            return image
        raise SchemaError("GX-MAPS-141", f"HDU {name} is not an image", file=file, hdu=name)
    for image in hdus:
        if is_map(image):
            return image
    raise SchemaError(
        "GX-MAPS-142", "the file holds no image", file=file, found=", ".join(hdu.name or "(unnamed)" for hdu in hdus)
    )


def _find_bands(hdus: fits.HDUList, image: Any) -> Any:
    own = f"{image.name}_BANDS"
    usual = own if own in hdus else next((name for name in FERMI_BANDS if name in hdus), own)
    return get_hdu(hdus, str(image.header.get("BANDSHDU", usual)).strip())


def _read_axes(bands: Any, file: str | None) -> MapAxes:
    return MapAxes(read_fermi_axis(bands, file)) if bands.name in FERMI_BANDS else read_bands(bands, file)


def _read_data(image: Any, array: np.ndarray, unit: str, mask: bool | None, file: str | None) -> np.ndarray:
    integers = array.dtype.kind in "iu" and array.dtype.itemsize == 8 and not unit
    if mask or (mask is None and integers):
        binary = bool(np.all((array == 0) | (array == 1)))
        if mask and not binary:
            raise DataValueError(
                "GX-MAPS-143", "the image is no mask", file=file, hdu=image.name, expected="0 and 1 alone"
            )
        if binary:
            return frozen(array.astype(bool))
    return frozen(array.astype(np.float64))
