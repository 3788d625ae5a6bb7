"""Runs that cannot be: settings, files and steps that are wrong, said before the work where that can be known."""

import json
import re

import pytest

from gammax.analysis import Analysis, AnalysisConfig
from gammax.datasets import Datasets
from gammax.errors import (
    DataValueError,
    FileFormatError,
    FitError,
    GammaxError,
    GeometryError,
    ResourceError,
    SchemaError,
)
from gammax.estimators import FluxPointsEstimator
from small_project import make_spectrum, true_models, write_project

NEEDS = [
    ({"general": {"datasets_file": None}}, "GX-ANALYSIS-070", "datasets.on_region.frame"),
    ({"general": {"datasets_file": "none.yaml"}}, "GX-ANALYSIS-056", "general.datasets_file"),
    (
        {"general": {"datasets_file": None}, "datasets": {"type": "3d"}},
        "GX-ANALYSIS-070",
        "datasets.geom.wcs.skydir.frame",
    ),
    (
        {"light_curve": {"time_intervals": {"start": "2004-12-04"}}},
        "GX-ANALYSIS-012",
        "light_curve.time_intervals.start",
    ),
    ({"light_curve": {"energy_edges": {"nbins": 2}}}, "GX-ANALYSIS-012", "light_curve.energy_edges.nbins"),
    ({"excess_map": {"energy_edges": {"min": "1 TeV"}}}, "GX-ANALYSIS-012", "excess_map.energy_edges.min"),
    ({"flux_points": {"parameters": {"n_sigmas": 2}}}, "GX-ANALYSIS-001", "flux_points.parameters.n_sigmas"),
    ({"flux_points": {"parameters": {"tolerance": "a"}}}, "GX-ANALYSIS-002", "flux_points.parameters.tolerance"),
    ({"flux_points": {"energy": {"min": "3 TeV", "max": "1 TeV"}}}, "GX-ANALYSIS-022", "flux_points.energy"),
    ({"flux_points": {"energy": {"min": "30 TeV", "max": "50 TeV"}}}, "GX-ANALYSIS-025", "flux_points.energy"),
    ({"general": {"log": {"format": "%(nobody)s"}}}, "GX-ANALYSIS-008", "general.log.format"),
    ({"general": {"log": {"format": "%("}}}, "GX-ANALYSIS-008", "general.log.format"),
]


@pytest.fixture
def no_fit(monkeypatch):
    """A fit would be an error of the test."""
    monkeypatch.setattr(Analysis, "run_fit", lambda self: pytest.fail("this must be said before the fit"))


@pytest.mark.parametrize(("changes", "code", "key"), NEEDS, ids=[f"{case[1]} {case[2]}" for case in NEEDS])
def test_what_cannot_be_done_is_said_before_anything_is_done(tmp_path, no_fit, changes, code, key):
    config = AnalysisConfig.read(write_project(tmp_path, [make_spectrum()])).update(changes)
    with pytest.raises(GammaxError) as caught:
        Analysis(config).run(tmp_path / "out")
    assert (caught.value.code, caught.value.context["key"]) == (code, key)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_written_is_said_before_the_fit(tmp_path, no_fit):
    config = write_project(tmp_path, [make_spectrum()])
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="GX-ANALYSIS-043"):
        Analysis(config).run(tmp_path / "file" / "out")
    index = tmp_path / "data" / "datasets.yaml"
    index.write_text(re.sub(r"\bname: run-1", "name: Crabé", index.read_text()))
    with pytest.raises(SchemaError, match="GX-DATASETS-103"):
        Analysis(config).run(tmp_path / "out")


def test_models_without_a_model_are_an_error(tmp_path, no_fit):
    config = write_project(tmp_path, [make_spectrum()])
    (tmp_path / "start.yaml").write_text("components: []")
    with pytest.raises(SchemaError, match="GX-ANALYSIS-054") as caught:
        Analysis(config).run(tmp_path / "out")
    assert caught.value.context["file"] == tmp_path / "start.yaml"


def test_flux_points_that_fail_after_the_fit_cost_only_themselves(tmp_path, monkeypatch):
    def fail(self, datasets, models):
        raise GeometryError("GX-TEST-001", "no such bin")

    monkeypatch.setattr(FluxPointsEstimator, "run", fail)
    analysis = Analysis(write_project(tmp_path, [make_spectrum()]))
    out = analysis.run(tmp_path / "out")
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["status"], summary["notes"]) == ("ok", ["no flux points were computed: GX-TEST-001 no such bin"])
    assert not analysis.is_complete
    assert not (out / "flux_points.fits").exists()


def test_settings_without_effect_and_a_misspelt_source_are_noted(tmp_path):
    config = AnalysisConfig.read(write_project(tmp_path, [make_spectrum()]))
    changes = {
        "observations": {"obs_ids": [1]},
        "datasets": {"background": {"method": "ring"}, "stack": False},
        "flux_points": {"source": "carb", "parameters": {"selection_optional": None}},
    }
    out = Analysis(config.update(changes)).run(tmp_path / "out")
    assert json.loads((out / "summary.json").read_text())["notes"] == [
        "settings without effect on reduced datasets: observations, datasets.stack, datasets.background",
        "flux_points.source 'carb' is not a model, the flux points are of 'crab'",
    ]


def test_steps_out_of_order_say_what_is_missing(tmp_path):
    analysis = Analysis(AnalysisConfig())
    for step, code, do in (
        (analysis.run_fit, "GX-ANALYSIS-053", "read_models"),
        (lambda: analysis.write(tmp_path / "out"), "GX-ANALYSIS-052", "read_datasets"),
        (analysis.read_models, "GX-ANALYSIS-050", "models_file"),
        (analysis.read_datasets, "GX-ANALYSIS-011", "get_observations"),
        (analysis.get_datasets, "GX-ANALYSIS-055", "get_observations"),
    ):
        with pytest.raises(SchemaError, match=do) as caught:
            step()
        assert caught.value.code == code
    analysis.set_models(true_models())
    analysis.datasets = Datasets([make_spectrum()])
    with pytest.raises(SchemaError, match="GX-ANALYSIS-051"):
        analysis.get_flux_points()


def test_faults_of_the_inputs_come_through(tmp_path):
    config = AnalysisConfig.read(write_project(tmp_path, [make_spectrum()]))
    with pytest.raises(DataValueError, match="left in the fit range"):
        Analysis(config.update({"fit": {"fit_range": {"min": "20 TeV"}}})).run(tmp_path / "out")
    with pytest.raises(FileFormatError, match=r"none\.yaml") as caught:
        Analysis(config.update({"general": {"models_file": "none.yaml"}})).run(tmp_path / "out")
    assert caught.value.context["key"] == "general.models_file"
    held = Analysis(config)
    held.set_models(true_models().freeze())
    with pytest.raises(FitError, match="no free parameter"):
        held.run(tmp_path / "out")
