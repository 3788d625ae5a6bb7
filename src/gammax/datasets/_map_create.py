"""Empty cubes: geometries of counts, exposure and responses, and zeros over them."""

from __future__ import annotations

from typing import Any

import numpy as np

from gammax.errors import GeometryError
from gammax.irf import EDispKernelMap, EDispMap, PSFMap, RecoPSFMap
from gammax.maps import MapAxis, RegionGeom, RegionNDMap, WcsGeom, WcsNDMap

# the field's values
BINSZ_IRF = 0.2  # deg
RAD_MAX, RAD_NBIN = 0.66, 66  # deg


def create_geoms(
    geom: WcsGeom,
    energy_axis_true: MapAxis | None,
    migra_axis: MapAxis | None,
    rad_axis: MapAxis | None,
    binsz_irf: Any,
    reco_psf: bool,
) -> dict[str, Any]:
    """Geometries for `empty_fields`; parameters and errors as `MapDataset.create`."""
    if geom.axes.names != ("energy",):
        raise GeometryError(
            "GX-DATASETS-280",
            "counts need the axis 'energy' and no other",
            found=", ".join(geom.axes.names) or "no axis",
        )
    energy = geom.axes["energy"]
    true = energy.rename("energy_true") if energy_axis_true is None else energy_axis_true
    if true.name != "energy_true":
        raise GeometryError("GX-DATASETS-281", "the axis of true energy has another name", found=true.name)
    rad = MapAxis.from_bounds(0.0, RAD_MAX, RAD_NBIN, "rad", unit="deg") if rad_axis is None else rad_axis
    image = geom.to_image().to_binsz(binsz_irf)
    return {
        "geom": geom,
        "geom_exposure": geom.replace_axes((true,)),
        "geom_psf": image.replace_axes((rad, energy if reco_psf else true)),
        "geom_edisp": image.replace_axes((energy if migra_axis is None else migra_axis, true)),
    }


def empty_fields(geom: Any, geom_exposure: Any, geom_psf: Any, geom_edisp: Any) -> dict[str, Any]:
    """Fields of a dataset of zeros; no bin is in mask_safe. Parameters as `MapDataset.from_geoms`."""
    make = RegionNDMap if isinstance(geom, RegionGeom) else WcsNDMap
    fields: dict[str, Any] = {"counts": make(geom), "mask_safe": make(geom, np.zeros(geom.data_shape, bool))}
    if geom_exposure is not None:
        fields["exposure"] = make(geom_exposure, unit="cm2 s")
    if geom_edisp is not None:
        fields["edisp"] = (EDispKernelMap if "energy" in geom_edisp.axes else EDispMap).from_geom(geom_edisp)
    if geom_psf is not None:
        fields["psf"] = (PSFMap if "energy_true" in geom_psf.axes else RecoPSFMap).from_geom(geom_psf)
    return fields
