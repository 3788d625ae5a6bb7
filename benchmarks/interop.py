"""Agreement with Gammapy 2.1, live: files handed to and fro, and predictions at seeded parameter points.

    python benchmarks/interop.py [--parts files maps parity] [--peer-venv FOLDER]

makes the peer's environment if need be, prints tables, writes `results/interop.json`, ends with 1 if a bar is missed.

`files`: what gammax writes the peer reads, and the reverse: OGIP and gadf spectra, cubes (the peer's reduced ones of
H.E.S.S., CTA 1DC and Fermi-LAT, and one with ON and OFF counts), model YAML with covariance, flux points, and the event
files of the demo and of four H.E.S.S. runs, which are reduced alike on both sides. The statistic at fixed power laws is
the same within 1e-6, counts and masks are equal. All numbers are those of the writer's objects in memory against those
that the reader got. (The bar of exposures is 1e-5.)

`maps`: the recipes w02 (H.E.S.S.) and w03 (CTA 1DC) reduced by both sides, run by run: counts and masks are equal,
exposure, background and PSF within 1e-5, energy dispersion within 1e-6 (absolute), and the peer predicts from gammax's
files what it predicts from its own reduction; stacks predict the sum of the masked predictions within 1e-3, those of
spectra within 1e-10. What differs by an error of the peer is told, with the proof, in the notes.

`parity` evaluates both sides at the same points (150 spread 3 sigma around the best fits, 50 far off). A power law has
a closed form on both sides. For curved spectra the peer takes a log-log trapezoid of 4 nodes per true-energy bin; that
the difference is this and nothing else is shown from both ends: the peer's routine on a finer grid gives gammax's
numbers, and a gammax user model with the peer's rule gives the peer's. Differences of counts are relative to the bin
plus 1e-12 of the largest.

Last measured, parity (largest of statistic, signal, predicted counts): power law 1.5e-14; the peer refined to 160000
nodes per decade ECPL 4.2e-9, log-parabola 1.7e-9; gammax with the peer's trapezoid 3.5e-13, 1.6e-12; as they come
3.9e-3, 3.6e-4. The 4.2e-9 are gammax's: its 6 nodes per bin, at 46 cutoff energies. Files: OGIP 3.7e-8 (both ways: its
responses are of 32 bits), Fermi-LAT cube 7.7e-8 (an exposure of 32 bits), the rest at most 3e-11. Maps: background at
most 7e-7, PSF and exposures 2e-9, energy dispersion 2e-13, predictions from files 2e-7 of the largest bin. Stacks:
cubes 4.2e-4, spectra 0 (the peer: 3.9e-4, and 2.2e-3, in one bin 4.5e-2); cubes of different thresholds 4.0e-3, in one
bin 3e-2 (the peer: 0.16, and a factor of two).
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import _interop_cubes
import _interop_dl3
import _interop_files
import _interop_maps
import numpy as np
from _clock import machine, write_json
from _peer_venv import peer_python
from _speed_table import markdown

import gammax
from gammax.datasets import Datasets
from gammax.errors import GammaxWarning
from gammax.likelihood import Likelihood
from gammax.models import (
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    Models,
    PowerLawSpectralModel,
    SkyModel,
    SpectralModel,
)

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[1] / "shared"
REFERENCE = SHARED / "reference"
PARTS = ("files", "maps", "parity")
sys.path.insert(0, str(HERE.parent / "tests"))
from trapezoid import TrapezoidExpCutoff, TrapezoidLogParabola  # noqa: E402

MODELS = {"pl": PowerLawSpectralModel, "ecpl": ExpCutoffPowerLawSpectralModel, "logpar": LogParabolaSpectralModel}
TRAPEZOIDS = {"ecpl": TrapezoidExpCutoff, "logpar": TrapezoidLogParabola}
SEED, N_NEAR, N_FAR, SPREAD = 20261122, 150, 50, 3.0
FAR = {"index": (0.5, 5.0), "alpha": (0.5, 4.5), "beta": (-0.3, 1.0), "lambda_": (0.0, 1.0), "amplitude": (1e-13, 1e-9)}
N_STORED = 10


def main() -> int:
    """Compare, print the tables, write the JSON; 1 if a bar is missed."""
    options, rows = parse_arguments(), {}
    gammax.enable_x64()
    peer = peer_python(options.peer_venv)
    content = {"date": datetime.date.today().isoformat(), "machine": machine(), "gammax": gammax.__version__}
    if "files" in options.parts:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            # published event files have small faults, of which we warn
            warnings.simplefilter("ignore", GammaxWarning)
            rows["files"] = _interop_files.exchange(peer, options.data.resolve(), Path(folder, "reduced"))
            rows["files"] += _interop_cubes.exchange(peer, options.reduced.resolve(), Path(folder, "cubes"))
            rows["files"] += _interop_dl3.exchange(peer, options.dl3.resolve(), Path(folder, "dl3"))
        print(markdown(rows["files"], 2) + "\n")
    if "maps" in options.parts:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore", GammaxWarning)
            rows["maps"], rows["stacks"] = _interop_maps.compare(
                peer, options.maps.resolve(), options.data.resolve(), Path(folder, "maps")
            )
        content["notes"] = _interop_maps.notes()
        print(markdown(rows["maps"], 2) + "\n\n" + markdown(rows["stacks"], 2) + "\n")
        print("".join(f"* {note}\n" for note in content["notes"]))
    if "parity" in options.parts:
        rows["table"], details = parity(peer, options)
        content |= details
        print(markdown(rows["table"], 2))
    old = json.loads(options.out.read_text()) if options.out.exists() else {}
    write_json(options.out, old | content | rows)
    return int(any("MISSED" in str(row["bar"]) for part in rows.values() for row in part))


def parity(peer: Path, options: argparse.Namespace) -> tuple[list[dict], dict]:
    """Rows of the live comparison at seeded points, and what was compared."""
    points = draw_points(json.loads(options.best_fits.read_text())["fits"])
    found = run_peer(peer, options.data.resolve(), points, options.nodes)
    datasets = Datasets.read(options.data / "datasets.yaml")
    ours = {kind: evaluate(datasets, MODELS[kind], points[kind]) for kind in MODELS}
    trapezoids = {kind: evaluate(datasets, TRAPEZOIDS[kind], points[kind]) for kind in TRAPEZOIDS}
    if options.store:
        store(options.store, datasets.names, points, found)
    details = {
        "gammapy": str(found["version"]),
        "seed": SEED,
        "points": {"near": N_NEAR, "far": N_FAR, "spread_sigma": SPREAD},
        "refined_nodes_per_decade": options.nodes,
    }
    return compare_all(found, ours, trapezoids), details


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description="Parity with Gammapy 2.1")
    parser.add_argument("--data", type=Path, default=REFERENCE / "datasets" / "w01")
    parser.add_argument("--reduced", type=Path, default=REFERENCE / "datasets", help="the peer's reduced cubes")
    parser.add_argument("--dl3", type=Path, default=SHARED / "data" / "hess-dl3-dr1", help="event files")
    parser.add_argument("--maps", type=Path, default=SHARED / "data", help="folder of all event files, for maps")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to compare; all unless given")
    parser.add_argument("--best-fits", type=Path, default=REFERENCE / "results" / "w01_hess_crab_1d.json")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "interop.json")
    parser.add_argument("--peer-venv", type=Path, help="environment that has the peer, or where to make it")
    parser.add_argument("--nodes", type=int, default=160000, help="nodes per decade of the peer's refined integral")
    parser.add_argument("--store", type=Path, help="write the points of the fast suite here")
    return parser.parse_args()


def draw_points(fits: dict) -> dict[str, list[dict[str, float]]]:
    """For each spectrum the near points, then the far ones."""
    rng, points = np.random.default_rng(SEED), {}
    for kind in MODELS:
        free = [p for p in fits[kind]["parameters"] if not p["frozen"]]
        names = [p["name"].rpartition(".")[2] for p in free]
        best, errors = (np.array([p[key] for p in free]) for key in ("value", "error"))
        near = best + SPREAD * errors * rng.standard_normal((N_NEAR, len(free)))
        far = np.stack([_spread(rng, name) for name in names], axis=1)
        points[kind] = [dict(zip(names, row, strict=True)) for row in np.concatenate([near, far]).tolist()]
    return points


def _spread(rng: np.random.Generator, name: str) -> np.ndarray:
    low, high = FAR[name]
    if name == "amplitude":
        return np.exp(rng.uniform(np.log(low), np.log(high), N_FAR))
    return rng.uniform(low, high, N_FAR)


def run_peer(python: Path, data: Path, points: dict, nodes: int) -> dict[str, np.ndarray]:
    """The peer's arrays by ``kind/variant/quantity``."""
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder, "points.json"), Path(folder, "answer.npz")
        given.write_text(json.dumps(points))
        script = str(HERE / "_interop_peer.py")
        subprocess.run([str(python), "-W", "ignore", script, str(data), str(given), str(out), str(nodes)], check=True)
        return dict(np.load(out))


