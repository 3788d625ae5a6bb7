"""FITS with our errors: every reader of gammax opens files, finds HDUs and takes columns here."""

from __future__ import annotations

import gzip
import io
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from gammax._paths import file_fault, replace_file, resolve_path
from gammax.errors import (
    DataValueError,
    FileFormatError,
    GammaxError,
    GammaxWarning,
    ResourceError,
    SchemaError,
    UnitError,
)
from gammax.units import parse_unit

_MAGIC = (b"SIMPLE", b"\x1f\x8b")
# the largest file of the field's public archives unpacks to 0.1 GiB
MAX_UNPACKED_BYTES = 4 * 2**30
# astropy warns of a file that ends early or whose data have changed, and goes on
_DAMAGE = ("File may have been truncated", "Error validating header", "Datasum verification failed")


@contextmanager
def open_fits(path: str | Path) -> Iterator[fits.HDUList]:
    """Open a FITS file (plain or gzip, told by its first bytes and not by its suffix) for reading.

    Raises
    ------
    FileFormatError : the file is missing, is a folder, or does not start as FITS does; damage found while reading.
    Damage shows late, since astropy reads when asked to: whatever else is raised inside the block is taken for it.
    """
    path = resolve_path(path)
    if fault := file_fault(path):
        raise FileFormatError("GX-FITS-001", fault, file=path, do="check the path and its base folder")
    with path.open("rb") as stream:
        head = stream.read(6)
        if not head.startswith(_MAGIC):
            raise FileFormatError(
                "GX-FITS-002",
                "not a FITS file",
                file=path,
                found=f"first bytes {head!r}",
                expected="b'SIMPLE' or gzip",
                do="was the download complete?",
            )
        stream.seek(0)
        try:
            content = stream if head.startswith(_MAGIC[0]) else _unpack(stream, path)
            with warnings.catch_warnings():
                # an edited header leaves a stale CHECKSUM behind; DATASUM, of the data alone, still tells
                warnings.filterwarnings("ignore", message="Checksum verification failed", category=AstropyUserWarning)
                for message in _DAMAGE:
                    warnings.filterwarnings("error", message=message, category=AstropyUserWarning)
                with fits.open(content, memmap=False, checksum=True) as hdus:
                    yield hdus
        except GammaxError as error:
            if "file" in error.context:
                raise
            raise error.with_context(file=path) from error
        except GammaxWarning:
            raise
        except Exception as error:
            raise FileFormatError("GX-FITS-003", f"damaged FITS file: {error}", file=path) from error


class _Unpacked(io.BytesIO):
    """Unpacked file that remembers where it came from, for messages."""

    name = ""


def _unpack(stream: BinaryIO, path: Path) -> _Unpacked:
    """Whole gzip stream, so that its length and check sum are looked at; a lazy reader never reaches them."""
    with gzip.open(stream) as packed:
        content = _Unpacked(packed.read(MAX_UNPACKED_BYTES + 1))
    if content.getbuffer().nbytes > MAX_UNPACKED_BYTES:
        raise ResourceError(
            "GX-FITS-010",
            "the file unpacks to more than gammax reads",
            file=path,
            expected=f"at most {MAX_UNPACKED_BYTES} bytes",
            do="unpack it to look at it",
        )
    content.name = str(path)
    return content


def file_of(hdus: fits.HDUList) -> str | None:
    """Path of an open HDU list, for messages."""
    name = hdus.filename()
    return None if name is None else os.fsdecode(name)


def get_hdu(hdus: fits.HDUList, name: str) -> Any:
    """HDU by name.

    Raises
    ------
    SchemaError : no HDU of that name; lists those there are.
    """
    if name in hdus:
        return hdus[name]
    raise SchemaError(
        "GX-FITS-004",
        f"HDU {name} is missing",
        file=file_of(hdus),
        hdu=name,
        found=", ".join(hdu.name or "(unnamed)" for hdu in hdus),
    )


def table_columns(hdu: fits.BinTableHDU, file: str | None = None) -> dict[str, Any]:
    """Columns of a table by their names in capitals, in the order of the table; those without a name are left out.

    Raises
    ------
    SchemaError : the HDU is no table. FileFormatError : the description of a column is damaged.
    """
    if not isinstance(hdu, fits.BinTableHDU | fits.TableHDU):
        raise SchemaError("GX-FITS-011", f"HDU {hdu.name} is not a table", file=file, hdu=hdu.name)
    try:
        return {column.name.upper(): column for column in hdu.columns or () if column.name}
    except Exception as error:
        raise FileFormatError("GX-FITS-003", f"damaged columns: {error}", file=file, hdu=hdu.name) from error


