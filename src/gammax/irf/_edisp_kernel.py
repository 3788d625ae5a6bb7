"""Energy dispersion of one region: the probability to reconstruct a true energy in each bin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from scipy.special import erf

from gammax._fits import file_of, open_fits, write_fits
from gammax.errors import DataValueError, GeometryError, SchemaError, did_you_mean
from gammax.irf._plot import plot_edisp_bias, plot_edisp_matrix
from gammax.irf._probabilities import check_probabilities, without_negative
from gammax.irf._rmf import read_rmf, rmf_hdus
from gammax.maps import MapAxis, RegionGeom, RegionNDMap
from gammax.units import parse_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class EDispKernel:
    """Energy dispersion matrix.

    Parameters
    ----------
    axes : true energy axis ("energy_true") and reconstructed energy axis ("energy").
    data : probabilities, shape (n_true, n_reco), float64, held read-only. Rows sum to 1, or to less where energies
        are lost outside the reconstructed axis.

    Raises
    ------
    GeometryError : axes are not those two, or the shape differs. DataValueError : a value that is no probability, or
        a row that sums to more than 1.
    """

    axes: tuple[MapAxis, MapAxis]
    data: np.ndarray

    def __post_init__(self):
        axes = tuple(self.axes)
        names = tuple(axis.name for axis in axes)
        if names != ("energy_true", "energy"):
            raise GeometryError(
                "GX-IRF-001",
                "wrong axes of an energy dispersion",
                found=", ".join(names) or "none",
                expected="energy_true, energy",
            )
        data = np.array(self.data, dtype=np.float64)
        shape = (axes[0].nbin, axes[1].nbin)
        if data.shape != shape:
            raise GeometryError(
                "GX-IRF-002",
                "energy dispersion matrix and axes have different shapes",
                found=data.shape,
                expected=shape,
            )
        check_probabilities(data)
        data.setflags(write=False)
        object.__setattr__(self, "axes", axes)
        object.__setattr__(self, "data", data)

    @classmethod
    def from_gauss(
        cls, energy_axis_true: MapAxis, energy_axis: MapAxis, sigma: Any, bias: Any, pdf_threshold: float = 1e-6
    ) -> EDispKernel:
        """Gaussian dispersion of E_reco / E_true, integrated over the reconstructed bins at the true bin centre.

        Parameters
        ----------
        sigma : width of E_reco / E_true, a number or one per true energy bin.
        bias : mean of E_reco / E_true - 1, likewise.
        pdf_threshold : smaller probabilities are set to 0.
        """
        true = energy_axis_true.center_value("TeV")[:, np.newaxis]
        width = np.broadcast_to(np.asarray(sigma, float), energy_axis_true.nbin)[:, np.newaxis]
        shift = np.broadcast_to(np.asarray(bias, float), energy_axis_true.nbin)[:, np.newaxis]
        if not np.all(width > 0):
            raise DataValueError("GX-IRF-003", "the width of a Gaussian dispersion must be positive", found=sigma)
        scaled = (energy_axis.edges_value("TeV") / true - 1 - shift) / (np.sqrt(2) * width)
        data = np.diff(erf(scaled), axis=1) / 2
        return cls((energy_axis_true, energy_axis), np.where(data < pdf_threshold, 0.0, data))

    @classmethod
    def from_diagonal_response(cls, energy_axis_true: MapAxis, energy_axis: MapAxis | None = None) -> EDispKernel:
        """Perfect energy resolution: the fraction of each true bin (by width) that lies in each reconstructed bin.

        Parameters
        ----------
        energy_axis : reconstructed axis; the true one, renamed, where None.
        """
        energy_axis = energy_axis_true.rename("energy") if energy_axis is None else energy_axis
        true, reco = energy_axis_true.edges_value("TeV"), energy_axis.edges_value("TeV")
        low = np.maximum(true[:-1, np.newaxis], reco[:-1])
        high = np.minimum(true[1:, np.newaxis], reco[1:])
        return cls((energy_axis_true, energy_axis), np.clip(high - low, 0, None) / np.diff(true)[:, np.newaxis])

    @property
    def energy_axis_true(self) -> MapAxis:
        """True energy axis."""
        return self.axes[0]

    @property
    def energy_axis(self) -> MapAxis:
        """Reconstructed energy axis."""
        return self.axes[1]

    @property
    def pdf_matrix(self) -> np.ndarray:
        """Probabilities, shape (n_true, n_reco)."""
        return self.data

    def get_mean(self, energy_true: Any) -> u.Quantity:
        """Mean reconstructed energy of the true energy bin that holds `energy_true`; NaN outside and in empty rows."""
        mean, _ = self._moments()
        return self._at(mean, energy_true) * parse_unit(self.energy_axis.unit)

    def get_bias(self, energy_true: Any) -> np.ndarray:
        """Mean of E_reco / E_true - 1 of the true energy bin that holds `energy_true`, E_true its centre."""
        mean, _ = self._moments()
        return self._at(mean / self.energy_axis_true.center_value(self.energy_axis.unit) - 1, energy_true)

    def get_resolution(self, energy_true: Any) -> np.ndarray:
        """Standard deviation of E_reco / E_true of the true energy bin that holds `energy_true`."""
        _, width = self._moments()
        return self._at(width / self.energy_axis_true.center_value(self.energy_axis.unit), energy_true)

    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the reconstructed energy per row, in the unit of the reconstructed axis."""
        energy = self.energy_axis.center_value(self.energy_axis.unit)
        total = self.data.sum(axis=1)
        weight = self.data / np.where(total > 0, total, 1.0)[:, np.newaxis]
        mean = weight @ energy
        variance = (weight * (energy - mean[:, np.newaxis]) ** 2).sum(axis=1)
        return np.where(total > 0, mean, np.nan), np.where(total > 0, np.sqrt(variance), np.nan)

    def _at(self, per_row: np.ndarray, energy_true: Any) -> np.ndarray:
        idx = self.energy_axis_true.coord_to_idx(energy_true)
        return np.where(idx >= 0, per_row[idx], np.nan)

    def slice_by_idx(self, slices: Mapping[str, slice]) -> EDispKernel:
        """Kernel cut to a range of bins, ``{"energy": slice(2, 8)}``; the rows are not normalised again."""
        names = ("energy_true", "energy")
        for name in slices:
            if name not in names:
                raise SchemaError("GX-IRF-004", f"no axis {name!r}", do=did_you_mean(name, names))
        axes = tuple(axis.slice(slices.get(axis.name, slice(None))) for axis in self.axes)
        data = self.data[slices.get("energy_true", slice(None)), slices.get("energy", slice(None))]
        return EDispKernel(axes, data)

    def is_allclose(self, other: EDispKernel, rtol: float = 1e-6, atol: float = 0.0) -> bool:
        """Whether axes (1e-6 relative, any unit) and probabilities agree."""
        same_axes = all(mine.is_allclose(theirs) for mine, theirs in zip(self.axes, other.axes, strict=True))
        return same_axes and np.allclose(other.data, self.data, rtol=rtol, atol=atol)

    def to_region_map(self, geom: RegionGeom | Any = None) -> RegionNDMap:
        """Map over (energy, energy_true), data shape (n_true, n_reco, 1, 1): the form of the gadf ``EDISP`` HDUs.

        Parameters
        ----------
        geom : region (object, DS9 string, None) or a `RegionGeom`, whose region and projection are taken.
        """
        geom = geom if isinstance(geom, RegionGeom) else RegionGeom.create(geom)
        axes = (self.energy_axis, self.energy_axis_true)
        return RegionNDMap(geom.replace_axes(axes), self.data[..., np.newaxis, np.newaxis])

    def to_exposure_map(self, exposure: RegionNDMap) -> RegionNDMap:
        """Companion ``EDISP_EXPOSURE`` map: the exposure over (energy in one bin, energy_true)."""
        axes = (self.energy_axis.squash(), self.energy_axis_true)
        return exposure.replace(geom=exposure.geom.replace_axes(axes), data=exposure.values()[:, None, None, None])

    @classmethod
    def from_region_map(cls, edisp_map: RegionNDMap, file: str | None = None) -> EDispKernel:
        """Kernel from a map over (energy, energy_true), as `to_region_map` gives it; `file` is for messages.

        Raises
        ------
        SchemaError : an axis is missing (a migra map is no kernel map). DataValueError : numbers that are no
            probabilities.
        """
        axes = edisp_map.geom.axes
        data = edisp_map.values()
        if axes.position("energy") > axes.position("energy_true"):
            data = data.T
        data = without_negative(data, file)
        check_probabilities(data, file=file)
        return cls((axes["energy_true"], axes["energy"]), data)

    def to_hdulist(self, format: str = "ogip") -> fits.HDUList:
        """OGIP redistribution matrix: HDUs ``MATRIX`` and ``EBOUNDS``."""
        _require_ogip(format)
        return fits.HDUList([fits.PrimaryHDU(), *rmf_hdus(self.energy_axis_true, self.energy_axis, self.data)])

    @classmethod
    def from_hdulist(cls, hdus: fits.HDUList, file: str | None = None) -> EDispKernel:
        """Kernel from an OGIP redistribution matrix; see `gammax.irf._rmf` for the channel numbering.

        Raises
        ------
        SchemaError : HDU or column missing, or a full response. DataValueError : groups outside the channels, or
            numbers that are no probabilities. UnitError : energies without unit.
        """
        return cls(*read_rmf(hdus, file_of(hdus) if file is None else file))

    @classmethod
    def read(cls, path: str | Path) -> EDispKernel:
        """Kernel from an OGIP RMF file; errors as `from_hdulist`, and `FileFormatError` where it is no FITS file."""
        with open_fits(path) as hdus:
            return cls.from_hdulist(hdus)

    def write(self, path: str | Path, format: str = "ogip", overwrite: bool = False) -> Path:
        """Write an OGIP RMF file."""
        return write_fits(self.to_hdulist(format), path, overwrite)

    def plot_matrix(self, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Image of the matrix; `kwargs` go to ``pcolormesh``."""
        return plot_edisp_matrix(self, ax, **kwargs)

    def plot_bias(self, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Bias over true energy; `kwargs` go to ``plot``."""
        return plot_edisp_bias(self, ax, **kwargs)

    def __repr__(self) -> str:
        return f"EDispKernel({self.energy_axis_true!r}, {self.energy_axis!r})"


def _require_ogip(format: str) -> None:
    if format != "ogip":
        raise SchemaError("GX-IRF-007", f"unknown format {format!r}", do=did_you_mean(format, ["ogip"]))
