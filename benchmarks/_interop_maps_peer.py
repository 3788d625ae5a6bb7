"""The peer's side of _interop_maps.py, in the peer's environment: ``_interop_maps_peer.py FOLDER``.

FOLDER has ``recipes.json``; for each recipe arrays go to ``<recipe>.npz`` as ``obs_id/what``, and the seconds of one
reduction with stacking.
"""

import json
import sys
import time
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from gammapy.data import DataStore, EventList
from gammapy.datasets import MapDataset
from gammapy.makers import FoVBackgroundMaker, MapDatasetMaker, SafeMaskMaker
from gammapy.maps import Map, MapAxis, WcsGeom
from regions import CircleSkyRegion


def prepare(recipe, data):
    """Empty dataset, makers and observations."""
    axes = [MapAxis.from_energy_bounds(*recipe[name][:2], nbin=recipe[name][2], unit="TeV", name=name)
            for name in ("energy", "energy_true")]  # fmt: skip
    image = {**recipe["image"], "skydir": tuple(recipe["image"]["skydir"]), "width": tuple(recipe["image"]["width"])}
    geom = WcsGeom.create(**image, axes=axes[:1])
    safe = {**recipe["safe"], "offset_max": recipe["safe"].get("offset_max", 3) * u.deg}
    makers = [MapDatasetMaker(), SafeMaskMaker(**safe)]
    if recipe["background"]:
        makers.append(FoVBackgroundMaker(recipe["background"], exclusion_mask=exclusion(recipe, geom, data)))
    runs = DataStore.from_dir(data / recipe["folder"]).get_observations(recipe["obs_ids"])
    return MapDataset.create(geom, energy_axis_true=axes[1], name="stacked"), makers, runs


def exclusion(recipe, geom, data):
    """Mask that is False where sources are."""
    what = recipe["exclusion"]
    if isinstance(what, str):
        mask = Map.read(data / what)
        mask.data = mask.data.astype(bool)
        return mask
    lon, lat, radius = what
    return ~geom.region_mask(regions=[CircleSkyRegion(SkyCoord(lon, lat, unit="deg"), radius * u.deg)])


def cutout(image, recipe, run):
    """Part of the image for a run."""
    return image.cutout(run.get_pointing_icrs(run.tmid), width=recipe["cutout"] * u.deg, name=f"obs-{run.obs_id}")


def tell(recipe, makers, image, run):
    """Arrays of one run."""
    dataset = makers[0].run(cutout(image, recipe, run), run)
    found = {
        "counts": dataset.counts.data,
        "counts64": counts_in_64_bits(dataset.counts.geom, run),
        "exposure": dataset.exposure.quantity.to_value("m2 s"),
        "background": dataset.background.data,
        "psf": dataset.psf.psf_map.quantity.to_value("sr-1"),
        "psf_exposure": dataset.psf.exposure_map.quantity.to_value("m2 s"),
        "edisp": dataset.edisp.edisp_map.data,
        "edisp_exposure": dataset.edisp.exposure_map.quantity.to_value("m2 s"),
        "norm": 1.0,
        "ratio": 1.0,
    }
    dataset = makers[1].run(dataset, run)
    found["mask"] = dataset.mask_safe.data.copy()
    if len(makers) > 2:
        inside = dataset.mask_safe.data & makers[2].make_exclusion_mask(dataset).data
        found["ratio"] = dataset.counts.data[inside].sum() / dataset.background.data[inside].sum(dtype=float)
        found["norm"] = makers[2].run(dataset).background_model.spectral_model.norm.value
    return found


def counts_in_64_bits(geom, run):
    """Counts with the directions of the events cast to 64 bits first."""
    table = run.events.table.copy()
    for name in ("RA", "DEC"):
        table[name] = table[name].astype("f8")
    counts = Map.from_geom(geom)
    counts.fill_events(EventList(table))
    return counts.data


def reduce(recipe, data):
    """Seconds that the reduction and stacking take."""
    start = time.perf_counter()
    stacked, makers, runs = prepare(recipe, data)
    for run in runs:
        dataset = cutout(stacked, recipe, run)
        for maker in makers:
            dataset = maker.run(dataset, run)
        stacked.stack(dataset)
    return time.perf_counter() - start


def main(folder):
    """All recipes."""
    given = json.loads(Path(folder, "recipes.json").read_text())
    data = Path(given["data"])
    for name, recipe in given["recipes"].items():
        image, makers, runs = prepare(recipe, data)
        told = {f"{run.obs_id}/{key}": v for run in runs for key, v in tell(recipe, makers, image, run).items()}
        np.savez(Path(folder, f"{name}.npz"), seconds=reduce(recipe, data), **told)


if __name__ == "__main__":
    main(*sys.argv[1:])
