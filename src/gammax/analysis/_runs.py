"""What was observed, and what became of each observation: the record that a reduction leaves."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from gammax.data import Observation, Observations
from gammax.datasets import Datasets
from gammax.errors import GammaxWarning
from gammax.makers import Reduction
from gammax.makers._datasets_maker import _names
from gammax.maps import RegionGeom, RegionNDMap, WcsGeom, WcsNDMap

USED = "used"
_PIXEL_DEG = 0.02
_MARGIN_DEG = 0.15
# an image wider than this shows no region any more
_WIDEST_DEG = 8.0
# columns of the table: unit, digits, description
_COLUMNS = {
    "OBS_ID": ("", None, "number of the observation"),
    "DATASET": ("", None, "name of its spectrum"),
    "OBJECT": ("", None, "target as the header calls it"),
    "DATE-OBS": ("", None, "start of the good time, UTC"),
    "LIVETIME": ("s", ".3f", "good time without dead time"),
    "RA_PNT": ("deg", ".5f", "pointing at half-time, ICRS"),
    "DEC_PNT": ("deg", ".5f", "pointing at half-time, ICRS"),
    "ZEN_PNT": ("deg", ".3f", "zenith angle, as the header says"),
    "OFFSET": ("deg", ".4f", "of the ON region from the pointing"),
    "COUNTS": ("", "g", "ON counts inside the mask of the fit"),
    "COUNTS_OFF": ("", "g", "OFF counts inside the mask of the fit"),
    "ALPHA": ("", ".5g", "ON exposure over OFF exposure"),
    "BACKGROUND": ("", ".5g", "expected in the ON region"),
    "EXCESS": ("", ".5g", "ON counts less background"),
    "SIGNIFICANCE": ("", ".4g", "of the excess, in standard deviations (Li & Ma 1983, equation 17)"),
    "STATUS": ("", None, "used, or why it was left out"),
}


class Run(NamedTuple):
    """An observation in short; angles in degrees, time in seconds, NaN where unknown."""

    name: str
    obs_id: str
    target: str
    start: str
    livetime: float
    pointing: SkyCoord
    zenith: float
    offset: float
    status: str


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
        datasets, names = reduction.datasets, _names(observations)
        region, limits = datasets[0].geom.to_image(), _energy_limits(datasets)
        rows: dict[str, Run] = {}
        events: list[SkyCoord] = []
        with warnings.catch_warnings():
            # of what is read the reduction has told already
            warnings.simplefilter("ignore", GammaxWarning)
            for group in _sharing(dict(zip(names, observations, strict=True))):
                for name, observation in group.items():
                    status = reduction.skipped.get(name, USED)
                    rows[name] = _row(name, observation, region.center_skydir, status)
                    if status != USED:
                        continue
                    energy = observation.events.energy_tev
                    events.append(observation.events.radec[(energy >= limits[0]) & (energy < limits[1])])
        image = _sky_geom(region, [row.pointing for row in rows.values() if row.status == USED])
        counts = np.zeros(image.image_shape)
        for positions in events:
            x, y = image.coord_to_idx(positions)
            on_image = (x >= 0) & (y >= 0)
            np.add.at(counts, (y[on_image], x[on_image]), 1.0)
        return cls(tuple(rows[name] for name in names), datasets, region, WcsNDMap(image, counts), exclusion)

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
        lines = [_line(row, info) for row, info in zip(self.rows, self.numbers(), strict=True)]
        table = Table(rows=lines, names=list(_COLUMNS))
        for name, (unit, digits, description) in _COLUMNS.items():
            table[name].description = description
            table[name].unit = unit or None
            table[name].format = digits
        return table


def _line(row: Run, info: dict[str, Any]) -> tuple[Any, ...]:
    sums = [info.get(key, math.nan) for key in ("counts", "counts_off", "alpha", "background", "excess", "sqrt_ts")]
    where = (row.livetime, row.pointing.ra.deg, row.pointing.dec.deg, row.zenith, row.offset)
    return (row.obs_id, row.name, row.target, row.start, *where, *map(float, sums), row.status)


def _row(name: str, observation: Observation, center: SkyCoord, status: str) -> Run:
    meta, pointing = observation.meta, observation.get_pointing_icrs()
    altitude = meta.get("ALT_PNT")
    known = isinstance(altitude, (int, float)) and math.isfinite(altitude) and -90 <= altitude <= 90
    return Run(
        name,
        str(observation.obs_id),
        str(meta.get("OBJECT", "")).strip(),
        observation.tstart.utc.strftime("%Y-%m-%d %H:%M:%S"),
        float(observation.livetime.to_value("s")),
        pointing,
        90.0 - float(altitude) if known else math.nan,
        float(center.separation(pointing).deg),
        status,
    )


def _sharing(observations: dict[str, Observation]) -> Iterator[dict[str, Observation]]:
    """Observations in groups that share one reading of their file: one, or its pieces; it is forgotten after each."""
    groups: dict[int, dict[str, Observation]] = {}
    for name, observation in observations.items():
        groups.setdefault(id(observation.parts), {})[name] = observation
    for group in groups.values():
        parts = next(iter(group.values())).unread().parts
        yield {name: replace(observation, parts=parts) for name, observation in group.items()}


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
