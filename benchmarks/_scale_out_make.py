"""Observations of one source for the benchmark of scaling out: equal axes, responses and thresholds of their own."""

from __future__ import annotations

import numpy as np

from gammax.datasets import SpectrumDatasetOnOff
from gammax.irf import EDispKernel
from gammax.maps import MapAxis, RegionGeom, RegionNDMap
from gammax.models import PowerLawSpectralModel, SkyModel

REGION = "icrs;circle(83.63, 22.01, 0.11)"
# OFF regions as large as ten ON regions
N_OFF = 10


def make_source() -> SkyModel:
    """The source as the fits begin with it."""
    return SkyModel(PowerLawSpectralModel(index=2.4, amplitude="3e-12 TeV-1 s-1 cm-2"), name="source")


def make_observations(numbers: range, n_reco: int, n_true: int) -> list[SpectrumDatasetOnOff]:
    """Runs of those numbers, the same whichever others are made beside them."""
    return [_make_run(number, n_reco, n_true) for number in numbers]


def _make_run(number: int, n_reco: int, n_true: int) -> SpectrumDatasetOnOff:
    rng = np.random.default_rng(number)
    energy = MapAxis.from_energy_bounds("0.2 TeV", "50 TeV", n_reco)
    energy_true = MapAxis.from_energy_bounds("0.1 TeV", "100 TeV", n_true, name="energy_true")
    width, bias = rng.uniform(0.15, 0.25), rng.normal(0.0, 0.02)
    edisp = EDispKernel.from_gauss(energy_axis_true=energy_true, energy_axis=energy, sigma=width, bias=bias)
    edges = energy_true.edges_value("TeV")
    exposure = rng.uniform(1e13, 3e13) * energy_true.center_value("TeV") ** 0.4
    flux = 2e-12 / 1.5 * (edges[:-1] ** -1.5 - edges[1:] ** -1.5)
    signal = edisp.pdf_matrix.T @ (exposure * flux)
    background = 0.5 * signal.max() * (energy.center_value("TeV") / 0.2) ** -1.8
    geom, geom_true = (RegionGeom.create(REGION, [axis]) for axis in (energy, energy_true))

    def as_map(values: np.ndarray, on: RegionGeom = geom, unit: str = "") -> RegionNDMap:
        return RegionNDMap(on, np.asarray(values, dtype=float).reshape(on.data_shape), unit=unit)

    safe = energy.edges_value("TeV")[:-1] >= rng.uniform(0.25, 0.5)
    return SpectrumDatasetOnOff(
        name=f"run {number}",
        counts=as_map(rng.poisson(signal + background)),
        counts_off=as_map(rng.poisson(N_OFF * background)),
        acceptance=as_map(np.ones(n_reco)),
        acceptance_off=as_map(np.full(n_reco, float(N_OFF))),
        exposure=as_map(exposure, geom_true, "cm2 s"),
        edisp=edisp,
        mask_safe=RegionNDMap(geom, safe.reshape(geom.data_shape)),
    )
