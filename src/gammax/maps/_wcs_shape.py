"""Other images made from one: parts of it, with a margin, with larger or smaller pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from gammax import _regions as sky_regions
from gammax.errors import GeometryError
from gammax.maps._axes import MapAxes
from gammax.maps._wcs_create import angles, whole_numbers
from gammax.maps._wcs_cutout import cutout_range, odd_up, overlap, pixel_offset
from gammax.units import to_value


class WcsShapes:
    """Methods for `WcsGeom`."""

    wcs: WCS
    npix: tuple[int, int]
    axes: MapAxes
    width: u.Quantity
    pixel_scales: u.Quantity
    center_skydir: SkyCoord
    proj: str
    frame: str
    pix_to_coord: Callable
    replace_axis: Callable
    replace_image: Callable
    create: Callable

    def cutout(
        self,
        position: SkyCoord,
        width: Any,
        mode: str = "trim",
        odd_npix: bool = False,
        min_npix: int = 1,
    ) -> Self:
        """Part of the image around a position, on the same pixels.

        Parameters
        ----------
        position : middle; of two ranges of pixels with their middle as near the upper one is taken.
        width : size, one or (longitude, latitude), rounded to whole pixels; bare numbers are degrees.
        mode : "trim" to what lies inside the image, "partial" to go beyond it, "strict" to refuse that.
        odd_npix : round up to an odd number of pixels.
        min_npix : smallest number of pixels before trimming.

        Raises
        ------
        GeometryError : nothing of the cutout lies inside, or with "strict" not all of it. SchemaError : no such mode.
        """
        (x, y), npix = cutout_range(self, position, width, mode, odd_npix, min_npix)
        return self._part(x, y, npix)

    def cutout_slices(self, geom: Any) -> dict[str, tuple[slice, slice]]:
        """Slices (latitude, longitude) of the pixels that this image shares with another of the same pixels.

        Returns
        -------
        slices : "parent-slices" into arrays of `geom`, "cutout-slices" into those of this geometry; empty slices where
            the two do not overlap.

        Raises
        ------
        GeometryError : the pixels of the images do not match.
        """
        offset = pixel_offset(self, geom)
        if offset is None:
            raise GeometryError(
                "GX-MAPS-159", "the pixels of the images do not match", found=repr(self), expected=repr(geom)
            )
        parent, part = overlap(offset, self, geom)
        return {"parent-slices": parent, "cutout-slices": part}

    def is_aligned(self, other: Any) -> bool:
        """Whether axes agree and pixels match, so that one image is a part of the other or of its continuation."""
        return not self.axes.difference(other.axes) and pixel_offset(self, other) is not None

    def pad(self, pad_width: int | tuple[int, int]) -> Self:
        """Image with a margin of pixels, one number or (longitude, latitude)."""
        nx, ny = whole_numbers(pad_width, "pad_width", 0)
        return self._part(-nx, -ny, (self.npix[0] + 2 * nx, self.npix[1] + 2 * ny))

    def crop(self, crop_width: int | tuple[int, int]) -> Self:
        """Image without its outer pixels, one number or (longitude, latitude).

        Raises
        ------
        GeometryError : no pixel is left.
        """
        nx, ny = whole_numbers(crop_width, "crop_width", 0)
        return self._part(nx, ny, (self.npix[0] - 2 * nx, self.npix[1] - 2 * ny))

    def _part(self, x: int, y: int, npix: Any) -> Self:
        """Image of `npix` pixels that begins at pixel (x, y)."""
        wcs = self.wcs.deepcopy()
        wcs.wcs.crpix -= (x, y)
        return self.replace_image(wcs, (int(npix[0]), int(npix[1])))

    def downsample(self, factor: int, axis_name: str | None = None) -> Self:
        """Geometry with `factor` x `factor` pixels, or `factor` bins of one axis, merged into one.

        Raises
        ------
        GeometryError : the number of pixels or bins is not a multiple of `factor`.
        """
        if axis_name is not None:
            return self.replace_axis(self.axes[axis_name].downsample(factor))
        (factor, _) = whole_numbers(factor, "factor", 1)
        if any(n % factor for n in self.npix):
            raise GeometryError(
                "GX-MAPS-160",
                f"cannot downsample by {factor}",
                found=f"{self.npix[0]} x {self.npix[1]} pixels",
                expected=f"multiples of {factor}",
                do="pad() or crop() first",
            )
        return self.replace_image(_scaled(self.wcs, factor), (self.npix[0] // factor, self.npix[1] // factor))

    def upsample(self, factor: int, axis_name: str | None = None) -> Self:
        """Geometry with every pixel cut into `factor` x `factor`, or every bin of one axis into `factor`."""
        if axis_name is not None:
            return self.replace_axis(self.axes[axis_name].upsample(factor))
        (factor, _) = whole_numbers(factor, "factor", 1)
        return self.replace_image(_scaled(self.wcs, 1 / factor), (self.npix[0] * factor, self.npix[1] * factor))

    def to_binsz(self, binsz: Any) -> Self:
        """Image of the same width with pixels of another size; its reference point is the middle of this image."""
        return self._recreate(binsz=binsz, width=self.width)

    def to_odd_npix(self, max_radius: Any = None) -> Self:
        """Square image with an odd number of pixels of at least the larger width, or twice `max_radius`."""
        radius = self.width.max() / 2 if max_radius is None else to_value(max_radius, "deg", "max_radius") * u.deg
        binsz = self.pixel_scales.max()
        return self._recreate(binsz=binsz, npix=int(odd_up((2 * radius / binsz).to_value(""))))

    def to_pixels(self, width: Any) -> np.ndarray:
        """Numbers of pixels in longitude and latitude of an angle; bare numbers are pixels.

        Raises
        ------
        UnitError : no angle. GeometryError : not positive.
        """
        bare = np.ndim(width) == 0 and isinstance(width, (int, float, np.number)) and not isinstance(width, u.Quantity)
        pixels = width * np.ones(2) if bare else angles(width, "width") / self.pixel_scales.to_value("deg")
        if not np.all(np.isfinite(pixels) & (pixels > 0)):
            raise GeometryError("GX-MAPS-161", "width is not positive", found=width)
        return pixels

    def _recreate(self, **size: Any) -> Self:
        return type(self).create(skydir=self.center_skydir, proj=self.proj, frame=self.frame, axes=self.axes, **size)

    @property
    def footprint(self) -> SkyCoord:
        """Centres of the four corner pixels, beginning at (0, 0) and going up first."""
        nx, ny = (n - 1 for n in self.npix)
        return self.pix_to_coord(([0, 0, nx, nx], [0, ny, ny, 0]))["skycoord"]

    @property
    def footprint_rectangle_sky_region(self) -> sky_regions.RectangleSkyRegion:
        """Rectangle of the width of the image around its middle."""
        width, height = self.width
        return sky_regions.RectangleSkyRegion(self.center_skydir, width, height)


def _scaled(wcs: WCS, factor: float) -> WCS:
    """Projection with pixels `factor` times as large, from the same corner."""
    scaled = wcs.deepcopy()
    if scaled.wcs.has_cd():
        scaled.wcs.cd = scaled.wcs.cd * factor
    else:
        scaled.wcs.cdelt = scaled.wcs.cdelt * factor
    scaled.wcs.crpix = (scaled.wcs.crpix - 0.5) / factor + 0.5
    scaled.wcs.set()
    return scaled
