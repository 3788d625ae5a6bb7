"""Background of a region from the same observation, in OFF regions at the same offset."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord

from gammax import _regions as sky_regions
from gammax.data import Observation
from gammax.datasets import SpectrumDataset, SpectrumDatasetOnOff
from gammax.errors import GammaxWarning
from gammax.irf import RadMax2D
from gammax.makers._counts import counts_in_cuts, counts_in_pixel_regions, directional_cut
from gammax.makers._reflected_regions import ReflectedRegionsFinder, WobbleRegionsFinder
from gammax.maps import MapAxis, RegionGeom, RegionNDMap, WcsNDMap
from gammax.maps._wcs_region import region_to_sky


@dataclass(frozen=True)
class ReflectedRegionsBackgroundMaker:
    """OFF counts in the regions of a finder; an event in two of them counts once.

    Parameters
    ----------
    region_finder : `ReflectedRegionsFinder` or `WobbleRegionsFinder`; the first, with its defaults, unless given. A
        point (RAD_MAX) needs the second.
    exclusion_mask : False where no OFF region may lie.
    """

    region_finder: ReflectedRegionsFinder | WobbleRegionsFinder = field(default_factory=ReflectedRegionsFinder)
    exclusion_mask: WcsNDMap | None = None

    def __post_init__(self):
        if self.region_finder is None:
            object.__setattr__(self, "region_finder", ReflectedRegionsFinder())

    def run(self, dataset: SpectrumDataset, observation: Observation) -> SpectrumDatasetOnOff:
        """Dataset with the OFF counts; acceptance 1, acceptance_off the number of OFF regions.

        Where there is no OFF region the dataset says so: a warning, acceptance_off 0, and mask_safe False in all bins,
        so that nothing is fitted. `DatasetsMaker` leaves such datasets out.

        Raises
        ------
        GeometryError, SchemaError : the region does not fit the finder or the responses.
        """
        pointing = observation.get_pointing_icrs()
        geom = dataset.geom
        rad_max = directional_cut(geom, observation)
        pixels, image = self.region_finder.find(geom.region, pointing, self.exclusion_mask)
        regions = [region_to_sky(part, image.wcs) for part in pixels]
        if rad_max is not None and _cuts_overlap([geom.region, *regions], pointing, rad_max, geom.axes["energy"]):
            warnings.warn(
                f"observation {observation.obs_id}: the cuts (RAD_MAX) around ON and {len(regions)} OFF positions "
                "overlap; none is taken",
                GammaxWarning,
                stacklevel=2,
            )
            regions = []
        if not regions:
            return self._without_off(dataset, observation)
        geom_off = RegionGeom.create(regions, geom.axes, image.wcs)
        if rad_max is None:
            counts_off = counts_in_pixel_regions(observation.events, pixels, image, geom.axes["energy"])
        else:
            centers = [region.center for region in regions]
            counts_off = counts_in_cuts(observation.events, centers, pointing, rad_max, geom.axes["energy"])
        return SpectrumDatasetOnOff.from_spectrum_dataset(
            dataset,
            acceptance=1.0,
            acceptance_off=RegionNDMap(geom_off, np.full(geom.axes["energy"].nbin, float(len(regions)))),
            counts_off=RegionNDMap(geom_off, counts_off),
        )

    @staticmethod
    def _without_off(dataset: SpectrumDataset, observation: Observation) -> SpectrumDatasetOnOff:
        warnings.warn(
            f"observation {observation.obs_id}: no OFF region found; dataset {dataset.name!r} is masked",
            GammaxWarning,
            stacklevel=3,
        )
        nothing = RegionNDMap(dataset.geom, np.zeros(dataset.energy_axis.nbin, bool))
        onoff = SpectrumDatasetOnOff.from_spectrum_dataset(dataset, acceptance=1.0, acceptance_off=0.0, counts_off=0.0)
        return onoff.replace(mask_safe=nothing)


def _cuts_overlap(regions: list[sky_regions.SkyRegion], pointing: SkyCoord, rad_max: RadMax2D, axis: MapAxis) -> bool:
    """Whether the largest cuts on the energy axis around any two positions touch."""
    centers = [region.center for region in regions if isinstance(region, sky_regions.PointSkyRegion)]
    if len(centers) < 2:
        return False
    offset = float(centers[0].separation(pointing).deg)
    largest = np.max(rad_max.values(energy=_energies(rad_max, axis), offset=offset))
    distances = [first.separation(second).deg for first, second in itertools.combinations(centers, 2)]
    return bool(min(distances) < 2 * largest)


def _energies(rad_max: RadMax2D, axis: MapAxis) -> np.ndarray:
    """An energy [TeV] in every bin of RAD_MAX that the axis reaches."""
    low, high = axis.edges_value("TeV")[[0, -1]]
    edges: Any = rad_max.axes["energy"].edges_value("TeV")
    inner = np.unique([low, *edges[(edges > low) & (edges < high)], high])
    return np.sqrt(inner[1:] * inner[:-1])
