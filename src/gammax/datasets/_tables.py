"""What travels with a dataset: good time intervals, one row per observation, free metadata."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning
from astropy.table import Column, QTable, Table, vstack
from astropy.utils.exceptions import AstropyWarning

from gammax._fits import get_column
from gammax.errors import DataValueError, SchemaError, UnitError
from gammax.units import parse_unit

# cards of the HDU, not of the table
_NO_META = ("EXTNAME", "CHECKSUM", "DATASUM")
SECONDS_PER_DAY = 86400.0


def read_gti(hdu: fits.BinTableHDU, file: str | None) -> Table:
    """Good time intervals: START and STOP in seconds since the reference time in the meta, and what else is there.

    Raises
    ------
    SchemaError, UnitError : a column or its unit is missing.
    """
    times = {name: get_column(hdu, name, "s", file) for name in ("START", "STOP")}
    table = read_table(hdu)
    rest = [name for name in table.colnames if name.upper() not in times]
    return Table({**times, **{name: table[name] for name in rest}}, units=dict.fromkeys(times, "s"), meta=table.meta)


def check_gti(gti: Any, dataset: str) -> Table | None:
    """Table of good time intervals with START and STOP in seconds; other units of time are converted.

    Raises
    ------
    SchemaError : no table, or a column is missing. UnitError : no unit, or not one of time. DataValueError : no
    numbers.
    """
    if gti is None:
        return None
    if not isinstance(gti, Table):
        raise SchemaError("GX-DATASETS-061", "gti must be a Table", dataset=dataset, found=type(gti).__name__)
    changed = {}
    for name in ("START", "STOP"):
        if name not in gti.colnames:
            raise SchemaError(
                "GX-DATASETS-062",
                f"gti has no column {name}",
                dataset=dataset,
                found=", ".join(gti.colnames),
                expected="START and STOP, in seconds since the reference time in its meta",
            )
        changed[name] = _seconds(gti[name], name, dataset)
    if not isinstance(gti, QTable) and all(str(gti[name].unit) == "s" for name in changed):
        return gti
    gti = Table(gti)
    for name, seconds in changed.items():
        gti[name] = Column(seconds, unit="s")
    return gti


def _seconds(column: Any, name: str, dataset: str) -> np.ndarray:
    unit = getattr(column, "unit", None)
    if unit is None or not parse_unit(unit).is_equivalent("s"):
        raise UnitError(
            "GX-DATASETS-063",
            f"column {name} of gti is not a time",
            dataset=dataset,
            found=unit or "no unit",
            expected="s",
        )
    try:
        values = np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataValueError("GX-DATASETS-065", f"column {name} of gti holds no numbers", dataset=dataset) from error
    return values * parse_unit(unit).to("s")


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
        with warnings.catch_warnings():
            # what astropy would leave out with a warning is an error; long keywords become HIERARCH cards
            warnings.simplefilter("error", AstropyWarning)
            warnings.filterwarnings("ignore", message="Keyword name .* HIERARCH", category=VerifyWarning)
            return fits.BinTableHDU(table, name=name)
    except (TypeError, ValueError, AttributeError, AstropyWarning) as error:
        raise SchemaError("GX-DATASETS-064", f"table {name} cannot be written: {error}", hdu=name) from error


def read_table(hdu: fits.BinTableHDU) -> Table:
    """HDU as a table, header and all."""
    table = Table.read(hdu, character_as_bytes=False, mask_invalid=False)
    for key in _NO_META:
        table.meta.pop(key, None)
    return table


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
