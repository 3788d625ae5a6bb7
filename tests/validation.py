"""Many simulated fits: pulls, coverage and test statistics, as numbers with their bars.

The counts are drawn by numpy from counts predicted at the truth; what is checked is the fit. A pull is the signed root
of the rise of the statistic at the true value, the other parameters fitted again: at the coverage of its intervals
delta TS < 1 and < 4 it is exact, and its square is what an upper limit looks at.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
from scipy import optimize, special, stats

from gammax.datasets import MapDataset, SpectrumDataset, SpectrumDatasetOnOff
from gammax.errors import GammaxWarning
from gammax.fit import fit_many
from gammax.irf import EDispKernel, EDispKernelMap, PSFMap
from gammax.likelihood import Likelihood
from gammax.maps import MapAxis, RegionGeom, RegionNDMap, WcsGeom, WcsNDMap
from gammax.models import (
    FoVBackgroundModel,
    GaussianSpatialModel,
    Models,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
)

N_PULLS, N_NULL, ALPHA = 1000, 10_000, 0.2
# simulations of few OFF counts, and those of them that the plain code fits too
N_THIN, N_PLAIN, _N_THIN_BINS = 4000, 300, 40
# three standard deviations of a thousand: mean, width, probability of a normal distribution; coverage in percent of 1
# and of 2 sigma, and of an upper limit at delta TS = 4, which is one-sided
BARS = {
    "mean": (-0.10, 0.10),
    "width": (0.93, 1.07),
    "p": (1e-3, 1.0),
    "inside 1": (63.9, 72.7),
    "inside 2": (93.5, 97.4),
    "limit": (96.2, 99.2),
}
NULL_BARS = {"zero": (0.48, 0.52), "above 2.706": (0.043, 0.057)}

_ENERGY = MapAxis.from_energy_bounds("0.5 TeV", "5 TeV", 6)
_TRUE = MapAxis.from_energy_bounds("0.25 TeV", "10 TeV", 12, name="energy_true")
_LINE = PowerLawSpectralModel(index=2.2, amplitude="1e-11 TeV-1 s-1 cm-2")


@dataclasses.dataclass(frozen=True)
class Case:
    """What is simulated and fitted: a dataset with its true background, and the models at the truth."""

    name: str
    dataset: Any
    background: np.ndarray
    models: Models


def cases() -> list[Case]:
    """Spectra and cubes with at least 25 counts in the bins that matter."""
    return [_spectrum(True), _spectrum(False), _cube("point"), _cube("Gaussian")]


def _spectrum(measured: bool) -> Case:
    region = "icrs;circle(83.63, 22.01, 0.11)"
    geom, geom_true = (RegionGeom.create(region, [axis]) for axis in (_ENERGY, _TRUE))
    background = 80.0 * (_ENERGY.center_value("TeV") / 0.5) ** -0.3

    def as_map(values: Any, on: RegionGeom = geom, unit: str = "") -> RegionNDMap:
        return RegionNDMap(on, np.broadcast_to(np.reshape(values, (-1, 1, 1)), on.data_shape).astype(float), unit=unit)

    common = {
        "name": "toy",
        "counts": as_map(0.0),
        "exposure": as_map(1e13 * _TRUE.center_value("TeV") ** 1.2, geom_true, "cm2 s"),
        "edisp": EDispKernel.from_gauss(energy_axis_true=_TRUE, energy_axis=_ENERGY, sigma=0.15, bias=0.0),
    }
    if measured:
        off = {"counts_off": as_map(0.0), "acceptance": as_map(1.0), "acceptance_off": as_map(1.0 / ALPHA)}
        dataset = SpectrumDatasetOnOff(**common, **off)
    else:
        dataset = SpectrumDataset(**common, background=as_map(background))
    return Case(
        "spectrum, wstat" if measured else "spectrum, cash", dataset, background, Models(SkyModel(_LINE, "toy"))
    )


def _cube(kind: str) -> Case:
    energy = MapAxis.from_energy_bounds("0.5 TeV", "5 TeV", 2)
    true = MapAxis.from_energy_bounds("0.25 TeV", "10 TeV", 4, name="energy_true")
    geom = WcsGeom.create(skydir=(83.63, 22.01), binsz=0.05, npix=(16, 16), axes=[energy])
    # bright enough that no Gaussian fluctuates to a point, whose width has no error
    level = np.broadcast_to(1.5e14 * true.center_value("TeV")[:, None, None] ** 1.2, (4, 16, 16))
    coarse = geom.to_image().to_binsz(0.4)
    kernel = EDispKernel.from_gauss(energy_axis_true=true, energy_axis=energy, sigma=0.15, bias=0.0)
    background = np.full(geom.data_shape, 30.0)
    dataset = MapDataset(
        name="toy",
        counts=WcsNDMap(geom, np.zeros(geom.data_shape)),
        exposure=WcsNDMap(geom.replace_axes((true,)), level, "cm2 s"),
        background=WcsNDMap(geom, background),
        psf=PSFMap.from_gauss(true, sigma="0.07 deg", geom=coarse),
        edisp=EDispKernelMap.from_edisp_kernel(kernel, coarse),
    )
    place = {"lon_0": "83.63 deg", "lat_0": "22.01 deg"}
    shape = PointSpatialModel(**place) if kind == "point" else GaussianSpatialModel(**place, sigma="0.1 deg")
    source = SkyModel(_LINE, spatial_model=shape, name="toy")
    return Case(f"cube, {kind}", dataset, background, Models([source, FoVBackgroundModel(dataset_name="toy")]))


def missed(row: dict[str, Any], bars: dict[str, tuple[float, float]]) -> list[str]:
    """Figures of a row that are outside their bars."""
    return [name for name, (low, high) in bars.items() if not low <= row[name] <= high]


def simulate(case: Case, likelihood: Likelihood, count: int, rng: np.random.Generator) -> dict[str, Any]:
    """Counts of so many simulations at the truth, as `fit_many` takes them."""
    signal = np.asarray(likelihood.npred_signal(likelihood.theta0)["toy"])
    if likelihood.problem.stacks[0].alpha is not None:
        expected = signal + case.background
        off = rng.poisson(case.background / ALPHA, (count, len(signal)))
        return {"toy": {"counts": rng.poisson(expected, (count, len(signal))), "counts_off": off}}
    # elements that stand for no bin are zero up to rounding
    expected = np.maximum(np.asarray(likelihood.npred(likelihood.theta0)["toy"]), 0.0)
    return {"toy": rng.poisson(expected, (count, len(signal)))}


def pulls(case: Case, seed: int, count: int = N_PULLS) -> list[dict[str, Any]]:
    """Rows of figures, one per parameter of the source."""
    likelihood = Likelihood([_observed(case)], case.models, dense=True)
    data = simulate(case, likelihood, count, np.random.default_rng(seed))
    best = fit_many(likelihood, data)
    truth = np.asarray(likelihood.to_values(likelihood.theta0))
    rows = []
    for place, name in enumerate(likelihood.names):
        if name.startswith("toy."):
            held = fit_many(likelihood, data, held={name: truth[place]})
            good = best.success & held.success
            rise = np.sqrt(np.maximum(held.total_stat - best.total_stat, 0.0))
            signed = (np.sign(best.values[:, place] - truth[place]) * rise)[good]
            rows.append(
                {"case": case.name, "parameter": name, "seed": seed, **figures(signed), "lost": int((~good).sum())}
            )
    return rows


def _observed(case: Case) -> Any:
    """Dataset with the counts that are expected on average: a likelihood without counts has no data."""
    counts = case.background.reshape(case.dataset.counts.data.shape)
    parts = {"counts": case.dataset.counts.replace(data=counts)}
    if hasattr(case.dataset, "counts_off"):
        parts["counts_off"] = case.dataset.counts_off.replace(data=counts / ALPHA)
    return case.dataset.replace(**parts)


def figures(signed: np.ndarray) -> dict[str, float]:
    """Mean, width, probability of a normal distribution, and coverage in percent, of signed roots of delta TS."""
    return {
        "n": len(signed),
        "mean": float(signed.mean()),
        "width": float(signed.std()),
        "p": float(stats.kstest(signed, "norm").pvalue),
        "inside 1": float(100 * np.mean(np.abs(signed) < 1)),
        "inside 2": float(100 * np.mean(np.abs(signed) < 2)),
        "limit": float(100 * np.mean(signed > -2)),
    }


def thin_bias(seed: int, off: float, count: int = N_THIN) -> dict[str, Any]:
    """Bias of an amplitude by wstat where OFF counts are few, of gammax and of a code of this file.

    40 equal bins with 50 signal counts in all, alpha = 1 and as many background counts in ON as in OFF.
    """
    rng, signal = np.random.default_rng(seed), np.full(_N_THIN_BINS, 50.0 / _N_THIN_BINS)
    on, away = rng.poisson(signal + off, (count, _N_THIN_BINS)), rng.poisson(off, (count, _N_THIN_BINS))
    dataset, model = _thin(signal)
    likelihood = Likelihood([dataset], model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GammaxWarning)
        found = fit_many(likelihood, {"toy": {"counts": on, "counts_off": away}})
    amplitudes = found.values[:, 0] / np.asarray(likelihood.to_values(likelihood.theta0))[0]
    plain = np.array([_plain_wstat_fit(n, m, signal) for n, m in zip(on[:N_PLAIN], away[:N_PLAIN], strict=True)])
    # a kink of wstat may be the minimum: there no Newton step ends
    good = found.status[:N_PLAIN] == "ok"
    return {
        "seed": seed,
        "n": count,
        "OFF counts per bin": off,
        "bias": float(amplitudes[found.status == "ok"].mean() - 1.0),
        "apart": float(np.abs(amplitudes[:N_PLAIN] - plain)[good].max()),
        "compared": int(good.sum()),
    }


def _thin(signal: np.ndarray) -> tuple[SpectrumDatasetOnOff, SkyModel]:
    """A spectrum in which one model predicts given counts in every bin."""
    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", _N_THIN_BINS)
    true = MapAxis.from_energy_edges(axis.edges, name="energy_true")
    region = "icrs;circle(83.63, 22.01, 0.11)"
    geom, geom_true = (RegionGeom.create(region, [one]) for one in (axis, true))
    line = PowerLawSpectralModel(index=1.0, amplitude="1e-11 TeV-1 s-1 cm-2").freeze("index")
    flux = np.asarray(line.integral_values(true.edges_value("TeV"), 1))

    def as_map(values: Any, on: RegionGeom = geom, unit: str = "") -> RegionNDMap:
        return RegionNDMap(on, np.broadcast_to(np.reshape(values, (-1, 1, 1)), on.data_shape).astype(float), unit=unit)

    dataset = SpectrumDatasetOnOff(
        name="toy",
        counts=as_map(1.0),
        counts_off=as_map(1.0),
        acceptance=as_map(1.0),
        acceptance_off=as_map(1.0),
        exposure=as_map(signal / flux, geom_true, "cm2 s"),
        edisp=EDispKernel.from_diagonal_response(true, axis),
    )
    return dataset, SkyModel(line, "toy")


def _plain_wstat_fit(on: np.ndarray, off: np.ndarray, signal: np.ndarray) -> float:
    """Amplitude that minimises the profile over every bin's background, alpha = 1, in plain numpy and scipy.

    The background of a bin solves 2 b^2 + (2 s - on - off) b - off s = 0.
    """

    def profile(amplitude: float) -> float:
        s = amplitude * signal
        half = on + off - 2.0 * s
        b = (half + np.sqrt(half**2 + 8.0 * off * s)) / 4.0
        return float(np.sum(s + 2.0 * b - special.xlogy(on, s + b) - special.xlogy(off, b)))

    return float(optimize.minimize_scalar(profile, bounds=(-0.9, 6.0), method="bounded", options={"xatol": 1e-9}).x)


def null_tests(seed: int, count: int = N_NULL) -> dict[str, Any]:
    """Where there is no source and its norm may not be negative: how often TS is zero, and how often above 2.706."""
    case = _spectrum(False)
    line = _LINE.freeze("index").replace(amplitude="1e-13 TeV-1 s-1 cm-2")
    bounded = line.replace(amplitude=line.amplitude.replace(min=0.0))
    likelihood = Likelihood([_observed(case)], SkyModel(bounded, "toy"), dense=True)
    drawn = np.random.default_rng(seed).poisson(case.background, (count, len(case.background)))
    name = "toy.spectral.amplitude"
    best = fit_many(likelihood, {"toy": drawn})
    none = fit_many(likelihood, {"toy": drawn}, held={name: 0.0})
    ts = none.total_stat - best.total_stat
    return {
        "seed": seed,
        "n": count,
        "background counts": float(case.background.sum()),
        "zero": float(np.mean(ts < 1e-6)),
        "above 2.706": float(np.mean(ts > 2.706)),
        "lost": int(np.sum(~np.isin(best.status, ["ok", "at_bound"]))),
    }
