"""gammax's side of the error products: ``_errors_gammax.py WORKLOAD REDUCED PUBLIC OUT``, in a fresh interpreter."""

import sys
from pathlib import Path

import gammax
from gammax import models as library
from gammax.datasets import Datasets
from gammax.fit import Fit

gammax.enable_x64()

from _clock import repeat, versions, write_json  # noqa: E402
from _errors_models import (  # noqa: E402
    JOINT_RANGE,
    N_POINTS,
    PARAMETERS,
    make_model,
    read_datasets,
    scan_values,
)

REPEATS = 20


def main(workload, reduced, public, out):
    """First calls, which compile, apart from later ones."""
    datasets = read_datasets(Datasets, workload, Path(reduced), Path(public))
    if workload == "joint-crab":
        datasets = datasets.with_fit_range(*JOINT_RANGE)
    fit, names = Fit(), [f"crab.spectral.{name}" for name in PARAMETERS[workload]]
    result = fit.run(datasets, make_model(library, workload))
    values, answers = scan_values(workload), {}
    questions = {
        "MINOS of one": lambda: fit.confidence(datasets, result, names[0]),
        "MINOS of all": lambda: fit.confidence(datasets, result),
        "profile": lambda: fit.stat_profile(datasets, result, names[0], values, reoptimize=True),
        "contour": lambda: fit.stat_contour(datasets, result, *names[:2], numpoints=N_POINTS),
    }
    seconds = {
        name: repeat(lambda ask=ask, name=name: answers.__setitem__(name, ask()), 1 + REPEATS)
        for name, ask in questions.items()
    }
    intervals, contour = answers["MINOS of all"], answers["contour"]
    errors = dict(zip(result.names, map(float, result.errors), strict=True))
    short = dict(zip(PARAMETERS[workload], names, strict=True))
    write_json(
        out,
        {
            "first_s": {name: times[0] for name, times in seconds.items()},
            "repeated_s": {name: times[1:] for name, times in seconds.items()},
            "errors": {name: errors[full] for name, full in short.items()},
            "errp": {name: intervals[full].errp for name, full in short.items()},
            "errn": {name: intervals[full].errn for name, full in short.items()},
            "profile": answers["profile"].stat_scan.tolist(),
            "contour": [contour.x_values.tolist(), contour.y_values.tolist()],
            "versions": {"gammax": gammax.__version__, **versions("jax", "numpy", "scipy", "astropy")},
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
