"""The peer's side of vs_gammapy.py; runs in the peer's environment: ``_speed_peer.py MODE DATA OUT``.

MODE ``fits``: reading, single evaluations, three fits. MODE ``flux``: a whole cold process (import, read, ECPL fit,
flux points with all options).
"""

import sys
import time

_START = time.perf_counter()

import astropy.units as u  # noqa: E402
import numpy as np  # noqa: E402
from gammapy.datasets import Datasets  # noqa: E402
from gammapy.estimators import FluxPointsEstimator  # noqa: E402
from gammapy.modeling import Fit  # noqa: E402
from gammapy.modeling.models import (  # noqa: E402
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
)

_IMPORT_S = time.perf_counter() - _START

from _clock import peak_rss_mb, repeat, versions, without_nan, write_json  # noqa: E402

FIT_REPEATS = 4
EVALUATIONS = 60


def make_models():
    """The three spectra at their start values."""
    common = {"amplitude": 1e-12 * u.Unit("cm-2 s-1 TeV-1"), "reference": 1 * u.TeV}
    return {
        "pl": PowerLawSpectralModel(index=2, **common),
        "ecpl": ExpCutoffPowerLawSpectralModel(index=2, lambda_=0.1 / u.TeV, **common),
        "logpar": LogParabolaSpectralModel(alpha=2, beta=0.1, **common),
    }


class StartOver:
    """Puts free parameters back to where they started."""

    def __init__(self, models):
        self.parameters = list(models.parameters.free_parameters)
        self.values = [parameter.value for parameter in self.parameters]

    def __call__(self):
        for parameter, value in zip(self.parameters, self.values):  # noqa: B905
            parameter.value, parameter.error = value, 0


def time_fit(datasets, spectral):
    """Fit.run on a Datasets object that carries the model, from the same start every time."""
    datasets.models = [SkyModel(spectral_model=spectral, name="crab")]
    reset, fit, kept = StartOver(datasets.models), Fit(), []
    seconds = repeat(lambda: kept.append(fit.run(datasets)), 1 + FIT_REPEATS, reset)
    result = kept[-1]
    free = result.models.parameters.free_parameters
    return {
        "first_s": seconds[0],
        "repeated_s": seconds[1:],
        "total_stat": float(result.total_stat),
        "success": bool(result.success),
        "calls": int(result.optimize_result.nfev),
        "values": {p.name: p.value for p in free},
        "errors": {p.name: p.error for p in free},
    }


def time_fit_of_list(datasets, spectral):
    """The same on a plain list of datasets, which spares the peer a covariance at every call."""
    model = SkyModel(spectral_model=spectral, name="crab")
    datasets = [dataset.copy(name=dataset.name) for dataset in datasets]
    for dataset in datasets:
        dataset.models = [model]
    reset, fit = StartOver(datasets[0].models), Fit()
    return repeat(lambda: fit.run(datasets), 1 + FIT_REPEATS, reset)[1:]


def time_evaluations(datasets, spectral):
    """One statistic; value and gradient by central differences; HESSE: what the peer has of each."""
    datasets.models = [SkyModel(spectral_model=spectral, name="crab")]
    fit = Fit()
    fit.run(datasets)
    free = list(datasets.models.parameters.free_parameters)
    sizes = [parameter.error for parameter in free]
    flip = iter(np.tile([1.0, -1.0], 10**6))

    def move():
        for parameter, size in zip(free, sizes):  # noqa: B905
            parameter.value += 0.01 * next(flip) * size

    def gradient():
        datasets.stat_sum()
        for parameter, size in zip(free, sizes):  # noqa: B905
            here = parameter.value
            for step in (0.1, -0.1):
                parameter.value = here + step * size
                datasets.stat_sum()
            parameter.value = here

    return {
        "value": repeat(datasets.stat_sum, EVALUATIONS, move),
        "value+gradient": repeat(gradient, 10, move),
        "hessian": repeat(lambda: fit.covariance(datasets), 5, move),
    }


def fits(path):
    """Times of the `fits` mode."""
    datasets = Datasets.read(path)
    models = make_models()
    return {
        "read": repeat(lambda: Datasets.read(path), 5),
        "evaluations": time_evaluations(datasets, make_models()["ecpl"]),
        "fits": {key: time_fit(datasets, spectral) for key, spectral in models.items()},
        "ecpl_of_list": time_fit_of_list(datasets, make_models()["ecpl"]),
    }


def flux(path):
    """Times and values of the `flux` mode."""
    stages, points = {"import": _IMPORT_S}, []
    start = time.perf_counter()
    datasets = Datasets.read(path)
    stages["read"] = time.perf_counter() - start
    datasets.models = [SkyModel(spectral_model=make_models()["ecpl"], name="crab")]
    stages["fit"] = repeat(lambda: Fit().run(datasets), 1)[0]
    edges = datasets[0].counts.geom.axes["energy"].edges
    estimator = FluxPointsEstimator(energy_edges=edges, source="crab", selection_optional="all")

    def run():
        points.append(estimator.run(datasets))

    stages["flux points"] = repeat(run, 1)[0]
    ready, rss = time.time(), peak_rss_mb()
    table = points[0].to_table(sed_type="likelihood")
    return {
        "stages": stages,
        "ready": ready,
        "peak_rss_mb": rss,
        "first_s": stages["flux points"],
        "norm": without_nan(table["norm"]),
    }


def main(mode, data, out):
    """Run one mode and write its JSON."""
    path = f"{data}/datasets.yaml"
    content = fits(path) if mode == "fits" else flux(path)
    found = versions("gammapy", "numpy", "scipy", "astropy", "iminuit")
    write_json(out, {"peak_rss_mb": peak_rss_mb(), **content, "versions": found})


if __name__ == "__main__":
    main(*sys.argv[1:])
