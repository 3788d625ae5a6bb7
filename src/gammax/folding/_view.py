"""How a cube sees a source: its cutout, and shape, exposure and PSF there, prepared on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import ndtr

from gammax.errors import ModelError, SchemaError, did_you_mean
from gammax.folding._grid import Grid, kernel_transform, pixel_kernels
from gammax.folding._mixture import Mixture, local_quadratic
from gammax.folding._plane import Plane, make_plane
from gammax.folding._psf_table import PSFTable, has_psf, psf_table
from gammax.folding._psf_width import AS_GIVEN, PSFWidth, pixel_psf
from gammax.irf import EDispKernel
from gammax.models import (
    DiskSpatialModel,
    GaussianSpatialModel,
    GeneralizedGaussianSpatialModel,
    PointSpatialModel,
    TemplateSpatialModel,
)
from gammax.models._edges import RingModel

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

    from gammax.datasets import MapDataset
    from gammax.models import SkyModel

ORDERS = ("exposure-first", "psf-first")
# degrees that a source may move within its cutout
MARGIN = 0.15
# degrees; beyond, a Gaussian on the sphere is not one in a plane, and exposure is not a quadratic
_WIDEST = 0.7
_AREA_RADIUS = 0.3
# cosine of the angle between pixel axes: more, and Gaussians are not products along them
_SKEW = 1e-3
_MAX_FACTOR = 60
# of shapes with edges or cusps, which are blunted to the spacing of nodes: nodes per pixel that they need, unless these
# are more than _MOST_NODES in a row, and by how much they become wider (variance, in spacings squared)
_EDGES = {
    DiskSpatialModel: (5, 0.8),
    RingModel: (5, 0.0),
    GeneralizedGaussianSpatialModel: (5, 0.0),
    GaussianSpatialModel: (1, 0.36),
}
_MOST_NODES = 400
# variance of a cell between nodes, in spacings squared
_CELL = 1.0 / 12.0


class View(NamedTuple):
    """A source in a cube.

    Attributes
    ----------
    rows, columns : the cutout, slices of the cube.
    basis : `Mixture` for points and Gaussians, else `Grid`.
    response : energy dispersion, (R, T).
    """

    rows: slice
    columns: slice
    basis: Mixture | Grid
    response: np.ndarray


def make_view(
    dataset: MapDataset, model: SkyModel, order: str = "exposure-first", width: PSFWidth = AS_GIVEN
) -> View | None:
    """View of a source at its place; None where it reaches no pixel.

    Parameters
    ----------
    order : "exposure-first", the exposure at the true position, before the PSF; "psf-first", at the reconstructed
        position, after it, as Gammapy has it. A PSF in reconstructed energy always comes last.
    width : of the PSF.

    Raises
    ------
    ModelError : the source has no spatial model; a point without PSF. SchemaError : unknown `order`, a dataset without
    exposure. GeometryError : a position off the image.
    """
    check_view(dataset, model, order)
    check_point(dataset, model)
    spatial: Any = model.spatial_model
    geom = dataset.geom.to_image()
    # what is everywhere, or on a map of its own whose centre the image does not hold, has no place
    placed = is_whole(spatial) or (spatial.evaluation_radius is not None and bool(geom.contains(spatial.position)))
    position = (spatial.position if placed else geom.center_skydir).transform_to(spatial.frame)
    plane = make_plane(geom, position, 1.0)
    table = psf_table(dataset, model, position, width.value)
    reach = 0.0 if table is None else table.reach
    wanted = tuple(slice(0, n) for n in geom.image_shape)
    if placed:
        wanted = _box(plane, spatial, reach + room_of(spatial))
    box = _inside(wanted, geom.image_shape)
    if box is None:
        return None
    response = dispersion(dataset, model, position, order)
    exposure = dataset.arrays.exposure if model.apply_irf["exposure"] else np.ones_like(dataset.arrays.exposure)
    after = order == "psf-first" and (table is None or not table.reco)
    if table is not None and _is_closed(spatial, plane):
        return View(*box, _mixture(plane, table, exposure, wanted, box, spatial, after), response)
    return View(*box, _grid(dataset, plane, table, exposure, box, spatial, after, width), response)


def check_view(dataset: Any, model: SkyModel, order: str) -> None:
    """Raise where a source cannot be folded; errors as `make_view`."""
    where = {"model": model.name, "dataset": dataset.name}
    if order not in ORDERS:
        raise SchemaError("GX-FOLD-013", f"unknown order {order!r}", do=did_you_mean(order, ORDERS))
    if model.spatial_model is None:
        raise ModelError(
            "GX-FOLD-011",
            "a source needs a spatial model to be seen in a cube, or through a PSF",
            do="give it one: SkyModel(spectral_model, PointSpatialModel(...))",
            **where,
        )
    if dataset.exposure is None:
        raise SchemaError("GX-FOLD-015", "the dataset has no exposure", **where)


def check_point(dataset: Any, model: SkyModel) -> None:
    """Raise ModelError for a point without PSF."""
    if is_bare_point(dataset, model):
        raise ModelError(
            "GX-FOLD-017",
            "a point needs a PSF",
            do="give the dataset one, or the source a size (in a region, a frozen position will do)",
            model=model.name,
            dataset=dataset.name,
        )


def is_bare_point(dataset: Any, model: SkyModel) -> bool:
    """Whether a source is a point that no PSF makes wider."""
    return isinstance(model.spatial_model, PointSpatialModel) and not has_psf(dataset, model)


def _is_closed(spatial: Any, plane: Plane) -> bool:
    """Whether the closed form holds for a source, and goes on holding wherever a fit moves it."""
    x, y = plane.sky_per_pixel.T
    return bool(abs(x @ y) <= _SKEW * np.linalg.norm(x) * np.linalg.norm(y)) and is_gaussian(spatial)


def is_gaussian(spatial: Any) -> bool:
    """Whether a source is a point or a Gaussian on a plane, and remains one in a fit."""
    if isinstance(spatial, PointSpatialModel):
        return True
    return (
        isinstance(spatial, GaussianSpatialModel)
        and spatial.e.frozen
        and float(spatial.e.value) == 0.0
        and float(spatial.sigma.canonical) <= _WIDEST
    )


def _box(plane: Plane, spatial: Any, reach: float) -> tuple[slice, slice]:
    """Rows and columns that a source reaches, beyond the image too."""
    half = (reach + float(spatial.evaluation_radius) + MARGIN) / np.linalg.norm(plane.sky_per_pixel, axis=0)
    columns, rows = (
        slice(round(center) - width, round(center) + width + 1)
        for center, width in zip(plane.anchor_pixels, map(round_up, half + 0.5), strict=True)
    )
    return rows, columns


def round_up(size: float) -> int:
    """Whole number of four binary digits, not below a size and at most an eighth above it (from 8 on): arrays whose
    lengths are such numbers seldom change their shape, and compiled programs are used again."""
    whole = int(np.ceil(size))
    step = 2 ** max(whole.bit_length() - 4, 0)
    return -(-whole // step) * step


def room_of(spatial: Any) -> float:
    """Degrees by which a small source may grow within its cutout."""
    radius = float(spatial.evaluation_radius or 0.0)
    return max(MARGIN - radius, 0.0) if radius > 0 else 0.0


def _inside(box: tuple[slice, slice], shape: tuple[int, int]) -> tuple[slice, slice] | None:
    """Part of a box that lies in an image; None where there is none."""
    slices = []
    for wanted, n in zip(box, shape, strict=True):
        first, last = max(wanted.start, 0), min(wanted.stop, n)
        if last <= first:
            return None
        slices.append(slice(first, last))
    return slices[0], slices[1]


def dispersion(dataset: Any, model: SkyModel, position: SkyCoord, order: str) -> np.ndarray:
    """Energy dispersion that a source is seen with, (R, T).

    Linear between the pixels of its map: the shares that masked runs have in a stack change from one to the next, and
    predictions of the stack with them, by 3 % in a bin that two runs of four reach. As Gammapy has it, in its order,
    that of the nearest pixel.
    """
    true, reco = dataset.energy_axis_true, dataset.energy_axis
    if dataset.edisp is None or not model.apply_irf["edisp"]:
        return EDispKernel.from_diagonal_response(true, reco).pdf_matrix.T
    if isinstance(dataset.edisp, EDispKernel):
        return dataset.edisp.pdf_matrix.T
    method = "nearest" if order == "psf-first" else "linear"
    return dataset.edisp.get_edisp_kernel(energy_axis=reco, position=position, method=method).pdf_matrix.T


def _mixture(
    plane: Plane,
    table: PSFTable,
    exposure: np.ndarray,
    whole: tuple[slice, slice],
    box: tuple[slice, slice],
    spatial: Any,
    after: bool,
) -> Mixture:
    """Mixture of a source whose box is `whole`, of which the image holds the part `box`."""
    sigma, weights = table.gaussians
    scale = np.linalg.norm(plane.sky_per_pixel, axis=0)
    x, y = plane.anchor_pixels
    size = 0.0 if isinstance(spatial, PointSpatialModel) else float(spatial.sigma.canonical)
    rows, columns = box
    return Mixture(
        plane=plane,
        sigma=sigma,
        weights=_within(whole, (y, x), scale[::-1], sigma, weights, size),
        area=None if after else local_quadratic(exposure, x, y, scale, max(_AREA_RADIUS, 2 * size)),
        exposure=exposure[:, rows, columns] if after else None,
        corner=np.array([columns.start, rows.start], float),
        shape=(rows.stop - rows.start, columns.stop - columns.start),
        reco=table.reco,
    )


def _within(
    box: tuple[slice, slice],
    center: tuple[float, float],
    scale: np.ndarray,
    sigma: np.ndarray,
    weights: np.ndarray,
    size: float,
) -> np.ndarray:
    """Weights (T, K) for which a source is wholly inside its box, rows first.

    Where the table of a PSF ends before the PSF does, that of H.E.S.S. at 0.66 deg, its Gaussians go on: half a percent
    of them would be lost beyond the box, of a PSF that is normalised to its table.
    """
    share = np.ones(len(sigma))
    for part, middle, step in zip(box, center, scale, strict=True):
        ends = (np.array([part.start, part.stop]) - 0.5 - middle) * step
        share = share * np.diff(ndtr(ends[:, None] / np.hypot(sigma, size)), axis=0)[0]
    total = weights @ share
    return weights / np.where(total > 0, total, 1.0)[:, None]


def _grid(
    dataset: MapDataset,
    plane: Plane,
    table: PSFTable | None,
    exposure: np.ndarray,
    cutout: tuple[slice, slice],
    spatial: Any,
    after: bool,
    width: PSFWidth,
) -> Grid:
    rows, columns = cutout
    # all of a source that adds up to 1, of others what lies in the cutout
    box = _box(plane, spatial, 0.0) if is_whole(spatial) else cutout
    factor = _nodes_per_pixel(spatial, plane, box)
    spacing = float(np.linalg.norm(plane.sky_per_pixel, axis=0).max()) / factor
    lon, lat, solid_angle = _nodes(dataset, box, factor, spatial.frame)
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    transform, padded, psf = None, shape, None
    if table is not None:
        sigma, weights = table.gaussians
        # nodes stand for the cells about them; what has edges is wider already, by what they are blunted
        wider = (_CELL - _edges(spatial)[1]) * spacing**2
        if width.moves:
            psf = pixel_psf(table.gaussians, wider, plane.sky_per_pixel, table.reach, width.value)
        sigma = np.sqrt(np.maximum(sigma**2 + wider, 0.0))
        transform, padded = kernel_transform(pixel_kernels(sigma, weights, plane.sky_per_pixel, table.reach), shape)
    return Grid(
        lon=lon,
        lat=lat,
        spacing=np.array(spacing),
        solid_angle=solid_angle,
        exposure=exposure[:, rows, columns],
        energy=dataset.energy_axis_true.center_value("TeV"),
        transform=transform,
        corner=(box[0].start - rows.start, box[1].start - columns.start),
        factor=factor,
        padded=padded,
        after=after,
        whole=is_whole(spatial),
        reco=table is not None and table.reco,
        psf=psf,
    )


def is_whole(spatial: Any) -> bool:
    """Whether a source has a border and all of it adds up to 1."""
    return spatial.evaluation_radius is not None and not isinstance(spatial, TemplateSpatialModel)


def _edges(spatial: Any) -> tuple[int, float]:
    """What `_EDGES` says of a shape; 1 and 0 of one without edges."""
    return next((found for kind, found in _EDGES.items() if isinstance(spatial, kind)), (1, 0.0))


def _nodes_per_pixel(spatial: Any, plane: Plane, box: tuple[slice, slice]) -> int:
    finest = spatial.evaluation_bin_size_min
    if finest is None:
        return 1
    pixel = np.linalg.norm(plane.sky_per_pixel, axis=0).max()
    needed, longest = _edges(spatial)[0], max(s.stop - s.start for s in box)
    fewest = int(np.clip(_MOST_NODES / longest, min(needed, 2), needed))
    return int(np.clip(np.ceil(pixel / max(float(finest), pixel / _MAX_FACTOR)), fewest, _MAX_FACTOR))


def _nodes(
    dataset: MapDataset, box: tuple[slice, slice], factor: int, frame: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Longitudes and latitudes [deg] of factor x factor nodes in the pixels of a box, 0 where there is no sky, and the
    solid angle [sr] of its pixels."""
    image = dataset.geom.to_image()
    margin = max(0, *(-s.start for s in box), *(s.stop - n for s, n in zip(box, image.image_shape, strict=True)))
    wide = image.pad(margin)
    inner = (np.arange(factor) + 0.5) / factor - 0.5
    y, x = (np.add.outer(np.arange(s.start, s.stop), inner).ravel() for s in box)
    sky = image.pix_to_coord(np.meshgrid(x, y))["skycoord"].transform_to(frame)
    solid_angle = wide.solid_angle().value[tuple(slice(s.start + margin, s.stop + margin) for s in box)]
    return np.nan_to_num(sky.spherical.lon.deg), np.nan_to_num(sky.spherical.lat.deg), np.nan_to_num(solid_angle)
