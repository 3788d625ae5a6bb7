"""Spectra in the gadf layout: one file, every map in HDUs of its own (``COUNTS``, ``COUNTS_BANDS``, ``COUNTS_REGION``).

The livetime stands in the META card of EXPOSURE, as in map datasets; the dataset's own meta in that of the primary HDU.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from gammax import __version__
from gammax._fits import dump_meta, open_fits, read_meta
from gammax._paths import resolve_path
from gammax.datasets._arrays import first_bad
from gammax.datasets._base import SpectrumBase
from gammax.datasets._tables import read_gti, read_table, table_hdu
from gammax.errors import DataValueError, SchemaError, UnitError
from gammax.irf import EDispKernel, PSFMap
from gammax.maps import RegionNDMap
from gammax.units import to_value

_OFF = ("counts_off", "acceptance", "acceptance_off")


def read_gadf(path: str | Path, name: str | None = None) -> tuple[str, dict[str, Any]]:
    """Kind and fields of the dataset in a file; its kind is told by COUNTS_OFF.

    Raises
    ------
    FileFormatError : the file is missing or damaged. SchemaError, UnitError : an HDU, column or unit is missing.
    DataValueError : counts NaN or negative inside mask_safe.
    """
    path = resolve_path(path)
    file = str(path)
    with open_fits(path) as hdus:
        check_companions(hdus, file)
        _require_spectra(hdus, file)
        onoff = "COUNTS_OFF" in hdus
        optional = (() if onoff else ("background",)) + ("mask_safe", "mask_fit")
        wanted = ("counts", "exposure", *(_OFF if onoff else ()))
        fields: dict[str, Any] = {field: _read_map(hdus, field) for field in wanted}
        fields |= {field: _read_map(hdus, field) for field in optional if field.upper() in hdus}
        if "EDISP" in hdus:
            fields["edisp"] = EDispKernel.from_region_map(_read_map(hdus, "edisp"))
        if "PSF" in hdus:
            fields["psf"] = PSFMap.from_hdulist(hdus)
        if "GTI" in hdus:
            fields["gti"] = read_gti(hdus["GTI"], file)
        if "META_TABLE" in hdus:
            fields["meta_table"] = read_table(hdus["META_TABLE"])
        fields["meta"] = read_meta(hdus[0], file)
        fields["name"] = name or str(hdus[0].header.get("NAME", "")).strip() or path.name.split(".")[0]
    _check(fields, file)
    return ("SpectrumDatasetOnOff" if onoff else "SpectrumDataset"), fields | split_livetime(fields["exposure"], file)


def check_companions(hdus: fits.HDUList, file: str | None) -> None:
    """Raise SchemaError where axes are left without their data: a map that is there, but has lost its name.

    A region alone is none of that: Gammapy writes BACKGROUND_REGION for ON-OFF spectra, which have no background.
    """
    for hdu in hdus:
        owner = hdu.name.removesuffix("_BANDS")
        if owner != hdu.name and owner not in hdus:
            raise SchemaError(
                "GX-DATASETS-142",
                f"HDU {owner} is missing",
                file=file,
                hdu=owner,
                found=f"{hdu.name}, which belongs to it",
                do="did it lose its EXTNAME?",
            )


def _require_spectra(hdus: fits.HDUList, file: str) -> None:
    """Raise SchemaError for a file of cubes."""
    if "COUNTS" in hdus and hdus["COUNTS"].is_image:
        tag = "MapDatasetOnOff" if "COUNTS_OFF" in hdus else "MapDataset"
        raise SchemaError(
            "GX-DATASETS-143", "the file holds images, no spectra", file=file, found=tag, do=f"read it as {tag}"
        )


def _read_map(hdus: fits.HDUList, field: str) -> RegionNDMap:
    data = RegionNDMap.from_hdulist(hdus, hdu=field.upper())
    # masks of older files are numbers
    return data.replace(data=data.data != 0) if field.startswith("mask") and not data.is_mask else data


def _check(fields: dict[str, Any], file: str) -> None:
    mask = fields["mask_safe"].values() if "mask_safe" in fields else True
    for field in ("counts", "counts_off"):
        if field not in fields:
            continue
        values = fields[field].values()
        k = first_bad(mask & ~(np.isfinite(values) & (values >= 0)))
        if k is not None:
            raise DataValueError("GX-DATASETS-140", f"{field} must be finite and >= 0 inside mask_safe", file=file,
                                 hdu=field.upper(), column="DATA", index=k, found=values[k])  # fmt: skip


def split_livetime(exposure: Any, file: str | None) -> dict[str, Any]:
    """Livetime from the meta of the exposure, and the exposure without it."""
    text = exposure.meta.get("livetime")
    rest = {key: value for key, value in exposure.meta.items() if key != "livetime"}
    try:
        livetime = None if text is None else float(to_value(text, "s", "livetime"))
    except UnitError as error:
        raise UnitError("GX-DATASETS-141", "livetime in META is not a time", file=file, hdu="EXPOSURE",
                        keyword="META", found=text) from error  # fmt: skip
    return {"exposure": exposure.replace(meta=rest), "livetime": livetime}


def with_livetime(exposure: Any, livetime: float | None) -> Any:
    """Exposure with a livetime [s] in its meta, as files have it; inverse of `split_livetime`."""
    return exposure if livetime is None else exposure.replace(meta={**exposure.meta, "livetime": f"{livetime!r} s"})


def gadf_files(dataset: SpectrumBase, path: Path) -> dict[Path, fits.HDUList]:
    """The one file of a dataset, ready to be written."""
    primary = fits.PrimaryHDU()
    primary.header.update({"NAME": dataset.name, "CREATOR": f"gammax {__version__}"})
    if dataset.meta:
        primary.header["META"] = dump_meta(dataset.meta, dataset=dataset.name)
    hdus = fits.HDUList([primary])
    for field, data in _maps(dataset).items():
        hdus.extend(data.to_hdulist(hdu=field.upper())[1:])
    if dataset.psf is not None:
        hdus.extend(dataset.psf.to_hdulist()[1:])
    if dataset.gti is not None:
        hdus.append(table_hdu(dataset.gti, "GTI"))
    if dataset.meta_table is not None:
        hdus.append(table_hdu(dataset.meta_table, "META_TABLE"))
    return {path: hdus}


def _maps(dataset: SpectrumBase) -> dict[str, RegionNDMap]:
    maps = {"counts": dataset.counts, "exposure": with_livetime(dataset.exposure, dataset.livetime)}
    if dataset.edisp is not None:
        maps["edisp"] = dataset.edisp.to_region_map(dataset.geom)
        maps["edisp_exposure"] = dataset.edisp.to_exposure_map(dataset.exposure)
    rest = {field: getattr(dataset, field) for field in dataset.map_fields if field != "counts"}
    return maps | {field: data for field, data in rest.items() if data is not None}
