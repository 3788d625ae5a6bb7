"""Several observations, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self, overload

from astropy.time import Time

from gammax.data._observation import Observation
from gammax.errors import DataValueError


@dataclass(frozen=True, eq=False, repr=False)
class Observations(Sequence[Observation]):
    """Observations, by position or by number as text (``observations["23523"]``).

    Parameters
    ----------
    items : the observations; time slices of one observation may stand side by side.
    """

    items: tuple[Observation, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "items", tuple(self.items))

    @property
    def ids(self) -> list[str]:
        """Numbers, as texts."""
        return [str(item.obs_id) for item in self.items]

    @overload
    def __getitem__(self, key: int | str) -> Observation: ...
    @overload
    def __getitem__(self, key: slice) -> Self: ...
    def __getitem__(self, key):
        if isinstance(key, slice):
            return type(self)(self.items[key])
        if not isinstance(key, str):
            return self.items[key]
        if key not in self.ids:
            raise DataValueError(
                "GX-DATA-087", f"no observation {key}", found=", ".join(self.ids[:10]) or "no observations"
            )
        return self.items[self.ids.index(key)]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Observation]:
        return iter(self.items)

    def __add__(self, other: Iterable[Observation]) -> Self:
        return type(self)((*self.items, *other))

    def select_time(self, time_intervals: Any) -> Self:
        """Pieces of the observations: for each interval (start, stop) those whose good time it meets, cut to it.

        Parameters
        ----------
        time_intervals : one interval or a list of them; events with start <= time < stop.
        """
        if isinstance(time_intervals, Time) and time_intervals.ndim == 1:
            time_intervals = [time_intervals]
        pieces = []
        for interval in time_intervals:
            for item in self.items:
                piece = item.select_time(interval)
                if len(piece.gti):
                    pieces.append(piece)
        return type(self)(pieces)

    def group_by_label(self, labels: Sequence[Any]) -> dict[str, Self]:
        """Observations by label, one label for each.

        Raises
        ------
        DataValueError : more or fewer labels than observations.
        """
        names = [str(label) for label in labels]
        if len(names) != len(self):
            raise DataValueError("GX-DATA-088", "one label for each observation", found=len(names), expected=len(self))
        pairs = list(zip(names, self.items, strict=True))
        return {f"group_{name}": type(self)(o for n, o in pairs if n == name) for name in sorted(set(names))}

    def __repr__(self) -> str:
        shown = ", ".join(self.ids[:8]) + (" ..." if len(self) > 8 else "")
        return f"Observations({len(self)}: {shown})"
