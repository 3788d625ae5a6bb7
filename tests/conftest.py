"""What every test needs: 64-bit floats, a compile cache, the public data, and an honest count of data tests."""

import os
import signal
import tempfile
from pathlib import Path

# programs of tests run a few times: without these passes of XLA they compile in a third of the time, run at most twice
# as long, and give the same numbers to 1e-14; JAX reads this once, when it starts
os.environ["XLA_FLAGS"] = " ".join(
    (os.environ.get("XLA_FLAGS", ""), "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0")
)

import jax
import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import settings

import gammax

REPOSITORY = Path(__file__).resolve().parents[1]


# the same examples in every run: a failure is one of the change, not of the day
settings.register_profile("gammax", derandomize=True, deadline=None)
settings.load_profile("gammax")


def pytest_configure(config):
    mpl.use("Agg")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # so a shell starts what it runs in the background, with all its children; tests of Ctrl-C must hear it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    gammax.enable_x64()
    cache = os.environ.get("GAMMAX_TEST_CACHE", os.path.join(tempfile.gettempdir(), "gammax-test-compile-cache"))
    # one for each process that tests: JAX may read a program that another one has half written
    cache = os.path.join(cache, os.environ.get("PYTEST_XDIST_WORKER", "alone"))
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(DataTests())


def _folder(variable: str, name: str) -> Path:
    # an empty variable counts as unset, as in a CI job that has no data
    path = Path(os.environ.get(variable) or REPOSITORY.parent / "shared" / name)
    if not path.is_dir():
        pytest.skip(f"{path} is no folder: set {variable}")
    return path


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the public data."""
    return _folder("GAMMAX_DATA", "data")


@pytest.fixture(scope="session")
def reference_dir() -> Path:
    """Folder of the peer's results on that data."""
    return _folder("GAMMAX_REFERENCE", "reference")


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(20261122)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if item.get_closest_marker("data") is None or not report.skipped:
        return
    report.without_data = True
    if os.environ.get("GAMMAX_DATA"):
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: a data test must not skip while GAMMAX_DATA is set\n{reason}"


class DataTests:
    """Counts data tests, in the process to which all others report."""

    run = skipped = 0

    def pytest_runtest_logreport(self, report):
        self.skipped += getattr(report, "without_data", False)
        self.run += "data" in report.keywords and report.when == "call" and not report.skipped

    def pytest_unconfigure(self):
        print(f"\n{self.run} data tests run, {self.skipped} skipped")
