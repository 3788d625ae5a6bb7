"""The peer's side of the DL3 workloads; runs in the peer's environment: ``_dl3_peer.py MODE DATA OUT``.

MODE ``cold`` and ``reduce``: as in `_dl3_gammax`, with the same axes, regions, options and figures.
"""

import sys
import time

_START = time.perf_counter()

import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402

import astropy.units as u  # noqa: E402
import numpy as np  # noqa: E402
from astropy.coordinates import SkyCoord  # noqa: E402
from gammapy.data import DataStore  # noqa: E402
from gammapy.datasets import Datasets, SpectrumDataset  # noqa: E402
from gammapy.estimators import FluxPointsEstimator  # noqa: E402
from gammapy.makers import ReflectedRegionsBackgroundMaker, SafeMaskMaker, SpectrumDatasetMaker  # noqa: E402
from gammapy.maps import MapAxis, RegionGeom, WcsGeom  # noqa: E402
from gammapy.modeling import Fit  # noqa: E402
from gammapy.modeling.models import ExpCutoffPowerLawSpectralModel, SkyModel  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from regions import CircleSkyRegion  # noqa: E402

_IMPORT_S = time.perf_counter() - _START

from _clock import Stages, peak_rss_mb, repeat, versions, without_nan, write_json  # noqa: E402

CRAB, CRAB_RUNS, REPEATS = SkyCoord(83.63, 22.01, unit="deg"), (23523, 23526, 23559, 23592), 3
ENERGY = MapAxis.from_energy_bounds(0.1, 40, nbin=10, per_decade=True, unit="TeV", name="energy")
TRUE = MapAxis.from_energy_bounds(0.05, 100, nbin=20, per_decade=True, unit="TeV", name="energy_true")


def crab_makers():
    """The recipe's makers, exclusion mask included."""
    image = WcsGeom.create(npix=(150, 150), binsz=0.05, skydir=CRAB.galactic, proj="TAN", frame="icrs")
    center = SkyCoord(183.604, -8.708, unit="deg", frame="galactic")
    return makers(~image.region_mask([CircleSkyRegion(center, 0.5 * u.deg)]))


def makers(mask=None):
    """Counts and responses, reflected background, safe energies."""
    return (
        SpectrumDatasetMaker(containment_correction=True, selection=["counts", "exposure", "edisp"]),
        ReflectedRegionsBackgroundMaker(exclusion_mask=mask),
        SafeMaskMaker(methods=["aeff-max"], aeff_percent=10),
    )


def reduce_one(store, number, chain, center=None):
    """Spectrum of one run; the ON region half a degree north of the pointing where no centre is given."""
    observation = store.get_observations([number])[0]
    if center is None:
        center = observation.get_pointing_icrs(observation.tmid).directional_offset_by(0 * u.deg, 0.5 * u.deg)
    geom = RegionGeom.create(region=CircleSkyRegion(center, 0.11 * u.deg), axes=[ENERGY])
    dataset = SpectrumDataset.create(geom=geom, energy_axis_true=TRUE, name=str(number))
    for maker in chain:
        dataset = maker.run(dataset, observation)
    return dataset


def reduce_crab(folder):
    """Spectra of the four runs."""
    store, chain = DataStore.from_dir(folder), crab_makers()
    return Datasets([reduce_one(store, number, chain, CRAB) for number in CRAB_RUNS])


def draw(datasets, spectral, points, folder):
    """Spectrum with flux points, their profiles, counts and residuals of every run, as PNG files."""
    figures = {name: Figure(figsize=(8, 6), layout="constrained") for name in ("spectrum", "profiles", *datasets.names)}
    axes, look = figures["spectrum"].subplots(), {"sed_type": "e2dnde"}
    spectral.plot([0.5, 40] * u.TeV, axes, n_points=200, **look)
    spectral.plot_error([0.5, 40] * u.TeV, axes, n_points=200, **look)
    points.plot(axes, **look)
    points.plot_ts_profiles(figures["profiles"].subplots(), **look)
    for dataset in datasets:
        upper, lower = figures[dataset.name].subplots(2, 1, sharex=True, height_ratios=(3, 1))
        dataset.plot_fit(upper, lower)
    for name, figure in figures.items():
        figure.savefig(Path(folder, f"{name}.png"), dpi=150)


def cold(data):
    """The whole chain once."""
    stages = Stages({"import": _IMPORT_S})
    spectral = ExpCutoffPowerLawSpectralModel(
        index=2, amplitude=1e-12 * u.Unit("cm-2 s-1 TeV-1"), reference=1 * u.TeV, lambda_=0.1 / u.TeV
    )
    estimator = FluxPointsEstimator(energy_edges=ENERGY.edges, source="crab", selection_optional="all")
    datasets = stages.time("read and reduce", lambda: reduce_crab(data))
    datasets.models = [SkyModel(spectral_model=spectral, name="crab")]
    result = stages.time("fit", lambda: Fit().run(datasets))
    points = stages.time("flux points", lambda: estimator.run(datasets))
    with tempfile.TemporaryDirectory() as folder:
        stages.time("figures", lambda: draw(datasets, spectral, points, folder))
    free = result.models.parameters.free_parameters
    return {
        "stages": stages,
        "ready": time.time(),
        "peak_rss_mb": peak_rss_mb(),
        "rows": [summary(dataset) for dataset in datasets],
        "total_stat": float(result.total_stat),
        "values": {f"crab.spectral.{p.name}": p.value for p in free},
        "errors": {f"crab.spectral.{p.name}": p.error for p in free},
        "norm": without_nan(points.to_table(sed_type="likelihood")["norm"]),
    }


def reductions(data):
    """Seconds of single reductions, files and responses read anew in each; the first of all is thrown away."""
    store, chain, plain = DataStore.from_dir(data), crab_makers(), makers()
    reduce_one(store, CRAB_RUNS[0], chain, CRAB)
    crab = {n: repeat(lambda n=n: reduce_one(store, n, chain, CRAB), REPEATS) for n in CRAB_RUNS}
    rows, seconds = [], []
    for number in numbers_present(store, data):
        seconds += repeat(lambda n=number: rows.append(summary(reduce_one(store, n, plain))), 1)
    return {"crab_s": crab, "all_s": seconds, "rows": rows, "peak_rss_mb": peak_rss_mb()}


def numbers_present(store, data):
    """Runs of the index whose file is in the folder."""
    table = store.hdu_table
    rows = zip(table["OBS_ID"], table["FILE_DIR"], table["FILE_NAME"])  # noqa: B905
    return sorted({int(n) for n, *path in rows if Path(data, *map(str.strip, path)).is_file()})


def summary(dataset):
    """Name, counts ON and OFF, OFF regions, bins in the safe mask, exposure [m2 s] summed over the bins."""
    numbers = (
        dataset.counts.data.sum(),
        dataset.counts_off.data.sum(),
        dataset.acceptance_off.data.ravel()[0],
        dataset.mask_safe.data.sum(),
        np.sum(dataset.exposure.quantity.to_value("m2 s"), dtype=float),
    )
    return [dataset.name, *map(float, numbers)]


def main(mode, data, out):
    """Run one mode and write its JSON."""
    content = cold(data) if mode == "cold" else reductions(data)
    found = versions("gammapy", "numpy", "scipy", "astropy", "iminuit", "matplotlib")
    write_json(out, {**content, "versions": found})


if __name__ == "__main__":
    main(*sys.argv[1:])
