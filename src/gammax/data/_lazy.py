"""HDUs that are read when first asked for, each file once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from astropy.io import fits

from gammax._fits import get_hdu, open_fits
from gammax.data._events import EventList
from gammax.data._gti import GTI
from gammax.data._hdu_index import HDULocation
from gammax.errors import GammaxWarning, SchemaError, did_you_mean

T = TypeVar("T")


class LazyParts:
    """Parts of an observation by type ("events", "gti", "aeff" ...): in memory, or on disk until they are asked for.

    The only thing here that changes is what has been read. Opening a file takes the bytes of all parts in it, since a
    gzip file has to be unpacked as a whole anyway; each part is parsed and checked when it is asked for. What was read
    from disk stays out of pickles, so that a worker process is sent the places and not the arrays.
    """

    def __init__(
        self,
        locations: Mapping[str, HDULocation],
        given: Mapping[str, Any] | None = None,
        drop_bad_events: bool = False,
    ):
        self.locations = dict(locations)
        self.given = dict(given or {})
        self.drop_bad_events = drop_bad_events
        self._raw: dict[str, Any] = {}
        self._read: dict[str, Any] = {}
        self._headers: dict[str, fits.Header] = {}
        self._known: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_raw": {}, "_read": {}, "_headers": {}, "_known": {}}

    def __contains__(self, name: str) -> bool:
        return name in self.given or name in self.locations

    def get(self, name: str) -> Any:
        """A part, None if the observation has none of that type; errors are those of reading it."""
        if name in self.given:
            return self.given[name]
        if name not in self._read:
            location = self.locations.get(name)
            if location is None:
                return None
            self._open(name, location)
            self._read[name] = load_hdu(self._raw.pop(name), location, self.drop_bad_events)
        return self._read[name]

    def header(self, name: str) -> fits.Header | None:
        """Header of a part on disk, without parsing the part; None if the part is not on disk."""
        location = self.locations.get(name)
        if location is None:
            return None
        if name not in self._headers:
            self._open(name, location)
        return self._headers[name]

    def remember(self, name: str, compute: Callable[[], T]) -> T:
        """Result of `compute`, once for all time slices of the observation, so that it also warns once."""
        if name not in self._known:
            self._known[name] = compute()
        return self._known[name]

    def _open(self, name: str, location: HDULocation) -> None:
        """Take over the raw HDUs of all unread parts that lie in the same file."""
        if name in self._raw:
            return
        location.check_file()
        with open_fits(location.path) as hdus:
            self._take(name, _find(hdus, location))
            for other, place in self.locations.items():
                if place.path == location.path and other not in self._read and place.hdu_name in hdus and other != name:
                    self._take(other, hdus[place.hdu_name])

    def _take(self, name: str, hdu: Any) -> None:
        self._raw[name] = hdu.copy()
        self._headers[name] = hdu.header.copy()


def _find(hdus: fits.HDUList, location: HDULocation) -> Any:
    """HDU of a place.

    Raises
    ------
    SchemaError : the file has no such HDU.
    """
    try:
        hdu = get_hdu(hdus, location.hdu_name)
    except SchemaError as error:
        raise SchemaError(
            "GX-DATA-070",
            f"HDU {location.hdu_name} ({location.hdu_class}) is missing",
            **location.where(),
            found=error.context.get("found"),
        ) from error
    return hdu


def load_hdu(hdu: Any, location: HDULocation, drop_bad_events: bool = False) -> Any:
    """Event list, intervals or response in a table HDU.

    Raises
    ------
    SchemaError : not a table, or a class that gammax does not read, and all that the classes raise.
    """
    file = str(location.path)
    if location.hdu_type not in ("events", "gti"):
        return _load_irf(hdu, location, file)
    if not isinstance(hdu, fits.BinTableHDU):
        raise SchemaError("GX-DATA-071", "the HDU is not a table", **location.where(), found=type(hdu).__name__)
    return EventList.from_hdu(hdu, file, drop_bad_events) if location.hdu_type == "events" else GTI.from_hdu(hdu, file)


def _load_irf(hdu: fits.BinTableHDU, location: HDULocation, file: str) -> Any:
    from gammax.irf import DL3_IRFS, hdu_class_of

    named, found = location.hdu_class, hdu_class_of(hdu)
    if found is not None and found != named:
        warnings.warn(
            f"{file}: HDU {hdu.name} is {named} in the index and {found} by its columns, which are used",
            GammaxWarning,
            stacklevel=2,
        )
        named = found
    if named not in DL3_IRFS:
        raise SchemaError(
            "GX-DATA-072",
            f"gammax does not read responses of class {named!r}",
            **location.where(),
            do=did_you_mean(named, DL3_IRFS),
        )
    return DL3_IRFS[named].from_hdu(hdu, file)
