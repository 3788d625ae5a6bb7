"""From the telescope's files on: processes of both sides, and what comes of their times."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from _processes import run_one

REDUCTION_BAR = 2.0
_COLD = {
    "Gammapy": "peer",
    "gammax": "gammax",
    "gammax, filling the compilation cache": "filling",
    "gammax, with the compilation cache": "cached",
}


def run_all(peer: Path, data: Path, rounds: int) -> dict[str, list[dict]]:
    """Answers of all processes; the sides alternate, the reductions are run once."""
    ours, found = Path(sys.executable), {name: [] for name in (*_COLD.values(), "peer reduce", "gammax reduce")}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            found["gammax"].append(run_one(ours, "_dl3_gammax.py", "cold", data))
            found["peer"].append(run_one(peer, "_dl3_peer.py", "cold", data))
            cache = Path(folder, str(number))
            for kind in ("filling", "cached"):
                found[kind].append(run_one(ours, "_dl3_gammax.py", "cold", data, cache=cache))
    found["gammax reduce"].append(run_one(ours, "_dl3_gammax.py", "reduce", data))
    found["peer reduce"].append(run_one(peer, "_dl3_peer.py", "reduce", data))
    return found


def cold_rows(found: dict[str, list[dict]]) -> list[dict[str, Any]]:
    """Whole processes: the fastest of each kind with its stages [s]; the bar takes gammax's slowest."""
    rows = []
    for name, kind in _COLD.items():
        best = min(found[kind], key=lambda run: run["cold_s"])
        again = best.get("again", {})
        compiling = {f"compiling the {key}": best["stages"][key] - seconds for key, seconds in again.items()}
        columns = {**dict.fromkeys(("compiling the fit", "compiling the flux points")), **compiling}
        row = {"process": name, "whole": best["cold_s"], **best["stages"], **columns}
        rows.append({**row, "peak RSS [MB]": best["peak_rss_mb"], "bar": None})
    slowest, fastest = (max(run["cold_s"] for run in found["gammax"]), rows[0]["whole"])
    rows[1]["bar"] = f"faster: {'met' if slowest < fastest else 'MISSED'}"
    return rows


def reduction_rows(found: dict[str, list[dict]]) -> list[dict[str, Any]]:
    """Time per run [ms]: each run on the Crab nebula (the peer's best over gammax's median), then all runs once."""
    there, here = found["peer reduce"][0], found["gammax reduce"][0]
    rows = [
        _row(f"run {number}", min(there["crab_s"][number]), min(times), median(times))
        for number, times in here["crab_s"].items()
    ]
    sides = (there["all_s"], here["all_s"])
    middle = _row(
        f"median of {len(here['all_s'])} runs", median(sides[0]), min(here["all_s"]), median(sides[1]), "median"
    )
    return [*rows, middle]


def _row(name: str, peer: float, best: float, middle: float, kind: str = "best") -> dict[str, Any]:
    ratio = peer / middle
    return {
        "reduction of": name,
        "Gammapy [ms]": 1e3 * peer,
        "of which": kind,
        "gammax best [ms]": 1e3 * best,
        "gammax median [ms]": 1e3 * middle,
        "ratio to the median": ratio,
        "bar": f"{REDUCTION_BAR:g}: {'met' if ratio >= REDUCTION_BAR else 'MISSED'}",
    }


def agreement(found: dict[str, list[dict]]) -> dict[str, float]:
    """Largest differences of what both sides found, in the last round."""
    there, here = found["peer"][-1], found["gammax"][-1]
    pairs = [
        (a, b)
        for kind in ("", " reduce")
        for a, b in zip(found[f"peer{kind}"][-1]["rows"], found[f"gammax{kind}"][-1]["rows"], strict=True)
    ]
    if any(a[0] != b[0] for a, b in pairs):
        raise SystemExit("the sides have reduced different runs")
    norms = [abs(a - b) for a, b in zip(here["norm"], there["norm"], strict=True) if b is not None and a is not None]
    return {
        "counts ON and OFF, OFF regions, bins in the mask": max(
            abs(x - y) for a, b in pairs for x, y in zip(a[1:5], b[1:5], strict=True)
        ),
        "exposure, relative": max(abs(b[5] / a[5] - 1) for a, b in pairs),
        "ECPL values [errors]": max(
            abs(here["values"][name] - value) / there["errors"][name] for name, value in there["values"].items()
        ),
        "total stat": abs(here["total_stat"] - there["total_stat"]),
        "norms of flux points": max(norms),
    }
