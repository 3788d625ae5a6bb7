"""Energy dispersion over migra in the pixels of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from astropy.coordinates import SkyCoord

from gammax.irf._edisp_kernel import EDispKernel
from gammax.irf._edisp_kernel_map import EDispKernelMap, peek_kernel
from gammax.irf._grid import locate
from gammax.irf._irf_map import IRFMap, Map
from gammax.maps import MapAxis, RegionGeom, RegionNDMap, WcsNDMap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# probabilities below are rounding
THRESHOLD = 1e-8
# half of the range of migra of a perfect resolution
_SHARP = 1e-5


def migra_axis_default() -> MapAxis:
    """The field's axis of migra: 48 bins from 0.2 to 5."""
    return MapAxis.from_bounds(0.2, 5.0, 48, "migra")


@dataclass(frozen=True, eq=False, repr=False)
class EDispMap(IRFMap):
    """Density of migra = E_reco / E_true, in the pixels of an image or in one region.

    Parameters
    ----------
    edisp_map : map with the axes (migra, energy_true), dimensionless.
    exposure_map : its exposure, with migra in one bin; the weight of means over pixels and observations.

    A stack keeps masks over reconstructed energy only as `EDispKernelMap`.

    Raises
    ------
    GeometryError : other axes, or an exposure that does not fit. UnitError : another unit.
    DataValueError : numbers that are not finite.
    """

    tag: ClassVar[str] = "edisp_map"
    axis_names: ClassVar[tuple[str, str]] = ("migra", "energy_true")
    field: ClassVar[str] = "edisp_map"
    hdu: ClassVar[str] = "EDISP"
    unit: ClassVar[str] = ""
    lookup: ClassVar[str] = "nearest"

    edisp_map: Map
    exposure_map: Map | None = None

    @classmethod
    def from_diagonal_response(
        cls, energy_axis_true: MapAxis, migra_axis: MapAxis | None = None, geom: Any = None
    ) -> Self:
        """Perfect resolution: migra 1, shared between the two bins whose centres are next to it.

        Parameters
        ----------
        migra_axis : three bins within 1e-5 of 1 by default. geom : image to put it on; without, it holds everywhere.
        """
        if migra_axis is None:
            migra_axis = MapAxis.from_bounds(1 - _SHARP, 1 + _SHARP, 3, "migra")
        share = np.clip(1 - np.abs(np.arange(migra_axis.nbin) - migra_axis.coord_to_pix(1.0)), 0.0, None)
        density = share / np.diff(migra_axis.edges_value(""))
        geom = (RegionGeom(None) if geom is None else geom.to_image()).replace_axes((migra_axis, energy_axis_true))
        make = RegionNDMap if isinstance(geom, RegionGeom) else WcsNDMap
        data = np.broadcast_to(density[:, np.newaxis, np.newaxis], geom.data_shape)
        return cls(make(geom, data), make(geom.squash("migra"), unit="m2 s"))

    def normalize(self) -> Self:
        """Map whose integral over migra is 1; 0 where there is no density."""
        width = np.diff(self.geom.axes["migra"].edges_value(""))[:, np.newaxis, np.newaxis]
        total = (self.edisp_map.data * width).sum(axis=1, keepdims=True)
        data = np.divide(self.edisp_map.data, total, out=np.zeros_like(self.edisp_map.data), where=total > 0)
        return self._with(self.edisp_map.replace(data=data), self.exposure_map)

    def to_edisp_kernel_map(self, energy_axis: MapAxis, threshold: float = THRESHOLD) -> EDispKernelMap:
        """Probabilities of reconstructed bins at the centres of the true ones; smaller than `threshold` are 0."""
        data = np.moveaxis(self.edisp_map.data, 1, -1)
        probabilities = migra_to_bins(data, self.geom.axes["migra"], self.energy_axis, energy_axis, threshold)
        geom = self.geom.replace_axes((energy_axis, self.energy_axis))
        exposure = self.exposure_map
        if exposure is not None:
            exposure = exposure.replace(geom=geom.squash("energy"))
        return EDispKernelMap(self.edisp_map.replace(geom=geom, data=np.moveaxis(probabilities, -1, 1)), exposure)

    def get_edisp_kernel(
        self, energy_axis: MapAxis, position: SkyCoord | None = None, method: str = "nearest"
    ) -> EDispKernel:
        """Matrix at one position, the middle of the map by default; `method` as `IRFMap.values_at`."""
        density = np.clip(self.values_at(position, method), 0.0, None)
        data = migra_to_bins(density, self.geom.axes["migra"], self.energy_axis, energy_axis, THRESHOLD)
        return EDispKernel((self.energy_axis, energy_axis), data)

    def peek(self) -> Figure:
        """Bias and matrix in the middle of the map."""
        true = self.energy_axis
        low, high = true.bounds
        return peek_kernel(self.get_edisp_kernel(MapAxis.from_energy_bounds(low, high, true.nbin)))


def migra_to_bins(
    density: np.ndarray, migra: MapAxis, energy_axis_true: MapAxis, energy_axis: MapAxis, threshold: float
) -> np.ndarray:
    """Probabilities of reconstructed bins, shape (T, ..., R), of densities, shape (T, ..., migra)."""
    edges = migra.edges_value("")
    true = energy_axis_true.center_value("TeV")
    cumulative = np.zeros((*density.shape[:-1], len(edges)))
    np.cumsum(density * np.diff(edges), axis=-1, out=cumulative[..., 1:])
    wanted = np.clip(energy_axis.edges_value("TeV") / true[:, np.newaxis], edges[0], edges[-1])
    rows = []
    for curve, x in zip(cumulative, wanted, strict=True):
        k, part = locate(edges, x)
        rows.append(np.diff(curve[..., k] * (1 - part) + curve[..., k + 1] * part, axis=-1))
    data = np.array(rows)
    return np.where(data < threshold, 0.0, data)
