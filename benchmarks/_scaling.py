"""How fits of cubes grow: processes of both sides, and what comes of their times and memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from _clock import write_json
from _processes import run_one
from _scaling_cases import SIZES, folder_name

SCRIPTS = {"gammapy": "_scaling_peer.py", "gammax": "_scaling_gammax.py"}
QUICK_S, ALLOWANCE_S = 15.0, 45.0
# side: panel: size: answers of its processes; none where the process was stopped, no entry where it was not begun
Found = dict[str, dict[str, dict[str, list[dict]]]]


class Options(NamedTuple):
    """How it is run.

    Parameters
    ----------
    peer : its Python.
    keep : JSON in which the answers are kept as they come.
    files : folder of the cubes, made where they are not there; a temporary one unless given.
    cap : seconds that a first fit may take. What takes more is stopped (some time is left for reading and later
        calls), and no larger one of its side is begun.
    rounds : how often the processes of a size that is quick are repeated.
    largest : number of sizes in each panel; all unless given.
    """

    peer: Path
    keep: Path
    files: Path | None = None
    cap: float = 150.0
    rounds: int = 1
    largest: int | None = None


def run_all(options: Options, sides: tuple[str, ...] = tuple(SCRIPTS), old: Path | None = None) -> Found:
    """Answers of all processes; the sides alternate.

    Parameters
    ----------
    sides : that are run. old : JSON of an earlier run, whose answers of the other side are taken.
    """
    found: Found = {side: {panel: {} for panel in SIZES} for side in SCRIPTS}
    if old is not None:
        found |= {side: runs for side, runs in json.loads(old.read_text())["raw"].items() if side not in sides}
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.files or Path(temporary)
        for panel, every in SIZES.items():
            given_up: set[str] = set()
            for size in every[: options.largest]:
                if given_up.issuperset(sides):
                    break
                if not (folder / folder_name(panel, size) / "datasets.yaml").exists():
                    run_one(Path(sys.executable), "_scaling_make.py", panel, str(size), folder)
                for side in options.rounds * sides:
                    if side not in given_up:
                        runs = found[side][panel].setdefault(str(size), [])
                        if not _run_case(options, side, (panel, str(size), folder), runs):
                            given_up.add(side)
                write_json(options.keep, {"raw": found})
    return found


def _run_case(options: Options, side: str, case: tuple[str | Path, ...], runs: list[dict]) -> bool:
    """Add the answer of one more process, if the last was quick; whether larger ones are to be begun."""
    if runs and runs[-1]["stages"]["fit"] > QUICK_S:
        return True
    python = options.peer if side == "gammapy" else Path(sys.executable)
    try:
        runs.append(run_one(python, SCRIPTS[side], *case, timeout=options.cap + ALLOWANCE_S))
    except subprocess.TimeoutExpired:
        return False
    return runs[-1]["stages"]["fit"] < options.cap


def rows(found: Found) -> list[dict[str, Any]]:
    """One row per size: times of both sides [s], peak memory [MB], and how far the fits are apart."""
    return [
        _row(panel, size, *(found[side][panel].get(str(size)) for side in SCRIPTS))
        for panel, every in SIZES.items()
        for size in every
        if any(str(size) in found[side][panel] for side in SCRIPTS)
    ]


def _row(panel: str, size: int, there: list[dict] | None, here: list[dict] | None) -> dict[str, Any]:
    best = min((seconds for run in there for seconds in run["repeated_s"]), default=None) if there else None
    first = min(run["first_s"] for run in here) if here else None
    later = median(seconds for run in here for seconds in run["repeated_s"]) if here else None
    both = (there[-1], here[-1]) if there and here else None
    return {
        "panel": panel,
        "size": size,
        "free": next((len(run["values"]) for run in [*(there or []), *(here or [])]), None),
        "Gammapy [s]": best if there else _why_not(there),
        "gammax first [s]": first if here else _why_not(here),
        "of it compiling": min(sum(run["compiling"].values()) for run in here) if here else None,
        "gammax later [s]": later,
        "Gammapy / later": best / later if best and later else None,
        "Gammapy, process [s]": min(run["cold_s"] for run in there) if there else None,
        "gammax, process [s]": min(run["cold_s"] for run in here) if here else None,
        "Gammapy [MB]": max(run["peak_rss_mb"] for run in there) if there else None,
        "gammax [MB]": max(run["peak_rss_mb"] for run in here) if here else None,
        "apart [errors]": _apart(*both) if both else None,
        "bad ends": ", ".join(sorted(_bad_ends("Gammapy", there) | _bad_ends("gammax", here))),
    }


def _bad_ends(side: str, runs: list[dict] | None) -> set[str]:
    """Fits that have not converged, as their side says."""
    status = [run.get("status", "ok" if run.get("success") else "no success") for run in runs or []]
    return {f"{side}: {word}" for word in status if word != "ok"}


def _why_not(runs: list[dict] | None) -> str:
    """A size that was not begun, or one that was stopped."""
    return "not begun" if runs is None else "stopped"


def _apart(there: dict, here: dict) -> float | None:
    """Largest difference of a fitted value, in gammax's errors; None where the peer has NaN."""
    if None in there["values"].values():
        return None
    return max(abs(here["values"][name] - value) / here["errors"][name] for name, value in there["values"].items())
