"""Reduced spectra, models and flux points handed to and fro: gammax's side, and the comparison.

A folder of files has ``ogip/`` and ``gadf/`` (ON-OFF spectra), ``cash/`` (spectra with a known background), each with a
``datasets.yaml``; ``models/`` with two model files; ``points/`` with flux points of every kind as FITS and ECSV. What
was read is told as arrays by label, the same on both sides, so that they can be compared.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from _interop_compare import exchange_row, under

from gammax.datasets import Datasets
from gammax.estimators import FluxPoints, FluxPointsEstimator
from gammax.fit import Fit
from gammax.models import (
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    Models,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
)

SED_TYPES, SUFFIXES = ("dnde", "flux", "eflux", "e2dnde", "likelihood"), ("fits", "ecsv")
SPECTRA = ("ogip", "gadf", "cash")
# index, amplitude [cm-2 s-1 TeV-1] at 1 TeV
POINTS = ((2.6, 4e-11), (2.0, 1e-11), (3.1, 8e-11), (2.3, 3e-13))
ENERGIES = np.geomspace(0.1, 50.0, 12)
FIT_RANGE = (0.7, 20.0)
# the peer's gadf files lose it
LIVETIME_S = 1600.0
UNITS = {"dnde": "TeV-1 s-1 cm-2", "flux": "s-1 cm-2", "eflux": "TeV s-1 cm-2", "e2dnde": "TeV s-1 cm-2", "e": "TeV"}


LABELS = {
    "ogip": "OGIP spectra",
    "gadf": "gadf spectra, ON and OFF, fit mask",
    "cash": "gadf spectra, known background",
    "models": "model YAML with covariance",
    "points": "flux points of 5 kinds, FITS and ECSV",
}


class Products(NamedTuple):
    """What is exchanged: spectra by kind, models by file, flux points by file."""

    spectra: dict[str, Datasets]
    models: dict[str, Models]
    points: dict[str, FluxPoints]


def make(data: Path) -> Products:
    """Products of four H.E.S.S. spectra."""
    plain = Datasets(dataset.replace(livetime=LIVETIME_S) for dataset in Datasets.read(data / "datasets.yaml"))
    cut = plain.with_fit_range(*(limit * u.TeV for limit in FIT_RANGE))
    cash = Datasets(dataset.to_spectrum_dataset() for dataset in cut)
    first, result = plain.names[0], Fit().run(plain, SkyModel(PowerLawSpectralModel(amplitude=_flux(4e-11)), "crab"))
    edges = plain[0].energy_axis.edges[[9, 12, 15, 18, 21]]
    points = FluxPointsEstimator(edges, source="crab", selection_optional="all").run(plain, result.models)
    by_file = {f"{kind}.{suffix}": points for kind in SED_TYPES for suffix in SUFFIXES}
    models = {"power_laws": with_two_sources(result.models, first), "all_kinds": one_of_each_kind()}
    return Products({"ogip": plain, "gadf": cut, "cash": cash}, models, by_file)


def with_two_sources(models: Models, first: str) -> Models:
    """The fitted source (with covariance), and a weak one in the first dataset only."""
    weak = SkyModel(PowerLawSpectralModel(index=2.2, amplitude=_flux(3e-13)), "weak", [first])
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = models.covariance
    return Models([*models.models, weak], covariance)


def one_of_each_kind() -> Models:
    """Bounds, frozen and linked parameters, a product."""
    cutoff = ExpCutoffPowerLawSpectralModel(index=2.1, amplitude=_flux(3e-11), lambda_="0.07 TeV-1", alpha=1.3)
    parabola = LogParabolaSpectralModel(alpha=2.4, beta=0.13, amplitude=_flux(2e-11), reference="2 TeV")
    product = PowerLawSpectralModel(index=2.5, amplitude=_flux(1e-11)) * PowerLawNormSpectralModel(norm=0.8, tilt=0.1)
    models = Models([SkyModel(cutoff, "cutoff"), SkyModel(parabola, "parabola"), SkyModel(product, "product")])
    models = models.map_parameters(lambda _, p: p.replace(min=0.0, max=7.0) if p.name == "index" else p)
    return models.freeze("parabola.spectral.beta").link("common", "cutoff.spectral.index", "product.spectral.index")


def _flux(value: float) -> str:
    return f"{value!r} cm-2 s-1 TeV-1"


def write(products: Products, folder: Path) -> None:
    """Write a folder as the module's text says."""
    for kind, datasets in products.spectra.items():
        _new(folder / kind)
        datasets.write(folder / kind / "datasets.yaml", format="ogip" if kind == "ogip" else "gadf")
    for name, models in products.models.items():
        models.write(_new(folder / "models") / f"{name}.yaml")
    for name, points in products.points.items():
        points.write(_new(folder / "points") / name, sed_type=name.partition(".")[0])


