"""Cubes in the gadf layout: one file, every map an image with its bands; maps of one region as `gammax.datasets._gadf`.

What a file lacks, the dataset lacks: COUNTS alone must be there, and with COUNTS_OFF the acceptances.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from gammax import __version__
from gammax._fits import dump_meta, file_of, get_hdu, open_fits, read_meta
from gammax._paths import resolve_path
from gammax.datasets._gadf import check_companions, split_livetime, with_livetime
from gammax.datasets._map_arrays import first_bad, where
from gammax.datasets._map_check import CubeMap
from gammax.datasets._tables import read_gti, read_table, table_hdu
from gammax.errors import DataValueError, SchemaError
from gammax.irf import EDispMap, PSFMap
from gammax.maps import RegionNDMap, WcsNDMap

_OFF = ("counts_off", "acceptance", "acceptance_off")


def read_map_gadf(path: str | Path, name: str | None = None) -> tuple[str, dict[str, Any]]:
    """Kind and fields of the dataset in a file; its kind is told by COUNTS_OFF.

    Raises
    ------
    FileFormatError, SchemaError, UnitError, DataValueError, GeometryError : with file and HDU.
    """
    path = resolve_path(path)
    with open_fits(path) as hdus:
        onoff = "COUNTS_OFF" in hdus
        fields = map_fields(hdus, name, onoff, path.name.split(".")[0])
    return ("MapDatasetOnOff" if onoff else "MapDataset"), fields


def map_fields(hdus: fits.HDUList, name: str | None, onoff: bool, stem: str = "") -> dict[str, Any]:
    """Fields of a map dataset from the HDUs of a gadf file; without a `name`, that in the file, else `stem`."""
    file = file_of(hdus)
    check_companions(hdus, file)
    wanted = ("counts", *(_OFF if onoff else ()))
    optional = ("exposure", *(() if onoff else ("background",)), "mask_safe", "mask_fit")
    fields: dict[str, Any] = {field: _read_map(hdus, field) for field in wanted}
    fields |= {field: _read_map(hdus, field) for field in optional if field.upper() in hdus}
    # the axes tell which of the response maps it is
    for field, response in (("edisp", EDispMap), ("psf", PSFMap)):
        if field.upper() in hdus:
            fields[field] = response.from_hdulist(hdus)
    if "GTI" in hdus:
        fields["gti"] = read_gti(hdus["GTI"], file)
    if "META_TABLE" in hdus:
        fields["meta_table"] = read_table(hdus["META_TABLE"])
    fields["meta"] = read_meta(hdus[0], file)
    fields["name"] = name or str(hdus[0].header.get("NAME", "")).strip() or stem
    _check(fields, file)
    return fields | (split_livetime(fields["exposure"], file) if "exposure" in fields else {})


def _read_map(hdus: fits.HDUList, field: str) -> CubeMap:
    hdu, is_mask = field.upper(), field.startswith("mask")
    if not isinstance(get_hdu(hdus, hdu), fits.BinTableHDU):
        data = WcsNDMap.from_hdulist(hdus, hdu, mask=is_mask)
    else:
        data = RegionNDMap.from_hdulist(hdus, hdu)
        data = data.replace(data=data.data != 0) if is_mask and not data.is_mask else data
    if field == "exposure" and data.geom.axes.names == ("energy",):
        # files of Fermi tools name it so
        data = data.replace(geom=data.geom.replace_axes((data.geom.axes["energy"].rename("energy_true"),)))
    return data


def _check(fields: dict[str, Any], file: str | None) -> None:
    """Raise DataValueError where counts are NaN or negative inside mask_safe."""
    mask = fields["mask_safe"].data if "mask_safe" in fields else True
    for field in ("counts", "counts_off"):
        if field not in fields:
            continue
        data = fields[field]
        bad = ~(np.isfinite(data.data) & (data.data >= 0))
        if np.shape(mask) in ((), bad.shape) and data.geom.axes.names == ("energy",):
            index = first_bad(bad & mask)
            if index is not None:
                raise DataValueError(
                    "GX-DATASETS-270",
                    f"{field} must be finite and >= 0 inside mask_safe",
                    file=file,
                    hdu=field.upper(),
                    **where(data.geom, index),
                    found=data.data[index],
                )


def map_gadf_files(dataset: Any, path: Path) -> dict[Path, fits.HDUList]:
    """The one file of a dataset, ready to be written."""
    return {path: map_hdulist(dataset)}


def map_hdulist(dataset: Any) -> fits.HDUList:
    """HDUs of a dataset, in the order in which the field has them."""
    primary = fits.PrimaryHDU()
    primary.header.update({"NAME": dataset.name, "CREATOR": f"gammax {__version__}"})
    if dataset.meta:
        primary.header["META"] = dump_meta(dataset.meta, dataset=dataset.name)
    hdus = fits.HDUList([primary])
    if dataset.exposure is None and dataset.livetime is not None:
        raise SchemaError(
            "GX-DATASETS-271",
            "a livetime is stored with the exposure, which the dataset lacks",
            dataset=dataset.name,
            do="dataset.replace(livetime=None)",
        )
    off = _OFF if dataset.stat_type == "wstat" else ()
    for field in (
        "counts",
        "exposure",
        "background",
        "edisp",
        "psf",
        "mask_safe",
        "mask_fit",
        "gti",
        "meta_table",
        *off,
    ):
        value = None if field == "background" and off else getattr(dataset, field)
        if value is None:
            continue
        if field in ("gti", "meta_table"):
            hdus.append(table_hdu(value, field.upper()))
        elif field in ("psf", "edisp"):
            hdus.extend(value.to_hdulist()[1:])
        else:
            value = with_livetime(value, dataset.livetime) if field == "exposure" else value
            hdus.extend(value.to_hdulist(hdu=field.upper())[1:])
    return hdus
