"""Cuts on events; every one returns a new list and leaves the old one as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gammax import _regions as sky_regions
from gammax.data._times import interval_seconds
from gammax.errors import DataValueError, SchemaError, did_you_mean
from gammax.maps import RegionGeom
from gammax.maps._region import parse_region, parts_of
from gammax.units import to_value

if TYPE_CHECKING:
    from gammax.data._gti import GTI


class EventSelection:
    """The cuts of `EventList`."""

    def select_energy(self, energy_range: Any) -> Self:
        """Events with energy_min <= energy < energy_max.

        Raises
        ------
        DataValueError : not two energies. UnitError : no energies.
        """
        low, high = _band(energy_range, "TeV", "energy_range")
        return self.select_rows((self.energy_tev >= low) & (self.energy_tev < high))

    def select_time(self, time_interval: Any) -> Self:
        """Events with start <= time < stop, good time or not."""
        start, stop = interval_seconds(time_interval, self.reference)
        return self.select_rows((self.time_s >= start) & (self.time_s < stop))

    def select_gti(self, gti: GTI) -> Self:
        """Events with START <= time < STOP of a good time interval."""
        return self.select_rows(gti.contains(self.time_s + gti.reference.shift_from(self.reference)))

    def select_offset(self, offset_band: Any) -> Self:
        """Events with offset_min <= offset from the pointing < offset_max; errors as `select_energy`."""
        low, high = _band(offset_band, "deg", "offset_band")
        offset = self.offset.value
        return self.select_rows((offset >= low) & (offset < high))

    def select_region(self, region: Any) -> Self:
        """Events in a region (DS9 text, sky region or list of them); in a circle by angular separation.

        Raises
        ------
        GeometryError : not a region.
        """
        radec = self.radec
        inside = np.zeros(len(self), dtype=bool)
        for part in parts_of(parse_region(region)):
            if isinstance(part, sky_regions.CircleSkyRegion):
                inside |= part.center.separation(radec) < part.radius
            else:
                inside |= np.asarray(RegionGeom.create(part).contains(radec))
        return self.select_rows(inside)

    def select_mask(self, mask: Any) -> Self:
        """Events where a sky map is true, or where a boolean array (n,) is; outside of the map there are none.

        Raises
        ------
        DataValueError : an array of another shape or type.
        """
        if hasattr(mask, "get_by_coord"):
            values = np.asarray(mask.get_by_coord(self.radec), dtype=np.float64)
            return self.select_rows(values > 0)
        rows = np.asarray(mask)
        if rows.dtype != bool or rows.shape != (len(self),):
            raise DataValueError(
                "GX-DATA-042",
                "not a mask of these events",
                found=f"{rows.dtype} {rows.shape}",
                expected=f"bool ({len(self)},)",
            )
        return self.select_rows(rows)

    def select_parameter(self, parameter: str, band: Any) -> Self:
        """Events with band[0] <= column < band[1], for any other column of numbers.

        Raises
        ------
        SchemaError : no such column. UnitError : the band has another dimension than the column.
        DataValueError : not two numbers.
        """
        if parameter not in self.columns:
            raise SchemaError(
                "GX-DATA-043", f"no column {parameter}", column=parameter, do=did_you_mean(parameter, self.columns)
            )
        low, high = _band(band, self.units.get(parameter, ""), "band")
        values = self.columns[parameter]
        return self.select_rows((values >= low) & (values < high))


def _band(band: Any, unit: str, name: str) -> tuple[float, float]:
    """Lower and upper bound in a unit, from a Quantity or from a pair of anything that is one."""
    pair = isinstance(band, (list, tuple))
    values = np.array([to_value(end, unit, name) for end in band]) if pair else to_value(band, unit, name)
    if values.shape != (2,) or not values[0] <= values[1]:
        raise DataValueError(
            "GX-DATA-044", f"{name} needs a lower and an upper bound", found=values.tolist(), parameter=name
        )
    return float(values[0]), float(values[1])
