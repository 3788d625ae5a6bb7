"""The peer's side of interop.py; runs in the peer's environment: ``_interop_peer.py DATA POINTS.json OUT.npz NODES``.

Statistic, signal and predicted ON counts of every dataset at every point; for curved spectra also with the peer's own
integration routine at NODES nodes per decade.
"""

import json
import sys

import astropy.units as u
import numpy as np
from gammapy import __version__
from gammapy.datasets import Datasets
from gammapy.modeling.models import (
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    integrate_spectrum,
)

KINDS = {
    "pl": PowerLawSpectralModel,
    "ecpl": ExpCutoffPowerLawSpectralModel,
    "logpar": LogParabolaSpectralModel,
}


def evaluate(datasets, model_class, points, nodes=None):
    """stat (N, D), signal and npred (N, D, R); with `nodes` per decade in place of the default integral."""
    spectral = model_class(reference=1 * u.TeV)
    if nodes is not None:
        spectral.integral = lambda low, high, **kwargs: integrate_spectrum(spectral, low, high, ndecade=nodes)
    datasets.models = [SkyModel(spectral_model=spectral, name="crab")]
    stat, signal, npred = [], [], []
    for point in points:
        for name, value in point.items():
            spectral.parameters[name].value = value
        stat.append([dataset.stat_sum() for dataset in datasets])
        signal.append([dataset.npred_signal().data.ravel() for dataset in datasets])
        npred.append([dataset.npred().data.ravel() for dataset in datasets])
    return {"stat": np.array(stat, float), "signal": np.array(signal, float), "npred": np.array(npred, float)}


def main(data, points, out, nodes):
    """Evaluate all points and write the arrays as ``kind/variant/quantity``."""
    arrays = {}
    with open(points) as file:
        points = json.load(file)
    datasets = Datasets.read(f"{data}/datasets.yaml")
    for kind, here in points.items():
        variants = {"default": None} if kind == "pl" else {"default": None, "refined": int(nodes)}
        for variant, refined in variants.items():
            found = evaluate(datasets, KINDS[kind], here, refined)
            arrays |= {f"{kind}/{variant}/{name}": values for name, values in found.items()}
    np.savez(out, version=__version__, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
