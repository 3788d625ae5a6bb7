"""gammax's side of the DL3 workloads, in a fresh interpreter: ``_dl3_gammax.py MODE DATA OUT``.

MODE ``cold``: import, reduction of four H.E.S.S. runs on the Crab nebula, ECPL fit, flux points with all options,
figures. MODE ``reduce``: single reductions, of those runs again and again, then of every run in the folder.
"""

import sys
import time

_START = time.perf_counter()

import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402

import astropy.units as u  # noqa: E402
import numpy as np  # noqa: E402
from astropy.coordinates import SkyCoord  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from regions import CircleSkyRegion  # noqa: E402

import gammax  # noqa: E402
from gammax.data import DataStore  # noqa: E402
from gammax.datasets import Datasets, SpectrumDataset  # noqa: E402
from gammax.estimators import FluxPointsEstimator  # noqa: E402
from gammax.fit import Fit  # noqa: E402
from gammax.makers import ReflectedRegionsBackgroundMaker, SafeMaskMaker, SpectrumDatasetMaker  # noqa: E402
from gammax.maps import MapAxis, RegionGeom, WcsGeom  # noqa: E402
from gammax.models import ExpCutoffPowerLawSpectralModel, SkyModel  # noqa: E402
from gammax.plot import plot_fit, plot_flux_points, plot_spectrum  # noqa: E402

gammax.enable_x64()
_IMPORT_S = time.perf_counter() - _START

from _clock import Stages, peak_rss_mb, repeat, versions, without_nan, write_json  # noqa: E402

CRAB, CRAB_RUNS, REPEATS = SkyCoord(83.63, 22.01, unit="deg"), (23523, 23526, 23559, 23592), 7
ENERGY = MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", nbin=10, per_decade=True)
TRUE = MapAxis.from_energy_bounds("0.05 TeV", "100 TeV", nbin=20, per_decade=True, name="energy_true")


def crab_makers():
    """The recipe's makers; the mask leaves out a star-forming region beside the Crab nebula."""
    image = WcsGeom.create(npix=(150, 150), binsz=0.05, skydir=CRAB.galactic, proj="TAN", frame="icrs")
    return makers(image.region_mask("galactic;circle(183.604, -8.708, 0.5)", inside=False))


def makers(mask=None):
    """Counts and responses, reflected background, safe energies."""
    return (
        SpectrumDatasetMaker(containment_correction=True),
        ReflectedRegionsBackgroundMaker(exclusion_mask=mask),
        SafeMaskMaker(methods=["aeff-max"], aeff_percent=10),
    )


def reduce_one(store, number, chain, center=None):
    """Spectrum of one run; the ON region half a degree north of the pointing where no centre is given."""
    observation = store.obs(number)
    if center is None:
        center = observation.get_pointing_icrs().directional_offset_by(0 * u.deg, 0.5 * u.deg)
    geom = RegionGeom.create(CircleSkyRegion(center, 0.11 * u.deg), ENERGY)
    dataset = SpectrumDataset.create(geom, TRUE, str(number))
    for maker in chain:
        dataset = maker.run(dataset, observation)
    return dataset


def reduce_crab(folder):
    """Spectra of the four runs."""
    store, chain = DataStore.from_dir(folder), crab_makers()
    return Datasets(reduce_one(store, number, chain, CRAB) for number in CRAB_RUNS)


def draw(datasets, models, points, folder):
    """Spectrum with flux points, their profiles, counts and residuals of every run, as PNG files."""
    figures = {name: Figure(figsize=(8, 6), layout="constrained") for name in ("spectrum", "profiles", *datasets.names)}
    axes = figures["spectrum"].subplots()
    plot_spectrum(models, "crab", "0.5 TeV", "40 TeV", axes)
    plot_flux_points(points, axes)
    points.plot_ts_profiles(figures["profiles"].subplots())
    for dataset in datasets:
        plot_fit(dataset, models, figures[dataset.name].subplots(2, 1, sharex=True, height_ratios=(3, 1)))
    for name, figure in figures.items():
        figure.savefig(Path(folder, f"{name}.png"), dpi=150)


def cold(data):
    """The whole chain once; then fit and flux points once more, to tell what of them was compiling."""
    stages, again = Stages({"import": _IMPORT_S}), Stages()
    model = SkyModel(
        ExpCutoffPowerLawSpectralModel(
            index=2, amplitude="1e-12 TeV-1 s-1 cm-2", reference="1 TeV", lambda_="0.1 TeV-1"
        ),
        "crab",
    )
    estimator = FluxPointsEstimator(energy_edges=ENERGY.edges, source="crab", selection_optional="all")
    datasets = stages.time("read and reduce", lambda: reduce_crab(data))
    result = stages.time("fit", lambda: Fit().run(datasets, model))
    points = stages.time("flux points", lambda: estimator.run(datasets, result.models))
    with tempfile.TemporaryDirectory() as folder:
        stages.time("figures", lambda: draw(datasets, result.models, points, folder))
    ready, rss = time.time(), peak_rss_mb()
    again.time("fit", lambda: Fit().run(datasets, model))
    again.time("flux points", lambda: estimator.run(datasets, result.models))
    return {
        "stages": stages,
        "again": again,
        "ready": ready,
        "peak_rss_mb": rss,
        "rows": [summary(dataset) for dataset in datasets],
        "total_stat": result.total_stat,
        "values": dict(zip(result.names, map(float, result.values), strict=True)),
        "errors": dict(zip(result.names, map(float, result.errors), strict=True)),
        "norm": without_nan(points.norm.value),
    }


def reductions(data):
    """Seconds of single reductions, files and responses read anew in each; the first of all is thrown away."""
    store, chain, plain = DataStore.from_dir(data), crab_makers(), makers()
    reduce_one(store, CRAB_RUNS[0], chain, CRAB)
    crab = {n: repeat(lambda n=n: reduce_one(store, n, chain, CRAB), REPEATS) for n in CRAB_RUNS}
    rows, seconds = [], []
    for number in store.obs_ids:
        seconds += repeat(lambda n=number: rows.append(summary(reduce_one(store, n, plain))), 1)
    return {"crab_s": crab, "all_s": seconds, "rows": rows, "peak_rss_mb": peak_rss_mb()}


def summary(dataset):
    """Name, counts ON and OFF, OFF regions, bins in the safe mask, exposure [m2 s] summed over the bins."""
    numbers = (
        dataset.counts.values().sum(),
        dataset.counts_off.values().sum(),
        dataset.acceptance_off.values()[0],
        dataset.mask_safe.values().sum(),
        np.sum(dataset.exposure.values("m2 s")),
    )
    return [dataset.name, *map(float, numbers)]


def main(mode, data, out):
    """Run one mode and write its JSON."""
    content = cold(data) if mode == "cold" else reductions(data)
    found = versions("jax", "jaxlib", "numpy", "scipy", "astropy", "equinox", "matplotlib")
    write_json(out, {**content, "versions": {"gammax": gammax.__version__, **found}})


if __name__ == "__main__":
    main(*sys.argv[1:])
