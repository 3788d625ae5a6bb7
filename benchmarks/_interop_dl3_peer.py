"""The peer's side of _interop_dl3.py, in the peer's environment: ``_interop_dl3_peer.py FOLDER OUT.npz``.

FOLDER has ``recipes.json`` and gammax's files in ``gammax/``; the peer's go to ``peer/``. Arrays are named
``set/files/what``, the files being those of the set ("original") or those that gammax has written of them ("gammax").
"""

import json
import sys
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from gammapy.data import DataStore, Observation
from gammapy.datasets import SpectrumDataset
from gammapy.makers import ReflectedRegionsBackgroundMaker, SafeMaskMaker, SpectrumDatasetMaker
from gammapy.maps import MapAxis, RegionGeom
from gammapy.modeling.models import PowerLawSpectralModel, SkyModel
from regions import CircleSkyRegion


def tell(recipe, runs):
    """What the reduction of a set gives, as arrays by name."""
    spectral = PowerLawSpectralModel(
        index=recipe["index"], amplitude=recipe["amplitude"] * u.Unit("cm-2 s-1 TeV-1"), reference=1 * u.TeV
    )
    lists = {}
    for run in runs:
        dataset = reduce_one(recipe, run)
        livetime = dataset.exposure.meta["livetime"].to_value("s")
        dataset.models = [SkyModel(spectral_model=spectral, name="source")]
        found = {
            **{name: getattr(dataset, name).data.ravel() for name in ("counts", "counts_off", "acceptance_off")},
            "mask": dataset.mask_safe.data.ravel(),
            "exposure": dataset.exposure.quantity.to_value("m2 s").ravel(),
            "edisp": dataset.edisp.get_edisp_kernel().pdf_matrix,
            "livetime": livetime,
            "statistic": dataset.stat_sum(),
        }
        for name, values in found.items():
            lists.setdefault(name, []).append(values)
    return {name: np.array(values, float) for name, values in lists.items()}


def reduce_one(recipe, run):
    """Spectrum of one observation."""
    low, high, n = recipe["energy"]
    energy = MapAxis.from_energy_bounds(low, high, nbin=n, unit="TeV")
    low, high, n = recipe["energy_true"]
    true = MapAxis.from_energy_bounds(low, high, nbin=n, unit="TeV", name="energy_true")
    region = CircleSkyRegion(SkyCoord(*recipe["center"], unit="deg"), recipe["radius"] * u.deg)
    geom = RegionGeom.create(region=region, axes=[energy])
    dataset = SpectrumDataset.create(geom=geom, energy_axis_true=true, name=str(run.obs_id))
    for maker in (
        SpectrumDatasetMaker(containment_correction=True, selection=["counts", "exposure", "edisp"]),
        ReflectedRegionsBackgroundMaker(),
        SafeMaskMaker(methods=recipe["methods"], aeff_percent=10),
    ):
        dataset = maker.run(dataset, run)
    return dataset


def main(folder, out):
    """Reduce and write all sets."""
    folder, told = Path(folder), {}
    for name, recipe in json.loads((folder / "recipes.json").read_text()).items():
        store = DataStore.from_dir(recipe["folder"])
        runs = store.get_observations(recipe["obs_ids"], required_irf=["aeff", "edisp", "psf"])
        given = [Observation.read(folder / "gammax" / name / f"{number}.fits") for number in recipe["obs_ids"]]
        for files, chosen in (("original", runs), ("gammax", given)):
            told |= {f"{name}/{files}/{what}": values for what, values in tell(recipe, chosen).items()}
        (folder / "peer" / name).mkdir(parents=True)
        for run in runs:
            run.write(folder / "peer" / name / f"{run.obs_id}.fits")
    np.savez(out, **told)


if __name__ == "__main__":
    main(*sys.argv[1:])
