"""The peer's side of the sweeps, in its own environment: ``_sweep_peer.py WORKLOAD DATA FOLDER FITS OUT``.

Simulates everything, leaves a dataset and the counts of all simulations in FOLDER, and fits the first FITS of them.
"""

import sys
import time
from pathlib import Path

import numpy as np
from _clock import Stages, peak_rss_mb, versions, write_json
from _sweep_models import COUNTS, DATASET, EDGES, HOURS, IRFS, NAME, NUMBERS, make_models
from astropy import units as u
from astropy.coordinates import SkyCoord
from gammapy.data import FixedPointingInfo, Observation, observatory_locations
from gammapy.datasets import MapDataset, SpectrumDataset, SpectrumDatasetOnOff
from gammapy.irf import load_irf_dict_from_file
from gammapy.makers import MapDatasetMaker, SafeMaskMaker, SpectrumDatasetMaker
from gammapy.maps import MapAxis, RegionGeom, WcsGeom
from gammapy.modeling import Fit
from gammapy.modeling import models as library
from regions import CircleSkyRegion

POINTING = SkyCoord(0, 0, unit="deg", frame="galactic")


def axes(workload):
    """Reconstructed and true energies."""
    names = ("energy", "energy_true")
    return [
        MapAxis.from_edges(np.logspace(*edges), unit="TeV", name=name, interp="log")
        for edges, name in zip(EDGES[workload], names)  # noqa: B905
    ]


def observation(workload, data):
    """An observation that sees nothing but background."""
    return Observation.create(
        pointing=FixedPointingInfo(fixed_icrs=POINTING.icrs),
        livetime=HOURS[workload] * u.h,
        irfs=load_irf_dict_from_file(data / IRFS[workload]),
        location=observatory_locations["ctao_south"],
    )


def empty_spectrum(data):
    """Expected background and responses of a spectrum half a degree off axis."""
    energy, true = axes("spectra")
    center = POINTING.directional_offset_by(0 * u.deg, 0.5 * u.deg)
    geom = RegionGeom.create(CircleSkyRegion(center, 0.11 * u.deg), axes=[energy])
    maker = SpectrumDatasetMaker(containment_correction=True, selection=["exposure", "edisp", "background"])
    empty = SpectrumDataset.create(geom, energy_axis_true=true, name=NAME["spectra"])
    return maker.run(empty, observation("spectra", data))


def empty_cube(data):
    """Expected background and responses of a cube."""
    energy, true = axes("cubes")
    geom = WcsGeom.create(skydir=(0, 0), binsz=0.02, width=(6, 6), frame="galactic", axes=[energy])
    maker = MapDatasetMaker(selection=["exposure", "background", "psf", "edisp"])
    run = observation("cubes", data)
    made = maker.run(MapDataset.create(geom, energy_axis_true=true, name=NAME["cubes"]), run)
    return SafeMaskMaker(methods=["offset-max"], offset_max=4 * u.deg).run(made, run)


def spectra(data, folder):
    """Simulated spectra."""
    dataset = empty_spectrum(data)
    dataset.models = make_models(library, "spectra")
    onoff = SpectrumDatasetOnOff.from_spectrum_dataset(dataset=dataset, acceptance=1, acceptance_off=5)
    made, background = [], dataset.npred_background()
    for seed in range(NUMBERS["spectra"]):
        onoff.fake(random_state=seed, npred_background=background)
        made.append(onoff.copy(name=NAME["spectra"]))
    made[0].write(folder / DATASET, format="gadf", overwrite=True)
    counts = {name: np.array([getattr(d, name).data.ravel() for d in made]) for name in ("counts", "counts_off")}
    np.savez_compressed(folder / COUNTS, **counts)
    return made


def cubes(data, folder):
    """Simulated cubes, one after another."""
    dataset, counts = empty_cube(data), []
    dataset.models = make_models(library, "cubes")
    for seed in range(NUMBERS["cubes"]):
        dataset.fake(random_state=seed)
        counts.append(dataset.counts.data.astype(np.uint16))
    np.savez_compressed(folder / COUNTS, counts=np.array(counts))
    dataset.models = None
    dataset.write(folder / DATASET, overwrite=True)
    for array in counts:
        dataset.counts.data = array.astype(float)
        yield dataset


def main(workload, data, folder, fits, out):
    """Simulate all, fit some, each from the true values."""
    stages, folder = Stages(), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made = {"spectra": spectra, "cubes": cubes}[workload](Path(data), folder)
    seconds, values, errors = [], [], []
    for number, dataset in enumerate(made):
        if number == int(fits):
            break
        start = time.perf_counter()
        dataset.models = make_models(library, workload)
        result = Fit().run([dataset])
        seconds.append(time.perf_counter() - start)
        free = result.parameters.free_parameters
        values.append([parameter.value for parameter in free])
        errors.append([parameter.error for parameter in free])
    write_json(
        out,
        {
            "stages": stages,
            "each_s": seconds,
            "names": list(free.names),
            "values": values,
            "errors": errors,
            "peak_rss_mb": peak_rss_mb(),
            "versions": versions("gammapy", "numpy", "scipy", "astropy", "iminuit"),
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
