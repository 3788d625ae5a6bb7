"""Geometry of an image or a cube: pixels of a projection of the sky, and axes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from gammax.errors import GeometryError, SchemaError, did_you_mean
from gammax.maps._axes import MapAxes
from gammax.maps._axis import EDGE_RTOL, MapAxis
from gammax.maps._geom_axes import GeomAxes
from gammax.maps._region import parse_region
from gammax.maps._region_geom import RegionGeom
from gammax.maps._solid_angle import solid_angle
from gammax.maps._wcs_create import angles, create_geom
from gammax.maps._wcs_cutout import PIX_ATOL, odd_up
from gammax.maps._wcs_plot import plot_region
from gammax.maps._wcs_projection import celestial_frame, pix_to_lonlat, projection_cards, read_projection, sky_to_pix
from gammax.maps._wcs_region import image_mask
from gammax.maps._wcs_shape import WcsShapes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gammax.maps._wcs_map import WcsNDMap


@dataclass(frozen=True, eq=False)
class WcsGeom(GeomAxes, WcsShapes):
    """Image of the sky with axes.

    Positions are a SkyCoord, or where the axes matter too a mapping ``{"skycoord": SkyCoord, "energy": Quantity}``.
    Pixels count from 0, a pixel centre is at a whole number. Arrays have shape ``data_shape``: last axis first, then
    latitude, then longitude.

    Parameters
    ----------
    wcs : projection; its celestial axes are copied.
    npix : number of pixels in longitude and latitude.
    axes : axes in FITS order, first fastest.

    Raises
    ------
    GeometryError : no celestial projection, one with distortions, no pixels, two axes of one name.
    """

    wcs: WCS
    npix: tuple[int, int]
    axes: MapAxes = MapAxes()  # noqa: RUF009

    def __post_init__(self):
        celestial_frame(self.wcs)
        nx, ny = (int(n) for n in self.npix)
        if min(nx, ny) < 1:
            raise GeometryError("GX-MAPS-105", "an image needs at least one pixel each way", found=(nx, ny))
        wcs = self.wcs.deepcopy()
        wcs.pixel_shape = (nx, ny)
        object.__setattr__(self, "wcs", wcs)
        object.__setattr__(self, "npix", (nx, ny))
        object.__setattr__(self, "axes", MapAxes(self.axes))

    @classmethod
    def create(
        cls,
        npix: int | tuple[int, int] | None = None,
        binsz: Any = 1.0,
        proj: str = "CAR",
        frame: str = "icrs",
        skydir: SkyCoord | tuple[float, float] | None = None,
        width: Any = None,
        axes: MapAxis | Iterable[MapAxis] = (),
    ) -> WcsGeom:
        """Geometry around a position.

        Parameters
        ----------
        npix : number of pixels, one for both directions or (longitude, latitude).
        binsz : size of a pixel, one or two; bare numbers are degrees.
        proj : FITS code of the projection, "CAR", "TAN", "AIT" and so on; its reference point is `skydir`.
        frame : "icrs", "galactic" or "fk5".
        skydir : middle of the image, a SkyCoord or (longitude, latitude) in degrees of `frame`; (0, 0) by default.
        width : size of the image where `npix` is not given, rounded to whole pixels (half to even); the whole sky
            where neither is.
        axes : axes in FITS order.

        Raises
        ------
        SchemaError : unknown projection or frame. UnitError, GeometryError : sizes that are none.
        """
        wcs, shape = create_geom(npix, binsz, proj, frame, skydir, width)
        return cls(wcs, shape, MapAxes(axes))

    @classmethod
    def from_header(cls, header: fits.Header, axes: Iterable[MapAxis] = (), **where: str | None) -> WcsGeom:
        """Geometry of an image header (projection, NAXIS1, NAXIS2), with `axes` added; `where` goes into messages.

        Raises
        ------
        SchemaError : no image of the sky.
        """
        wcs = read_projection(header, **where)
        return cls(wcs, (header["NAXIS1"], header["NAXIS2"]), MapAxes(axes))

    def to_header(self) -> fits.Header:
        """Cards of the projection, every float to the last bit."""
        return projection_cards(self.wcs)

    def __reduce__(self):
        # astropy pickles a WCS with 14 digits; workers must see the same pixels to the bit
        return _unpickle, (self.to_header().tostring(), self.npix, self.axes)

    @property
    def data_shape(self) -> tuple[int, ...]:
        """Shape of the data: bins of the axes, last axis first, then latitude, then longitude."""
        return (*self.axes.array_shape, *self.image_shape)

    @property
    def image_shape(self) -> tuple[int, int]:
        """Number of pixels in latitude and longitude."""
        return self.npix[1], self.npix[0]

    @property
    def proj(self) -> str:
        """FITS code of the projection, "TAN"."""
        return self.wcs.wcs.ctype[0][-3:]

    @property
    def frame(self) -> str:
        """Name of the celestial frame, "icrs"."""
        return celestial_frame(self.wcs).name

    @property
    def center_pix(self) -> tuple[float, float]:
        """Pixel numbers of the middle of the image."""
        return (self.npix[0] - 1) / 2, (self.npix[1] - 1) / 2

    @property
    def center_skydir(self) -> SkyCoord:
        """Middle of the image."""
        return self.pix_to_coord(self.center_pix)["skycoord"]

    @property
    def pixel_scales(self) -> u.Quantity:
        """Size of a pixel at the reference point in longitude and latitude."""
        return np.hypot(*self.wcs.pixel_scale_matrix) * u.deg

    @property
    def width(self) -> u.Quantity:
        """Size of the image in longitude and latitude, the number of pixels times their size."""
        return self.pixel_scales * np.array(self.npix)

    @cached_property
    def _centers(self) -> SkyCoord:
        x, y = np.meshgrid(np.arange(self.npix[0]), np.arange(self.npix[1]))
        return self._skycoord(x, y)

    def _skycoord(self, x: Any, y: Any) -> SkyCoord:
        lon, lat = pix_to_lonlat(self.wcs, x, y)
        return SkyCoord(lon, lat, unit="deg", frame=celestial_frame(self.wcs))

    def get_coord(self) -> dict[str, Any]:
        """Coordinates of the pixel centres, in shapes that broadcast to ``data_shape``.

        ``"skycoord"``: SkyCoord of shape (ny, nx), NaN off the sky; each axis by its name: Quantity.
        """
        coords: dict[str, Any] = {"skycoord": self._centers}
        for k, axis in enumerate(self.axes):
            coords[axis.name] = axis.center.reshape(-1, *[1] * (k + 2))
        return coords

    def coord_to_pix(self, coords: SkyCoord | Mapping[str, Any]) -> tuple[np.ndarray, ...]:
        """Pixel numbers (fractions) of positions: x, y and, for a mapping, those along the axes in FITS order.

        NaN where the projection does not reach; in cylindrical projections x is the copy nearest to the middle.

        Raises
        ------
        SchemaError : a mapping that lacks an axis. UnitError : a coordinate of the wrong unit.
        """
        skycoord, values = self._split(coords)
        pix = sky_to_pix(self.wcs, skycoord, self.center_pix[0])
        return (*pix, *(axis.coord_to_pix(value) for axis, value in zip(self.axes, values, strict=False)))

    def coord_to_idx(self, coords: SkyCoord | Mapping[str, Any]) -> tuple[np.ndarray, ...]:
        """Bin numbers of positions, -1 in each direction in which they are outside; order as `coord_to_pix`."""
        skycoord, values = self._split(coords)
        idx = []
        for pix, n in zip(sky_to_pix(self.wcs, skycoord, self.center_pix[0]), self.npix, strict=True):
            nearest = np.floor(pix + 0.5)
            idx.append(np.where((nearest >= 0) & (nearest < n), nearest, -1).astype(int))
        return (*idx, *(axis.coord_to_idx(value) for axis, value in zip(self.axes, values, strict=False)))

    def pix_to_coord(self, pix: Iterable[Any]) -> dict[str, Any]:
        """Positions of pixel numbers x, y and, where given, those along the axes; keys as `get_coord`."""
        x, y, *others = pix
        coords: dict[str, Any] = {"skycoord": self._skycoord(x, y)}
        for axis, value in zip(self.axes, others, strict=False):
            coords[axis.name] = axis.pix_to_coord(value)
        return coords

    def contains(self, coords: SkyCoord | Mapping[str, Any]) -> np.ndarray:
        """Whether positions lie in the image and, for a mapping, within the axes."""
        return np.logical_and.reduce(np.broadcast_arrays(*(idx >= 0 for idx in self.coord_to_idx(coords))))

    def _split(self, coords: SkyCoord | Mapping[str, Any]) -> tuple[SkyCoord, list[Any]]:
        if isinstance(coords, SkyCoord):
            return coords, []
        missing = [name for name in ("skycoord", *self.axes.names) if name not in coords]
        if missing:
            raise SchemaError(
                "GX-MAPS-106", f"coordinate {missing[0]!r} is missing", do=did_you_mean(missing[0], list(coords))
            )
        return coords["skycoord"], [coords[name] for name in self.axes.names]

    def separation(self, center: SkyCoord) -> u.Quantity:
        """Angular distance of the pixel centres from a position [deg], shape (ny, nx)."""
        return u.Quantity(center.separation(self._centers), "deg")

    def solid_angle(self) -> u.Quantity:
        """Solid angle of the pixels [sr], shape (ny, nx); NaN where a corner is off the sky."""
        return u.Quantity(self._solid_angle, "sr")

    @cached_property
    def _solid_angle(self) -> np.ndarray:
        return solid_angle(self.wcs, self.npix)

    def bin_volume(self) -> u.Quantity:
        """Solid angle of the pixels times the widths of the bins of all axes, shape ``data_shape``."""
        volume = self.solid_angle()
        for axis in self.axes:
            volume = volume * axis.bin_width.reshape(self.axis_shape(axis.name))
        return volume

    def region_mask(self, regions: Any, inside: bool = True) -> WcsNDMap:
        """Mask of the pixels with their centre inside any of some regions (outside all with `inside` false).

        Regions are drawn in the projection as DS9 draws them: circles with the scale at their centre. A point marks
        the pixel that holds it.

        Parameters
        ----------
        regions : `regions` sky region, DS9 string, list of regions; an empty list holds no pixel.

        Raises
        ------
        GeometryError : not a region of the sky.
        """
        from gammax.maps._wcs_map import WcsNDMap

        region = parse_region(regions or None)
        mask = np.zeros(self.image_shape, bool) if region is None else image_mask(region, self.wcs, self.npix)
        return WcsNDMap(self, np.broadcast_to(mask == inside, self.data_shape))

    def region_weights(self, regions: Any, oversampling_factor: int = 10) -> WcsNDMap:
        """Part of each pixel that lies inside some regions, from `oversampling_factor` points each way."""
        fine = self.to_image().upsample(oversampling_factor).region_mask(regions)
        weights = fine.replace(data=fine.data.astype(float)).downsample(oversampling_factor, preserve_counts=False)
        return weights.replace(geom=self, data=np.broadcast_to(weights.data, self.data_shape))

    def energy_mask(self, energy_min: Any = None, energy_max: Any = None, round_to_edge: bool = False) -> WcsNDMap:
        """Mask of the energy bins that lie wholly inside a range; parameters and errors as `RegionGeom.energy_mask`."""
        from gammax.maps._wcs_map import WcsNDMap

        bins = RegionGeom(None, self.axes).energy_mask(energy_min, energy_max, round_to_edge)
        return WcsNDMap(self, np.broadcast_to(bins.data, self.data_shape))

    def boundary_mask(self, width: Any) -> WcsNDMap:
        """Mask of the pixels further than `width`, one or (longitude, latitude), from the border of the image."""
        from gammax.maps._wcs_map import WcsNDMap

        mask = np.zeros(self.image_shape, bool)
        nx, ny = odd_up(2 * angles(width, "width") / self.pixel_scales.to_value("deg")) // 2
        mask[ny : self.npix[1] - ny, nx : self.npix[0] - nx] = True
        return WcsNDMap(self, np.broadcast_to(mask, self.data_shape))

    def replace_axes(self, axes: Iterable[MapAxis]) -> WcsGeom:
        """Same image, other axes."""
        return replace(self, axes=MapAxes(axes))

    def replace_image(self, wcs: WCS, npix: tuple[int, int]) -> WcsGeom:
        """Same axes, another image."""
        return replace(self, wcs=wcs, npix=npix)

    def plot_region(self, region: Any, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Outlines of a region, or of the parts of a union, on axes with sky coordinates; points as markers.

        Parameters
        ----------
        region : `regions` sky region, DS9 string, list of regions.
        ax : WCSAxes; those of a new figure of this image by default.
        kwargs : of the outline, a matplotlib patch.
        """
        return plot_region(self, region, ax, **kwargs)

    def is_allclose(self, other: WcsGeom, rtol: float = EDGE_RTOL, atol_pix: float = PIX_ATOL) -> bool:
        """Whether axes agree (relative `rtol`) and pixels lie on the same sky (within `atol_pix` pixels)."""
        return not self.difference(other, rtol, atol_pix)

    def difference(self, other: WcsGeom, rtol: float = EDGE_RTOL, atol_pix: float = PIX_ATOL) -> str:
        """First difference in words, "" where there is none."""
        if difference := self.axes.difference(other.axes, rtol):
            return difference
        for word in ("npix", "frame"):
            mine, theirs = getattr(self, word), getattr(other, word)
            if mine != theirs:
                return f"{word} {mine} against {theirs}"
        if self.wcs.wcs.compare(other.wcs.wcs):
            return ""
        x, y = np.meshgrid(*(np.linspace(-0.25, n - 0.75, 7) for n in self.npix))
        sky = self._skycoord(x, y)
        on_sky = np.isfinite(sky.spherical.lon.deg)
        mine, theirs = (np.array(geom.coord_to_pix(sky[on_sky])) for geom in (self, other))
        shift = np.max(np.abs(mine - theirs), initial=0.0)
        return "" if shift <= atol_pix else f"pixels {shift:.3g} apart"

    def __repr__(self) -> str:
        nx, ny = self.npix
        size = " x ".join(f"{scale:.6g}" for scale in self.pixel_scales.value)
        where = self.center_skydir.to_string(precision=4)
        axes = f", {self.axes!r}" if self.axes else ""
        return f"WcsGeom({nx} x {ny} pixels of {size} deg at {where} deg {self.frame}, {self.proj}{axes})"


def _unpickle(header: str, npix: tuple[int, int], axes: MapAxes) -> WcsGeom:
    return WcsGeom(read_projection(fits.Header.fromstring(header)), npix, axes)
