"""The configuration: Gammapy's layout and defaults, a closed schema, messages that name the key."""

import re
from pathlib import Path

import pytest
import yaml

from gammax.analysis import AnalysisConfig
from gammax.errors import DataValueError, FileFormatError, SchemaError, UnitError

# what Gammapy 2.1 prints for its AnalysisConfig().to_yaml(), flow style here; its metadata is its own
PEER_DEFAULTS = """
general:
    log: {level: info, filename: null, filemode: null, format: null, datefmt: null}
    outdir: .
    n_jobs: 1
    datasets_file: null
    models_file: null
observations:
    datastore: $GAMMAPY_DATA/hess-dl3-dr1
    obs_ids: []
    obs_file: null
    obs_cone: {frame: null, lon: null, lat: null, radius: null}
    obs_time: {start: null, stop: null}
    required_irf: [aeff, edisp, psf, bkg]
datasets:
    type: 1d
    stack: true
    geom:
        wcs:
            skydir: {frame: null, lon: null, lat: null}
            binsize: 0.02 deg
            width: {width: 5.0 deg, height: 5.0 deg}
            binsize_irf: 0.2 deg
        selection: {offset_max: 2.5 deg}
        axes:
            energy: {min: 1.0 TeV, max: 10.0 TeV, nbins: 5}
            energy_true: {min: 0.5 TeV, max: 20.0 TeV, nbins: 16}
    map_selection: [counts, exposure, background, psf, edisp]
    background: {method: null, exclusion: null, parameters: {}}
    safe_mask: {methods: [aeff-default], parameters: {}}
    on_region: {frame: null, lon: null, lat: null, radius: null}
    containment_correction: true
fit:
    fit_range: {min: null, max: null}
flux_points:
    energy: {min: null, max: null, nbins: null}
    source: source
    parameters: {selection_optional: all}
excess_map:
    correlation_radius: 0.1 deg
    parameters: {}
    energy_edges: {min: null, max: null, nbins: null}
light_curve:
    time_intervals: {start: null, stop: null}
    energy_edges: {min: null, max: null, nbins: null}
    source: source
    parameters: {selection_optional: all}
metadata: {creator: Gammapy 2.1, date: '2026-11-22T17:38:43.643787', origin: null}
"""

# every kind of key, none of them at its default
OTHER = """
general: {n_jobs: 4, datasets_file: reduced/datasets.yaml, models_file: models.yaml, log: {level: debug}}
observations:
    obs_ids: [23523, 23526]
    obs_cone: {frame: icrs, lon: 83.63 deg, lat: 22.01 deg, radius: 5 deg}
    obs_time: {start: 2004-12-04T22:00:00, stop: J2005}
    required_irf: [aeff, edisp]
datasets:
    type: 3d
    geom: {axes: {energy: {min: 700 GeV, nbins: 12}}}
    background: {method: reflected, parameters: {min_distance: 0.5}}
    safe_mask: {methods: [aeff-max, edisp-bias], parameters: {aeff_percent: 10}}
fit: {fit_range: {min: 800 GeV, max: 30 TeV}}
flux_points: {source: crab, parameters: {selection_optional: [ul, scan], n_sigma_ul: 3}}
light_curve: {time_intervals: {start: 2004-12-04 22:00}}
"""


def content(text):
    return yaml.safe_load(text)


def test_defaults_are_those_of_the_peer():
    found, peer = AnalysisConfig().to_dict(), content(PEER_DEFAULTS)
    assert found.pop("metadata").keys() == peer.pop("metadata").keys()
    assert content(AnalysisConfig().to_yaml()) == {**peer, "metadata": AnalysisConfig().to_dict()["metadata"]}
    assert list(found) == list(peer)


def test_a_file_of_the_peer_is_read_and_written_as_it_is():
    config = AnalysisConfig.from_yaml(PEER_DEFAULTS)
    assert content(config.to_yaml()) == content(PEER_DEFAULTS)
    assert config.changes() == {}


def test_keys_of_all_sections_survive_a_round_trip(tmp_path):
    config = AnalysisConfig.from_yaml(OTHER)
    path = config.write(tmp_path / "config.yaml")
    assert AnalysisConfig.read(path) == config == AnalysisConfig.from_yaml(config.to_yaml())
    assert config.fit.fit_range.min == "800 GeV"
    assert config.observations.obs_ids == (23523, 23526)
    # an axis that is given in part takes no default of the whole, as in the peer
    assert config.datasets.geom.axes.energy.max is None
    assert config.changes()["flux_points.parameters"] == {"selection_optional": ["ul", "scan"], "n_sigma_ul": 3}
    assert len(config.changes()) == 25


def test_angles_and_times_as_the_peer_takes_them():
    config = AnalysisConfig.from_yaml("""
observations:
    obs_cone: {frame: icrs, lon: 5h34m31.1s, lat: 22d00m52s, radius: 5d}
    obs_time: {start: [J2004.92654346, J2004.92658453], stop: [J2004.92658453, 2004-12-05 12:00]}
datasets: {type: 1d, stack: false, containment_correction: false}
""")
    assert config.observations.obs_cone.lat == "22d00m52s"
    assert config.observations.obs_time.start == ("J2004.92654346", "J2004.92658453")
    with pytest.raises(SchemaError, match="GX-ANALYSIS-007"):
        config.update("observations: {obs_time: {stop: [J2005, then]}}")


def test_write_replaces_only_when_told(tmp_path):
    path = AnalysisConfig().write(tmp_path / "config.yaml")
    with pytest.raises(FileFormatError, match="GX-PATH-002"):
        AnalysisConfig().write(path)
    AnalysisConfig().update("fit: {fit_range: {min: 1 TeV}}").write(path, overwrite=True)
    assert AnalysisConfig.read(path).fit.fit_range.min == "1 TeV"


