"""Maps on other pixels: cut out, padded, merged, divided, stacked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from astropy.coordinates import SkyCoord

from gammax.errors import GeometryError
from gammax.maps._map_data import finite_sum, frozen
from gammax.maps._wcs_create import whole_numbers
from gammax.maps._wcs_reproject import reproject, resample


class WcsResampling:
    """Methods for `WcsNDMap`."""

    geom: Any
    data: np.ndarray
    unit: str
    is_mask: bool
    replace: Callable[..., Self]
    values: Callable[..., np.ndarray]

    def cutout(
        self, position: SkyCoord, width: Any, mode: str = "trim", odd_npix: bool = False, min_npix: int = 1
    ) -> Self:
        """Part of the map around a position; parameters and errors as `WcsGeom.cutout`.

        With "partial", pixels outside of the map are zero, or False.
        """
        return self._on(self.geom.cutout(position, width, mode, odd_npix, min_npix))

    def _on(self, geom: Any) -> Self:
        """Map on an image of matching pixels, zero outside."""
        slices = geom.cutout_slices(self.geom)
        part = self.data[(..., *slices["parent-slices"])]
        if part.shape == geom.data_shape:
            return self.replace(geom=geom, data=part)
        data = np.zeros(geom.data_shape, self.data.dtype)
        data[(..., *slices["cutout-slices"])] = part
        return self.replace(geom=geom, data=frozen(data))

    def stack(self, other: Any, weights: Any = None, nan_to_num: bool = True) -> Self:
        """Map with another added where they overlap; pixels must match. Masks are joined: either is set.

        Parameters
        ----------
        other : map over the same axes, a cutout of this one, or one that this one is a cutout of.
        weights : map over the image of `other`, by which it is multiplied; axes with one bin, or none, stand for all.
        nan_to_num : take values that are not finite as zero.

        Raises
        ------
        GeometryError : axes, pixels or weights do not fit. UnitError : the units do not.
        """
        if difference := self.geom.axes.difference(other.geom.axes):
            raise GeometryError("GX-MAPS-175", "the maps have different axes", found=difference)
        slices = other.geom.cutout_slices(self.geom)
        part = (..., *slices["cutout-slices"])
        added = other.values(self.unit)[part]
        if nan_to_num and not self.is_mask:
            added = np.nan_to_num(added, nan=0.0, posinf=0.0, neginf=0.0)
        if weights is not None:
            _check_weights(weights, other)
            added = added * weights.data[part]
        data = self.data.copy()
        data[(..., *slices["parent-slices"])] += added
        return self.replace(data=frozen(data))

    def pad(self, pad_width: int | tuple[int, int], mode: str = "constant", cval: float = 0.0) -> Self:
        """Map with a margin of pixels, one number or (longitude, latitude), filled as `numpy.pad` does in `mode`."""
        nx, ny = whole_numbers(pad_width, "pad_width", 0)
        width = [(0, 0)] * (self.data.ndim - 2) + [(ny, ny), (nx, nx)]
        fill = {"constant_values": cval} if mode == "constant" else {}
        return self.replace(geom=self.geom.pad((nx, ny)), data=frozen(np.pad(self.data, width, mode, **fill)))  # type: ignore[call-overload]

    def crop(self, crop_width: int | tuple[int, int]) -> Self:
        """Map without its outer pixels, one number or (longitude, latitude)."""
        return self._on(self.geom.crop(crop_width))

    def downsample(
        self, factor: int, preserve_counts: bool = True, axis_name: str | None = None, weights: Any = None
    ) -> Self:
        """Map with `factor` x `factor` pixels, or `factor` bins of one axis, merged into one.

        Parameters
        ----------
        preserve_counts : sum the values; else take their mean (0 where all weights are).
        weights : map or array by which the values are multiplied first, and the mean divided.

        What is NaN is left out. A mask is set where any pixel is.

        Raises
        ------
        GeometryError : the number of pixels or bins is not a multiple of `factor`.
        """
        geom = self.geom.downsample(factor, axis_name)
        data = self.data
        weight = np.ones(()) if weights is None else np.asarray(getattr(weights, "data", weights))
        if weights is not None:
            data = data & (weight > 0) if self.is_mask else data * weight
        total = _blocks(data, geom.data_shape)
        if self.is_mask or preserve_counts:
            return self.replace(geom=geom, data=frozen(total))
        norm = _blocks(np.where(np.isnan(self.data), 0.0, weight), geom.data_shape)
        mean = np.divide(total, norm, out=np.zeros(geom.data_shape), where=norm != 0)
        return self.replace(geom=geom, data=frozen(mean))

    def upsample(self, factor: int, order: int = 0, preserve_counts: bool = True, axis_name: str | None = None) -> Self:
        """Map with every pixel cut into `factor` x `factor`, or every bin of one axis into `factor`.

        Parameters
        ----------
        order : 0 to repeat the value (the density of counts); otherwise the order of a spline through the centres.
        preserve_counts : share the value among the new pixels by their volume; else keep it.

        With order 0 the counts of every pixel stay what they were; splines keep no sum.
        """
        geom = self.geom.upsample(factor, axis_name)
        shares = _shares(self.geom, geom) if preserve_counts and not self.is_mask else 1.0
        if order == 0:
            return self.replace(geom=geom, data=frozen(_repeat(self.data, geom.data_shape) * shares))
        # imported where it is needed, as it takes a while
        from scipy import ndimage

        scale = [n / m for n, m in zip(self.data.shape, geom.data_shape, strict=True)]
        pix = [(np.arange(m) + 0.5) * s - 0.5 for m, s in zip(geom.data_shape, scale, strict=True)]
        grid = np.meshgrid(*pix, indexing="ij")
        spline = ndimage.map_coordinates(self.data.astype(float), grid, order=order, mode="nearest")
        return self.replace(geom=geom, data=spline > 0.5 if self.is_mask else frozen(spline * shares))

    def resample(self, geom: Any, weights: Any = None, preserve_counts: bool = True) -> Self:
        """Map on another geometry, each value put whole into the bin that holds its centre.

        Parameters
        ----------
        geom : geometry with the same names of axes.
        weights : map or array by which the values are multiplied.
        preserve_counts : sum the values in each new bin; else take their mean (0 where there is none).
        """
        return resample(self, geom, weights, preserve_counts)

    def reproject_to_geom(self, geom: Any, preserve_counts: bool = False, precision_factor: int = 10) -> Self:
        """Map on the pixels of another image.

        Every pixel is cut into squares whose sides are `precision_factor` times smaller than the new pixels, and each
        is shared among the new pixels that it overlaps, so that sums stay what they are inside the new image.

        Parameters
        ----------
        geom : geometry without axes, or with the same ones.
        preserve_counts : values are counts and are shared by area; else the mean over the area of a new pixel is taken,
            0 where the map has none.

        Raises
        ------
        GeometryError : the axes differ.
        """
        return reproject(self, geom, preserve_counts, precision_factor)


def _check_weights(weights: Any, other: Any) -> None:
    difference = other.geom.to_image().difference(weights.geom.to_image())
    try:
        if not difference and np.broadcast_shapes(other.data.shape, weights.data.shape) != other.data.shape:
            raise ValueError("more axes than the map")
    except ValueError as error:
        difference = str(error)
    if difference:
        raise GeometryError("GX-MAPS-176", "the weights do not fit the map", found=difference)


def _blocks(data: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sums of blocks, as many of them along each axis as `shape` says."""
    split = [(n, size // n) for n, size in zip(shape, data.shape, strict=True)]
    return finite_sum(data.reshape([n for pair in split for n in pair]), tuple(range(1, 2 * len(shape), 2)))


def _repeat(data: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    for axis, (n, m) in enumerate(zip(data.shape, shape, strict=True)):
        data = data if n == m else np.repeat(data, m // n, axis=axis)
    return data


def _shares(coarse: Any, fine: Any) -> np.ndarray:
    """Part of the volume of its coarse bin that each fine bin holds; equal parts off the sky."""
    if coarse.npix != fine.npix:
        volume = np.nan_to_num(fine.to_image().solid_angle().value)
        whole = _repeat(_blocks(volume, coarse.image_shape), fine.image_shape)
        even = np.full(fine.image_shape, (coarse.npix[0] / fine.npix[0]) ** 2)
        return np.divide(volume, whole, out=even, where=whole > 0)
    for old, new in zip(coarse.axes, fine.axes, strict=True):
        if new.nbin != old.nbin:
            share = new.bin_width.value / np.repeat(old.bin_width.value, new.nbin // old.nbin)
            return share.reshape(fine.axis_shape(new.name))
    return np.ones(())
