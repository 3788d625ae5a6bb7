"""Workloads of the error products: their data, models and questions, the same words for both sides."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

# workload: its datasets below the folders of reduced and of public data
DATASETS = {"crab": Path("w01", "datasets.yaml"), "joint-crab": Path("joint-crab", "datasets.yaml")}
WORKLOADS = tuple(DATASETS)
# points of the contour, and of the profile: two errors to both sides of the best fit, the same for both sides
N_POINTS = 20
_SCANS = {"crab": (1.9583, 2.5873, 21), "joint-crab": (3.6198e-11, 4.0770e-11, 21)}
JOINT_RANGE = ("0.03 TeV", "30 TeV")
# asked for in this order; of one parameter it is the first
PARAMETERS = {"crab": ("index", "amplitude", "lambda_"), "joint-crab": ("amplitude", "alpha", "beta")}


def read_datasets(datasets: Any, workload: str, reduced: Path, public: Path) -> Any:
    """Datasets of a workload, by either side's class."""
    return datasets.read((reduced if workload == "crab" else public) / DATASETS[workload])


def make_model(library: ModuleType, workload: str) -> Any:
    """Model of a workload at its start values, from either side's module of models."""
    common = {"amplitude": "3.8e-11 cm-2 s-1 TeV-1", "reference": "1 TeV"}
    if workload == "crab":
        spectrum = library.ExpCutoffPowerLawSpectralModel(index=2.0, lambda_="0.1 TeV-1", **common)
    else:
        spectrum = library.LogParabolaSpectralModel(alpha=2.5, beta=0.1, **common)
    return library.SkyModel(spectral_model=spectrum, name="crab")


def scan_values(workload: str) -> np.ndarray:
    """Values of the first parameter in a profile."""
    return np.linspace(*_SCANS[workload])
