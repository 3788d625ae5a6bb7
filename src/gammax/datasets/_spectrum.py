"""Spectrum with a background that is known: counts follow a Poisson law (cash)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np

from gammax.datasets._base import SpectrumBase
from gammax.datasets._statistics import CashMethods
from gammax.maps import MapAxis, RegionGeom, RegionNDMap


@dataclass(frozen=True, eq=False, repr=False)
class SpectrumDataset(CashMethods, SpectrumBase):
    """Counts of one region with the responses to predict them; holds no model.

    Parameters
    ----------
    name : name, by which `Datasets` and models refer to it.
    counts : counts over the reconstructed energy axis "energy" (R bins).
    exposure : effective area x livetime over the axis "energy_true" (T bins), any unit that converts to cm2 s.
    edisp : energy dispersion kernel (T, R); None: true and reconstructed energy are the same.
    psf : PSF in the region, with which every source that reaches it is folded as in a cube: containment of the target
        and contamination by neighbours follow from the places and sizes of the models, each of which needs one. The
        exposure is then without containment correction. None: the spectrum is that of what the region holds, sources
        in it are taken whole, and those outside are not seen.
    background : expected background counts; None: no background.
    mask_safe, mask_fit : bins where the responses can be trusted, bins that the user wants in the fit; None: all.
    gti : good time intervals, columns START and STOP (converted to s), reference time in its meta (MJDREFI, MJDREFF,
        TIMESYS).
    meta_table : one row per observation (OBS_ID, TELESCOP ...).
    livetime : seconds.
    meta : anything that JSON can hold; written with the dataset.

    Raises
    ------
    SchemaError, GeometryError, DataValueError : the parts are of the wrong kind or do not fit each other.
    """

    tag: ClassVar[str] = "SpectrumDataset"
    stat_type: ClassVar[str] = "cash"
    map_fields: ClassVar[tuple[str, ...]] = ("counts", "background", "mask_safe", "mask_fit")
    optional_fields: ClassVar[tuple[str, ...]] = ("background", "mask_safe", "mask_fit")

    background: RegionNDMap | None = field(default=None, kw_only=True)

    @classmethod
    def create(cls, geom: RegionGeom, energy_axis_true: MapAxis, name: str = "empty") -> Self:
        """Dataset without counts, background and exposure, to be filled by `replace`."""
        true = RegionGeom(geom.region, (energy_axis_true,), geom.wcs)
        zeros = RegionNDMap(geom, np.zeros(geom.data_shape))
        return cls(name, zeros, RegionNDMap(true, np.zeros(true.data_shape), unit="cm2 s"), background=zeros)
