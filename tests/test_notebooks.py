"""Every notebook runs from top to bottom, as it stands."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def case(path):
    """Those that read the public data are data tests."""
    return pytest.param(path, id=path.stem, marks=pytest.mark.data if "GAMMAX_DATA" in path.read_text() else ())


@pytest.mark.parametrize("path", [case(path) for path in NOTEBOOKS])
def test_notebook_runs(path, request, tmp_path):
    cells = json.loads(path.read_text())["cells"]
    assert not any(cell.get("outputs") for cell in cells), "outputs are not committed"
    script = tmp_path / "notebook.py"
    script.write_text("\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"))
    environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONWARNINGS": "default"}
    if request.node.get_closest_marker("data"):
        environment["GAMMAX_DATA"] = str(request.getfixturevalue("data_dir"))
    run = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
