"""Event files handed to and fro: gammax's side.

For each set of observations both sides reduce the files as they are, write every observation anew, and reduce what the
other has written. The recipes go to the peer as JSON.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from _interop_compare import exchange_row, under
from astropy.coordinates import SkyCoord
from regions import CircleSkyRegion

from gammax.data import DataStore, Observation
from gammax.datasets import SpectrumDataset
from gammax.makers import ReflectedRegionsBackgroundMaker, SafeMaskMaker, SpectrumDatasetMaker
from gammax.maps import MapAxis, RegionGeom
from gammax.models import Models, PowerLawSpectralModel, SkyModel
from gammax.simulate import copy_demo

COMMON = {"center": (83.63, 22.01), "radius": 0.11, "index": 2.6, "amplitude": 3.8e-11}


def recipes(demo: Path, hess: Path) -> dict[str, dict[str, Any]]:
    """Sets of observations: the demo, copied into a folder, and four H.E.S.S. runs; energies as (min, max, bins)."""
    return {
        "demo": {
            **COMMON,
            "written by": "gammax",
            "folder": str(copy_demo(demo)),
            "obs_ids": DataStore.from_dir(demo).obs_ids,
            "energy": (0.3, 50, 20),
            "energy_true": (0.1, 100, 60),
            "methods": ["aeff-default"],
        },
        "H.E.S.S.": {
            **COMMON,
            "written by": "H.E.S.S.",
            "folder": str(hess),
            "obs_ids": [23523, 23526, 23559, 23592],
            "energy": (0.1, 40, 26),
            "energy_true": (0.05, 100, 66),
            "methods": ["aeff-max"],
        },
    }


def observations(recipe: dict[str, Any]) -> Iterable[Observation]:
    """The observations of a set as they are, with nothing read."""
    return DataStore.from_dir(recipe["folder"]).get_observations(recipe["obs_ids"], ["aeff", "edisp", "psf"])


def tell(recipe: dict[str, Any], runs: Iterable[Observation]) -> dict[str, np.ndarray]:
    """What the reduction of a set gives, as arrays by name: one row for each observation."""
    lists: dict[str, list[Any]] = {}
    for run in runs:
        dataset = reduce_one(recipe, run)
        model = PowerLawSpectralModel(index=recipe["index"], amplitude=f"{recipe['amplitude']!r} cm-2 s-1 TeV-1")
        found = {
            **{name: getattr(dataset, name).values() for name in ("counts", "counts_off", "acceptance_off")},
            "mask": dataset.mask_safe.values(),
            "exposure": dataset.exposure.values("m2 s"),
            "edisp": dataset.edisp.pdf_matrix,
            "livetime": dataset.livetime,
            "statistic": dataset.stat_sum(Models(SkyModel(model, "source"))),
        }
        for name, values in found.items():
            lists.setdefault(name, []).append(values)
    return {name: np.array(values, dtype=np.float64) for name, values in lists.items()}


def reduce_one(recipe: dict[str, Any], run: Observation) -> Any:
    """Spectrum of one observation."""
    low, high, n = recipe["energy"]
    energy = MapAxis.from_energy_bounds(low * u.TeV, high * u.TeV, nbin=n)
    low, high, n = recipe["energy_true"]
    true = MapAxis.from_energy_bounds(low * u.TeV, high * u.TeV, nbin=n, name="energy_true")
    region = CircleSkyRegion(SkyCoord(*recipe["center"], unit="deg"), recipe["radius"] * u.deg)
    dataset: Any = SpectrumDataset.create(RegionGeom.create(region, energy), true, str(run.obs_id))
    for maker in (
        SpectrumDatasetMaker(containment_correction=True),
        ReflectedRegionsBackgroundMaker(),
        SafeMaskMaker(methods=recipe["methods"], aeff_percent=10),
    ):
        dataset = maker.run(dataset, run)
    return dataset


def write(runs: Iterable[Observation], folder: Path) -> None:
    """One file for each observation."""
    folder.mkdir(parents=True)
    for run in runs:
        run.write(folder / f"{run.obs_id}.fits")


def written(recipe: dict[str, Any], folder: Path) -> Iterable[Observation]:
    """The observations of a set, from files of one observation each."""
    return [Observation.read(folder / f"{number}.fits") for number in recipe["obs_ids"]]


def exchange(peer: Path, hess: Path, folder: Path) -> list[dict[str, Any]]:
    """Rows of the files as they are and of both directions; files of both sides are left in a folder."""
    sets = recipes(folder / "demo", hess)
    for name, recipe in sets.items():
        write(observations(recipe), folder / "gammax" / name)
    (folder / "recipes.json").write_text(json.dumps(sets))
    out, script = folder / "told.npz", Path(__file__).with_name("_interop_dl3_peer.py")
    subprocess.run(list(map(str, [peer, "-W", "ignore", script, folder, out])), check=True)
    there, rows = dict(np.load(out)), []
    for name, recipe in sets.items():
        theirs, ours = under(f"{name}/original/", there), tell(recipe, observations(recipe))
        read_there = under(f"{name}/gammax/", there)
        read_here = tell(recipe, written(recipe, folder / "peer" / name))
        rows += [
            exchange_row(f"DL3: {name}, as it is", recipe["written by"], "both", theirs, ours),
            exchange_row(f"DL3: {name}, written anew", "gammax", "Gammapy", ours, read_there),
            exchange_row(f"DL3: {name}, written anew", "Gammapy", "gammax", theirs, read_here),
        ]
    return rows
