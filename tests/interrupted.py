"""Run as a program: fits of a spectrum or a cube that real Ctrl-C signals interrupt; prints what came of them as JSON.

Arguments: spectrum or cube, number of fits to interrupt while they compile, number while they run.
"""

import json
import os
import random
import signal
import sys
import threading
import time

import jax
import numpy as np

import gammax
from cubes import CENTER, ENERGY, make_cube
from derivatives import toy_spectrum
from gammax.fit import Fit, _newton
from gammax.maps import WcsGeom
from gammax.models import FoVBackgroundModel, GaussianSpatialModel, Models, PowerLawSpectralModel, SkyModel


def problem(kind):
    """Dataset and models of a fit."""
    if kind == "spectrum":
        return toy_spectrum("wstat"), Models(SkyModel(PowerLawSpectralModel(), name="x"))
    cube = make_cube(geom=WcsGeom.create(skydir=CENTER, binsz=0.05, npix=(120, 120), axes=(ENERGY,)))
    shape = GaussianSpatialModel(lon_0="83.7 deg", lat_0="22.1 deg", sigma="0.3 deg")
    source, truth = (
        SkyModel(PowerLawSpectralModel(index=index, amplitude="3e-10 cm-2 s-1 TeV-1"), spatial_model=shape, name="x")
        for index in (2.5, 2.0)
    )
    return cube.replace(counts=cube.npred(Models(truth))), Models([source, FoVBackgroundModel(cube.name)])


class Heard(Fit):
    """A fit that says when it has begun: a signal before that ends the program, as it should."""

    begun = threading.Event()

    def _run(self, *arguments):
        self.begun.set()
        return super()._run(*arguments)


def interrupted(dataset, models, delay):
    """Status of a fit that gets a signal `delay` after it began, how long it took to return then, and its values."""
    sent = []

    def send():
        Heard.begun.wait()
        time.sleep(delay)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    Heard.begun.clear()
    sender = threading.Thread(target=send)
    sender.start()
    try:
        result = Heard().run(dataset, models)
        status, values, message, done = result.status, result.values, result.message, time.monotonic()
        assert result.success or np.isnan(result.errors).all()
    except KeyboardInterrupt:
        status, values, message, done = "escaped", np.zeros(1), "", time.monotonic()
    try:
        sender.join()
        time.sleep(0.01)
    except KeyboardInterrupt:
        pass
    return {"status": status, "lag": done - sent[0], "values": values.tolist(), "message": message}


def forget():
    jax.clear_caches()
    _newton.solve_slow.cache_clear()


def main(kind, compiling, running):
    gammax.enable_x64()
    random.seed(3)
    dataset, models = problem(kind)
    times = []
    for _ in range(2):
        begun = time.monotonic()
        best = Fit().run(dataset, models)
        times.append(time.monotonic() - begun)
    found = [interrupted(dataset, models, random.uniform(0.0, times[1])) for _ in range(running)]
    for _ in range(compiling):
        forget()
        found.append(interrupted(dataset, models, random.uniform(0.0, 0.9 * times[0])))
    again = Fit().run(dataset, models)
    same = np.array_equal(again.values, best.values) and np.array_equal(again.covariance, best.covariance)
    # the program ends while something is still being compiled
    forget()
    last = interrupted(dataset, models, 0.1 * times[0])
    print(json.dumps({"found": [*found, last], "same": same, "status": again.status}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
