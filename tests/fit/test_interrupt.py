"""Ctrl-C: the best values so far within 2 s, also while XLA compiles, and the next fit is as if nothing had been."""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest

from derivatives import toy_spectrum
from gammax.fit import Fit
from gammax.fit._interrupt import Stopped, Watch, interruptible
from gammax.fit._newton import _solve, solve_in_steps
from gammax.likelihood import Likelihood
from gammax.models import PowerLawSpectralModel, SkyModel

TESTS = Path(__file__).resolve().parents[1]
SOURCE = SkyModel(PowerLawSpectralModel(), name="x")


def interrupted_fits(*arguments):
    run = subprocess.run(
        [sys.executable, str(TESTS / "interrupted.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=TESTS,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    assert "Error" not in run.stderr
    return json.loads(run.stdout)


def check(outcome, number):
    """All came back within 2 s, interrupted or, where the signal came too late, good; the next fit was the same."""
    assert len(outcome["found"]) == number
    assert {fit["status"] for fit in outcome["found"]} <= {"interrupted", "ok"}
    assert max(fit["lag"] for fit in outcome["found"]) < 2.0
    assert outcome["same"]
    assert outcome["status"] == "ok"


def test_ctrl_c():
    """Three fits, and one that is compiled: there is nothing but the start values then, index 2 and amplitude 1e-12."""
    outcome = interrupted_fits("spectrum", 0, 3)
    check(outcome, 4)
    last = outcome["found"][-1]
    assert last["status"] == "interrupted"
    assert last["values"] == [2.0, 1e-12]
    assert "before the first step" in last["message"]


@pytest.mark.slow
def test_fifty_interrupts_at_random_times():
    """Seven during compilation, the others in the steps of a cube's fit, where some have shown values on the way."""
    outcome = interrupted_fits("cube", 6, 43)
    check(outcome, 50)
    assert any("steps: the values are the best so far" in fit["message"] for fit in outcome["found"])


def test_steps_a_few_at_a_time_are_the_same_steps():
    """The best point so far only gets better, and the end is that of one loop; a stop is heard between two calls."""
    likelihood = Likelihood(toy_spectrum("wstat"), SOURCE)
    whole = _solve(likelihood.problem, likelihood.theta0, 1e-10, 100)
    shown = []
    parts = solve_in_steps(likelihood.problem, likelihood.theta0, 1e-10, 100, lambda *best: shown.append(best))
    np.testing.assert_allclose(parts.state.theta, whole.state.theta, rtol=1e-12)
    assert int(parts.state.n_steps) == int(whole.state.n_steps)
    assert len(shown) > 1
    assert np.all(np.diff([value for _, value, _ in shown]) <= 0)
    assert shown[0][2] == 2
    watch = Watch()
    watch.stop()
    with pytest.raises(Stopped):
        solve_in_steps(likelihood.problem, likelihood.theta0, 1e-10, 100, lambda *best: watch.show(best))


def test_the_step_limit_holds_a_few_at_a_time():
    likelihood = Likelihood(toy_spectrum("wstat"), SOURCE)
    for limit in (1, 3):
        assert int(solve_in_steps(likelihood.problem, likelihood.theta0, 1e-10, limit).state.n_steps) == limit


def test_a_helper_computes_for_the_main_thread_alone():
    """Answers, errors and the settings of JAX and numpy come through; other threads compute for themselves."""
    assert interruptible(lambda watch: threading.current_thread().name, None) == "gammax"
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(interruptible, lambda watch: threading.current_thread().name, None).result() != "gammax"
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda watch: 1 / 0, None)
    with jax.enable_x64(False), np.errstate(divide="ignore"):
        assert interruptible(lambda watch: jax.numpy.ones(1).dtype, None) == np.float32
        assert np.isinf(interruptible(lambda watch: np.ones(1) / 0.0, None))
    assert interruptible(lambda watch: jax.numpy.ones(1).dtype, None) == np.float64
    with jax.debug_nans(True), pytest.raises(FloatingPointError):
        interruptible(lambda watch: jax.numpy.log(-jax.numpy.ones(1)), None)


def test_eight_threads_are_one():
    """Eight threads, six fits each, on shared data: bit for bit what one thread finds."""
    datasets = [toy_spectrum("wstat", "a"), toy_spectrum("cash", "b", seed=1)]

    def fit(number):
        result = Fit().run(datasets, SOURCE.replace(spectral_model=PowerLawSpectralModel(index=1.5 + 0.02 * number)))
        return result.values, result.covariance, result.total_stat

    serial = [fit(number) for number in range(48)]
    with ThreadPoolExecutor(8) as pool:
        threaded = list(pool.map(fit, range(48)))
    for one, other in zip(serial, threaded, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
