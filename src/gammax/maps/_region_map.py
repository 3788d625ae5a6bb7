"""Data in one region of the sky, over axes: a counts spectrum, an exposure, a mask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.io import fits

from gammax._fits import open_fits, write_fits
from gammax.errors import DataValueError, GeometryError, UnitError
from gammax.maps._axis import MapAxis
from gammax.maps._gadf import map_hdus, read_map
from gammax.maps._plot import plot_hist, plot_map
from gammax.maps._region_geom import RegionGeom
from gammax.units import parse_unit, same_dimension, unit_string

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class RegionNDMap:
    """Map with one spatial bin.

    Parameters
    ----------
    geom : geometry.
    data : float64 or bool array of shape ``geom.data_shape``, or of that without the two spatial axes of length 1;
        zeros where none is given. Held read-only.
    unit : FITS unit string of the data.
    meta : what else belongs to the map (JSON values; a Quantity is kept as text), for example the livetime.

    Raises
    ------
    GeometryError : shape of the data and of the geometry differ. DataValueError : the data are not real numbers.
    """

    geom: RegionGeom
    data: np.ndarray = None  # type: ignore[assignment]
    unit: str = ""
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        object.__setattr__(self, "data", _as_data(self.data, self.geom.data_shape))
        object.__setattr__(self, "unit", unit_string(self.unit))
        object.__setattr__(self, "meta", dict(self.meta or {}))

    @classmethod
    def from_geom(cls, geom: RegionGeom, data: Any = None, unit: str = "", meta: dict | None = None) -> RegionNDMap:
        """Map over a geometry."""
        return cls(geom, data, unit, meta or {})

    @classmethod
    def create(
        cls, region: Any, axes: MapAxis | Iterable[MapAxis] = (), unit: str = "", data: Any = None
    ) -> RegionNDMap:
        """Map over a region (object, DS9 string, None) and axes."""
        return cls(RegionGeom.create(region, axes), data, unit)

    @property
    def quantity(self) -> u.Quantity:
        """Data with their unit."""
        return self.data * parse_unit(self.unit)

    @property
    def is_mask(self) -> bool:
        """Whether the data are bool."""
        return self.data.dtype == bool

    def values(self, unit: str | None = None) -> np.ndarray:
        """Plain data over the axes alone (no spatial axes), in `unit` where one is asked for.

        Raises
        ------
        UnitError : the unit of the map does not convert to `unit`.
        """
        data = self.data[..., 0, 0]
        if unit is None:
            return data
        if not same_dimension(self.unit, unit):
            raise UnitError("GX-MAPS-040", "the map does not convert", found=self.unit or "no unit", expected=unit)
        return data * float(parse_unit(self.unit).to(parse_unit(unit)))

    def replace(self, **changes: Any) -> RegionNDMap:
        """Map with some fields changed."""
        return replace(self, **changes)

    def to_unit(self, unit: str) -> RegionNDMap:
        """Map in another unit."""
        return replace(self, data=self.values(unit), unit=unit)

    def slice_by_idx(self, slices: Mapping[str, slice]) -> RegionNDMap:
        """Map cut to a range of bins along some axes, ``{"energy": slice(2, 8)}``."""
        geom = self.geom.slice_by_idx(slices)
        index = [slice(None)] * self.data.ndim
        for name, idx in slices.items():
            index[self.geom.axes.array_position(name)] = idx
        return replace(self, geom=geom, data=self.data[tuple(index)])

    def sum_over_axes(self, axes_names: Iterable[str] | None = None) -> RegionNDMap:
        """Sum over some axes (all by default), each reduced to one bin; for a mask: whether any bin is set."""
        geom, data = self.geom, self.data
        for name in self.geom.axes.names if axes_names is None else axes_names:
            geom = geom.squash(name)
            axis = geom.axes.array_position(name)
            data = data.any(axis=axis, keepdims=True) if self.is_mask else data.sum(axis=axis, keepdims=True)
        return replace(self, geom=geom, data=data)

    def is_allclose(self, other: RegionNDMap, rtol: float = 1e-6, atol: float = 0.0) -> bool:
        """Whether geometries agree and data do, after conversion to one unit (NaN equals NaN)."""
        if not self.geom.is_allclose(other.geom) or not same_dimension(self.unit, other.unit):
            return False
        return np.allclose(other.values(self.unit or None), self.values(), rtol=rtol, atol=atol, equal_nan=True)

    def to_hdulist(self, hdu: str = "COUNTS") -> fits.HDUList:
        """gadf HDUs: an empty primary one, the data `hdu`, and its ``_BANDS`` and ``_REGION`` where there are any."""
        return fits.HDUList([fits.PrimaryHDU(), *map_hdus(self.geom, self.data, self.unit, self.meta, hdu)])

    @classmethod
    def from_hdulist(cls, hdus: fits.HDUList, hdu: str = "COUNTS") -> RegionNDMap:
        """Map from the gadf HDUs `hdu`, ``<hdu>_BANDS`` and ``<hdu>_REGION`` (no region where that is missing).

        Raises
        ------
        SchemaError, UnitError, DataValueError, GeometryError, FileFormatError : with file, HDU and column.
        """
        return cls(*read_map(hdus, hdu))

    @classmethod
    def read(cls, path: str | Path, hdu: str = "COUNTS") -> RegionNDMap:
        """Map from a gadf file; errors as `from_hdulist`."""
        with open_fits(path) as hdus:
            return cls.from_hdulist(hdus, hdu)

    def write(self, path: str | Path, hdu: str = "COUNTS", overwrite: bool = False) -> Path:
        """Write a gadf file."""
        return write_fits(self.to_hdulist(hdu), path, overwrite)

    def plot(self, ax: Axes | None = None, axis_name: str | None = None, **kwargs: Any) -> Axes:
        """Values against bin centres, bin widths as bars; `kwargs` go to ``errorbar``."""
        return plot_map(self, ax, axis_name, **kwargs)

    def plot_hist(self, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Histogram of a map over one axis; `kwargs` go to ``stairs``."""
        return plot_hist(self, ax, **kwargs)

    def __repr__(self) -> str:
        kind = "mask" if self.is_mask else f"unit {self.unit!r}"
        return f"RegionNDMap(shape {self.data.shape}, {kind}, {self.geom!r})"


def _as_data(data: Any, shape: tuple[int, ...]) -> np.ndarray:
    if data is None:
        array = np.zeros(shape)
    else:
        given = np.asarray(data)
        if isinstance(data, u.Quantity) or given.dtype.kind not in "biuf":
            raise DataValueError(
                "GX-MAPS-041",
                "map data must be plain real numbers",
                found=type(data).__name__,
                do="pass the numbers as data and their unit as unit",
            )
        array = given.astype(bool if given.dtype.kind == "b" else np.float64)
    if array.shape == shape[:-2] or (array.ndim == 0 and array.size == np.prod(shape)):
        array = array.reshape(shape)
    if array.shape != shape:
        raise GeometryError("GX-MAPS-042", "data and geometry have different shapes", found=array.shape, expected=shape)
    array.setflags(write=False)
    return array
