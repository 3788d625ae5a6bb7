"""A whole run on small spectra: every product of the folder, read back."""

import base64
import contextlib
import io
import json
import re
import warnings
from html.parser import HTMLParser

import numpy as np
import pytest

from gammax.analysis import Analysis, AnalysisConfig
from gammax.analysis._folder import PRODUCTS
from gammax.analysis._report_tables import _dataset_numbers
from gammax.analysis._stages import Stages
from gammax.datasets import Datasets
from gammax.errors import (
    FileFormatError,
    GammaxWarning,
    ResourceError,
    SchemaError,
)
from gammax.estimators import FluxPoints
from gammax.models import Models, SkyModel
from small_project import AMPLITUDE, INDEX, make_onoff, make_spectrum, true_models, write_project

PNG = b"\x89PNG\r\n"
RANGE = {"fit_range": {"min": "0.2 TeV", "max": "8 TeV"}}


class Page(HTMLParser):
    """Text, attributes and open elements of a page."""

    VOID = ("meta", "img", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.attributes = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.attributes += [(tag, *attribute) for attribute in attributes]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text.append(data)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run: analysis, folder, what it said."""
    folder = tmp_path_factory.mktemp("run")
    analysis = Analysis(write_project(folder, fit=RANGE))
    with contextlib.redirect_stderr(io.StringIO()) as said:
        out = analysis.run(folder / "out")
    return analysis, out, said.getvalue()


def test_the_folder_holds_every_product_and_nothing_else(run):
    _, out, _ = run
    assert {path.name for path in out.iterdir()} == set(PRODUCTS) - {"observations.ecsv"}
    assert {path.name for path in (out / "figures").iterdir()} == {"spectrum.png", "flux_profiles.png", "counts.png"}
    assert all(path.read_bytes().startswith(PNG) for path in (out / "figures").iterdir())


def test_the_fit_finds_the_models_that_made_the_counts(run):
    analysis, _, _ = run
    assert analysis.status == "ok"
    pulls = (analysis.fit_result.values - [INDEX, AMPLITUDE]) / analysis.fit_result.errors
    assert np.all(np.abs(pulls) < 3)


def test_summary(run):
    analysis, out, _ = run
    summary = json.loads((out / "summary.json").read_text())
    assert summary["status"] == "ok"
    assert summary["total_stat"] == analysis.fit_result.total_stat
    assert summary["total_stat"] == pytest.approx(analysis.datasets.stat_sum(analysis.models), rel=1e-9)
    # 8 bins from 0.1 to 10 TeV: mask_safe leaves out the first, the range all that touches 0.178 and 10 TeV
    assert summary["n_bins"] == 2 * 5
    assert summary["counts"] == {d.name: int(d.counts.values()[2:7].sum()) for d in analysis.datasets}
    assert all(isinstance(n, int) for n in summary["counts"].values())
    index, amplitude = summary["parameters"]
    assert (index["model"], index["name"], index["unit"]) == ("crab", "index", "")
    assert (amplitude["model"], amplitude["name"], amplitude["unit"]) == ("crab", "amplitude", "TeV-1 s-1 cm-2")
    assert [amplitude["value"], amplitude["error"]] == [analysis.fit_result.values[1], analysis.fit_result.errors[1]]
    assert list(summary["timings"]) == ["models", "datasets", "fit", "flux points", "figures", "write"]
    assert all(seconds > 0 for seconds in summary["timings"].values())


def test_files_hold_what_the_analysis_holds(run):
    analysis, out, _ = run
    models, datasets = Models.read(out / "models.yaml"), Datasets.read(out / "datasets" / "datasets.yaml")
    np.testing.assert_array_equal(models.covariance, analysis.models.covariance)
    assert datasets.stat_sum(models) == pytest.approx(analysis.fit_result.total_stat, rel=1e-12)
    points = FluxPoints.read(out / "flux_points.fits")
    np.testing.assert_allclose(points.norm, analysis.flux_points.norm, rtol=1e-12)
    assert "stat_scan" in points.quantities
    assert len(points) == 3


def test_the_folder_is_an_analysis_that_can_be_run_again(run, tmp_path):
    analysis, out, _ = run
    config = AnalysisConfig.read(out / "config.yaml")
    assert config.fit.fit_range.min == "0.2 TeV"
    assert config.flux_points == analysis.config.flux_points
    assert config.metadata.creator.startswith("gammax ")
    assert config.metadata.origin.endswith("data/datasets.yaml")
    again = Analysis(config)
    again.read_datasets(), again.read_models()
    assert again.run_fit().total_stat == pytest.approx(analysis.fit_result.total_stat, rel=1e-12)


def test_progress_is_one_line_per_stage_with_its_time(run):
    _, out, said = run
    lines = said.splitlines()
    assert [line.split("  ")[1] for line in lines] == ["models", "datasets", "fit", "flux points", "figures", "write"]
    assert all(re.match(r"\d\d:\d\d:\d\d  .* \d+\.\d\d s$", line) for line in lines)
    assert "2 datasets" in lines[1]
    assert "ok: converged" in lines[2]
    assert str(out) in lines[-1]


def test_the_report_stands_alone_and_says_it_all(run):
    analysis, out, _ = run
    html = (out / "report.html").read_text()
    page = Page(html)
    assert page.open == []
    assert not {"script", "link", "iframe"} & set(re.findall(r"<(\w+)", html))
    sources = [value for _, name, value in page.attributes if name in ("src", "href")]
    pictures = [base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in sources]
    assert sorted(pictures) == sorted(path.read_bytes() for path in (out / "figures").iterdir())
    assert "url(" not in html
    assert "@import" not in html
    text = " ".join(page.text)
    for words in (
        "crab: joint fit of 2 spectra",
        "converged",
        "Correlation",
        "Flux points of crab",
        "run-2",
        "fit.fit_range.min",
        "0.2 TeV",
        "PowerLawSpectralModel",
        "numpy",
    ):
        assert words in text, words
    error = analysis.fit_result.errors[0]
    assert f"{analysis.fit_result.values[0]:.3f} ± {error:.3f}" in text


def test_a_folder_in_use_needs_overwrite(run, tmp_path):
    analysis, _, _ = run
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(FileFormatError, match="GX-ANALYSIS-041"):
        analysis.write(out)
    analysis.write(out, overwrite=True)
    first = json.loads((out / "summary.json").read_text())
    analysis.write(out, overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"
    assert json.loads((out / "summary.json").read_text())["parameters"] == first["parameters"]


def test_a_run_that_cannot_write_keeps_the_previous_one(run, tmp_path, monkeypatch):
    import gammax.analysis._folder as module

    analysis, _, _ = run
    out = analysis.write(tmp_path / "out")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "report", full)
    with pytest.raises(ResourceError, match="No space left"):
        analysis.write(out, overwrite=True)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_without_models_the_datasets_are_written(tmp_path, capsys):
    config = write_project(tmp_path, [make_spectrum("sim", background=2.0)], models=False, fit=RANGE)
    out = Analysis(config).run(tmp_path / "out")
    assert {path.name for path in out.iterdir()} == {
        "config.yaml",
        "datasets",
        "figures",
        "report.html",
        "summary.json",
    }
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["status"], summary["total_stat"], summary["parameters"]) == ("no_model", None, [])
    written = Datasets.read(out / "datasets" / "datasets.yaml")["sim"]
    assert summary["counts"] == {"sim": int(written.counts.values()[2:7].sum())}
    assert written.mask.tolist() == [False] * 2 + [True] * 5 + [False]
    assert AnalysisConfig.read(out / "config.yaml").general.models_file is None
    assert "no model" in (out / "report.html").read_text()


def test_names_are_escaped_in_the_report(tmp_path):
    name = "<script>alert(1)</script>&"
    analysis = Analysis(write_project(tmp_path, [make_onoff(name)], models=False))
    html = (analysis.run(tmp_path / "out") / "report.html").read_text()
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;" in html


def test_a_fit_without_a_minimum_is_written_without_flux_points(tmp_path):
    # two sources of the same shape: only their sum is constrained
    twins = (true_models("a") + true_models("b")).freeze("a.spectral.index", "b.spectral.index")
    config = write_project(tmp_path, [make_spectrum()], twins, flux_points={"source": "a"})
    out = Analysis(config).run(tmp_path / "out")
    summary = json.loads((out / "summary.json").read_text())
    assert summary["status"] == "singular"
    assert "a.spectral.amplitude" in summary["message"]
    assert [parameter["error"] for parameter in summary["parameters"]] == [None, None]
    assert np.isnan(Models.read(out / "models.yaml").covariance).any()
    assert not (out / "flux_points.fits").exists()
    assert summary["notes"] == ["no flux points were computed: the fit is singular"]
    assert "no flux points were computed" in (out / "report.html").read_text()


def test_warnings_become_notes(tmp_path, capsys):
    energy = {"energy": {"min": "0.2 TeV", "max": "10 TeV", "nbins": 2}, "parameters": {"selection_optional": None}}
    out = Analysis(write_project(tmp_path, [make_spectrum()], flux_points=energy)).run(tmp_path / "out")
    notes = json.loads((out / "summary.json").read_text())["notes"]
    assert len(notes) == 1
    assert notes[0].startswith("GX-FLUX-003")
    assert "GX-FLUX-003" in capsys.readouterr().err
    assert "GX-FLUX-003" in (out / "report.html").read_text()


def test_other_warnings_are_handed_on():
    def stage():
        with stages("x"):
            warnings.warn("theirs", RuntimeWarning, stacklevel=1)
            warnings.warn("ours", GammaxWarning, stacklevel=1)

    stages = Stages()
    with pytest.warns(RuntimeWarning, match="theirs"):
        stage()
    assert stages.notes == ["ours"]


def test_log_goes_where_the_configuration_says(tmp_path, capsys):
    log = {"level": "WARNING", "filename": "run.log", "format": "%(levelname)s %(message)s"}
    config = AnalysisConfig.read(write_project(tmp_path, [make_spectrum()], models=False))
    Analysis(config.update({"general": {"log": {**log, "level": "info"}}})).run(tmp_path / "out")
    assert capsys.readouterr().err == ""
    assert (tmp_path / "run.log").read_text().startswith("INFO datasets")
    Analysis(config.update({"general": {"log": {"level": "WARNING"}}})).run(tmp_path / "quiet")
    assert capsys.readouterr().err == ""
    (tmp_path / "inside").mkdir()
    Analysis(config.update({"general": {"log": {"filename": "inside/run.log"}}})).run(tmp_path / "inside")
    assert "datasets" in (tmp_path / "inside" / "run.log").read_text()
    with pytest.raises(SchemaError, match="did you mean 'info'"):
        Analysis(config.update({"general": {"log": {"level": "infos"}}})).run(tmp_path / "loud")


def test_names_that_are_formulas_or_unknown_to_the_font_disturb_no_figure(tmp_path, capsys):
    models = Models(SkyModel(true_models()["crab"].spectral_model, "蟹$x$"))
    config = write_project(tmp_path, [make_spectrum(r"$\frac$"), make_spectrum("b$")], models)
    Analysis(config).run(tmp_path / "out")
    assert "font" not in capsys.readouterr().err


def test_significance_is_that_of_the_info_table_within_the_fit():
    dataset = make_onoff().with_fit_range("0.2 TeV", "8 TeV")
    dataset = dataset.replace(counts_off=dataset.counts_off.replace(data=np.zeros(8)))
    bins = dataset.slice_by_energy("0.31 TeV", "6 TeV")
    assert bins.mask.all()
    found = _dataset_numbers(dataset, None)
    # no OFF count at all: alpha is that of the acceptances, 1 / 10 (Li & Ma 1983, eq. 17)
    counts = found["counts"]
    assert found["alpha"] == pytest.approx(0.1)
    assert found["significance"] == pytest.approx(np.sqrt(2 * counts * np.log(11)), rel=1e-9)
    assert found["significance"] == pytest.approx(bins.info_dict()["sqrt_ts"], rel=1e-12)


def test_settings_that_only_say_how_are_kept(tmp_path):
    config = AnalysisConfig.read(write_project(tmp_path, [make_spectrum()], models=False))
    config = config.update({"light_curve": {"source": "crab"}, "observations": {"obs_ids": [1]}})
    out = Analysis(config).run(tmp_path / "out")
    written = AnalysisConfig.read(out / "config.yaml")
    assert written.light_curve.source == "crab"
    assert written.observations.obs_ids == (1,)


def test_new_models_drop_the_results_of_the_old(run):
    analysis, _, _ = run
    other = Analysis(analysis.config)
    other.datasets, other.fit_result, other.flux_points = analysis.datasets, analysis.fit_result, analysis.flux_points
    assert other.set_models(SkyModel(true_models()["crab"].spectral_model, "b")).names == ("b",)
    assert other.status == "no_model"
    assert other.flux_points is None


@pytest.mark.data
def test_joint_crab_gives_the_published_result(tmp_path, data_dir):
    models = tmp_path / "models.yaml"
    models.write_text("""
components:
-   name: crab
    type: SkyModel
    spectral:
        type: LogParabolaSpectralModel
        parameters:
        -   {name: amplitude, value: 3.8e-11, unit: TeV-1 s-1 cm-2}
        -   {name: reference, value: 1, unit: TeV, frozen: true}
        -   {name: alpha, value: 2.5}
        -   {name: beta, value: 0.1}
""")
    config = AnalysisConfig.from_dict(
        {
            "general": {"datasets_file": str(data_dir / "joint-crab" / "datasets.yaml"), "models_file": str(models)},
            "fit": {"fit_range": {"min": "0.03 TeV", "max": "30 TeV"}},
            "flux_points": {"energy": {"min": "0.0316227766 TeV", "max": "31.6227766 TeV", "nbins": 6}},
        }
    )
    summary = json.loads((Analysis(config).run(tmp_path / "out") / "summary.json").read_text())
    assert (summary["status"], summary["n_bins"], sum(summary["counts"].values())) == ("ok", 388, 2799)
    # joint-crab paper (Nigro et al. 2019, A&A 625, A10), fit_joint.yaml; its beta belongs to log10
    published = {"amplitude": (3.849e-11, 0.114e-11), "alpha": (2.5054, 0.0255), "beta": (0.2362, 0.0245)}
    for parameter in summary["parameters"]:
        base = np.log(10) if parameter["name"] == "beta" else 1.0
        value, error = np.array(published[parameter["name"]]) / base
        assert abs(parameter["value"] - value) < 0.02 * error
        assert parameter["error"] == pytest.approx(error, rel=0.005)
    assert summary["notes"] == []
