"""Cube with a background that is modelled: counts follow a Poisson law (cash)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from gammax.datasets._map_base import MapBase
from gammax.datasets._map_check import CubeMap
from gammax.datasets._map_create import BINSZ_IRF, create_geoms, empty_fields
from gammax.datasets._statistics import CashMethods
from gammax.maps import MapAxis, WcsGeom


@dataclass(frozen=True, eq=False, repr=False)
class MapDataset(CashMethods, MapBase):
    """Counts of an image in bins of energy with the responses to predict them; holds no model.

    Parameters
    ----------
    name : name, by which `Datasets` and models refer to it.
    counts : counts over the axis "energy" (R bins); a `RegionNDMap` makes a dataset of one region.
    exposure : effective area x livetime over the axis "energy_true" (T bins) in the same pixels, any unit that converts
        to cm2 s; None: nothing can be predicted but the background.
    psf : PSF in the pixels of an image of its own; None: sources are seen as they are. One over reconstructed energy
        (`RecoPSFMap`) comes after exposure and energy dispersion.
    edisp : energy dispersion likewise; None: true and reconstructed energy are the same.
    background : expected background counts, which models may scale; None: no background.
    mask_safe, mask_fit : bins where the responses can be trusted, bins that the user wants in the fit; None: all.
    gti, meta_table, livetime, meta : as in `SpectrumDataset`.

    Raises
    ------
    SchemaError, GeometryError, DataValueError : the parts are of the wrong kind or do not fit each other.
    """

    tag: ClassVar[str] = "MapDataset"
    counted_fields: ClassVar[tuple[str, ...]] = ("counts", "background")
    map_fields: ClassVar[tuple[str, ...]] = ("counts", "background", "mask_safe", "mask_fit")
    optional_fields: ClassVar[tuple[str, ...]] = ("background", "mask_safe", "mask_fit")

    background: CubeMap | None = field(default=None, kw_only=True)

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
        """Dataset of zeros, to be filled by `replace` or to stack others on: no bin is in its mask_safe.

        Parameters
        ----------
        geom : image with the axis "energy".
        energy_axis_true : axis "energy_true" of exposure and responses; that of `geom`, renamed, by default.
        migra_axis : axis of an `EDispMap`; without, the energy dispersion is an `EDispKernelMap`.
        rad_axis : axis of the PSF; 66 bins from 0 to 0.66 deg by default.
        binsz_irf : size of the pixels of the responses; bare numbers are degrees.
        reco_psf : a PSF over reconstructed energy.
        fields : other fields (meta_table, gti ...).

        Raises
        ------
        GeometryError : axes of other names. UnitError : a size that is no angle.
        """
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
        """Dataset of zeros over geometries, parts without one left out; no bin is in its mask_safe.

        Parameters
        ----------
        geom_psf : with axis "energy_true", or "energy" for a `RecoPSFMap`. geom_edisp : with "energy", or "migra" for
            an `EDispMap`.
        fields : other fields.
        """
        empty = empty_fields(geom, geom_exposure, geom_psf, geom_edisp)
        return cls(name=name, background=empty["counts"], **(empty | fields))
