"""Observation index table: one row per observation, and the ways to choose among them (GADF 0.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import astropy.units as u
import numpy as np
from astropy.coordinates import Angle, SkyCoord
from astropy.table import Table
from astropy.time import Time

from gammax._paths import resolve_path
from gammax.data._tables import read_index, repeated_rows, warn_of_repeated, whole_numbers
from gammax.data._times import TimeReference, interval_seconds
from gammax.errors import DataValueError, SchemaError, UnitError, did_you_mean
from gammax.units import to_value


class ObservationTable(Table):
    """Observation index table: an astropy table with selections that return new tables."""

    @classmethod
    def read(cls, path: str | Path, *args: Any, **kwargs: Any) -> Self:
        """Index of a FITS file.

        Raises
        ------
        SchemaError : OBS_ID is missing. DataValueError : it holds no whole numbers, or two rows say different things
            of one observation.
        """
        path = resolve_path(path)
        table = read_index(path, "OBS_INDEX", ("OBS_ID",))
        others = [name for name in table.colnames if name != "OBS_ID"]
        same, differing = repeated_rows(table, ("OBS_ID",), others)
        if differing:
            raise DataValueError(
                "GX-DATA-060",
                f"{len(differing)} observations have two rows that differ",
                file=path,
                found=f"OBS_ID {differing[0][0]}",
            )
        warn_of_repeated(same, path)
        table.remove_rows(same)
        table = cls(table, copy=False)
        table.meta = {**(table.meta or {}), "IDX_FILE": str(path)}
        return table

    @property
    def pointing_radec(self) -> SkyCoord:
        """Pointing of every observation."""
        ra, dec = (self._values(name, "deg") for name in ("RA_PNT", "DEC_PNT"))
        return SkyCoord(ra, dec, unit="deg", frame="icrs")

    @property
    def time_ref(self) -> Time:
        """Reference time of TSTART and TSTOP."""
        return self._reference.time

    @property
    def time_start(self) -> Time:
        """Start of every observation."""
        return self._reference.to_time(self._values("TSTART", self.meta.get("TIMEUNIT", "s")))

    @property
    def time_stop(self) -> Time:
        """Stop of every observation."""
        return self._reference.to_time(self._values("TSTOP", self.meta.get("TIMEUNIT", "s")))

    @property
    def _reference(self) -> TimeReference:
        return TimeReference.from_header(self.meta, self.meta.get("IDX_FILE"), "OBS_INDEX")

    def _rows(self, rows: Any) -> Any:
        return self[rows]

    def _values(self, name: str, unit: str) -> np.ndarray:
        """Column as float64 in a unit; a column without unit is taken to be in it, as GADF defines these columns."""
        self._require(name)
        column = self[name]
        values = np.asarray(np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan))
        return to_value(u.Quantity(values, column.unit), unit, name) if column.unit else values

    def _require(self, name: str) -> None:
        if name not in self.colnames:
            raise SchemaError(
                "GX-DATA-061",
                f"the observation table has no column {name}",
                file=self.meta.get("IDX_FILE"),
                column=name,
                do=did_you_mean(name, self.colnames),
            )

    def select_obs_id(self, obs_id: Any) -> Self:
        """Rows of one or several observations, in the order asked for.

        Raises
        ------
        DataValueError : an observation is not in the table.
        """
        wanted = np.atleast_1d(whole_numbers(obs_id)).tolist()
        rows = {number: row for row, number in enumerate(self["OBS_ID"].tolist())}
        missing = [number for number in wanted if number not in rows]
        if missing:
            raise unknown_obs_id(missing, rows, self.meta.get("IDX_FILE"))
        return self._rows([rows[number] for number in wanted])

    def select_sky_circle(self, center: SkyCoord, radius: Any, inverted: bool = False) -> Self:
        """Observations whose pointing is closer than `radius` to a position."""
        inside = center.separation(self.pointing_radec) < Angle(radius)
        return self._rows(~inside if inverted else inside)

    def select_time_range(self, time_range: Any, partial_overlap: bool = False, inverted: bool = False) -> Self:
        """Observations that lie within a time range (start, stop), or with `partial_overlap` that touch it.

        Raises
        ------
        SchemaError : the table has no times, or no reference time for them.
        """
        reference = self._reference
        low, high = interval_seconds(time_range, reference)
        start, stop = (reference.to_seconds(time) for time in (self.time_start, self.time_stop))
        inside = (low <= stop) & (high >= start) if partial_overlap else (low <= start) & (high >= stop)
        return self._rows(~inside if inverted else inside)

    def select_range(self, variable: str, value_range: Any, inverted: bool = False) -> Self:
        """Observations with value_range[0] <= variable < value_range[1]; two equal bounds select that value.

        Raises
        ------
        SchemaError : no such column. UnitError : the range has not the column's dimension.
        DataValueError : the column holds no numbers, or the range is none.
        """
        self._require(variable)
        column = self[variable]
        if column.dtype.kind not in "iufb":
            raise DataValueError("GX-DATA-062", f"column {variable} does not hold numbers", found=str(column.dtype))
        unit = str(column.unit or "")
        bounds = to_value(value_range, unit, "value_range")
        if bounds.shape != (2,):
            raise DataValueError("GX-DATA-063", "a range needs two bounds", found=bounds.tolist())
        values = np.asarray(column, dtype=np.float64)
        same = np.isclose(bounds[0], bounds[1], rtol=1e-12, atol=0)
        inside = values == bounds[0] if same else (bounds[0] <= values) & (values < bounds[1])
        return self._rows(~inside if inverted else inside)

    def select_observations(self, selections: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> Self:
        """Observations that meet one or all of several criteria.

        Parameters
        ----------
        selections : mappings with `type` and its options: ``sky_circle`` (frame, lon, lat, radius, border),
            ``time_box`` (time_range, partial_overlap), ``par_box`` (variable, value_range); each with ``inverted``.

        Raises
        ------
        SchemaError : unknown type, or an option that is missing or unknown.
        """
        table: Any = self
        for selection in [selections] if isinstance(selections, Mapping) else selections:
            table = _select(table, dict(selection))
        return table

    def summary(self) -> str:
        """What the table holds, in words."""
        names = sorted({str(name) for name in self["OBJECT"]}) if "OBJECT" in self.colnames else []
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        return f"Observations: {len(self)}" + (f", objects {shown}" if names else "")


def unknown_obs_id(missing: list[int], known: Iterable[int], file: Any) -> DataValueError:
    """Error for observations that an index does not have; names the nearest that it has."""
    near = sorted(known, key=lambda number: (abs(number - missing[0]), number))[:5]
    return DataValueError(
        "GX-DATA-064",
        f"{len(missing)} observations are not in the index" if len(missing) > 1 else "no such observation in the index",
        file=file,
        obs_id=missing[0],
        found=", ".join(str(number) for number in missing[:10]),
        do=f"nearest observations: {', '.join(str(number) for number in near) or 'none, the index is empty'}",
    )


def _circle(table: ObservationTable, frame: str, lon: Any, lat: Any, radius: Any, border: Any = 0, **options: Any):
    try:
        center = SkyCoord(Angle(lon, "deg"), Angle(lat, "deg"), frame=frame)
        radius = Angle(radius, "deg") + Angle(border, "deg")
    except (ValueError, TypeError) as error:
        raise UnitError(
            "GX-DATA-065",
            f"cannot read the cone: {error}",
            found={"frame": frame, "lon": lon, "lat": lat, "radius": radius, "border": border},
            expected="angles, as texts with units or numbers in deg",
        ) from error
    return table.select_sky_circle(center, radius, **options)


# selection by type: options that it needs, options that it takes, what it does
_SELECTIONS: dict[str, tuple[set[str], set[str], Callable]] = {
    "sky_circle": ({"frame", "lon", "lat", "radius"}, {"border"}, _circle),
    "time_box": ({"time_range"}, {"partial_overlap"}, ObservationTable.select_time_range),
    "par_box": ({"variable", "value_range"}, set(), ObservationTable.select_range),
}


def _select(table: ObservationTable, options: dict[str, Any]) -> Any:
    kind = str(options.pop("type", None))
    if kind not in _SELECTIONS:
        raise SchemaError("GX-DATA-066", f"unknown selection {kind!r}", do=did_you_mean(kind, _SELECTIONS))
    needed, optional, function = _SELECTIONS[kind]
    known = needed | optional | {"inverted"}
    wrong = sorted(needed - set(options)) + sorted(set(options) - known)
    if wrong:
        missing = wrong[0] in needed
        raise SchemaError(
            "GX-DATA-067",
            f"selection {kind} {'lacks' if missing else 'does not take'} {wrong[0]!r}",
            found=", ".join(options),
            do=did_you_mean(wrong[0], known),
        )
    return function(table, **options)
