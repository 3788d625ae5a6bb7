"""The peer's side of _interop_files.py, in the peer's environment: ``_interop_files_peer.py DATA READ WRITE OUT.npz``.

Reads gammax's folder READ, makes and writes the same products into WRITE, and tells of both: ``read/...``, ``made/...``
"""

import logging
import sys
from pathlib import Path

import astropy.units as u
import numpy as np
from gammapy import __version__
from gammapy.datasets import Datasets, FluxPointsDataset, SpectrumDatasetOnOff
from gammapy.estimators import FluxPoints, FluxPointsEstimator
from gammapy.modeling import Fit
from gammapy.modeling.models import (
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    Models,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
)

SED_TYPES, SUFFIXES = ("dnde", "flux", "eflux", "e2dnde", "likelihood"), ("fits", "ecsv")
SPECTRA = ("ogip", "gadf", "cash")
POINTS = ((2.6, 4e-11), (2.0, 1e-11), (3.1, 8e-11), (2.3, 3e-13))
ENERGIES = np.geomspace(0.1, 50.0, 12)
FIT_RANGE = (0.7, 20.0)
LIVETIME_S = 1600.0
UNITS = {"dnde": "TeV-1 s-1 cm-2", "flux": "s-1 cm-2", "eflux": "TeV s-1 cm-2", "e2dnde": "TeV s-1 cm-2", "e": "TeV"}


def power_law(index, amplitude):
    """Spectrum at 1 TeV."""
    return PowerLawSpectralModel(index=index, amplitude=amplitude * u.Unit("cm-2 s-1 TeV-1"), reference=1 * u.TeV)


def make(data):
    """Spectra by kind, models by file, flux points by file."""
    plain = Datasets.read(f"{data}/datasets.yaml")
    for dataset in plain:
        # headers of the files they come from keep the peer from writing OGIP files
        dataset.counts.meta, dataset.counts_off.meta = {}, {}
        dataset.exposure.meta = {"livetime": LIVETIME_S * u.s}
    cut = plain.copy()
    for dataset, original in zip(cut, plain):  # noqa: B905
        dataset._name = original.name
        dataset.mask_fit = dataset.counts.geom.energy_mask(*FIT_RANGE * u.TeV)
    cash = Datasets([dataset.to_spectrum_dataset(name=dataset.name) for dataset in cut])
    plain.models = [SkyModel(power_law(2.0, 4e-11), name="crab")]
    fitted = Fit().run(plain).models
    edges = plain[0].counts.geom.axes["energy"].edges[[9, 12, 15, 18, 21]]
    points = FluxPointsEstimator(energy_edges=edges, source="crab", selection_optional="all").run(plain)
    weak = SkyModel(power_law(2.2, 3e-13), name="weak", datasets_names=[plain.names[0]])
    both = Models([*fitted, weak])
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = fitted.covariance.data
    both.covariance = covariance
    by_file = {f"{kind}.{suffix}": points for kind in SED_TYPES for suffix in SUFFIXES}
    return (
        {"ogip": plain, "gadf": cut, "cash": cash},
        {"power_laws": both, "all_kinds": one_of_each_kind()},
        by_file,
    )


def one_of_each_kind():
    """Bounds, frozen and linked parameters, a product."""
    flux = u.Unit("cm-2 s-1 TeV-1")
    cutoff = ExpCutoffPowerLawSpectralModel(index=2.1, amplitude=3e-11 * flux, lambda_=0.07 / u.TeV, alpha=1.3)
    parabola = LogParabolaSpectralModel(alpha=2.4, beta=0.13, amplitude=2e-11 * flux, reference=2 * u.TeV)
    product = power_law(2.1, 1e-11) * PowerLawNormSpectralModel(norm=0.8, tilt=0.1)
    for spectrum in (cutoff, product.model1):
        spectrum.index.min, spectrum.index.max = 0.0, 7.0
    parabola.beta.frozen = True
    product.model1.index = cutoff.index
    named = {"cutoff": cutoff, "parabola": parabola, "product": product}
    return Models([SkyModel(spectral_model=spectrum, name=name) for name, spectrum in named.items()])


