"""Spectrum with a measured background: ON counts and OFF counts (wstat)."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from gammax.datasets._base import SpectrumBase
from gammax.datasets._check import as_region_map
from gammax.datasets._random import poisson, random_generator
from gammax.datasets._spectrum import SpectrumDataset
from gammax.errors import SchemaError
from gammax.maps import MapAxis, RegionGeom, RegionNDMap


@dataclass(frozen=True, eq=False, repr=False)
class SpectrumDatasetOnOff(SpectrumBase):
    """Counts of an ON region and of OFF regions with the responses; holds no model.

    The expected background in the ON region is alpha = acceptance / acceptance_off times that in the OFF regions.

    Parameters
    ----------
    name, counts, exposure, edisp, mask_safe, mask_fit, gti, meta_table, livetime, meta : as in `SpectrumDataset`.
    counts_off : counts in the OFF regions, on the energy axis of the counts.
    acceptance, acceptance_off : relative acceptance to background of the ON region and of all OFF regions.

    Raises
    ------
    SchemaError, GeometryError, DataValueError : the parts are of the wrong kind or do not fit each other.
    """

    tag: ClassVar[str] = "SpectrumDatasetOnOff"
    stat_type: ClassVar[str] = "wstat"
    map_fields: ClassVar[tuple[str, ...]] = (
        "counts",
        "counts_off",
        "acceptance",
        "acceptance_off",
        "mask_safe",
        "mask_fit",
    )

    _: KW_ONLY
    counts_off: RegionNDMap
    acceptance: RegionNDMap
    acceptance_off: RegionNDMap

    @classmethod
    def create(cls, geom: RegionGeom, energy_axis_true: MapAxis, name: str) -> Self:
        """Dataset without counts and exposure and with acceptances of one, to be filled by `replace`."""
        empty = SpectrumDataset.create(geom, energy_axis_true, name)
        return cls.from_spectrum_dataset(empty, acceptance=1.0, acceptance_off=1.0, counts_off=empty.counts)

    @classmethod
    def from_spectrum_dataset(
        cls,
        dataset: SpectrumDataset,
        acceptance: Any,
        acceptance_off: Any,
        counts_off: Any = None,
        name: str | None = None,
    ) -> Self:
        """ON-OFF dataset from a dataset and its OFF measurement (maps, arrays of shape (R,) or numbers).

        Without `counts_off` it is the expectation, background / alpha, of the dataset's background.

        Raises
        ------
        SchemaError : neither OFF counts nor a background. GeometryError : arrays that do not fit.
        """
        acceptance = as_region_map(acceptance, dataset.geom, "acceptance")
        acceptance_off = as_region_map(acceptance_off, dataset.geom, "acceptance_off")
        if counts_off is None:
            if dataset.background is None:
                raise SchemaError(
                    "GX-DATASETS-040",
                    "an ON-OFF dataset needs OFF counts",
                    dataset=dataset.name,
                    do="give counts_off, or a dataset with a background",
                )
            counts_off = _scaled(_ratio(acceptance_off, acceptance), dataset.background.values())
        return cls(
            name=name or dataset.name,
            counts=dataset.counts,
            exposure=dataset.exposure,
            counts_off=as_region_map(counts_off, dataset.geom, "counts_off"),
            acceptance=acceptance,
            acceptance_off=acceptance_off,
            **{part: getattr(dataset, part) for part in _SHARED},
        )

    def to_spectrum_dataset(self, name: str | None = None) -> SpectrumDataset:
        """Dataset with the background alpha x counts_off taken as known (cash)."""
        return SpectrumDataset(
            name=name or self.name,
            counts=self.counts,
            exposure=self.exposure,
            background=self.background,
            **{part: getattr(self, part) for part in _SHARED},
        )

    @property
    def alpha(self) -> RegionNDMap:
        """Acceptance / acceptance_off, 0 where both are 0."""
        return self._to_map(_ratio(self.acceptance, self.acceptance_off))

    @property
    def background(self) -> RegionNDMap:
        """Background in the ON region as measured: alpha x counts_off.

        Without OFF acceptance it is 0 where there are no OFF counts, and infinite where there are.
        """
        return self._to_map(_scaled(self.alpha.values(), self.counts_off.values()))

    def npred_background(self, models: Any = None) -> RegionNDMap:
        """Background in the ON region that fits ON and OFF counts best, given the models; 0 where alpha is 0."""
        return self._to_map(_scaled(self.alpha.values(), self._off_values(models)))

    def npred_off(self, models: Any = None) -> RegionNDMap:
        """Expected OFF counts that fit ON and OFF counts best, given the models; 0 where alpha is 0."""
        return self._to_map(self._off_values(models))

    def stat_array(self, models: Any = None) -> np.ndarray:
        """W statistic of every bin, shape (R,); NaN outside the mask."""
        from gammax._config import require_x64
        from gammax.stats import wstat

        require_x64()
        arrays = self.arrays
        values = wstat(arrays.counts, arrays.counts_off, arrays.alpha, self._signal_values(models))
        return np.where(self.mask, np.asarray(values), np.nan)

    def fake(self, models: Any, npred_background: Any, random_state: Any = None) -> Self:
        """Dataset with ON counts drawn from a Poisson law of mean signal + background, and OFF counts to match.

        Parameters
        ----------
        npred_background : expected background in the ON region: a map, an array of shape (R,) or a number. OFF counts
            have the mean npred_background / alpha, 0 where alpha is 0.
        random_state : seed, numpy generator, or None for a new one.

        Raises
        ------
        DataValueError : an expectation is negative or not finite.
        """
        random = random_generator(random_state)
        background = as_region_map(npred_background, self.geom, "npred_background").values()
        alpha = self.alpha.values()
        mean_off = np.divide(background, alpha, out=np.zeros_like(background), where=alpha > 0)
        counts = poisson(self._signal_values(models) + background, random, "npred")
        counts_off = poisson(mean_off, random, "npred_background / alpha")
        return self.replace(counts=self._to_map(counts), counts_off=self.counts_off.replace(data=counts_off))

    def _off_values(self, models: Any) -> np.ndarray:
        from gammax._config import require_x64
        from gammax.stats import wstat_mu_bkg

        require_x64()
        alpha = self.alpha.values()
        valid = np.isfinite(alpha) & (alpha > 0)
        values = wstat_mu_bkg(
            self.counts.values(), self.counts_off.values(), np.where(valid, alpha, 1.0), self._signal_values(models)
        )
        return np.where(valid, np.asarray(values), 0.0)


_SHARED = ("edisp", "mask_safe", "mask_fit", "gti", "meta_table", "livetime", "meta")


def _scaled(alpha: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Product of alpha and OFF counts, 0 where there are no counts, whatever alpha is."""
    return np.multiply(alpha, values, out=np.zeros(len(values)), where=values != 0)


def _ratio(acceptance: RegionNDMap, acceptance_off: RegionNDMap) -> np.ndarray:
    """Acceptance ratio, shape (R,); 0 / 0 counts as 0, anything else / 0 as infinite."""
    on, off = acceptance.values(), acceptance_off.values()
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((on == 0) & (off == 0), 0.0, on / off)
