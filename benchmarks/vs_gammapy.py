"""Speed against Gammapy 2.1 on four H.E.S.S. spectra of the Crab nebula, in one run on one machine.

    python benchmarks/vs_gammapy.py [--data ../shared/reference/datasets/w01] [--out benchmarks/results/vs_gammapy.json]

makes the peer's environment (pip, once, in the user's cache), runs both sides in fresh interpreters that alternate, and
prints Markdown tables. Workloads: joint fits from fixed start values with covariance, flux points with all options in
every bin of the reconstructed axis, single evaluations, reading. A gammax time is that of the second and later calls,
the result object made and read; the peer's is the best of its calls. Apart: compile times, and whole cold processes
(import, read, fit, flux points) without and with JAX's persistent compilation cache.

Last measured (2 cores of an Intel Xeon; the peer's best over gammax's median): ECPL fit 1.44 s and 3.18 ms, 452 times
(278 where the peer is given a plain list of datasets); flux points 47.2 s and 38.8 ms, 1217 times; power law 315,
log-parabola 451, one statistic 45, value and gradient 363, Hessian 626, reading 2.1 times. Whole process 51.8 s and
7.7 s, 3.8 s with the compilation cache; compiling takes 1.6 to 2.1 s (fit) and 3.2 s (flux points).
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _clock import machine, write_json
from _peer_venv import peer_python
from _speed_table import agreement, cold_rows, compile_times, markdown, summarise

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[1] / "shared" / "reference" / "datasets" / "w01"


def main() -> None:
    """Run everything, print the tables, write the JSON."""
    options = parse_arguments()
    peer, content = peer_python(options.peer_venv), {"date": datetime.date.today().isoformat(), "machine": machine()}
    there, here = run_all(peer, options.data.resolve(), options.rounds)
    rows, cold = summarise(there, here), cold_rows(there, here)
    compiling, same = compile_times(here), agreement(there, here)
    print(f"\n{content['machine']}\n\n{markdown(rows)}\n\nWhole processes [s]\n\n{markdown(cold, 3)}\n")
    print(markdown([{"compiling gammax": name, "[s]": seconds} for name, seconds in compiling.items()], 3))
    print("\n" + markdown([{"largest difference of the results": name, "": value} for name, value in same.items()], 2))
    content["machine"]["load at the end"] = os.getloadavg()[0]
    versions = {"gammapy": there["fits"][0]["versions"], "gammax": here["fits"][0]["versions"]}
    write_json(
        options.out,
        {
            **content,
            "versions": versions,
            "table": rows,
            "cold": cold,
            "compile_s": compiling,
            "agreement": same,
            "raw": {"gammapy": there, "gammax": here},
        },
    )


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description="Speed against Gammapy 2.1")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the spectra and their datasets.yaml")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "vs_gammapy.json")
    parser.add_argument("--peer-venv", type=Path, help="environment that has the peer, or where to make it")
    parser.add_argument("--rounds", type=int, default=2, help="how often the two sides alternate")
    return parser.parse_args()


def run_all(peer: Path, data: Path, rounds: int) -> tuple[dict[str, list[dict]], dict[str, list[dict]]]:
    """Answers of all processes by mode, one per round: the peer's and gammax's."""
    there: dict[str, list[dict]] = {"fits": [], "flux": []}
    here: dict[str, list[dict]] = {"fits": [], "flux": [], "filling": [], "cached": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for mode in ("fits", "flux"):
                there[mode].append(run_one(peer, "_speed_peer.py", mode, data))
                here[mode].append(run_one(Path(sys.executable), "_speed_gammax.py", mode, data))
            cache = Path(folder, str(number))
            for kind in ("filling", "cached"):
                here[kind].append(run_one(Path(sys.executable), "_speed_gammax.py", "cold", data, cache))
    return there, here


def run_one(python: Path, script: str, mode: str, data: Path, cache: Path | None = None) -> dict:
    """Run one side in one mode in a fresh interpreter."""
    print(f"{script} {mode}{' with a compilation cache' if cache else ''} ...", file=sys.stderr)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    if cache is not None:
        environment |= {
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "answer.json")
        command = [str(python), "-W", "ignore", str(HERE / script), mode, str(data), str(out), repr(time.time())]
        subprocess.run(command, check=True, env=environment)
        return json.loads(out.read_text())


if __name__ == "__main__":
    main()
