"""4th-order finite differences, and a small spectrum to take them on."""

import numpy as np

from gammax.datasets import SpectrumDataset, SpectrumDatasetOnOff
from gammax.irf import EDispKernel
from gammax.maps import MapAxis, RegionGeom, RegionNDMap

STEP = 1e-3


def fd_gradient(function, x, step=STEP):
    """Gradient (..., P) of a function of (P,) by 4th-order central differences."""
    columns = []
    for unit in np.eye(len(x)):
        f = [np.asarray(function(x + k * step * unit)) for k in (-2, -1, 1, 2)]
        columns.append((f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step))
    return np.stack(columns, axis=-1)


def assert_derivative(got, want, rtol, floor=1e-8):
    """Relative to each element, with an absolute floor of `floor` of the largest."""
    np.testing.assert_allclose(got, want, rtol=rtol, atol=floor * np.abs(want).max())


def toy_spectrum(
    statistic, name="toy", seed=0, n_reco=9, n_true=24, flux=2e-12, counts=None, energy=("0.3 TeV", "20 TeV")
):
    """Spectrum with 25 % energy dispersion and Poisson counts of a power law over background."""
    rng = np.random.default_rng(seed)
    energy = MapAxis.from_energy_bounds(*energy, n_reco)
    energy_true = MapAxis.from_energy_bounds("0.1 TeV", "50 TeV", n_true, name="energy_true")
    edisp = EDispKernel.from_gauss(energy_axis_true=energy_true, energy_axis=energy, sigma=0.25, bias=0.0)
    geom = RegionGeom.create("icrs;circle(83.63, 22.01, 0.11)", [energy])
    geom_true = RegionGeom.create("icrs;circle(83.63, 22.01, 0.11)", [energy_true])
    centre = energy_true.center_value("TeV")
    exposure = 2e13 * centre**0.4
    edges = energy_true.edges_value("TeV")
    signal = edisp.pdf_matrix.T @ (exposure * flux / 1.5 * (edges[:-1] ** -1.5 - edges[1:] ** -1.5))
    background = 0.3 * signal[0] * energy.center_value("TeV") ** -1.8

    def as_map(values, on=geom, unit=""):
        return RegionNDMap(on, np.asarray(values, dtype=float).reshape(on.data_shape), unit=unit)

    drawn = rng.poisson(signal + background).astype(float) if counts is None else np.full(n_reco, float(counts))
    common = {"name": name, "counts": as_map(drawn), "exposure": as_map(exposure, geom_true, "cm2 s"), "edisp": edisp}
    if statistic == "cash":
        return SpectrumDataset(**common, background=as_map(background))
    off = rng.poisson(5 * background).astype(float) if counts is None else np.full(n_reco, float(counts))
    return SpectrumDatasetOnOff(
        **common,
        counts_off=as_map(off),
        acceptance=as_map(np.ones(n_reco)),
        acceptance_off=as_map(np.full(n_reco, 5.0)),
    )
