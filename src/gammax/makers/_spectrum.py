"""From events and responses of one observation to the spectrum of a region."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table

from gammax.data import Observation
from gammax.datasets import SpectrumDataset
from gammax.errors import DataValueError, GammaxWarning, SchemaError, did_you_mean
from gammax.irf import PSFMap
from gammax.irf._psf_map import rad_axis_default
from gammax.makers._background import background_counts
from gammax.makers._counts import counts_in_cuts, counts_in_region, directional_cut
from gammax.makers._irf_maps import make_map_exposure_true_energy, make_psf_map
from gammax.makers._responses import containment, dispersion, effective_area, points_of, require
from gammax.maps import RegionGeom, RegionNDMap

PARTS = ("counts", "exposure", "edisp", "background", "psf")
# what a measured background needs; a background of the responses has to be asked for
DEFAULT_PARTS = ("counts", "exposure", "edisp")
CONTAINMENTS = ("gammapy", "normalized")


@dataclass(frozen=True)
class SpectrumDatasetMaker:
    """Counts of the ON region; exposure, energy dispersion and background at its place in the field of view.

    Parameters
    ----------
    selection : parts to make, of "counts", "exposure", "edisp", "background" and "psf"; the first three unless given.
        With "background" the dataset has the counts that the background responses expect and is fitted with cash as it
        is; without it a background has to be measured (`ReflectedRegionsBackgroundMaker`). With "psf" sources are
        folded as in a cube, see `SpectrumDataset`, instead of a containment correction.
    containment_correction : multiply the exposure by the fraction of events of a source at the centre of the (circular)
        region that are reconstructed in it.
    containment : rule of that fraction, "gammapy" or "normalized"; they differ for `PSF3D` only, see there.
    use_region_center : take the responses at the centre of the region; otherwise their mean over the region.
    background_oversampling : parts of each energy bin (equal in ln E) at whose edges the background rate is taken. One,
        the peer's rule, is 1 to 2 % off where the rate falls as a power law and tens of percent at its threshold.

    Raises
    ------
    SchemaError : a part or rule that there is not, or both a PSF and a containment correction. DataValueError : no
    positive number of parts.
    """

    selection: Sequence[str] | None = None
    containment_correction: bool = False
    containment: str = "gammapy"
    use_region_center: bool = True
    background_oversampling: int = 1

    def __post_init__(self):
        selection = DEFAULT_PARTS if self.selection is None else tuple(self.selection)
        for name in selection:
            if name not in PARTS:
                raise SchemaError("GX-MAKERS-030", f"unknown part {name!r}", do=did_you_mean(name, PARTS))
        if "psf" in selection and self.containment_correction:
            raise SchemaError(
                "GX-MAKERS-035",
                "with a PSF the containment is in the predictions, and the exposure must not have it too",
                do='choose one of containment_correction=True and "psf" in the selection',
            )
        if self.containment not in CONTAINMENTS:
            raise SchemaError(
                "GX-MAKERS-031",
                f"unknown containment {self.containment!r}",
                do=did_you_mean(self.containment, CONTAINMENTS),
            )
        if not (isinstance(self.background_oversampling, int) and self.background_oversampling >= 1):
            raise DataValueError(
                "GX-MAKERS-034",
                "background_oversampling is no number of parts",
                found=repr(self.background_oversampling),
                expected="1 or more",
            )
        object.__setattr__(self, "selection", selection)

    def run(self, dataset: SpectrumDataset, observation: Observation) -> SpectrumDataset:
        """Dataset of the observation, on the region, axes and with the name of `dataset`; what is not made stays.

        Raises
        ------
        SchemaError : events or a response are missing. GeometryError : the region lies outside of the field of view,
            or does not fit the responses. DataValueError : a response that is zero at all energies.
        """
        pointing = observation.get_pointing_icrs()
        true = dataset.energy_axis_true
        sky = points_of(dataset.geom, self.use_region_center)
        offsets = sky.separation(pointing).deg
        area = effective_area(observation, true, offsets)
        changes: dict[str, Any] = {"background": None}
        if "counts" in self.selection:
            changes["counts"] = self._counts(dataset.geom, observation, pointing)
        if "exposure" in self.selection:
            changes["exposure"] = self._exposure(dataset, observation, pointing, area)
        if "edisp" in self.selection:
            changes["edisp"] = dispersion(observation, true, dataset.energy_axis, offsets, area)
        if "psf" in self.selection:
            changes["psf"] = self._psf(dataset, observation)
        if "background" in self.selection:
            background = background_counts(observation, dataset.geom, sky, self.background_oversampling)
            changes["background"] = RegionNDMap(dataset.geom, background)
        return dataset.replace(
            livetime=float(observation.livetime.to_value("s")),
            gti=observation.gti.table,
            meta_table=meta_table(observation),
            **changes,
        )

    @staticmethod
    def _counts(geom: RegionGeom, observation: Observation, pointing: Any) -> RegionNDMap:
        rad_max = directional_cut(geom, observation)
        events = observation.events
        if not len(events):
            warnings.warn(f"observation {observation.obs_id} has no events", GammaxWarning, stacklevel=3)
        if rad_max is None:
            return RegionNDMap(geom, counts_in_region(events, geom))
        return RegionNDMap(geom, counts_in_cuts(events, [geom.center_skydir], pointing, rad_max, geom.axes["energy"]))

    @staticmethod
    def _psf(dataset: SpectrumDataset, observation: Observation) -> PSFMap:
        """PSF at the centre of the region, over the radii of the dataset's where it has one."""
        aeff, psf = require(observation, "aeff"), require(observation, "psf", "leave psf out of the selection")
        if aeff.is_pointlike:
            raise SchemaError(
                "GX-MAKERS-036",
                "point-like responses have the containment in them already",
                obs_id=observation.obs_id,
                do="leave psf out of the selection",
            )
        rad = rad_axis_default() if dataset.psf is None else dataset.psf.rad_axis
        geom = dataset.geom.replace_axes((rad, dataset.energy_axis_true))
        pointing, livetime = observation.get_pointing_icrs(), observation.livetime
        exposure = make_map_exposure_true_energy(pointing, livetime, aeff, geom.squash("rad"))
        return make_psf_map(psf, pointing, geom, exposure)

    def _exposure(
        self, dataset: SpectrumDataset, observation: Observation, pointing: Any, area: np.ndarray
    ) -> RegionNDMap:
        geom = dataset.exposure.geom
        exposure = area.mean(axis=1) * float(observation.livetime.to_value("s"))
        if self.containment_correction:
            offset = float(dataset.geom.center_skydir.separation(pointing).deg)
            exposure *= containment(observation, dataset.geom, geom.axes["energy_true"], offset, self.containment)
        return RegionNDMap(geom, exposure, unit="cm2 s")


def meta_table(observation: Observation) -> Table:
    """One row: telescope, number and pointing of an observation."""
    row = {"TELESCOP": str(observation.meta.get("TELESCOP", "")), "OBS_ID": observation.obs_id}
    row |= observation.pointing.header()
    table = Table({name: [value] for name, value in row.items()})
    for name in table.colnames:
        if name.endswith("_PNT"):
            table[name].unit = "deg"
    return table
