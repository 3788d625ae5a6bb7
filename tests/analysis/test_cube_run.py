"""A run on cubes from event files to the report, on the demo's and on published ones."""

import json

import numpy as np
import pytest
from demo_cubes import cube_config

from gammax.analysis import Analysis, AnalysisConfig
from gammax.analysis._demo import true_models
from gammax.datasets import Datasets
from gammax.models import Models, PointSpatialModel, PowerLawSpectralModel, SkyModel
from gammax.simulate._demo import demo_models


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    config = cube_config(tmp_path_factory.mktemp("cube_run") / "demo")
    spectrum = PowerLawSpectralModel(index=2.4, amplitude="3e-11 cm-2 s-1 TeV-1", reference="1 TeV")
    place = PointSpatialModel(lon_0="83.65 deg", lat_0="22.0 deg")
    models = [SkyModel(spectrum, "demo source", spatial_model=place), demo_models()["demo nebula"].freeze()]
    Models(models).write(config.folder / "models.yaml", overwrite=True)
    return config


@pytest.fixture(scope="module")
def run(project):
    analysis = Analysis(project.update({"datasets": {"stack": True}}))
    return analysis, analysis.run()


def test_a_run_finds_the_truth(run):
    analysis, folder = run
    assert analysis.status == "ok"
    assert analysis.models.names == ("demo source", "demo nebula", "stacked-bkg")
    truth = true_models(analysis.observations)["demo source"].spectral_model
    expected = {
        "demo source.spectral.index": float(truth.index.value),
        "demo source.spectral.amplitude": float(truth.amplitude.value),
        "demo source.spatial.lon_0": 83.63,
        "demo source.spatial.lat_0": 22.01,
        "stacked-bkg.spectral.norm": 1.0,
    }
    result = analysis.fit_result
    assert set(result.names) == set(expected)
    for name, value, error in zip(result.names, result.values, result.errors, strict=True):
        assert error > 0
        assert value == pytest.approx(expected[name], abs=3.5 * error), name
    notes = json.loads((folder / "summary.json").read_text())["notes"]
    assert "backgrounds that no model scaled are fitted along: stacked-bkg" in notes


def test_the_report_shows_the_sky(run):
    analysis, folder = run
    names = {path.stem for path in (folder / "figures").iterdir()}
    assert {"spectrum", "maps", "region"} <= names
    assert not {"counts", "sky"} & names
    text = (folder / "report.html").read_text()
    assert "demo source, demo nebula: fit of the cube stacked" in text
    assert "PowerLawSpectralModel × PointSpatialModel" in text
    assert "<h2>Positions</h2>" in text
    assert "exclusion mask (dashed)" in text
    position = analysis.models["demo source"].position
    assert f"{position.ra.deg:.4f}, +{position.dec.deg:.4f}" in text


def test_the_written_folder_is_an_analysis_again(run, tmp_path):
    analysis, folder = run
    (dataset,) = Datasets.read(folder / "datasets" / "datasets.yaml")
    np.testing.assert_array_equal(dataset.counts.data, analysis.datasets[0].counts.data)
    again = Analysis(folder / "config.yaml")
    again.run(tmp_path / "again")
    assert again.fit_result.total_stat == pytest.approx(analysis.fit_result.total_stat, abs=1e-3)
    np.testing.assert_allclose(again.fit_result.values, analysis.fit_result.values, rtol=1e-5)
    # the background is among the models that were written: nothing is added
    assert not [note for note in again.stages.notes if "fitted along" in note or "datasets.type" in note]


def test_without_models_the_excess_is_shown(project, tmp_path):
    region = {"frame": "icrs", "lon": "83.63 deg", "lat": "22.01 deg", "radius": "0.15 deg"}
    changes = {"general": {"models_file": None}, "datasets": {"stack": False, "on_region": region}}
    analysis = Analysis(project.update(changes).update({"observations": {"obs_ids": [1, 2]}}))
    folder = analysis.run(tmp_path / "out")
    assert analysis.status == "no_model"
    text = (folder / "report.html").read_text()
    assert "2 cubes, no model" in text
    # both in one picture
    assert "2 datasets together: counts and background" in text
    assert {path.name for path in (folder / "datasets").iterdir()} == {"1.fits", "2.fits", "datasets.yaml"}


HESS = """
observations: {datastore: hess-dl3-dr1, obs_ids: [23523, 23526, 23559, 23592]}
datasets:
    type: 3d
    geom:
        wcs:
            skydir: {frame: icrs, lon: 83.633 deg, lat: 22.014 deg}
            width: {width: 2 deg, height: 2 deg}
        axes:
            energy: {min: 1 TeV, max: 10 TeV, nbins: 10}
            energy_true: {min: 0.5 TeV, max: 20 TeV, nbins: 20}
    background: {method: fov_background, exclusion: exclusion_mask_crab.fits.gz}
"""


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::gammax.errors.GammaxWarning")
def test_hess_crab_is_that_of_the_peer(data_dir, reference_dir):
    """Reduction and fit "a1 point pl" of the peer's results w02, from one YAML file."""
    places = {
        "observations": {"datastore": str(data_dir / "hess-dl3-dr1")},
        "datasets": {"background": {"exclusion": str(data_dir / "joint-crab/exclusion/exclusion_mask_crab.fits.gz")}},
    }
    analysis = Analysis(AnalysisConfig.from_yaml(HESS).update(places))
    analysis.get_observations()
    (dataset,) = analysis.get_datasets()
    peer = json.loads((reference_dir / "results/w02_hess_crab_3d.json").read_text())
    expected = peer["reduced"]["a1"]
    assert dataset.counts.data.sum(axis=(1, 2)).tolist() == expected["counts_per_energy"]
    np.testing.assert_allclose(dataset.background.data.sum(axis=(1, 2)), expected["background_per_energy"], rtol=1e-5)
    for row in analysis.runs.to_table():
        assert row["BKG_NORM"] == pytest.approx(expected["background_norms"][row["OBS_ID"]]["norm"], rel=1e-6)
    spectrum = PowerLawSpectralModel(index=2.5, amplitude="4e-11 cm-2 s-1 TeV-1", reference="1 TeV")
    analysis.set_models(
        SkyModel(spectrum, "crab", spatial_model=PointSpatialModel(lon_0="83.63 deg", lat_0="22.014 deg"))
    )
    result = analysis.run_fit()
    fit = peer["fits"]["a1 point pl"]
    # the peer spreads a point over four pixels: worth 0.24 in the statistic, and 0.4 sigma in its position
    assert result.total_stat == pytest.approx(fit["stat_sum"], abs=0.5)
    theirs = {row["name"].replace("crab-stacked", "stacked"): row for row in fit["parameters"]}
    for name, value, error in zip(result.names, result.values, result.errors, strict=True):
        limit = 0.5 if "spatial" in name else 0.1
        assert value == pytest.approx(theirs[name]["value"], abs=limit * error), name
        assert error == pytest.approx(theirs[name]["error"], rel=0.08), name
