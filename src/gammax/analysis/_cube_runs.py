"""What was observed, and what each observation gave to the cubes."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from astropy.table import Table
from regions import CircleSkyRegion

from gammax.analysis._ledger import Sums
from gammax.analysis._runs import USED, Run, _row, _sharing
from gammax.data import Observations
from gammax.errors import GammaxWarning
from gammax.makers._datasets_maker import _names
from gammax.maps import MapAxis, WcsGeom, WcsNDMap
from gammax.stats import CashCountsStatistic

_EMPTY = "no bin inside the mask"
# columns of the table: unit, digits, description
_COLUMNS = {
    "OBS_ID": ("", None, "number of the observation"),
    "DATASET": ("", None, "name of its cube"),
    "OBJECT": ("", None, "target as the header calls it"),
    "DATE-OBS": ("", None, "start of the good time, UTC"),
    "LIVETIME": ("s", ".3f", "good time without dead time"),
    "RA_PNT": ("deg", ".5f", "pointing at half-time, ICRS"),
    "DEC_PNT": ("deg", ".5f", "pointing at half-time, ICRS"),
    "ZEN_PNT": ("deg", ".3f", "zenith angle, as the header says"),
    "OFFSET": ("deg", ".4f", "of the region from the pointing; of the middle of the image where there is none"),
    "COUNTS": ("", "g", "of the image, inside mask_safe and the energies of the fit"),
    "BACKGROUND": ("", ".5g", "expected there"),
    "BKG_NORM": ("", ".4g", "factor that the background was multiplied with"),
    "BKG_NORM_ERR": ("", ".3g", "its error"),
    "ON_COUNTS": ("", "g", "the same in the region"),
    "ON_BACKGROUND": ("", ".5g", "expected there"),
    "ON_EXCESS": ("", ".5g", "counts less background"),
    "ON_SIGNIFICANCE": ("", ".4g", "of the excess over a background that is known, in standard deviations"),
    "STATUS": ("", None, "used, or why it was left out"),
}


@dataclass(frozen=True)
class CubeRuns:
    """Observations that were reduced to cubes.

    Parameters
    ----------
    rows : all of them.
    sums : of those that are used.
    bins : reconstructed energies within the fit, (R,).
    axis : reconstructed energy.
    region : region on the sky of the sums, None for none.
    exclusion : False where the background was not compared with the counts.
    """

    rows: tuple[Run, ...]
    sums: dict[str, Sums]
    bins: np.ndarray
    axis: MapAxis
    region: CircleSkyRegion | None = None
    exclusion: WcsNDMap | None = None

    @classmethod
    def record(
        cls,
        observations: Observations,
        sums: dict[str, Sums],
        skipped: dict[str, str],
        geom: WcsGeom,
        region: CircleSkyRegion | None,
        exclusion: WcsNDMap | None,
    ) -> Self:
        """Record of a reduction; reads headers and good times once more."""
        center: Any = geom.center_skydir if region is None else region.center
        names, rows = _names(observations), {}
        with warnings.catch_warnings():
            # of what is read the reduction has told already
            warnings.simplefilter("ignore", GammaxWarning)
            for group in _sharing(dict(zip(names, observations, strict=True))):
                for name, observation in group.items():
                    status = skipped.get(name, USED if name in sums else _EMPTY)
                    rows[name] = _row(name, observation, center, status)
        axis = geom.axes["energy"]
        return cls(tuple(rows[name] for name in names), sums, np.ones(axis.nbin, bool), axis, region, exclusion)

    @property
    def used(self) -> list[Run]:
        """Observations that the cubes hold."""
        return [row for row in self.rows if row.status == USED]

    def within(self, energy_min: Any, energy_max: Any) -> Self:
        """The same with a fit range."""
        if (energy_min, energy_max) == (None, None):
            return self
        pixel = WcsGeom.create(npix=1, axes=[self.axis])
        return replace(self, bins=pixel.energy_mask(energy_min, energy_max).data[:, 0, 0])

    def numbers(self, names: list[str] | None = None) -> dict[str, float]:
        """Sums over some observations, all that are used by default, within the energies of the fit."""
        chosen = [self.sums[name] for name in (self.sums if names is None else names)]
        counts, background, on, on_background = (
            float(sum(getattr(part, field)[self.bins].sum() for part in chosen)) for field in Sums._fields[:4]
        )
        alone = chosen[0] if len(chosen) == 1 else None
        return {
            "counts": counts,
            "background": background,
            "norm": math.nan if alone is None else float(alone.norm),
            "norm_err": math.nan if alone is None else float(alone.norm_err),
            "on": on,
            "on_background": on_background,
            "excess": on - on_background,
            "significance": _significance(on, on_background),
        }

    def to_table(self) -> Table:
        """Table of all observations, numbers that do not exist as NaN."""
        lines = []
        for row in self.rows:
            found = self.numbers([row.name]) if row.name in self.sums else {}
            where = (row.livetime, row.pointing.ra.deg, row.pointing.dec.deg, row.zenith, row.offset)
            numbers = (found.get(key, math.nan) for key in NUMBERS)
            lines.append((row.obs_id, row.name, row.target, row.start, *where, *numbers, row.status))
        table = Table(rows=lines, names=list(_COLUMNS))
        for name, (unit, digits, description) in _COLUMNS.items():
            table[name].description = description
            table[name].unit = unit or None
            table[name].format = digits
        return table


NUMBERS = ("counts", "background", "norm", "norm_err", "on", "on_background", "excess", "significance")


def _significance(counts: float, background: float) -> float:
    if not background > 0:
        return math.nan
    return float(CashCountsStatistic(counts, background).sqrt_ts)
