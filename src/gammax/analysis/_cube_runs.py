"""What was observed, and what each observation gave to the cubes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from astropy.table import Table

from gammax import _regions as sky_regions
from gammax.analysis._ledger import Sums
from gammax.analysis._record import USED, Column, Run, make_run, make_table, observed, table_columns
from gammax.data import Observations
from gammax.makers._datasets_maker import _names
from gammax.maps import MapAxis, WcsGeom, WcsNDMap
from gammax.stats import CashCountsStatistic

_EMPTY = "no bin inside the mask"
_NUMBERS = {
    "COUNTS": Column("", "g", "of the image, inside mask_safe and the energies of the fit"),
    "BACKGROUND": Column("", ".5g", "expected there"),
    "BKG_NORM": Column("", ".4g", "factor that the background was multiplied with"),
    "BKG_NORM_ERR": Column("", ".3g", "its error"),
    "ON_COUNTS": Column("", "g", "the same in the region"),
    "ON_BACKGROUND": Column("", ".5g", "expected there"),
    "ON_EXCESS": Column("", ".5g", "counts less background"),
    "ON_SIGNIFICANCE": Column("", ".4g", "of the excess over a background that is known, in standard deviations"),
}
_COLUMNS = table_columns(
    "name of its cube", "of the region from the pointing; of the middle of the image where there is none", _NUMBERS
)


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
    region: sky_regions.CircleSkyRegion | None = None
    exclusion: WcsNDMap | None = None

    @classmethod
    def record(
        cls,
        observations: Observations,
        sums: dict[str, Sums],
        skipped: dict[str, str],
        geom: WcsGeom,
        region: sky_regions.CircleSkyRegion | None,
        exclusion: WcsNDMap | None,
    ) -> Self:
        """Record of a reduction; reads headers and good times once more."""
        center: Any = geom.center_skydir if region is None else region.center
        rows = {
            name: make_run(name, observation, center, skipped.get(name, USED if name in sums else _EMPTY))
            for name, observation in observed(observations)
        }
        axis = geom.axes["energy"]
        return cls(
            tuple(rows[name] for name in _names(observations)), sums, np.ones(axis.nbin, bool), axis, region, exclusion
        )

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
        """Sums over some observations, all that are used by default, within the energies of the fit.

        In the order of the columns.
        """
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
        return make_table(_COLUMNS, self.rows, {name: list(self.numbers([name]).values()) for name in self.sums})


def _significance(counts: float, background: float) -> float:
    if not background > 0:
        return math.nan
    return float(CashCountsStatistic(counts, background).sqrt_ts)
