"""One dataset on disk: which format it is in, and into which class it goes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from gammax._fits import open_fits
from gammax._paths import resolve_path
from gammax.datasets._gadf import read_gadf, write_gadf
from gammax.datasets._ogip import read_ogip
from gammax.datasets._ogip_write import write_ogip
from gammax.errors import FileFormatError, GammaxWarning, SchemaError, did_you_mean

READERS = {"gadf": read_gadf, "ogip": read_ogip}
WRITERS = {"gadf": write_gadf, "ogip": write_ogip}


def sniff_format(path: str | Path) -> str:
    """ "ogip" for a file with an HDU SPECTRUM, "gadf" for one with COUNTS.

    Raises
    ------
    FileFormatError : neither.
    """
    with open_fits(path) as hdus:
        names = [hdu.name for hdu in hdus]
    for hdu, format in (("SPECTRUM", "ogip"), ("COUNTS", "gadf")):
        if hdu in names:
            return format
    raise FileFormatError(
        "GX-DATASETS-100",
        "not a spectrum file",
        file=resolve_path(path),
        found=", ".join(name or "(unnamed)" for name in names),
        expected="an HDU SPECTRUM (OGIP) or COUNTS (gadf)",
    )


def read_dataset(path: str | Path, cls: Any, format: str | None = None, name: str | None = None) -> Any:
    """Dataset of class `cls` from a file.

    Raises
    ------
    SchemaError : unknown format, or a file that holds another kind of dataset. A GammaxWarning tells that no bin is
    usable: such a dataset is skipped in stacks.
    """
    format = format or sniff_format(path)
    tag, fields = READERS[_known(format, READERS)](path, name)
    if tag != cls.tag:
        raise SchemaError(
            "GX-DATASETS-101",
            f"the file does not hold a {cls.tag}",
            file=resolve_path(path),
            found=tag,
            do=f"read it as {tag}",
        )
    dataset = cls(**fields)
    if not dataset.mask.any():
        warnings.warn(f"{resolve_path(path)}: the masks leave no bin of {dataset.name!r}", GammaxWarning, stacklevel=3)
    return dataset


def write_dataset(dataset: Any, path: str | Path, format: str, overwrite: bool) -> Path:
    """Write a dataset in one of the known formats.

    Raises
    ------
    SchemaError : unknown format, or a name that FITS headers cannot hold.
    """
    check_writable(dataset)
    return WRITERS[_known(format, WRITERS)](dataset, path, overwrite)


def check_writable(dataset: Any) -> None:
    """Raise SchemaError unless the name of a dataset can stand in a FITS header."""
    if not (dataset.name.isascii() and dataset.name.isprintable()):
        raise SchemaError(
            "GX-DATASETS-103",
            "a name in a FITS file must be printable ASCII",
            found=repr(dataset.name),
            do="rename with dataset.replace(name=...)",
        )


def _known(format: str, formats: dict) -> str:
    if format not in formats:
        raise SchemaError("GX-DATASETS-102", f"unknown format {format!r}", do=did_you_mean(format, formats))
    return format
