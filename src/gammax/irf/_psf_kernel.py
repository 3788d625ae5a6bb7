"""Point spread function on pixels, for the convolution of maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from scipy.special import erf

from gammax.errors import DataValueError, GeometryError
from gammax.irf._psf_kernel_make import odd_geom
from gammax.irf._spectrum_weights import spectrum_weights
from gammax.maps import WcsGeom, WcsNDMap
from gammax.units import to_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# widths of a Gaussian beyond which its kernel ends
_REACH = 5.0


@dataclass(frozen=True, eq=False, repr=False)
class PSFKernel:
    """Fractions of the events of a point source in the pixels around the one that holds it.

    Parameters
    ----------
    psf_kernel_map : image or cube with an odd number of pixels each way, the source in the middle.
    normalize : make the sum over the pixels 1 at each energy; it stays 0 where there is nothing.

    Raises
    ------
    GeometryError : an even number of pixels. DataValueError : fractions that are negative or not finite.
    """

    psf_kernel_map: WcsNDMap
    normalize: InitVar[bool] = True

    def __post_init__(self, normalize: bool):
        data = self.psf_kernel_map.data
        if not all(n % 2 for n in self.psf_kernel_map.geom.npix):
            raise GeometryError("GX-IRF-150", "a kernel has a pixel in its middle", found=self.psf_kernel_map.geom)
        if not np.all(np.isfinite(data) & (data >= 0)):
            raise DataValueError("GX-IRF-151", "a kernel is finite and not negative")
        if normalize:
            total = data.sum(axis=(-2, -1), keepdims=True)
            data = np.divide(data, total, out=np.zeros_like(data), where=total > 0)
            object.__setattr__(self, "psf_kernel_map", self.psf_kernel_map.replace(data=data))

    @property
    def data(self) -> np.ndarray:
        """Fractions, energies first, then latitude, then longitude."""
        return self.psf_kernel_map.data

    @property
    def geom(self) -> WcsGeom:
        """Geometry of the kernel."""
        return self.psf_kernel_map.geom

    @classmethod
    def from_gauss(cls, geom: WcsGeom, sigma: Any, max_radius: Any = None) -> PSFKernel:
        """Gaussian, integrated over the pixels (of a tangential plane).

        Parameters
        ----------
        geom : image, with or without energies; its pixel size, projection and axes are taken.
        sigma : width, one or one per energy.
        max_radius : half of the size of the kernel; five times the largest width by default.
        """
        width = np.atleast_1d(to_value(sigma, "deg", "sigma"))
        if not np.all(width > 0):
            raise DataValueError("GX-IRF-152", "the width of a Gaussian PSF must be positive", found=sigma)
        radius = _REACH * float(width.max()) if max_radius is None else float(to_value(max_radius, "deg", "max_radius"))
        image = odd_geom(geom, radius)
        binsz = float(image.pixel_scales.to_value("deg").max())
        edges = (np.arange(image.npix[0] + 1) - image.npix[0] / 2) * binsz
        part = np.diff(erf(edges / (np.sqrt(2) * width[:, np.newaxis])), axis=1) / 2
        kernels = part[:, :, np.newaxis] * part[:, np.newaxis, :]
        geom = image.replace_axes(geom.axes)
        return cls(WcsNDMap(geom, np.broadcast_to(kernels if geom.axes else kernels[0], geom.data_shape)))

    @classmethod
    def from_spatial_model(cls, model: Any, geom: WcsGeom, max_radius: Any = None) -> PSFKernel:
        """Shape of a spatial model, integrated over pixels around its position.

        Parameters
        ----------
        model : has ``position``, ``evaluation_radius`` [deg] and ``integrate_geom(geom)``.
        geom : as for `from_gauss`.
        """
        radius = float(model.evaluation_radius) if max_radius is None else float(to_value(max_radius, "deg"))
        binsz = float(geom.pixel_scales.to_value("deg").max())
        around = WcsGeom.create(skydir=model.position, binsz=binsz, npix=1, proj=geom.proj, frame=geom.frame)
        image = model.integrate_geom(odd_geom(around, radius))
        return cls(WcsNDMap(image.geom.replace_axes(geom.axes), _repeated(image.data, geom)))

    def to_image(self, spectral_model: Any = None, exposure: Any = None) -> PSFKernel:
        """Kernel of one energy bin: the mean with flux times exposure as weight.

        Parameters
        ----------
        spectral_model : flux, a power law of index 2 by default. exposure : one number per energy, even by default.
        """
        axis = self._energy_axis()
        weights = spectrum_weights(axis, spectral_model)
        if exposure is not None:
            given = u.Quantity(exposure).value
            if np.shape(given) != weights.shape:
                raise GeometryError(
                    "GX-IRF-153", "one exposure per energy is needed", found=np.shape(given), expected=weights.shape
                )
            weights = weights * given / np.sum(weights * given)
        data = np.tensordot(weights, self.data, axes=1)[np.newaxis]
        return PSFKernel(replace(self.psf_kernel_map, geom=self.geom.squash(axis.name), data=data))

    def _energy_axis(self) -> Any:
        if len(self.geom.axes) != 1:
            raise GeometryError("GX-IRF-154", "the kernel has no energies", found=self.geom)
        return self.geom.axes[0]

    def slice_by_idx(self, slices: Mapping[str, slice]) -> PSFKernel:
        """Kernel cut to a range of energies."""
        return PSFKernel(self.psf_kernel_map.slice_by_idx(slices), normalize=False)

    @classmethod
    def read(cls, path: str | Path, hdu: str | None = None) -> PSFKernel:
        """Kernel from a gadf map; errors as `WcsNDMap.read`."""
        return cls(WcsNDMap.read(path, hdu, mask=False))

    def write(self, path: str | Path, hdu: str = "PRIMARY", overwrite: bool = False) -> Path:
        """Write a gadf map."""
        return self.psf_kernel_map.write(path, hdu=hdu, overwrite=overwrite)

    def plot_kernel(self, ax: Axes | None = None, energy: Any = None, **kwargs: Any) -> Axes:
        """Image of the kernel at the bin nearest to an energy, or of `to_image`; `kwargs` go to ``imshow``."""
        if not self.geom.axes:
            return self.psf_kernel_map.plot(ax, **kwargs)
        if energy is None:
            return self.to_image().psf_kernel_map.plot(ax, **kwargs)
        axis = self._energy_axis()
        k = int(np.argmin(np.abs(axis.center_value("TeV") - to_value(energy, "TeV", "energy"))))
        return self.slice_by_idx({axis.name: slice(k, k + 1)}).psf_kernel_map.plot(ax, **kwargs)

    def __repr__(self) -> str:
        return f"PSFKernel({self.geom!r})"


def _repeated(image: np.ndarray, geom: WcsGeom) -> np.ndarray:
    return np.broadcast_to(image, (*geom.axes.array_shape, *image.shape))
