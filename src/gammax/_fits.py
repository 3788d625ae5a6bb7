"""FITS with our errors: every reader of gammax opens files, finds HDUs and takes columns here."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
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
# astropy warns of a file that ends early, and goes on
_DAMAGE = ("File may have been truncated", "Error validating header")
_CHANGED = re.compile(r"Datasum verification failed for HDU \('(.*)', \d+\)")


@contextmanager
def open_fits(path: str | Path, verify: bool = True) -> Iterator[fits.HDUList]:
    """Open a FITS file (plain or gzip, told by its first bytes and not by its suffix) for reading.

    Parameters
    ----------
    verify : compare the data to their DATASUM, where there is one; who looks at headers alone need not.

    Raises
    ------
    FileFormatError : the file is missing, is a folder, or does not start as FITS does; damage found while reading.
    Damage shows late, since astropy reads when asked to: whatever else is raised inside the block is taken for it.

    Data that differ from their DATASUM are read, with one warning that names the HDUs: published files exist (of
    Fermi-LAT and H.E.S.S.) that somebody edited.
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
                for message in _DAMAGE:
                    warnings.filterwarnings("error", message=message, category=AstropyUserWarning)
                with _open(content, path, verify) as hdus:
                    yield hdus
        except GammaxError as error:
            if "file" in error.context:
                raise
            raise error.with_context(file=path) from error
        except GammaxWarning:
            raise
        except Exception as error:
            raise FileFormatError("GX-FITS-003", f"damaged FITS file: {error}", file=path) from error


def _open(content: BinaryIO, path: Path, verify: bool) -> fits.HDUList:
    """All HDUs; to `verify` is to compare their data to DATASUM.

    CHECKSUM is not looked at, since an edited header leaves a stale one behind.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", message="(Datasum|Checksum) verification failed", category=AstropyUserWarning)
        hdus = fits.open(content, memmap=False, checksum=verify, lazy_load_hdus=False)
    changed = []
    for warning in caught:
        text = str(warning.message)
        if found := _CHANGED.match(text):
            changed.append(found[1])
        elif not text.startswith("Checksum verification failed"):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    if changed:
        warnings.warn(
            f"{path}: the data of HDU {', '.join(changed)} are not those that its DATASUM was made of; they are read "
            "as they are",
            GammaxWarning,
            stacklevel=2,
        )
    return hdus


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
    """Write with checksums, packed where the name ends in ``.gz``; the same content gives the same bytes.

    Atomic: a reader sees the whole old file or the whole new one.

    Raises
    ------
    FileFormatError : the file exists and `overwrite` is false. ResourceError : the disk refuses. SchemaError : the
    content is none that FITS can hold.
    """

    def write(stream: BinaryIO) -> None:
        if Path(path).suffix != ".gz":
            return _write_undated(hdus, stream)
        with gzip.GzipFile("", "wb", fileobj=stream, mtime=0) as packed:
            return _write_undated(hdus, packed)

    try:
        return replace_file(path, write, overwrite)
    except (GammaxError, GammaxWarning):
        raise
    except Exception as error:
        raise SchemaError("GX-FITS-014", f"cannot be written as FITS: {error}", file=path) from error


def _write_undated(hdus: fits.HDUList, stream: Any) -> None:
    """Write with checksums, but without the time of day that astropy puts into the comments of their cards."""
    content = io.BytesIO()
    hdus.writeto(content)
    content.seek(0)
    with fits.open(content, memmap=False, disable_image_compression=True) as written:
        for hdu in written:
            hdu.add_datasum("of the data")
            hdu.add_checksum("of header and data", override_datasum=True)
        written.writeto(stream)
