"""Effective area, containment and energy dispersion of a region in one observation."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord

from gammax import _regions as sky_regions
from gammax.data import Observation
from gammax.errors import DataValueError, GeometryError, SchemaError
from gammax.irf import EDispKernel
from gammax.maps import MapAxis, RegionGeom, WcsGeom
from gammax.maps._wcs_region import image_mask

# of a fraction of events; the running sum over coarse rings may exceed 1 a little
CONTAINMENT_RTOL = 1e-3
_PIXELS_ACROSS = 20


def require(observation: Observation, name: str, do: str = "") -> Any:
    """Response of an observation.

    Raises
    ------
    SchemaError : it has none.
    """
    response = getattr(observation, name)
    if response is None:
        raise SchemaError(
            "GX-MAKERS-020",
            f"the observation has no {name}",
            obs_id=observation.obs_id,
            found=", ".join(observation.available_hdus) or "nothing",
            do=do,
        )
    return response


def points_of(geom: RegionGeom, use_region_center: bool) -> SkyCoord:
    """Centre of a region, or points that fill it evenly; shape (n,)."""
    center: Any = geom.center_skydir
    if center is None:
        raise GeometryError("GX-MAKERS-021", "the dataset has no region")
    if use_region_center or isinstance(geom.region, sky_regions.PointSkyRegion):
        return center[np.newaxis]
    width = float(np.max(geom.wcs.pixel_shape) * np.max(np.abs(geom.wcs.wcs.cdelt)))
    image = WcsGeom.create(
        skydir=center, binsz=width / _PIXELS_ACROSS, width=width, proj="TAN", frame=center.frame.name
    )
    inside = image_mask(geom.region, image.wcs, image.npix)
    return image.get_coord()["skycoord"][inside] if inside.any() else center[np.newaxis]


def effective_area(observation: Observation, axis: MapAxis, offsets: np.ndarray) -> np.ndarray:
    """Effective area [cm2] at the centres of the true energy bins and the offsets [deg], shape (T, offsets).

    Raises
    ------
    SchemaError : there is none. GeometryError : all offsets lie beyond it.
    DataValueError : it is zero at all energies and offsets.
    """
    aeff = require(observation, "aeff")
    area = aeff.values(energy_true=axis.center_value("TeV")[:, np.newaxis], offset=offsets)
    if area.any():
        return area
    where = {"obs_id": observation.obs_id, "offset": f"{offsets.mean():.4g} deg"}
    largest = aeff.axes["offset"].edges_value("deg")[-1]
    if offsets.min() > largest:
        raise GeometryError(
            "GX-MAKERS-022",
            f"obs {observation.obs_id}: the ON region is {offsets.mean():.4g} deg from the pointing, outside of the "
            "field of view of the responses",
            found=where["offset"],
            expected=f"at most {largest:.4g} deg",
            do="leave the observation out, or check the ON region and RA_PNT, DEC_PNT",
            **where,
        )
    low, high = axis.edges_value("TeV")[[0, -1]]
    raise DataValueError(
        "GX-MAKERS-023",
        f"obs {observation.obs_id}: the effective area is zero over the whole energy range at {where['offset']}",
        found=f"0 cm2 from {low:.4g} to {high:.4g} TeV",
        **where,
    )


def containment(observation: Observation, geom: RegionGeom, axis: MapAxis, offset: float, method: str) -> np.ndarray:
    """Fraction of the events of a source at the centre of a circle that lie in it, per true energy bin.

    Raises
    ------
    SchemaError : point-like responses, or no PSF. GeometryError : not a circle.
    DataValueError : fractions above 1, or none above 0.
    """
    where = {"obs_id": observation.obs_id}
    if require(observation, "aeff").is_pointlike:
        raise SchemaError(
            "GX-MAKERS-024",
            "point-like responses have the containment in them already",
            do="containment_correction=False",
            **where,
        )
    if not isinstance(geom.region, sky_regions.CircleSkyRegion):
        raise GeometryError(
            "GX-MAKERS-025",
            "the containment is corrected in circles only",
            found=type(geom.region).__name__,
            do="give a circle, or containment_correction=False",
            **where,
        )
    psf = require(observation, "psf", "containment_correction=False")
    radius = geom.region.radius.to_value("deg")
    energy = axis.center_value("TeV")
    fraction = psf.containment_values(np.full_like(energy, radius), energy, np.full_like(energy, offset), method)
    if fraction.max() > 1 + CONTAINMENT_RTOL or not fraction.any():
        raise DataValueError(
            "GX-MAKERS-026",
            "the PSF gives no fraction of events",
            found=f"{fraction.max():.5g} within {radius:.4g} deg",
            expected="more than 0, at most 1",
            do='containment="normalized"' if method != "normalized" else "",
            offset=f"{offset:.4g} deg",
            **where,
        )
    return fraction


def dispersion(
    observation: Observation, true: MapAxis, axis: MapAxis, offsets: np.ndarray, area: np.ndarray
) -> EDispKernel:
    """Energy dispersion kernel, averaged over the offsets with the effective area as weight.

    Raises
    ------
    SchemaError : there is none. DataValueError : it is zero wherever there is effective area.
    """
    edisp = require(observation, "edisp", "leave edisp out of the selection")
    kernels = [edisp.to_edisp_kernel(f"{offset!r} deg", true, axis) for offset in offsets.tolist()]
    if len(kernels) == 1:
        matrix = kernels[0].pdf_matrix
    else:
        total = area.sum(axis=1, keepdims=True)
        weight = np.where(total > 0, area / np.where(total > 0, total, 1.0), 1 / len(kernels))
        matrix = np.einsum("to,oti->ti", weight, np.array([kernel.pdf_matrix for kernel in kernels]))
    if not matrix[area.any(axis=1)].any():
        low, high = true.edges_value("TeV")[[0, -1]]
        raise DataValueError(
            "GX-MAKERS-027",
            f"obs {observation.obs_id}: the energy dispersion is zero at all energies with effective area",
            obs_id=observation.obs_id,
            offset=f"{offsets.mean():.4g} deg",
            found=f"0 from {low:.4g} to {high:.4g} TeV",
        )
    return EDispKernel((true, axis), matrix)