def test_relative_paths_start_from_the_file(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    AnalysisConfig().write(tmp_path / "sub" / "config.yaml")
    monkeypatch.chdir(tmp_path)
    config = AnalysisConfig.read("sub/config.yaml")
    assert config.path("datasets.yaml") == tmp_path / "sub" / "datasets.yaml"
    assert config.update("fit: {fit_range: {min: 1 TeV}}").folder == tmp_path / "sub"
    assert config == AnalysisConfig()
    assert AnalysisConfig().path("datasets.yaml") == Path("datasets.yaml")
    monkeypatch.setenv("MY_DATA", str(tmp_path))
    assert config.path("$MY_DATA/datasets.yaml") == tmp_path / "datasets.yaml"


def test_the_default_folder_is_named_after_the_file(tmp_path):
    path = AnalysisConfig().write(tmp_path / "crab.yaml")
    config = AnalysisConfig.read(path)
    for outdir in (".", "./", None):
        assert config.update({"general": {"outdir": outdir}}).outdir == tmp_path / "crab_results"
    assert config.update({"general": {"outdir": "out"}}).outdir == tmp_path / "out"
    assert AnalysisConfig().outdir == Path("analysis_results")


def test_the_template_is_nearly_the_defaults():
    changes = AnalysisConfig.from_yaml(AnalysisConfig.template()).changes()
    assert changes == {
        "general.outdir": None,
        "general.models_file": "models.yaml",
        "flux_points.energy.nbins": 6,
    }


def test_update_merges_and_changes_nothing_else():
    config = AnalysisConfig.from_yaml(OTHER)
    new = config.update({"fit": {"fit_range": {"max": "5 TeV"}}, "flux_points": {"parameters": {}}})
    assert (new.fit.fit_range.min, new.fit.fit_range.max) == ("800 GeV", "5 TeV")
    assert new.flux_points.parameters == {}
    assert new.flux_points.source == "crab"
    assert config.fit.fit_range.max == "30 TeV"
    with pytest.raises(AttributeError):
        config.fit = new.fit


WRONG = [
    ("fit: {fit_rnge: {min: 1 TeV}}", SchemaError, "001", "fit.fit_rnge", "did you mean 'fit_range'?"),
    ("flux_point: {}", SchemaError, "001", "flux_point", "did you mean 'flux_points'?"),
    ("datasets: {geom: {axes: {energy: {nbin: 3}}}}", SchemaError, "001", "datasets.geom.axes.energy.nbin", "'nbins'"),
    ("fit:", SchemaError, "003", "fit", "found: nothing"),
    ("fit: [1]", SchemaError, "003", "fit", "found: a list"),
    ("fit: {fit_range: {min: 1}}", SchemaError, "002", "fit.fit_range.min", "for example '1 TeV'"),
    ("observations: {obs_cone: {lon: 83.6}}", SchemaError, "002", "observations.obs_cone.lon", "for example '0.1 deg'"),
    ("datasets: {type: 1dd}", SchemaError, "002", "datasets.type", "did you mean '1d'?"),
    (
        "datasets: {safe_mask: {methods: [aeff-maxx]}}",
        SchemaError,
        "002",
        "datasets.safe_mask.methods[0]",
        "'aeff-max'",
    ),
    (
        "datasets: {background: {method: ringo}}",
        SchemaError,
        "002",
        "datasets.background.method",
        "mean 'ring'?",
    ),
    ("flux_points: {energy: {nbins: 0}}", SchemaError, "002", "flux_points.energy.nbins", ">= 1"),
    ("flux_points: {energy: {nbins: 2.5}}", SchemaError, "002", "flux_points.energy.nbins", "`int"),
    ("observations: {obs_ids: [023523]}", SchemaError, "002", "observations.obs_ids[0]", "found: '023523'"),
    ("datasets: {stack: yes}", SchemaError, "002", "datasets.stack", "`bool`"),
    ("fit: {fit_range: {max: 1 deg}}", UnitError, "004", "fit.fit_range.max", "found: '1 deg'"),
    ("fit: {fit_range: {max: 1 TVe}}", UnitError, "004", "fit.fit_range.max", "found: '1 TVe'"),
    ("fit: {fit_range: {max: '1'}}", UnitError, "004", "fit.fit_range.max", "found: '1'"),
    ("excess_map: {correlation_radius: 1 TeV}", UnitError, "004", "excess_map.correlation_radius", "'0.1 deg'"),
    ("fit: {fit_range: {max: nan TeV}}", DataValueError, "006", "fit.fit_range.max", "not finite"),
    ("light_curve: {time_intervals: {start: then}}", SchemaError, "007", "light_curve.time_intervals.start", "'then'"),
]


@pytest.mark.parametrize(("text", "kind", "code", "key", "words"), WRONG, ids=[case[0] for case in WRONG])
def test_errors_name_code_key_file_and_remedy(tmp_path, text, kind, code, key, words):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(kind, match=re.escape(words)) as caught:
        AnalysisConfig.read(path)
    assert caught.value.code == f"GX-ANALYSIS-{code}"
    assert caught.value.context["key"] == key
    assert caught.value.context["file"] == path


@pytest.mark.parametrize(
    ("text", "code"),
    [("fit: {}\nfit: {}", "GX-YAML-003"), ("- fit", "GX-YAML-002"), ("", "GX-YAML-002"), ("fit: [", "GX-YAML-001")],
)
def test_text_that_is_no_configuration(text, code):
    with pytest.raises(SchemaError) as caught:
        AnalysisConfig.from_yaml(text)
    assert caught.value.code == code


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileFormatError, match=r"none\.yaml"):
        AnalysisConfig.read(tmp_path / "none.yaml")
