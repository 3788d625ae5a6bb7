"""How a region sees a source: the equation of a cube, integrated over the region.

Containment of the target and contamination by neighbours are one thing: the part of a source, at its place, that is
reconstructed inside. The exposure is that of the region, without any containment; with one value for all of it, the
order of exposure and PSF makes no difference.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gammax.folding._mixture import Mixture
from gammax.folding._plane import make_plane
from gammax.folding._psf_table import PSFTable, psf_table
from gammax.folding._psf_width import AS_GIVEN, PSFWidth, region_psf
from gammax.folding._region import RegionGrid, RegionImage, region_image, shares
from gammax.folding._view import (
    MARGIN,
    View,
    check_point,
    check_view,
    dispersion,
    is_gaussian,
    is_whole,
    make_view,
    room_of,
    round_up,
)
from gammax.maps import WcsGeom

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

    from gammax.models import SkyModel

# width of what stands for no PSF, in pixels of the region's image
_NO_PSF = 1e-3
# nodes of a shape in each direction, and pixels of the region's image from one to the next, at most
_NODES, _COARSE = 256, 3.0
# pixels; of nodes, however small the structures of a shape
_SMALLEST_STEP = 1e-3


class RegionView(NamedTuple):
    """A source in a region.

    Attributes
    ----------
    basis : `Mixture` in the image of the region for points and Gaussians, else `RegionGrid`.
    response : energy dispersion, (R, T).
    coverage : part of each pixel that lies inside the region, (1, ny, nx); None with a `RegionGrid`.
    """

    basis: Mixture | RegionGrid
    response: np.ndarray
    coverage: np.ndarray | None
    rows: slice = slice(0, 1)
    columns: slice = slice(0, 1)


def view_of(dataset: Any, model: SkyModel, order: str, width: PSFWidth = AS_GIVEN) -> View | RegionView | None:
    """View of a source in a cube or a region; arguments and errors as `make_view` and `make_region_view`."""
    make = make_view if isinstance(dataset.geom, WcsGeom) else make_region_view
    return make(dataset, model, order, width)


def make_region_view(
    dataset: Any, model: SkyModel, order: str = "exposure-first", width: PSFWidth = AS_GIVEN
) -> RegionView | None:
    """View of a source at its place; None where nothing of it reaches the region.

    Parameters
    ----------
    dataset : a map dataset of a region, or a spectrum.
    order : has no influence, see above. width : of the PSF.

    Raises
    ------
    ModelError : the source has no spatial model; a point without PSF. SchemaError : unknown `order`, a dataset without
    exposure. GeometryError : a region that is a point, or none.
    """
    check_view(dataset, model, order)
    check_point(dataset, model)
    image = region_image(dataset.geom, dataset.name)
    spatial: Any = model.spatial_model
    center = image.geom.center_skydir
    # what is everywhere, or on a map of its own, has no place
    position = (spatial.position if is_whole(spatial) else center).transform_to(spatial.frame)
    table = psf_table(dataset, model, position, width.value)
    reach = 0.0 if table is None else table.reach
    extent = image.scale * np.hypot(*image.coverage.shape) / 2
    radius = float(spatial.evaluation_radius or 0.0) + MARGIN + room_of(spatial)
    if center.separation(position).deg > extent + reach + radius:
        return None
    exposure, response = region_exposure(dataset, model), dispersion(dataset, model, position, order)
    if is_gaussian(spatial):
        mixture = _mixture(image, position, table, exposure)
        return RegionView(mixture, response, image.coverage[np.newaxis])
    return RegionView(_grid(dataset, image, spatial, table, exposure, radius, width), response, None)


def region_exposure(dataset: Any, model: SkyModel) -> np.ndarray:
    """Exposure [cm2 s] that a source is seen with, (T,)."""
    exposure = np.ravel(dataset.exposure.values("cm2 s"))
    return exposure if model.apply_irf["exposure"] else np.ones_like(exposure)


def _gaussians(table: PSFTable | None, image: RegionImage, energies: int) -> tuple[np.ndarray, np.ndarray]:
    if table is None:
        return np.array([_NO_PSF * image.scale]), np.ones((energies, 1))
    return table.gaussians


def _mixture(image: RegionImage, position: SkyCoord, table: PSFTable | None, exposure: np.ndarray) -> Mixture:
    plane = make_plane(image.geom, position, 1.0)
    sigma, weights = _gaussians(table, image, len(exposure))
    return Mixture(
        # distances matter in the region, wherever the source is
        plane=dataclasses.replace(plane, sky_per_pixel=np.diag([image.scale, image.scale])),
        sigma=sigma,
        weights=weights,
        area=exposure[:, np.newaxis],
        exposure=None,
        corner=np.zeros(2),
        shape=image.coverage.shape,
        reco=table is not None and table.reco,
    )


def _grid(
    dataset: Any,
    image: RegionImage,
    spatial: Any,
    table: PSFTable | None,
    exposure: np.ndarray,
    radius: float,
    width: PSFWidth,
) -> RegionGrid:
    """Grid over the source, its radius with room [deg]."""
    (x, y), whole = _nodes(image, spatial, table, radius)
    sky = image.geom.pix_to_coord([part.ravel() for part in np.meshgrid(x, y)])["skycoord"]
    step = float(x[1] - x[0]) * float(y[1] - y[0]) * np.deg2rad(image.scale) ** 2
    gaussians = _gaussians(table, image, len(exposure))
    share = shares(image, *gaussians, x, y)
    moves = width.moves and table is not None
    # of a tangential image
    solid_angle = step * np.cos(sky.separation(image.geom.center_skydir).rad) ** 3
    sky = sky.transform_to(spatial.frame)
    return RegionGrid(
        lon=sky.spherical.lon.deg,
        lat=sky.spherical.lat.deg,
        solid_angle=solid_angle,
        share=share.reshape(len(share), -1),
        exposure=exposure,
        energy=dataset.energy_axis_true.center_value("TeV"),
        whole=whole and is_whole(spatial),
        reco=table is not None and table.reco,
        psf=region_psf(image, gaussians, x, y, width.value) if moves else None,
    )


def _nodes(
    image: RegionImage, spatial: Any, table: PSFTable | None, radius: float
) -> tuple[tuple[np.ndarray, np.ndarray], bool]:
    """Columns and rows of nodes in the image of the region: those of the source, where so few hold all of it; else
    those of what the region sees. And which of both."""
    mesh, finest = spatial.mesh(), spatial.evaluation_bin_size_min
    # a border of the region that no PSF makes smooth, or of the source, needs nodes as near as pixels
    sharp = table is None or (mesh is not None and bool(mesh.edges))
    step = 1.0 if sharp else _COARSE
    step = step if finest is None else max(min(step, float(finest) / image.scale), _SMALLEST_STEP)
    whole = spatial.evaluation_radius is not None and 2 * radius / image.scale <= _NODES * _COARSE
    if whole:
        center, half = np.array(image.geom.coord_to_pix(spatial.position)), radius / image.scale
        count = round_up(min(max(2 * half / step, 8), _NODES))
    else:
        n = image.coverage.shape[0]
        reach = 0.0 if table is None else table.reach
        center, half = np.full(2, (n - 1) / 2), n / 2 + reach / image.scale
        # without a PSF a node for every pixel
        count = min(int(np.ceil(2 * half / step - 1e-9)), max(_NODES, n))
    x, y = (middle + half * ((2 * np.arange(count) + 1) / count - 1) for middle in center)
    return (x, y), bool(whole)
