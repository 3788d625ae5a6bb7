"""Geometry of a map that has one spatial bin: a region of the sky, or none, and axes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from gammax import _regions as sky_regions
from gammax._fits import file_of, get_hdu
from gammax.errors import DataValueError, GeometryError
from gammax.maps._axes import MapAxes
from gammax.maps._axis import EDGE_RTOL, MapAxis
from gammax.maps._region import create_wcs, parse_region, parts_of, region_center
from gammax.maps._region_solid_angle import region_solid_angle
from gammax.maps._region_table import read_region_hdu, region_hdu
from gammax.maps._wcs_projection import sky_to_pix
from gammax.maps._wcs_region import contains_pix
from gammax.units import to_value

if TYPE_CHECKING:
    from gammax.maps._region_map import RegionNDMap


@dataclass(frozen=True, eq=False)
class RegionGeom:
    """Region of the sky with axes.

    Parameters
    ----------
    region : `regions` sky region, DS9 string, union of regions, or None.
    axes : axes in FITS order, first fastest (an energy dispersion map: energy, energy_true).
    wcs : projection in which the region is written to files; a small tangential one where none is given.

    Raises
    ------
    GeometryError : no sky region, or two axes of one name.
    """

    region: sky_regions.SkyRegion | None
    axes: MapAxes = MapAxes()  # noqa: RUF009
    wcs: WCS | None = None

    def __post_init__(self):
        object.__setattr__(self, "region", parse_region(self.region))
        object.__setattr__(self, "axes", MapAxes(self.axes))
        if self.region is not None and self.wcs is None:
            object.__setattr__(self, "wcs", create_wcs(self.region))

    @classmethod
    def create(cls, region: Any, axes: MapAxis | Iterable[MapAxis] = (), wcs: WCS | None = None) -> RegionGeom:
        """Geometry from a region or a DS9 string (``icrs;circle(83.63, 22.01, 0.11)``) and axes."""
        return cls(region, MapAxes(axes), wcs)

    @classmethod
    def from_hdulist(cls, hdus: fits.HDUList, hdu: str = "REGION", axes: Iterable[MapAxis] = ()) -> RegionGeom:
        """Geometry from a table of regions (one per row), with `axes` added.

        Raises
        ------
        SchemaError : the HDU, a column or the projection is missing. FileFormatError : rows that are no regions.
        """
        region, wcs = read_region_hdu(get_hdu(hdus, hdu), file_of(hdus))
        return cls(region, MapAxes(axes), wcs)

    def to_region_hdu(self, name: str = "REGION") -> fits.BinTableHDU | None:
        """Table with one row per part of the region; None without region.

        Raises
        ------
        GeometryError : a shape that FITS region tables do not know.
        """
        return None if self.region is None else region_hdu(self.region, self.wcs, name)

    @property
    def data_shape(self) -> tuple[int, ...]:
        """Shape of the data: bins of the axes, last axis first, then 1, 1 for latitude and longitude."""
        return (*self.axes.array_shape, 1, 1)

    @property
    def regions(self) -> list[sky_regions.SkyRegion]:
        """Parts of the region; one unless it is a union, none without region."""
        return parts_of(self.region)

    @property
    def center_skydir(self) -> SkyCoord | None:
        """Centre of the region."""
        return None if self.region is None else region_center(self.region)

    @property
    def frame(self) -> str | None:
        """Name of the celestial frame of the region."""
        center = self.center_skydir
        return None if center is None else center.frame.name

    def contains(self, coords: SkyCoord) -> np.ndarray:
        """Whether positions lie inside the region, drawn in its projection (`wcs`); no position is inside a point.

        In the projection made here, with the region at its middle, the border of a circle of radius r [rad] is that
        on the sky within r^2 / 3 of its radius: 1e-6 for 0.11 deg.

        Raises
        ------
        GeometryError : there is no region.
        """
        if self.region is None:
            raise GeometryError("GX-MAPS-037", "the geometry has no region, so nothing is inside or outside")
        return contains_pix(self.region, self.wcs, *sky_to_pix(self.wcs, coords))

    def solid_angle(self) -> u.Quantity:
        """Solid angle of the region [sr]; of circles and annuli on the sphere, of other shapes to 1e-3, of points 0.

        Raises
        ------
        GeometryError : there is no region.
        """
        if self.region is None:
            raise GeometryError("GX-MAPS-038", "the geometry has no region, so no solid angle")
        return u.Quantity(region_solid_angle(self.region), "sr")

    def replace_axes(self, axes: Iterable[MapAxis]) -> RegionGeom:
        """Same region, other axes."""
        return replace(self, axes=MapAxes(axes))

    def to_image(self) -> RegionGeom:
        """Region without axes."""
        return self.replace_axes(())

    def squash(self, axis_name: str) -> RegionGeom:
        """Geometry with one axis reduced to a single bin."""
        return self.replace_axes(self.axes.squash(axis_name))

    def slice_by_idx(self, slices: Mapping[str, slice]) -> RegionGeom:
        """Geometry with some axes cut to a range of bins."""
        return self.replace_axes(self.axes.slice_by_idx(slices))

    def energy_mask(self, energy_min: Any = None, energy_max: Any = None, round_to_edge: bool = False) -> RegionNDMap:
        """Mask of the energy bins that lie wholly inside a range.

        Edges count as equal within 1e-6 relative, so that limits in TeV select the bins of a float32 keV file.

        Parameters
        ----------
        energy_min, energy_max : limits, None for no limit.
        round_to_edge : move both limits to the nearest edge first.

        Raises
        ------
        UnitError : a limit that is no energy. DataValueError : a limit that is not finite, or limits exchanged.
        """
        from gammax.maps._region_map import RegionNDMap

        name = "energy" if "energy" in self.axes else "energy_true"
        edges = self.axes[name].edges_value("TeV")
        inside = np.ones(len(edges) - 1, bool)
        low = None if energy_min is None else _limit(energy_min, edges, round_to_edge, "energy_min")
        high = None if energy_max is None else _limit(energy_max, edges, round_to_edge, "energy_max")
        if low is not None and high is not None and low > high:
            raise DataValueError("GX-MAPS-036", "energy_min lies above energy_max", found=f"{energy_min}, {energy_max}")
        if low is not None:
            inside &= edges[:-1] >= low * (1 - EDGE_RTOL)
        if high is not None:
            inside &= edges[1:] <= high * (1 + EDGE_RTOL)
        shape = [1] * len(self.data_shape)
        shape[self.axes.array_position(name)] = len(inside)
        return RegionNDMap(self, np.broadcast_to(inside.reshape(shape), self.data_shape))

    def is_allclose(self, other: RegionGeom, rtol: float = EDGE_RTOL) -> bool:
        """Whether the axes agree and the regions have the same kind, centre and size."""
        return not self.difference(other, rtol)

    def difference(self, other: RegionGeom, rtol: float = EDGE_RTOL) -> str:
        """First difference in words, "" where there is none."""
        if difference := self.axes.difference(other.axes, rtol):
            return difference
        mine, theirs = self.regions, other.regions
        if len(mine) != len(theirs):
            return f"{len(mine)} regions against {len(theirs)}"
        for k, (left, right) in enumerate(zip(mine, theirs, strict=True)):
            if not _same_region(left, right):
                return f"region {k}: {left!r} against {right!r}"
        return ""

    def __repr__(self) -> str:
        parts, center = self.regions, self.center_skydir
        region = "none" if not parts else type(parts[0]).__name__ if len(parts) == 1 else f"{len(parts)} regions"
        where = "" if center is None else f" at {center.to_string(precision=4)} deg {center.frame.name}"
        return f"RegionGeom({region}{where}, {self.axes!r})"


def _limit(limit: Any, edges: np.ndarray, round_to_edge: bool, name: str) -> float:
    value = float(to_value(limit, "TeV", name))
    if not np.isfinite(value):
        raise DataValueError("GX-MAPS-035", f"{name} is not finite", found=value)
    return float(edges[np.argmin(np.abs(edges - value))]) if round_to_edge else value


def _same_region(left: sky_regions.SkyRegion, right: sky_regions.SkyRegion) -> bool:
    """Same shape, positions and sizes within 1e-6 deg (files hold pixel numbers, often rounded)."""
    if type(left) is not type(right):
        return False
    for name in left._params or ():
        mine, theirs = getattr(left, name), getattr(right, name)
        if isinstance(mine, SkyCoord):
            if mine.shape != theirs.shape or np.any(mine.separation(theirs).deg > 1e-6):
                return False
        elif np.any(np.abs((mine - theirs).to_value("deg")) > 1e-6):
            return False
    return True
