"""The peer's side of _interop_maps.py, in the peer's environment: ``_interop_maps_peer.py FOLDER``.

FOLDER has ``recipes.json`` and gammax's cubes as ``<recipe>/<obs_id>.fits``; for each recipe arrays go to
``<recipe>.npz`` as ``obs_id/what``, and the seconds of one reduction with stacking; ``spectra.npz`` is of spectra.
"""

import json
import sys
import time
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from gammapy.data import DataStore, EventList
from gammapy.datasets import Datasets, MapDataset
from gammapy.makers import FoVBackgroundMaker, MapDatasetMaker, SafeMaskMaker
from gammapy.maps import Map, MapAxis, WcsGeom
from gammapy.modeling.models import GaussianSpatialModel, PowerLawSpectralModel, SkyModel
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


def source(given, geom=None):
    """The source in the middle of an image, or that of spectra."""
    flux = given["amplitude"] * u.Unit("cm-2 s-1 TeV-1")
    spectrum = PowerLawSpectralModel(index=given["index"], amplitude=flux, reference=1 * u.TeV)
    shape = None
    if geom is not None:
        center = geom.center_skydir.spherical
        shape = GaussianSpatialModel(lon_0=center.lon, lat_0=center.lat, sigma=given["sigma"], frame=geom.frame)
    return SkyModel(spectral_model=spectrum, spatial_model=shape, name="source")


def predict(dataset, model):
    """Signal without the model of the background."""
    dataset.models = [model]
    found = dataset.npred_signal().data
    dataset.models = None
    return found


def by_energy(dataset, model):
    """Signal inside the mask, summed over pixels."""
    return (dataset.mask.data * predict(dataset, model)).sum(axis=(1, 2), dtype=float)


def tell(recipe, makers, image, run, model, path):
    """Arrays of one run; `path` is gammax's file of it."""
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
        "npred": predict(dataset, model),
        "npred read": predict(MapDataset.read(path), model),
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


def reduce(recipe, data, model):
    """Seconds that the reduction and stacking take; signal of the stack and summed signals of the runs, by energy."""
    start = time.perf_counter()
    stacked, makers, runs = prepare(recipe, data)
    kept = []
    for run in runs:
        dataset = cutout(stacked, recipe, run)
        for maker in makers:
            dataset = maker.run(dataset, run)
        kept.append(dataset)
        stacked.stack(dataset)
    seconds = time.perf_counter() - start
    single = sum(by_energy(dataset, model) for dataset in kept)
    return {"seconds": seconds, "stacked": by_energy(stacked, model), "single": single}


def stack_spectra(path, model):
    """The same of spectra."""
    datasets = Datasets.read(path)
    return {"single": sum(by_energy(dataset, model) for dataset in datasets),
            "stacked": by_energy(datasets.stack_reduce(), model)}  # fmt: skip


def main(folder):
    """All recipes."""
    given = json.loads(Path(folder, "recipes.json").read_text())
    data = Path(given["data"])
    for name, recipe in given["recipes"].items():
        image, makers, runs = prepare(recipe, data)
        model, told = source(given["source"], image.counts.geom), {}
        for run in runs:
            path = Path(folder, name, f"{run.obs_id}.fits")
            told |= {f"{run.obs_id}/{k}": v for k, v in tell(recipe, makers, image, run, model, path).items()}
        np.savez(Path(folder, f"{name}.npz"), **reduce(recipe, data, model), **told)
    path = Path(given["spectra"], "datasets.yaml")
    np.savez(Path(folder, "spectra.npz"), **stack_spectra(path, source(given["source"])))


if __name__ == "__main__":
    main(*sys.argv[1:])
