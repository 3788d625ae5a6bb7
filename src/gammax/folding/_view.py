"""How a cube sees a source: its cutout, and shape, exposure and PSF there, prepared on the host."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import ndtr

from gammax.errors import ModelError, SchemaError, did_you_mean
from gammax.folding._grid import Grid, kernel_transform, pixel_kernels
from gammax.folding._mixture import Mixture, local_quadratic
from gammax.folding._plane import Plane, make_plane
from gammax.irf import RecoPSFMap
from gammax.irf._psf_profile import radius_of
from gammax.maps import WcsGeom
from gammax.models import ConstantSpatialModel, GaussianSpatialModel, PointSpatialModel, TemplateSpatialModel

if TYPE_CHECKING:
    from gammax.datasets import MapDataset
    from gammax.models import SkyModel

ORDERS = ("exposure-first", "psf-first")
# degrees that a source may move within its cutout
MARGIN = 0.15
# part of the PSF inside a cutout, at the energy where it is widest
_CONTAINMENT = 0.99999
# degrees; beyond, a Gaussian on the sphere is not one in a plane, and exposure is not a quadratic
_WIDEST = 0.7
_AREA_RADIUS = 0.3
# cosine of the angle between pixel axes: more, and Gaussians are not products along them
_SKEW = 1e-3
_MAX_FACTOR = 60
# of the PSF; with them its containment is met to 1e-3 where it is known, with more the noise of the tables is
_GAUSSIANS = 12


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


def make_view(dataset: MapDataset, model: SkyModel, order: str = "exposure-first") -> View | None:
    """View of a source at its place; None where it reaches no pixel.

    Parameters
    ----------
    order : "exposure-first", the exposure at the true position, before the PSF; "psf-first", at the reconstructed
        position, after it, as Gammapy has it.

    Raises
    ------
    ModelError : the source has no spatial model; a point without PSF. SchemaError : unknown `order`, a dataset of a
    region, without exposure, or with a PSF in reconstructed energy. GeometryError : a position off the image.
    """
    _check_view(dataset, model, order)
    spatial: Any = model.spatial_model
    geom = dataset.geom.to_image()
    position = spatial.position if spatial.evaluation_radius is not None else geom.center_skydir
    position = position.transform_to(spatial.frame)
    plane = make_plane(geom, position, 1.0)
    table = None
    # what is the same everywhere is so through any PSF, at the border of the image too
    if dataset.psf is not None and model.apply_irf["psf"] and not isinstance(spatial, ConstantSpatialModel):
        table = dataset.psf.profile(position, dataset.energy_axis_true.center)
    reach = 0.0 if table is None else float(np.nanmax(radius_of(*table, _CONTAINMENT), initial=0.0))
    wanted = _box(dataset, plane, spatial, reach + _room(spatial))
    box = _inside(wanted, geom.image_shape)
    if box is None:
        return None
    response = _response(dataset, model, position)
    exposure = dataset.arrays.exposure if model.apply_irf["exposure"] else np.ones_like(dataset.arrays.exposure)
    after = order == "psf-first"
    if table is not None and _is_closed(spatial, plane):
        return View(*box, _mixture(plane, table, exposure, wanted, box, spatial, after), response)
    return View(*box, _grid(dataset, plane, table, exposure, box, spatial, after, reach), response)


def _check_view(dataset: MapDataset, model: SkyModel, order: str) -> None:
    where = {"model": model.name, "dataset": dataset.name}
    if order not in ORDERS:
        raise SchemaError("GX-FOLD-013", f"unknown order {order!r}", do=did_you_mean(order, ORDERS))
    if model.spatial_model is None:
        raise ModelError("GX-FOLD-011", "a source needs a spatial model to be seen in a cube", **where)
    if not isinstance(dataset.geom, WcsGeom):
        raise SchemaError(
            "GX-FOLD-014",
            "a map dataset of a region has no pixels to fold a source into",
            found=type(dataset.geom).__name__,
            do="use the cube, or its to_spectrum_dataset()",
            **where,
        )
    if dataset.exposure is None:
        raise SchemaError("GX-FOLD-015", "the dataset has no exposure", **where)
    if isinstance(dataset.psf, RecoPSFMap):
        raise SchemaError(
            "GX-FOLD-016", "a PSF in reconstructed energy is not folded yet", expected="a PSF in true energy", **where
        )
    if isinstance(model.spatial_model, PointSpatialModel) and (dataset.psf is None or not model.apply_irf["psf"]):
        raise ModelError("GX-FOLD-017", "a point needs a PSF", do="give the dataset one, or the source a size", **where)


def _is_closed(spatial: Any, plane: Plane) -> bool:
    """Whether the closed form holds for a source, and goes on holding wherever a fit moves it."""
    x, y = plane.sky_per_pixel.T
    if abs(x @ y) > _SKEW * np.linalg.norm(x) * np.linalg.norm(y):
        return False
    if isinstance(spatial, PointSpatialModel):
        return True
    return (
        isinstance(spatial, GaussianSpatialModel)
        and spatial.e.frozen
        and float(spatial.e.value) == 0.0
        and float(spatial.sigma.canonical) <= _WIDEST
    )


def _box(dataset: MapDataset, plane: Plane, spatial: Any, reach: float) -> tuple[slice, slice]:
    """Rows and columns that a source reaches, beyond the image too."""
    nx, ny = dataset.geom.npix
    if spatial.evaluation_radius is None:
        return slice(0, ny), slice(0, nx)
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


def _room(spatial: Any) -> float:
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


def _response(dataset: MapDataset, model: SkyModel, position: Any) -> np.ndarray:
    from gammax.irf import EDispKernel

    true, reco = dataset.energy_axis_true, dataset.energy_axis
    if dataset.edisp is None or not model.apply_irf["edisp"]:
        return EDispKernel.from_diagonal_response(true, reco).pdf_matrix.T
    return dataset.edisp.get_edisp_kernel(energy_axis=reco, position=position).pdf_matrix.T


def _mixture(
    plane: Plane,
    table: Any,
    exposure: np.ndarray,
    whole: tuple[slice, slice],
    box: tuple[slice, slice],
    spatial: Any,
    after: bool,
) -> Mixture:
    """Mixture of a source whose box is `whole`, of which the image holds the part `box`."""
    sigma, weights = _gaussians(*(np.asarray(part, float).tobytes() for part in table))
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


@lru_cache(maxsize=256)
def _gaussians(rad: bytes, psf: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Widths and weights of a PSF as Gaussians. Kept: a joint fit, and its flux points, ask for the same again and
    again, and it takes 20 to 100 ms."""
    from gammax.irf import gaussian_mixture

    radii = np.frombuffer(rad)
    return gaussian_mixture(radii, np.frombuffer(psf).reshape(-1, len(radii)), n=_GAUSSIANS)[:2]


