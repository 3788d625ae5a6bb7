"""The command: exit codes, messages, files."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import gammax
from gammax.analysis import Analysis, AnalysisConfig
from gammax.cli import _importing, main
from gammax.errors import GeometryError, SchemaError
from gammax.estimators import FluxPointsEstimator
from gammax.fit import Fit
from small_project import make_spectrum, true_models, write_project


def shell(*arguments, code="import sys; from gammax.cli import main; sys.exit(main())", **options):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, **options
    )


def test_info_is_quick_because_it_imports_nothing_heavy(tmp_path):
    code = """
import sys
from gammax.cli import main
main(["info"])
print([name for name in ("jax", "numpy", "astropy", "matplotlib", "equinox") if name in sys.modules])
"""
    result = shell(code=code, env={"GAMMAX_DATA": "/some/where", "PATH": ""})
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"
    words = result.stdout.split()
    assert words[words.index("gammax") + 1] == gammax.__version__
    assert words[words.index("GAMMAX_DATA") + 1] == "/some/where"
    assert "not set" in result.stdout.split("GAMMAX_REFERENCE")[1].splitlines()[0]
    assert "not set" in result.stdout.split("GAMMAPY_DATA")[1].splitlines()[0]


def test_info_lists_devices_when_asked(capsys):
    assert main(["info", "--device"]) == 0
    assert "cpu" in capsys.readouterr().out.split("devices:")[1]


@pytest.mark.parametrize("arguments", [["info"], ["analysis", "run", "--help"]])
def test_a_reader_that_stops_reading_is_no_error(arguments):
    code = "import sys; from gammax.cli import console; console()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    # as head does, before anything is written
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=60), errors) == (0, "")


def test_demo_in_a_folder_in_use_says_what_to_do(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["demo", "--out", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert "another with --out, or pass --overwrite" in message
    assert "=" not in message


def test_demo_says_where_edited_files_went(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Analysis, "run", lambda self, **options: pytest.fail("stop here"))
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "models.yaml").write_text("mine")
    with pytest.raises(pytest.fail.Exception, match="stop here"):
        main(["demo", "--out", str(folder), "--overwrite"])
    assert "your models.yaml is now models.1.yaml" in capsys.readouterr().out
    assert (folder / "models.1.yaml").read_text() == "mine"


def test_config_writes_a_template_or_all_keys(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    assert main(["analysis", "config", "--filename", str(path)]) == 0
    assert path.read_text() == AnalysisConfig.template()
    assert main(["analysis", "config", "--all", "--filename", str(path)]) == 2
    message = capsys.readouterr().err
    assert "GX-PATH-002" in message
    assert "--overwrite" in message
    assert "overwrite=True" not in message
    assert path.read_text() == AnalysisConfig.template()
    assert main(["analysis", "config", "--all", "--filename", str(path), "--overwrite"]) == 0
    assert AnalysisConfig.read(path) == AnalysisConfig()


def test_run_from_a_shell(tmp_path):
    write_project(tmp_path, [make_spectrum("sim")], models=False)
    result = shell("analysis", "run", "config.yaml", "--out", "out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "no_model: no model was given, nothing was fitted",
        f"report: {Path('out') / 'report.html'}",
    ]
    assert [line.split()[1] for line in result.stderr.splitlines()] == ["datasets", "figures", "write"]
    assert (tmp_path / "out" / "report.html").is_file()


def test_run_ends_with_the_fitted_table(tmp_path, capsys):
    config = write_project(tmp_path, flux_points={"parameters": {"selection_optional": None}})
    assert main(["analysis", "run", str(config), "--out", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok: converged"
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    for line, parameter in zip(lines[2:4], summary["parameters"], strict=True):
        model, name, value, _, error, *unit = line.split()
        assert (model, name, " ".join(unit)) == (parameter["model"], parameter["name"], parameter["unit"])
        power = float(f"1{error.partition(')')[2]}")
        assert float(value.strip("(")) * power == pytest.approx(parameter["value"], abs=0.05 * parameter["error"])
        assert float(error.partition(")")[0]) * power == pytest.approx(parameter["error"], rel=0.05)
    assert lines[4] == f"fit statistic {summary['total_stat']:.4f} in {summary['n_bins']} bins of 2 datasets"


def test_run_without_models_and_a_second_time(tmp_path, capsys):
    config, out = str(write_project(tmp_path, [make_spectrum()], models=False)), str(tmp_path / "out")
    assert main(["analysis", "run", config, "--out", out]) == 0
    assert capsys.readouterr().out.startswith("no_model: ")
    assert main(["analysis", "run", config, "--out", out]) == 2
    message = capsys.readouterr().err
    assert "another with --out, or pass --overwrite" in message
    assert "=" not in message
    assert main(["analysis", "run", config, "--out", out, "--overwrite"]) == 0


def test_models_of_the_command_line_win_and_a_bad_fit_exits_1(tmp_path):
    config = write_project(tmp_path, [make_spectrum()], flux_points={"source": "a"})
    twins = (true_models("a") + true_models("b")).freeze("a.spectral.index", "b.spectral.index")
    twins.write(tmp_path / "twins.yaml")
    out = tmp_path / "out"
    assert main(["analysis", "run", str(config), "--models", str(tmp_path / "twins.yaml"), "--out", str(out)]) == 1
    summary = json.loads((out / "summary.json").read_text())
    assert summary["status"] == "singular"
    assert {parameter["model"] for parameter in summary["parameters"]} == {"a", "b"}


def test_the_default_folder_is_that_of_the_configuration(tmp_path):
    config = write_project(tmp_path, [make_spectrum()], models=False)
    assert main(["analysis", "run", str(config)]) == 0
    assert (tmp_path / "config_results" / "summary.json").is_file()
    AnalysisConfig.read(config).update("general: {outdir: results}").write(config, overwrite=True)
    assert main(["analysis", "run", str(config)]) == 0
    assert (tmp_path / "results" / "summary.json").is_file()


def test_errors_are_messages_and_tracebacks_only_when_asked(tmp_path, capsys):
    config = tmp_path / "config.yaml"
    config.write_text("fit: {fit_rnge: {}}")
    assert main(["analysis", "run", str(config)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    assert said.err.startswith("GX-ANALYSIS-001")
    assert "did you mean 'fit_range'" in said.err
    with pytest.raises(SchemaError):
        main(["analysis", "run", str(config), "--debug"])


def test_interrupt_exits_130_and_leaves_nothing(tmp_path, capsys, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Analysis, "run_fit", interrupted)
    config = write_project(tmp_path, [make_spectrum()])
    assert main(["analysis", "run", str(config), "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err.endswith("interrupted\n")
    assert not (tmp_path / "out").exists()


def test_an_interrupted_fit_interrupts_the_run(tmp_path, capsys, monkeypatch):
    run = Fit.run
    monkeypatch.setattr(Fit, "run", lambda *arguments: replace(run(*arguments), status="interrupted"))
    config = write_project(tmp_path, [make_spectrum()])
    assert main(["analysis", "run", str(config), "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err.endswith("interrupted\n")
    assert not (tmp_path / "out").exists()


def test_the_process_ends_at_once_when_interrupted():
    code = """
