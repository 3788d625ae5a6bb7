"""Cut on the distance to the source that went into a point-like response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import astropy.units as u
import numpy as np

from gammax.errors import DataValueError, SchemaError
from gammax.irf._dl3_plot import plot_steps
from gammax.irf._response import TableResponse
from gammax.maps import MapAxes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class RadMax2D(TableResponse):
    """Largest distance to the source, axes (energy, offset), GADF class ``RAD_MAX_2D``.

    A cut was made per bin, so the value of the bin that holds the energy and the offset is taken, without
    interpolation; 0 outside. A cut of one bin in both (`is_fixed_rad_max`) holds everywhere.
    """

    tag = "rad_max_2d"
    axis_names = ("energy", "offset")
    extname = "RAD_MAX"
    hduclas2 = "RAD_MAX"
    column = "RAD_MAX"
    default_unit = "deg"
    canonical_unit = "deg"

    is_pointlike: bool = True

    @classmethod
    def from_irf(cls, irf: TableResponse) -> Self:
        """Fixed cut from the keyword ``RAD_MAX`` (deg) of a point-like effective area or energy dispersion.

        Raises
        ------
        SchemaError : the response is not point-like, or says no RAD_MAX. DataValueError : the cut is not positive.
        """
        if "RAD_MAX" not in irf.meta and irf.is_pointlike:
            raise SchemaError(
                "GX-IRF-091",
                "a point-like response without RAD_MAX",
                hdu=irf.extname,
                keyword="RAD_MAX",
                do="add the keyword (deg) or a RAD_MAX_2D table to the file",
            )
        return cls.from_keyword(irf, irf.meta.get("RAD_MAX"))

    @classmethod
    def from_keyword(cls, irf: TableResponse, value: Any) -> Self:
        """Fixed cut of a point-like response: a number (deg), or a text, with its unit or without ("0.2 deg").

        Raises
        ------
        SchemaError : the response is not point-like. DataValueError : no angle, or it is not positive.
        """
        if not irf.is_pointlike:
            raise SchemaError("GX-IRF-090", "a response for the full field of view has no RAD_MAX", hdu=irf.extname)
        try:
            angle = u.Quantity(value)
            cut = float(angle.value if angle.unit == u.one else angle.to_value("deg"))
        except (TypeError, ValueError, u.UnitsError) as error:
            raise DataValueError("GX-IRF-092", "RAD_MAX is no number", hdu=irf.extname, found=repr(value)) from error
        if not (np.isfinite(cut) and cut > 0):
            raise DataValueError("GX-IRF-093", "RAD_MAX must be positive", hdu=irf.extname, found=cut)
        axes = MapAxes([irf.axes["energy_true"].squash().rename("energy"), irf.axes["offset"].squash()])
        return cls(axes, np.full((1, 1), cut))

    @property
    def is_fixed_rad_max(self) -> bool:
        """Whether the cut is one number."""
        return self.data.size == 1

    def values(self, **coords: Any) -> np.ndarray:
        """As `evaluate`, with plain numbers in TeV and deg; the result in deg."""
        energy, offset = np.broadcast_arrays(*(np.asarray(coords[name], float) for name in self.axis_names))
        if self.is_fixed_rad_max:
            return np.full(energy.shape, self.data.item() * self._factor)
        index = [self._bin(name, x) for name, x in zip(self.axis_names, (energy, offset), strict=True)]
        inside = self._inside("energy", energy) & self._inside("offset", offset)
        return np.where(inside, self.data[tuple(index)], 0.0) * self._factor

    def _bin(self, name: str, x: np.ndarray) -> np.ndarray:
        edges = self.axes[name].edges_value({"energy": "TeV", "offset": "deg"}[name])
        return np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)

    def plot(self, ax: Axes | None = None, offset: Any = None, **kwargs: Any) -> Axes:
        """Cut over energy at an offset (default: the first of the table)."""
        offset = self.axes["offset"].center[0] if offset is None else offset
        return plot_steps(self, offset, ax, "Rad max", **kwargs)
