"""The peer's side of the scaling, in its own environment: ``_scaling_peer.py PANEL SIZE FOLDER OUT``.

The peer compiles nothing: its first call is as quick as any. Where it takes less than 10 s there is a second.
"""

import logging
import sys
import time
from pathlib import Path

_START = time.perf_counter()

from gammapy.datasets import Datasets  # noqa: E402
from gammapy.modeling import Fit  # noqa: E402
from gammapy.modeling import models as library  # noqa: E402

_IMPORT_S = time.perf_counter() - _START

from _clock import Stages, peak_rss_mb, repeat, versions, without_nan, write_json  # noqa: E402
from _scaling_cases import BOUND_DEG, POSITION, folder_name, make_models  # noqa: E402


def main(panel, size, folder, out):
    """Import, read, fit."""
    # it warns of every step of its minimiser that leaves the image
    logging.getLogger("gammapy").setLevel(logging.ERROR)
    stages, kept = Stages({"import": _IMPORT_S}), []
    datasets = stages.time("read", lambda: Datasets.read(Path(folder, folder_name(panel, size), "datasets.yaml")))
    models = library.Models(make_models(library, panel, size, datasets.names, start=True))
    if panel == "fixed sources":
        models.freeze("spatial")
    datasets.models = models
    free = list(models.parameters.free_parameters)
    for parameter in free:
        if parameter.name in POSITION:
            parameter.min, parameter.max = parameter.value - BOUND_DEG, parameter.value + BOUND_DEG
    starts = [parameter.value for parameter in free]

    def fit():
        kept[:] = [Fit().run(datasets)]

    def start_over():
        for parameter, value in zip(free, starts):  # noqa: B905
            parameter.value, parameter.error = value, 0

    cpu = time.process_time()
    stages.time("fit", fit)
    cpu = time.process_time() - cpu
    ready, rss = time.time(), peak_rss_mb()
    result, names = kept[0], [n for n, p in zip(models.parameters_unique_names, models.parameters) if p in free]  # noqa: B905
    found = {
        "calls": int(result.optimize_result.nfev),
        "success": bool(result.success),
        "total_stat": without_nan([result.total_stat])[0],
        "values": dict(zip(names, without_nan(p.value for p in free))),  # noqa: B905
        "errors": dict(zip(names, without_nan(p.error for p in free))),  # noqa: B905
    }
    again = repeat(fit, 1, start_over) if stages["fit"] < 10 else []
    write_json(
        out,
        {
            "stages": stages,
            "ready": ready,
            "peak_rss_mb": rss,
            "repeated_s": [stages["fit"], *again],
            "cpu_s": cpu,
            **found,
            "versions": versions("gammapy", "numpy", "scipy", "astropy", "iminuit"),
        },
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
