"""Real runs, reduced and fitted as Gammapy 2.1 does: counts and masks the same, fits within 0.02 sigma."""

import itertools
import json
import time

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.time import Time
from numpy.testing import assert_allclose, assert_array_equal
from regions import CircleSkyRegion, PointSkyRegion

from gammax.data import DataStore
from gammax.datasets import Datasets, SpectrumDataset
from gammax.fit import Fit
from gammax.makers import (
    DatasetsMaker,
    ReflectedRegionsBackgroundMaker,
    SafeMaskMaker,
    SpectrumDatasetMaker,
    WobbleRegionsFinder,
)
from gammax.maps import MapAxis, RegionGeom, WcsGeom
from gammax.models import (
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    Models,
    PowerLawSpectralModel,
    SkyModel,
)

CRAB = SkyCoord(83.63, 22.01, unit="deg")
PKS2155 = SkyCoord(329.71693826, -30.2255890, unit="deg")
ENERGY = MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", nbin=10, per_decade=True)
TRUE = MapAxis.from_energy_bounds("0.05 TeV", "100 TeV", nbin=20, per_decade=True, name="energy_true")
ARRAYS = ("counts", "counts_off", "acceptance", "acceptance_off", "mask_safe")
START = {"amplitude": "1e-12 cm-2 s-1 TeV-1", "reference": "1 TeV"}
SPECTRA = {
    "pl": PowerLawSpectralModel(index=2, **START),
    "ecpl": ExpCutoffPowerLawSpectralModel(index=2, lambda_="0.1 TeV-1", **START),
    "logpar": LogParabolaSpectralModel(alpha=2, beta=0.1, **START),
}

# published runs have a few small negative cells and late events, of which gammax warns
pytestmark = [pytest.mark.data, pytest.mark.filterwarnings("ignore::gammax.errors.GammaxWarning")]


def results(reference_dir, name):
    return json.loads((reference_dir / f"results/{name}.json").read_text())


def point_source_makers(mask=None):
    return (
        SpectrumDatasetMaker(containment_correction=True),
        ReflectedRegionsBackgroundMaker(exclusion_mask=mask),
        SafeMaskMaker(methods=["aeff-max"], aeff_percent=10),
    )


def empty(region, energy=ENERGY, true=TRUE):
    return SpectrumDataset.create(RegionGeom.create(region, energy), true, "empty")


def assert_reduced_alike(datasets, reduced, exposure_rtol=1e-10):
    assert datasets.names == [row["name"] for row in reduced]
    for dataset, row in zip(datasets, reduced, strict=True):
        for name in ARRAYS:
            assert_array_equal(getattr(dataset, name).values(), row[name], err_msg=f"{dataset.name} {name}")
        assert_allclose(dataset.exposure.values("m2 s"), row["exposure"], rtol=exposure_rtol)
        assert dataset.livetime == pytest.approx(row["livetime_s"], abs=1e-9)


def assert_fitted_alike(datasets, spectrum, fit, name):
    """Values within 0.02 sigma, errors within 0.5 % of explicit HESSE, statistic within 1e-3."""
    result = Fit().run(datasets, Models(SkyModel(spectrum, name)))
    assert result.success
    assert result.total_stat == pytest.approx(fit["stat_sum"], abs=1e-3)
    ours = {f"{row['model']}.spectral.{row['name']}": row for row in result.parameters}
    theirs = {parameter["name"]: parameter for parameter in fit["parameters"]}
    assert set(ours) == set(fit["free_parameters"])
    for key, error in zip(fit["free_parameters"], fit["hesse_errors_free"], strict=True):
        unit = u.Unit(theirs[key]["unit"]).to(u.Unit(ours[key]["unit"]))
        assert ours[key]["value"] == pytest.approx(theirs[key]["value"] * unit, abs=0.02 * error * unit), key
        assert ours[key]["error"] == pytest.approx(error * unit, rel=5e-3), key
    return ours


@pytest.fixture(scope="module")
def crab(data_dir):
    image = WcsGeom.create(npix=(150, 150), binsz=0.05, skydir=CRAB.galactic, proj="TAN", frame="icrs")
    mask = image.region_mask("galactic;circle(183.604, -8.708, 0.5)", inside=False)
    observations = DataStore.from_dir(data_dir / "hess-dl3-dr1").get_observations([23523, 23526, 23559, 23592])
    maker = DatasetsMaker(point_source_makers(mask), stack_datasets=False)
    return maker.run(empty(CircleSkyRegion(CRAB, 0.11 * u.deg)), observations)


def test_hess_crab_reduction(crab, reference_dir):
    assert_reduced_alike(crab, results(reference_dir, "w01_hess_crab_1d")["reduced"])
    for dataset, theirs in zip(crab, Datasets.read(reference_dir / "datasets/w01/datasets.yaml"), strict=True):
        assert_allclose(dataset.edisp.pdf_matrix, theirs.edisp.pdf_matrix, rtol=0, atol=1e-10)
        assert_allclose(dataset.exposure.values("m2 s"), theirs.exposure.values("m2 s"), rtol=1e-10)
        for name in ("TELESCOP", "OBS_ID", "RA_PNT", "DEC_PNT"):
            assert dataset.meta_table[name][0] == theirs.meta_table[name][0]


@pytest.mark.parametrize("name", SPECTRA)
def test_hess_crab_fits(crab, reference_dir, name):
    assert_fitted_alike(crab, SPECTRA[name], results(reference_dir, "w01_hess_crab_1d")["fits"][name], "crab")


