"""Effective area over true energy and offset."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from astropy.io import fits

from gammax.errors import GammaxWarning
from gammax.irf._dl3_plot import plot_over_energy
from gammax.irf._response import TableResponse

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# no telescope of the field peaks below 1 m2 or above 1e8 m2; a wrong unit does
_PLAUSIBLE_CM2 = (1e4, 1e12)


@dataclass(frozen=True, eq=False, repr=False)
class EffectiveAreaTable2D(TableResponse):
    """Effective area, axes (energy_true, offset), GADF class ``AEFF_2D``.

    ``evaluate(energy_true=..., offset=...)`` gives an area, ``values`` cm2.
    """

    tag = "aeff_2d"
    axis_names = ("energy_true", "offset")
    extname = "EFFECTIVE AREA"
    hduclas2 = "EFF_AREA"
    column = "EFFAREA"
    default_unit = "m2"
    canonical_unit = "cm2"

    @classmethod
    def from_hdu(cls, hdu: fits.BinTableHDU, file: str | None = None) -> Self:
        """Effective area from a table HDU; warns of a largest value that no telescope has (a wrong unit).

        Raises
        ------
        GammaxError : as for every response, see `TableResponse.from_hdu`.
        """
        aeff = super().from_hdu(hdu, file)
        largest = aeff.data.max() * aeff._factor
        if not _PLAUSIBLE_CM2[0] <= largest <= _PLAUSIBLE_CM2[1]:
            warnings.warn(
                f"{file}: the largest effective area in HDU {hdu.name} is {largest / 1e4:.3g} m2; is its unit right?",
                GammaxWarning,
                stacklevel=2,
            )
        return aeff

    def plot(self, ax: Axes | None = None, offset: Any = None, **kwargs: Any) -> Axes:
        """Effective area over true energy, one line per offset (default: each of the table)."""
        offset = self.axes["offset"].center if offset is None else offset
        return plot_over_energy(self, offset, ax, "Effective area", **kwargs)
