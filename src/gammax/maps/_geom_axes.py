"""What a geometry does to its axes alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from gammax.errors import GeometryError
from gammax.maps._axes import MapAxes
from gammax.maps._axis import MapAxis


class GeomAxes:
    """Methods for a geometry with ``axes``, ``data_shape`` and ``replace_axes``."""

    axes: MapAxes
    data_shape: tuple[int, ...]

    def replace_axes(self, axes: Iterable[MapAxis]) -> Self:
        """Same place on the sky, other axes."""
        raise NotImplementedError

    @property
    def is_image(self) -> bool:
        """Whether there are no axes."""
        return not self.axes

    @property
    def is_flat(self) -> bool:
        """Whether there is one bin along every axis."""
        return all(axis.nbin == 1 for axis in self.axes)

    @property
    def has_energy_axis(self) -> bool:
        """Whether there is one axis of energy, reconstructed or true."""
        return ("energy" in self.axes) ^ ("energy_true" in self.axes)

    def to_image(self) -> Self:
        """Same place on the sky without axes."""
        return self.replace_axes(())

    def to_cube(self, axes: MapAxis | Iterable[MapAxis]) -> Self:
        """Geometry with `axes` added behind those there are."""
        return self.replace_axes((*self.axes, *MapAxes(axes)))

    def squash(self, axis_name: str) -> Self:
        """Geometry with one axis reduced to a single bin."""
        return self.replace_axes(self.axes.squash(axis_name))

    def drop(self, axis_name: str) -> Self:
        """Geometry without one of its axes."""
        return self.replace_axes(self.axes.drop(axis_name))

    def replace_axis(self, axis: MapAxis) -> Self:
        """Geometry with the axis of the same name exchanged."""
        return self.replace_axes(self.axes.replace(axis))

    def rename_axes(self, names: str | Sequence[str], new_names: str | Sequence[str]) -> Self:
        """Geometry with some axes renamed, one name or several.

        Raises
        ------
        GeometryError : more names than new names, or the reverse.
        """
        return self.replace_axes(self.axes.rename(_pairs(names, new_names)))

    def reorder_axes(self, names: Sequence[str]) -> Self:
        """Geometry with its axes in another order.

        Raises
        ------
        GeometryError : `names` are not those of the axes.
        """
        if sorted(names) != sorted(self.axes.names):
            raise GeometryError("GX-MAPS-163", "not the names of the axes", found=names, expected=self.axes.names)
        return self.replace_axes([self.axes[name] for name in names])

    def resample_axis(self, axis: MapAxis) -> Self:
        """Geometry with the axis of the same name regrouped, as `MapAxis.resample`."""
        return self.replace_axis(self.axes[axis.name].resample(axis))

    def slice_by_idx(self, slices: Mapping[str, slice]) -> Self:
        """Geometry with some axes cut to a range of bins."""
        return self.replace_axes(self.axes.slice_by_idx(slices))

    @property
    def as_energy_true(self) -> Self:
        """Geometry with its axis of reconstructed energy renamed to true energy."""
        return self.rename_axes("energy", "energy_true")

    def axis_shape(self, axis_name: str) -> tuple[int, ...]:
        """Shape in which an array over one axis broadcasts against the data."""
        shape = [1] * len(self.data_shape)
        shape[self.axes.array_position(axis_name)] = self.axes[axis_name].nbin
        return tuple(shape)


def _pairs(names: str | Sequence[str], new_names: str | Sequence[str]) -> dict[str, str]:
    old, new = ([item] if isinstance(item, str) else list(item) for item in (names, new_names))
    if len(old) != len(new):
        raise GeometryError("GX-MAPS-164", "as many new names as names are needed", found=new, expected=len(old))
    return dict(zip(old, new, strict=True))
