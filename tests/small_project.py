"""A small analysis on disk: two H.E.S.S.-like spectra of a power law, models, configuration."""

from pathlib import Path

import numpy as np

from gammax._yaml import write_yaml
from gammax.datasets import Datasets, SpectrumDataset, SpectrumDatasetOnOff
from gammax.irf import EDispKernel
from gammax.maps import MapAxis, RegionGeom, RegionNDMap
from gammax.models import Models, PowerLawSpectralModel, SkyModel

ENERGY = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", 8)
ENERGY_TRUE = MapAxis.from_energy_bounds("0.05 TeV", "20 TeV", 12, name="energy_true")
INDEX, AMPLITUDE = 2.3, 3e-11


def true_models(name="crab", **options) -> Models:
    """The power law that the spectra are drawn from."""
    return Models(
        SkyModel(PowerLawSpectralModel(index=INDEX, amplitude=f"{AMPLITUDE} cm-2 s-1 TeV-1"), name, **options)
    )


def make_spectrum(name="run-1", energy=ENERGY, background=3.0, models=None, seed=1) -> SpectrumDataset:
    """Spectrum with a known background, counts drawn from the models; the lowest bin is outside mask_safe."""
    geom, true = RegionGeom.create("icrs;circle(83.63, 22.01, 0.11)", energy), RegionGeom.create(None, ENERGY_TRUE)
    dataset = SpectrumDataset(
        name=name,
        counts=RegionNDMap(geom),
        exposure=RegionNDMap(true, 2e12 * np.ones(ENERGY_TRUE.nbin), unit="cm2 s"),
        edisp=EDispKernel.from_gauss(ENERGY_TRUE, energy, sigma=0.15, bias=0.0),
        background=RegionNDMap(geom, np.full(energy.nbin, background)),
        mask_safe=RegionNDMap(geom, np.arange(energy.nbin) > 0),
        livetime=1800.0,
    )
    return dataset.fake(true_models() if models is None else models, seed)


def make_onoff(name="run-1", energy=ENERGY, background=3.0, seed=1) -> SpectrumDatasetOnOff:
    """The same with a background measured in ten OFF regions."""
    dataset = make_spectrum(name, energy, background, seed=seed)
    off = np.random.default_rng(seed + 100).poisson(10 * background, energy.nbin)
    return SpectrumDatasetOnOff.from_spectrum_dataset(dataset, 1.0, 10.0, off.astype(float))


def write_project(folder: Path, datasets=None, models=None, **sections) -> Path:
    """Write datasets, models (False: none) and a configuration with relative paths; returns that of the latter."""
    datasets = [make_onoff("run-1", seed=1), make_onoff("run-2", seed=2)] if datasets is None else datasets
    Datasets(datasets).write(folder / "data" / "datasets.yaml")
    general = {"datasets_file": "data/datasets.yaml"}
    if models is not False:
        (true_models() if models is None else models).write(folder / "start.yaml")
        general["models_file"] = "start.yaml"
    energy = {"min": "0.316227766 TeV", "max": "10 TeV", "nbins": 3}
    content = {"general": general, "flux_points": {"energy": energy}, **sections}
    return write_yaml(content, folder / "config.yaml")
