"""Maps and positions: values at them, counts from them, events drawn from a map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from gammax.errors import DataValueError, GeometryError
from gammax.maps._map_data import frozen
from gammax.maps._wcs_interp import interpolate_image, interpolate_map
from gammax.units import parse_unit

Coords = SkyCoord | Mapping[str, Any]


class WcsValues:
    """Methods for `WcsNDMap`."""

    geom: Any
    data: np.ndarray
    unit: str
    is_mask: bool
    replace: Callable[..., Self]
    _numbers: Callable[[], np.ndarray]

    def get_by_coord(self, coords: Coords) -> np.ndarray:
        """Values of the bins that hold some positions; outside NaN, or False for a mask.

        Parameters
        ----------
        coords : SkyCoord for an image; mapping with "skycoord" and all axes for a cube.

        Raises
        ------
        SchemaError : a coordinate is missing.
        """
        idx = np.broadcast_arrays(*self.geom.coord_to_idx(as_mapping(coords)))
        inside = np.logical_and.reduce([k >= 0 for k in idx])
        values = self.data[tuple(np.where(inside, k, 0) for k in reversed(idx))]
        return values & inside if self.is_mask else np.where(inside, values, np.nan)

    def fill_by_coord(self, coords: Coords, weights: Any = None) -> Self:
        """Map with 1, or a weight, added to the bin of each position; positions outside are left out.

        Parameters
        ----------
        coords : SkyCoord for an image; mapping with "skycoord" and all axes for a cube.
        weights : numbers, or Quantity that converts to the unit of the map; same shape as the positions.

        Raises
        ------
        SchemaError : a coordinate is missing. DataValueError : the map is a mask.
        """
        idx = np.broadcast_arrays(*self.geom.coord_to_idx(as_mapping(coords)))
        inside = np.logical_and.reduce([k >= 0 for k in idx])
        flat = np.ravel_multi_index([k[inside] for k in reversed(idx)], self.geom.data_shape)
        if isinstance(weights, u.Quantity):
            weights = weights.to_value(parse_unit(self.unit))
        if weights is not None:
            weights = np.broadcast_to(np.asarray(weights, float), inside.shape)[inside]
        total = np.bincount(flat, weights, minlength=self.data.size).reshape(self.geom.data_shape)
        return self.replace(data=frozen(self._numbers() + total))

    def fill_events(self, events: Any, weights: Any = None) -> Self:
        """Map with events added: their directions, and for the axes "energy", "time" and columns by name.

        Parameters
        ----------
        events : `EventList`.
        weights : one for each event.

        Raises
        ------
        SchemaError : the events have no column for an axis.
        """
        coords: dict[str, Any] = {"skycoord": events.radec}
        for name in self.geom.axes.names:
            if name in ("energy", "time"):
                coords[name] = getattr(events, name)
            elif name.upper() in events.columns:
                unit = parse_unit(events.units.get(name.upper(), ""))
                coords[name] = u.Quantity(events.columns[name.upper()], unit)
        return self.fill_by_coord(coords, weights)

    def interp_by_coord(
        self, coords: Coords, method: str = "linear", fill_value: float | None = None, values_scale: str = "lin"
    ) -> np.ndarray:
        """Values between the bin centres, linear in pixels (so along an axis in its own scale).

        Bins that are not finite count as zero. Masks give numbers from 0 to 1.

        Parameters
        ----------
        coords : SkyCoord for an image; mapping with "skycoord" and all axes for a cube.
        method : "linear" or "nearest".
        fill_value : value outside of all bins; by default the values are extrapolated.
        values_scale : interpolate the values as they are ("lin"), or their "log" or "sqrt".

        Raises
        ------
        SchemaError : a coordinate is missing, an unknown method or scale.
        """
        pix = self.geom.coord_to_pix(as_mapping(coords))
        values = interpolate_map(self.geom, self.data, pix, method, values_scale)
        if fill_value is None:
            return values
        inside = np.broadcast_to(self.geom.contains(as_mapping(coords)), values.shape)
        return np.where(inside & np.isfinite(values), values, fill_value)

    def interp_to_geom(
        self,
        geom: Any,
        preserve_counts: bool = False,
        fill_value: float | None = 0.0,
        method: str = "linear",
        values_scale: str = "lin",
    ) -> Self:
        """Map interpolated at the bin centres of another geometry; a mask takes the nearest bin.

        Parameters
        ----------
        geom : geometry with the same names of axes.
        preserve_counts : interpolate values per solid angle, for counts; the axes must agree.
        fill_value, method, values_scale : as `interp_by_coord`.

        Raises
        ------
        GeometryError : the axes have other names or, for counts, other bins.
        """
        same_axes = self.geom.axes.is_allclose(geom.axes)
        if geom.axes.names != self.geom.axes.names or (preserve_counts and not same_axes):
            raise GeometryError(
                "GX-MAPS-170", "the axes do not fit", found=repr(geom.axes), expected=repr(self.geom.axes)
            )
        coords = geom.get_coord()
        if self.is_mask:
            outside = ~self.geom.contains(coords) if fill_value else False
            return self.replace(geom=geom, data=self.get_by_coord(coords) | outside)
        density = self if not preserve_counts else self.replace(data=self.data / self.geom.solid_angle().value)
        if same_axes:
            pix = self.geom.to_image().coord_to_pix(coords["skycoord"])
            data = interpolate_image(self.geom, density.data, pix, method, values_scale)
            if fill_value is not None:
                inside = self.geom.to_image().contains(coords["skycoord"])
                data = np.where(inside & np.isfinite(data), data, fill_value)
        else:
            data = density.interp_by_coord(coords, method, fill_value, values_scale)
        if preserve_counts:
            data = data * geom.solid_angle().value
        return self.replace(geom=geom, data=frozen(np.ascontiguousarray(data)))

    def sample_coord(self, n_events: int, random_state: Any = None) -> dict[str, Any]:
        """Positions drawn at random, with the map as their distribution, evenly within each bin (in pixels).

        Parameters
        ----------
        random_state : seed, `numpy.random.Generator`, or None for the system's entropy.

        Returns
        -------
        coords : as `WcsGeom.get_coord`, each of shape (n_events,).

        Raises
        ------
        DataValueError : the map has negative or no values, or such that are not finite.
        """
        total = np.cumsum(self._numbers().ravel())
        if not (np.isfinite(total[-1]) and total[-1] > 0 and self.data.min() >= 0):
            raise DataValueError(
                "GX-MAPS-171", "the map is no distribution", expected="finite values from zero, not all"
            )
        random = np.random.default_rng(random_state)
        bins = np.searchsorted(total, random.uniform(0, total[-1], n_events), side="right")
        idx = np.unravel_index(bins, self.data.shape)
        return self.geom.pix_to_coord([k + random.uniform(-0.5, 0.5, n_events) for k in reversed(idx)])

    def mask_nearest_position(self, position: SkyCoord) -> SkyCoord:
        """Centre of the nearest pixel that the mask has set, in any bin of its axes.

        Raises
        ------
        DataValueError : no mask, or one without any pixel set.
        """
        if not self.is_mask or not self.data.any():
            raise DataValueError("GX-MAPS-172", "the map is no mask with a pixel set")
        inside = self.data.any(axis=tuple(range(self.data.ndim - 2)))
        centers = self.geom.to_image().get_coord()["skycoord"][inside]
        return centers[np.nanargmin(centers.separation(position).deg)]


def as_mapping(coords: Coords) -> Mapping[str, Any]:
    """A position alone is that of an image; a cube then misses its axes."""
    return {"skycoord": coords} if isinstance(coords, SkyCoord) else coords
