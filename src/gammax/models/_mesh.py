"""Integrals of a shape over the pixels of a map, exact at any size of source: cells refine where the shape bends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from astropy.coordinates import CartesianRepresentation, SkyCoord

from gammax.maps import WcsGeom

# pixels that are looked at together: 3 x 3 points of each take 30 MB
_CHUNK = 2**14
# times that a pixel may be cut
_LEVELS = 30
# a cell may be this wide, in units of its distance from an edge
_SLOPE = 0.5
# cells below this part of what is allowed need 2 x 2 points, others 4 x 4
_SMALL = 0.3
# points that are evaluated together: two sizes, so that a class of models is compiled twice
_BLOCKS = (2**11, 2**16)


class Mesh(NamedTuple):
    """How finely a shape must be sampled, in z = separation over the radius of the shape in that direction.

    Attributes
    ----------
    unit : smallest radius [deg] of z = 1.
    extent : z beyond which there is nothing.
    largest : width of the largest cells, in z.
    edges : values of z where the shape has an edge or a cusp, and the width of the smallest cells there.
    """

    unit: float
    extent: float
    largest: float = np.inf
    edges: tuple[tuple[float, float], ...] = ()

    def allowed(self, z: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """Width of cells with their centre at z and corners at most `reach` from it."""
        widths = [np.maximum(smallest, _SLOPE * (np.abs(z - edge) - reach)) for edge, smallest in self.edges]
        return np.minimum.reduce([np.full_like(z, self.largest), *widths])


def integrate_pixels(model: Any, geom: WcsGeom) -> np.ndarray:
    """Fraction of a shape in every pixel, (ny, nx).

    Pixels are cut in half each way again and again until they are as small as the model's `mesh` asks for, and
    integrated by Gauss-Legendre points. Within a cell positions and solid angle come from the biquadratic surface
    through 3 x 3 points on the sphere, so that poles, the wrap of longitude and any projection are nothing special.
    """
    mesh, (nx, ny) = model.mesh(), geom.npix
    to_model = rotation(geom, model.frame)
    fractions = np.zeros(nx * ny)
    pixels = _pixels_near(geom, model, mesh)
    for start in range(0, len(pixels), _CHUNK):
        pixel = pixels[start : start + _CHUNK]
        y, x = (index.astype(float) for index in np.divmod(pixel, nx))
        cells = np.stack([x, y, np.ones_like(x), np.ones_like(x)], axis=1)
        for level in range(_LEVELS + 1):
            points = _grid_points(geom, cells) @ to_model.T
            near, fine, small = _judge(model, mesh, points)
            fine |= level == _LEVELS
            for order, chosen in ((2, near & fine & small), (4, near & fine & ~small)):
                if chosen.any():
                    np.add.at(fractions, pixel[chosen], _quadrature(model, points[chosen], order))
            split = near & ~fine
            if not split.any():
                break
            cells, parent = _halve(cells[split], points[split])
            pixel = pixel[split][parent]
    return fractions.reshape(ny, nx)


def in_blocks(function: Callable, model: Any, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """A compiled function of a model at positions [deg] of any number."""
    flat_lon, flat_lat = np.ravel(lon), np.ravel(lat)
    block = _BLOCKS[len(flat_lon) > _BLOCKS[0]]
    values = np.empty(len(flat_lon))
    for start in range(0, len(flat_lon), block):
        part = slice(start, start + block)
        size = len(flat_lon[part])
        padded = (np.pad(angle[part], (0, block - size), mode="edge") for angle in (flat_lon, flat_lat))
        values[part] = np.asarray(function(model, *padded))[:size]
    return values.reshape(np.shape(lon))


def rotation(geom: WcsGeom, frame: str) -> np.ndarray:
    """Matrix (3, 3) that takes unit vectors of a geometry's frame into another frame."""
    axes = SkyCoord(CartesianRepresentation(np.eye(3)), frame=_frame_of(geom))
    turned: Any = axes.transform_to(frame)
    return turned.cartesian.xyz.value


def _frame_of(geom: WcsGeom) -> Any:
    """Celestial frame of a geometry, with its equinox."""
    return geom.get_coord()["skycoord"].frame.replicate_without_data()


