"""Image or cube of the sky: counts, exposure, a mask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits

from gammax._fits import open_fits
from gammax.errors import DataValueError, GeometryError, UnitError
from gammax.maps._map_operators import MapOperators
from gammax.maps._wcs_gadf import image_hdus, read_image, write_images
from gammax.maps._wcs_geom import WcsGeom
from gammax.maps._wcs_plot import plot_image
from gammax.units import parse_unit, same_dimension, unit_string

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class WcsNDMap(MapOperators):
    """Map over the pixels of a projection, and over axes.

    Maps of one geometry are added, subtracted, multiplied, divided and compared with each other, with numbers and
    with Quantities; masks are combined with ``&``, ``|``, ``^`` and ``~``.

    Parameters
    ----------
    geom : geometry.
    data : float64 or bool array of shape ``geom.data_shape``; zeros where none is given. Held read-only.
    unit : FITS unit string of the data.
    meta : what else belongs to the map (JSON values; a Quantity is kept as text).

    Raises
    ------
    GeometryError : shape of the data and of the geometry differ. DataValueError : the data are not real numbers.
    """

    geom: WcsGeom
    data: np.ndarray = None  # type: ignore[assignment]
    unit: str = ""
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        object.__setattr__(self, "data", _as_data(self.data, self.geom.data_shape))
        object.__setattr__(self, "unit", unit_string(self.unit))
        object.__setattr__(self, "meta", dict(self.meta or {}))

    @classmethod
    def from_geom(cls, geom: WcsGeom, data: Any = None, unit: str = "", meta: dict | None = None) -> WcsNDMap:
        """Map over a geometry."""
        return cls(geom, data, unit, meta or {})

    @classmethod
    def create(cls, unit: str = "", data: Any = None, **geom: Any) -> WcsNDMap:
        """Map over a new geometry; `geom` are the parameters of `WcsGeom.create`."""
        return cls(WcsGeom.create(**geom), data, unit)

    @property
    def quantity(self) -> u.Quantity:
        """Data with their unit."""
        return self.data * parse_unit(self.unit)

    @property
    def is_mask(self) -> bool:
        """Whether the data are bool."""
        return self.data.dtype == bool

    def values(self, unit: str | None = None) -> np.ndarray:
        """Plain data, in `unit` where one is asked for.

        Raises
        ------
        UnitError : the unit of the map does not convert to `unit`.
        """
        if unit is None or unit == self.unit:
            return self.data
        if not same_dimension(self.unit, unit):
            raise UnitError("GX-MAPS-120", "the map does not convert", found=self.unit or "no unit", expected=unit)
        return self.data * float(parse_unit(self.unit).to(parse_unit(unit)))

    def replace(self, **changes: Any) -> WcsNDMap:
        """Map with some fields changed."""
        return replace(self, **changes)

    def to_unit(self, unit: str) -> WcsNDMap:
        """Map in another unit."""
        return replace(self, data=self.values(unit), unit=unit)

    def get_by_coord(self, coords: SkyCoord | Mapping[str, Any]) -> np.ndarray:
        """Values of the bins that hold some positions; outside NaN, or False for a mask.

        Parameters
        ----------
        coords : SkyCoord for an image; mapping with "skycoord" and all axes for a cube.

        Raises
        ------
        SchemaError : a coordinate is missing.
        """
        if isinstance(coords, SkyCoord):
            coords = {"skycoord": coords}
        idx = np.broadcast_arrays(*self.geom.coord_to_idx(coords))
        inside = np.logical_and.reduce([k >= 0 for k in idx])
        values = self.data[tuple(np.where(inside, k, 0) for k in reversed(idx))]
        return values & inside if self.is_mask else np.where(inside, values, np.nan)

    def slice_by_idx(self, slices: Mapping[str, slice]) -> WcsNDMap:
        """Map cut to a range of bins along some axes, ``{"energy": slice(2, 8)}``."""
        geom = self.geom.slice_by_idx(slices)
        index = [slice(None)] * self.data.ndim
        for name, idx in slices.items():
            index[self.geom.axes.array_position(name)] = idx
        return replace(self, geom=geom, data=self.data[tuple(index)])

    def sum_over_axes(self, axes_names: Iterable[str] | None = None, keepdims: bool = True) -> WcsNDMap:
        """Sum over some axes (all by default), each reduced to one bin or, without `keepdims`, all left out.

        For a mask: whether any bin is set.

        Raises
        ------
        GeometryError : without `keepdims`, an axis of more than one bin is left.
        """
        geom, data = self.geom, self.data
        for name in geom.axes.names if axes_names is None else axes_names:
            geom = geom.squash(name)
            axis = geom.axes.array_position(name)
            data = data.any(axis=axis, keepdims=True) if self.is_mask else data.sum(axis=axis, keepdims=True)
        summed = replace(self, geom=geom, data=data)
        return summed if keepdims else summed.to_image()

    def to_image(self) -> WcsNDMap:
        """Image of a cube that has one bin along every axis.

        Raises
        ------
        GeometryError : an axis of more than one bin.
        """
        wide = [axis.name for axis in self.geom.axes if axis.nbin > 1]
        if wide:
            raise GeometryError(
                "GX-MAPS-121",
                "the map is not an image",
                found=f"axes {', '.join(wide)}",
                do="sum_over_axes() or slice_by_idx() first",
            )
        return replace(self, geom=self.geom.to_image(), data=self.data.reshape(self.geom.image_shape))

    def is_allclose(self, other: WcsNDMap, rtol: float = 1e-6, atol: float = 0.0) -> bool:
        """Whether geometries agree and data do, after conversion to one unit (NaN equals NaN)."""
        if not self.geom.is_allclose(other.geom) or not same_dimension(self.unit, other.unit):
            return False
        return np.allclose(other.values(self.unit), self.data, rtol=rtol, atol=atol, equal_nan=True)

    def to_hdulist(self, hdu: str = "PRIMARY") -> fits.HDUList:
        """gadf HDUs: the image `hdu` (behind an empty primary one unless it is that) and, with axes, its ``_BANDS``."""
        hdus = image_hdus(self.geom, self.data, self.unit, self.meta, hdu)
        return fits.HDUList(hdus if isinstance(hdus[0], fits.PrimaryHDU) else [fits.PrimaryHDU(), *hdus])

    @classmethod
    def from_hdulist(cls, hdus: fits.HDUList, hdu: str | None = None, mask: bool | None = None) -> WcsNDMap:
        """Map from the gadf HDU `hdu` (the first image where none is named) and its bands table.

        Parameters
        ----------
        mask : whether the map is a mask. By default it is one as the format stores masks: 64-bit integers, all 0 or
            1, without unit.

        Raises
        ------
        SchemaError, UnitError, DataValueError, GeometryError, FileFormatError : with file and HDU.
        """
        return cls(*read_image(hdus, hdu, mask))

    @classmethod
    def read(cls, path: str | Path, hdu: str | None = None, mask: bool | None = None) -> WcsNDMap:
        """Map from a gadf file, plain or gzip; parameters and errors as `from_hdulist`."""
        with open_fits(path) as hdus:
            return cls.from_hdulist(hdus, hdu, mask)

    def write(self, path: str | Path, hdu: str = "PRIMARY", overwrite: bool = False) -> Path:
        """Write a gadf file, packed where its name ends in ``.gz``; a mask as 64-bit integers 0 and 1."""
        return write_images(self.to_hdulist(hdu), path, overwrite)

    def plot(self, ax: Axes | None = None, add_cbar: bool | None = None, **kwargs: Any) -> Axes:
        """Image on axes with sky coordinates; `kwargs` go to ``imshow``.

        Parameters
        ----------
        ax : WCSAxes; those of a new figure by default.
        add_cbar : draw a colour bar; by default for all but masks.

        Raises
        ------
        GeometryError : a cube of more than one bin, or axes without sky coordinates.
        """
        return plot_image(self.to_image(), ax, not self.is_mask if add_cbar is None else add_cbar, **kwargs)

    def __repr__(self) -> str:
        kind = "mask" if self.is_mask else f"unit {self.unit!r}"
        return f"WcsNDMap(shape {self.data.shape}, {kind}, {self.geom!r})"


def _as_data(data: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = np.zeros(shape) if data is None else np.asarray(data)
    if isinstance(data, u.Quantity) or array.dtype.kind not in "biuf":
        raise DataValueError(
            "GX-MAPS-122",
            "map data must be plain real numbers",
            found=type(data).__name__,
            do="pass the numbers as data and their unit as unit",
        )
    if array.shape != shape:
        raise GeometryError("GX-MAPS-123", "data and geometry have different shapes", found=array.shape, expected=shape)
    array = array.astype(bool if array.dtype.kind == "b" else np.float64)
    array.setflags(write=False)
    return array
