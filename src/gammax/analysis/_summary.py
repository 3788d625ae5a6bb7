"""A run in numbers, for programs: summary.json; and in a few lines, for the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gammax import __version__
from gammax.analysis._numbers import plural, rounded

if TYPE_CHECKING:
    from gammax.analysis._results import Results
    from gammax.fit import FitResult


def summary(results: Results) -> dict[str, Any]:
    """What ``summary.json`` holds; numbers that do not exist are None."""
    result = results.fit_result
    return {
        "status": results.status,
        "message": results.message,
        "total_stat": None if result is None else _number(result.total_stat),
        "n_bins": results.n_bins,
        "counts": results.counts,
        "parameters": [] if result is None else _parameters(result),
        "notes": list(results.notes),
        "timings": {name: round(seconds, 6) for name, seconds in results.timings.items()},
        "gammax": __version__,
    }


def _parameters(result: FitResult) -> list[dict[str, Any]]:
    return [
        {
            "model": str(row["model"]),
            "name": str(row["name"]),
            "value": _number(row["value"]),
            "error": _number(row["error"]),
            "unit": str(row["unit"]),
        }
        for row in result.parameters
    ]


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def fitted_table(results: Results) -> str:
    """Status and free parameters as lines of text."""
    result = results.fit_result
    lines = [f"{results.status}: {results.message}"]
    if result is None:
        return lines[0]
    rows = [("model", "parameter", "value", "unit")]
    rows += [
        (str(row["model"]), str(row["name"]), rounded(row["value"], row["error"]).text, str(row["unit"]))
        for row in result.parameters
    ]
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    lines += [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    where = f"{plural(results.n_bins, 'bin')} of {plural(len(results.datasets), 'dataset')}"
    return "\n".join([*lines, f"fit statistic {result.total_stat:.4f} in {where}"])
