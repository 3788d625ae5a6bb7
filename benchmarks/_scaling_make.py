"""Simulated cubes as files for both sides: ``_scaling_make.py PANEL SIZE FOLDER OUT``.

Responses are those of the demo that comes with gammax; counts are drawn from the prediction of the truth.
"""

import math
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _clock import write_json
from _scaling_cases import CENTER, folder_name, make_models
from astropy import units as u
from astropy.coordinates import SkyCoord

import gammax
from gammax import models as library
from gammax.data import DataStore, Observation
from gammax.datasets import Datasets, MapDataset
from gammax.makers import MapDatasetMaker
from gammax.maps import MapAxis, WcsGeom
from gammax.simulate import copy_demo

gammax.enable_x64()

SEED = 20261123
# field [deg], bins of reconstructed and of true energy
FIELDS = {"sources": (4.0, 8, 14), "pixels": (4.0, 8, 14), "observations": (2.4, 6, 12)}
PIXELS = {"sources": 200, "observations": 60}
HOURS = {"sources": 20.0, "pixels": 20.0, "observations": 0.5}
WOBBLE_DEG = 0.5


def irfs():
    """Responses of the demo."""
    with tempfile.TemporaryDirectory() as folder:
        run = DataStore.from_dir(copy_demo(folder)).get_observations()[0]
        return {name: getattr(run, name) for name in ("aeff", "edisp", "psf", "bkg")}


def empty(panel, size):
    """Cube without anything in it."""
    width, n_energy, n_true = FIELDS[panel]
    pixels = size if panel == "pixels" else PIXELS[panel]
    energy = MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", n_energy)
    true = MapAxis.from_energy_bounds("0.3 TeV", "40 TeV", n_true, name="energy_true")
    geom = WcsGeom.create(skydir=CENTER, binsz=width / pixels, npix=(pixels, pixels), proj="TAN", axes=[energy])
    return MapDataset.create(geom, true)


def pointings(panel, size):
    """Where the telescope looks: in turn around the center, or at it."""
    center = SkyCoord(*CENTER, unit="deg")
    if panel != "observations":
        return [center]
    angles = np.arange(size) * math.degrees(math.pi * (3 - math.sqrt(5)))
    return [center.directional_offset_by(angle * u.deg, WOBBLE_DEG * u.deg) for angle in angles]


def make(panel, size, responses):
    """Datasets of a case, with counts."""
    image, maker = empty(panel, size), MapDatasetMaker(selection=("exposure", "background", "psf", "edisp"))
    datasets = []
    for number, pointing in enumerate(pointings(panel, size)):
        name = f"obs-{number:03d}"
        run = Observation.create(pointing, obs_id=number, livetime=HOURS[panel] * u.h, irfs=responses)
        cube = maker.run(image.replace(name=name), run)
        # one by one: what is compiled for a source serves all
        truth = make_models(library, panel, size, [], start=False)
        mean = cube.background.data + sum(cube.npred_signal(library.Models([source])).data for source in truth)
        random = np.random.default_rng((SEED, size, number))
        datasets.append(cube.replace(counts=cube.counts.replace(data=random.poisson(mean).astype(float))))
    return Datasets(datasets)


def main(panel, size, folder, out):
    """Write a case."""
    start = time.perf_counter()
    target = Path(folder, folder_name(panel, size))
    target.mkdir(parents=True, exist_ok=True)
    make(panel.removeprefix("fixed "), size, irfs()).write(target / "datasets.yaml")
    write_json(out, {"seconds": time.perf_counter() - start})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
