"""A likelihood whose datasets are spread over devices or processes, and what one of the processes finds, as JSON.

    spread_process.py RANK COUNT PORT DEVICES WHAT

Without a mesh the same functions tell what a process alone finds.
"""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

if __name__ == "__main__":
    # before JAX is imported, which reads it once
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={sys.argv[4]}"
    sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
import numpy as np

import gammax
from gammax.errors import FitError
from gammax.fit import Fit, _newton, select_nested_models
from gammax.likelihood import Likelihood, _cube, _likelihood
from gammax.models import GaussianPrior
from likelihood.spread import cubes, models, moving_models, spectra

INDEX, AMPLITUDE = "source.spectral.index", "source.spectral.amplitude"


def tell_likelihood(mesh):
    """The statistic with its derivatives."""
    likelihood = Likelihood(spectra() + cubes(), models(), mesh=mesh)
    theta = np.asarray(likelihood.theta0)
    found = likelihood.derivatives(theta)
    told = {name: np.asarray(getattr(found, name)).tolist() for name in ("value", "gradient", "hessian", "fisher")}
    told["slope"] = np.asarray(jax.grad(likelihood)(theta)).tolist()
    return told | {"plain": float(likelihood(theta)), "npred": likelihood.npred(theta)["run 4"].tolist()}


def tell_devices(mesh):
    """What lies where, and what else is done there."""
    likelihood = Likelihood(spectra() + cubes(), models(), mesh=mesh)
    arrays, transfers = tell_arrays(likelihood.problem), tell_transfers(likelihood.problem, likelihood.theta0)
    return {"arrays": arrays, "transfers": transfers} | tell_hypotheses(mesh) | tell_backends(mesh)


def tell_fit(mesh, datasets):
    """A fit, and what is found of it by searches for a rise of the statistic."""
    fit = Fit(mesh=mesh)
    result = fit.run(datasets, models())
    told = {"best": result.values.tolist(), "errors": result.errors.tolist(), "stat": result.total_stat}
    told |= {"status": result.status, "covariance": fit.covariance(datasets, result).errors.tolist()}
    ends = fit.confidence(datasets, result)
    contour = fit.stat_contour(datasets, result, INDEX, AMPLITUDE, numpoints=4)
    return told | {
        "confidence": [[end.errp, end.errn] for end in ends.values()],
        "upper_limit": fit.upper_limit(datasets, result, AMPLITUDE).upper_limit,
        "contour": [contour.x_values.tolist(), contour.y_values.tolist()],
    }


def tell_scans(mesh, rank=0, count=1):
    """The statistic over values of parameters."""
    fit, datasets = Fit(mesh=mesh), (spectra() + cubes())[rank::count]
    surface = fit.stat_surface(datasets, models(), INDEX, AMPLITUDE, [2.2, 2.4], [1e-12, 2e-12], reoptimize=True)
    return {
        "profile": fit.stat_profile(datasets, models(), INDEX, reoptimize=True).stat_scan.tolist(),
        "profile, others held": fit.stat_profile(datasets, models(), INDEX, [2.2, 2.4]).stat_scan.tolist(),
        "surface": surface.stat_scan.tolist(),
    }


def tell_hypotheses(mesh, rank=0, count=1):
    """What a test of hypotheses finds, in data, in Asimov data and with the background known."""
    nested = select_nested_models(spectra()[rank::count], models()[0], INDEX, 2.0, fit=Fit(mesh=mesh))
    return {"hypotheses": [nested.ts, nested.ts_asimov, nested.ts_known_bkg]}


def tell_backends(mesh):
    """What other backends find."""
    datasets, source = spectra(), models()[0]
    scipy, fit = Fit(backend="scipy", mesh=mesh), Fit(mesh=mesh)
    delta_stat = fit.cross_check(datasets, fit.run(datasets, source)).delta_stat
    return {"backends": [scipy.run(datasets, source).total_stat, delta_stat]}


def tell_moving(mesh, rank=0, count=1):
    """A fit of cubes in which a source moves."""
    found = Fit(mesh=mesh).run(cubes()[rank::count], moving_models())
    told = {"values": found.values.tolist(), "errors": found.errors.tolist(), "status": found.status}
    return told | {"stat": found.total_stat}


def tell_arrays(problem):
    """Every array of the stacks: its name, its shape, and those of its parts on devices."""
    return [
        [jax.tree_util.keystr(path), leaf.shape, [part.data.shape for part in leaf.addressable_shards]]
        for path, leaf in jax.tree_util.tree_leaves_with_path(problem.stacks)
    ]


def tell_transfers(problem, theta):
    """By what devices might fetch one another's data in a program that takes cubes one after another."""
    _cube._AT_ONCE = 1
    program = _likelihood._bins.lower(problem, theta).compile().as_text()
    return [name for name in ("all-gather", "all-to-all", "collective-permute") if name in program]


def code_of(make):
    """Code of the error that something raises."""
    try:
        make()
    except FitError as error:
        return error.code
    return None


def tell_refusals(mesh, rank, count):
    """What belongs to one dataset, and likelihoods that are not one."""
    datasets = spectra() + cubes()
    likelihood = Likelihood(datasets[rank::count], models(), mesh=mesh)
    other = models().with_prior(INDEX, GaussianPrior(2.4, 0.1 + 0.1 * rank))
    theta = np.asarray(likelihood.theta0)
    return {
        "plain": float(likelihood(theta)),
        # one process alone may look at what it has
        "repr": repr(likelihood) if rank == 0 else "",
        "asked": code_of(lambda: likelihood.npred(theta)),
        "apart": code_of(lambda: Likelihood(datasets[:5], other, mesh=mesh)),
        "kinds": code_of(lambda: Likelihood(datasets if rank else datasets[:5], models(), mesh=mesh)),
    }


def tell_calls(mesh, datasets):
    """Steps that had been made after each call of a slow fit."""
    likelihood, calls = Likelihood(datasets, models(), mesh=mesh), []
    _newton.run_newton(likelihood, 1e-10, 100, lambda theta, value, n_steps: calls.append(n_steps))
    return calls


def tell_process(mesh, rank, count):
    """What a process of several finds, of fits that look at the clock; that of the second goes a thousand times as
    fast."""
    clock, datasets = _newton.time.monotonic, (spectra() + cubes())[rank::count]
    _newton.time = SimpleNamespace(monotonic=lambda: clock() * 1000.0**rank)
    _newton._FEW_NUMBERS = 0
    told = tell_fit(mesh, datasets) | tell_hypotheses(mesh, rank, count) | tell_refusals(mesh, rank, count)
    moving = Likelihood(cubes()[rank::count], moving_models(), mesh=mesh)
    told["moving"] = float(moving(np.asarray(moving.theta0)))
    return told | {"calls": tell_calls(mesh, datasets)}


def main(rank, count, port, what):
    gammax.enable_x64()
    if count > 1:
        jax.distributed.initialize(f"127.0.0.1:{port}", count, rank)
    mesh = jax.make_mesh((jax.device_count(),), ("datasets",))
    if what == "slow":
        told = tell_moving(mesh, rank, count) | tell_scans(mesh, rank, count)
    elif count > 1:
        told = tell_process(mesh, rank, count)
    else:
        told = tell_likelihood(mesh) | tell_fit(mesh, spectra() + cubes()) | tell_scans(mesh) | tell_devices(mesh)
    print(json.dumps(told))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[5])
