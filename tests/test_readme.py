"""What the README shows works as it stands there."""

import re
import shlex
from pathlib import Path

import pytest

from gammax.cli import _parser, main

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


def commands() -> list[list[str]]:
    lines = [line for block in blocks("") for line in block.splitlines() if line.startswith("gammax ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_commands_exist():
    assert [command[:2] for command in commands()] == [["analysis", "config"], ["analysis", "run"]]
    for command in commands():
        _parser().parse_args(command)
    for line in re.findall(r"`gammax ([^`]+) --help`", README):
        with pytest.raises(SystemExit, match="0"):
            _parser().parse_args([*line.split(), "--help"])


@pytest.mark.data
def test_python_blocks_run_in_order(data_dir, monkeypatch):
    monkeypatch.chdir(data_dir / "joint-crab")
    names: dict = {"__name__": "readme"}
    for k, block in enumerate(blocks("python")):
        # warnings are errors here
        exec(compile(block, f"README.md, python block {k + 1}", "exec"), names)
    assert names["result"].success
    # joint-crab paper (Nigro et al. 2019, A&A 625, A10): 3.849e-11 +- 0.114e-11
    assert names["result"].models["crab"].spectral_model.amplitude.value == pytest.approx(3.849e-11, rel=1e-3)
    assert len(names["points"]) == 3


@pytest.mark.data
def test_commands_run_on_the_files_that_are_shown(data_dir, tmp_path, monkeypatch, capsys):
    for block in blocks("yaml"):
        (tmp_path / block.splitlines()[0].removeprefix("# ")).write_text(block)
    (tmp_path / "spectra").symlink_to(data_dir / "joint-crab" / "spectra")
    monkeypatch.chdir(tmp_path)
    assert [main(command) for command in commands()] == [0, 0], capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["config.yaml", "config_results", "datasets.yaml", "models.yaml", "spectra"]
    )
    assert (tmp_path / "config_results" / "report.html").is_file()
