"""Configurations on published event files: the spectra and fits of Gammapy 2.1, from one YAML file."""

import json

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gammax.analysis import Analysis, AnalysisConfig
from gammax.maps import WcsGeom
from gammax.models import (
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
)

# published runs have a few small negative cells and late events, of which gammax warns
pytestmark = [pytest.mark.data, pytest.mark.filterwarnings("ignore::gammax.errors.GammaxWarning")]

HESS = """
observations:
    datastore: hess-dl3-dr1
    obs_ids: [23523, 23526, 23559, 23592]
datasets:
    stack: false
    geom:
        axes: # 10 and 20 a decade
            energy: {min: 0.1 TeV, max: 40 TeV, nbins: 27}
            energy_true: {min: 0.05 TeV, max: 100 TeV, nbins: 67}
    background: {method: reflected, exclusion: exclusion.fits.gz}
    safe_mask: {methods: [aeff-max], parameters: {aeff_percent: 10}}
    on_region: {frame: icrs, lon: 83.63 deg, lat: 22.01 deg, radius: 0.11 deg}
"""
MAGIC = """
observations:
    datastore: magic/rad_max/data
    obs_ids: [5029747, 5029748]
    required_irf: [aeff, edisp]
datasets:
    stack: false
    containment_correction: false # the responses are point-like
    geom:
        axes: # 5 and 10 a decade
            energy: {min: 50 GeV, max: 100 TeV, nbins: 17}
            energy_true: {min: 10 GeV, max: 100 TeV, nbins: 40}
    background: {method: reflected}
    on_region: {frame: icrs, lon: 83.63 deg, lat: 22.01 deg}
fit: {fit_range: {min: 80 GeV, max: 20 TeV}}
"""
START = {"amplitude": "1e-12 cm-2 s-1 TeV-1", "reference": "1 TeV"}
SPECTRA = {
    "pl": PowerLawSpectralModel(index=2, **START),
    "ecpl": ExpCutoffPowerLawSpectralModel(index=2, lambda_="0.1 TeV-1", **START),
    "logpar": LogParabolaSpectralModel(alpha=2, beta=0.1, **START),
}


def reduced(text, data_dir, n_jobs=1):
    config = AnalysisConfig.from_yaml(text)
    place = str(data_dir / config.observations.datastore)
    analysis = Analysis(config.update({"general": {"n_jobs": n_jobs}, "observations": {"datastore": place}}))
    analysis.get_observations()
    analysis.get_datasets()
    return analysis


def assert_as_published(analysis, expected, spectra):
    for dataset, row in zip(analysis.datasets, expected["reduced"], strict=True):
        assert dataset.name == row["name"]
        for name in ("counts", "counts_off", "acceptance_off", "mask_safe"):
            np.testing.assert_array_equal(getattr(dataset, name).values(), row[name], err_msg=name)
        np.testing.assert_allclose(dataset.exposure.values("m2 s"), row["exposure"], rtol=1e-5)
    for name in spectra:
        fit = expected["fits"][name]
        analysis.set_models(SkyModel(SPECTRA[name], "crab"))
        result = analysis.run_fit()
        assert result.total_stat == pytest.approx(fit["stat_sum"], abs=1e-3)
        theirs = {parameter["name"]: parameter["value"] for parameter in fit["parameters"]}
        for key, value, error in zip(result.names, result.values, result.errors, strict=True):
            # theirs is in 1 / (TeV s cm2), as ours
            assert value == pytest.approx(theirs[key], abs=0.02 * error), key


def test_hess_crab(data_dir, reference_dir, tmp_path):
    crab = SkyCoord(83.63, 22.01, unit="deg")
    image = WcsGeom.create(npix=(150, 150), binsz=0.05, skydir=crab.galactic, proj="TAN", frame="icrs")
    path = tmp_path / "exclusion.fits.gz"
    image.region_mask("galactic;circle(183.604, -8.708, 0.5)", inside=False).write(path)
    analysis = reduced(HESS.replace("exclusion.fits.gz", str(path)), data_dir)
    expected = json.loads((reference_dir / "results/w01_hess_crab_1d.json").read_text())
    assert_as_published(analysis, expected, SPECTRA)


def test_magic_energy_dependent_cut(data_dir, reference_dir):
    expected = json.loads((reference_dir / "results/w11_magic_rad_max.json").read_text())
    assert_as_published(reduced(MAGIC, data_dir), expected, ("pl", "logpar"))
