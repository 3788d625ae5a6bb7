"""The axes of a map, found by position or by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gammax.errors import GeometryError, SchemaError, did_you_mean
from gammax.maps._axis import EDGE_RTOL, MapAxis


class MapAxes(tuple):
    """Axes in FITS order: the first runs fastest, so arrays have the axes reversed (``array_shape``).

    ``axes["energy"]`` and ``axes[0]`` both work. Names are unique.

    Raises
    ------
    GeometryError : two axes of one name.
    """

    __slots__ = ()

    def __new__(cls, axes: Any = ()) -> MapAxes:
        axes = (axes,) if hasattr(axes, "nbin") else tuple(axes)
        names = [axis.name for axis in axes]
        if len(set(names)) < len(names):
            raise GeometryError("GX-MAPS-020", "two axes have the same name", found=", ".join(names))
        return super().__new__(cls, axes)

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self.position(key) if isinstance(key, str) else key)

    def __contains__(self, key: object) -> bool:
        return key in self.names if isinstance(key, str) else super().__contains__(key)

    @property
    def names(self) -> tuple[str, ...]:
        """Names, first axis first."""
        return tuple(axis.name for axis in self)

    @property
    def array_shape(self) -> tuple[int, ...]:
        """Shape of an array over these axes: bins of the last axis first."""
        return tuple(axis.nbin for axis in reversed(self))

    def position(self, name: str) -> int:
        """Place of an axis in FITS order.

        Raises
        ------
        SchemaError : no axis of that name.
        """
        if name not in self.names:
            raise SchemaError("GX-MAPS-021", f"no axis {name!r}", do=did_you_mean(name, self.names))
        return self.names.index(name)

    def array_position(self, name: str) -> int:
        """Place of an axis in the shape of an array."""
        return len(self) - 1 - self.position(name)

    def replace(self, axis: MapAxis, name: str | None = None) -> MapAxes:
        """Axes with the one called `name` (default: the name of `axis`) exchanged."""
        k = self.position(axis.name if name is None else name)
        return MapAxes((*self[:k], axis, *self[k + 1 :]))

    def drop(self, name: str) -> MapAxes:
        """Axes without one of them."""
        k = self.position(name)
        return MapAxes((*self[:k], *self[k + 1 :]))

    def rename(self, names: Mapping[str, str]) -> MapAxes:
        """Axes with some of them renamed, ``{"energy": "energy_true"}``."""
        for name in names:
            self.position(name)
        return MapAxes(axis.rename(names.get(axis.name, axis.name)) for axis in self)

    def squash(self, name: str) -> MapAxes:
        """Axes with one of them reduced to a single bin."""
        return self.replace(self[name].squash())

    def slice_by_idx(self, slices: Mapping[str, slice]) -> MapAxes:
        """Axes with some of them cut to a range of bins."""
        axes = self
        for name, idx in slices.items():
            axes = axes.replace(axes[name].slice(idx))
        return axes

    def is_allclose(self, other: MapAxes, rtol: float = EDGE_RTOL) -> bool:
        """Whether all axes agree in order, name and bins."""
        return not self.difference(other, rtol)

    def difference(self, other: MapAxes, rtol: float = EDGE_RTOL) -> str:
        """First difference in words, "" where there is none."""
        if self.names != other.names:
            return f"axes {', '.join(self.names)} against {', '.join(other.names)}"
        for mine, theirs in zip(self, other, strict=True):
            if type(mine) is not type(theirs):
                return f"axis {mine.name!r}, a {type(mine).__name__} against a {type(theirs).__name__}"
            if difference := mine.difference(theirs, rtol):
                return f"axis {mine.name!r}, {difference}"
        return ""

    def __repr__(self) -> str:
        return f"MapAxes({', '.join(map(repr, self))})"
