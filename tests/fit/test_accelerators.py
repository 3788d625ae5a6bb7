"""Programs for a GPU, seen without one: what XLA is asked to compile, and with which options."""

import re

import jax
import numpy as np
import pytest

from gammax.fit import Fit, _newton
from gammax.fit._quick import quick_options
from gammax.fit.backends import _choice
from gammax.fit.error_products import _batch
from gammax.fit.error_products._reach import Goal, reach
from gammax.likelihood import Likelihood
from likelihood.spread import cubes, models, spectra

# routines outside XLA that JAX has on NVIDIA's GPUs: eigenvalues. A call back to Python would be another, and an
# operation without a kernel there raises
ON_GPU = {"cusolver_syevd_ffi"}


def routines(program, *arguments, **options):
    """Routines outside XLA that a program needs on a GPU."""
    text = program.trace(*arguments, **options).lower(lowering_platforms=("cuda",)).as_text()
    return set(re.findall(r"custom_call @(\w+)", text))


def test_a_fit_of_cubes_and_spectra_can_run_on_a_gpu():
    likelihood = Likelihood(spectra() + cubes(), models())
    theta = np.asarray(likelihood.theta0)
    assert routines(_newton._solve_cubes(), likelihood.problem, theta, 1e-10, max_steps=100) == ON_GPU


def test_error_products_can_run_on_a_gpu():
    likelihood = Likelihood(spectra(), models()[0])
    theta = np.asarray(likelihood.theta0)
    goals = Goal(np.ones((2, 32, theta.size)), np.ones((2, 32, theta.size), bool), np.ones((2, 32)))
    assert routines(_batch._run, reach, likelihood.problem, (theta, 1.0), goals, 2) == ON_GPU


@pytest.mark.parametrize(("platform", "has_options"), [("cpu", True), ("gpu", False), ("tpu", False)])
def test_options_for_processors_are_given_to_processors_alone(platform, has_options, monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    assert bool(quick_options.__wrapped__()) == has_options


def test_other_backends_find_the_data_where_programs_want_them(monkeypatch):
    # arrays of the host would be handed over to a GPU at every call
    seen = []
    monkeypatch.setattr(_choice, "run_scipy", lambda likelihood, *_: seen.append(likelihood) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Fit(backend="scipy").run(spectra(), models()[0])
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(seen))