import sys, threading, time
from gammax import cli
def main():
    # as a compilation does: a thread that the interpreter would wait for
    threading.Thread(target=time.sleep, args=(60,)).start()
    print("said")
    return 130
cli.main = main
cli.console()
"""
    result = shell(code=code, timeout=30)
    assert (result.returncode, result.stdout) == (130, "said\n")


def test_an_interrupt_amid_the_imports_is_not_lost():
    """As in a callback of JAX, whose exceptions Python ignores."""
    code = """
import signal, weakref
from gammax.cli import _importing
class Thing:
    pass
with _importing():
    thing = Thing()
    held = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
    del thing
print("still here")
"""
    result = shell(code=code)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "interrupted\n")


def test_after_the_imports_an_interrupt_is_python_s_own_again():
    before = signal.getsignal(signal.SIGINT)
    with _importing():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before is signal.default_int_handler


def test_flux_points_that_fail_exit_1(tmp_path, monkeypatch, capsys):
    def fail(self, datasets, models):
        raise GeometryError("GX-TEST-001", "no such bin")

    monkeypatch.setattr(FluxPointsEstimator, "run", fail)
    assert main(["analysis", "run", str(write_project(tmp_path, [make_spectrum()]))]) == 1
    assert "no flux points were computed: GX-TEST-001" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["analysis"], ["analysis", "run"], ["nonsense"]])
def test_incomplete_commands_exit_2_with_usage(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: gammax" in capsys.readouterr().err


def test_help_documents_the_exit_codes(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["analysis", "run", "--help"])
    text = capsys.readouterr().out
    assert all(f"  {code}  " in text for code in (0, 1, 2, 130))
    assert "status" in text
