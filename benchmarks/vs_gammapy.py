"""Speed against Gammapy 2.1 on four H.E.S.S. runs on the Crab nebula, in one run on one machine.

    python benchmarks/vs_gammapy.py [--parts spectra dl3 cubes scaling errors sweeps] [--peer-venv FOLDER]

makes the peer's environment (pip, once, in the user's cache), runs both sides in fresh interpreters that alternate,
prints Markdown tables, writes `results/vs_gammapy.json`, `dl3.json`, `cubes.json`, `scaling.json`, `scaling.png`,
`errors.json` and `sweeps.json`, and ends with 1 if a bar is missed.

`spectra`: joint fits from fixed start values with covariance, flux points with all options in every bin of the
reconstructed axis, single evaluations, reading; all from reduced spectra. A gammax time is that of the second and later
calls, the result object made and read; the peer's is the best of its calls. Apart: compile times, and whole cold
processes (import, read, fit, flux points) without and with JAX's persistent compilation cache.

`dl3`: the whole chain from event files in a cold process (import, read, reduce, compile, ECPL fit, flux points with all
options, six figures), and single reductions (containment, reflected regions, safe energies), every file read anew: the
four runs repeated, then all 87 once. Both sides' counts are compared.

`cubes`: fits with covariance and flux points of reduced cubes, H.E.S.S. Crab and CTA galactic centre, each in processes
of its own: from import to the first result with nothing cached, peak memory up to there, then compiled calls.

`scaling`: fits with covariance of simulated cubes that grow: 1 to 50 point sources (their positions free, then fixed),
50 to 800 pixels a side, 1 to 100 observations fitted jointly with a background norm for each. gammax's first call,
which compiles, is apart from the median of later ones. A fit that takes more than `--cap` seconds is stopped, and no
larger one of its side is begun. `--peer-results results/scaling.json` takes the peer's times from an earlier run,
`--scaling-files FOLDER` keeps the cubes.

`errors`: intervals of one and of all parameters (MINOS), a profile of 21 values with the others fitted, a contour of 20
points, for the joint ECPL fit of the four runs and for the joint fit of five instruments (joint-crab). Each starts from
the best fit.

`sweeps`: fits with covariance of 1000 simulated ON-OFF spectra, and of 50 simulated cubes; a gammax time is that of a
whole sweep, results read; the peer's the median of its fits, of which it makes all of the spectra and, at six seconds
each, six of the cubes. Fitted values are compared fit by fit: `--peer-cubes 50` compares all.

Last measured (2 cores of an Intel Xeon; the peer's best over gammax's median): ECPL fit 1.36 s and 3.15 ms, 432 times
(281 where the peer is given a plain list of datasets); flux points 46.4 s and 40.3 ms, 1150 times; power law 304,
log-parabola 438, one statistic 72, value and gradient 382, Hessian 589, reading 2.2 times. From event files: whole
process 52.2 s and 9.5 s, 5.7 s with the compilation cache; reduction 2.9 to 3.1 times per run. Compiling takes 1.5 to
1.9 s (fit) and 2.7 s (flux points). Cubes: Crab point 87, Gaussian 53, standing still 334, flux points 143, galactic
centre 125 and 208 times; cold processes 1.3 to 4 times, standing still as long: 2.6 to 2.9 s both. MINOS 259 to 687,
profiles 469 and 879, contours 765 times; 1000 spectra 1289 times, 50 cubes 36 times.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import _cubes
import _dl3
import _errors
import _scaling
import _sweeps
from _clock import machine, write_json
from _peer_venv import peer_python
from _processes import HERE, run_one
from _speed_table import agreement, cold_rows, compile_times, markdown, summarise

SHARED = HERE.parents[1] / "shared"
PARTS = ("spectra", "dl3", "cubes", "scaling", "errors", "sweeps")


def main() -> int:
    """Run the parts, print the tables, write the JSON files; 1 if a bar is missed."""
    options = parse_arguments()
    peer, tables = peer_python(options.peer_venv), {}
    for part in options.parts:
        start = {"date": datetime.date.today().isoformat(), "machine": machine()}
        content = _RUN[part](peer, options)
        start["machine"]["load at the end"] = os.getloadavg()[0]
        write_json(options.out / f"{'vs_gammapy' if part == 'spectra' else part}.json", {**start, **content})
        tables[part] = content
        print(f"{start['machine']}\n", flush=True)
    rows = [row for content in tables.values() for rows in content.values() if isinstance(rows, list) for row in rows]
    return int(any("MISSED" in str(value) for row in rows for value in row.values()))


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description="Speed against Gammapy 2.1")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to run; all unless given")
    parser.add_argument("--data", type=Path, default=SHARED / "reference" / "datasets" / "w01", help="the spectra")
    parser.add_argument("--dl3", type=Path, default=SHARED / "data" / "hess-dl3-dr1", help="the event files")
    parser.add_argument("--cubes", type=Path, default=SHARED / "reference" / "datasets", help="the reduced cubes")
    parser.add_argument("--public", type=Path, default=SHARED / "data", help="public data, for the diffuse template")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the JSON files")
    parser.add_argument("--peer-venv", type=Path, help="environment that has the peer, or where to make it")
    parser.add_argument("--cap", type=float, default=150.0, help="seconds that a first fit of `scaling` may take")
    parser.add_argument("--scaling-files", type=Path, help="where its cubes are, or are kept")
    parser.add_argument("--largest", type=int, help="how many sizes of each kind `scaling` runs; all unless given")
    parser.add_argument("--peer-results", type=Path, help="a scaling.json, whose times of the peer are taken")
    parser.add_argument("--peer-cubes", type=int, default=6, help="how many of the 50 cubes of `sweeps` the peer fits")
    parser.add_argument("--rounds", type=int, default=2, help="how often the two sides alternate")
    return parser.parse_args()


def spectra(peer: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Fits, flux points, single evaluations, reading: from spectra on."""
    there, here = run_spectra(peer, options.data.resolve(), options.rounds)
    content = {
        "versions": {"gammapy": there["fits"][0]["versions"], "gammax": here["fits"][0]["versions"]},
        "table": summarise(there, here),
        "cold": cold_rows(there, here),
        "compile_s": compile_times(here),
        "agreement": agreement(there, here),
        "raw": {"gammapy": there, "gammax": here},
    }
    print(f"\n{markdown(content['table'])}\n\nWhole processes [s]\n\n{markdown(content['cold'], 3)}\n")
    print(markdown([{"compiling gammax": name, "[s]": seconds} for name, seconds in content["compile_s"].items()], 3))
    print_agreement(content["agreement"])
    return content


