"""Events of a region in energy bins."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord

from gammax import _regions as sky_regions
from gammax.data import EventList, Observation
from gammax.errors import GammaxWarning, GeometryError, SchemaError
from gammax.irf import RadMax2D
from gammax.maps import MapAxis, RegionGeom, WcsGeom

# of the radius of a region against RAD_MAX: headers hold few digits
RADIUS_RTOL = 1e-3
_NO_RAD_MAX = "GX-IRF-091"


def count(energy_tev: np.ndarray, axis: MapAxis) -> np.ndarray:
    """Number of energies [TeV] in each bin, lower edges included, upper ones not."""
    edges = axis.edges_value("TeV")
    idx = np.searchsorted(edges, energy_tev, side="right") - 1
    inside = (idx >= 0) & (idx < axis.nbin)
    return np.bincount(idx[inside], minlength=axis.nbin).astype(np.float64)


def counts_in_region(events: EventList, geom: RegionGeom) -> np.ndarray:
    """Events inside a region (those in several of its parts once) per energy bin."""
    inside = geom.contains(events.radec)
    return count(events.energy_tev[inside], geom.axes["energy"])


def counts_in_pixel_regions(
    events: EventList, regions: Iterable[sky_regions.PixelRegion], image: WcsGeom, axis: MapAxis
) -> np.ndarray:
    """Events inside any of several regions of an image (those in two of them once) per energy bin."""
    x, y = image.coord_to_pix(events.radec)
    on_image = np.isfinite(x) & np.isfinite(y)
    pixels = sky_regions.PixCoord(x[on_image], y[on_image])
    inside = np.zeros(int(on_image.sum()), bool)
    for region in regions:
        inside |= region.contains(pixels)
    return count(events.energy_tev[on_image][inside], axis)


def counts_in_cuts(
    events: EventList, centers: Iterable[SkyCoord], pointing: SkyCoord, rad_max: RadMax2D, axis: MapAxis
):
    """Events per energy bin no farther than RAD_MAX(energy, offset) from any of the centres."""
    near = np.zeros(len(events), bool)
    radec = events.radec
    for center in centers:
        offset = float(center.separation(pointing).deg)
        cut = rad_max.values(energy=events.energy_tev, offset=np.full(len(events), offset))
        near |= center.separation(radec).deg <= cut
    return count(events.energy_tev[near], axis)


def directional_cut(geom: RegionGeom, observation: Observation) -> RadMax2D | None:
    """Cut that stands for the size of the region; None where the region itself does.

    A point needs the RAD_MAX of the responses. With point-like responses a circle must have the radius of their fixed
    RAD_MAX; where they do not say one, the radius is taken for it, with a warning.

    Raises
    ------
    GeometryError : region and responses do not fit. SchemaError : a point, and no RAD_MAX.
    """
    where = {"obs_id": observation.obs_id}
    is_point = isinstance(geom.region, sky_regions.PointSkyRegion)
    if geom.region is None:
        raise GeometryError("GX-MAKERS-010", "the dataset has no region to reduce events to", **where)
    pointlike = observation.aeff is not None and observation.aeff.is_pointlike
    if not is_point and not pointlike:
        return None
    rad_max = _rad_max(observation, is_point)
    if is_point:
        if rad_max is None:
            raise SchemaError(
                "GX-MAKERS-011",
                "a point has no size and the responses have no RAD_MAX",
                do="give a circle as ON region",
                **where,
            )
        _check_reach(geom, observation, rad_max, where)
        return rad_max
    if rad_max is not None:
        _check_radius(geom.region, rad_max, where)
    return None


def _rad_max(observation: Observation, required: bool) -> RadMax2D | None:
    try:
        return observation.rad_max
    except SchemaError as error:
        if required or error.code != _NO_RAD_MAX:
            raise
    warnings.warn(
        f"observation {observation.obs_id}: the responses are point-like but say no RAD_MAX; the radius of the ON "
        "region is taken for it",
        GammaxWarning,
        stacklevel=2,
    )
    return None


def _check_reach(geom: RegionGeom, observation: Observation, rad_max: RadMax2D, where: dict[str, Any]) -> None:
    offset = float(geom.center_skydir.separation(observation.get_pointing_icrs()).deg)
    if rad_max.values(energy=geom.axes["energy"].center_value("TeV"), offset=offset).any():
        return
    axes = {
        name: rad_max.axes[name].edges_value(unit)[[0, -1]] for name, unit in (("energy", "TeV"), ("offset", "deg"))
    }
    raise GeometryError(
        "GX-MAKERS-014",
        "RAD_MAX is zero at all energies at the offset of the source",
        found=f"0 deg at an offset of {offset:.4g} deg",
        expected="{:.4g} to {:.4g} TeV, offsets from {:.4g} to {:.4g} deg".format(*axes["energy"], *axes["offset"]),
        **where,
    )


def _check_radius(region: Any, rad_max: RadMax2D, where: dict[str, Any]) -> None:
    is_fixed = rad_max.data.min() == rad_max.data.max()
    if not is_fixed or not isinstance(region, sky_regions.CircleSkyRegion):
        raise GeometryError(
            "GX-MAKERS-012",
            "the responses are point-like, and the ON region is not that of their cut",
            found=type(region).__name__,
            expected="a circle of RAD_MAX" if is_fixed else "a point: RAD_MAX depends on energy",
            do="give PointSkyRegion(center) as ON region",
            **where,
        )
    radius, cut = region.radius.to_value("deg"), float(rad_max.quantity.flat[0].to_value("deg"))
    if not np.isclose(radius, cut, rtol=RADIUS_RTOL, atol=0):
        raise GeometryError(
            "GX-MAKERS-013",
            "the radius of the ON region is not the RAD_MAX of the responses",
            found=f"{radius:.6g} deg",
            expected=f"{cut:.6g} deg",
            **where,
        )
