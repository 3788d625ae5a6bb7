"""The peer's side of the cubes, in its own environment: ``_cubes_peer.py WORKLOAD DATASETS DATA OUT``.

The peer compiles nothing: its first call is as quick as any, and is the only one.
"""

import sys
import time
from pathlib import Path

_START = time.perf_counter()

import numpy as np  # noqa: E402
from astropy import units as u  # noqa: E402
from gammapy.datasets import Datasets  # noqa: E402
from gammapy.estimators import FluxPointsEstimator  # noqa: E402
from gammapy.modeling import Fit  # noqa: E402
from gammapy.modeling import models as library  # noqa: E402

_IMPORT_S = time.perf_counter() - _START

from _clock import Stages, peak_rss_mb, versions, write_json  # noqa: E402
from _cubes_models import DATASETS, ENERGY_MIN, FLUX_EDGES, make_models  # noqa: E402


def prepare(workload, folder, data):
    """Datasets that carry the models of a workload."""
    datasets = Datasets.read(folder / DATASETS[workload] / "datasets.yaml")
    dataset = datasets[0]
    if workload.startswith("centre"):
        dataset.mask_fit = dataset.counts.geom.energy_mask(energy_min=u.Quantity(ENERGY_MIN))
    models = library.Models(make_models(library, workload, dataset.name, data))
    if workload == "frozen":
        models.freeze("spatial")
    datasets.models = models
    return datasets


def main(workload, folder, data, out):
    """A cold process to the result."""
    stages = Stages({"import": _IMPORT_S})
    datasets = stages.time("read", lambda: prepare(workload, Path(folder), Path(data)))
    result, norm = stages.time("fit", lambda: Fit().run(datasets)), []
    if workload == "flux":
        edges = np.geomspace(*FLUX_EDGES) * u.TeV
        estimator = FluxPointsEstimator(energy_edges=edges, source="crab", selection_optional="all")
        points = stages.time("flux points", lambda: estimator.run(datasets))
        norm = points.norm.data.ravel().tolist()
    ready, rss = time.time(), peak_rss_mb()
    free = list(datasets.models.parameters.free_parameters)
    names = [name for name, p in zip(datasets.models.parameters_unique_names, datasets.models.parameters) if p in free]  # noqa: B905
    write_json(
        out,
        {
            "stages": stages,
            "ready": ready,
            "peak_rss_mb": rss,
            "repeated_s": [stages["flux points" if workload == "flux" else "fit"]],
            "total_stat": float(result.total_stat),
            "values": {name: p.value for name, p in zip(names, free)},  # noqa: B905
            "errors": {name: p.error for name, p in zip(names, free)},  # noqa: B905
            "norm": norm,
            "versions": versions("gammapy", "numpy", "scipy", "astropy", "iminuit"),
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
