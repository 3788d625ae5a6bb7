"""The peer's side of the error products, in its own environment: ``_errors_peer.py WORKLOAD REDUCED PUBLIC OUT``.

It compiles nothing: its first call is as quick as any, and is the only one.
"""

import sys
from pathlib import Path

import astropy.units as u
from _clock import Stages, versions, write_json
from _errors_models import (
    JOINT_RANGE,
    N_POINTS,
    PARAMETERS,
    make_model,
    read_datasets,
    scan_values,
)
from gammapy.datasets import Datasets
from gammapy.modeling import Fit
from gammapy.modeling import models as library


def prepare(workload, reduced, public):
    """Datasets that carry the model."""
    datasets = read_datasets(Datasets, workload, Path(reduced), Path(public))
    if workload == "joint-crab":
        for dataset in datasets:
            dataset.mask_fit = dataset.counts.geom.energy_mask(*map(u.Quantity, JOINT_RANGE))
    datasets.models = [make_model(library, workload)]
    return datasets


def main(workload, reduced, public, out):
    """Every question once, from the best fit."""
    datasets, fit, stages = prepare(workload, reduced, public), Fit(), Stages()
    fit.run(datasets)
    spectrum, names = datasets.models[0].spectral_model, PARAMETERS[workload]
    errors = {name: float(getattr(spectrum, name).error) for name in names}
    found = {name: (getattr(spectrum, name).value, errors[name]) for name in names}

    def restore():
        for name, (value, error) in found.items():
            getattr(spectrum, name).value, getattr(spectrum, name).error = value, error

    def ask(stage, question):
        restore()
        return stages.time(stage, question)

    x, y = (getattr(spectrum, name) for name in names[:2])
    one = ask("MINOS of one", lambda: fit.confidence(datasets, x))
    others = [
        ask("MINOS of the others", lambda name=name: fit.confidence(datasets, getattr(spectrum, name)))
        for name in names[1:]
    ]
    x.scan_values = scan_values(workload)
    profile = ask("profile", lambda: fit.stat_profile(datasets, x, reoptimize=True))
    contour = ask("contour", lambda: fit.stat_contour(datasets, x, y, numpoints=N_POINTS))
    stages["MINOS of all"] = stages["MINOS of one"] + stages.pop("MINOS of the others")
    intervals = dict(zip(names, [one, *others]))  # noqa: B905
    points = [contour[name].tolist() for name in contour if name != "success"]
    write_json(
        out,
        {
            "repeated_s": {name: [seconds] for name, seconds in stages.items()},
            "errors": errors,
            "errp": {name: float(interval["errp"]) for name, interval in intervals.items()},
            "errn": {name: float(interval["errn"]) for name, interval in intervals.items()},
            "profile": profile["stat_scan"].tolist(),
            "contour": points,
            "versions": versions("gammapy", "numpy", "scipy", "astropy", "iminuit"),
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
