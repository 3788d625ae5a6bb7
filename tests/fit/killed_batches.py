"""Batches that are killed at random moments and begun again: ``killed_batches.py FOLDER KILLS``, prints JSON.

One process has imported everything and has computed nothing; batches run in forks of it.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import jax
import numpy as np

import gammax
from derivatives import toy_spectrum
from gammax.fit import fit_many
from gammax.fit.batches._store import SweepFile
from gammax.likelihood import Likelihood
from gammax.models import PowerLawSpectralModel, SkyModel

NUMBER, CHUNK = 240, 4


def batch(folder, path, pipe):
    """The batch, in a fork: writes a byte when it begins, and one after every chunk that is on the disk."""
    gammax.enable_x64()
    jax.config.update("jax_compilation_cache_dir", str(folder / "cache"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    model = SkyModel(PowerLawSpectralModel(index=2.0, amplitude="1e-12 TeV-1 s-1 cm-2"), name="x")
    likelihood = Likelihood([toy_spectrum("cash")], model)
    counts = np.random.default_rng(4).poisson(20.0, (NUMBER, 9)).astype(float)
    fit_many(likelihood, {"toy": counts[:1]}, chunk=CHUNK)
    append = SweepFile.append

    def told(self, index, solved):
        append(self, index, solved)
        os.write(pipe, b".")

    SweepFile.append = told
    os.write(pipe, b"s")
    fit_many(likelihood, {"toy": counts}, path=path, chunk=CHUNK)


def fork(folder, path):
    """Number of a new process that runs the batch, and the end of its pipe."""
    mine, its = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(mine)
        code = 1
        try:
            batch(folder, path, its)
            code = 0
        finally:
            os._exit(code)
    os.close(its)
    assert os.read(mine, 1) == b"s"
    return pid, mine


def drain(pipe):
    """Number of bytes until the pipe is closed."""
    count = 0
    while block := os.read(pipe, 4096):
        count += len(block)
    os.close(pipe)
    return count


def main(folder, kills):
    """Kill batches so many times, let the last one finish, and print what was found."""
    calm, path = folder / "calm", folder / "batch"
    begun, took = time.monotonic(), run_in_peace(folder, calm)
    wanted = calm.read_bytes()
    header = wanted.index(b"\n") + 1
    record = (len(wanted) - header) // (NUMBER // CHUNK)
    moments, seen, finished, equal, lost, before = random.Random(20261123), [], 0, 0, 0, 0
    while len(seen) < kills:
        pid, pipe = fork(folder, path)
        # as long as what is left takes, but not so short that a batch at its end is killed again and again
        time.sleep(moments.uniform(0.0, took * max(0.3, 1 - before * CHUNK / NUMBER)))
        os.kill(pid, signal.SIGKILL)
        told = drain(pipe)
        if os.waitpid(pid, 0)[1] == 0:
            finished, equal, before = finished + 1, equal + (path.read_bytes() == wanted), 0
            path.unlink()
            continue
        content = path.read_bytes() if path.exists() else b""
        whole = max(len(content) - header, 0) // record
        # killed before there was a file
        good = header + whole * record if content else 0
        lost += whole < before + told or content[:good] != wanted[:good]
        seen.append(whole)
        before = whole
    run_in_peace(folder, path)
    found = {"kills": len(seen), "lost": lost, "finished": finished + 1, "equal": equal + (path.read_bytes() == wanted)}
    print(json.dumps({**found, "chunks at the kill": seen, "seconds": time.monotonic() - begun}))


def run_in_peace(folder, path):
    """Seconds that a batch takes which nobody kills."""
    pid, pipe = fork(folder, path)
    begun = time.monotonic()
    drain(pipe)
    took = time.monotonic() - begun
    assert os.waitpid(pid, 0)[1] == 0
    return took


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
