"""From the sections observations and datasets to spectra, on the demo's event files."""

import dataclasses
import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from regions import CircleSkyRegion, PointSkyRegion

from gammax.analysis import Analysis, AnalysisConfig
from gammax.analysis._reduce import _executor, make_recipe
from gammax.analysis._sections import ReflectedOptions, SafeMaskOptions, WobbleOptions
from gammax.data import Observation, Observations
from gammax.data._lazy import LazyParts
from gammax.datasets import Datasets, SpectrumDataset
from gammax.errors import DataValueError, GammaxError, GammaxWarning, SchemaError
from gammax.makers import ReflectedRegionsFinder, SafeMaskMaker, WobbleRegionsFinder
from gammax.maps import WcsGeom

ON = {"frame": "icrs", "lon": "83.63 deg", "lat": "22.01 deg", "radius": "0.11 deg"}
MASK_FILE = "exclusion.fits.gz"


def reduced(config, **datasets):
    analysis = Analysis(config.update({"datasets": datasets}))
    analysis.get_observations()
    analysis.get_datasets()
    return analysis


def test_spectra_are_kept_or_stacked(config):
    kept, stacked = (reduced(config, stack=stack) for stack in (False, True))
    assert kept.datasets.names == ["1", "2", "3", "4"]
    assert stacked.datasets.names == ["stacked"]
    (total,) = stacked.datasets
    inside = sum(np.where(d.mask_safe.values(), d.counts.values(), 0) for d in kept.datasets)
    np.testing.assert_array_equal(total.counts.values(), inside)
    # the record is of single observations either way
    assert stacked.runs.datasets.names == kept.datasets.names
    assert stacked.runs.numbers() == kept.runs.numbers()
    assert isinstance(kept.datasets, Datasets)


def test_workers_do_not_hear_an_interrupt_and_the_first_process_does():
    before = signal.getsignal(signal.SIGINT)
    with _executor(2) as executor:
        assert signal.getsignal(signal.SIGINT) is before
        # inherited from before they run any Python, so that an interrupt can never break the pool
        processes = list(executor._processes.values())
        assert len(processes) == 2
        for process in processes:
            os.kill(process.pid, signal.SIGINT)
        assert executor.submit(abs, -3).result(timeout=60) == 3
        assert all(process.is_alive() for process in processes)


def test_a_pool_can_be_made_outside_of_the_main_thread():
    def work():
        with _executor(2) as executor:
            return executor.submit(abs, -3).result(timeout=60)

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(work).result(timeout=120) == 3


def test_workers_make_the_same(config):
    alone = reduced(config).datasets
    together = Analysis(config.update({"general": {"n_jobs": 2}}))
    together.get_observations()
    for one, other in zip(alone, together.get_datasets(), strict=True):
        for name in ("counts", "counts_off", "exposure", "acceptance_off", "mask_safe"):
            np.testing.assert_array_equal(getattr(one, name).values(), getattr(other, name).values())
        np.testing.assert_array_equal(one.edisp.pdf_matrix, other.edisp.pdf_matrix)


def test_without_method_the_background_is_that_of_the_responses(config):
    analysis = reduced(config, background={"method": None})
    measured = reduced(config).datasets
    for dataset, other in zip(analysis.datasets, measured, strict=True):
        assert isinstance(dataset, SpectrumDataset)
        assert dataset.stat_type == "cash"
        expected, off = dataset.background.values()[dataset.mask].sum(), other.background.values()[other.mask].sum()
        # 16 counts, measured with some 190 OFF counts: 7 %
        assert expected == pytest.approx(off, rel=0.25)
    assert np.isfinite([info["excess"] for info in analysis.runs.numbers()]).all()
    assert np.isnan(analysis.runs.to_table()["COUNTS_OFF"]).all()


def write_mask(folder, center, inner, outer):
    """Image that excludes a ring."""
    geom = WcsGeom.create(skydir=center, binsz=0.02, width=2.4, proj="TAN")
    distance = geom.separation(center).value
    geom.region_mask([]).replace(data=(distance < inner) | (distance > outer)).write(folder / MASK_FILE, overwrite=True)
    return str(folder / MASK_FILE)


