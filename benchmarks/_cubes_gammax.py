"""gammax's side of the cubes: ``_cubes_gammax.py WORKLOAD DATASETS DATA OUT``, in a fresh interpreter."""

import sys
import time
from pathlib import Path

_START = time.perf_counter()

import numpy as np  # noqa: E402
from astropy import units as u  # noqa: E402

import gammax  # noqa: E402
from gammax import models as library  # noqa: E402
from gammax.datasets import Datasets  # noqa: E402
from gammax.estimators import FluxPointsEstimator  # noqa: E402
from gammax.fit import Fit  # noqa: E402

gammax.enable_x64()
_IMPORT_S = time.perf_counter() - _START

from _clock import Stages, peak_rss_mb, repeat, versions, write_json  # noqa: E402
from _cubes_models import DATASETS, ENERGY_MIN, FLUX_EDGES, make_models  # noqa: E402

REPEATS = 10


def prepare(workload, folder, data):
    """Datasets and models of a workload."""
    datasets = Datasets.read(folder / DATASETS[workload] / "datasets.yaml")
    if workload.startswith("centre"):
        datasets = datasets.with_fit_range(ENERGY_MIN, None)
    models = library.Models(make_models(library, workload, datasets[0].name, data))
    return datasets, models.freeze(model_type="spatial") if workload == "frozen" else models


def main(workload, folder, data, out):
    """A cold process to the first result, then the same again and again."""
    stages, kept = Stages({"import": _IMPORT_S}), []
    datasets, models = stages.time("read", lambda: prepare(workload, Path(folder), Path(data)))

    def fit():
        result = Fit().run(datasets, models)
        kept[:] = [result, result.covariance, result.errors]

    def flux():
        kept[1:] = [estimator.run(datasets, kept[0].models)]

    stages.time("fit", fit)
    run = fit
    if workload == "flux":
        edges = np.geomspace(*FLUX_EDGES) * u.TeV
        estimator, run = FluxPointsEstimator(edges, source="crab", selection_optional="all"), flux
        stages.time("flux points", flux)
    ready, rss = time.time(), peak_rss_mb()
    write_json(
        out,
        {
            "stages": stages,
            "ready": ready,
            "peak_rss_mb": rss,
            "repeated_s": repeat(run, REPEATS),
            "total_stat": kept[0].total_stat,
            "values": dict(zip(kept[0].names, map(float, kept[0].values), strict=True)),
            "errors": dict(zip(kept[0].names, map(float, kept[0].errors), strict=True)),
            "norm": kept[1].norm.value.tolist() if workload == "flux" else [],
            "versions": {"gammax": gammax.__version__, **versions("jax", "numpy", "scipy", "astropy")},
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
