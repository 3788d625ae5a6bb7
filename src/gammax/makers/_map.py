"""From events and responses of one observation to a cube."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gammax.data import Observation
from gammax.datasets import MapDataset
from gammax.errors import DataValueError, GammaxWarning, GeometryError, SchemaError, did_you_mean
from gammax.irf import EDispMap, PSFMap
from gammax.makers._background_map import make_map_background
from gammax.makers._irf_maps import (
    make_edisp_kernel_map,
    make_edisp_map,
    make_map_exposure_true_energy,
    make_psf_map,
)
from gammax.makers._responses import require
from gammax.makers._spectrum import meta_table
from gammax.maps import WcsNDMap
from gammax.units import to_value

PARTS = ("counts", "exposure", "background", "psf", "edisp")


@dataclass(frozen=True)
class MapDatasetMaker:
    """Counts, exposure, background, PSF and energy dispersion of one observation in the pixels of an image.

    Parameters
    ----------
    selection : parts to make, of "counts", "exposure", "background", "psf" and "edisp"; all unless given. The others
        are left out of the dataset, but counts, which are 0.
    background_oversampling : parts of each energy bin (equal in ln E) at whose edges the background rate is taken. One,
        the peer's rule, is 1 to 2 % off where the rate falls as a power law and tens of percent at its threshold.
    fov_rotation_step : largest angle by which the sky turns in the field of view of a background that is aligned with
        the horizon ("ALTAZ") from one time at which it is looked at to the next; bare numbers are degrees.

    Raises
    ------
    SchemaError : a part that there is not. DataValueError : no positive number of parts, no positive angle.
    """

    selection: Sequence[str] | None = None
    background_oversampling: int = 1
    fov_rotation_step: Any = "1 deg"

    def __post_init__(self):
        selection = PARTS if self.selection is None else tuple(self.selection)
        for name in selection:
            if name not in PARTS:
                raise SchemaError("GX-MAKERS-080", f"unknown part {name!r}", do=did_you_mean(name, PARTS))
        oversampling, step = self.background_oversampling, self.fov_rotation_step
        step = float(step if isinstance(step, int | float) else to_value(step, "deg", "fov_rotation_step"))
        if not (isinstance(oversampling, int) and oversampling >= 1 and step > 0):
            raise DataValueError(
                "GX-MAKERS-081",
                "background_oversampling or fov_rotation_step is none",
                found=f"{oversampling!r}, {step:g} deg",
                expected="1 or more parts, more than 0 deg",
            )
        object.__setattr__(self, "selection", selection)
        object.__setattr__(self, "fov_rotation_step", step)

    def run(self, dataset: MapDataset, observation: Observation) -> MapDataset:
        """Dataset of the observation, on the pixels, axes and with the name of `dataset`; mask_safe holds all bins.

        Raises
        ------
        SchemaError : events or a response are missing. GeometryError : the dataset is of a region, or its responses
            are on axes that no response of an observation has.
        """
        geom = dataset.geom
        if not isinstance(dataset.counts, WcsNDMap):
            raise GeometryError("GX-MAKERS-083", "a cube needs an image", found=geom, do="use SpectrumDatasetMaker")
        changes: dict[str, Any] = dict.fromkeys(PARTS) | {"counts": WcsNDMap(geom)}
        if "counts" in self.selection:
            changes["counts"] = _counts(geom, observation)
        for part, make in {"exposure": _exposure, "psf": _psf, "edisp": _edisp}.items():
            if part in self.selection:
                changes[part] = make(dataset, observation)
        if "background" in self.selection:
            changes["background"] = make_map_background(
                observation, geom, self.background_oversampling, self.fov_rotation_step
            )
        return dataset.replace(
            mask_safe=WcsNDMap(geom, np.ones(geom.data_shape, bool)),
            livetime=float(observation.livetime.to_value("s")),
            gti=observation.gti.table,
            meta_table=meta_table(observation),
            **changes,
        )


def _counts(geom: Any, observation: Observation) -> WcsNDMap:
    events = observation.events
    if not len(events):
        warnings.warn(f"observation {observation.obs_id} has no events", GammaxWarning, stacklevel=4)
    return WcsNDMap(geom).fill_events(events)


def _exposure(dataset: MapDataset, observation: Observation) -> Any:
    return _exposure_on(_part(dataset, "exposure").geom, observation)


def _exposure_on(geom: Any, observation: Observation) -> Any:
    aeff = require(observation, "aeff", "leave exposure, psf and edisp out of the selection")
    return make_map_exposure_true_energy(observation.get_pointing_icrs(), observation.livetime, aeff, geom)


def _psf(dataset: MapDataset, observation: Observation) -> PSFMap:
    psf = require(observation, "psf", "leave psf out of the selection")
    reference = _part(dataset, "psf")
    if "energy_true" not in reference.geom.axes:
        raise GeometryError(
            "GX-MAKERS-084",
            "the PSF of an observation is over true energy",
            found=type(reference).__name__,
            do="MapDataset.create(reco_psf=False)",
        )
    exposure = _exposure_on(reference.geom.squash("rad"), observation)
    return make_psf_map(psf, observation.get_pointing_icrs(), reference.geom, exposure)


def _edisp(dataset: MapDataset, observation: Observation) -> Any:
    edisp = require(observation, "edisp", "leave edisp out of the selection")
    reference = _part(dataset, "edisp")
    axis, make = ("migra", make_edisp_map) if isinstance(reference, EDispMap) else ("energy", make_edisp_kernel_map)
    exposure = _exposure_on(reference.geom.squash(axis), observation)
    return make(edisp, observation.get_pointing_icrs(), reference.geom, exposure)


def _part(dataset: MapDataset, name: str) -> Any:
    part = getattr(dataset, name)
    if part is None:
        raise SchemaError(
            "GX-MAKERS-085",
            f"the dataset has no {name}, so no axes for it",
            dataset=dataset.name,
            do=f"MapDataset.create, or leave {name} out of the selection",
        )
    return part