def test_an_exclusion_mask_takes_off_regions_away_and_leaves_observations_out(config, tmp_path):
    pointings = [observation.get_pointing_icrs() for observation in Analysis(config).get_observations()]
    # the circle about the first pointing on which all its OFF regions lie
    name = write_mask(tmp_path, pointings[0], 0.35, 0.65)
    with pytest.warns(GammaxWarning) as told:
        analysis = reduced(config, background={"exclusion": name})
    assert "1 observation left out: 1 (no OFF region)" in [str(w.message) for w in told]
    assert analysis.datasets.names == ["2", "3", "4"]
    assert [run.status for run in analysis.runs.rows] == ["no OFF region", "used", "used", "used"]
    assert [row["STATUS"] for row in analysis.runs.to_table()] == ["no OFF region", "used", "used", "used"]
    assert np.isnan(analysis.runs.to_table()["COUNTS"][0])
    free = reduced(config, background={"exclusion": None}).datasets
    for dataset in analysis.datasets:
        assert 0 < dataset.acceptance_off.values()[0] < free[dataset.name].acceptance_off.values()[0]


def test_an_observation_that_looks_elsewhere_is_left_out(config):
    # 2.9 deg from the pointing of the fourth run and 2.45 deg or less from the others; the responses end at 2.75 deg
    with pytest.warns(GammaxWarning) as told:
        analysis = reduced(config, on_region={"lat": "24.41 deg"})
    reason = "ON region outside of the field of view"
    assert f"1 observation left out: 4 ({reason})" in [str(w.message) for w in told]
    assert analysis.datasets.names == ["1", "2", "3"]
    assert [run.status for run in analysis.runs.rows] == [*["used"] * 3, reason]
    # nothing of it is in the picture
    fewer = reduced(config.update({"observations": {"obs_ids": [1, 2, 3]}}), on_region={"lat": "24.41 deg"})
    np.testing.assert_array_equal(analysis.runs.sky.data, fewer.runs.sky.data)


def test_left_out_observations_are_notes_of_the_run(config, tmp_path):
    pointing = Analysis(config).get_observations()[0].get_pointing_icrs()
    name = write_mask(tmp_path, pointing, 0.35, 0.65)
    changes = {"general": {"models_file": None}, "datasets": {"background": {"exclusion": name}}}
    out = Analysis(config.update(changes)).run(tmp_path / "out")
    summary = json.loads((out / "summary.json").read_text())
    assert summary["observations"]["left_out"] == {"1": "no OFF region"}
    assert "1 observation left out: 1 (no OFF region)" in summary["notes"]
    report = (out / "report.html").read_text()
    assert "no OFF region" in report.partition("<h2>Observations</h2>")[2]
    assert "exclusion mask (dashed)" in report
    assert AnalysisConfig.read(out / "config.yaml").datasets.background.exclusion == name


def test_where_nothing_is_left_the_key_is_named(config, tmp_path):
    geom = WcsGeom.create(skydir=SkyCoord(83.63, 22.01, unit="deg"), binsz=0.05, width=4, proj="TAN")
    geom.region_mask([]).write(tmp_path / MASK_FILE)
    with pytest.warns(GammaxWarning), pytest.raises(DataValueError, match="GX-MAKERS-051") as caught:
        reduced(config, background={"exclusion": str(tmp_path / MASK_FILE)})
    assert caught.value.context["key"] == "datasets.on_region"


def background_maker(config, **changes):
    return make_recipe(config.update({"datasets": changes})).makers[1]


def test_parameters_choose_the_finder(config):
    maker = background_maker(config, background={"parameters": {"min_distance": "10 deg", "max_region_number": 4}})
    assert isinstance(maker.region_finder, ReflectedRegionsFinder)
    assert maker.region_finder.min_distance == pytest.approx(np.deg2rad(10))
    assert maker.region_finder.max_region_number == 4
    assert background_maker(config).region_finder == ReflectedRegionsFinder()
    wobble = background_maker(config, background={"parameters": {"n_off_regions": 5}}).region_finder
    assert wobble == WobbleRegionsFinder(5)
    point = background_maker(config, on_region={"radius": None}, containment_correction=False).region_finder
    assert point == WobbleRegionsFinder(3)