def _new(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def read(folder: Path) -> Products:
    """Read such a folder."""
    spectra = {kind: Datasets.read(folder / kind / "datasets.yaml") for kind in SPECTRA}
    models = {path.stem: Models.read(path) for path in sorted((folder / "models").glob("*.yaml"))}
    # tables of fluxes do not say what the norms of their profiles belong to
    references = {"likelihood": None} | dict.fromkeys(SED_TYPES[:-1], models["power_laws"]["crab"].spectral_model)
    points = {
        path.name: FluxPoints.read(path, reference_model=references[path.stem])
        for path in sorted(folder.glob("points/*.*"))
    }
    return Products(spectra, models, points)


def tell(products: Products) -> dict[str, np.ndarray]:
    """Arrays by label ``kind/what``."""
    told: dict[str, Any] = {}
    for kind, datasets in products.spectra.items():
        told |= {f"{kind}/{what}": values for what, values in _tell_spectra(datasets).items()}
    told["ogip/livetime"] = [dataset.livetime for dataset in products.spectra["ogip"]]
    for name, models in products.models.items():
        told |= {f"models {name}/{what}": values for what, values in _tell_models(models).items()}
    told["models power_laws/statistic"] = [d.stat_sum(products.models["power_laws"]) for d in products.spectra["gadf"]]
    for name, points in products.points.items():
        told |= {f"points {name}/{what}": values for what, values in _tell_points(points, name).items()}
    return {label: np.asarray(values, dtype=np.float64) for label, values in told.items()}


def _tell_spectra(datasets: Datasets) -> dict[str, Any]:
    grid = [SkyModel(PowerLawSpectralModel(index=i, amplitude=_flux(a)), "crab") for i, a in POINTS]
    return {
        "statistic": [[dataset.stat_sum(Models([model])) for dataset in datasets] for model in grid],
        "npred": [[dataset.npred_signal(Models([model])).values() for dataset in datasets] for model in grid],
        "counts": [dataset.counts.values() for dataset in datasets],
        "mask": [dataset.mask for dataset in datasets],
    }


def _tell_models(models: Models) -> dict[str, Any]:
    table = models.to_parameters_table()
    told = {f"{name} of parameters": np.array(table[name]) for name in ("value", "min", "max", "frozen")}
    for name in ("min of parameters", "max of parameters"):
        told[name] = np.where(np.isfinite(told[name]), told[name], np.nan)
    told["dnde"] = [(m.spectral_model(ENERGIES * u.TeV)).to_value("cm-2 s-1 TeV-1") for m in models.models]
    if models.covariance is not None and models.covariance.any():
        told["covariance"] = models.covariance
    return told


def _tell_points(points: FluxPoints, name: str) -> dict[str, Any]:
    kind = name.partition(".")[0]
    table = points.to_table(kind)
    told = {column: in_units(column, table[column]) for column in table.colnames if table[column].dtype.kind in "fbi"}
    if kind in ("dnde", "likelihood"):
        told["statistic"] = chi2(points)
    return told


def in_units(column: str, values: Any) -> np.ndarray:
    """Values of a column of flux points in the unit that the comparison is made in."""
    unit = UNITS.get(column.removeprefix("ref_").partition("_")[0])
    return values.quantity.to_value(unit) if unit and values.unit is not None else np.asarray(values)


def chi2(points: FluxPoints) -> float:
    """Of a fixed power law against the points that are no upper limits."""
    dnde, error = points.dnde.to_value("cm-2 s-1 TeV-1"), points.dnde_err.to_value("cm-2 s-1 TeV-1")
    index, amplitude = POINTS[0]
    pull = (dnde - amplitude * points.e_ref.to_value("TeV") ** -index) / error
    return float(np.sum(pull[np.isfinite(dnde) & ~points.is_ul] ** 2))


def exchange(peer: Path, data: Path, folder: Path) -> list[dict[str, Any]]:
    """Rows of both directions; files of both sides are left in a folder."""
    products = make(data)
    write(products, folder / "gammax")
    out, script = folder / "told.npz", Path(__file__).with_name("_interop_files_peer.py")
    command = [peer, "-W", "ignore", script, data, folder / "gammax", folder / "peer", out]
    subprocess.run(list(map(str, command)), check=True)
    there = dict(np.load(out))
    told = {"ours": tell(products), "ours read": under("read/", there)}
    told |= {"theirs": under("made/", there), "theirs read": tell(read(folder / "peer"))}
    rows = []
    for kind, label in LABELS.items():
        parts = {name: {k: v for k, v in arrays.items() if k.startswith(kind)} for name, arrays in told.items()}
        rows.append(exchange_row(label, "gammax", "Gammapy", parts["ours"], parts["ours read"]))
        rows.append(exchange_row(label, "Gammapy", "gammax", parts["theirs"], parts["theirs read"]))
    return rows
