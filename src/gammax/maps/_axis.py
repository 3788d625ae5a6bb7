"""One axis of a map: bins in energy or any other coordinate, with a unit and an interpolation scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import astropy.units as u
import numpy as np

from gammax.errors import GeometryError, SchemaError, UnitError, did_you_mean
from gammax.maps._nodes import check_nodes, interpolate, read_nodes, spaced
from gammax.units import parse_unit, same_dimension, to_quantity, unit_string

EDGE_RTOL = 1e-6
_SCALES: dict[str, tuple[Callable, Callable]] = {
    "lin": (np.asarray, np.asarray),
    "log": (np.log, np.exp),
    "sqrt": (np.sqrt, np.square),
}


def _readonly(values: np.ndarray) -> np.ndarray:
    values = np.array(values, dtype=np.float64)
    values.setflags(write=False)
    return values


@dataclass(frozen=True, eq=False)
class MapAxis:
    """Axis of bins.

    Parameters
    ----------
    nodes : bin edges (`node_type` "edges", nbin + 1 of them) or bin centres ("center"), strictly increasing, in `unit`.
    name : name, by which maps look the axis up ("energy", "energy_true").
    interp : scale in which centres, pixels and interpolation are linear: "lin", "log" or "sqrt".
    unit : FITS unit string, kept as given (an axis read in keV stays in keV).

    Raises
    ------
    DataValueError : nodes not finite, not increasing, or outside the domain of `interp`.
    GeometryError : fewer nodes than one bin needs. SchemaError : unknown `interp` or `node_type`.
    """

    nodes: np.ndarray
    name: str = ""
    interp: str = "lin"
    unit: str = ""
    node_type: str = "edges"

    def __post_init__(self):
        if self.interp not in _SCALES:
            raise SchemaError(
                "GX-MAPS-001",
                f"unknown interpolation {self.interp!r}",
                axis=self.name,
                do=did_you_mean(self.interp, _SCALES),
            )
        if self.node_type not in ("edges", "center"):
            raise SchemaError(
                "GX-MAPS-002", f"unknown node type {self.node_type!r}", axis=self.name, expected="edges or center"
            )
        if isinstance(self.nodes, u.Quantity):
            raise UnitError(
                "GX-MAPS-015",
                "nodes must be plain numbers",
                axis=self.name,
                do="use MapAxis.from_edges, which takes Quantities",
            )
        nodes = _readonly(np.atleast_1d(self.nodes))
        if nodes.ndim != 1 or len(nodes) < 2:
            # one centre alone has no width, so it makes no bin either
            raise GeometryError(
                "GX-MAPS-003",
                "an axis needs at least two nodes in one dimension",
                axis=self.name,
                found=f"shape {nodes.shape}",
            )
        check_nodes(nodes, self.name, self.interp)
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "unit", unit_string(self.unit))

    @classmethod
    def from_edges(cls, edges: Any, name: str = "", interp: str = "lin", unit: str | None = None) -> MapAxis:
        """Axis from bin edges: a Quantity, a list of Quantities or strings, or numbers in `unit`."""
        values, unit = read_nodes(edges, unit, name)
        return cls(values, name, interp, unit)

    @classmethod
    def from_nodes(cls, nodes: Any, name: str = "", interp: str = "lin", unit: str | None = None) -> MapAxis:
        """Axis from bin centres; edges lie half-way in the scale of `interp`."""
        values, unit = read_nodes(nodes, unit, name)
        return cls(values, name, interp, unit, node_type="center")

    @classmethod
    def from_bounds(
        cls, lo: Any, hi: Any, nbin: int, name: str = "", interp: str = "lin", unit: str | None = None
    ) -> MapAxis:
        """Axis of `nbin` equal bins (in the scale of `interp`) from `lo` to `hi`."""
        (low, high), unit = read_nodes([lo, hi], unit, name)
        return cls(spaced(low, high, nbin, interp, name), name, interp, unit)

    @classmethod
    def from_energy_edges(
        cls, edges: Any, unit: str | None = None, name: str = "energy", interp: str = "log"
    ) -> MapAxis:
        """Energy axis from bin edges.

        Raises
        ------
        UnitError : the edges are not energies.
        """
        axis = cls.from_edges(edges, name, interp, unit)
        _require_energy(axis)
        return axis

    @classmethod
    def from_energy_bounds(
        cls,
        energy_min: Any,
        energy_max: Any,
        nbin: int,
        unit: str | None = None,
        per_decade: bool = False,
        name: str = "energy",
        interp: str = "log",
    ) -> MapAxis:
        """Energy axis of equal logarithmic bins; `nbin` per decade (rounded up over the range) or in all."""
        (low, high), unit = read_nodes([energy_min, energy_max], unit, name)
        if per_decade and 0 < low < high:
            # the margin keeps 3 decades 3 decades when high / low is 1000.0000000000001
            nbin = math.ceil(math.log10(high / low) * nbin - 1e-9)
        axis = cls(spaced(low, high, nbin, interp, name), name, interp, unit)
        _require_energy(axis)
        return axis

    @classmethod
    def from_stack(cls, axes: Sequence[MapAxis]) -> MapAxis:
        """Axis of the bins of several, which must adjoin.

        Raises
        ------
        GeometryError : the bins of one axis do not begin where those of the one before end.
        """
        first = axes[0]
        edges = [axis.edges_value(first.unit) for axis in axes]
        for before, after in pairwise(edges):
            if not np.isclose(before[-1], after[0], rtol=EDGE_RTOL, atol=0):
                raise GeometryError(
                    "GX-MAPS-018", f"axes {first.name!r} do not adjoin", found=f"{after[0]:.9g}", expected=before[-1]
                )
        nodes = np.concatenate([edges[0], *(after[1:] for after in edges[1:])])
        return cls(nodes, first.name, first.interp, first.unit)

    @property
    def nbin(self) -> int:
        """Number of bins."""
        return len(self.nodes) - (self.node_type == "edges")

    @property
    def edges(self) -> u.Quantity:
        """Bin edges, shape (nbin + 1,)."""
        return self._quantity(self._edges())

    @property
    def center(self) -> u.Quantity:
        """Bin centres in the scale of `interp` (geometric means for "log"), shape (nbin,)."""
        return self._quantity(self._centers())

    @property
    def edges_min(self) -> u.Quantity:
        """Lower bin edges."""
        return self._quantity(self._edges()[:-1])

    @property
    def edges_max(self) -> u.Quantity:
        """Upper bin edges."""
        return self._quantity(self._edges()[1:])

    @property
    def bin_width(self) -> u.Quantity:
        """Bin widths."""
        return self._quantity(np.diff(self._edges()))

    @property
    def bounds(self) -> u.Quantity:
        """First and last edge."""
        return self._quantity(self._edges()[[0, -1]])

    def edges_value(self, unit: str) -> np.ndarray:
        """Bin edges as plain float64 in `unit`."""
        return self._edges() * self._factor(unit)

    def center_value(self, unit: str) -> np.ndarray:
        """Bin centres as plain float64 in `unit`."""
        return self._centers() * self._factor(unit)

    def _quantity(self, values: np.ndarray) -> u.Quantity:
        return u.Quantity(values, parse_unit(self.unit))

    def _edges(self) -> np.ndarray:
        if self.node_type == "edges":
            return self.nodes
        return self._pix_to_value(np.arange(self.nbin + 1) - 0.5)

    def _centers(self) -> np.ndarray:
        return self.nodes if self.node_type == "center" else self._pix_to_value(np.arange(self.nbin))

    def _factor(self, unit: str) -> float:
        if not same_dimension(self.unit, unit):
            raise UnitError("GX-MAPS-004", f"axis {self.name!r} does not convert", found=self.unit, expected=unit)
        return float(parse_unit(self.unit).to(parse_unit(unit)))

    def _node_pix(self) -> np.ndarray:
        return np.arange(len(self.nodes)) - (0.5 if self.node_type == "edges" else 0.0)

    def _pix_to_value(self, pix: np.ndarray) -> np.ndarray:
        forward, backward = _SCALES[self.interp]
        return backward(interpolate(np.asarray(pix, dtype=float), self._node_pix(), forward(self.nodes)))

    def pix_to_coord(self, pix: Any) -> u.Quantity:
        """Coordinate of a pixel number: bin i has its centre at i, its edges at i - 0.5 and i + 0.5."""
        return self._quantity(self._pix_to_value(pix))

    def coord_to_pix(self, coord: Any) -> np.ndarray:
        """Pixel number (fraction) of a coordinate, extrapolated outside; NaN outside the domain of `interp`."""
        values = to_quantity(coord, self.unit, self.name).to_value(parse_unit(self.unit))
        forward = _SCALES[self.interp][0]
        valid = np.ones(np.shape(values), bool) if self.interp == "lin" else np.asarray(values) > 0
        pix = interpolate(forward(np.where(valid, values, 1.0)), forward(self.nodes), self._node_pix())
        return np.where(valid, pix, np.nan)

    def coord_to_idx(self, coord: Any, clip: bool = False) -> np.ndarray:
        """Bin number of a coordinate; bins are half open [min, max).

        Outside, and for NaN: -1, or the nearest bin where `clip` is set (NaN stays -1).
        """
        values = np.asarray(to_quantity(coord, self.unit, self.name).to_value(parse_unit(self.unit)))
        idx = np.searchsorted(self._edges(), values, side="right") - 1
        if clip:
            return np.where(np.isnan(values), -1, np.clip(idx, 0, self.nbin - 1))
        return np.where((idx >= self.nbin) | np.isnan(values), -1, idx)

    def slice(self, idx: slice) -> MapAxis:
        """Axis of a contiguous range of bins.

        Raises
        ------
        GeometryError : no slice, a step other than 1, or no bin left.
        """
        try:
            start, stop, step = idx.indices(self.nbin)
        except (AttributeError, TypeError, ValueError):
            start = stop = step = 0
        if step != 1 or stop <= start:
            raise GeometryError(
                "GX-MAPS-005",
                f"cannot slice axis {self.name!r}",
                found=idx,
                expected=f"a non-empty range within 0..{self.nbin}, step 1",
            )
        return replace(self, nodes=self._edges()[start : stop + 1], node_type="edges")

    def squash(self) -> MapAxis:
        """Axis of one bin over the whole range."""
        return replace(self, nodes=self._edges()[[0, -1]], node_type="edges")

    def downsample(self, factor: int) -> MapAxis:
        """Axis with `factor` neighbouring bins merged into one.

        Raises
        ------
        GeometryError : the number of bins is not a multiple of `factor`.
        """
        if factor < 1 or self.nbin % factor:
            raise GeometryError(
                "GX-MAPS-006",
                f"cannot downsample axis {self.name!r} by {factor}",
                found=f"{self.nbin} bins",
                expected=f"a multiple of {factor}",
            )
        return replace(self, nodes=self._edges()[::factor], node_type="edges")

    def upsample(self, factor: int) -> MapAxis:
        """Axis with every bin cut into `factor` equal ones in the scale of `interp`; the edges there are stay.

        Raises
        ------
        GeometryError : `factor` is no positive whole number.
        """
        if factor < 1 or factor != int(factor):
            raise GeometryError(
                "GX-MAPS-016", f"cannot upsample axis {self.name!r}", found=factor, expected="1, 2, ..."
            )
        edges = self._pix_to_value(np.arange(self.nbin * factor + 1) / factor - 0.5)
        edges[:: int(factor)] = self._edges()
        return replace(self, nodes=edges, node_type="edges")

    def nearest_edges(self, edges: Any) -> np.ndarray:
        """Numbers of the edges (0 to nbin) nearest to some coordinates in the scale of `interp`, each once."""
        # outside the domain of the scale is below it
        pix = np.clip(np.nan_to_num(self.coord_to_pix(edges), nan=-0.5), -0.5, self.nbin - 0.5)
        return np.unique(np.round(pix + 0.5).astype(int))

    def resample(self, axis: MapAxis) -> MapAxis:
        """Axis with its bins grouped into those of a coarser one, whose edges move to the nearest edge there is.

        Raises
        ------
        GeometryError : the coarser axis leaves no bin. UnitError : it has another unit.
        """
        idx = self.nearest_edges(axis.edges)
        if len(idx) < 2:
            raise GeometryError("GX-MAPS-017", f"axis {self.name!r} has no bin left", found=axis, expected=self)
        return replace(self, nodes=self._edges()[idx], node_type="edges")

    def rename(self, name: str) -> MapAxis:
        """Axis under another name."""
        return replace(self, name=name)

    def to_unit(self, unit: str) -> MapAxis:
        """Axis in another unit."""
        return replace(self, nodes=self.nodes * self._factor(unit), unit=unit)

    def is_aligned(self, other: MapAxis, rtol: float = EDGE_RTOL) -> bool:
        """Whether the bins of one axis are unions of bins of the other, where they overlap."""
        if not same_dimension(self.unit, other.unit):
            return False
        mine, theirs = self._edges(), other.edges_value(self.unit)
        low, high = max(mine[0], theirs[0]), min(mine[-1], theirs[-1])

        def inside(edges: np.ndarray) -> np.ndarray:
            slack = rtol * max(abs(low), abs(high))
            return edges[(edges >= low - slack) & (edges <= high + slack)]

        coarse, fine = sorted((inside(mine), inside(theirs)), key=len)
        return all(np.any(np.isclose(fine, edge, rtol=rtol, atol=0)) for edge in coarse)

    def is_allclose(self, other: MapAxis, rtol: float = EDGE_RTOL) -> bool:
        """Whether both axes have the same name and the same bins, whatever their units."""
        return isinstance(other, MapAxis) and not self.difference(other, rtol)

    def difference(self, other: MapAxis, rtol: float = EDGE_RTOL) -> str:
        """First difference between two axes in words, "" where there is none."""
        if self.name != other.name:
            return f"name {self.name!r} against {other.name!r}"
        if not same_dimension(self.unit, other.unit):
            return f"unit {self.unit!r} against {other.unit!r}"
        if self.nbin != other.nbin:
            return f"{self.nbin} bins against {other.nbin}"
        mine, theirs = self._edges(), other.edges_value(self.unit)
        # an edge at zero has no relative precision: it counts by the narrowest bin
        differs = ~np.isclose(theirs, mine, rtol=rtol, atol=rtol * np.diff(mine).min())
        if not differs.any():
            return ""
        k = int(np.argmax(differs))
        return f"edge {k}: {mine[k]:.9g} {self.unit} against {theirs[k]:.9g} {self.unit}"

    def __repr__(self) -> str:
        low, high = self._edges()[[0, -1]]
        return f"MapAxis({self.name!r}, {self.nbin} bins, {low:.6g} to {high:.6g} {self.unit}, interp={self.interp!r})"


def _require_energy(axis: MapAxis) -> None:
    if not same_dimension(axis.unit, "TeV"):
        raise UnitError(
            "GX-MAPS-011",
            f"axis {axis.name!r} is not an energy",
            found=axis.unit or "no unit",
            expected="TeV or a unit that converts to it",
            do="give the energies with their unit",
        )
