"""The configuration of the demo's spectra, whose files are made once for each test process."""

import pytest

from gammax.analysis import AnalysisConfig
from gammax.analysis._demo import prepare_demo


@pytest.fixture(scope="session")
def config(tmp_path_factory):
    folder, _ = prepare_demo(tmp_path_factory.mktemp("reduction") / "demo")
    return AnalysisConfig.read(folder / "config.yaml")
