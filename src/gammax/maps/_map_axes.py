"""What a map does along its axes: cut, sum, integrate, split, join."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from gammax.errors import GeometryError
from gammax.maps._axis import MapAxis
from gammax.maps._map_data import frozen
from gammax.units import parse_unit, unit_string


class MapAlongAxes:
    """Methods for a map with ``geom``, ``data``, ``unit`` and ``replace``."""

    geom: Any
    data: np.ndarray
    unit: str
    is_mask: bool
    replace: Callable[..., Self]
    values: Callable[..., np.ndarray]

    def slice_by_idx(self, slices: Mapping[str, slice]) -> Self:
        """Map cut to a range of bins along some axes, ``{"energy": slice(2, 8)}``."""
        geom = self.geom.slice_by_idx(slices)
        index = [slice(None)] * self.data.ndim
        for name, idx in slices.items():
            index[self.geom.axes.array_position(name)] = idx
        return self.replace(geom=geom, data=self.data[tuple(index)])

    def rename_axes(self, names: str | Sequence[str], new_names: str | Sequence[str]) -> Self:
        """Map with some axes renamed, one name or several."""
        return self.replace(geom=self.geom.rename_axes(names, new_names))

    def reorder_axes(self, names: Sequence[str]) -> Self:
        """Map with its axes in another order, first fastest."""
        geom = self.geom.reorder_axes(names)
        order = [self.geom.axes.array_position(name) for name in reversed(names)]
        spatial = range(len(order), self.data.ndim)
        return self.replace(geom=geom, data=np.transpose(self.data, (*order, *spatial)))

    def to_cube(self, axes: MapAxis | Iterable[MapAxis]) -> Self:
        """Map with axes of one bin added behind those there are.

        Raises
        ------
        GeometryError : an axis of more than one bin.
        """
        geom = self.geom.to_cube(axes)
        if geom.data_shape[: -self.data.ndim] != (1,) * (len(geom.data_shape) - self.data.ndim):
            raise GeometryError("GX-MAPS-180", "an axis added to a map must have one bin", found=repr(geom.axes))
        return self.replace(geom=geom, data=self.data.reshape(geom.data_shape))

    def iter_by_axis(self, axis_name: str) -> Iterator[Self]:
        """Maps of one bin along an axis, in its order."""
        for k in range(self.geom.axes[axis_name].nbin):
            yield self.slice_by_idx({axis_name: slice(k, k + 1)})

    def split_by_axis(self, axis_name: str) -> list[Self]:
        """Maps of one bin along an axis, in its order."""
        return list(self.iter_by_axis(axis_name))

    def sum_over_axes(
        self, axes_names: Iterable[str] | None = None, keepdims: bool = True, weights: Any = None
    ) -> Self:
        """Sum over some axes (all by default), each reduced to one bin or, without `keepdims`, left out.

        For a mask: whether any bin is set. `weights` is a map by which the values are multiplied.
        """
        return self.reduce_over_axes(np.add, keepdims, axes_names, weights)

    def reduce_over_axes(
        self,
        func: np.ufunc = np.add,
        keepdims: bool = False,
        axes_names: Iterable[str] | None = None,
        weights: Any = None,
    ) -> Self:
        """Map with some axes (all by default) reduced by a function of two values, such as ``numpy.maximum``.

        Parameters
        ----------
        func : `numpy.ufunc`; ``numpy.add`` of a mask tells whether any bin is set.
        keepdims : leave each of the axes with one bin.
        weights : map by which the values are multiplied first (a mask cuts a mask).
        """
        geom, data = self.geom, self.data
        if weights is not None:
            data = data * weights.data
        func = np.logical_or if data.dtype == bool and func is np.add else func
        for name in list(geom.axes.names if axes_names is None else axes_names):
            data = func.reduce(data, axis=geom.axes.array_position(name), keepdims=True)
            geom = geom.squash(name)
            if not keepdims:
                data = np.squeeze(data, geom.axes.array_position(name))
                geom = geom.drop(name)
        return self.replace(geom=geom, data=frozen(data) if data is not self.data else data)

    def resample_axis(self, axis: MapAxis, weights: Any = None, ufunc: np.ufunc = np.add) -> Self:
        """Map with the bins of the axis of the same name grouped, as `MapAxis.resample`; outer bins are left out.

        Parameters
        ----------
        weights : map by which the values are multiplied; axes with one bin stand for all.
        ufunc : how the values of a group are put together; ``numpy.add`` of a mask tells whether any is set.
        """
        old = self.geom.axes[axis.name]
        geom = self.geom.resample_axis(axis)
        edges = old.nearest_edges(axis.edges)
        position = self.geom.axes.array_position(axis.name)
        data = self.data if weights is None else self.data * weights.data
        ufunc = np.logical_or if data.dtype == bool and ufunc is np.add else ufunc
        inside = np.take(data, np.arange(edges[0], edges[-1]), axis=position)
        grouped = ufunc.reduceat(inside, edges[:-1] - edges[0], axis=position)
        return self.replace(geom=geom, data=frozen(grouped))

    def cumsum(self, axis_name: str) -> Self:
        """Integral from the first edge of an axis to each of its edges, on an axis whose bin centres they are.

        Along an axis "rad" the element of area is 2 pi rad d(rad), with the value at the bin centre.
        """
        axis = self.geom.axes[axis_name]
        width = axis.bin_width.value
        unit = parse_unit(self.unit) * parse_unit(axis.unit)
        if axis_name == "rad":
            width = width * 2 * np.pi * axis.center.value
            unit = unit * parse_unit(axis.unit)
        position = self.geom.axes.array_position(axis_name)
        total = np.cumsum(self.data * width.reshape(self.geom.axis_shape(axis_name)), axis=position)
        data = np.insert(total, 0, 0.0, axis=position)
        edges = MapAxis(axis.edges_value(axis.unit), axis.name, axis.interp, axis.unit, "center")
        return self.replace(geom=self.geom.replace_axis(edges), data=frozen(data), unit=unit_string(unit))

    def normalize(self, axis_name: str) -> Self:
        """Map divided by its integral along an axis (as `cumsum`); zero where that is zero."""
        whole = self.cumsum(axis_name)
        last = whole.data.max(axis=self.geom.axes.array_position(axis_name), keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            data = np.nan_to_num(self.data / last)
        return self.replace(data=frozen(data), unit=unit_string(parse_unit(self.unit) / parse_unit(whole.unit)))

    def dot(self, other: Any) -> Self:
        """Product with a map of one region, summed over the one axis that both have.

        The other axes of that map take its place: a map over "energy_true" and a matrix over "energy" and
        "energy_true" give a map over "energy".

        Raises
        ------
        GeometryError : not exactly one axis in common, or with other bins.
        """
        mine, theirs = self.geom.axes, other.geom.axes
        common = [name for name in mine.names if name in theirs]
        if len(common) != 1 or (difference := mine[common[0]].difference(theirs[common[0]])):
            found = ", ".join(common) or "none" if len(common) != 1 else difference
            raise GeometryError("GX-MAPS-181", "the maps need one axis in common, with the same bins", found=found)
        place = mine.array_position(common[0])
        data = np.tensordot(self.data, other.data[..., 0, 0], (place, theirs.array_position(common[0])))
        n_new = len(theirs) - 1
        data = np.moveaxis(data, range(data.ndim - n_new, data.ndim), range(place, place + n_new))
        k = mine.position(common[0])
        geom = self.geom.replace_axes((*mine[:k], *theirs.drop(common[0]), *mine[k + 1 :]))
        unit = unit_string(parse_unit(self.unit) * parse_unit(other.unit))
        return self.replace(geom=geom, data=frozen(np.ascontiguousarray(data)), unit=unit)

    def __matmul__(self, other: Any) -> Self:
        return self.dot(other)

    @classmethod
    def from_stack(cls, maps: Sequence[Self], axis: Any = None, axis_name: str | None = None) -> Self:
        """Map from maps over the same sky, along a new axis behind theirs or along one that they have.

        Parameters
        ----------
        axis : new axis, one bin for each map.
        axis_name : axis along which the maps follow each other; their last one by default. Its bins must adjoin.

        Raises
        ------
        GeometryError : the maps differ in another axis or on the sky, or their number is not that of the bins.
        """
        first = maps[0]
        if axis is not None:
            for other in maps:
                if difference := first.geom.difference(other.geom):
                    raise GeometryError("GX-MAPS-182", "maps of one stack have different geometries", found=difference)
            geom = first.geom.to_cube(axis)
            data = np.stack([other.values(first.unit) for other in maps]).reshape(-1, *first.data.shape)
            return first.replace(geom=geom, data=frozen(data))
        name = axis_name or first.geom.axes.names[-1]
        for other in maps:
            if difference := first.geom.drop(name).difference(other.geom.drop(name)):
                raise GeometryError("GX-MAPS-182", "maps of one stack have different geometries", found=difference)
        joined = type(first.geom.axes[name]).from_stack([other.geom.axes[name] for other in maps])
        data = [other.values(first.unit) for other in maps]
        data = np.concatenate(data, axis=first.geom.axes.array_position(name))
        return first.replace(geom=first.geom.replace_axis(joined), data=frozen(data))