def dl3(peer: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Reduction and the whole chain: from event files on."""
    found = _dl3.run_all(peer, options.dl3.resolve(), options.rounds)
    content = {
        "versions": {"gammapy": found["peer"][0]["versions"], "gammax": found["gammax"][0]["versions"]},
        "cold": _dl3.cold_rows(found),
        "reduction": _dl3.reduction_rows(found),
        "agreement": _dl3.agreement(found),
        "raw": found,
    }
    print(f"\nWhole processes from DL3 [s]\n\n{markdown(content['cold'], 3)}\n\n{markdown(content['reduction'], 3)}")
    print_agreement(content["agreement"])
    return content


def cubes(peer: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Fits and flux points of reduced cubes."""
    found = _cubes.run_all(peer, options.cubes.resolve(), options.public.resolve(), options.rounds)
    content = {**compared(_cubes, found, "point"), "cold": _cubes.cold_rows(found)}
    print(f"\n{markdown(content['table'])}\n\nWhole processes [s]\n\n{markdown(content['cold'], 3)}")
    print_agreement(content["agreement"])
    return content


def scaling(peer: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Fits of cubes that grow."""
    # matplotlib is needed for this part alone
    from _scaling_plot import draw

    how = _scaling.Options(
        peer, options.out / "scaling.json", options.scaling_files, options.cap, options.rounds, options.largest
    )
    old = options.peer_results
    found = _scaling.run_all(how, ("gammax",) if old else tuple(_scaling.SCRIPTS), old)
    table = _scaling.rows(found)
    draw(table, options.cap, options.out / "scaling.png")
    print(f"\n{markdown(table, 3)}\n")
    return {"cap_s": options.cap, "table": table, "raw": found}


def errors(peer: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Intervals, profiles and contours."""
    found = _errors.run_all(peer, options.cubes.resolve(), options.public.resolve(), options.rounds)
    content = compared(_errors, found, "crab")
    print(f"\n{markdown(content['table'])}")
    print_agreement(content["agreement"])
    return content


def sweeps(peer: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Many fits of simulated data."""
    found = _sweeps.run_all(peer, options.public.resolve(), options.rounds, options.peer_cubes)
    content = {**compared(_sweeps, found, "spectra"), "raw": _sweeps.without_values(found)}
    print(f"\n{markdown(content['table'], 4)}\n\n{markdown(content['agreement'], 3)}")
    return content


def compared(part: Any, found: dict[str, Any], workload: str) -> dict[str, Any]:
    """Tables of a part from all answers, which go with them; the versions are those of one of its workloads."""
    return {
        "versions": {side: runs[workload][0]["versions"] for side, runs in found.items()},
        "table": part.speed_rows(found),
        "agreement": part.agreement(found),
        "raw": found,
    }


_RUN = {"spectra": spectra, "dl3": dl3, "cubes": cubes, "scaling": scaling, "errors": errors, "sweeps": sweeps}


def print_agreement(values: dict[str, float]) -> None:
    """What both sides found, compared."""
    print(
        "\n" + markdown([{"largest difference of the results": name, "": value} for name, value in values.items()], 2)
    )


def run_spectra(peer: Path, data: Path, rounds: int) -> tuple[dict[str, list[dict]], dict[str, list[dict]]]:
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
                here[kind].append(run_one(Path(sys.executable), "_speed_gammax.py", "cold", data, cache=cache))
    return there, here


if __name__ == "__main__":
    raise SystemExit(main())
