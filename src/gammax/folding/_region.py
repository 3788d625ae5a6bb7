"""A region as an image of its own: the part of every pixel that lies inside, and what lands there of shapes nearby."""

from __future__ import annotations

import dataclasses
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.special import ndtr

from gammax import _regions as sky_regions
from gammax.errors import GeometryError
from gammax.maps import WcsGeom
from gammax.maps._region import create_wcs
from gammax.maps._wcs_region import contains_pix

if TYPE_CHECKING:
    from gammax.folding._psf_width import RegionPSF
    from gammax.maps import RegionGeom
    from gammax.models import SpatialModel

# pixels per radius of a circle of the same size, with which what a border cuts off is met to 5e-5; pixels across at
# most; points at which the region is asked what is inside
_PER_RADIUS, _ACROSS, _POINTS = 60, 400, 10**6
_GOLDEN = (5**0.5 - 1) / 2
# kept: in a joint fit the region of all runs is one
_IMAGES: deque[tuple[RegionGeom, RegionImage]] = deque(maxlen=16)


class RegionImage(NamedTuple):
    """Tangential image about a region: its geometry, degrees per pixel, and the part of each pixel inside, (ny, nx)."""

    geom: WcsGeom
    scale: float
    coverage: np.ndarray


def region_image(geom: RegionGeom, dataset: str) -> RegionImage:
    """Image of the region of a dataset.

    Raises
    ------
    GeometryError : there is no region, or it has no inside.
    """
    place = geom.to_image()
    same = (image for other, image in _IMAGES if place.frame == other.frame and place.is_allclose(other))
    found = next(same, None)
    if found is None:
        if (
            place.region is None
            or isinstance(place.region, sky_regions.PointSkyRegion)
            or not place.solid_angle().value > 0
        ):
            raise GeometryError(
                "GX-FOLD-014",
                "nothing of a source is inside the region, which is a point or not known",
                dataset=dataset,
                found="no region" if place.region is None else repr(place.region),
                expected="a region with an area, a circle for example",
            )
        found = _region_image(place)
        _IMAGES.append((place, found))
    return found


def _region_image(geom: RegionGeom) -> RegionImage:
    scale = float(np.sqrt(geom.solid_angle().to_value("deg2") / np.pi)) / _PER_RADIUS
    n = max(create_wcs(geom.region, scale).pixel_shape)
    if n > _ACROSS:
        scale, n = scale * n / _ACROSS, _ACROSS
    # nothing of the region in the pixels at the border
    n += 2
    center = geom.center_skydir
    image = WcsGeom.create(skydir=center, binsz=scale, npix=n, proj="TAN", frame=center.frame.name)
    # every point of a pixel has a row and a column of its own, for borders along them
    i = np.arange(max(_POINTS // n**2, 16))
    u, v = (i + 0.5) / len(i) - 0.5, np.modf((i + 0.5) * _GOLDEN)[0] - 0.5
    y, x = np.indices((n, n))[..., np.newaxis]
    inside = contains_pix(geom.region, image.wcs, x + u, y + v)
    return RegionImage(image, scale, inside.mean(axis=-1))


class RegionGrid(eqx.Module):
    """How a region sees a source of any shape.

    What a place contributes is smooth and stands still: the shape is evaluated at nodes of the sky and summed with it.

    Attributes
    ----------
    lon, lat : nodes [deg] in the frame of the source, (N,).
    solid_angle : of the nodes [sr], (N,).
    share : part of the events of a node that are reconstructed in the region, (T, N), R with `reco`.
    exposure : [cm2 s], (T,).
    energy : true energies [TeV] at which shapes that depend on energy are evaluated, (T,).
    whole : the nodes hold the whole source: what they add up to is made 1.
    reco : the PSF is one in reconstructed energy, which comes after exposure and energy dispersion.
    psf : the PSF, where a fit moves its width; else None.
    """

    lon: Array
    lat: Array
    solid_angle: Array
    share: Array
    exposure: Array
    energy: Array
    whole: bool = eqx.field(static=True)
    reco: bool = eqx.field(static=True)
    psf: RegionPSF | None = None

    def widened(self, width: Array) -> RegionGrid:
        """Grid with another width of the PSF."""
        return dataclasses.replace(self, share=self.psf.share(width))

    def at_scale(self, scale: Array) -> RegionGrid:
        """Grid whose sources have energies lower by a factor 1 + scale than those that the responses name."""
        return dataclasses.replace(self, energy=self.energy / (1.0 + scale))

    def basis(self, model: SpatialModel) -> Array:
        """Exposure times fraction of the source in the region [cm2 s], (T, 1, 1).

        With `reco` exposure times the source in every node, (T, 1, N), which `blur` turns into counts.
        """
        if model.is_energy_dependent:
            parts = model.values(self.lon[None], self.lat[None], self.energy[:, None]) * self.solid_angle
        else:
            parts = (model.values(self.lon, self.lat) * self.solid_angle)[None]
        if self.whole:
            parts = parts / parts.sum(axis=1, keepdims=True)
        exposure = self.exposure[:, None, None]
        if self.reco:
            return parts[:, None] * exposure
        inside = self.share @ parts[0] if len(parts) == 1 else jnp.sum(self.share * parts, axis=1)
        return inside[:, None, None] * exposure

    def blur(self, counts: Array) -> Array:
        """Counts in the region (R, 1, 1) of counts in the nodes (R, 1, N), a PSF in reconstructed energy between."""
        return jnp.sum(counts[:, 0] * self.share, axis=1)[:, None, None]


def shares(image: RegionImage, sigma: np.ndarray, weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Part of the events of places that are reconstructed in a region, (T, y, x).

    Parameters
    ----------
    sigma, weights : the PSF as Gaussians, widths (K,) [deg] and weights (T, K).
    x, y : columns and rows of the places in the image of the region.
    """
    along_y, along_x = (
        _fractions(places, sigma / image.scale, n) for places, n in zip((y, x), image.coverage.shape, strict=True)
    )
    seen = np.einsum("kyi,ij,kxj->kyx", along_y, image.coverage, along_x, optimize=True)
    return np.tensordot(weights, seen, axes=1)


def _fractions(places: np.ndarray, sigma: np.ndarray, n: int) -> np.ndarray:
    """Fractions of Gaussians about places in n pixels along one axis, (K, places, n)."""
    edges = np.arange(n + 1) - 0.5 - places[:, np.newaxis]
    return np.diff(ndtr(edges / sigma[:, np.newaxis, np.newaxis]), axis=-1)
