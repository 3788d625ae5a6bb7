"""Read OGIP spectra: a PHA file and, named in its header, the background, effective area and energy dispersion.

Formats: OGIP/92-007 (PHA), CAL/GEN/92-002 (ARF, RMF). Acceptance is BACKSCAL, exposure is SPECRESP x EXPOSURE, a
channel is good where QUALITY is 0. If the background has another EXPOSURE, its BACKSCAL is scaled by the ratio, as the
format says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits

from gammax._fits import get_column, get_hdu, get_keyword, open_fits, read_meta, table_columns
from gammax._paths import file_fault, resolve_path
from gammax.datasets._arrays import first_bad
from gammax.datasets._tables import read_gti, read_table
from gammax.errors import DataValueError, FileFormatError, GeometryError, SchemaError
from gammax.irf import EDispKernel
from gammax.maps import MapAxis, RegionGeom, RegionNDMap
from gammax.maps._energy_table import check_channels, read_energy_axis


class _Spectrum(NamedTuple):
    """One SPECTRUM HDU, with what lies beside it."""

    path: Path
    name: str
    siblings: dict[str, str]  # by keyword; "" where none is named
    counts: np.ndarray
    quality: np.ndarray
    backscal: np.ndarray
    exposure: float
    axis: MapAxis | None
    region: RegionGeom
    extra: dict[str, Any]


def read_ogip(path: str | Path, name: str | None = None) -> tuple[str, dict[str, Any]]:
    """Kind and fields of the dataset in a PHA file; its siblings are looked up relative to it.

    Without BACKFILE the dataset is a SpectrumDataset without background, without RESPFILE its edisp is None.

    Raises
    ------
    FileFormatError : a file is missing or damaged. SchemaError, UnitError : an HDU, column, keyword or unit is missing.
    GeometryError : the files have different channels or energies. DataValueError : counts NaN or negative.
    """
    path = resolve_path(path)
    pha = _read_spectrum(path)
    arf_path = _sibling(pha, "ANCRFILE", required=True)
    axis_true, area, unit = _read_arf(arf_path)
    edisp = _read_rmf(_sibling(pha, "RESPFILE"), axis_true, arf_path)
    axis = _energy_axis(pha, edisp)
    # the matrix files hold true energies in single precision; those of the effective area are the exact ones
    edisp = None if edisp is None else EDispKernel((axis_true, axis), edisp.data)
    geom = pha.region.replace_axes((axis,))
    fields = {
        "name": name or pha.name,
        "counts": RegionNDMap(geom, pha.counts),
        "exposure": RegionNDMap(pha.region.replace_axes((axis_true,)), area * pha.exposure, unit=f"{unit} s"),
        "edisp": edisp,
        "mask_safe": RegionNDMap(geom, pha.quality == 0),
        "livetime": pha.exposure,
        **pha.extra,
    }
    if "mask_fit" in fields:
        fields["mask_fit"] = RegionNDMap(geom, fields["mask_fit"])
    bkg_path = _sibling(pha, "BACKFILE")
    if bkg_path is None:
        return "SpectrumDataset", fields
    return "SpectrumDatasetOnOff", fields | _read_off(bkg_path, pha, geom)


def _read_spectrum(path: Path) -> _Spectrum:
    file = str(path)
    with open_fits(path) as hdus:
        hdu = get_hdu(hdus, "SPECTRUM")
        counts = np.asarray(get_column(hdu, "COUNTS", file=file), dtype=np.float64)
        check_channels(hdu, file)
        quality = _column_or_keyword(hdu, "QUALITY", file)
        _check_counts(counts, quality == 0, file)
        _check_areascal(hdu, file)
        exposure = _exposure(hdu, file)
        axis = read_energy_axis(hdus["EBOUNDS"], "E_MIN", "E_MAX", file=file) if "EBOUNDS" in hdus else None
        if axis is not None and axis.nbin != len(counts):
            raise GeometryError(
                "GX-DATASETS-070",
                "SPECTRUM and EBOUNDS have different numbers of channels",
                file=file,
                hdu="EBOUNDS",
                found=axis.nbin,
                expected=len(counts),
            )
        if axis is not None:
            check_channels(hdus["EBOUNDS"], file)
        region = RegionGeom.from_hdulist(hdus, "REGION") if "REGION" in hdus else RegionGeom(None)
        return _Spectrum(
            path,
            _name(hdu.header, path),
            {keyword: _named_file(hdu.header, keyword) for keyword in ("ANCRFILE", "RESPFILE", "BACKFILE")},
            counts,
            quality,
            _column_or_keyword(hdu, "BACKSCAL", file),
            exposure,
            axis,
            region,
            _read_extra(hdus, hdu, file),
        )


def _read_extra(hdus: fits.HDUList, hdu: fits.BinTableHDU, file: str) -> dict[str, Any]:
    """What the format itself does not know: good time intervals, observations, fit mask, metadata."""
    extra: dict[str, Any] = {"meta": read_meta(hdu, file)}
    if "GTI" in hdus:
        extra["gti"] = read_gti(hdus["GTI"], file)
    if "META_TABLE" in hdus:
        extra["meta_table"] = read_table(hdus["META_TABLE"])
    if "MASK_FIT" in table_columns(hdu, file):
        extra["mask_fit"] = get_column(hdu, "MASK_FIT", file=file).astype(bool)
    return extra


def _read_off(path: Path, pha: _Spectrum, geom: RegionGeom) -> dict[str, RegionNDMap]:
    bkg = _read_spectrum(path)
    if len(bkg.counts) != len(pha.counts):
        raise GeometryError(
            "GX-DATASETS-072",
            "background and spectrum have different numbers of channels",
            file=path,
            hdu="SPECTRUM",
            found=len(bkg.counts),
            expected=f"{len(pha.counts)}, as in {pha.path}",
        )
    axis = geom.axes["energy"]
    if bkg.axis is not None and (difference := axis.difference(bkg.axis)):
        raise GeometryError(
            "GX-DATASETS-073",
            "background and spectrum have different energies",
            file=path,
            hdu="EBOUNDS",
            found=difference,
        )
    _check_counts(bkg.counts, pha.quality == 0, str(path))
    off = bkg.region.replace_axes((axis,))
    return {
        "counts_off": RegionNDMap(off, bkg.counts),
        "acceptance": RegionNDMap(geom, pha.backscal),
        "acceptance_off": RegionNDMap(off, bkg.backscal * (bkg.exposure / pha.exposure)),
    }


def _read_arf(path: Path) -> tuple[MapAxis, np.ndarray, str]:
    """True energy axis, effective area and its unit."""
    file = str(path)
    with open_fits(path) as hdus:
        hdu = get_hdu(hdus, "SPECRESP")
        axis = read_energy_axis(hdu, "ENERG_LO", "ENERG_HI", "energy_true", file)
        get_column(hdu, "SPECRESP", "cm2", file)
        area = np.asarray(get_column(hdu, "SPECRESP", file=file), dtype=np.float64)
        return axis, area, str(table_columns(hdu, file)["SPECRESP"].unit)


def _read_rmf(path: Path | None, axis_true: MapAxis, arf_path: Path) -> EDispKernel | None:
    if path is None:
        return None
    kernel = EDispKernel.read(path)
    if difference := axis_true.difference(kernel.energy_axis_true):
        raise GeometryError(
            "GX-DATASETS-074",
            "energy dispersion and effective area have different true energies",
            file=path,
            hdu="MATRIX",
            found=difference,
            arf=arf_path,
        )
    return kernel


def _energy_axis(pha: _Spectrum, edisp: EDispKernel | None) -> MapAxis:
    """Reconstructed energy axis: that of the PHA file where it has one, else that of the energy dispersion."""
    axis = pha.axis if pha.axis is not None or edisp is None else edisp.energy_axis
    if axis is None:
        raise SchemaError(
            "GX-DATASETS-075",
            "HDU EBOUNDS is missing, and there is no RESPFILE that could have it",
            file=pha.path,
            hdu="EBOUNDS",
        )
    if axis.nbin != len(pha.counts) or (edisp is not None and edisp.energy_axis.nbin != len(pha.counts)):
        found = axis.nbin if edisp is None else edisp.energy_axis.nbin
        raise GeometryError(
            "GX-DATASETS-076",
            "energy dispersion and spectrum have different numbers of channels",
            file=pha.path,
            hdu="SPECTRUM",
            found=found,
            expected=len(pha.counts),
        )
    if edisp is not None and (difference := axis.difference(edisp.energy_axis)):
        raise GeometryError(
            "GX-DATASETS-077",
            "energy dispersion and spectrum have different energies",
            file=pha.path,
            hdu="EBOUNDS",
            found=difference,
        )
    return axis


def _column_or_keyword(hdu: fits.BinTableHDU, name: str, file: str) -> np.ndarray:
    """Column, or the keyword that stands for a column of one value (both are allowed by the format)."""
    if name in table_columns(hdu, file) or name not in hdu.header:
        return np.asarray(get_column(hdu, name, file=file), dtype=np.float64)
    value = hdu.header[name]
    if not isinstance(value, (bool, int, float)):
        raise DataValueError(
            "GX-DATASETS-078",
            f"keyword {name} is not a number",
            file=file,
            hdu=hdu.name,
            keyword=name,
            found=repr(value),
        )
    return np.full(len(hdu.data), float(value))


def _check_counts(counts: np.ndarray, good: np.ndarray, file: str) -> None:
    k = first_bad(good & ~(np.isfinite(counts) & (counts >= 0)))
    if k is not None:
        raise DataValueError(
            "GX-DATASETS-079",
            "counts must be finite and >= 0 in good channels",
            file=file,
            hdu="SPECTRUM",
            column="COUNTS",
            index=k,
            found=counts[k],
        )


def _check_areascal(hdu: fits.BinTableHDU, file: str) -> None:
    if "AREASCAL" not in table_columns(hdu, file) and "AREASCAL" not in hdu.header:
        return
    scale = _column_or_keyword(hdu, "AREASCAL", file)
    k = first_bad(scale != 1)
    if k is not None:
        raise DataValueError(
            "GX-DATASETS-080",
            "AREASCAL other than 1 is not supported",
            file=file,
            hdu="SPECTRUM",
            column="AREASCAL",
            index=k,
            found=scale[k],
            do="multiply it into the effective area",
        )


def _exposure(hdu: fits.BinTableHDU, file: str) -> float:
    value = get_keyword(hdu, "EXPOSURE", file)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (np.isfinite(value) and value > 0):
        raise DataValueError(
            "GX-DATASETS-081",
            "EXPOSURE must be a number of seconds > 0",
            file=file,
            hdu=hdu.name,
            keyword="EXPOSURE",
            found=repr(value),
        )
    return float(value)


def _sibling(pha: _Spectrum, keyword: str, required: bool = False) -> Path | None:
    """Path of a file named in the PHA header; None where it names none."""
    value = pha.siblings[keyword]
    if not value:
        if required:
            raise SchemaError(
                "GX-DATASETS-082", f"keyword {keyword} names no file", file=pha.path, hdu="SPECTRUM", keyword=keyword
            )
        return None
    path = resolve_path(value, pha.path.parent)
    if fault := file_fault(path):
        raise FileFormatError(
            "GX-DATASETS-083",
            f"the file that {keyword} names is missing" if fault == "no such file" else f"what {keyword} names {fault}",
            file=path,
            keyword=keyword,
            named_in=pha.path,
        )
    return path


def _named_file(header: fits.Header, keyword: str) -> str:
    """File that a keyword names; "" where it is absent, blank or "none"."""
    value = str(header.get(keyword, "")).strip()
    return "" if value.lower() == "none" else value


def _name(header: fits.Header, path: Path) -> str:
    """OBS_ID, or the file stem where the file has none or several."""
    single = "OBS_ID" in header and header.count("OBS_ID") == 1
    return (str(header["OBS_ID"]).strip() if single else "") or path.name.split(".")[0]
