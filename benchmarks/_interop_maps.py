"""Cubes of single runs, reduced by both sides from the same event files: gammax's side.

Recipes w02 (H.E.S.S., Crab; two configurations, and one with thresholds) and w03 (CTA 1DC, galactic centre). Of what
differs, the peer's error:

- Directions of 32 bits (CTA 1DC) the peer turns into galactic ones in 32 bits, which moves events by up to 1e-3 pixels.
  Proof: with the same columns cast to 64 bits it counts what gammax counts (column "counts"); as they come
  ("counts, 32 bits") some events are in the neighbouring pixel.
- Cells of the PSF table without a PSF (CTA 1DC, beyond 3.5 deg below 1 TeV): the peer takes a width of 1 deg for them,
  gammax the nearest cell that holds one. Proof: closer to the pointing ("PSF") nothing differs.
- The norm that minimises cash is counts / background; the peer's minimiser stops up to 1e-4 from it ("norm to counts /
  background", of the peer), gammax gives it to the last digits.
- The peer stacks runs of different thresholds so that the stack does not predict what the runs do: cubes are 16 % off
  ("w02 thresholds"; in one bin by a factor of two), spectra 0.2 %. Proof: its own predictions, before and after
  ("Gammapy" among the stacks). Where all bins are in all masks its cubes are stacked as well as gammax's.

gammax's runs are written, and the peer predicts from these files what it predicts from its own reduction ("npred from
files", of the largest bin: at the rim of the PSF it cuts one pixel more or less, by the last digit of a containment).
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from regions import CircleSkyRegion

from gammax.data import DataStore
from gammax.datasets import Datasets, MapDataset
from gammax.makers import DatasetsMaker, FoVBackgroundMaker, MapDatasetMaker, SafeMaskMaker
from gammax.maps import MapAxis, WcsGeom, WcsNDMap
from gammax.models import GaussianSpatialModel, Models, PowerLawSpectralModel, SkyModel

BAR, EDISP_BAR, STACK_BAR, SPECTRA_BAR, NORM_BAR = 1e-5, 1e-6, 1e-3, 1e-10, 1e-3
RELATIVE = ("exposure", "background", "PSF", "exposures of responses", "npred from files")
FULL_PSF = 3.5  # deg: nearer to the pointing all cells hold a PSF
# in the middle of the image; amplitude in cm-2 s-1 TeV-1
SOURCE: dict[str, Any] = {"index": 2.3, "amplitude": 1e-11, "sigma": "0.1 deg"}
HESS = {
    "folder": "hess-dl3-dr1",
    "obs_ids": [23523, 23526, 23559, 23592],
    "image": {"skydir": (83.633, 22.014), "binsz": 0.02, "width": (2, 2), "frame": "icrs", "proj": "CAR"},
    "cutout": 5.0,
}
CTA = {
    "folder": "cta-1dc/index/gps",
    "obs_ids": [110380, 111140, 111159],
    "image": {"skydir": (0, 0), "binsz": 0.02, "width": (10, 8), "frame": "galactic", "proj": "CAR"},
    "cutout": 7.0,
}
RECIPES: dict[str, dict[str, Any]] = {
    "w02 a1": {
        **HESS,
        "energy": (1, 10, 10),
        "energy_true": (0.5, 20, 20),
        "safe": {"methods": ["aeff-default"]},
        "background": "scale",
        "exclusion": "joint-crab/exclusion/exclusion_mask_crab.fits.gz",
    },
    "w02 a2": {
        **HESS,
        "energy": (1, 10, 4),
        "energy_true": (0.5, 20, 10),
        "safe": {"methods": ["offset-max", "aeff-max"], "offset_max": 2.5},
        "background": "fit",
        "exclusion": (83.63, 22.14, 0.2),
    },
    # the runs have different thresholds within the axis
    "w02 thresholds": {
        **HESS,
        "energy": (0.4, 20, 12),
        "energy_true": (0.2, 40, 24),
        "safe": {"methods": ["aeff-default"]},
        "background": None,
        "exclusion": None,
    },
    "w03": {
        **CTA,
        "energy": (0.1, 10, 10),
        "energy_true": (0.08, 12, 14),
        "safe": {"methods": ["aeff-default", "offset-max"], "offset_max": 3.5},
        "background": None,
        "exclusion": None,
    },
}


def notes() -> list[str]:
    """What differs by an error of the peer, with the proof: the list in the text of this module."""
    items = (__doc__ or "").split("\n- ")[1:]
    return [" ".join(item.partition("\n\n")[0].split()) for item in items]


def compare(peer: Path, data: Path, spectra: Path, folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of all runs and of all stacks; files of both sides are left in a folder.

    Parameters
    ----------
    peer : Python of the peer. data : folder of the event files. spectra : reduced spectra, to be stacked.
    """
    ours = {name: reduce_runs(recipe, data) for name, recipe in RECIPES.items()}
    for name, runs in ours.items():
        (folder / name).mkdir(parents=True)
        for dataset, _ in runs:
            dataset.write(folder / name / f"{dataset.name}.fits")
    given = {"data": str(data), "spectra": str(spectra), "recipes": RECIPES, "source": SOURCE}
    (folder / "recipes.json").write_text(json.dumps(given))
    script = Path(__file__).with_name("_interop_maps_peer.py")
    subprocess.run(list(map(str, [peer, "-W", "ignore", script, folder])), check=True)
    rows, stacks = [], []
    for name, recipe in RECIPES.items():
        theirs = dict(np.load(folder / f"{name}.npz"))
        for dataset, pointing in ours[name]:
            there = {key.partition("/")[2]: v for key, v in theirs.items() if key.startswith(f"{dataset.name}/")}
            rows.append(_row(f"{name}, {dataset.name}", dataset, pointing, there))
        stacks.append(_stack_row(name, recipe, data, [dataset for dataset, _ in ours[name]], theirs))
    return rows, [*stacks, _spectra_row(spectra, dict(np.load(folder / "spectra.npz")))]


