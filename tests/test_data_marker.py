"""The hook that keeps data tests honest: with data promised, a skip is a failure that tells its reason."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CASE = "import pytest\n@pytest.mark.data\ndef test_it(data_dir): pass\n"


@pytest.mark.parametrize(("variable", "line"), [("", "1 skipped"), ("/nowhere", "1 error")])
def test_skips_of_data_tests(tmp_path, variable, line):
    (tmp_path / "tests").mkdir()
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path / "tests")
    (tmp_path / "tests" / "test_case.py").write_text(CASE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = data\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    env = {**os.environ, "GAMMAX_DATA": variable}
    out = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path, check=False).stdout
    assert f"{line} in " in out
    assert "0 data tests run, 1 skipped" in out
    if variable:
        assert "must not skip while GAMMAX_DATA is set" in out
        assert "/nowhere is no folder: set GAMMAX_DATA" in out