def get_column(hdu: fits.BinTableHDU, name: str, unit: str | None = None, file: str | None = None) -> np.ndarray:
    """Column of a table in native byte order; converted to `unit` where one is asked for.

    Raises
    ------
    SchemaError : no such column. UnitError : no unit, or one that does not convert. DataValueError : not numbers.
    FileFormatError : the column is damaged.
    """
    columns = table_columns(hdu, file)
    if name.upper() not in columns:
        raise SchemaError(
            "GX-FITS-005", f"column {name} is missing", file=file, hdu=hdu.name, column=name, found=", ".join(columns)
        )
    column = columns[name.upper()]
    try:
        data = np.asarray(hdu.data[column.name])
    except Exception as error:
        raise FileFormatError(
            "GX-FITS-003", f"column {name} is damaged: {error}", file=file, hdu=hdu.name, column=name
        ) from error
    if data.dtype.kind in "iufb":
        data = data.astype(data.dtype.newbyteorder("="))
    if unit is None:
        return data
    if not column.unit and unit:
        raise UnitError(
            "GX-FITS-006",
            f"column {name} has no unit (TUNIT)",
            file=file,
            hdu=hdu.name,
            column=name,
            expected=unit,
            do="add the unit to the header; gammax does not guess",
        )
    found = parse_unit(column.unit or "", file=file, hdu=hdu.name, column=name)
    if not found.is_equivalent(parse_unit(unit)):
        raise UnitError(
            "GX-FITS-007",
            f"column {name} has the wrong unit",
            file=file,
            hdu=hdu.name,
            column=name,
            found=column.unit,
            expected=unit,
        )
    if data.dtype.kind not in "iuf":
        raise DataValueError(
            "GX-FITS-008",
            f"column {name} does not hold numbers",
            file=file,
            hdu=hdu.name,
            column=name,
            found=data.dtype,
        )
    return data.astype(np.float64) * found.to(parse_unit(unit))


def get_keyword(hdu: fits.BinTableHDU | fits.ImageHDU, name: str, file: str | None = None):
    """Header value.

    Raises
    ------
    SchemaError : the keyword is missing.
    """
    if name not in hdu.header:
        raise SchemaError("GX-FITS-009", f"keyword {name} is missing", file=file, hdu=hdu.name, keyword=name)
    return hdu.header[name]


def read_meta(hdu: Any, file: str | None = None) -> dict[str, Any]:
    """Mapping in the META card of an HDU, JSON text; empty where there is none.

    Raises
    ------
    SchemaError : it is something else.
    """
    text = hdu.header.get("META", "{}")
    try:
        meta = json.loads(text)
        if not isinstance(meta, dict):
            raise TypeError(f"a {type(meta).__name__} instead of a mapping")
    except (TypeError, ValueError, RecursionError) as error:
        raise SchemaError(
            "GX-FITS-012", f"keyword META is not JSON: {error}", file=file, hdu=hdu.name, keyword="META", found=text
        ) from error
    return meta


def dump_meta(meta: dict[str, Any], **where: Any) -> str:
    """JSON text of metadata, for a META card.

    Raises
    ------
    SchemaError : a value that JSON cannot hold.
    """
    try:
        return json.dumps(meta)
    except (TypeError, ValueError, RecursionError) as error:
        raise SchemaError(
            "GX-FITS-013", f"meta cannot be written: {error}", expected="numbers, texts, lists and mappings", **where
        ) from error


def write_fits(hdus: fits.HDUList, path: str | Path, overwrite: bool = False) -> Path:
    """Write with checksums, atomically: a reader sees the whole old file or the whole new one.

    Raises
    ------
    FileFormatError : the file exists and `overwrite` is false. ResourceError : the disk refuses. SchemaError : the
    content is none that FITS can hold.
    """
    try:
        return replace_file(path, lambda stream: hdus.writeto(stream, checksum=True), overwrite)
    except (GammaxError, GammaxWarning):
        raise
    except Exception as error:
        raise SchemaError("GX-FITS-014", f"cannot be written as FITS: {error}", file=path) from error
