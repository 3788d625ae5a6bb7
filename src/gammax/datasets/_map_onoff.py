"""Cube with a measured background: ON counts and OFF counts (wstat)."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from gammax.datasets._map_base import MapBase
from gammax.datasets._map_check import CubeMap, as_cube
from gammax.datasets._map_create import BINSZ_IRF, create_geoms, empty_fields
from gammax.datasets._map_dataset import MapDataset
from gammax.datasets._statistics import OnOffMethods
from gammax.errors import SchemaError
from gammax.maps import MapAxis, WcsGeom

_SHARED = ("counts", "exposure", "psf", "edisp", "mask_safe", "mask_fit", "gti", "meta_table", "livetime", "meta")


@dataclass(frozen=True, eq=False, repr=False)
class MapDatasetOnOff(OnOffMethods, MapBase):
    """Counts of an image and, for each of its bins, of OFF regions (a ring) with the responses; holds no model.

    The expected background of a bin is alpha = acceptance / acceptance_off times that of its OFF regions.

    Parameters
    ----------
    name, counts, exposure, psf, edisp, mask_safe, mask_fit, gti, meta_table, livetime, meta : as in `MapDataset`.
    counts_off : counts in the OFF regions of each bin.
    acceptance, acceptance_off : relative acceptance to background of each bin and of its OFF regions.

    Raises
    ------
    SchemaError, GeometryError, DataValueError : the parts are of the wrong kind or do not fit each other.
    """

    tag: ClassVar[str] = "MapDatasetOnOff"
    counted_fields: ClassVar[tuple[str, ...]] = ("counts", "counts_off", "acceptance", "acceptance_off")
    map_fields: ClassVar[tuple[str, ...]] = (*counted_fields, "mask_safe", "mask_fit")

    _: KW_ONLY
    counts_off: CubeMap
    acceptance: CubeMap
    acceptance_off: CubeMap

    @classmethod
    def create(
        cls,
        geom: WcsGeom,
        energy_axis_true: MapAxis | None = None,
        migra_axis: MapAxis | None = None,
        rad_axis: MapAxis | None = None,
        binsz_irf: Any = BINSZ_IRF,
        name: str = "empty",
        reco_psf: bool = False,
        **fields: Any,
    ) -> Self:
        """Dataset of zeros, acceptances included; parameters and errors as `MapDataset.create`."""
        geoms = create_geoms(geom, energy_axis_true, migra_axis, rad_axis, binsz_irf, reco_psf)
        return cls.from_geoms(**geoms, name=name, **fields)

    @classmethod
    def from_geoms(
        cls,
        geom: Any,
        geom_exposure: Any = None,
        geom_psf: Any = None,
        geom_edisp: Any = None,
        name: str = "empty",
        **fields: Any,
    ) -> Self:
        """Dataset of zeros over geometries; parameters as `MapDataset.from_geoms`."""
        empty = empty_fields(geom, geom_exposure, geom_psf, geom_edisp)
        off = dict.fromkeys(("counts_off", "acceptance", "acceptance_off"), empty["counts"])
        return cls(name=name, **(off | empty | fields))

    @classmethod
    def from_map_dataset(
        cls, dataset: MapDataset, acceptance: Any, acceptance_off: Any, counts_off: Any = None, name: str | None = None
    ) -> Self:
        """ON-OFF dataset from a dataset and its OFF measurement (maps, arrays or numbers).

        Without `counts_off` it is the expectation, background / alpha, of the dataset's background.

        Raises
        ------
        SchemaError : neither OFF counts nor a background. GeometryError : arrays that do not fit.
        """
        if counts_off is None and dataset.background is None:
            raise SchemaError(
                "GX-DATASETS-290",
                "an ON-OFF dataset needs OFF counts",
                dataset=dataset.name,
                do="give counts_off, or a dataset with a background",
            )
        parts = {"counts_off": counts_off, "acceptance": acceptance, "acceptance_off": acceptance_off}
        maps = {part: as_cube(0.0 if value is None else value, dataset.counts, part) for part, value in parts.items()}
        made = cls(name=name or dataset.name, **maps, **{part: getattr(dataset, part) for part in _SHARED})
        if counts_off is not None:
            return made
        background, alpha = dataset.background.values(), made.alpha.values()
        # without acceptance no OFF count stands for a background
        expected = np.divide(background, alpha, out=np.where(background > 0, np.inf, 0.0), where=alpha > 0)
        return made.replace(counts_off=made._to_map(expected))

    def to_map_dataset(self, name: str | None = None) -> MapDataset:
        """Dataset with the background alpha x counts_off taken as known (cash)."""
        parts = {part: getattr(self, part) for part in _SHARED}
        return MapDataset(name=name or self.name, background=self.background, **parts)
