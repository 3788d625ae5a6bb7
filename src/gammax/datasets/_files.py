"""One dataset on disk: which format it is in, and into which class it goes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from astropy.io import fits

from gammax._fits import open_fits, write_fits
from gammax._paths import check_targets, resolve_path
from gammax.datasets._gadf import gadf_files, read_gadf
from gammax.datasets._map_base import MapBase
from gammax.datasets._map_gadf import map_gadf_files, read_map_gadf
from gammax.datasets._ogip import read_ogip
from gammax.datasets._ogip_write import ogip_files
from gammax.errors import FileFormatError, GammaxError, GammaxWarning, SchemaError, did_you_mean

READERS = {"gadf": read_gadf, "ogip": read_ogip}
WRITERS = {"gadf": gadf_files, "ogip": ogip_files}
MAP_READERS = {"gadf": read_map_gadf}
MAP_WRITERS = {"gadf": map_gadf_files}


def sniff_format(path: str | Path) -> str:
    """ "ogip" for a file with an HDU SPECTRUM, "gadf" for one with COUNTS.

    Raises
    ------
    FileFormatError : neither.
    """
    with open_fits(path, verify=False) as hdus:
        names = [hdu.name for hdu in hdus]
    for hdu, format in (("SPECTRUM", "ogip"), ("COUNTS", "gadf")):
        if hdu in names:
            return format
    raise FileFormatError(
        "GX-DATASETS-100",
        "not a dataset file",
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
    readers = MAP_READERS if issubclass(cls, MapBase) else READERS
    tag, fields = readers[_known(format, readers)](path, name)
    if tag != cls.tag:
        raise SchemaError(
            "GX-DATASETS-101",
            f"the file does not hold a {cls.tag}",
            file=resolve_path(path),
            found=tag,
            do=f"read it as {tag}",
        )
    try:
        dataset = cls(**fields)
    except GammaxError as error:
        raise error.with_context(file=resolve_path(path)) from error
    if not dataset.mask.any():
        warnings.warn(f"{resolve_path(path)}: the masks leave no bin of {dataset.name!r}", GammaxWarning, stacklevel=3)
    return dataset


def write_dataset(dataset: Any, path: str | Path, format: str, overwrite: bool) -> Path:
    """Write a dataset in one of the known formats: all its files, or none where one cannot be.

    Raises
    ------
    SchemaError, FileFormatError, ResourceError : as `dataset_files` and `check_targets`.
    """
    path = resolve_path(path)
    files = dataset_files(dataset, path, format)
    check_targets(files, overwrite)
    write_files(files, overwrite)
    return path


def write_files(files: dict[Path, fits.HDUList], overwrite: bool) -> None:
    """Write files in their order."""
    for path, hdus in files.items():
        write_fits(hdus, path, overwrite)


def dataset_files(dataset: Any, path: Path, format: str) -> dict[Path, fits.HDUList]:
    """What would be written for a dataset, and where.

    Raises
    ------
    SchemaError : unknown format, a name that FITS headers cannot hold, or parts that the format has no place for.
    """
    if not (dataset.name.isascii() and dataset.name.isprintable()):
        raise SchemaError(
            "GX-DATASETS-103",
            "a name in a FITS file must be printable ASCII",
            found=repr(dataset.name),
            do="rename with dataset.replace(name=...)",
        )
    writers = MAP_WRITERS if isinstance(dataset, MapBase) else WRITERS
    return writers[_known(format, writers)](dataset, path)


def _known(format: str, formats: dict) -> str:
    if format not in formats:
        raise SchemaError("GX-DATASETS-102", f"unknown format {format!r}", do=did_you_mean(format, formats))
    return format
