"""Sweeps of simulated data: processes of both sides, and what comes of their times."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from _processes import run_one

# how many times faster than the peer
SPEED_BARS = {"spectra": 1000, "cubes": 15}
# fits of the peer: all spectra
PEER_SPECTRA = 1000
# largest difference of a fitted value, in the peer's errors
AGREEMENT_BAR = 0.02
_TITLES = {"spectra": "1000 simulated spectra, power law", "cubes": "50 simulated cubes, Gaussian source"}
_COMPARED = ("values", "errors")
Found = dict[str, dict[str, list[dict]]]


def run_all(peer: Path, data: Path, rounds: int, cubes: int) -> Found:
    """Answers of all processes, by side and workload; the peer's sweep is run once, and fits so many of the cubes."""
    found: Found = {"gammapy": {}, "gammax": {name: [] for name in SPEED_BARS}}
    with tempfile.TemporaryDirectory() as folder:
        for workload, fits in (("spectra", str(PEER_SPECTRA)), ("cubes", str(cubes))):
            files = Path(folder, workload)
            found["gammapy"][workload] = [run_one(peer, "_sweep_peer.py", workload, data, files, fits)]
            for _ in range(rounds):
                found["gammax"][workload].append(
                    run_one(Path(sys.executable), "_sweep_gammax.py", workload, files, fits)
                )
    return found


def speed_rows(found: Found) -> list[dict[str, Any]]:
    """One row per workload: the peer's median time of a fit over gammax's median, all fits of a sweep together."""
    rows = []
    for workload, title in _TITLES.items():
        (there,), here = found["gammapy"][workload], found["gammax"][workload]
        number = here[0]["number"]
        each = median(there["each_s"])
        whole = median(seconds for run in here for seconds in run["repeated_s"])
        ratio, bar = each * number / whole, SPEED_BARS[workload]
        rows.append(
            {
                "sweep": title,
                "Gammapy, one fit [s]": each,
                "gammax, first sweep [s]": min(run["first_s"] for run in here),
                "gammax, later sweeps [s]": whole,
                "one fit [s]": whole / number,
                "times faster": ratio,
                "bar": f"{bar}, all ok: {'met' if ratio >= bar and here[0]['ok'] == number else 'MISSED'}",
                "ok": f"{here[0]['ok']} of {number}",
                "steps": f"{here[0]['n_steps']['mean']:.1f}, at most {here[0]['n_steps']['max']}",
            }
        )
    return rows


def agreement(found: Found) -> list[dict[str, Any]]:
    """Largest difference of a fitted value, fit by fit, in the peer's errors; cubes in the peer's order of folding."""
    rows = []
    for workload, title in _TITLES.items():
        (there,), here = found["gammapy"][workload], found["gammax"][workload][-1]
        if sorted(here["names"]) != sorted(there["names"]):
            raise SystemExit(f"parameters differ: {there['names']} and {here['names']}")
        order = [here["names"].index(name) for name in there["names"]]
        pairs = list(zip(here["values"], there["values"], there["errors"], strict=False))
        # numpy's maximum is NaN where a fit has no values
        largest = np.max(
            [
                abs(mine[i] - value) / error
                for mine, its, errors in pairs
                for i, value, error in zip(order, its, errors, strict=True)
            ]
        )
        rows.append(
            {
                "sweep": title,
                "fits compared": len(pairs),
                "largest difference [errors]": float(largest),
                "bar": f"{AGREEMENT_BAR}: {'met' if largest <= AGREEMENT_BAR else 'MISSED'}",
            }
        )
    return rows


def without_values(found: Found) -> Found:
    """Answers without what each fit found: thousands of numbers that `agreement` has compared."""
    return {
        side: {
            name: [{k: v for k, v in run.items() if k not in _COMPARED} for run in runs] for name, runs in by.items()
        }
        for side, by in found.items()
    }
