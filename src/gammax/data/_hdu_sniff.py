"""What the tables of a file are."""

from __future__ import annotations

from pathlib import Path

from astropy.io import fits

from gammax._fits import open_fits
from gammax.data._hdu_index import HDULocation

_TYPES = {"psf_table": "psf", "psf_3gauss": "psf", "psf_king": "psf", "rad_max_2d": "rad_max"}


def hdu_class(hdu: fits.BinTableHDU) -> str | None:
    """Class of a table ("events", "gti", "aeff_2d" ...): responses by their columns; None if it is none of DL3."""
    from gammax.irf import hdu_class_of

    if {"START", "STOP"} <= set(hdu.columns.names):
        return "gti" if hdu.name == "GTI" or str(hdu.header.get("HDUCLAS1")).strip() == "GTI" else None
    return "events" if hdu.name == "EVENTS" else hdu_class_of(hdu)


def hdu_type(name: str) -> str:
    """Type of a class: "psf" of "psf_table"."""
    return _TYPES.get(name, name.partition("_")[0])


def find_parts(path: Path, obs_id: int | None = None) -> dict[str, HDULocation]:
    """Places of the parts of an observation in one file, by type; the first of each type counts."""
    found: dict[str, HDULocation] = {}
    with open_fits(path, verify=False) as hdus:
        for hdu in hdus:
            if isinstance(hdu, fits.BinTableHDU) and (name := hdu_class(hdu)) is not None:
                kind = hdu_type(name)
                found.setdefault(kind, HDULocation(path, hdu.name, kind, name, obs_id))
    return found
