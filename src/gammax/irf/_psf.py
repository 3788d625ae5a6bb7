"""Point spread functions, and the one that is a table over true energy, offset and distance to the source."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import astropy.units as u
import numpy as np
from astropy.io import fits

from gammax.errors import DataValueError, SchemaError, did_you_mean
from gammax.irf._dl3_axes import AXES
from gammax.irf._dl3_plot import plot_containment_radius
from gammax.irf._dl3_table import cell_name
from gammax.irf._grid import multilinear
from gammax.irf._response import Response, TableResponse
from gammax.maps import MapAxes, MapAxis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

METHODS = ("normalized", "ring", "gammapy")
# densities taken at bin centres integrate to 1.04 where a bin is as wide as the PSF; a wrong unit gives far more
MAX_NORM = 1.1


class PSFBase(Response):
    """Containment of every PSF, in Quantities."""

    def containment(self, rad: Any, energy_true: Any, offset: Any, method: str = "normalized") -> np.ndarray:
        """Fraction of the events of a point source within `rad` of it.

        Parameters
        ----------
        rad, energy_true, offset : Quantities that broadcast.
        method : "normalized", "ring" or "gammapy"; they differ for `PSF3D` only, see there.
        """
        self._check_method(method)
        coords = {"rad": rad, "energy_true": energy_true, "offset": offset}
        return self.containment_values(**self._plain(coords, ("rad", "energy_true", "offset")), method=method)

    def containment_radius(self, fraction: Any, energy_true: Any, offset: Any) -> u.Quantity:
        """Radius within which `fraction` of the events of a point source lie (method "normalized").

        Raises
        ------
        DataValueError : a fraction outside (0, 1).
        """
        plain = self._plain({"energy_true": energy_true, "offset": offset}, ("energy_true", "offset"))
        fraction = np.asarray(fraction, float)
        if not np.all((fraction > 0) & (fraction < 1)):
            raise DataValueError("GX-IRF-060", "a containment fraction lies between 0 and 1", found=fraction)
        return u.Quantity(self._radius(fraction, **plain), "deg")

    def containment_values(
        self, rad: np.ndarray, energy_true: np.ndarray, offset: np.ndarray, method: str = "normalized"
    ) -> np.ndarray:
        """As `containment`, with plain numbers in deg and TeV."""
        raise NotImplementedError

    def _radius(self, fraction: np.ndarray, energy_true: np.ndarray, offset: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    @staticmethod
    def _check_method(method: str) -> None:
        if method not in METHODS:
            raise SchemaError("GX-IRF-061", f"unknown containment method {method!r}", do=did_you_mean(method, METHODS))

    def plot_containment_radius(
        self, ax: Axes | None = None, fraction: Any = (0.68, 0.95), offset: Any = None, **kwargs: Any
    ) -> Axes:
        """Containment radius over true energy, one line per fraction, at an offset (default: the first)."""
        offset = self.axes["offset"].center[0] if offset is None else offset
        return plot_containment_radius(self, fraction, offset, ax, **kwargs)


@dataclass(frozen=True, eq=False, repr=False)
class PSF3D(TableResponse, PSFBase):
    """Density per solid angle, axes (energy_true, offset, rad), GADF class ``PSF_TABLE``.

    Containment methods:

    - "normalized": the density is constant inside a ring (its integral runs with rad^2) and what the table holds is
      all there is: 1 from its last radius on. Between cells the raw densities are interpolated and normalised after,
      so that empty cells, which published tables have by the hundred, count nothing; where all neighbours are empty
      the cell nearest in energy (then in offset) stands in. Energies and offsets beyond the table use its edge.
    - "ring": the same, neither normalised nor filled.
    - "gammapy": running sum of 2 pi rad density, at the upper edges of the rings, linear in rad between them, not
      normalised, 0 half a ring beyond the last edge and outside the table: the rule of the peer, to the last digit.
    """

    tag = "psf_table"
    axis_names = ("energy_true", "offset", "rad")
    extname = "PSF_2D_TABLE"
    hduclas2 = "RPSF"
    column = "RPSF"
    default_unit = "sr-1"
    canonical_unit = "sr-1"

    @classmethod
    def from_hdu(cls, hdu: fits.BinTableHDU, file: str | None = None) -> Self:
        """PSF from a table HDU.

        Raises
        ------
        DataValueError : a cell that integrates to more than 1.1. GammaxError : as for every response, see
        `TableResponse.from_hdu`.
        """
        psf = super().from_hdu(hdu, file)
        norms = psf.norms()
        if norms.max() > MAX_NORM:
            raise DataValueError(
                "GX-IRF-062",
                f"{hdu.name} integrates to more than 1",
                file=file,
                hdu=hdu.name,
                column=cls.column,
                found=f"{norms.max():.4g}",
                cell=cell_name(MapAxes(psf.axes[:2]), np.unravel_index(np.argmax(norms), norms.shape)),
            )
        return psf

    def norms(self) -> np.ndarray:
        """Integral over solid angle, shape (energies, offsets)."""
        return self._cumulative[..., -1].copy()

    @cached_property
    def _cumulative(self) -> np.ndarray:
        """Integral from 0 to each edge of rad, shape (energies, offsets, edges)."""
        edges = np.deg2rad(self.axes["rad"].edges_value("deg"))
        cumulative = np.zeros((*self.data.shape[:2], len(edges)))
        np.cumsum(self.data * self._factor * np.pi * np.diff(edges**2), axis=2, out=cumulative[..., 1:])
        return cumulative

    @cached_property
    def _filled(self) -> np.ndarray:
        """The same, each empty cell a copy of the nearest that is not."""
        norms = self._cumulative[..., -1]
        if norms.max() <= 0:
            raise DataValueError("GX-IRF-063", "the PSF is zero everywhere")
        filled = self._cumulative.copy()
        energies, offsets = np.nonzero(norms > 0)
        for e, o in np.argwhere(norms <= 0):
            # another offset is farther than any energy at this one
            nearest = np.argmin(np.abs(energies - e) + np.abs(offsets - o) * norms.shape[0])
            filled[e, o] = self._cumulative[energies[nearest], offsets[nearest]]
        return filled

    def containment_values(
        self, rad: np.ndarray, energy_true: np.ndarray, offset: np.ndarray, method: str = "normalized"
    ) -> np.ndarray:
        """As `containment`, with plain numbers in deg and TeV."""
        self._check_method(method)
        if method == "gammapy":
            return self._containment_of_the_peer(rad, energy_true, offset)
        table = self._filled if method == "normalized" else self._cumulative
        cell, place = self._cells(energy_true, offset)
        squares = self.axes["rad"].edges_value("deg") ** 2
        inner = np.clip(np.square(np.asarray(rad, float)), squares[0], squares[-1])
        contained = multilinear([*cell, squares], table, [*place, inner])
        if method == "ring":
            return contained
        return contained / multilinear(cell, table[..., -1], place)

    def _cells(self, energy_true: np.ndarray, offset: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Nodes of energy and offset, and coordinates moved to between the outer ones.

        Beyond the outer nodes nothing is extrapolated: a containment must stay one.
        """
        names = ("energy_true", "offset")
        nodes = [self._nodes(name) for name in names]
        scaled = [self._scaled(name, x) for name, x in zip(names, (energy_true, offset), strict=True)]
        return nodes, [np.clip(x, node[0], node[-1]) for x, node in zip(scaled, nodes, strict=True)]

    def _containment_of_the_peer(self, rad: Any, energy_true: Any, offset: Any) -> np.ndarray:
        coords = {"energy_true": energy_true, "offset": offset}
        upper = MapAxis.from_nodes(self.axes["rad"].edges_value("deg")[1:], "rad", unit="deg")
        low, high = upper.edges_value("deg")[[0, -1]]
        inside = (np.asarray(rad) >= low) & (np.asarray(rad) <= high)
        for name, x in coords.items():
            inside = inside & self._inside(name, x)
        nodes = [*(self._nodes(name) for name in coords), upper.center_value("deg")]
        scaled = [*(self._scaled(name, x) for name, x in coords.items()), rad]
        contained = multilinear(nodes, self._cumulative[..., 1:], scaled)
        return np.where(inside, np.maximum(contained, 0.0), 0.0)

    def _radius(self, fraction: np.ndarray, energy_true: np.ndarray, offset: np.ndarray) -> np.ndarray:
        cell, place = self._cells(energy_true, offset)
        curves = multilinear(cell, self._filled, place)
        shape = np.broadcast_shapes(fraction.shape, curves.shape[:-1])
        curves = np.broadcast_to(curves, (*shape, curves.shape[-1])).reshape(-1, curves.shape[-1])
        wanted = np.broadcast_to(fraction, shape).reshape(-1)
        squares = self.axes["rad"].edges_value(AXES["rad"].unit) ** 2
        found = [np.interp(f * curve[-1], curve, squares) for f, curve in zip(wanted, curves, strict=True)]
        return np.sqrt(np.reshape(found, shape))