def evaluate(datasets: Datasets, model: type[SpectralModel], points: list[dict[str, float]]) -> dict[str, np.ndarray]:
    """stat (N, D) of the compiled likelihood, its signal and the datasets' npred (N, D, R)."""
    found: dict[str, list] = {"stat": [], "signal": [], "npred": []}
    for point in points:
        amplitude, rest = point["amplitude"], {name: x for name, x in point.items() if name != "amplitude"}
        spectrum = model(
            reference="1 TeV",
            amplitude=f"{amplitude!r} TeV-1 s-1 cm-2",
            **{name: f"{x!r} TeV-1" if name == "lambda_" else x for name, x in rest.items()},
        )
        source = Models([SkyModel(spectrum, "crab")])
        likelihood = Likelihood(datasets, source)
        found["stat"].append(list(likelihood.statistic_by_dataset(likelihood.theta0).values()))
        found["signal"].append(list(likelihood.npred_signal(likelihood.theta0).values()))
        found["npred"].append([dataset.npred(source).values() for dataset in datasets])
    return {name: np.array(values, dtype=np.float64) for name, values in found.items()}


def compare_all(peer: dict, ours: dict, trapezoids: dict) -> list[dict]:
    """One row per comparison: largest differences at the near and the far points, and the bar."""
    rows = [_compare("power law", _of(peer, "pl/default"), ours["pl"], 1e-9)]
    for kind, name in (("ecpl", "ECPL"), ("logpar", "log-parabola")):
        default, fine = _of(peer, f"{kind}/default"), _of(peer, f"{kind}/refined")
        rows += [
            _compare(f"{name}, the peer's integral refined", fine, ours[kind], 1e-6),
            _compare(f"{name}, gammax with the peer's trapezoid", default, trapezoids[kind], 1e-9),
            _compare(f"{name}, as it comes (the peer's quadrature error)", default, ours[kind], None),
            _compare(f"{name}, the peer's default against its refined", fine, default, None),
        ]
    return rows


