"""gammax's side of the sweeps: ``_sweep_gammax.py WORKLOAD FOLDER FITS OUT``, in a fresh interpreter.

FITS is how many fits of the peer there are to compare with.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import gammax
from gammax import models as library
from gammax.datasets import MapDataset, SpectrumDatasetOnOff
from gammax.fit import Fit, fit_many
from gammax.likelihood import Likelihood

gammax.enable_x64()

from _clock import peak_rss_mb, repeat, versions, write_json  # noqa: E402
from _sweep_models import COUNTS, DATASET, NAME, make_models  # noqa: E402

REPEATS = {"spectra": 20, "cubes": 2}


class Cubes(Sequence):
    """Cubes that differ in their counts, made when they are asked for."""

    def __init__(self, cube, counts):
        self._cube, self._counts = cube, counts

    def __len__(self):
        return len(self._counts)

    def __getitem__(self, k):
        counts = self._counts[k]
        if isinstance(k, slice):
            return Cubes(self._cube, counts)
        return self._cube.replace(counts=self._cube.counts.replace(data=counts.astype(float)))


def prepare_spectra(folder, fits):
    """Function that fits all spectra, and one that compares: the same."""
    dataset = SpectrumDatasetOnOff.read(folder / DATASET, format="gadf", name=NAME["spectra"])
    models = library.Models(make_models(library, "spectra"))
    with np.load(folder / COUNTS) as arrays:
        counts = {name: arrays[name].astype(float) for name in ("counts", "counts_off")}

    def run():
        results = fit_many(Likelihood([dataset], models), {dataset.name: counts}, models=models)
        return results, results.values, results.errors, results.success

    return run, run


def prepare_cubes(folder, fits):
    """Function that fits all cubes, and one that fits those to compare, exposure and PSF in the peer's order."""
    cube = MapDataset.read(folder / DATASET, name=NAME["cubes"])
    models = library.Models(make_models(library, "cubes"))
    with np.load(folder / COUNTS) as arrays:
        cubes = Cubes(cube, arrays["counts"])

    def run(order="exposure-first", number=None):
        results = Fit(order=order).run_many(cubes[:number], models)
        return results, results.values, results.errors, results.success

    return run, lambda: run("psf-first", fits)


def main(workload, folder, fits, out):
    """First call, which compiles, then the same again and again; values of a comparison apart."""
    run, compared = {"spectra": prepare_spectra, "cubes": prepare_cubes}[workload](Path(folder), int(fits))
    start = time.perf_counter()
    results, *_ = run()
    first = time.perf_counter() - start
    repeated, rss = repeat(run, REPEATS[workload]), peak_rss_mb()
    same, values, errors, _ = compared()
    write_json(
        out,
        {
            "first_s": first,
            "repeated_s": repeated,
            "number": len(results),
            "ok": int(results.success.sum()),
            "n_steps": {"mean": float(results.n_steps.mean()), "max": int(results.n_steps.max())},
            "names": [name.rpartition(".")[2] for name in same.names],
            "values": values.tolist(),
            "errors": errors.tolist(),
            "peak_rss_mb": rss,
            "versions": {"gammax": gammax.__version__, **versions("jax", "numpy", "scipy", "astropy")},
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
