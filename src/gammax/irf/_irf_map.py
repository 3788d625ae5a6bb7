"""What the response maps share: tables of a response in the pixels of an image, or in one region.

A map has two axes, the one of the response first (``rad``, ``migra``, ``energy``), then the energy. Its exposure, with
the first axis in one bin, is the weight with which responses are averaged and stacked. A pixel is valid where any
number of its table is positive.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits

from gammax import _regions as sky_regions
from gammax._fits import open_fits, write_fits
from gammax.errors import DataValueError, GammaxWarning, GeometryError, SchemaError, UnitError, did_you_mean
from gammax.irf._irf_map_files import check_format, irf_map_hdus, read_irf_maps
from gammax.irf._irf_map_stack import masked_maps, stacked_maps
from gammax.maps import MapAxis, RegionGeom, RegionNDMap, WcsNDMap
from gammax.maps._region import parse_region
from gammax.units import same_dimension

Map = WcsNDMap | RegionNDMap
METHODS = ("nearest", "linear")
# pixels that a cutout keeps at least, so that there is something to interpolate
_MIN_NPIX = 3


class IRFMap:
    """Base of the response maps, for frozen dataclasses whose first field is a map and whose second is its exposure."""

    tag: ClassVar[str]
    axis_names: ClassVar[tuple[str, str]]
    field: ClassVar[str]
    hdu: ClassVar[str]
    unit: ClassVar[str]
    lookup: ClassVar[str]
    formats: ClassVar[tuple[str, ...]] = ("gadf",)
    kinds: ClassVar[dict[tuple[str, ...], type[IRFMap]]] = {}

    exposure_map: Map | None

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "tag"):
            IRFMap.kinds[cls.axis_names] = cls

    def __post_init__(self):
        data = self._map
        if data.geom.axes.names != self.axis_names:
            raise GeometryError(
                "GX-IRF-110",
                f"wrong axes of {type(self).__name__}",
                found=", ".join(data.geom.axes.names) or "none",
                expected=", ".join(self.axis_names),
            )
        if not same_dimension(data.unit, self.unit):
            raise UnitError(
                "GX-IRF-111",
                f"{type(self).__name__} has the wrong unit",
                found=data.unit or "no unit",
                expected=self.unit or "no unit",
            )
        if not np.all(np.isfinite(data.data)):
            raise DataValueError(
                "GX-IRF-112",
                f"{type(self).__name__} has numbers that are not finite",
                found=f"{np.sum(~np.isfinite(data.data))} of {data.data.size}",
            )
        if self.exposure_map is not None:
            object.__setattr__(self, "exposure_map", self._checked(self.exposure_map))

    def _checked(self, exposure: Map) -> Map:
        """Exposure on the axes of the response; the one bin of the first axis is often that of a wider response."""
        squashed = self.geom.squash(self.axis_names[0])
        if exposure.geom.axes.names != self.axis_names or exposure.data.shape != squashed.data_shape:
            found = f"{', '.join(exposure.geom.axes.names)}: shape {exposure.data.shape}"
        else:
            axes = (squashed.axes[0], exposure.geom.axes[1])
            found = exposure.geom.replace_axes(axes).difference(squashed)
        if found:
            raise GeometryError(
                "GX-IRF-113",
                f"the exposure does not fit {type(self).__name__}",
                found=found,
                expected=f"{', '.join(self.axis_names)}: shape {squashed.data_shape}",
            )
        if not same_dimension(exposure.unit, "cm2 s"):
            raise UnitError("GX-IRF-114", "an exposure map has another unit", found=exposure.unit, expected="cm2 s")
        return exposure.replace(geom=squashed)

    @property
    def _map(self) -> Map:
        return getattr(self, self.field)

    def _with(self, data: Map, exposure: Map | None) -> Self:
        return replace(self, **{self.field: data, "exposure_map": exposure})  # type: ignore[type-var]

    @property
    def geom(self) -> Any:
        """Geometry of the response."""
        return self._map.geom

    @property
    def energy_axis(self) -> MapAxis:
        """Axis of the energies for which there is a response each."""
        return self.geom.axes[self.axis_names[1]]

    @property
    def is_region(self) -> bool:
        """Whether the response is one for all positions."""
        return isinstance(self._map, RegionNDMap)

    @cached_property
    def _is_valid(self) -> np.ndarray:
        return np.any(self._map.data > 0, axis=(0, 1))

    @property
    def mask_safe_image(self) -> Map:
        """Mask of the valid pixels."""
        return type(self._map)(self.geom.to_image(), self._is_valid)

    @classmethod
    def from_geom(cls, geom: Any) -> Self:
        """Response without any events and without exposure, to stack others on."""
        make = RegionNDMap if isinstance(geom, RegionGeom) else WcsNDMap
        empty = {cls.field: make(geom, unit=cls.unit)}
        return cls(**empty, exposure_map=make(geom.squash(cls.axis_names[0]), unit="m2 s"))

    def nearest_valid_position(self, position: SkyCoord | None = None) -> Any:
        """The position itself where its pixel is valid, else the centre of the nearest valid pixel, with a warning.

        Parameters
        ----------
        position : one position; the middle of the map where None.
        """
        position = self.geom.center_skydir if position is None else position
        if self.is_region:
            return position
        if not position.isscalar:
            raise GeometryError("GX-IRF-115", "a response is looked up at one position", found=position.shape)
        mask = self._is_valid
        x, y = (int(k) for k in self.geom.coord_to_idx(position))
        if (x >= 0 and y >= 0 and mask[y, x]) or not mask.any():
            return position
        centers = self.geom.get_coord()["skycoord"]
        separation = np.where(mask, centers.separation(position).deg, np.inf)
        nearest = np.unravel_index(np.argmin(separation), mask.shape)
        warnings.warn(
            f"{type(self).__name__}: {position.to_string(precision=4)} lies outside of the response, which is taken "
            f"{separation[nearest]:.3g} deg away",
            GammaxWarning,
            stacklevel=3,
        )
        return centers[nearest]

    def values_at(self, position: SkyCoord | None = None, method: str | None = None) -> np.ndarray:
        """Table at a position, moved as `nearest_valid_position`, shape (energies, n), in the unit of the map.

        Parameters
        ----------
        method : "nearest", of the pixel that holds it; "linear", between the centres of four pixels, those of them that
            are valid. By default, as the field has it, linear for a PSF and nearest for an energy dispersion.
        """
        method = self.lookup if method is None else method
        if method not in METHODS:
            raise SchemaError("GX-IRF-116", f"unknown method {method!r}", do=did_you_mean(method, METHODS))
        data = self._map.data
        if self.is_region:
            return data[..., 0, 0]
        pix = self.geom.coord_to_pix(self.nearest_valid_position(position))
        if self.lookup == "nearest":
            # shares of events, unlike the densities of a PSF, mean nothing beyond the centres of the outermost pixels
            pix = [np.clip(p, 0, n - 1) for p, n in zip(pix, reversed(data.shape[-2:]), strict=True)]
        values = _look_up(data, pix, method)
        # of four pixels that are not all valid, the mean of those that are
        known = float(_look_up(self._is_valid.astype(float), pix, method))
        return values / known if known > 0 and abs(known - 1.0) > 1e-9 else values

    def to_region_nd_map(self, region: Any = None, method: str = "nearest") -> Self:
        """Response at a position or in a region, as a map of one region.

        Parameters
        ----------
        region : SkyCoord, looked up as `values_at` with `method`; a region or DS9 string, whose valid pixels (centre
            inside) are averaged with their exposure as weight; the middle of the map where None.
        """
        region = self.geom.center_skydir if region is None else region
        point = region if isinstance(region, SkyCoord) else None
        shape = sky_regions.PointSkyRegion(point) if point is not None else parse_region(region)
        if self.is_region:
            return self
        inside = np.zeros(self.geom.image_shape, bool)
        if point is None and not isinstance(shape, sky_regions.PointSkyRegion):
            inside = self.geom.to_image().region_mask(shape).data & self._is_valid
        geom = RegionGeom.create(shape, self.geom.axes)
        if not inside.any():
            values, exposure = self._at(geom.center_skydir, method)
        else:
            values, exposure = self._mean(inside)
        squashed = geom.squash(self.axis_names[0])
        response = RegionNDMap(geom, values[..., None, None], self._map.unit)
        if self.exposure_map is None:
            return self._with(response, None)
        return self._with(response, RegionNDMap(squashed, exposure[..., None, None], self.exposure_map.unit))

    def _at(self, position: SkyCoord, method: str) -> tuple[np.ndarray, Any]:
        position = self.nearest_valid_position(position)
        pix = self.geom.coord_to_pix(position)
        exposure = None if self.exposure_map is None else _look_up(self.exposure_map.data, pix, method)
        return _look_up(self._map.data, pix, method), exposure

    def _mean(self, inside: np.ndarray) -> tuple[np.ndarray, Any]:
        values = self._map.data[..., inside]
        if self.exposure_map is None:
            return values.mean(axis=-1), None
        exposure = self.exposure_map.data[..., inside]
        total = exposure.sum(axis=-1, keepdims=True)
        even = 1 / inside.sum()
        weights = np.where(total > 0, exposure / np.where(total > 0, total, 1.0), even)
        return (values * weights).sum(axis=-1), exposure.mean(axis=-1)

    def slice_by_idx(self, slices: Mapping[str, slice]) -> Self:
        """Response cut to a range of bins along some axes, ``{"rad": slice(0, 130)}``."""
        data = _slice(self._map, slices)
        if self.exposure_map is None:
            return self._with(data, None)
        first, energy = self.axis_names
        exposure = self.exposure_map
        if energy in slices:
            exposure = exposure.slice_by_idx({energy: slices[energy]})
        return self._with(data, exposure.replace(geom=data.geom.squash(first)))

    def cutout(self, position: SkyCoord, width: Any, mode: str = "trim") -> Self:
        """Part around a position, of at least three pixels each way; parameters and errors as `WcsGeom.cutout`."""
        if self.is_region:
            return self
        maps = [
            None if part is None else part.cutout(position, width, mode, min_npix=_MIN_NPIX)
            for part in (self._map, self.exposure_map)
        ]
        return self._with(*maps)

    def masked(self, weights: Map) -> Self:
        """Response of the events that a mask keeps.

        Parameters
        ----------
        weights : mask or weights over this image, alone or with axes of this map. Along the first axis (reconstructed
            energies) they multiply the response and leave the exposure; what all of them share multiplies the exposure.
            An axis that this map lacks is reduced: a bin counts if any does.

        Raises
        ------
        SchemaError : no exposure. GeometryError : other pixels or axes.
        """
        return self._with(*masked_maps(self._map, self._exposure(), weights))

    def stack(self, other: Self, weights: Map | None = None) -> Self:
        """Response that predicts the sum of what this one and another predict, the other masked by `weights`.

        The exposures add up; responses are averaged with them as weights, zero where there is none. With an energy
        dispersion over reconstructed energies, masks that differ in energy are exact: what one of the two does not
        count is missing in the rows of the stack.

        Parameters
        ----------
        other : response over the same axes and pixels; its image may be a part of this one (`cutout`).
        weights : as for `masked`, over the image of `other`.

        Raises
        ------
        SchemaError : no exposure, or another kind of response. GeometryError : axes or pixels that do not match.
        """
        if type(other) is not type(self):
            raise SchemaError(
                "GX-IRF-117",
                "responses of different kinds cannot be stacked",
                found=f"{type(self).__name__} and {type(other).__name__}",
            )
        if weights is not None:
            other = other.masked(weights)
        return self._with(*stacked_maps(self._map, self._exposure(), other._map, other._exposure()))

    def _exposure(self) -> Map:
        if self.exposure_map is None:
            raise SchemaError(
                "GX-IRF-118", f"{type(self).__name__} has no exposure, so no weight", do="give it an exposure_map"
            )
        return self.exposure_map

    def is_allclose(self, other: Any, rtol: float = 1e-6, atol: float = 0.0) -> bool:
        """Whether two responses agree in kind, geometry, values and exposures, whatever their units."""
        if type(self) is not type(other) or (self.exposure_map is None) != (other.exposure_map is None):
            return False
        pairs = [(self._map, other._map), (self.exposure_map, other.exposure_map)]
        return all(a is None or a.is_allclose(b, rtol=rtol, atol=atol) for a, b in pairs)

    def to_hdulist(self, format: str = "gadf") -> fits.HDUList:
        """HDUs of the response and, with the suffix ``_EXPOSURE``, of its exposure.

        Raises
        ------
        SchemaError : unknown format.
        """
        check_format(format, self.formats)
        return fits.HDUList([fits.PrimaryHDU(), *irf_map_hdus(self._map, self.exposure_map, self.hdu)])

    @classmethod
    def from_hdulist(cls, hdus: fits.HDUList, hdu: str | None = None, format: str = "gadf") -> Any:
        """Response from the HDUs `hdu` and ``<hdu>_EXPOSURE`` (none where that is missing), images or region tables.

        Numbers that are not finite are set to 0 with one warning. The axes decide what is returned: `PSFMap` reads a
        `RecoPSFMap`, and `EDispMap` and `EDispKernelMap` each other.

        Raises
        ------
        SchemaError, UnitError, DataValueError, GeometryError, FileFormatError : with file and HDU.
        """
        check_format(format, cls.formats)
        data, exposure = read_irf_maps(hdus, cls.hdu if hdu is None else hdu)
        kind = IRFMap.kinds.get(data.geom.axes.names, cls)
        kind = kind if kind.hdu == cls.hdu else cls
        return kind(**{kind.field: data, "exposure_map": exposure})

    @classmethod
    def read(cls, path: str | Path, hdu: str | None = None, format: str = "gadf") -> Any:
        """Response from a file; parameters and errors as `from_hdulist`."""
        with open_fits(path) as hdus:
            return cls.from_hdulist(hdus, hdu, format)

    def write(self, path: str | Path, format: str = "gadf", overwrite: bool = False) -> Path:
        """Write a file with this response alone."""
        return write_fits(self.to_hdulist(format), path, overwrite)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.geom!r})"


def _look_up(data: np.ndarray, pix: Any, method: str) -> np.ndarray:
    """Values at pixel numbers x, y; lines between pixel centres go on to the border of the image."""
    shape = data.shape[-2:]
    if method == "nearest":
        # half-way between two the lower one: the rule of the interpolator of scipy, which the peer uses
        y, x = (int(np.clip(np.ceil(p - 0.5), 0, n - 1)) for p, n in zip((pix[1], pix[0]), shape, strict=True))
        return data[..., y, x]
    corners = []
    for p, n in zip((pix[1], pix[0]), shape, strict=True):
        low = int(np.clip(np.floor(p), 0, max(n - 2, 0)))
        corners.append([(low, 1.0)] if n == 1 else [(low, 1 - (p - low)), (low + 1, p - low)])
    return sum(wy * wx * data[..., y, x] for y, wy in corners[0] for x, wx in corners[1])  # type: ignore[return-value]


def _slice(data: Map, slices: Mapping[str, slice]) -> Map:
    """Slice that keeps the centres of axes that are given by them, however they are spaced."""
    sliced = data.slice_by_idx(slices)
    axes = sliced.geom.axes
    for name, idx in slices.items():
        axis = data.geom.axes[name]
        centers = axis.center_value(axis.unit)[idx]
        if axis.node_type == "center" and len(centers) > 1:
            axes = axes.replace(MapAxis.from_nodes(centers, name, axis.interp, axis.unit))
    return sliced.replace(geom=sliced.geom.replace_axes(axes))
