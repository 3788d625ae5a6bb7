"""Datasets spread over devices and over processes: the likelihood is the same, and each holds its share."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

# what every process runs: its number, how many there are, the port; and what it tells
PROGRAM = """
import json, os, sys
rank, count, port, tests = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=" + sys.argv[5]
sys.path.insert(0, tests)
import jax, numpy as np, gammax, gammax.errors
from gammax.models import GaussianPrior
gammax.enable_x64()
if count > 1:
    jax.distributed.initialize("127.0.0.1:" + port, count, rank)
from gammax.fit import Fit
from gammax.likelihood import Likelihood
from likelihood.spread import cubes, models, spectra
mesh = jax.make_mesh((jax.device_count(),), ("datasets",), axis_types=(jax.sharding.AxisType.Auto,))
datasets = (spectra() + cubes())
likelihood = Likelihood(datasets[rank::count], models(), mesh=mesh if jax.device_count() > 1 else None)
theta = np.asarray(likelihood.theta0)
found = likelihood.derivatives(theta)
fit = Fit(mesh=likelihood.problem.mesh).run(datasets[rank::count], models())
bytes_here = sum(part.data.nbytes for leaf in jax.tree.leaves(likelihood.problem.stacks)
                 for part in getattr(leaf, "addressable_shards", ()))
told = {name: np.asarray(getattr(found, name)).tolist() for name in ("value", "gradient", "hessian", "fisher")}
told |= {"best": fit.values.tolist(), "errors": fit.errors.tolist(), "stat": fit.total_stat, "bytes": bytes_here}
told["status"] = fit.status
try:
    told["asked"] = len(likelihood.npred(theta))
except gammax.errors.FitError as error:
    told["asked"] = error.code
told["repr"] = repr(likelihood)
if count > 1:
    try:
        other = models().with_prior("source.spectral.index", GaussianPrior(2.4, 0.1 + 0.1 * rank))
        Likelihood(datasets[:5], other, mesh=mesh)
    except gammax.errors.FitError as error:
        told["apart"] = error.code
    try:
        Likelihood(datasets if rank else datasets[:5], models(), mesh=mesh)
    except gammax.errors.FitError as error:
        told["kinds"] = error.code
told |= {"plain": float(likelihood(theta)), "slope": np.asarray(jax.grad(likelihood)(theta)).tolist()}
print(json.dumps(told))
"""


def run(n_processes, n_devices):
    """What each process tells."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    tests = str(Path(__file__).parents[1])
    commands = [
        [sys.executable, "-c", PROGRAM, str(rank), str(n_processes), port, tests, str(n_devices)]
        for rank in range(n_processes)
    ]
    pipe = subprocess.PIPE
    running = [subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) for command in commands]
    outputs = [process.communicate(timeout=240) for process in running]
    for process, (_, said) in zip(running, outputs, strict=True):
        assert process.returncode == 0, said[-3000:]
    # gloo says hello on the standard output
    return [json.loads(text.splitlines()[-1]) for text, _ in outputs]


@pytest.fixture(scope="module")
def alone():
    return run(1, 1)[0]


@pytest.fixture(scope="module")
def two_devices():
    return run(1, 2)[0]


def assert_same(told, alone):
    for name in ("value", "plain", "stat"):
        np.testing.assert_allclose(told[name], alone[name], rtol=1e-12)
    for name in ("gradient", "slope", "hessian", "fisher"):
        np.testing.assert_allclose(told[name], alone[name], rtol=1e-9, atol=1e-9 * np.abs(alone[name]).max())
    np.testing.assert_allclose(told["best"], alone["best"], rtol=1e-8)
    np.testing.assert_allclose(told["errors"], alone["errors"], rtol=1e-8)
    assert told["status"] == alone["status"] == "ok"


def test_two_devices(two_devices, alone):
    assert_same(two_devices, alone)


def test_two_processes_hold_half_each(two_devices, alone):
    first, second = run(2, 1)
    assert_same(first, alone)
    assert first["stat"] == second["stat"]
    assert first["repr"].startswith("Likelihood(4 datasets in 2 stacks")
    # what belongs to one dataset, and likelihoods that are not one
    for told in (first, second):
        assert [told[name] for name in ("asked", "apart", "kinds")] == ["GX-FIT-022", "GX-FIT-021", "GX-FIT-021"]
    assert first["bytes"] < 0.6 * two_devices["bytes"]
