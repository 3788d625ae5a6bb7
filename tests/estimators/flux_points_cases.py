"""Flux points with every quantity, made up: what matters is that they come back."""

import numpy as np

from gammax.estimators import FluxPoints
from gammax.models import PowerLawSpectralModel

EDGES = np.array([0.5, 1.0, 2.5, 7.0])
INDEX, AMPLITUDE, REFERENCE = 2.7, 3e-11, 1.5
SED_TYPES = ("dnde", "flux", "eflux", "e2dnde", "likelihood")
KINDS = SED_TYPES[:-1]


def power_law(**changes):
    values = {"index": INDEX, "amplitude": f"{AMPLITUDE} TeV-1 s-1 cm-2", "reference": f"{REFERENCE} TeV"} | changes
    return PowerLawSpectralModel(**values)


def all_quantities():
    norm = np.array([1.1, np.nan, 0.03])
    scan = np.tile(np.geomspace(0.2, 5.0, 5), (3, 1))
    return {
        "norm": norm,
        "norm_err": np.array([0.1, np.nan, 0.02]),
        "norm_errp": np.array([0.12, np.nan, 0.025]),
        "norm_errn": np.array([0.09, np.nan, np.nan]),
        "norm_ul": np.array([1.3, 0.7, 0.09]),
        "norm_sensitivity": np.array([0.4, 0.5, 0.6]),
        "ts": np.array([144.0, np.nan, 1.5]),
        "sqrt_ts": np.array([12.0, np.nan, np.sqrt(1.5)]),
        "npred": np.array([[10.5, 2.5], [3.0, 0.0], [np.nan, 1.0]]),
        "npred_excess": np.array([[9.5, 1.5], [2.0, 0.0], [np.nan, 0.5]]),
        "stat": np.array([3.1, np.nan, 0.4]),
        "stat_null": np.array([147.1, np.nan, 1.9]),
        "stat_scan": 3.0 + np.square(np.log(scan)),
        "is_ul": np.array([False, True, True]),
        "counts": np.array([[11.0, 3.0], [0.0, 0.0], [2.0, 1.0]]),
        "success": np.array([True, False, True]),
        "norm_scan": scan,
        "status": np.array(["ok", "no_data", "at_bound"]),
    }


def make_points(**changes):
    fields = {
        "energy_min": EDGES[:-1],
        "energy_max": EDGES[1:],
        "energy_ref": np.sqrt(EDGES[:-1] * EDGES[1:]),
        "reference_model": power_law(),
        "quantities": all_quantities(),
        "dataset_names": ("23523", "run b"),
        "n_sigma_ul": 3.0,
        "meta": {"source": "crab", "note": 'it\'s 50 % "süß" & more' + " long" * 30, "level": 0.1 + 0.2},
    }
    return FluxPoints(**(fields | changes))
