"""Reduced cubes handed to and fro: gammax's side, and the comparison.

The peer's cubes of H.E.S.S., CTA 1DC and Fermi-LAT are read as they are and written anew; from these files the peer
predicts what it predicts from its own. So is a cube whose background is measured, in both directions. What was read is
told as arrays by label, the same on both sides.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from _interop_compare import exchange_row, under

from gammax.datasets import Datasets, MapDatasetOnOff

CUBES = {"w02 a1": "w02_a1", "w02 a2": "w02_a2", "w03": "w03_stacked", "w04": "w04"}
# amplitude in cm-2 s-1 TeV-1
SOURCE: dict[str, Any] = {"index": 2.3, "amplitude": 1e-11, "sigma": "0.1 deg"}
PREDICTED = ("npred", "statistic")
MEASURED = ("counts_off", "acceptance", "acceptance_off")
ON_OFF = "w02 a2, ON and OFF"


def exchange(peer: Path, reduced: Path, folder: Path) -> list[dict[str, Any]]:
    """Rows of all cubes; files of both sides are left in a folder.

    Parameters
    ----------
    peer : Python of the peer. reduced : folder of the peer's cubes.
    """
    folder.mkdir(parents=True)
    cubes = {name: Datasets.read(reduced / where / "datasets.yaml")[0] for name, where in CUBES.items()}
    onoff = with_measured_background(cubes["w02 a2"])
    for name, cube in {**cubes, ON_OFF: onoff}.items():
        cube.write(folder / f"{name}.fits")
    files = {name: str(reduced / where) for name, where in CUBES.items()}
    (folder / "given.json").write_text(json.dumps({"cubes": files, "source": SOURCE, "onoff": ON_OFF}))
    out, script = folder / "told.npz", Path(__file__).with_name("_interop_cubes_peer.py")
    subprocess.run(list(map(str, [peer, "-W", "ignore", script, folder, out])), check=True)
    there, rows = dict(np.load(out)), []
    for name, cube in cubes.items():
        original, again = (under(f"{name}/{which}/", there) for which in ("original", "again"))
        bare = {label: values for label, values in original.items() if label not in PREDICTED}
        rows += [
            exchange_row(f"cube {name}", "Gammapy", "gammax", bare, tell(cube)),
            exchange_row(f"cube {name}, written anew", "gammax", "Gammapy", original, again),
        ]
    told, label = tell(onoff), f"cube {ON_OFF}"
    rows += [
        exchange_row(label, "gammax", "Gammapy", told, under("onoff/", there)),
        exchange_row(label, "Gammapy", "gammax", told, tell(MapDatasetOnOff.read(folder / "peer.fits"))),
    ]
    return rows


def tell(cube: Any) -> dict[str, np.ndarray]:
    """Arrays by label."""
    energies = {name: axis.edges_value("TeV") for name, axis in _axes(cube).items()}
    parts = ("counts", *MEASURED) if isinstance(cube, MapDatasetOnOff) else ("counts", "background")
    maps = {name: getattr(cube, name) for name in parts}
    masks = {"safe/mask": cube.mask_safe, "fit/mask": cube.mask_fit}
    told = {name: item.data for name, item in {**maps, **masks}.items() if item is not None}
    told |= {
        **{f"{name} edges": values for name, values in energies.items()},
        "exposure": cube.exposure.values("m2 s"),
        "psf": cube.psf.psf_map.values("sr-1"),
        "edisp": cube.edisp.edisp_map.data,
        "psf/exposure": cube.psf.exposure_map.values("m2 s"),
        "edisp/exposure": cube.edisp.exposure_map.values("m2 s"),
    }
    return {label: np.ravel(values).astype(float) for label, values in told.items()}


def _axes(cube: Any) -> dict[str, Any]:
    return {"energy": cube.counts.geom.axes["energy"], "energy_true": cube.exposure.geom.axes["energy_true"]}


def with_measured_background(cube: Any) -> MapDatasetOnOff:
    """Cube with OFF counts, those of its mirror image, from three times the acceptance."""
    acceptance = np.linspace(0.5, 1.0, cube.counts.data.size).reshape(cube.counts.data.shape)
    return MapDatasetOnOff(
        name=cube.name,
        counts=cube.counts,
        counts_off=cube.counts.replace(data=np.ascontiguousarray(cube.counts.data[:, ::-1])),
        acceptance=cube.counts.replace(data=acceptance),
        acceptance_off=cube.counts.replace(data=3 * acceptance),
        exposure=cube.exposure,
        psf=cube.psf,
        edisp=cube.edisp,
        mask_safe=cube.mask_safe,
        mask_fit=cube.mask_fit,
        gti=cube.gti,
        meta_table=cube.meta_table,
        livetime=cube.livetime,
    )