@pytest.mark.parametrize(
    ("response", "key"), [("bkg", "datasets.background.method"), ("psf", "datasets.containment_correction")]
)
def test_a_missing_response_names_the_key_that_asks_for_it(config, response, key):
    analysis = Analysis(config.update({"datasets": {"background": {"method": None}}}))
    whole = analysis.get_observations()[0].parts
    places = {name: place for name, place in whole.locations.items() if name != response}
    analysis.observations = Observations([Observation(1, LazyParts(places))])
    with pytest.raises(SchemaError, match="GX-MAKERS-020") as caught:
        analysis.get_datasets()
    assert caught.value.context["key"] == key


def test_a_galactic_region_is_the_same_place(config):
    center = SkyCoord(83.63, 22.01, unit="deg").galactic
    region = {**ON, "frame": "galactic", "lon": f"{center.l.deg} deg", "lat": f"{center.b.deg} deg"}
    here, there = reduced(config), reduced(config, on_region=region)
    for one, other in zip(here.datasets, there.datasets, strict=True):
        np.testing.assert_array_equal(one.counts.values(), other.counts.values())
    assert there.runs.sky.geom.frame == "galactic"
    for dataset in there.datasets:
        centers = [part.center for part in dataset.counts_off.geom.regions]
        assert all(there.runs.sky.geom.contains(center) for center in centers)
    offsets = [[run.offset for run in analysis.runs.rows] for analysis in (here, there)]
    np.testing.assert_allclose(*offsets, rtol=1e-9)


def test_the_region_is_a_circle_or_a_point(config):
    circle = make_recipe(config).dataset.geom.region
    assert isinstance(circle, CircleSkyRegion)
    assert circle.radius == 0.11 * u.deg
    no_radius = config.update({"datasets": {"on_region": {"radius": None}, "containment_correction": False}})
    region = make_recipe(no_radius).dataset.geom.region
    assert isinstance(region, PointSkyRegion)
    assert (region.center.ra.deg, region.center.dec.deg) == (83.63, 22.01)
    with pytest.raises(SchemaError, match="GX-MAKERS-011") as caught:
        reduced(no_radius)
    assert caught.value.context["key"] == "datasets.on_region.radius"


def test_safe_mask_parameters_reach_the_maker(config):
    parameters = {"aeff_percent": 20, "offset_max": "0.3 deg", "position": {"frame": "icrs", "lon": "1h", "lat": "2d"}}
    safe = make_recipe(config.update({"datasets": {"safe_mask": {"methods": ["aeff-max"], "parameters": parameters}}}))
    maker = safe.makers[-1]
    assert (maker.methods, maker.aeff_percent, maker.offset_max) == (("aeff-max",), 20, 0.3)
    assert maker.position.ra.deg == pytest.approx(15)


@pytest.mark.parametrize(
    ("section", "maker", "extra"),
    [
        (ReflectedOptions, ReflectedRegionsFinder, set()),
        (WobbleOptions, WobbleRegionsFinder, set()),
        (SafeMaskOptions, SafeMaskMaker, {"methods"}),
    ],
)
def test_options_are_those_of_the_makers(section, maker, extra):
    assert set(section.__struct_fields__) | extra == {field.name for field in dataclasses.fields(maker)}


