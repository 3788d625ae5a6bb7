"""Index tables in FITS files."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.units import UnitsWarning

from gammax._fits import open_fits, write_fits
from gammax.data._header import read_meta
from gammax.errors import DataValueError, GammaxWarning, SchemaError, did_you_mean


def read_index(path: Path, name: str, required: Sequence[str]) -> Table:
    """Index table of a file: the HDU of that name, else the first table that has the required columns.

    Raises
    ------
    SchemaError : no such table, or columns are missing. DataValueError : OBS_ID holds no whole numbers.
    """
    with open_fits(path) as hdus:
        tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)]
        if not tables:
            raise SchemaError("GX-DATA-050", "the file holds no table", file=path, expected=name)
        # published files exist whose HDU index is named OBS_INDEX, and others without a name
        tables.sort(key=lambda hdu: (not set(required) <= set(hdu.columns.names), hdu.name != name))
        hdu = tables[0]
        missing = sorted(set(required) - set(hdu.columns.names))
        if missing:
            raise SchemaError(
                "GX-DATA-051",
                f"index table lacks {', '.join(missing)}",
                file=path,
                hdu=hdu.name,
                column=missing[0],
                found=", ".join(hdu.columns.names),
                do=did_you_mean(missing[0], hdu.columns.names),
            )
        with warnings.catch_warnings():
            # a unit that nobody asks for
            warnings.simplefilter("ignore", UnitsWarning)
            table = Table.read(hdu, character_as_bytes=False)
        table.meta = read_meta(hdu.header)
    for column in table.itercols():
        if column.dtype.kind == "U":
            table[column.name] = np.char.strip(np.asarray(column))
    table["OBS_ID"] = whole_numbers(table["OBS_ID"], path)
    return table


def whole_numbers(ids: Any, path: Path | None = None) -> np.ndarray:
    """Observation numbers as int64.

    Raises
    ------
    DataValueError : some are no whole numbers.
    """
    values = np.asarray(ids)
    try:
        numbers = values.astype(np.int64)
        if values.dtype.kind in "iuU" or np.array_equal(numbers, values):
            return numbers
    except (ValueError, TypeError):
        pass
    raise DataValueError(
        "GX-DATA-052", "OBS_ID does not hold whole numbers", file=path, column="OBS_ID", found=values[:3].tolist()
    )


def repeated_rows(table: Table, keys: Sequence[str], compared: Sequence[str] = ()) -> tuple[list[int], list[tuple]]:
    """Rows that repeat the keys of an earlier one with the same content, and keys whose rows differ."""
    first: dict[tuple, str] = {}
    same, differing = [], []
    columns = [table[name].tolist() for name in (*keys, *compared)]
    for row, cells in enumerate(zip(*columns, strict=True)):
        key, content = cells[: len(keys)], str(cells[len(keys) :])  # as text, so that NaN equals NaN
        if key not in first:
            first[key] = content
        elif first[key] == content:
            same.append(row)
        else:
            differing.append(key)
    return same, differing


def warn_of_repeated(rows: Sequence[int], file: Path) -> None:
    """One warning for all rows that repeat another one."""
    if rows:
        warnings.warn(
            f"{file}: {len(rows)} rows repeat another one (first: row {rows[0]}); they are used once",
            GammaxWarning,
            stacklevel=2,
        )


def write_index(table: Table, path: Path, name: str, overwrite: bool) -> Path:
    """Index table as FITS (`write_fits`)."""
    plain = Table(table, copy=False)
    header = {key: value for key, value in plain.meta.items() if key not in ("BASE_DIR", "IDX_FILE", "EXTNAME")}
    plain.meta = {}
    hdu = fits.BinTableHDU(plain, name=name)
    hdu.header.update(header)
    return write_fits(fits.HDUList([fits.PrimaryHDU(), hdu]), path, overwrite)
