"""Image or cube of the sky: counts, exposure, a mask."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.io import fits

from gammax._fits import open_fits, write_fits
from gammax.errors import DataValueError, GeometryError, UnitError
from gammax.maps._map_axes import MapAlongAxes
from gammax.maps._map_data import as_data
from gammax.maps._map_operators import MapOperators
from gammax.maps._wcs_filter import WcsFilters
from gammax.maps._wcs_formats import fermi_bands
from gammax.maps._wcs_gadf import image_hdus, read_image
from gammax.maps._wcs_geom import WcsGeom
from gammax.maps._wcs_plot import plot_image, plot_images, plot_mask
from gammax.maps._wcs_resample import WcsResampling
from gammax.maps._wcs_spectrum import WcsToRegion
from gammax.maps._wcs_values import WcsValues
from gammax.units import parse_unit, same_dimension, unit_string

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class WcsNDMap(MapOperators, MapAlongAxes, WcsValues, WcsResampling, WcsFilters, WcsToRegion):
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
        object.__setattr__(self, "data", as_data(self.data, self.geom.data_shape))
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

    def to_hdulist(
        self, hdu: str = "PRIMARY", sparse: bool = False, format: str = "gadf", hdu_bands: str | None = None
    ) -> fits.HDUList:
        """HDUs: the image `hdu` (behind an empty primary one unless it is that) and, with axes, a table of them.

        Parameters
        ----------
        sparse : a table of the pixels that are not zero in place of the image (``SKYMAP`` if `hdu` is the primary one).
        format : "gadf"; "fgst-ccube" or "fgst-template" for a cube over energies, with bins or nodes of them.
        hdu_bands : name of the table of axes in gadf, ``<hdu>_BANDS`` by default.

        Raises
        ------
        SchemaError : unknown format. GeometryError : axes that the format does not know.
        UnitError : a template without one.
        """
        name = "SKYMAP" if sparse and hdu.upper() == "PRIMARY" else hdu.upper()
        bands = fermi_bands(format, self.geom.axes, self.unit) or (hdu_bands or f"{name}_BANDS").upper()
        hdus = image_hdus(self.geom, self.data, self.unit, self.meta, name, bands, sparse)
        return fits.HDUList(hdus if isinstance(hdus[0], fits.PrimaryHDU) else [fits.PrimaryHDU(), *hdus])

    @classmethod
    def from_hdulist(cls, hdus: fits.HDUList, hdu: str | None = None, mask: bool | None = None) -> WcsNDMap:
        """Map from the HDU `hdu` (the first image where none is named), whole or sparse, and the table of its axes.

        That is the one that its header names, ``<hdu>_BANDS``, or as in Fermi-LAT files ``EBOUNDS`` (bins of energy)
        or ``ENERGIES`` (nodes of true energy, where no unit means MeV, and of the values cm-2 s-1 MeV-1 sr-1, or cm2 s
        with a table ``GTI`` in the file).

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
        """Map from a file, plain or gzip; parameters and errors as `from_hdulist`."""
        with open_fits(path) as hdus:
            return cls.from_hdulist(hdus, hdu, mask)

    def write(
        self,
        path: str | Path,
        hdu: str = "PRIMARY",
        overwrite: bool = False,
        sparse: bool = False,
        format: str = "gadf",
    ) -> Path:
        """Write a file, packed where its name ends in ``.gz``; a mask as 64-bit integers 0 and 1.

        Parameters and errors as `to_hdulist`.
        """
        return write_fits(self.to_hdulist(hdu, sparse, format), path, overwrite)

    def plot(
        self, ax: Axes | None = None, add_cbar: bool | None = None, stretch: str = "linear", **kwargs: Any
    ) -> Axes:
        """Image on axes with sky coordinates; `kwargs` go to ``imshow``.

        Parameters
        ----------
        ax : WCSAxes; those of a new figure by default.
        add_cbar : draw a colour bar; by default for all but masks.
        stretch : scale of the colours, "linear", "sqrt", "log" or "asinh".

        Raises
        ------
        GeometryError : a cube of more than one bin, or axes without sky coordinates. SchemaError : unknown stretch.
        """
        add_cbar = not self.is_mask if add_cbar is None else add_cbar
        return plot_image(self.to_image(), ax, add_cbar, stretch, **kwargs)

    def plot_grid(self, ncols: int = 3, figsize: tuple[float, float] | None = None, **kwargs: Any) -> Figure:
        """New figure with one image for each bin of a cube, in rows of `ncols`; `kwargs` as those of `plot`.

        Raises
        ------
        GeometryError : more than one axis has several bins.
        """
        kwargs = {"add_cbar": not self.is_mask} | kwargs
        return plot_images(self, ncols, figsize, **kwargs)

    def plot_mask(self, ax: Axes | None = None, color: Any = "black", alpha: float = 0.4, **kwargs: Any) -> Axes:
        """Veil over the pixels that a mask leaves out, on top of the image that `ax` shows; errors as `plot`.

        Raises
        ------
        DataValueError : no mask.
        """
        if not self.is_mask:
            raise DataValueError("GX-MAPS-190", "the map is no mask", do="compare first: map > 0")
        return plot_mask(self.to_image(), ax, color, alpha, **kwargs)

    def __repr__(self) -> str:
        kind = "mask" if self.is_mask else f"unit {self.unit!r}"
        return f"WcsNDMap(shape {self.data.shape}, {kind}, {self.geom!r})"
