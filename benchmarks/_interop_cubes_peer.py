"""The peer's side of _interop_cubes.py, in the peer's environment: ``_interop_cubes_peer.py FOLDER OUT.npz``.

FOLDER has ``given.json`` and gammax's files of the cubes; the peer's one of the cube with ON and OFF counts goes to
``peer.fits``. Arrays are named ``cube/original/what`` (from the peer's file) and ``cube/again/what`` (from gammax's).
"""

import json
import sys
from pathlib import Path

import numpy as np
from _interop_maps_peer import source
from gammapy.datasets import Datasets, MapDataset, MapDatasetOnOff


def tell(cube):
    """Arrays by label."""
    axes = {"energy": cube.counts.geom.axes["energy"], "energy_true": cube.exposure.geom.axes["energy_true"]}
    told = {f"{name} edges": axis.edges.to_value("TeV") for name, axis in axes.items()}
    names = ("counts", "counts_off", "acceptance", "acceptance_off")
    maps = {name: getattr(cube, name, None) for name in names}
    if not isinstance(cube, MapDatasetOnOff):
        maps["background"] = cube.background
    maps |= {"safe/mask": cube.mask_safe, "fit/mask": cube.mask_fit}
    told |= {name: item.data for name, item in maps.items() if item is not None}
    told |= {
        "exposure": cube.exposure.quantity.to_value("m2 s"),
        "psf": cube.psf.psf_map.quantity.to_value("sr-1"),
        "edisp": cube.edisp.edisp_map.data,
        "psf/exposure": cube.psf.exposure_map.quantity.to_value("m2 s"),
        "edisp/exposure": cube.edisp.exposure_map.quantity.to_value("m2 s"),
    }
    return told


def predict(cube, given):
    """Prediction and statistic of a source in the middle."""
    cube.models = [source(given, cube.counts.geom)]
    return {"npred": cube.npred().data, "statistic": cube.stat_sum()}


def main(folder, out):
    """All cubes."""
    folder, told = Path(folder), {}
    given = json.loads((folder / "given.json").read_text())
    for name, where in given["cubes"].items():
        both = {
            "original": Datasets.read(Path(where, "datasets.yaml"))[0],
            "again": MapDataset.read(folder / f"{name}.fits"),
        }
        for which, cube in both.items():
            found = {**tell(cube), **predict(cube, given["source"])}
            told |= {f"{name}/{which}/{what}": np.ravel(values).astype(float) for what, values in found.items()}
    cube = MapDatasetOnOff.read(folder / f"{given['onoff']}.fits")
    told |= {f"onoff/{what}": np.ravel(values).astype(float) for what, values in tell(cube).items()}
    cube.write(folder / "peer.fits")
    np.savez(out, **told)


if __name__ == "__main__":
    main(*sys.argv[1:])
