"""gammax's side of vs_gammapy.py, in a fresh interpreter: ``_speed_gammax.py MODE DATA OUT``.

MODE ``fits``, ``flux``: as in `_speed_peer`; ``cold``: the cold process alone.
"""

import sys
import time

_START = time.perf_counter()

import jax  # noqa: E402
import numpy as np  # noqa: E402

import gammax  # noqa: E402
from gammax.datasets import Datasets  # noqa: E402
from gammax.estimators import FluxPointsEstimator  # noqa: E402
from gammax.fit import Fit  # noqa: E402
from gammax.likelihood import Likelihood  # noqa: E402
from gammax.models import (  # noqa: E402
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
)

gammax.enable_x64()
_IMPORT_S = time.perf_counter() - _START

from _clock import peak_rss_mb, repeat, versions, without_nan, write_json  # noqa: E402

FIT_REPEATS = 40
FLUX_REPEATS = 20
EVALUATIONS = 200


def make_models():
    """The three spectra at their start values."""
    common = {"amplitude": "1e-12 TeV-1 s-1 cm-2", "reference": "1 TeV"}
    return {
        "pl": PowerLawSpectralModel(index=2.0, **common),
        "ecpl": ExpCutoffPowerLawSpectralModel(index=2.0, lambda_="0.1 TeV-1", **common),
        "logpar": LogParabolaSpectralModel(alpha=2.0, beta=0.1, **common),
    }


def time_fit(datasets, spectral):
    """Fit.run from the same start every time, every number of the result read."""
    model, read = SkyModel(spectral, "crab"), []

    def run():
        result = Fit().run(datasets, model)
        read[:] = [result, result.values, result.errors, result.covariance, result.total_stat, result.status]

    seconds = repeat(run, 1 + FIT_REPEATS)
    result = read[0]
    names = [name.rpartition(".")[2] for name in result.names]
    return {
        "first_s": seconds[0],
        "repeated_s": seconds[1:],
        "total_stat": result.total_stat,
        "success": result.success,
        "steps": result.n_steps,
        "values": dict(zip(names, map(float, result.values), strict=True)),
        "errors": dict(zip(names, map(float, result.errors), strict=True)),
    }


def time_evaluations(datasets, spectral):
    """Calls of a likelihood that exists, answers on the host; and the making of one."""
    model = SkyModel(spectral, "crab")
    likelihood = Likelihood(datasets, Fit().run(datasets, model).models)
    value_and_gradient = jax.jit(jax.value_and_grad(lambda theta, likelihood: likelihood(theta)))
    thetas = likelihood.theta0 * (1.0 + 1e-3 * np.random.default_rng(1).standard_normal((997, 3)))
    point = iter(np.tile(thetas, (10, 1)))
    calls = {
        "value": lambda: float(likelihood(next(point))),
        "value+gradient": lambda: jax.device_get(value_and_gradient(next(point), likelihood)),
        "hessian": lambda: jax.device_get(likelihood.derivatives(next(point))),
        "likelihood": lambda: Likelihood(datasets, model),
    }
    return {name: repeat(call, 1 + EVALUATIONS)[1:] for name, call in calls.items()}


def fits(path):
    """Times of the `fits` mode."""
    datasets = Datasets.read(path)
    return {
        "read": repeat(lambda: Datasets.read(path), 10),
        "fits": {key: time_fit(datasets, spectral) for key, spectral in make_models().items()},
        "evaluations": time_evaluations(datasets, make_models()["ecpl"]),
    }


def flux(path, repeats):
    """Times and values of a cold process; then `repeats` more runs of the flux points."""
    stages, points = {"import": _IMPORT_S}, []
    start = time.perf_counter()
    datasets = Datasets.read(path)
    stages["read"] = time.perf_counter() - start
    model, results = SkyModel(make_models()["ecpl"], "crab"), []
    stages["fit"] = repeat(lambda: results.append(Fit().run(datasets, model)), 1)[0]
    models = results[0].models
    estimator = FluxPointsEstimator(energy_edges=datasets[0].energy_axis.edges, source="crab", selection_optional="all")

    def run():
        points.append(estimator.run(datasets, models))

    stages["flux points"] = repeat(run, 1)[0]
    ready, rss = time.time(), peak_rss_mb()
    return {
        "stages": stages,
        "ready": ready,
        "peak_rss_mb": rss,
        "first_s": stages["flux points"],
        "repeated_s": repeat(run, repeats),
        "norm": without_nan(points[0].norm.value),
    }


def main(mode, data, out):
    """Run one mode and write its JSON."""
    path = f"{data}/datasets.yaml"
    content = fits(path) if mode == "fits" else flux(path, FLUX_REPEATS if mode == "flux" else 0)
    device = jax.devices()[0]
    found = versions("jax", "jaxlib", "numpy", "scipy", "astropy", "equinox")
    write_json(
        out,
        {
            "peak_rss_mb": peak_rss_mb(),
            **content,
            "device": device.device_kind,
            "versions": {"gammax": gammax.__version__, **found},
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