def lonlat(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude [deg] of vectors (..., 3)."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


values_at = jax.jit(lambda model, lon, lat: model.values(lon, lat))
_reduced = jax.jit(lambda model, lon, lat: model.reduced_squared(lon, lat))


def _unit_vectors(geom: WcsGeom, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Unit vectors (..., 3) of pixel numbers in the frame of the geometry; NaN off the sky."""
    sky = geom.pix_to_coord((x, y))["skycoord"].spherical
    lon, lat = sky.lon.rad, sky.lat.rad
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def _pixels_near(geom: WcsGeom, model: Any, mesh: Mesh) -> np.ndarray:
    """Flat numbers of the pixels that the shape may reach."""
    nx, ny = geom.npix
    corners = _unit_vectors(geom, *np.meshgrid(np.arange(nx + 1) - 0.5, np.arange(ny + 1) - 0.5))
    four = [corners[:-1, :-1], corners[:-1, 1:], corners[1:, :-1], corners[1:, 1:]]
    middle = sum(four) / 4.0
    reach = np.max([np.linalg.norm(corner - middle, axis=-1) for corner in four], axis=0)
    here = model.position.transform_to(_frame_of(geom))
    chord = np.linalg.norm(middle - here.cartesian.xyz.value, axis=-1)
    # major over minor axis: z counts the radius in the direction of the point
    largest = 2.0 * np.sin(min(np.radians(mesh.extent * model.major_over_minor() * mesh.unit), np.pi) / 2.0)
    with np.errstate(invalid="ignore"):  # off the sky
        return np.flatnonzero((chord - 1.2 * reach <= largest).ravel())


def _grid_points(geom: WcsGeom, cells: np.ndarray) -> np.ndarray:
    """3 x 3 points of cells (n, 4) of x, y and their widths: unit vectors (n, 3, 3, 3), rows first."""
    x, y, width_x, width_y = cells.T[:, :, None, None]
    steps = 0.5 * np.array([-1.0, 0.0, 1.0])
    return _unit_vectors(geom, *np.broadcast_arrays(x + width_x * steps[None, :], y + width_y * steps[:, None]))


def _halve(cells: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cells cut in two across, slender ones only across their length; and the numbers of the cells they come from."""
    length_x = np.linalg.norm(points[:, 1, 2] - points[:, 1, 0], axis=-1)
    length_y = np.linalg.norm(points[:, 2, 1] - points[:, 0, 1], axis=-1)
    longest = np.maximum(length_x, length_y)
    cut = np.stack([length_x > 0.5 * longest, length_y > 0.5 * longest], axis=1)
    width = np.where(cut, 0.5, 1.0) * cells[:, 2:]
    children, parents = [], []
    for side in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        kept = np.flatnonzero(np.all(cut | (np.array(side) > 0), axis=1))
        center = cells[kept, :2] + np.where(cut[kept], 0.5 * width[kept] * side, 0.0)
        children.append(np.concatenate([center, width[kept]], axis=1))
        parents.append(kept)
    return np.concatenate(children), np.concatenate(parents)


def _judge(model: Any, mesh: Mesh, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of cells: whether the shape reaches them, whether they are fine enough, whether they are finer than that."""
    center = points[:, 1, 1]
    distance = np.linalg.norm(points - center[:, None, None], axis=-1).max(axis=(1, 2))
    reach = 1.05 * np.degrees(distance) / mesh.unit
    z = np.sqrt(in_blocks(_reduced, model, *lonlat(center)))
    width = reach * np.sqrt(2.0)
    allowed = mesh.allowed(z, reach)
    # a cell with a corner off the sky has no solid angle
    near = np.isfinite(points).all(axis=(1, 2, 3)) & (z - reach <= mesh.extent)
    return near, width <= allowed, width <= _SMALL * allowed


def _lagrange(order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quadratics through -1, 0, 1 at Gauss-Legendre points, (order, 3); their slopes; the weights."""
    t, weights = np.polynomial.legendre.leggauss(order)
    values = np.stack([t * (t - 1) / 2, 1 - t * t, t * (t + 1) / 2], axis=1)
    return values, np.stack([t - 0.5, -2 * t, t + 0.5], axis=1), weights


_RULES = {order: _lagrange(order) for order in (2, 4)}


def _quadrature(model: Any, points: np.ndarray, order: int) -> np.ndarray:
    """Integrals over cells."""
    values, slopes, weights = _RULES[order]
    place = np.einsum("ai,bj,nijk->nabk", values, values, points, optimize=True)
    down = np.einsum("ai,bj,nijk->nabk", slopes, values, points, optimize=True)
    right = np.einsum("ai,bj,nijk->nabk", values, slopes, points, optimize=True)
    length = np.linalg.norm(place, axis=-1)
    solid_angle = np.abs(np.sum(place * np.cross(down, right), axis=-1)) / length**3
    brightness = in_blocks(values_at, model, *lonlat(place))
    return np.einsum("a,b,nab->n", weights, weights, brightness * solid_angle)
