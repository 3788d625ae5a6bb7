"""Images and cubes in gadf FITS: an image HDU, and its bands (axes) in a table."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from gammax._fits import file_of, get_hdu, read_meta, write_fits
from gammax._paths import replace_file
from gammax.errors import DataValueError, GeometryError, SchemaError
from gammax.maps._axes import MapAxes
from gammax.maps._bands import axis_cards, bands_hdu, read_bands
from gammax.maps._gadf import _plain
from gammax.maps._wcs_geom import WcsGeom
from gammax.units import unit_string


def image_hdus(geom: WcsGeom, data: np.ndarray, unit: str, meta: dict[str, Any], hdu: str) -> list[Any]:
    """Image HDU (masks as 64-bit integers) and, where there are axes, its bands table."""
    name = hdu.upper()
    header = geom.to_header()
    header.update(axis_cards(geom.axes))
    header["WCSSHAPE"] = "({})".format(",".join(str(n) for n in reversed(geom.data_shape)))
    if geom.axes:
        header["BANDSHDU"] = f"{name}_BANDS"
    header["META"] = json.dumps(meta, default=_plain)
    header["BUNIT"] = unit
    array = data.astype(np.int64) if data.dtype == bool else data
    image = fits.PrimaryHDU(array, header) if name == "PRIMARY" else fits.ImageHDU(array, header, name=name)
    return [image, bands_hdu(geom.axes, f"{name}_BANDS")] if geom.axes else [image]


def read_image(
    hdus: fits.HDUList, hdu: str | None, mask: bool | None
) -> tuple[WcsGeom, np.ndarray, str, dict[str, Any]]:
    """Geometry, data, unit and meta of a map; parameters and errors as `WcsNDMap.from_hdulist`."""
    file = file_of(hdus)
    image = _find_image(hdus, hdu, file)
    unit = unit_string(str(image.header.get("BUNIT", "")).strip())
    data = _read_data(image, unit, mask, file)
    geom = WcsGeom.from_header(image.header, _read_axes(hdus, image, file), file=file, hdu=image.name)
    if data.shape != geom.data_shape:
        raise GeometryError(
            "GX-MAPS-140",
            "image and bands table have different shapes",
            file=file,
            hdu=image.name,
            found=data.shape,
            expected=geom.data_shape,
        )
    return geom, data, unit, read_meta(image, file)


def _find_image(hdus: fits.HDUList, name: str | None, file: str | None) -> Any:
    if name is not None:
        image = get_hdu(hdus, name.upper())
        if image.is_image and image.header["NAXIS"] >= 2:
            return image
        raise SchemaError("GX-MAPS-141", f"HDU {name} is not an image", file=file, hdu=name)
    for image in hdus:
        if image.is_image and image.header["NAXIS"] >= 2:
            return image
    raise SchemaError(
        "GX-MAPS-142", "the file holds no image", file=file, found=", ".join(hdu.name or "(unnamed)" for hdu in hdus)
    )


def _read_axes(hdus: fits.HDUList, image: Any, file: str | None) -> MapAxes:
    if image.header["NAXIS"] == 2:
        return MapAxes()
    return read_bands(get_hdu(hdus, str(image.header.get("BANDSHDU", f"{image.name}_BANDS")).strip()), file)


def _read_data(image: Any, unit: str, mask: bool | None, file: str | None) -> np.ndarray:
    data = np.asarray(image.data)
    binary = data.dtype.kind in "iu" and not unit and bool(np.all((data == 0) | (data == 1)))
    if mask and not (binary or np.all((data == 0) | (data == 1))):
        raise DataValueError("GX-MAPS-143", "the image is no mask", file=file, hdu=image.name, expected="0 and 1 alone")
    as_mask = binary and data.dtype.itemsize == 8 if mask is None else mask
    return data.astype(bool if as_mask else np.float64)


def write_images(hdus: fits.HDUList, path: str | Path, overwrite: bool) -> Path:
    """Write as `write_fits`, packed where the name ends in ``.gz``."""
    if Path(path).suffix != ".gz":
        return write_fits(hdus, path, overwrite)

    def pack(stream: Any) -> None:
        with gzip.GzipFile("", "wb", fileobj=stream, mtime=0) as packed:
            hdus.writeto(packed, checksum=True)

    return replace_file(path, pack, overwrite)
