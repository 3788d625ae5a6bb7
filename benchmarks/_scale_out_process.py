"""One process of a spread likelihood: ``_scale_out_process.py RANK COUNT PORT CORE SIZES REPEATS OUT``."""

import json
import os
import sys
import time
from pathlib import Path

import jax
import numpy as np

import gammax
from gammax.likelihood import Likelihood

gammax.enable_x64()

from _clock import write_json  # noqa: E402
from _scale_out_make import make_observations, make_source  # noqa: E402


def peak_rss_mb():
    """Largest resident memory of this program so far; what `getrusage` tells is that of its parent too."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def bytes_here(leaf):
    """Bytes of an array in this process."""
    return sum(part.data.nbytes for part in getattr(leaf, "addressable_shards", ())) or getattr(leaf, "nbytes", 0)


def main(rank, count, port, core, sizes, repeats, out):
    """Evaluate the statistic with all its derivatives again and again, on one core."""
    os.sched_setaffinity(0, {core})
    if count > 1:
        jax.distributed.initialize(f"127.0.0.1:{port}", count, rank)
    mesh = jax.make_mesh((count,), ("datasets",), axis_types=(jax.sharding.AxisType.Auto,)) if count > 1 else None
    n_runs, n_reco, n_true = sizes
    before = peak_rss_mb()
    mine = make_observations(range(rank, n_runs, count), n_reco, n_true)
    likelihood = Likelihood(mine, make_source(), mesh=mesh)
    # a spread likelihood lies on its devices already; that of one process would be handed over at every call
    likelihood = likelihood if count > 1 else jax.device_put(likelihood)
    theta = np.asarray(likelihood.theta0)
    value = float(jax.block_until_ready(likelihood.derivatives(theta)).value)
    statistic = float(likelihood(theta))
    start = time.perf_counter()
    for _ in range(repeats):
        jax.block_until_ready(likelihood.derivatives(theta))
    seconds = (time.perf_counter() - start) / repeats
    held = sum(bytes_here(leaf) for leaf in jax.tree.leaves(likelihood.problem.stacks))
    answer = {"statistic": statistic, "value": value, "seconds": seconds, "arrays_mb": held / 1e6}
    write_json(out, {**answer, "rss_mb": peak_rss_mb(), "rss_grown_mb": peak_rss_mb() - before})


if __name__ == "__main__":
    rank, count, port, core, sizes, repeats, out = sys.argv[1:]
    main(int(rank), int(count), port, int(core), json.loads(sizes), int(repeats), out)
