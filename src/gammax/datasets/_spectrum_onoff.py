"""Spectrum with a measured background: ON counts and OFF counts (wstat)."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from gammax.datasets._base import SpectrumBase
from gammax.datasets._check import as_region_map
from gammax.datasets._spectrum import SpectrumDataset
from gammax.datasets._statistics import OnOffMethods, ratio
from gammax.errors import SchemaError
from gammax.maps import MapAxis, RegionGeom, RegionNDMap


@dataclass(frozen=True, eq=False, repr=False)
class SpectrumDatasetOnOff(OnOffMethods, SpectrumBase):
    """Counts of an ON region and of OFF regions with the responses; holds no model.

    The expected background in the ON region is alpha = acceptance / acceptance_off times that in the OFF regions, in
    which no source is expected: what a PSF (`psf`) carries into them is not folded.

    Parameters
    ----------
    name, counts, exposure, edisp, psf, mask_safe, mask_fit, gti, meta_table, livetime, meta : as in `SpectrumDataset`.
    counts_off : counts in the OFF regions, on the energy axis of the counts.
    acceptance, acceptance_off : relative acceptance to background of the ON region and of all OFF regions.

    Raises
    ------
    SchemaError, GeometryError, DataValueError : the parts are of the wrong kind or do not fit each other.
    """

    tag: ClassVar[str] = "SpectrumDatasetOnOff"
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
            inverse = ratio(acceptance_off.values(), acceptance.values())
            values = dataset.background.values()
            counts_off = np.multiply(inverse, values, out=np.zeros(values.shape), where=values != 0)
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


_SHARED = ("edisp", "psf", "mask_safe", "mask_fit", "gti", "meta_table", "livetime", "meta")