def _grid(
    dataset: MapDataset,
    plane: Plane,
    table: Any,
    exposure: np.ndarray,
    cutout: tuple[slice, slice],
    spatial: Any,
    after: bool,
    reach: float,
) -> Grid:
    rows, columns = cutout
    box = _box(dataset, plane, spatial, 0.0)
    factor = _nodes_per_pixel(spatial, plane)
    lon, lat, solid_angle = _nodes(dataset, box, factor, spatial.frame)
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    transform, padded = None, shape
    if table is not None:
        transform, padded = kernel_transform(pixel_kernels(*table, plane.sky_per_pixel, reach), shape)
    return Grid(
        lon=lon,
        lat=lat,
        solid_angle=solid_angle,
        exposure=exposure[:, rows, columns],
        energy=dataset.energy_axis_true.center_value("TeV"),
        transform=transform,
        corner=(box[0].start - rows.start, box[1].start - columns.start),
        factor=factor,
        padded=padded,
        after=after,
        whole=spatial.evaluation_radius is not None and not isinstance(spatial, TemplateSpatialModel),
    )


def _nodes_per_pixel(spatial: Any, plane: Plane) -> int:
    finest = spatial.evaluation_bin_size_min
    if finest is None:
        return 1
    pixel = np.linalg.norm(plane.sky_per_pixel, axis=0).max()
    return int(np.clip(np.ceil(pixel / float(finest)), 1, _MAX_FACTOR))


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