def write(products, folder):
    """Write a folder as `_interop_files` says."""
    spectra, models, points = products
    for name in (*SPECTRA, "models", "points"):
        Path(folder, name).mkdir(parents=True)
    for kind in ("gadf", "cash"):
        spectra[kind].write(Path(folder, kind, "datasets.yaml"))
    index = "datasets:\n"
    for dataset in spectra["ogip"]:
        file = f"spectrum_{dataset.name}.fits"
        dataset.write(Path(folder, "ogip", file), format="ogip")
        index += f"- name: '{dataset.name}'\n  type: {dataset.tag}\n  filename: {file}\n"
    Path(folder, "ogip", "datasets.yaml").write_text(index)
    for name, content in models.items():
        content.write(Path(folder, "models", f"{name}.yaml"))
    for name, content in points.items():
        content.write(Path(folder, "points", name), sed_type=name.partition(".")[0])


def read(folder):
    """Read such a folder."""
    spectra = {kind: Datasets.read(Path(folder, kind, "datasets.yaml")) for kind in SPECTRA}
    # through the index the peer leaves out the fit masks of ON-OFF spectra
    spectra["gadf"] = Datasets(
        [
            SpectrumDatasetOnOff.read(Path(folder, "gadf", f"pha_obs{name}.fits"), name=name)
            for name in spectra["gadf"].names
        ]
    )
    models = {path.stem: Models.read(path) for path in sorted(Path(folder, "models").glob("*.yaml"))}
    references = {"likelihood": None} | dict.fromkeys(SED_TYPES[:-1], models["power_laws"]["crab"].spectral_model)
    points = {
        path.name: FluxPoints.read(path, reference_model=references[path.stem])
        for path in sorted(Path(folder, "points").iterdir())
    }
    return spectra, models, points


def tell(products):
    """Arrays by label ``kind/what``."""
    spectra, models, points = products
    told = {}
    for kind, datasets in spectra.items():
        told |= {f"{kind}/{what}": values for what, values in tell_spectra(datasets).items()}
    told["ogip/livetime"] = [dataset.exposure.meta["livetime"].to_value("s") for dataset in spectra["ogip"]]
    for name, content in models.items():
        told |= {f"models {name}/{what}": values for what, values in tell_models(content).items()}
    spectra["gadf"].models = models["power_laws"]
    told["models power_laws/statistic"] = [dataset.stat_sum() for dataset in spectra["gadf"]]
    for name, content in points.items():
        told |= {f"points {name}/{what}": values for what, values in tell_points(content, name).items()}
    return {label: np.asarray(values, float) for label, values in told.items()}


def tell_spectra(datasets):
    """Statistic and predictions at fixed models; what is in the files."""
    told = {"statistic": [], "npred": []}
    for index, amplitude in POINTS:
        datasets.models = [SkyModel(spectral_model=power_law(index, amplitude), name="crab")]
        told["statistic"].append([dataset.stat_sum() for dataset in datasets])
        told["npred"].append([dataset.npred_signal().data.ravel() for dataset in datasets])
    datasets.models = None
    return {
        **told,
        "counts": [dataset.counts.data.ravel() for dataset in datasets],
        "mask": [dataset.mask.data.ravel() for dataset in datasets],
    }


def tell_models(models):
    """Parameters, covariance where there is one, fluxes."""
    parameters = models.parameters
    told = {f"{name} of parameters": [getattr(p, name) for p in parameters] for name in ("value", "min", "max")}
    told["frozen of parameters"] = [p.frozen for p in parameters]
    told["dnde"] = [m.spectral_model(ENERGIES * u.TeV).to_value("cm-2 s-1 TeV-1") for m in models]
    if np.any(models.covariance.data):
        told["covariance"] = models.covariance.data
    return told


def tell_points(points, name):
    """Columns of the table, and the chi2 of a fixed power law."""
    kind = name.partition(".")[0]
    table = points.to_table(sed_type=kind)
    told = {}
    for column in table.colnames:
        if table[column].dtype.kind in "fbi":
            unit = UNITS.get((column[4:] if column.startswith("ref_") else column).partition("_")[0])
            told[column] = table[column].quantity.to_value(unit) if unit else np.asarray(table[column])
    if kind in ("dnde", "likelihood"):
        dataset = FluxPointsDataset(data=points, models=[SkyModel(spectral_model=power_law(*POINTS[0]), name="crab")])
        told["statistic"] = dataset.stat_sum()
    return told


def main(data, given, target, out):
    """Both directions."""
    logging.getLogger("gammapy").setLevel(logging.ERROR)
    told = {f"read/{label}": values for label, values in tell(read(given)).items()}
    made = make(data)
    write(made, target)
    told |= {f"made/{label}": values for label, values in tell(made).items()}
    np.savez(out, version=__version__, **told)


if __name__ == "__main__":
    main(*sys.argv[1:])
