"""Fits and flux points of cubes: processes of both sides, and what comes of their times and memory."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median
from typing import Any

from _cubes_models import DATASETS
from _processes import run_one

# how many times faster than the peer
SPEED_BARS = {"point": 30, "gaussian": 20, "frozen": 300, "centre, all sources": 30, "flux": 100}
MEMORY_BAR_MB = 300.0
_TITLES = {
    "point": "Crab, point source, with covariance",
    "gaussian": "Crab, Gaussian, with covariance",
    "frozen": "Crab, point source that stands still",
    "flux": "Crab, flux points in 5 bins, all options",
    "centre": "galactic centre, one source",
    "centre, all sources": "galactic centre, two sources and a diffuse template",
}
Found = dict[str, dict[str, list[dict]]]


def run_all(peer: Path, datasets: Path, data: Path, rounds: int) -> Found:
    """Answers of all processes, by side and workload; the sides alternate."""
    found: Found = {"gammapy": {name: [] for name in DATASETS}, "gammax": {name: [] for name in DATASETS}}
    for _ in range(rounds):
        for workload in DATASETS:
            found["gammax"][workload].append(
                run_one(Path(sys.executable), "_cubes_gammax.py", workload, datasets, data)
            )
            found["gammapy"][workload].append(run_one(peer, "_cubes_peer.py", workload, datasets, data))
    return found


def speed_rows(found: Found) -> list[dict[str, Any]]:
    """One row per workload: the peer's best time over gammax's median of compiled calls [s]."""
    rows = []
    for workload, title in _TITLES.items():
        there, here = (
            [seconds for run in found[side][workload] for seconds in run["repeated_s"]]
            for side in ("gammapy", "gammax")
        )
        ratio, bar = min(there) / median(here), SPEED_BARS.get(workload)
        rows.append(
            {
                "workload": title,
                "Gammapy best [s]": min(there),
                "gammax best [s]": min(here),
                "gammax median [s]": median(here),
                "best / median": ratio,
                "bar": None if bar is None else f"{bar}: {'met' if ratio >= bar else 'MISSED'}",
            }
        )
    return rows


def cold_rows(found: Found) -> list[dict[str, Any]]:
    """Whole processes, nothing cached: fastest of each side [s], stages of gammax's, and peak memory [MB]."""
    rows = []
    for workload, title in _TITLES.items():
        there, here = (min(found[side][workload], key=lambda run: run["cold_s"]) for side in ("gammapy", "gammax"))
        more = here["peak_rss_mb"] - there["peak_rss_mb"]
        stages = {"import": None, "read": None, "fit": None, "flux points": None, **here["stages"]}
        rows.append(
            {
                "process": title,
                "Gammapy": there["cold_s"],
                "gammax": here["cold_s"],
                **stages,
                "bar": f"faster: {'met' if here['cold_s'] < there['cold_s'] else 'MISSED'}",
                "Gammapy [MB]": there["peak_rss_mb"],
                "gammax [MB]": here["peak_rss_mb"],
                "memory bar": f"+{MEMORY_BAR_MB:.0f}: {'met' if more <= MEMORY_BAR_MB else 'MISSED'}",
            }
        )
    return rows


def agreement(found: Found) -> dict[str, float]:
    """Largest difference of the fitted values of each workload, in the peer's errors; of flux points, in norms.

    gammax takes the exposure before the PSF, the peer after it.
    """
    largest = {}
    for workload, title in _TITLES.items():
        there, here = found["gammapy"][workload][-1], found["gammax"][workload][-1]
        if workload == "flux":
            largest[f"{title} [norm]"] = max(abs(a - b) for a, b in zip(here["norm"], there["norm"], strict=True))
            continue
        largest[f"{title} [errors]"] = max(
            abs(here["values"][name] - value) / there["errors"][name] for name, value in _matching(there, here)
        )
    return largest


def _matching(there: dict, here: dict) -> list[tuple[str, float]]:
    common = [(name, value) for name, value in there["values"].items() if name in here["values"]]
    if len(common) != len(there["values"]):
        raise SystemExit(f"parameters differ: {sorted(there['values'])} and {sorted(here['values'])}")
    return common
