"""Many observations, never stacked; one likelihood in several processes.

    python benchmarks/scale_out.py [--out FOLDER]

`unstacked`: joint fits of 1 to 300 simulated observations, each with its own response and threshold, then each with an
energy scale of its own as well, against the fit of their stack; medians of calls after the first, which compiles.

`processes`: value, gradient, Hessian and Fisher matrix of one likelihood, in one process on one core and in two
processes (`jax.distributed`, gloo on loopback) on a core each: seconds, memory, and how far the statistics differ.

Prints Markdown tables, writes `results/scale_out.json`, and ends with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _clock import machine, repeat, write_json
from _processes import HERE
from _scale_out_make import make_observations, make_source
from _speed_table import markdown

import gammax
from gammax.datasets import Datasets
from gammax.fit import Fit
from gammax.models import GaussianPrior, IRFModel, Models

# runs, reconstructed and true bins
SMALL, LARGE = (24, 60), (600, 80, 200)
NUMBERS, REPEATS, CALLS = (1, 3, 10, 30, 100, 300), 15, 40
# the fit of a hundred against that of their stack; two processes against one
MOST_TIMES, LEAST_GAIN, MOST_MEMORY, MOST_APART = 5.0, 1.7, 0.55, 1e-12


def main() -> int:
    """Both parts; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description="Fits of many observations, one fit in several processes")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the JSON file")
    options = parser.parse_args()
    gammax.enable_x64()
    start = {"date": datetime.date.today().isoformat(), "machine": machine()}
    tables = {"unstacked": unstacked(), "processes": processes()}
    start["machine"]["load at the end"] = os.getloadavg()[0]
    for rows in tables.values():
        print(markdown(rows), flush=True)
    write_json(options.out / "scale_out.json", {**start, **tables})
    return int(any("MISSED" in str(value) for rows in tables.values() for row in rows for value in row.values()))


def judged(met: bool, bar: str) -> str:
    """A bar, and whether it is met."""
    return f"{bar}: {'met' if met else 'MISSED'}"


def unstacked() -> list[dict[str, Any]]:
    """Rows of fits of more and more observations."""
    runs = make_observations(range(max(NUMBERS)), *SMALL)
    rows = []
    for number in NUMBERS:
        some = runs[:number]
        stacked = Datasets(some).stack_reduce()
        alone, joint = fit_time([stacked], Models(make_source())), fit_time(some, Models(make_source()))
        row = {"observations": number, "stacked [ms]": 1e3 * alone, "joint [ms]": 1e3 * joint, "ratio": joint / alone}
        row["own energy scales [ms]"] = 1e3 * fit_time(some, with_scales(some))
        row["bar"] = judged(joint <= MOST_TIMES * alone, f"{MOST_TIMES:g}") if number == 100 else None
        rows.append(row)
    return rows


def with_scales(runs: list) -> Models:
    """The source, and for every run an energy scale that is known to a tenth."""
    scales = [IRFModel(f"{run.name} irf", run.name, energy_scale_true=GaussianPrior(0.0, 0.1)) for run in runs]
    return Models([make_source(), *scales])


def fit_time(datasets: list, models: Models) -> float:
    """Median seconds of a fit that has been compiled."""
    fit = Fit()
    fit.run(datasets, models)
    return float(np.median(repeat(lambda: fit.run(datasets, models).errors, REPEATS)))


def processes() -> list[dict[str, Any]]:
    """Rows of one process on one core, and of two on a core each."""
    one, two = run_processes(1), run_processes(2)
    apart = max(abs(part["statistic"] / one[0]["statistic"] - 1.0) for part in two)
    gain = one[0]["seconds"] / max(part["seconds"] for part in two)
    share = max(part["arrays_mb"] for part in two) / one[0]["arrays_mb"]
    rows = [
        {
            "processes": len(parts),
            "ms per evaluation": 1e3 * max(part["seconds"] for part in parts),
            "arrays, each [MB]": max(part["arrays_mb"] for part in parts),
            "memory grown, each [MB]": max(part["rss_grown_mb"] for part in parts),
            "peak memory, each [MB]": max(part["rss_mb"] for part in parts),
        }
        for parts in (one, two)
    ]
    rows[0] |= {"throughput": 1.0, "statistic apart": 0.0, "bars": None}
    bars = [
        judged(gain >= LEAST_GAIN, f"throughput {LEAST_GAIN:g}"),
        judged(share <= MOST_MEMORY, f"memory {MOST_MEMORY:g}"),
        judged(apart <= MOST_APART, f"apart {MOST_APART:g}"),
    ]
    rows[1] |= {"throughput": gain, "statistic apart": apart, "bars": ", ".join(bars)}
    return rows


def run_processes(count: int) -> list[dict[str, Any]]:
    """What so many processes tell, each on a core of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        outs = [Path(folder, f"{rank}.json") for rank in range(count)]
        running = []
        for rank, out in enumerate(outs):
            words = [rank, count, port, cores[rank], json.dumps(LARGE), CALLS, out]
            command = [sys.executable, "-W", "ignore", str(HERE / "_scale_out_process.py"), *map(str, words)]
            running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        codes = [process.wait() for process in running]
        if any(codes):
            raise RuntimeError("a process of a spread likelihood failed")
        return [json.loads(out.read_text()) for out in outs]


if __name__ == "__main__":
    sys.exit(main())