WRONG = [
    ({"on_region": {"frame": None}}, "GX-ANALYSIS-070", "datasets.on_region.frame"),
    ({"on_region": {"lat": "100 deg"}}, "GX-ANALYSIS-071", "datasets.on_region.lat"),
    ({"on_region": {"radius": "0 deg"}}, "GX-ANALYSIS-072", "datasets.on_region.radius"),
    ({"on_region": {"radius": None}}, "GX-ANALYSIS-073", "datasets.containment_correction"),
    ({"background": {"method": "ring"}}, "GX-ANALYSIS-074", "datasets.background.method"),
    ({"background": {"method": "fov_background"}}, "GX-ANALYSIS-074", "datasets.background.method"),
    (
        {"background": {"parameters": {"min_distanc": 1}}},
        "GX-ANALYSIS-001",
        "datasets.background.parameters.min_distanc",
    ),
    (
        {"background": {"parameters": {"n_off_regions": 0}}},
        "GX-ANALYSIS-002",
        "datasets.background.parameters.n_off_regions",
    ),
    (
        {"background": {"parameters": {"n_off_regions": 2, "min_distance": 1}}},
        "GX-ANALYSIS-001",
        "datasets.background.parameters.min_distance",
    ),
    (
        {"background": {"parameters": {"binsz": "1 TeV"}}},
        "GX-ANALYSIS-004",
        "datasets.background.parameters.binsz",
    ),
    ({"background": {"parameters": {"binsz": 0}}}, "GX-MAKERS-002", "datasets.background.parameters"),
    ({"background": {"exclusion": "none.fits"}}, "GX-FITS-001", "datasets.background.exclusion"),
    (
        {"safe_mask": {"parameters": {"aeff_percnt": 1}}},
        "GX-ANALYSIS-001",
        "datasets.safe_mask.parameters.aeff_percnt",
    ),
    (
        {"safe_mask": {"parameters": {"bias_percent": 200}}},
        "GX-ANALYSIS-002",
        "datasets.safe_mask.parameters.bias_percent",
    ),
    (
        {"safe_mask": {"parameters": {"position": {"lon": "1 deg"}}}},
        "GX-ANALYSIS-070",
        "datasets.safe_mask.parameters.position.frame",
    ),
    ({"geom": {"axes": {"energy": {"nbins": None}}}}, "GX-ANALYSIS-070", "datasets.geom.axes.energy.nbins"),
    ({"geom": {"axes": {"energy_true": {"max": "0.1 GeV"}}}}, None, "datasets.geom.axes.energy_true"),
]
LATER = [
    ({"fit": {"fit_range": {"min": "60 TeV", "max": None}}}, "GX-DATASETS-113", "fit.fit_range"),
    ({"flux_points": {"parameters": {"n_sigmas": 2}}}, "GX-ANALYSIS-001", "flux_points.parameters.n_sigmas"),
    ({"flux_points": {"energy": {"min": "60 TeV", "max": "70 TeV"}}}, "GX-ANALYSIS-025", "flux_points.energy"),
    ({"general": {"models_file": "none.yaml"}}, "GX-YAML-008", "general.models_file"),
    ({"light_curve": {"energy_edges": {"nbins": 1}}}, "GX-ANALYSIS-012", "light_curve.energy_edges.nbins"),
]


@pytest.mark.parametrize(
    ("changes", "code", "key"), [({"datasets": changes}, *rest) for changes, *rest in WRONG] + LATER
)
def test_settings_are_checked_before_the_work(config, tmp_path, monkeypatch, changes, code, key):
    monkeypatch.setattr(Analysis, "get_observations", lambda self: pytest.fail("this must be said before the work"))
    with pytest.raises(GammaxError) as caught:
        Analysis(config.update(changes)).run(tmp_path / "out")
    assert code in (None, caught.value.code)
    assert caught.value.context.get("key") == key
    assert not (tmp_path / "out").exists()


def test_a_file_of_datasets_is_read_where_it_is_and_else_the_store_is_reduced(config, tmp_path):
    Datasets([reduced(config).datasets[0]]).write(tmp_path / "datasets.yaml")
    there = config.update({"general": {"datasets_file": str(tmp_path / "datasets.yaml"), "models_file": None}})
    assert list(json.loads((Analysis(there).run(tmp_path / "a") / "summary.json").read_text())["counts"]) == ["1"]
    missing = there.update({"general": {"datasets_file": str(tmp_path / "none.yaml")}})
    summary = json.loads((Analysis(missing).run(tmp_path / "b") / "summary.json").read_text())
    assert list(summary["counts"]) == ["1", "2", "3", "4"]
    (note,) = summary["notes"]
    assert "none.yaml" in note
    assert not (tmp_path / "none.yaml").exists()


def test_settings_for_maps_have_no_effect_on_spectra(config, tmp_path):
    changes = {
        "general": {"models_file": None},
        "observations": {"obs_ids": [1]},
        "datasets": {
            "map_selection": ["counts"],
            "geom": {"wcs": {"binsize": "0.1 deg"}, "selection": {"offset_max": "1 deg"}},
            "background": {"method": None, "exclusion": None, "parameters": {"binsz": 1}},
        },
    }
    out = Analysis(config.update(changes)).run(tmp_path / "out")
    summary = json.loads((out / "summary.json").read_text())
    names = "datasets.geom.wcs, datasets.geom.selection, datasets.map_selection, datasets.background.parameters"
    assert summary["notes"] == [f"settings without effect on spectra: {names}"]
    # a single observation makes no curve of growth
    assert {path.name for path in (out / "figures").iterdir()} == {"sky.png", "counts.png"}
