"""What was observed, and what became of each observation: the record that a reduction leaves."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from gammax.analysis._record import USED, Column, Run, make_run, make_table, observed, table_columns
from gammax.data import Observations
from gammax.datasets import Datasets
from gammax.makers import Reduction
from gammax.makers._datasets_maker import _names
from gammax.maps import RegionGeom, RegionNDMap, WcsGeom, WcsNDMap

_PIXEL_DEG = 0.02
_MARGIN_DEG = 0.15
# an image wider than this shows no region any more
_WIDEST_DEG = 8.0
_NUMBERS = {
    "COUNTS": Column("", "g", "ON counts inside the mask of the fit"),
    "COUNTS_OFF": Column("", "g", "OFF counts inside the mask of the fit"),
    "ALPHA": Column("", ".5g", "ON exposure over OFF exposure"),
    "BACKGROUND": Column("", ".5g", "expected in the ON region"),
    "EXCESS": Column("", ".5g", "ON counts less background"),
    "SIGNIFICANCE": Column("", ".4g", "of the excess, in standard deviations (Li & Ma 1983, equation 17)"),
}
_COLUMNS = table_columns("name of its spectrum", "of the ON region from the pointing", _NUMBERS)
# of `info_dict`, in the order of the columns
_KEYS = ("counts", "counts_off", "alpha", "background", "excess", "sqrt_ts")


@dataclass(frozen=True)
class Runs:
    """Observations that were reduced.

    Parameters
    ----------
    rows : all of them.
    datasets : spectra of those that are used, before they are stacked.
    region : ON region.
    sky : counts of all events of used observations around the ON region, within the energies of the masks.
    exclusion : False where no OFF region may lie.
    """

    rows: tuple[Run, ...]
    datasets: Datasets
    region: RegionGeom
    sky: WcsNDMap
    exclusion: WcsNDMap | None = None

    @classmethod
    def record(cls, observations: Observations, reduction: Reduction, exclusion: WcsNDMap | None) -> Self:
        """Record of a reduction; reads headers, good times and events once more."""
        datasets = reduction.datasets
        region, limits = datasets[0].geom.to_image(), _energy_limits(datasets)
        rows: dict[str, Run] = {}
        events: list[SkyCoord] = []
        for name, observation in observed(observations):
            status = reduction.skipped.get(name, USED)
            rows[name] = make_run(name, observation, region.center_skydir, status)
            if status == USED:
                energy = observation.events.energy_tev
                events.append(observation.events.radec[(energy >= limits[0]) & (energy < limits[1])])
        image = _sky_geom(region, [row.pointing for row in rows.values() if row.status == USED])
        counts = np.zeros(image.image_shape)
        for positions in events:
            x, y = image.coord_to_idx(positions)
            on_image = (x >= 0) & (y >= 0)
            np.add.at(counts, (y[on_image], x[on_image]), 1.0)
        return cls(
            tuple(rows[name] for name in _names(observations)), datasets, region, WcsNDMap(image, counts), exclusion
        )

    @property
    def used(self) -> list[Run]:
        """Observations that have a spectrum."""
        return [row for row in self.rows if row.status == USED]

    def within(self, energy_min: Any, energy_max: Any) -> Self:
        """The same with a fit range."""
        if (energy_min, energy_max) == (None, None):
            return self
        return replace(self, datasets=self.datasets.with_fit_range(energy_min, energy_max))

    def fitted(self) -> Datasets:
        """Spectra with mask_safe narrowed to the mask of the fit, so that sums over it are sums over what is fitted."""
        return Datasets(
            dataset.replace(mask_safe=RegionNDMap(dataset.counts.geom, dataset.mask)) for dataset in self.datasets
        )

    def numbers(self) -> list[dict[str, Any]]:
        """Sums over the mask of the fit for each row: `info_dict` of its spectrum, empty where it has none."""
        infos = {dataset.name: dataset.info_dict() for dataset in self.fitted()}
        return [infos.get(row.name, {}) for row in self.rows]

    def to_table(self) -> Table:
        """Table of all observations, numbers that do not exist as NaN."""
        infos = zip(self.rows, self.numbers(), strict=True)
        known = {row.name: [float(info.get(key, math.nan)) for key in _KEYS] for row, info in infos if info}
        return make_table(_COLUMNS, self.rows, known)


def _sky_geom(region: RegionGeom, pointings: list[SkyCoord]) -> WcsGeom:
    """Image that holds the circles about the pointings on which the ON region lies, and so all OFF regions."""
    center = region.center_skydir
    margin = float(np.max(region.wcs.pixel_shape) * np.max(np.abs(region.wcs.wcs.cdelt))) / 2 + _MARGIN_DEG
    far = np.array([float(center.separation(pointing).deg) for pointing in pointings])
    angle = np.array([float(center.position_angle(pointing).rad) for pointing in pointings])
    ends = []
    for along in (far * np.sin(angle), far * np.cos(angle)):
        span = (along - far).min() - margin, (along + far).max() + margin
        ends.append(np.clip(span, -_WIDEST_DEG / 2, _WIDEST_DEG / 2))
    middle = center.spherical_offsets_by(*(end.mean() * u.deg for end in ends))
    width = tuple(float(np.ptp(end)) for end in ends)
    return WcsGeom.create(skydir=middle, width=width, binsz=_PIXEL_DEG, proj="TAN", frame=center.frame.name)


def _energy_limits(datasets: Datasets) -> tuple[float, float]:
    """Lowest and highest energy [TeV] inside the masks; of the axes where those are empty."""
    low, high = (limits.to_value(u.TeV) for limits in datasets.energy_ranges)
    if np.isfinite(low).any():
        return float(np.nanmin(low)), float(np.nanmax(high))
    edges = datasets[0].energy_axis.edges_value("TeV")
    return float(edges[0]), float(edges[-1])
