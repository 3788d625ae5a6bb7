"""Simulated sweeps: responses, axes and true models, the same words for both sides.

Recipes W7 of the reference: a power law in 1000 ON-OFF spectra of an hour of CTA South (prod5), a Gaussian source in 50
cubes of two hours (1DC); counts are drawn with the seeds 0, 1, ...
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

IRFS = {
    "spectra": Path("cta-caldb", "Prod5-South-20deg-AverageAz-14MSTs37SSTs.180000s-v0.1.fits.gz"),
    "cubes": Path("cta-1dc", "caldb", "data", "cta", "1dc", "bcf", "South_z20_50h", "irf_file.fits"),
}
NUMBERS = {"spectra": 1000, "cubes": 50}
# edges of reconstructed and true energies, log10 of TeV: first, last, number
EDGES = {"spectra": ((-0.5, 1.0, 10), (-1.2, 2.0, 31)), "cubes": ((-1.0, 1.0, 10), (-1.5, 1.5, 30))}
HOURS = {"spectra": 1.0, "cubes": 2.0}
# what the peer's side leaves for gammax's: a dataset, counts of all simulations
DATASET, COUNTS = "dataset.fits", "counts.npz"
NAME = {"spectra": "obs-0", "cubes": "dataset-simu"}


def make_models(library: ModuleType, workload: str) -> list[Any]:
    """True models, from either side's module of models; the background of cubes is known."""
    if workload == "spectra":
        spectrum = library.PowerLawSpectralModel(index=3.0, amplitude="2.5e-12 cm-2 s-1 TeV-1", reference="1 TeV")
        return [library.SkyModel(spectral_model=spectrum, name="source")]
    spectrum = library.PowerLawSpectralModel(index=3.0, amplitude="1e-11 cm-2 s-1 TeV-1", reference="1 TeV")
    spatial = library.GaussianSpatialModel(lon_0="0.2 deg", lat_0="0.1 deg", sigma="0.3 deg", frame="galactic")
    return [library.SkyModel(spectral_model=spectrum, spatial_model=spatial, name="source")]
