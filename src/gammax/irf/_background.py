"""Background rates over reconstructed energy and the field of view."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from astropy.io import fits

from gammax.errors import DataValueError, GammaxWarning, SchemaError, UnitError, did_you_mean
from gammax.irf._dl3_axes import AXES
from gammax.irf._dl3_plot import plot_field, plot_over_energy
from gammax.irf._dl3_table import cell_name, check_unit, read_cube
from gammax.irf._grid import multilinear
from gammax.irf._response import TableResponse
from gammax.maps import MapAxes
from gammax.maps._columns import column_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOV_ALIGNMENTS = ("RADEC", "ALTAZ", "REVERSE_LON_RADEC")
# of the files, which hold 32 bits; the peer takes the same
_TINY = float(np.finfo(np.float32).tiny)
_NO_RATE = float(np.log(2 * _TINY))


@dataclass(frozen=True, eq=False, repr=False)
class BackgroundBase(TableResponse):
    """Rate per energy and solid angle, interpolated in its logarithm.

    From the centres of the outermost cells to the outer edges the logarithm goes on as between the last two cells,
    except from a cell with a rate whose neighbour has none: there it stays, where it would go up to 1e30.

    Parameters
    ----------
    fov_alignment : "RADEC" (fov_lon grows to the west, GADF 0.2), "REVERSE_LON_RADEC" (to the east) or "ALTAZ".
    """

    extname = "BACKGROUND"
    hduclas2 = "BKG"
    column = "BKG"
    default_unit = "s-1 MeV-1 sr-1"
    canonical_unit = "s-1 TeV-1 sr-1"

    fov_alignment: str = "RADEC"

    def __post_init__(self):
        super().__post_init__()
        if self.fov_alignment not in FOV_ALIGNMENTS:
            raise SchemaError(
                "GX-IRF-080",
                f"unknown alignment of the field of view {self.fov_alignment!r}",
                keyword="FOVALIGN",
                do=did_you_mean(self.fov_alignment, FOV_ALIGNMENTS),
            )

    def with_events_header(self, header: Mapping[str, Any]) -> Self:
        """Background of an observation, given the header of its events.

        Archived H.E.S.S. files (their events were written by ``SASH FITS::EventListWriter`` with ``HDUVERS`` 0.2) say
        RADEC, but their longitudes grow to the east.
        """
        legacy = header.get("CREATOR") == "SASH FITS::EventListWriter" and str(header.get("HDUVERS")) == "0.2"
        return replace(self, fov_alignment="REVERSE_LON_RADEC") if legacy else self

    @classmethod
    def _read_data(cls, hdu: fits.BinTableHDU, axes: MapAxes, file: str | None) -> tuple[np.ndarray, str]:
        units = column_units(hdu)
        column = "BGD" if "BGD" in units and cls.column not in units else cls.column
        data, text = read_cube(hdu, column, None, axes, file)
        unit = text or cls.default_unit
        where = {"file": file, "hdu": hdu.name, "column": column}
        if not text:
            warnings.warn(
                f"{file}: column {column} in HDU {hdu.name} has no unit; {unit} is taken", GammaxWarning, stacklevel=3
            )
        if not check_unit(unit, cls.canonical_unit):
            raise UnitError(
                "GX-IRF-082", f"column {column} has the wrong unit", found=text, expected=cls.default_unit, **where
            )
        if data.min() < 0:
            raise DataValueError(
                "GX-IRF-081",
                f"{hdu.name} has {(data < 0).sum()} negative of {data.size} cells",
                found=f"smallest {data.min():.4g}",
                cell=cell_name(axes, np.unravel_index(np.argmin(data), data.shape)),
                **where,
            )
        return data, unit

    @classmethod
    def _extra_fields(cls, hdu: fits.BinTableHDU, file: str | None) -> dict[str, Any]:
        return {"fov_alignment": str(hdu.header.get("FOVALIGN", "RADEC")).strip().upper()}

    def _cards(self) -> dict[str, Any]:
        return {**super()._cards(), "FOVALIGN": self.fov_alignment}

    @cached_property
    def _log_table(self) -> tuple[list[np.ndarray], np.ndarray]:
        """Nodes of each axis, in the scale of `_scaled`, and the logarithm of the rate there, outer edges included."""
        # a rate of 0 has no logarithm; next to such a cell the interpolated rate falls off within a tenth of a bin
        table, nodes = np.log(np.maximum(self.data, _TINY)), []
        for k, name in enumerate(self.axis_names):
            centers = self._nodes(name)
            if len(centers) > 1:
                ends = self._scaled(name, self.axes[name].edges_value(AXES[name].unit)[[0, -1]])
                table = np.moveaxis(_continued(np.moveaxis(table, k, 0), centers, ends), 0, k)
                centers = np.concatenate([ends[:1], centers, ends[1:]])
            nodes.append(centers)
        return nodes, table

    def _interpolate(self, scaled: list[np.ndarray]) -> np.ndarray:
        log_rate = multilinear(*self._log_table, scaled)
        return np.where(log_rate > _NO_RATE, np.exp(log_rate), 0.0)


def _continued(table: np.ndarray, centers: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Table of logarithms with a row before the first and one after the last, at `ends`."""
    rows = []
    for end, (outer, inner) in zip(ends, ((0, 1), (-1, -2)), strict=True):
        slope = (table[outer] - table[inner]) / (centers[outer] - centers[inner])
        slope = np.where((table[outer] > _NO_RATE) & (table[inner] <= _NO_RATE), 0.0, slope)
        rows.append(table[outer] + slope * (end - centers[outer]))
    return np.concatenate([rows[:1], table, rows[1:]])


@dataclass(frozen=True, eq=False, repr=False)
class Background2D(BackgroundBase):
    """Background rate, axes (energy, offset), GADF class ``BKG_2D``."""

    tag = "bkg_2d"
    axis_names = ("energy", "offset")

    def plot(self, ax: Axes | None = None, offset: Any = None, **kwargs: Any) -> Axes:
        """Rate over energy, one line per offset (default: each of the table)."""
        offset = self.axes["offset"].center if offset is None else offset
        return plot_over_energy(self, offset, ax, "Background rate", **kwargs)


@dataclass(frozen=True, eq=False, repr=False)
class Background3D(BackgroundBase):
    """Background rate, axes (energy, fov_lon, fov_lat), GADF class ``BKG_3D``."""

    tag = "bkg_3d"
    axis_names = ("energy", "fov_lon", "fov_lat")

    def plot(self, ax: Axes | None = None, energy: Any = "1 TeV", **kwargs: Any) -> Axes:
        """Rate in the field of view at one energy."""
        return plot_field(self, energy, ax, **kwargs)
