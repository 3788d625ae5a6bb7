"""Energy dispersion over true energy, migration and offset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.special import erf

from gammax.errors import DataValueError
from gammax.irf._dl3_plot import plot_migration
from gammax.irf._edisp_kernel import EDispKernel
from gammax.irf._grid import locate, multilinear
from gammax.irf._response import TableResponse
from gammax.maps import MapAxes, MapAxis
from gammax.units import to_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class EnergyDispersion2D(TableResponse):
    """Density of migra = E_reco / E_true, axes (energy_true, migra, offset), GADF class ``EDISP_2D``.

    Tables need not be normalised (official ones integrate to 0.01 or to 3000); kernels are.
    """

    tag = "edisp_2d"
    axis_names = ("energy_true", "migra", "offset")
    extname = "ENERGY DISPERSION"
    hduclas2 = "EDISP"
    column = "MATRIX"
    default_unit = ""
    canonical_unit = ""
    column_needs_unit = False

    @classmethod
    def from_gauss(
        cls,
        energy_axis_true: MapAxis,
        migra_axis: MapAxis,
        offset_axis: MapAxis,
        bias: Any,
        sigma: Any,
        pdf_threshold: float = 1e-6,
    ) -> Self:
        """Gaussian in migra, mean over each bin, the same at all offsets.

        Parameters
        ----------
        bias, sigma : mean of migra - 1 and width of migra, a number or one per true energy bin.
        pdf_threshold : smaller densities are set to 0.
        """
        edges = migra_axis.edges_value("")
        shift, width = (np.broadcast_to(np.asarray(x, float), energy_axis_true.nbin)[:, None] for x in (bias, sigma))
        if not np.all(width > 0):
            raise DataValueError("GX-IRF-050", "the width of a Gaussian dispersion must be positive", found=sigma)
        density = np.diff(erf((edges - 1 - shift) / (np.sqrt(2) * width)), axis=1) / 2 / np.diff(edges)
        density = np.where(density < pdf_threshold, 0.0, density)
        axes = MapAxes([energy_axis_true, migra_axis, offset_axis])
        return cls(axes, np.repeat(density[:, :, np.newaxis], offset_axis.nbin, axis=2))

    def norms(self) -> np.ndarray:
        """Integral over migra, shape (energies, offsets): how far the table is from a density."""
        width = np.diff(self.axes["migra"].edges_value(""))
        return np.einsum("emo,m->eo", self.data, width)

    def to_edisp_kernel(
        self, offset: Any, energy_axis_true: MapAxis, energy_axis: MapAxis, threshold: float = 1e-8
    ) -> EDispKernel:
        """Probabilities of the reconstructed bins at the centre of each true bin.

        The raw table is interpolated (ln E_true, offset) and normalised afterwards; its cumulative sum over migra,
        linear inside a bin, is taken at the reconstructed edges. Energies beyond the table use its last edge; rows
        without density, and all rows at an offset beyond the table, are 0.

        Parameters
        ----------
        offset : angle from the pointing direction.
        threshold : smaller probabilities are set to 0.
        """
        degrees = to_value(offset, "deg", "offset")
        true = energy_axis_true.center_value("TeV")
        density = self._density(true, degrees)
        edges = self.axes["migra"].edges_value("")
        cumulative = np.zeros((len(true), len(edges)))
        np.cumsum(density * np.diff(edges), axis=1, out=cumulative[:, 1:])
        total = cumulative[:, -1:]
        cumulative /= np.where(total > 0, total, 1.0)
        migra = np.clip(energy_axis.edges_value("TeV") / true[:, np.newaxis], edges[0], edges[-1])
        k, w = locate(edges, migra)
        below = np.take_along_axis(cumulative, k, axis=1) * (1 - w)
        data = np.diff(below + np.take_along_axis(cumulative, k + 1, axis=1) * w, axis=1)
        return EDispKernel((energy_axis_true, energy_axis), np.where(data < threshold, 0.0, data))

    def _density(self, true: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Raw density at true energies and offsets (one, or one for each), shape (energies, migra bins)."""
        energy = self._scaled("energy_true", self._clipped("energy_true", true))
        table = np.moveaxis(self.data, 1, 2)
        density = multilinear([self._nodes("energy_true"), self._nodes("offset")], table, [energy, offset])
        return np.where(self._inside("offset", offset)[..., np.newaxis], np.maximum(density, 0.0), 0.0)

    def plot(self, ax: Axes | None = None, offset: Any = None, **kwargs: Any) -> Axes:
        """Density over true energy and migra at an offset (default: the first of the table)."""
        offset = self.axes["offset"].center[0] if offset is None else offset
        return plot_migration(self, offset, ax, **kwargs)
