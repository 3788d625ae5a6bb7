"""What a run has made; in numbers for programs (summary.json), in a few lines for the terminal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gammax import __version__
from gammax.analysis._config import AnalysisConfig
from gammax.analysis._cube_runs import CubeRuns
from gammax.analysis._html import plural, rounded
from gammax.analysis._record import USED
from gammax.analysis._runs import Runs
from gammax.datasets import Datasets
from gammax.estimators import FluxPoints
from gammax.fit import FitResult
from gammax.models import Models


def fit_status(result: FitResult | None) -> str:
    """Status of a fit, "no_model" where there is none."""
    return "no_model" if result is None else result.status


@dataclass(frozen=True)
class Results:
    """The products of an analysis so far.

    Attributes
    ----------
    datasets : with the masks of the fit.
    models : the fitted ones, or those given where there was no fit.
    source : the model that the flux points are of.
    timings : seconds by stage; grows while results are written.
    notes : warnings that came up; grows while results are written.
    runs : observations that were reduced, None where the datasets were read.
    """

    config: AnalysisConfig
    datasets: Datasets
    models: Models | None
    fit_result: FitResult | None
    flux_points: FluxPoints | None
    source: str | None
    timings: dict[str, float]
    notes: list[str]
    runs: Runs | CubeRuns | None = None

    @property
    def status(self) -> str:
        """Status of the fit, "no_model" where there is none."""
        return fit_status(self.fit_result)

    @property
    def message(self) -> str:
        """The status in a sentence."""
        return "no model was given, nothing was fitted" if self.fit_result is None else self.fit_result.message

    @property
    def fitted_models(self) -> Models | None:
        """The models of the fit, None where there was none."""
        return None if self.fit_result is None else self.fit_result.models

    @property
    def n_bins(self) -> int:
        """Bins inside the masks."""
        return sum(int(dataset.mask.sum()) for dataset in self.datasets)

    @property
    def counts(self) -> dict[str, float]:
        """ON counts inside the mask by dataset; whole numbers as int."""
        sums = {dataset.name: float(np.sum(dataset.counts.values()[dataset.mask])) for dataset in self.datasets}
        return {name: int(total) if total.is_integer() else total for name, total in sums.items()}


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
        **({} if results.runs is None else {"observations": _observations(results.runs)}),
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


def _truth(result: FitResult, truth: Models) -> list[tuple[str, str]]:
    """True value of each free parameter in its unit, and by how many errors the fit lies above it."""
    lines, known = [("truth", "difference")], truth.parameters
    for name, unit, value, error in zip(result.names, result.units, result.values, result.errors, strict=True):
        if name in known:
            true = float(known[name].quantity.to_value(unit))
            lines.append((f"{true:g}", f"{(value - true) / error:+.1f} σ" if error > 0 else ""))
        else:
            lines.append(("", ""))
    return lines


def _observations(runs: Runs | CubeRuns) -> dict[str, Any]:
    return {
        "used": [run.name for run in runs.used],
        "left_out": {run.name: run.status for run in runs.rows if run.status != USED},
        "livetime": float(sum(run.livetime for run in runs.used)),
    }


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def fitted_table(results: Results, truth: Models | None = None) -> str:
    """Status and free parameters as lines of text, with those of a truth beside them where one is known."""
    result = results.fit_result
    lines = [f"{results.status}: {results.message}"]
    if result is None:
        return lines[0]
    rows = [("model", "parameter", "value", "unit")]
    rows += [
        (str(row["model"]), str(row["name"]), rounded(row["value"], row["error"]).text, str(row["unit"]))
        for row in result.parameters
    ]
    if truth is not None:
        rows = [(*row, *known) for row, known in zip(rows, _truth(result, truth), strict=True)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines += [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    where = f"{plural(results.n_bins, 'bin')} of {plural(len(results.datasets), 'dataset')}"
    return "\n".join([*lines, f"fit statistic {result.total_stat:.4f} in {where}"])
