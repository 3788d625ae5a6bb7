"""The demo from its event files to the report: one run of the command, every product looked at."""

import contextlib
import io
import json
import re
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table

from gammax.analysis import Analysis, AnalysisConfig
from gammax.analysis._demo import FILES, prepare_demo
from gammax.analysis._folder import PRODUCTS
from gammax.cli import main
from gammax.datasets import Datasets
from gammax.errors import FileFormatError
from gammax.simulate._demo import demo_models

# point source of the demo: power law of index 2.6, 3.8e-11 cm-2 s-1 TeV-1 at 1 TeV, four runs of 28 min, dead time 5 %
INDEX, AMPLITUDE = 2.6, 3.8e-11
SOURCE = SkyCoord(83.63, 22.01, unit="deg")
RADIUS_DEG = 0.11


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Folder of the demo after the command, and what it said."""
    folder = tmp_path_factory.mktemp("demo") / "gammax-demo"
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(io.StringIO()):
        assert main(["demo", "--out", str(folder)]) == 0
    return folder, said.getvalue().splitlines()


@pytest.fixture(scope="module")
def results(demo):
    return demo[0] / "config_results"


@pytest.fixture(scope="module")
def cube(demo):
    return demo[0] / "config_3d_results"


def energies_inside(folder, number):
    """Energies [TeV] of the events within the ON region, straight from the file."""
    events = Table.read(folder / f"run_{number}.fits.gz", hdu="EVENTS")
    place = SkyCoord(events["RA"], events["DEC"], unit="deg")
    return np.asarray(events["ENERGY"])[place.separation(SOURCE).deg < RADIUS_DEG]


def test_the_fit_finds_the_truth_within_two_errors(results):
    summary = json.loads((results / "summary.json").read_text())
    assert summary["status"] == "ok"
    for parameter, truth in zip(summary["parameters"], (INDEX, AMPLITUDE), strict=True):
        assert abs(parameter["value"] - truth) < 2 * parameter["error"]
    assert summary["notes"] == []


def test_the_cube_finds_the_truth_within_two_errors(demo, cube):
    summary = json.loads((cube / "summary.json").read_text())
    assert summary["status"] == "ok"
    assert summary["notes"] == ["backgrounds that no model scaled are fitted along: stacked-bkg"]
    truth = demo_models().parameters
    found = {f"{row['model']}.{row['name']}": row for row in summary["parameters"]}
    assert len(found) == 10
    background = found.pop("stacked-bkg.norm")
    assert abs(background["value"] - 1) < 2 * background["error"]
    true = {f"{key.partition('.')[0]}.{key.rpartition('.')[2]}": parameter.value for key, parameter in truth.items()}
    for name, row in found.items():
        assert 0 < row["error"] < 0.2 * abs(row["value"]), name
        assert abs(row["value"] - true[name]) < 2 * row["error"], name


def test_the_report_of_the_cube_shows_both_sources(cube):
    figures = {path.name for path in (cube / "figures").iterdir()}
    assert figures == {"spectrum.png", "flux_profiles.png", "maps.png", "region.png"}
    text = (cube / "report.html").read_text()
    assert "demo source, demo nebula: fit of the cube stacked" in text
    assert "Flux points of demo nebula" in text
    # six panels, of which two sources have an outline or a cross
    caption = text.partition("counts and prediction of the best fit")[2].partition("</figcaption>")[0]
    assert "the sources as fitted (contours" in caption
    assert "exclusion mask (dashed)" in caption


def test_no_off_region_lies_on_a_source(results):
    spectra = Datasets.read(results / "datasets" / "datasets.yaml")
    for dataset in spectra:
        nebula, point = (
            SkyCoord([region.center for region in dataset.counts_off.geom.regions]).separation(place).deg.min()
            for place in demo_models().positions[::-1]
        )
        # half a degree and 0.3 deg are excluded about their middles
        assert nebula > 0.5 + RADIUS_DEG - 0.03
        assert point > 0.3 + RADIUS_DEG - 0.03


def test_the_command_shows_the_truth_beside_the_fit_and_how_to_go_on(demo, results, cube):
    folder, said = demo
    assert str(folder) in said[0]
    first, second = (said.index(line) for line in said if line.endswith("):"))
    assert "config.yaml" in said[first]
    assert "config_3d.yaml" in said[second]
    head, index, amplitude = (re.split(r"  +", line.strip()) for line in said[first + 2 : first + 5])
    assert head == ["model", "parameter", "value", "unit", "truth", "difference"]
    assert "2.6" in index
    assert "3.8e-11" in amplitude
    parameter = json.loads((results / "summary.json").read_text())["parameters"][0]
    pull = (parameter["value"] - INDEX) / parameter["error"]
    assert index[-1] == f"{pull:+.1f} σ"
    width = next(line.split() for line in said[second:] if " sigma " in line)
    assert (width[1], width[-3]) == ("nebula", "0.15")
    reports = [line.strip() for line in said if line.endswith(".html")]
    assert reports == [str(path / "report.html") for path in (results, cube)]
    assert [line.strip() for line in said[-2:]] == [
        f"gammax analysis run {folder / name} --overwrite" for name in ("config.yaml", "config_3d.yaml")
    ]


def test_the_folder_holds_every_product(results):
    assert {path.name for path in results.iterdir()} == set(PRODUCTS)
    figures = {path.name for path in (results / "figures").iterdir()}
    assert figures == {"spectrum.png", "flux_profiles.png", "sky.png", "excess.png", "counts.png"}


def test_counts_are_those_of_the_event_files(demo, results):
    spectra = Datasets.read(results / "datasets" / "datasets.yaml")
    table = Table.read(results / "observations.ecsv")
    assert spectra.names == list(map(str, table["DATASET"])) == ["1", "2", "3", "4"]
    for row, dataset in zip(table, spectra, strict=True):
        energy = energies_inside(demo[0], row["OBS_ID"])
        counts, _ = np.histogram(energy, dataset.energy_axis.edges_value("TeV"))
        np.testing.assert_array_equal(dataset.counts.values(), counts)
        assert row["COUNTS"] == counts[dataset.mask].sum()
        assert row["COUNTS_OFF"] == dataset.counts_off.values()[dataset.mask].sum()
        assert row["EXCESS"] == pytest.approx(row["COUNTS"] - row["ALPHA"] * row["COUNTS_OFF"])


def test_the_table_of_observations_is_that_of_the_headers(demo, results):
    table = Table.read(results / "observations.ecsv")
    for row in table:
        header = fits.getheader(demo[0] / f"run_{row['OBS_ID']}.fits.gz", "EVENTS")
        assert row["LIVETIME"] == pytest.approx(28 * 60 * 0.95)
        assert row["RA_PNT"] == pytest.approx(header["RA_PNT"])
        assert row["ZEN_PNT"] == pytest.approx(90 - header["ALT_PNT"])
        assert row["OBJECT"] == header["OBJECT"]
    np.testing.assert_allclose(table["OFFSET"], 0.5, atol=1e-4)
    assert table["OFFSET"].unit == u.deg
    assert set(table["STATUS"]) == {"used"}


def test_the_report_has_a_section_of_observations(results):
    text = (results / "report.html").read_text()
    section = text.partition("<h2>Observations</h2>")[2].partition("<h2>Datasets</h2>")[0]
    table = Table.read(results / "observations.ecsv")
    for row in table:
        assert str(row["DATE-OBS"]) in section
        assert f">{row['COUNTS']:g}<" in section
    assert f">{table['COUNTS'].sum():g}<" in section
    assert section.count("<img") == 2


def test_summary_lists_the_observations(results):
    content = json.loads((results / "summary.json").read_text())["observations"]
    assert content == {"used": ["1", "2", "3", "4"], "left_out": {}, "livetime": pytest.approx(4 * 28 * 60 * 0.95)}


def test_the_folder_of_results_can_be_run_again_from_the_events(demo, results):
    config = AnalysisConfig.read(results / "config.yaml")
    assert config.path(config.observations.datastore).resolve() == demo[0].resolve()
    assert not Path(config.observations.datastore).is_absolute()
    again = Analysis(config)
    again.get_observations(), again.get_datasets(), again.read_models()
    before = json.loads((results / "summary.json").read_text())
    assert again.run_fit().total_stat == pytest.approx(before["total_stat"], rel=1e-9)


def test_the_folder_of_results_can_be_run_again_as_it_is(demo, results, tmp_path):
    config = AnalysisConfig.read(results / "config.yaml").update({"general": {"models_file": None}})
    out = Analysis(config).run(tmp_path / "again")
    first, second = (json.loads((folder / "summary.json").read_text()) for folder in (results, out))
    assert second["counts"] == first["counts"]
    ignored = "observations, datasets.stack, datasets.geom, datasets.background, datasets.on_region"
    assert second["notes"] == [f"settings without effect on reduced datasets: {ignored}"]


def test_a_folder_elsewhere_names_the_data_by_their_whole_path(demo, tmp_path):
    config = AnalysisConfig.read(demo[0] / "config.yaml")
    analysis = Analysis(config.update({"general": {"models_file": None}, "observations": {"obs_ids": [1]}}))
    written = AnalysisConfig.read(analysis.run(tmp_path / "out") / "config.yaml")
    assert written.observations.datastore == str(demo[0].resolve())
    assert written.metadata.origin == str(demo[0])


def test_a_folder_in_use_needs_overwrite(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileFormatError, match="GX-ANALYSIS-080"):
        prepare_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_the_user_edited_is_kept(tmp_path):
    folder, kept = prepare_demo(tmp_path / "demo")
    assert kept == []
    assert {path.name for path in folder.iterdir()} == set(FILES)
    for text in ("first: 1\n", "second: 2\n"):
        (folder / "config.yaml").write_text(text)
        _, kept = prepare_demo(folder, overwrite=True)
    assert [(old.name, new.name) for old, new in kept] == [("config.yaml", "config.2.yaml")]
    assert (folder / "config.1.yaml").read_text() == "first: 1\n"
    assert (folder / "config.2.yaml").read_text() == "second: 2\n"
    AnalysisConfig.read(folder / "config.yaml")
    _, kept = prepare_demo(folder, overwrite=True)
    assert kept == []
