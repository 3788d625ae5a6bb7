"""From images to regions: what a map holds in a part of the sky."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord

from gammax import _regions as sky_regions
from gammax.errors import GeometryError
from gammax.maps._region import parse_region, parts_of
from gammax.maps._region_geom import RegionGeom
from gammax.maps._region_map import RegionNDMap


class WcsToRegion:
    """Methods for `WcsNDMap`."""

    geom: Any
    data: np.ndarray
    unit: str
    meta: dict[str, Any]
    is_mask: bool
    interp_by_coord: Callable[..., np.ndarray]
    get_by_coord: Callable[..., np.ndarray]

    def to_region_nd_map(
        self, region: Any = None, func: Callable = np.nansum, weights: Any = None, method: str = "nearest"
    ) -> RegionNDMap:
        """Map over the axes alone, of the values in a region.

        Parameters
        ----------
        region : region (object, DS9 string, list for their union); a SkyCoord or a point for the value there; all
            pixels by default. Pixels count whole, with their centre inside.
        func : function of the values of the pixels, a 1D array, called for each bin; of a mask ``numpy.any`` or
            ``numpy.all``.
        weights : map of the same image, by which the values are multiplied first; a mask leaves pixels out.
        method : for a point, "nearest" or "linear".

        Raises
        ------
        GeometryError : no region, or weights over another image.
        """
        if isinstance(region, SkyCoord):
            region = sky_regions.PointSkyRegion(region)
        shape = parse_region(self.geom.footprint_rectangle_sky_region if region is None else region)
        geom = RegionGeom(shape, self.geom.axes, self.geom.wcs)
        parts = parts_of(shape)
        if len(parts) == 1 and isinstance(parts[0], sky_regions.PointSkyRegion):
            data = self._at(parts[0].center, weights, method)
        else:
            image = self.geom.to_image()
            inside = np.ones(image.image_shape, bool) if region is None else image.region_mask(shape).data
            data = self._reduce(inside, func, weights)
        return RegionNDMap(geom, data.reshape(geom.data_shape), self.unit, self.meta)

    def get_spectrum(self, region: Any = None, func: Callable = np.nansum, weights: Any = None) -> RegionNDMap:
        """Spectrum in a region; parameters as `to_region_nd_map`.

        Raises
        ------
        GeometryError : the map has no axis of energy, or both.
        """
        if not self.geom.has_energy_axis:
            raise GeometryError("GX-MAPS-191", "the map has not one axis of energy", found=repr(self.geom.axes))
        return self.to_region_nd_map(region, func, weights)

    def _at(self, position: SkyCoord, weights: Any, method: str) -> np.ndarray:
        """Values at one position over the axes."""
        coords = {"skycoord": position} | {
            axis.name: axis.center.reshape(self.geom.axis_shape(axis.name)[:-2]) for axis in self.geom.axes
        }
        if self.is_mask:
            return self.get_by_coord(coords)
        values = self.interp_by_coord(coords, method)
        return values if weights is None else values * weights.interp_by_coord(coords, method)

    def _reduce(self, inside: np.ndarray, func: Callable, weights: Any) -> np.ndarray:
        values = self.data[..., inside].reshape(-1, np.count_nonzero(inside))
        keep = None
        if weights is not None:
            if difference := self.geom.to_image().difference(weights.geom.to_image()):
                raise GeometryError("GX-MAPS-192", "map and weights have different images", found=difference)
            factor = np.broadcast_to(weights.data, self.data.shape)[..., inside].reshape(values.shape)
            keep, values = (factor, values) if weights.is_mask else (None, values * factor)
        rows = (row if keep is None else row[keep[k]] for k, row in enumerate(values))
        return np.array([func(row) for row in rows])