def test_hess_crab_normalised_containment(data_dir):
    """Up to 0.08 % more than by the field's rule, but in the last bin (90 TeV), where the PSF table's norm is 1.008."""
    obs = DataStore.from_dir(data_dir / "hess-dl3-dr1").obs(23523)
    region = empty(CircleSkyRegion(CRAB, 0.11 * u.deg))
    better, field = (
        SpectrumDatasetMaker(["exposure"], True, method).run(region, obs).exposure.values()
        for method in ("normalized", "gammapy")
    )
    assert_array_equal(better > 0, field > 0)
    ratio = better[field > 0] / field[field > 0] - 1
    assert 3e-4 < ratio[:-1].max() < 8e-4
    assert ratio[:-1].min() > -1e-4
    assert ratio[-1] == pytest.approx(-0.008, abs=1e-3)


def test_magic_energy_dependent_cut(data_dir, reference_dir):
    expected = results(reference_dir, "w11_magic_rad_max")
    energy = MapAxis.from_energy_bounds("50 GeV", "100 TeV", nbin=5, per_decade=True)
    true = MapAxis.from_energy_bounds("10 GeV", "100 TeV", nbin=10, per_decade=True, name="energy_true")
    observations = DataStore.from_dir(data_dir / "magic/rad_max/data").get_observations(required_irf="point-like")
    makers = (SpectrumDatasetMaker(), ReflectedRegionsBackgroundMaker(WobbleRegionsFinder(3)), SafeMaskMaker())
    maker = DatasetsMaker(makers, stack_datasets=False)
    datasets = maker.run(empty(PointSkyRegion(CRAB), energy, true), observations)
    assert_reduced_alike(datasets, expected["reduced"])
    for dataset, row in zip(datasets, expected["reduced"], strict=True):
        assert_allclose(dataset.edisp.pdf_matrix.sum(axis=1), row["edisp_row_sum"], rtol=0, atol=1e-10)
    datasets = datasets.with_fit_range("80 GeV", "20 TeV")
    for name in ("pl", "logpar"):
        assert_fitted_alike(datasets, SPECTRA[name], expected["fits"][name], "crab")


def test_pks2155_flare(data_dir, reference_dir):
    expected = results(reference_dir, "w06_light_curve")
    energy = MapAxis.from_energy_bounds("0.4 TeV", "20 TeV", nbin=10)
    true = MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", nbin=20, name="energy_true")
    store = DataStore.from_dir(data_dir / "hess-dl3-dr1")
    circle = {"type": "sky_circle", "frame": "icrs", "lon": PKS2155.ra, "lat": PKS2155.dec, "radius": 2 * u.deg}
    numbers = [int(n) for n in store.obs_table.select_observations(circle)["OBS_ID"]]
    times = Time("2006-07-29T20:30") + np.arange(69) * 5 * u.min
    intervals = [Time([start, stop]) for start, stop in itertools.pairwise(times)]
    # the six runs of the steady source in the selection have no time in the flare's night, and may be missing here
    observations = store.get_observations(numbers, skip_missing=True).select_time(intervals)
    region = empty(CircleSkyRegion(PKS2155, 0.11 * u.deg), energy, true)
    datasets = DatasetsMaker(point_source_makers(), stack_datasets=False).run(region, observations)
    reduced = expected["reduced"]
    assert len(datasets) == reduced["n_datasets"] == 67
    for name in ("counts", "counts_off"):
        sums = [getattr(dataset, name).values()[dataset.mask].sum() for dataset in datasets]
        assert_array_equal(sums, reduced[name])
    assert_allclose([dataset.livetime for dataset in datasets], reduced["livetime"], rtol=1e-9)
    assert_array_equal([dataset.mask.sum() for dataset in datasets], reduced["mask_bins"])
    start = PowerLawSpectralModel(amplitude="1e-10 cm-2 s-1 TeV-1")
    found = assert_fitted_alike(datasets, start, expected["fits"]["pl, all pieces jointly"], "pks2155")
    # Donath et al. 2023 (A&A 678, A157)
    assert found["pks2155.spectral.index"]["value"] == pytest.approx(3.54, abs=0.02)


@pytest.mark.slow
def test_all_runs(data_dir, reference_dir):
    """ON region half a degree north of the pointing; runs that the data folder lacks are passed over."""
    store = DataStore.from_dir(data_dir / "hess-dl3-dr1")
    expected = results(reference_dir, "w10_bulk_reduction_1d")
    rows = [dict(zip(expected["rows_columns"], row, strict=True)) for row in expected["rows"]]
    present = set(store.obs_ids)
    seconds = []
    for row in rows:
        number = int(row["obs_id"])
        if number not in present:
            continue
        begin = time.perf_counter()
        obs = store.obs(number)
        center = obs.get_pointing_icrs().directional_offset_by(0 * u.deg, 0.5 * u.deg)
        dataset = empty(CircleSkyRegion(center, 0.11 * u.deg))
        for maker in point_source_makers():
            dataset = maker.run(dataset, obs)
        seconds.append(time.perf_counter() - begin)
        mask = dataset.mask_safe.values()
        found = {
            "counts": dataset.counts.values().sum(),
            "counts_in_mask": dataset.counts.values()[mask].sum(),
            "mask_pixels": mask.sum(),
            "counts_off": dataset.counts_off.values().sum(),
            "acceptance_off": dataset.acceptance_off.values()[0],
        }
        assert found == {name: row[name] for name in found}, number
        # the peer sums in 32 bits
        assert dataset.exposure.values("m2 s").sum() == pytest.approx(row["exposure_sum_m2s"], rel=1e-6)
    assert len(seconds) >= 87
    theirs = expected["time_per_run_s"]["median"]
    print(f"{len(seconds)} runs, median {np.median(seconds):.3f} s a run, the peer's {theirs:.3f} s")
