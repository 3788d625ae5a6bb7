"""Energy dispersion matrices in the pixels of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from astropy.coordinates import SkyCoord

from gammax.errors import GeometryError
from gammax.irf._edisp_kernel import EDispKernel
from gammax.irf._irf_map import IRFMap, Map
from gammax.maps import MapAxis, RegionGeom, RegionNDMap, WcsNDMap

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class EDispKernelMap(IRFMap):
    """Probability to reconstruct a true energy in each bin, in the pixels of an image or in one region.

    Parameters
    ----------
    edisp_map : map with the axes (energy, energy_true), dimensionless.
    exposure_map : its exposure, with energy in one bin; the weight of means over pixels and observations.

    Raises
    ------
    GeometryError : other axes, or an exposure that does not fit. UnitError : another unit.
    DataValueError : numbers that are not finite.
    """

    tag: ClassVar[str] = "edisp_kernel_map"
    axis_names: ClassVar[tuple[str, str]] = ("energy", "energy_true")
    field: ClassVar[str] = "edisp_map"
    hdu: ClassVar[str] = "EDISP"
    unit: ClassVar[str] = ""
    lookup: ClassVar[str] = "nearest"

    edisp_map: Map
    exposure_map: Map | None = None

    @classmethod
    def from_edisp_kernel(cls, edisp: EDispKernel, geom: Any = None) -> Self:
        """One matrix at all positions.

        Parameters
        ----------
        geom : image to put it on; without, it holds everywhere. The exposure is 0: the map has no weight in a stack.
        """
        axes = (edisp.energy_axis, edisp.energy_axis_true)
        geom = (RegionGeom(None) if geom is None else geom.to_image()).replace_axes(axes)
        make = RegionNDMap if isinstance(geom, RegionGeom) else WcsNDMap
        data = np.broadcast_to(edisp.data[..., np.newaxis, np.newaxis], geom.data_shape)
        return cls(make(geom, data), make(geom.squash("energy"), unit="m2 s"))

    @classmethod
    def from_diagonal_response(cls, energy_axis: MapAxis, energy_axis_true: MapAxis, geom: Any = None) -> Self:
        """Perfect resolution: the fraction of each true bin (by width) that lies in each reconstructed bin."""
        return cls.from_edisp_kernel(EDispKernel.from_diagonal_response(energy_axis_true, energy_axis), geom)

    @classmethod
    def from_gauss(
        cls,
        energy_axis: MapAxis,
        energy_axis_true: MapAxis,
        sigma: Any,
        bias: Any,
        pdf_threshold: float = 1e-6,
        geom: Any = None,
    ) -> Self:
        """Gaussian in E_reco / E_true; parameters as `EDispKernel.from_gauss`."""
        kernel = EDispKernel.from_gauss(energy_axis_true, energy_axis, sigma, bias, pdf_threshold)
        return cls.from_edisp_kernel(kernel, geom)

    def get_edisp_kernel(
        self, energy_axis: MapAxis | None = None, position: SkyCoord | None = None, method: str = "nearest"
    ) -> EDispKernel:
        """Matrix at one position, the middle of the map by default.

        Parameters
        ----------
        energy_axis : reconstructed energies that are expected. method : "nearest" pixel, or "linear" between pixels.

        Raises
        ------
        GeometryError : the map has other energies.
        """
        own = self.geom.axes["energy"]
        if energy_axis is not None and (difference := own.difference(energy_axis)):
            raise GeometryError("GX-IRF-160", "the energy dispersion has other energies", found=difference)
        data = np.clip(self.values_at(position, method), 0.0, None)
        return EDispKernel((self.energy_axis, own), data)

    def resample_energy_axis(self, energy_axis: MapAxis, weights: Map | None = None) -> Self:
        """Map with neighbouring reconstructed bins summed.

        Parameters
        ----------
        energy_axis : wider bins, whose edges are edges of those there are.
        weights : mask of the bins to sum, over this image and the axes (energy, energy_true), or energy alone.

        Raises
        ------
        GeometryError : edges that are none.
        """
        own = self.geom.axes["energy"]
        first = _positions(own, energy_axis)
        data = self.edisp_map.data if weights is None else self.edisp_map.data * weights.data
        summed = np.concatenate([data[:, a:b].sum(axis=1, keepdims=True) for a, b in first], axis=1)
        geom = self.geom.replace_axes((energy_axis, self.energy_axis))
        exposure = self.exposure_map
        if exposure is not None:
            exposure = exposure.replace(geom=geom.squash("energy"))
        return self._with(self.edisp_map.replace(geom=geom, data=summed), exposure)

    def to_image(self, weights: Map | None = None) -> Self:
        """Map with all reconstructed energies in one bin; `weights` as for `resample_energy_axis`."""
        return self.resample_energy_axis(self.geom.axes["energy"].squash(), weights)

    def peek(self) -> Figure:
        """Bias and matrix in the middle of the map."""
        return peek_kernel(self.get_edisp_kernel())


def _positions(own: MapAxis, wanted: MapAxis) -> list[tuple[int, int]]:
    """First bin and the one after the last, of each wanted bin."""
    mine, theirs = own.edges_value("TeV"), wanted.edges_value("TeV")
    nearest = np.argmin(np.abs(np.log(theirs[:, np.newaxis] / mine)), axis=1)
    if not np.allclose(mine[nearest], theirs, rtol=1e-6, atol=0):
        raise GeometryError(
            "GX-IRF-161", "edges of the new bins are no edges of the old ones", found=wanted, expected=own
        )
    return list(zip(nearest[:-1].tolist(), nearest[1:].tolist(), strict=True))


def peek_kernel(kernel: EDispKernel) -> Figure:
    """Bias and matrix of a kernel in one figure."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    kernel.plot_bias(left)
    kernel.plot_matrix(right)
    return figure
