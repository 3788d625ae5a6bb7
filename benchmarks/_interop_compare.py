"""What one side wrote against what the other read: rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np

BAR, EXPOSURE_BAR, EDISP_BAR = 1e-6, 1e-5, 1e-6
EXACT = ("counts", "counts_off", "acceptance_off", "mask", "frozen of parameters", "is_ul", "success")


def exchange_row(files: str, writer: str, reader: str, wrote: dict, read: dict) -> dict[str, Any]:
    """Largest differences of arrays by label ``kind/what``: statistics and other numbers relative, counts as they are.

    Other numbers of event files are exposures (relative) and elements of the energy dispersion (absolute).
    """
    row = {"files": files, "written by": writer, "read by": reader, "statistic": 0.0, "other numbers": 0.0}
    row |= {"counts and masks": 0.0, "numbers compared": 0, "bar": None}
    met = bool(wrote) and set(wrote) == set(read)
    for label, values in wrote.items():
        what, found = label.rpartition("/")[2], read.get(label, np.array(np.nan))
        if what in EXACT:
            column, difference, bar = "counts and masks", _absolute(values, found), 0.0
        elif what == "edisp":
            column, difference, bar = "other numbers", _absolute(values, found), EDISP_BAR
        else:
            column = "statistic" if what == "statistic" else "other numbers"
            difference, bar = _relative(values, found), EXPOSURE_BAR if what == "exposure" else BAR
        row[column] = max(row[column], difference)
        row["numbers compared"] += values.size
        met = met and difference <= bar
    return row | {"bar": f"{BAR:g}: {'met' if met else 'MISSED'}"}


def _absolute(wrote: np.ndarray, read: np.ndarray) -> float:
    if wrote.shape != read.shape or np.any(np.isnan(wrote) != np.isnan(read)):
        return np.inf
    return float(np.max(np.abs(read - wrote)[np.isfinite(wrote)], initial=0.0))


def _relative(wrote: np.ndarray, read: np.ndarray) -> float:
    """Relative to the value, or to 1e-12 of the largest of them where that is more."""
    if wrote.shape != read.shape or np.any(np.isnan(wrote) != np.isnan(read)):
        return np.inf
    size = np.abs(wrote)
    floor = 1e-12 * np.max(size[np.isfinite(wrote)], initial=0.0)
    scale = np.where(size > floor, size, floor or 1.0)
    return float(np.max((np.abs(read - wrote) / scale)[np.isfinite(wrote)], initial=0.0))


def under(start: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays whose labels begin so, without that beginning."""
    return {label.removeprefix(start): values for label, values in arrays.items() if label.startswith(start)}
