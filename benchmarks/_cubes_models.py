"""Workloads on cubes: their files, models and start values, the same words for both sides."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

# workload: folder below the reduced datasets
DATASETS = {
    "point": "w02_a1",
    "gaussian": "w02_a1",
    "frozen": "w02_a1",
    "flux": "w02_a1",
    "centre": "w03_stacked",
    "centre, all sources": "w03_stacked",
}
DIFFUSE = Path("fermi-3fhl-gc", "gll_iem_v06_gc.fits.gz")
ENERGY_MIN = "0.3 TeV"
FLUX_EDGES = (1.0, 10.0, 6)


def make_models(library: ModuleType, workload: str, dataset_name: str, data: Path) -> list[Any]:
    """Models of a workload, from either side's module of models; `data` is the folder of the public data."""
    background = library.FoVBackgroundModel(dataset_name=dataset_name)
    if not workload.startswith("centre"):
        return [_crab(library, workload), background]
    sources = [_centre(library)]
    if workload == "centre, all sources":
        sources += [_neighbour(library), _diffuse(library, data)]
    return [*sources, background]


def _crab(library: ModuleType, workload: str) -> Any:
    place = {"lon_0": "83.63 deg", "lat_0": "22.014 deg"}
    spatial = library.PointSpatialModel(**place)
    if workload == "gaussian":
        spatial = library.GaussianSpatialModel(**place, sigma="0.02 deg")
    spectrum = library.PowerLawSpectralModel(index=2.5, amplitude="4e-11 cm-2 s-1 TeV-1", reference="1 TeV")
    return library.SkyModel(spectral_model=spectrum, spatial_model=spatial, name="crab")


def _centre(library: ModuleType) -> Any:
    spectrum = library.ExpCutoffPowerLawSpectralModel(
        index=2.3, amplitude="2.8e-12 cm-2 s-1 TeV-1", reference="1 TeV", lambda_="0.02 TeV-1"
    )
    spatial = library.PointSpatialModel(lon_0="-0.05 deg", lat_0="-0.05 deg", frame="galactic")
    return library.SkyModel(spectral_model=spectrum, spatial_model=spatial, name="gc-source")


def _neighbour(library: ModuleType) -> Any:
    spectrum = library.PowerLawSpectralModel(index=2.4, amplitude="8e-13 cm-2 s-1 TeV-1", reference="1 TeV")
    spatial = library.PointSpatialModel(lon_0="0.87 deg", lat_0="0.08 deg", frame="galactic")
    return library.SkyModel(spectral_model=spectrum, spatial_model=spatial, name="g09")


def _diffuse(library: ModuleType, data: Path) -> Any:
    template = library.TemplateSpatialModel.read(data / DIFFUSE, normalize=False)
    return library.SkyModel(spectral_model=library.PowerLawNormSpectralModel(), spatial_model=template, name="diffuse")
