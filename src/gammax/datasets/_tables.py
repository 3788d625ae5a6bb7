"""What travels with a dataset: good time intervals, one row per observation, free metadata."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table, vstack

from gammax._fits import get_column
from gammax.errors import DataValueError, SchemaError

_TIME_KEYWORDS = ("MJDREFI", "MJDREFF", "TIMESYS", "TIMEUNIT", "TIMEREF")
SECONDS_PER_DAY = 86400.0


def read_gti(hdu: fits.BinTableHDU, file: str | None) -> Table:
    """Good time intervals: START and STOP in seconds since the reference time in the table's meta.

    Raises
    ------
    SchemaError, UnitError : a column or its unit is missing.
    """
    times = {name: get_column(hdu, name, "s", file) for name in ("START", "STOP")}
    return Table(times, units=["s", "s"], meta={key: hdu.header[key] for key in _TIME_KEYWORDS if key in hdu.header})


def ontime(gti: Table | None) -> float:
    """Sum of the good time intervals in seconds, NaN without any table."""
    return np.nan if gti is None else float(np.sum(np.asarray(gti["STOP"]) - np.asarray(gti["START"])))


def table_hdu(table: Table, name: str) -> fits.BinTableHDU:
    """Table as an HDU.

    Raises
    ------
    SchemaError : it holds what FITS cannot.
    """
    try:
        return fits.BinTableHDU(table, name=name)
    except (TypeError, ValueError) as error:
        raise SchemaError("GX-DATASETS-064", f"table {name} cannot be written: {error}", hdu=name) from error


def read_table(hdu: fits.BinTableHDU) -> Table:
    """HDU as a table, header and all."""
    return Table.read(hdu, character_as_bytes=False)


def stack_gti(tables: Sequence[Table | None]) -> Table | None:
    """Intervals of all tables, by start time, counted from the earliest reference time; None if one has none.

    Raises
    ------
    DataValueError : the time systems differ.
    """
    present = [table for table in tables if table is not None]
    if len(present) < len(tables):
        return None
    systems = {str(_meta(table).get("TIMESYS", "")).lower() for table in present}
    if len(systems) > 1:
        raise DataValueError(
            "GX-DATASETS-060",
            "cannot join good time intervals of different time systems",
            found=", ".join(sorted(systems)),
        )
    earliest = min(present, key=lambda table: sum(_reference(table)))
    times = np.hstack([_times_since(table, _reference(earliest)) for table in present])
    start, stop = times[:, np.argsort(times[0], kind="stable")]
    return Table({"START": start, "STOP": stop}, units=["s", "s"], meta=_meta(earliest))


def _reference(table: Table) -> tuple[float, float]:
    """Reference time [MJD], whole days and fraction."""
    meta = _meta(table)
    return float(meta.get("MJDREFI", 0)), float(meta.get("MJDREFF", 0.0))


def _meta(table: Table) -> dict[str, Any]:
    return dict(table.meta or {})


def _times_since(table: Table, reference: tuple[float, float]) -> np.ndarray:
    """Starts and stops [s] from another reference time, shape (2, n); days and fractions apart, to keep digits."""
    days, fraction = (mine - theirs for mine, theirs in zip(_reference(table), reference, strict=True))
    return np.array([table["START"], table["STOP"]]) + days * SECONDS_PER_DAY + fraction * SECONDS_PER_DAY


def stack_tables(tables: Sequence[Table | None]) -> Table | None:
    """Rows of all tables."""
    present = [table for table in tables if table is not None]
    return vstack(present, metadata_conflicts="silent") if present else None


def read_meta(text: str, file: str | None, hdu: str) -> dict[str, Any]:
    """Mapping in a META card.

    Raises
    ------
    SchemaError : it is no JSON mapping.
    """
    try:
        meta = json.loads(text)
    except json.JSONDecodeError as error:
        raise SchemaError("GX-DATASETS-062", "keyword META is not JSON", file=file, hdu=hdu, keyword="META") from error
    if not isinstance(meta, dict):
        raise SchemaError("GX-DATASETS-065", "keyword META is not a mapping", file=file, hdu=hdu, keyword="META")
    return meta


def dump_meta(meta: dict[str, Any], dataset: str) -> str:
    """JSON text of metadata, for a META card.

    Raises
    ------
    SchemaError : a value that JSON cannot hold.
    """
    try:
        return json.dumps(meta)
    except (TypeError, ValueError) as error:
        raise SchemaError(
            "GX-DATASETS-063",
            f"meta cannot be written: {error}",
            dataset=dataset,
            expected="numbers, texts, lists and mappings",
        ) from error
