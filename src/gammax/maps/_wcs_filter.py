"""Maps convolved, smoothed, and masks grown and shrunk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from gammax.errors import DataValueError, GeometryError, SchemaError, did_you_mean
from gammax.maps._map_data import frozen
from gammax.maps._wcs_cutout import odd_up


class WcsFilters:
    """Methods for `WcsNDMap`."""

    geom: Any
    data: np.ndarray
    is_mask: bool
    replace: Callable[..., Self]

    def convolve(self, kernel: Any, method: str = "fft", mode: str = "same") -> Self:
        """Map convolved with a kernel; nothing comes in from beyond the border.

        Parameters
        ----------
        kernel : array (ky, kx) for all bins of the axes, array (axes ..., ky, kx) with one for each, or a map of
            pixels of the same size (or what has one as ``psf_kernel_map``), whose axes an image takes over.
        method : "fft" or "direct".
        mode : "same", or "full" for a map with a margin of half the kernel (an odd number of pixels).

        Raises
        ------
        GeometryError : the axes or the pixels of the kernel do not fit. SchemaError : unknown method or mode.
        """
        for word, known in ((method, ("fft", "direct")), (mode, ("same", "full"))):
            if word not in known:
                raise SchemaError("GX-MAPS-185", f"cannot convolve {word!r}", do=did_you_mean(word, known))
        kernel = getattr(kernel, "psf_kernel_map", kernel)
        geom = self.geom
        if not isinstance(kernel, np.ndarray):
            self._check_pixels(kernel.geom)
            geom = geom.to_cube(kernel.geom.axes) if geom.is_image else geom
        array = np.asarray(kernel if isinstance(kernel, np.ndarray) else kernel.data, float)
        if array.ndim < 2 or array.shape[:-2] not in ((), geom.axes.array_shape):
            raise GeometryError(
                "GX-MAPS-186", "the kernel has other axes", found=array.shape[:-2], expected=geom.axes.array_shape
            )
        images = np.broadcast_to(self.data.astype(float), (*geom.axes.array_shape, *self.data.shape[-2:]))
        array = array.reshape((1,) * (images.ndim - array.ndim) + array.shape)
        if mode == "full":
            ny, nx = array.shape[-2:]
            if not (nx % 2 and ny % 2):
                raise GeometryError("GX-MAPS-187", "the kernel has an even number of pixels", found=array.shape)
            geom = geom.pad(((nx - 1) // 2, (ny - 1) // 2))
        return self.replace(geom=geom, data=frozen(_convolve(images, array, method, mode)))

    def _check_pixels(self, geom: Any) -> None:
        mine, theirs = (item.pixel_scales.to_value("deg") for item in (self.geom, geom))
        if not np.allclose(mine, theirs, rtol=1e-5, atol=0):
            raise GeometryError("GX-MAPS-188", "the kernel has other pixels", found=theirs, expected=mine)

    def smooth(self, width: Any, kernel: str = "gauss", **kwargs: Any) -> Self:
        """Map smoothed in every bin of its axes, mirrored at the border.

        Parameters
        ----------
        width : standard deviation ("gauss"), radius ("disk") or side ("box", rounded to whole pixels); an angle, or a
            number of pixels.
        kwargs : go to `scipy.ndimage.gaussian_filter`, ``convolve`` and ``uniform_filter``.

        Raises
        ------
        SchemaError : unknown kernel. UnitError : `width` is no angle. GeometryError : it is not positive.
        """
        # imported where it is needed, as it takes a while
        from scipy import ndimage

        size = float(np.mean(self.geom.to_pixels(width)))
        data, flat = self.data.astype(float), [0] * len(self.geom.axes)
        if kernel == "gauss":
            return self.replace(data=frozen(ndimage.gaussian_filter(data, [*flat, size, size], **kwargs)))
        if kernel == "box":
            side = max(1, round(size))
            axes = (data.ndim - 2, data.ndim - 1)
            return self.replace(data=frozen(ndimage.uniform_filter(data, side, axes=axes, **kwargs)))
        if kernel != "disk":
            raise SchemaError("GX-MAPS-189", f"unknown kernel {kernel!r}", do=did_you_mean(kernel, _KERNELS))
        disk = disk_structure(size).astype(float)
        disk = (disk / disk.sum()).reshape((1,) * len(flat) + disk.shape)
        return self.replace(data=frozen(ndimage.convolve(data, disk, **kwargs)))

    def binary_dilate(self, width: Any, kernel: str = "disk") -> Self:
        """Mask grown by a disk of radius `width`, or a box of that side.

        Parameters
        ----------
        width : angle, or a number of pixels.
        kernel : "disk" or "box".

        Raises
        ------
        DataValueError : no mask.
        """
        structure = self._structure(width, kernel)
        return self.replace(data=frozen(self._count(structure) > 0.5))

    def binary_erode(self, width: Any, kernel: str = "disk") -> Self:
        """Mask shrunk by a disk of radius `width`, or a box of that side; beyond the border nothing is set.

        Parameters and errors as `binary_dilate`.
        """
        structure = self._structure(width, kernel)
        return self.replace(data=frozen(self._count(structure) > structure.sum() - 0.5))

    def _structure(self, width: Any, kernel: str) -> np.ndarray:
        if not self.is_mask:
            raise DataValueError("GX-MAPS-190", "only masks grow and shrink", do="compare first: map > 0")
        x, y = self.geom.to_pixels(width)
        if kernel == "disk":
            return disk_structure(float((x + y) / 2))
        if kernel != "box":
            raise SchemaError("GX-MAPS-189", f"unknown kernel {kernel!r}", do=did_you_mean(kernel, ("disk", "box")))
        return np.ones((int(odd_up(y)), int(odd_up(x))))

    def _count(self, structure: np.ndarray) -> np.ndarray:
        """Number of set pixels under the structure."""
        structure = structure.reshape((1,) * (self.data.ndim - 2) + structure.shape)
        return _convolve(self.data.astype(float), structure.astype(float), "fft", "same")


_KERNELS = ("gauss", "disk", "box")


def disk_structure(radius: float) -> np.ndarray:
    """Pixels with their centre within `radius` of the middle one, bool; an odd number each way."""
    half = int(np.floor(radius + 1e-9))
    y, x = np.ogrid[-half : half + 1, -half : half + 1]
    return x**2 + y**2 <= radius**2 * (1 + 1e-9)


def _convolve(images: np.ndarray, kernel: np.ndarray, method: str, mode: str) -> np.ndarray:
    # scipy.signal brings all of scipy.stats: half a second, which a process that only fits does without
    from scipy import signal

    if method == "fft":
        return signal.fftconvolve(images, kernel, mode=mode, axes=(-2, -1))
    kernels = np.broadcast_to(kernel, (*images.shape[:-2], *kernel.shape[-2:]))
    planes = [
        signal.convolve(images[idx], kernels[idx], mode=mode, method="direct") for idx in np.ndindex(images.shape[:-2])
    ]
    return np.reshape(planes, (*images.shape[:-2], *planes[0].shape))