def reduce_runs(recipe: dict[str, Any], data: Path) -> list[tuple[MapDataset, SkyCoord]]:
    """Dataset and pointing of each run of a recipe."""
    image, makers, runs = prepare(recipe, data)
    found = []
    for run in runs:
        pointing = run.get_pointing_icrs()
        dataset: Any = image.cutout(pointing, recipe["cutout"] * u.deg).replace(name=str(run.obs_id))
        for maker in makers:
            dataset = maker.run(dataset, run)
        found.append((dataset, pointing))
    return found


def prepare(recipe: dict[str, Any], data: Path) -> tuple[MapDataset, list[Any], Any]:
    """Empty dataset, makers and observations of a recipe."""
    axes = {name: MapAxis.from_energy_bounds(*(e * u.TeV for e in recipe[name][:2]), nbin=recipe[name][2], name=name)
            for name in ("energy", "energy_true")}  # fmt: skip
    geom = WcsGeom.create(**recipe["image"], axes=[axes["energy"]])
    makers: list[Any] = [MapDatasetMaker(), SafeMaskMaker(**recipe["safe"])]
    if recipe["background"]:
        makers.append(FoVBackgroundMaker(recipe["background"], _exclusion(recipe["exclusion"], geom, data)))
    runs = DataStore.from_dir(data / recipe["folder"]).get_observations(recipe["obs_ids"])
    return MapDataset.create(geom, axes["energy_true"]), makers, runs


def _exclusion(what: Any, geom: WcsGeom, data: Path) -> WcsNDMap:
    if isinstance(what, str):
        return WcsNDMap.read(data / what, mask=True)
    lon, lat, radius = what
    return geom.region_mask([CircleSkyRegion(SkyCoord(lon, lat, unit="deg"), radius * u.deg)], inside=False)


