"""What the README shows works as it stands there."""

import re
import shlex
from pathlib import Path

from gammax.cli import _parser, main

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


def commands() -> list[list[str]]:
    lines = [line for block in blocks("") for line in block.splitlines() if line.startswith("gammax ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_commands_exist():
    assert [command[:2] for command in commands()] == [["analysis", "run"]] * 2 + [["analysis", "config"]]
    for command in commands():
        _parser().parse_args(command)
    assert "&& gammax demo\n" in README


def test_python_blocks_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "readme"}
    for k, block in enumerate(blocks("python")):
        # warnings are errors here
        exec(compile(block, f"README.md, python block {k + 1}", "exec"), names)
    assert names["result"].success
    # what was simulated: index 2.6, 3.8e-11 at 1 TeV
    fitted = names["result"].models["source"].spectral_model
    index_error, amplitude_error = names["result"].errors
    assert abs(fitted.index.value - 2.6) < 2 * index_error
    assert abs(fitted.amplitude.value - 3.8e-11) < 2 * amplitude_error
    assert len(names["points"]) == 4


def test_commands_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # the demo has just run config_3d.yaml, with the same words
    others = [command for command in commands() if "gammax-demo/config_3d.yaml" not in command]
    assert [main(command) for command in [["demo"], *others]] == [0, 0, 0], capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "gammax-demo"]
    for name in ("config_results", "config_3d_results"):
        assert (tmp_path / "gammax-demo" / name / "report.html").is_file()
