"""Error products: processes of both sides, and what comes of their times."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from _errors_models import WORKLOADS
from _processes import run_one

# how many times faster than the peer
SPEED_BAR = 100
_TITLES = {
    "MINOS of one": "MINOS of one parameter",
    "MINOS of all": "MINOS of all three",
    "profile": "profile of 21 values, others fitted",
    "contour": "contour of 20 points",
}
Found = dict[str, dict[str, list[dict]]]


def run_all(peer: Path, reduced: Path, public: Path, rounds: int) -> Found:
    """Answers of all processes, by side and workload; the sides alternate."""
    found: Found = {"gammapy": {name: [] for name in WORKLOADS}, "gammax": {name: [] for name in WORKLOADS}}
    for _ in range(rounds):
        for workload in WORKLOADS:
            here = run_one(Path(sys.executable), "_errors_gammax.py", workload, reduced, public)
            found["gammax"][workload].append(here)
            found["gammapy"][workload].append(run_one(peer, "_errors_peer.py", workload, reduced, public))
    return found


def speed_rows(found: Found) -> list[dict[str, Any]]:
    """One row per workload and question: the peer's best time over gammax's median of compiled calls [s]."""
    rows = []
    for workload in WORKLOADS:
        for question, title in _TITLES.items():
            there, here = (
                [seconds for run in found[side][workload] for seconds in run["repeated_s"][question]]
                for side in ("gammapy", "gammax")
            )
            ratio = min(there) / median(here)
            rows.append(
                {
                    "workload": f"{workload}: {title}",
                    "Gammapy best [s]": min(there),
                    "gammax best [s]": min(here),
                    "gammax median [s]": median(here),
                    "gammax first [s]": min(run["first_s"][question] for run in found["gammax"][workload]),
                    "best / median": ratio,
                    "bar": f"{SPEED_BAR}: {'met' if ratio >= SPEED_BAR else 'MISSED'}",
                }
            )
    return rows


def agreement(found: Found) -> dict[str, float]:
    """Largest difference of the ends of intervals, in errors, and of the statistic in profiles."""
    largest = {}
    for workload in WORKLOADS:
        there, here = found["gammapy"][workload][-1], found["gammax"][workload][-1]
        # numpy's maximum is NaN where an end or a point does not exist
        ends = [
            abs(here[end][name] - there[end][name]) / error
            for name, error in here["errors"].items()
            for end in ("errp", "errn")
        ]
        largest[f"{workload}: ends of intervals [errors]"] = float(np.max(ends))
        apart = [abs(a - b) for a, b in zip(here["profile"], there["profile"], strict=True)]
        largest[f"{workload}: statistic in the profile"] = float(np.max(apart))
    return largest
