"""gammax's side of the scaling: ``_scaling_gammax.py PANEL SIZE FOLDER OUT``, in a fresh interpreter."""

import sys
import time
from pathlib import Path

_START = time.perf_counter()

import jax  # noqa: E402

import gammax  # noqa: E402
from gammax import models as library  # noqa: E402
from gammax.datasets import Datasets  # noqa: E402
from gammax.fit import Fit  # noqa: E402
from gammax.likelihood import Likelihood  # noqa: E402

gammax.enable_x64()
_IMPORT_S = time.perf_counter() - _START

from _clock import Stages, peak_rss_mb, repeat, repeat_within, versions, write_json  # noqa: E402
from _scaling_cases import BOUND_DEG, POSITION, folder_name, make_models  # noqa: E402

# of JAX's own counters, which tell what the first call is spent on
COUNTERS = {
    "/jax/core/compile/jaxpr_trace_duration": "trace",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lower",
    "/jax/core/compile/backend_compile_duration": "compile",
}


def bounded(name, parameter):
    """Parameter with the bounds of positions."""
    if name.rpartition(".")[2] not in POSITION:
        return parameter
    return parameter.replace(min=parameter.value - BOUND_DEG, max=parameter.value + BOUND_DEG)


def main(panel, size, folder, out):
    """Import, read, first fit; then the same again and again."""
    stages, kept, counted = Stages({"import": _IMPORT_S}), [], Stages()
    jax.monitoring.register_event_duration_secs_listener(lambda event, seconds, **_: counted.add(event, seconds))
    datasets = stages.time("read", lambda: Datasets.read(Path(folder, folder_name(panel, size), "datasets.yaml")))
    models = library.Models(make_models(library, panel, size, datasets.names, start=True))
    models = models.freeze(model_type="spatial") if panel == "fixed sources" else models.map_parameters(bounded)

    def fit():
        result = Fit().run(datasets, models)
        kept[:] = [result, result.covariance, result.errors]

    stages.time("fit", fit)
    ready, rss = time.time(), peak_rss_mb()
    compiling = {name: counted.get(event, 0.0) for event, name in COUNTERS.items()}
    result = kept[0]
    write_json(
        out,
        {
            "stages": stages,
            "compiling": compiling,
            "ready": ready,
            "peak_rss_mb": rss,
            "first_s": stages["fit"],
            "repeated_s": repeat_within(fit, 7, 30.0),
            "likelihood_s": repeat(lambda: Likelihood(datasets, models), 2),
            "steps": result.n_steps,
            "status": result.status,
            "total_stat": result.total_stat,
            "values": dict(zip(result.names, map(float, result.values), strict=True)),
            "errors": dict(zip(result.names, map(float, result.errors), strict=True)),
            "versions": {"gammax": gammax.__version__, **versions("jax", "numpy", "scipy", "astropy")},
        },
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
