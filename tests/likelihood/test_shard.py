"""Datasets spread over devices and over processes: the likelihood is the same, and each holds its share."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gammax.likelihood import Likelihood
from likelihood.spread import N_CUBES, N_SPECTRA, cubes, moving_models, spectra
from likelihood.spread_process import tell_backends, tell_fit, tell_hypotheses, tell_likelihood, tell_moving, tell_scans

PRODUCTS = ("covariance", "confidence", "upper_limit", "contour")
SCANS = ("profile", "profile, others held", "surface")


def run(n_processes, n_devices, what="all"):
    """What each process tells."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    program = str(Path(__file__).with_name("spread_process.py"))
    commands = [
        [sys.executable, program, str(rank), str(n_processes), port, str(n_devices), what]
        for rank in range(n_processes)
    ]
    pipe = subprocess.PIPE
    running = [subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) for command in commands]
    try:
        outputs = [process.communicate(timeout=240) for process in running]
    finally:
        # one that waits for another for ever
        for process in running:
            process.kill()
    for process, (_, said) in zip(running, outputs, strict=True):
        assert process.returncode == 0, said[-3000:]
    # gloo says hello on the standard output
    return [json.loads(text.splitlines()[-1]) for text, _ in outputs]


@pytest.fixture(scope="module")
def alone():
    return tell_likelihood(None) | tell_fit(None, spectra() + cubes())


@pytest.fixture(scope="module")
def four_devices():
    return run(1, 4)[0]


def assert_same_fit(told, alone):
    assert told["status"] == alone["status"] == "ok"
    for name in ("plain", "stat"):
        np.testing.assert_allclose(told[name], alone[name], rtol=1e-12)
    for name in ("best", "errors", *PRODUCTS):
        np.testing.assert_allclose(told[name], alone[name], rtol=1e-10, err_msg=name)


def test_four_devices(four_devices, alone):
    assert_same_fit(four_devices, alone)
    scans = tell_scans(None)
    for name in SCANS:
        np.testing.assert_allclose(four_devices[name], scans[name], rtol=1e-10, err_msg=name)
    np.testing.assert_allclose(four_devices["value"], alone["value"], rtol=1e-12)
    np.testing.assert_allclose(four_devices["npred"], alone["npred"], rtol=1e-12)
    for name in ("gradient", "slope", "hessian", "fisher"):
        np.testing.assert_allclose(four_devices[name], alone[name], rtol=1e-9, atol=1e-9 * np.abs(alone[name]).max())


def test_backends_and_hypotheses_on_four_devices(four_devices):
    # minimisers of others end where their steps do, which differs by rounding
    np.testing.assert_allclose(four_devices["backends"], tell_backends(None)["backends"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(four_devices["hypotheses"], tell_hypotheses(None)["hypotheses"], rtol=1e-10)


def test_each_device_holds_its_share_and_no_more(four_devices):
    arrays, kinds = four_devices["arrays"], ("[0]", "[1]")
    assert all(any(name.startswith(kind) and parts for name, _, parts in arrays) for kind in kinds)
    for name, whole, parts in arrays:
        # five spectra and two cubes fill four devices up to the next multiple; spectra share their true energies
        depth = {"[0]": -(-N_SPECTRA // 4), "[1]": -(-N_CUBES // 4)}[name[:3]]
        share = whole if name == "[0].edges" else [depth, *whole[1:]]
        assert parts == [share] * 4, name
    assert four_devices["transfers"] == []


def test_two_processes(alone):
    first, second = run(2, 1)
    assert_same_fit(first, alone)
    assert all(first[name] == second[name] for name in ("best", "errors", "stat", *PRODUCTS))
    np.testing.assert_allclose(first["hypotheses"], tell_hypotheses(None)["hypotheses"], rtol=1e-10)
    moving = Likelihood(cubes(), moving_models())
    np.testing.assert_allclose(first["moving"], float(moving(moving.theta0)), rtol=1e-12)
    # as many calls in both, whatever their clocks say
    assert len(first["calls"]) > 2
    assert first["calls"] == second["calls"]
    assert first["repr"].startswith("Likelihood(4 datasets in 2 stacks")
    # what belongs to one dataset, and likelihoods that are not one
    for told in (first, second):
        assert [told[name] for name in ("asked", "apart", "kinds")] == ["GX-FIT-022", "GX-FIT-021", "GX-FIT-021"]


@pytest.mark.slow
def test_two_processes_whose_source_moves_and_scans():
    alone, (first, second) = tell_moving(None) | tell_scans(None), run(2, 1, "slow")
    assert first["status"] == alone["status"] == "ok"
    np.testing.assert_allclose(first["stat"], alone["stat"], rtol=1e-12)
    for name in ("values", "errors"):
        np.testing.assert_allclose(first[name], alone[name], rtol=1e-8)
    for name in SCANS:
        np.testing.assert_allclose(first[name], alone[name], rtol=1e-10, err_msg=name)
    assert first == second