def _of(peer: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name: peer[f"{prefix}/{name}"] for name in ("stat", "signal", "npred")}


def _compare(name: str, there: dict[str, np.ndarray], here: dict[str, np.ndarray], bar: float | None) -> dict:
    row, largest = {"spectrum": name}, 0.0
    for part, chosen in (("near", slice(None, N_NEAR)), ("far", slice(N_NEAR, None))):
        for key in ("stat", "signal", "npred"):
            difference = relative_difference(there[key][chosen], here[key][chosen])
            row[f"{key}, {part}"] = difference
            largest = max(largest, difference)
    row["bar"] = None if bar is None else f"{bar:g}: {'met' if largest <= bar else 'MISSED'}"
    return row


def relative_difference(there: np.ndarray, here: np.ndarray) -> float:
    """Largest |here - there| relative to |there|; for counts (N, D, R) plus 1e-12 of the spectrum's largest bin."""
    floor = 1e-12 * np.abs(there).max(axis=-1, keepdims=True) if there.ndim == 3 else 0.0
    return float(np.max(np.abs(here - there) / (np.abs(there) + floor)))


def store(path: Path, names: list[str], points: dict, peer: dict[str, np.ndarray]) -> None:
    """The points of tests/parity: some near and some far ones, the predicted counts of one near and one far."""
    chosen = [*range(N_STORED - 3), *range(N_NEAR, N_NEAR + 3)]
    content: dict = {"origin": f"Gammapy {peer['version']}, benchmarks/interop.py", "datasets": list(names)}
    for kind, all_points in points.items():
        content[kind] = {"points": [all_points[i] for i in chosen]}
        for variant in ("default", "refined"):
            if f"{kind}/{variant}/stat" in peer:
                content[kind][variant] = {
                    "stat": peer[f"{kind}/{variant}/stat"][chosen].tolist(),
                    "npred": peer[f"{kind}/{variant}/npred"][[chosen[0], chosen[-1]]].tolist(),
                }
    path.write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
