"""From raw times to the ratio table."""

from __future__ import annotations

from statistics import median
from typing import Any

BAR = 300.0


def summarise(peer: dict[str, list[dict]], ours: dict[str, list[dict]]) -> list[dict[str, Any]]:
    """One row per workload: times of both sides [s] and the peer's best over gammax's median."""
    fits, flux_again = _pooled(peer["fits"], ours["fits"]), _pool(ours["flux"], "repeated_s")
    names = {
        "ecpl": "joint fit of 4 runs, ECPL, with covariance",
        "pl": "the same, power law",
        "logpar": "the same, log-parabola",
    }
    rows = [
        _row(name, *fits("fits", key, "repeated_s"), bar=BAR if key == "ecpl" else None) for key, name in names.items()
    ]
    of_list = _pool(peer["fits"], "ecpl_of_list"), _pool(ours["fits"], "fits", "ecpl", "repeated_s")
    rows += [
        _row("ECPL fit, the peer given a plain list", *of_list),
        # the peer compiles nothing: its first call is as quick as any
        _row("flux points, 27 bins, all options", _pool(peer["flux"], "first_s"), flux_again, bar=BAR),
        _row("one statistic", *fits("evaluations", "value")),
        _row("value and gradient (peer: central differences)", *fits("evaluations", "value+gradient")),
        _row("value, gradient, Hessian, Fisher (peer: HESSE)", *fits("evaluations", "hessian")),
        _row("reading 4 files", *fits("read")),
    ]
    return rows


def cold_rows(peer: dict[str, list[dict]], ours: dict[str, list[dict]]) -> list[dict[str, Any]]:
    """Whole processes: best wall time of each kind, with its stages."""
    kinds = {
        "Gammapy": peer["flux"],
        "gammax": ours["flux"],
        "gammax, filling the compilation cache": ours["filling"],
        "gammax, with the compilation cache": ours["cached"],
    }
    rows = []
    for name, runs in kinds.items():
        best = min(runs, key=lambda run: run["cold_s"])
        rows.append({"process": name, "whole": best["cold_s"], **best["stages"], "peak RSS [MB]": best["peak_rss_mb"]})
    return rows


def compile_times(ours: dict[str, list[dict]]) -> dict[str, float]:
    """First call minus the median of later ones [s], the smallest of the rounds."""
    found = {
        f"fit, {key}": min(run["fits"][key]["first_s"] - median(run["fits"][key]["repeated_s"]) for run in ours["fits"])
        for key in ours["fits"][0]["fits"]
    }
    found["flux points"] = min(run["first_s"] - median(run["repeated_s"]) for run in ours["flux"])
    return found


def agreement(peer: dict[str, list[dict]], ours: dict[str, list[dict]]) -> dict[str, float]:
    """Largest differences of what both sides found: values over the peer's errors, statistics, norms of flux points."""
    there, here = peer["fits"][-1]["fits"], ours["fits"][-1]["fits"]
    pulls = [
        abs(here[key]["values"][name] - value) / there[key]["errors"][name]
        for key in there
        for name, value in there[key]["values"].items()
    ]
    norms = [
        abs(a - b) for a, b in zip(ours["flux"][-1]["norm"], peer["flux"][-1]["norm"], strict=True) if b is not None
    ]
    return {
        "values [errors]": max(pulls),
        "norms of flux points": max(norms),
        "total stat": max(abs(here[key]["total_stat"] - there[key]["total_stat"]) for key in there),
    }


def markdown(rows: list[dict[str, Any]], digits: int = 4) -> str:
    """Rows as a Markdown table; columns are the keys of the first row."""

    def text(value: Any) -> str:
        return "" if value is None else f"{value:.{digits}g}" if isinstance(value, float) else str(value)

    lines = [list(rows[0]), ["---"] * len(rows[0]), *([text(value) for value in row.values()] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(name: str, there: list[float], here: list[float], bar: float | None = None) -> dict[str, Any]:
    # the stricter of the two ways: the peer at its best against gammax in the middle
    ratio = min(there) / median(here)
    return {
        "workload": name,
        "Gammapy best [ms]": 1e3 * min(there),
        "gammax best [ms]": 1e3 * min(here),
        "gammax median [ms]": 1e3 * median(here),
        "best / best": min(there) / min(here),
        "best / median": ratio,
        "bar": None if bar is None else f"{bar:.0f}: {'met' if ratio >= bar else 'MISSED'}",
    }


def _pool(runs: list[dict], *path: str) -> list[float]:
    times = []
    for run in runs:
        found: Any = run
        for key in path:
            found = found[key]
        times += found if isinstance(found, list) else [found]
    return times


def _pooled(there: list[dict], here: list[dict]):
    def both(*path: str) -> tuple[list[float], list[float]]:
        return _pool(there, *path), _pool(here, *path)

    return both
