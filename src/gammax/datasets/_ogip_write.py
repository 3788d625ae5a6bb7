"""Write OGIP spectra: PHA, and beside it _bkg, _arf and _rmf, in the layout that XSPEC, Sherpa and Gammapy read.

What the format has no place for travels along where readers do not look: the fit mask as column MASK_FIT, metadata as
header card META, observations as HDU META_TABLE.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from astropy.io import fits

from gammax._fits import dump_meta
from gammax.datasets._base import SpectrumBase
from gammax.datasets._tables import table_hdu
from gammax.errors import GammaxWarning, SchemaError
from gammax.maps import RegionNDMap
from gammax.maps._energy_table import ebounds_hdu, energy_columns
from gammax.units import unit_string

_INT32_MAX = 2**31 - 1
OGIP_SUFFIXES = ("", "_arf", "_rmf", "_bkg")


def ogip_files(dataset: SpectrumBase, path: Path) -> dict[Path, fits.HDUList]:
    """All files of a dataset, ready to be written; the PHA file, at `path`, is the last: it names the others.

    Raises
    ------
    SchemaError : no livetime, or a background that is not measured (the format has no place for it). A GammaxWarning
    tells of a PSF, for which it has none either.
    """
    if dataset.livetime is None:
        raise SchemaError(
            "GX-DATASETS-090",
            "OGIP files need a livetime",
            dataset=dataset.name,
            do="dataset.replace(livetime=...), or write format='gadf'",
        )
    if dataset.stat_type == "cash" and dataset.background is not None:
        raise SchemaError(
            "GX-DATASETS-091",
            "OGIP files have no place for a background that is not measured",
            dataset=dataset.name,
            do="write format='gadf'",
        )
    if dataset.psf is not None:
        warnings.warn(
            f"{path}: OGIP files have no place for the PSF of {dataset.name!r}, which is left out: what is read from "
            "them takes sources whole, on an exposure without containment (format='gadf' keeps it)",
            GammaxWarning,
            stacklevel=3,
        )
    names = {"ANCRFILE": path.with_name(ogip_name(path.name, "_arf"))}
    files = {names["ANCRFILE"]: _arf(dataset)}
    if dataset.edisp is not None:
        names["RESPFILE"] = path.with_name(ogip_name(path.name, "_rmf"))
        files[names["RESPFILE"]] = dataset.edisp.to_hdulist(format="ogip")
    if dataset.stat_type == "wstat":
        names["BACKFILE"] = path.with_name(ogip_name(path.name, "_bkg"))
        files[names["BACKFILE"]] = _spectrum(dataset, dataset.counts_off, dataset.acceptance_off, "BKG", {})
    links = {keyword: target.name for keyword, target in names.items()}
    acceptance = dataset.acceptance if dataset.stat_type == "wstat" else None
    pha = _spectrum(dataset, dataset.counts, acceptance, "TOTAL", links)
    _add_extra(pha, dataset)
    return files | {path: pha}


def ogip_name(name: str, suffix: str) -> str:
    """Name of a file beside the PHA file called `name`."""
    stem, dot, rest = name.partition(".fits")
    return f"{stem}{suffix}{dot}{rest}"


def _spectrum(
    dataset: SpectrumBase, counts: RegionNDMap, acceptance: RegionNDMap | None, kind: str, links: dict[str, str]
) -> fits.HDUList:
    values, n = counts.values(), dataset.energy_axis.nbin
    whole = bool(np.all(values == np.round(values)) and np.all(np.abs(values) <= _INT32_MAX))
    mask_safe = np.ones(n, bool) if dataset.mask_safe is None else dataset.mask_safe.values()
    columns = [
        fits.Column("CHANNEL", "I", array=np.arange(n)),
        # expectations instead of counts (an Asimov set) keep their fractions
        fits.Column("COUNTS", "J" if whole else "D", array=values),
        fits.Column("QUALITY", "I", array=~mask_safe),
        fits.Column("BACKSCAL", "D", array=np.ones(n) if acceptance is None else acceptance.values()),
    ]
    if kind == "TOTAL" and dataset.mask_fit is not None:
        columns.append(fits.Column("MASK_FIT", "L", array=dataset.mask_fit.values()))
    hdu = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    hdu.header.update({
        "HDUCLASS": "OGIP", "HDUCLAS1": "SPECTRUM", "HDUCLAS2": kind, "HDUCLAS3": "COUNT", "HDUCLAS4": "TYPE:1",
        "HDUVERS": "1.2.1", "TELESCOP": _telescope(dataset), "INSTRUME": "UNKNOWN", "FILTER": "NONE",
        "CHANTYPE": "PHA", "DETCHANS": n, "TLMIN1": 0, "TLMAX1": n - 1, "POISSERR": whole, "GROUPING": 0,
        "AREASCAL": 1.0, "CORRFILE": "NONE", "CORRSCAL": 1.0, "EXPOSURE": dataset.livetime,
        "OBS_ID": dataset.name, **links,
    })  # fmt: skip
    hdus = fits.HDUList([fits.PrimaryHDU(), hdu, ebounds_hdu(dataset.energy_axis)])
    if counts.geom.region is not None:
        hdus.append(counts.geom.to_region_hdu("REGION"))
    return hdus


def _telescope(dataset: SpectrumBase) -> str:
    table = dataset.meta_table
    name = str(table["TELESCOP"][0]) if table is not None and "TELESCOP" in table.colnames else ""
    return name if name.isascii() and name.strip() else "UNKNOWN"


def _arf(dataset: SpectrumBase) -> fits.HDUList:
    axis, unit = dataset.energy_axis_true, unit_string(f"{dataset.exposure.unit} s-1")
    columns = [
        *energy_columns(axis, "ENERG_LO", "ENERG_HI"),
        fits.Column("SPECRESP", "D", unit=unit, array=dataset.exposure.values() / dataset.livetime),
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="SPECRESP")
    hdu.header.update(
        {
            "HDUCLASS": "OGIP",
            "HDUCLAS1": "RESPONSE",
            "HDUCLAS2": "SPECRESP",
            "HDUVERS": "1.1.0",
            "TELESCOP": _telescope(dataset),
            "INSTRUME": "UNKNOWN",
            "FILTER": "NONE",
        }
    )
    return fits.HDUList([fits.PrimaryHDU(), hdu])


def _add_extra(hdus: fits.HDUList, dataset: SpectrumBase) -> None:
    if dataset.meta:
        hdus["SPECTRUM"].header["META"] = dump_meta(dataset.meta, dataset=dataset.name)
    if dataset.gti is not None:
        hdus.append(table_hdu(dataset.gti, "GTI"))
    if dataset.meta_table is not None:
        hdus.append(table_hdu(dataset.meta_table, "META_TABLE"))