def _row(name: str, dataset: MapDataset, pointing: SkyCoord, there: dict[str, np.ndarray]) -> dict[str, Any]:
    """Differences of one run: bins of counts and masks, relative ones of maps, absolute ones of energy dispersion.

    Relative to the value, or to 1e-12 of the largest where that is more.
    """
    norm = dataset.meta.get("fov_background", {}).get("norm", 1.0)
    full = dataset.psf.geom.separation(pointing).to_value("deg") < FULL_PSF
    psf = dataset.psf.psf_map.values("sr-1")
    row = {
        "run": name,
        "counts": int(np.abs(dataset.counts.data - there["counts64"]).sum()),
        "counts, 32 bits": int(np.abs(dataset.counts.data - there["counts"]).sum()),
        "masks": int(np.sum(dataset.mask_safe.data != there["mask"])),
        "exposure": _relative(dataset.exposure.values("m2 s"), there["exposure"]),
        "background": _relative(dataset.background.data / norm, there["background"]),
        "PSF": _relative(psf[..., full], there["psf"][..., full]),
        "PSF, empty cells": float(np.abs(psf - there["psf"]).max() / there["psf"].max()),
        "EDISP, absolute": float(np.abs(dataset.edisp.edisp_map.data - there["edisp"]).max()),
        "exposures of responses": max(
            _relative(dataset.psf.exposure_map.values("m2 s"), there["psf_exposure"]),
            _relative(dataset.edisp.exposure_map.values("m2 s"), there["edisp_exposure"]),
        ),
        "npred from files": _relative(there["npred read"], there["npred"], floor=1.0),
        "norm": abs(norm / float(there["norm"]) - 1),
        "norm to counts / background": abs(float(there["norm"] / there["ratio"]) - 1),
    }
    met = row["counts"] == row["masks"] == 0 and row["EDISP, absolute"] <= EDISP_BAR and row["norm"] <= NORM_BAR
    met &= all(
        row[part] <= BAR for part in ("exposure", "background", "PSF", "exposures of responses", "npred from files")
    )
    return row | {"bar": f"{BAR:g}: {'met' if met else 'MISSED'}"}


def _relative(here: np.ndarray, there: np.ndarray, floor: float = 1e-12) -> float:
    if here.shape != there.shape:
        return np.inf
    scale = np.maximum(np.abs(there), floor * np.abs(there).max())
    return float(np.max(np.abs(here - there) / scale, initial=0.0))


def _stack_row(name: str, recipe: dict[str, Any], data: Path, kept: list[Any], there: dict) -> dict[str, Any]:
    """How far the prediction of the stack is from the sum of the masked ones, and the time of one reduction.

    The responses have pixels of 0.2 deg, in which runs that are seen under different angles change their shares.
    """
    start = time.perf_counter()
    image, makers, runs = prepare(recipe, data)
    (stacked,) = DatasetsMaker(makers, cutout_width=recipe["cutout"] * u.deg).run(image, runs)
    needed = time.perf_counter() - start
    center = stacked.geom.center_skydir
    shape = GaussianSpatialModel(
        lon_0=center.spherical.lon, lat_0=center.spherical.lat, sigma=SOURCE["sigma"], frame=stacked.geom.frame
    )
    source = Models(SkyModel(_power_law(), "source", spatial_model=shape))
    single = np.sum([np.sum(d.mask * d.npred_signal(source).data, axis=(1, 2)) for d in kept], axis=0)
    whole = np.sum(stacked.mask * stacked.npred_signal(source).data, axis=(1, 2))
    return {
        **_conserved(name, (whole, single), (there["stacked"], there["single"]), STACK_BAR),
        "gammax [s]": needed,
        "Gammapy [s]": float(there["seconds"]),
    }


def _spectra_row(folder: Path, there: dict[str, np.ndarray]) -> dict[str, Any]:
    """The same of four spectra with different thresholds."""
    datasets, source = Datasets.read(folder / "datasets.yaml"), Models(SkyModel(_power_law(), "source"))
    single = np.sum([d.mask * d.npred_signal(source).values() for d in datasets], axis=0)
    stacked = datasets.stack_reduce()
    whole = stacked.mask * stacked.npred_signal(source).values()
    both = (whole, single), (there["stacked"], there["single"])
    return {**_conserved("w01, spectra", *both, SPECTRA_BAR), "gammax [s]": None, "Gammapy [s]": None}


def _conserved(name: str, here: tuple[Any, Any], there: tuple[Any, Any], bar: float) -> dict[str, Any]:
    """How far the first of each pair, counts by energy, is from the second."""
    total, theirs = (float(abs(whole.sum() / single.sum() - 1)) for whole, single in (here, there))
    return {
        "stack": name,
        "npred": total,
        "npred, largest of energy bins": _relative(*here),
        "Gammapy": theirs,
        "Gammapy, largest of energy bins": _relative(*there),
        "bar": f"{bar:g}: {'met' if total <= bar else 'MISSED'}",
    }


def _power_law() -> PowerLawSpectralModel:
    return PowerLawSpectralModel(index=SOURCE["index"], amplitude=f"{SOURCE['amplitude']!r} cm-2 s-1 TeV-1")
