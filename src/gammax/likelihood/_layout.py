"""Which bins of a cube are elements of its statistic, and which are merged."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from gammax.folding._footprint import Footprint
from gammax.folding._view import View
from gammax.likelihood._moving import Elements
from gammax.stats import wstat

if TYPE_CHECKING:
    from gammax.datasets import MapDataset
    from gammax.folding._region_view import RegionView

# expected counts below which a bin with counts stands for itself, whatever reaches it
_SMALLEST_BACKGROUND = 1e-8


# layouts that are kept for a dataset, with what was made by them: fits one after another, and flux points, ask for the
# same ones, and making them takes longer than a fit in which no source moves
_KEPT, _KEPT_PARTS = 2, 16
_LAYOUTS: WeakKeyDictionary = WeakKeyDictionary()


def make_layout(dataset: MapDataset, near: np.ndarray, dense: bool, factor: np.ndarray | None) -> Layout:
    """Layout of a cube; arguments as `Layout`."""
    kept = _LAYOUTS.setdefault(dataset, OrderedDict())
    key = (np.packbits(near).tobytes(), dense, None if factor is None else factor.tobytes())
    if key not in kept:
        kept[key] = Layout(dataset, near, dense, factor)
    kept.move_to_end(key)
    while len(kept) > _KEPT:
        kept.popitem(last=False)
    return kept[key]


class Layout:
    """Elements of a cube: single bins and padding, then R merged bins without counts, then R merged bins that no source
    reaches.

    Padding makes the shapes of a fit whose cutouts have moved by a pixel those of the fit before, and those of several
    cubes alike.

    Parameters
    ----------
    near : pixels that a source may reach, (ny, nx).
    dense : every bin that a source reaches is single.
    factor : of the background in every pixel, (ny, nx); None: 1.
    """

    def __init__(self, dataset: MapDataset, near: np.ndarray, dense: bool, factor: np.ndarray | None = None):
        arrays = dataset.arrays
        background = arrays.background if factor is None or arrays.background is None else arrays.background * factor
        self._background, self.merges = background, not dense and arrays.counts_off is None
        self.arrays, self.n_energy, mask = arrays, len(arrays.counts), arrays.mask
        near = np.broadcast_to(near, mask.shape) & mask
        lost = mask & ~near
        if background is not None:
            alone = lost & (arrays.counts > 0) & (background < _SMALLEST_BACKGROUND)
            near, lost = near | alone, lost & ~alone
        single = near & (arrays.counts > 0) if self.merges else near
        self.single, self.far, self.empty = single, lost, near & ~single
        self.energy, self.y, self.x = np.nonzero(single)
        self._made: OrderedDict = OrderedDict()

    def gather(self, cube: np.ndarray, n_single: int) -> np.ndarray:
        """Elements (E,) of a map (R, ny, nx), merged bins added up."""
        merged = [np.where(part, cube, 0.0).sum(axis=(1, 2)) for part in (self.empty, self.far)]
        return self.elements_of(cube[self.single], np.concatenate(merged), n_single)

    def elements_of(self, single: np.ndarray, merged: np.ndarray, n_single: int, padding: float = 0) -> np.ndarray:
        """Elements (E,) from values of single bins and of merged bins (2 R,)."""
        filling = (0, n_single - len(single))
        return np.concatenate([np.pad(single, filling, constant_values=padding), merged])

    def energy_of(self, n_single: int) -> np.ndarray:
        """Reconstructed bin of every element, (E,)."""
        return self.elements_of(self.energy, np.tile(np.arange(self.n_energy), 2), n_single)

    def background(self, n_single: int) -> np.ndarray:
        """Elements (E,) of the background."""
        return self._kept(("background", n_single), lambda: self.gather(self._background, n_single))

    def matrix(self, footprint: Footprint, n_single: int) -> np.ndarray:
        """Elements (E, T) of a source: counts of a unit flux [cm-2 s-1] in every true-energy bin."""
        # with the footprint itself, whose number may go to another when it is gone
        key = ("matrix", id(footprint), n_single)
        return self._kept(key, lambda: (footprint, self._matrix(footprint, n_single)))[1]

    def _kept(self, key: Hashable, make: Callable[[], Any]) -> Any:
        if key not in self._made:
            self._made[key] = make()
        self._made.move_to_end(key)
        while len(self._made) > _KEPT_PARTS:
            self._made.popitem(last=False)
        return self._made[key]

    def _matrix(self, footprint: Footprint, n_single: int) -> np.ndarray:
        rows, columns, basis, response = footprint
        matrix = np.zeros((n_single + 2 * self.n_energy, len(basis)))
        places = self.places(footprint)
        matrix[places] = (
            response[self.energy[places]] * basis[:, self.y[places] - rows.start, self.x[places] - columns.start].T
        )
        empty = self.empty[:, rows, columns].reshape(self.n_energy, -1).astype(float)
        matrix[n_single : n_single + self.n_energy] = response * (empty @ basis.reshape(len(basis), -1).T)
        return matrix

    def counts(self, footprint: Footprint, flux: np.ndarray, n_single: int) -> np.ndarray:
        """Elements (E,) of a source with a flux (T,) [cm-2 s-1]."""
        rows, columns, basis, response = footprint
        seen = np.tensordot(response * flux, basis, axes=1)
        counts, places = np.zeros(n_single + 2 * self.n_energy), self.places(footprint)
        counts[places] = seen[self.energy[places], self.y[places] - rows.start, self.x[places] - columns.start]
        empty = self.empty[:, rows, columns]
        counts[n_single : n_single + self.n_energy] = np.where(empty, seen, 0.0).sum(axis=(1, 2))
        return counts

    def places(self, view: View | Footprint) -> np.ndarray:
        """Which single bins lie in a cutout, (N,)."""
        rows, columns = view.rows, view.columns
        inside_y = (self.y >= rows.start) & (self.y < rows.stop)
        return np.flatnonzero(inside_y & (self.x >= columns.start) & (self.x < columns.stop))

    def masks(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        """Which of the distinct masks of a cutout each reconstructed bin has, (R,), and those masks, (U, ny, nx)."""
        cut = self._reached[:, view.rows, view.columns]
        which, masks = _distinct(cut.reshape(self.n_energy, -1))
        return which, masks.reshape(-1, *cut.shape[1:])

    @cached_property
    def _reached(self) -> np.ndarray:
        return self.arrays.mask & ~self.far

    def elements(self, view: View, n_single: int, n_places: int, masks: tuple[int, int, int] | None) -> Elements:
        """Where the bins of a cutout are, padded to `n_places` bins and masks of a shape (None: no masks)."""
        places = self.places(view)
        padding = (0, n_places - len(places))
        mask_of, distinct = self.masks(view)
        size = n_single + 2 * self.n_energy
        return Elements(
            x=np.pad(self.x[places] - view.columns.start, padding),
            y=np.pad(self.y[places] - view.rows.start, padding),
            energy=np.pad(self.energy[places], padding, constant_values=self.n_energy),
            place=np.pad(places, padding, constant_values=size),
            masks=None if masks is None else pad_to(distinct.astype(float), masks),
            mask_of=mask_of,
            rest=n_single + np.arange(self.n_energy),
            size=size,
        )

    def data(self, n_single: int) -> dict[str, np.ndarray | None]:
        """Counts, masks and constants of the elements, (E,)."""
        return self._kept(("data", n_single), lambda: self._data(n_single))

    def _data(self, n_single: int) -> dict[str, np.ndarray | None]:
        arrays, n = self.arrays, self.n_energy
        parts = (self.empty, self.far)
        members = np.concatenate([part.any(axis=(1, 2)) for part in parts])
        members = self.elements_of(np.ones(len(self.energy)), members, n_single)
        counts, offset, off, alpha = self.gather(arrays.counts, n_single), np.zeros(len(members)), None, None
        if arrays.counts_off is None or arrays.alpha is None:
            offset[-n:] = _merging_constant(arrays.counts, self._background, self.far)
        else:
            far_stat = np.asarray(wstat(arrays.counts, arrays.counts_off, arrays.alpha, np.zeros_like(arrays.counts)))
            offset[-n:] = np.where(self.far, far_stat, 0.0).sum(axis=(1, 2))
            counts[-n:] = 0.0
            off = self.elements_of(arrays.counts_off[self.single], np.zeros(2 * n), n_single)
            alpha = self.elements_of(arrays.alpha[self.single], np.ones(2 * n), n_single, padding=1.0)
        return {"counts": counts, "mask": members, "offset": offset, "counts_off": off, "alpha": alpha}


class RegionLayout:
    """Elements of a region: its R reconstructed bins. Each takes what a source sums up to in the region."""

    merges = False

    def __init__(self, dataset: Any):
        self.arrays, self.n_energy = dataset.arrays, dataset.energy_axis.nbin
        self.energy = np.zeros(0, int)

    def gather(self, cube: np.ndarray, n_single: int) -> np.ndarray:
        """Elements (R,) of a map."""
        return np.asarray(cube, float).reshape(self.n_energy)

    def energy_of(self, n_single: int) -> np.ndarray:
        """Reconstructed bin of every element, (R,)."""
        return np.arange(self.n_energy)

    def background(self, n_single: int) -> np.ndarray:
        """Elements (R,) of the background."""
        return self.gather(self.arrays.background, n_single)

    def matrix(self, footprint: Footprint, n_single: int) -> np.ndarray:
        """Elements (R, T) of a source: counts of a unit flux [cm-2 s-1] in every true-energy bin."""
        return footprint.response * footprint.basis[:, 0, 0]

    def counts(self, footprint: Footprint, flux: np.ndarray, n_single: int) -> np.ndarray:
        """Elements (R,) of a source with a flux (T,) [cm-2 s-1]."""
        return self.matrix(footprint, n_single) @ flux

    def places(self, view: RegionView) -> np.ndarray:
        """None: no bin of the region's image is an element."""
        return np.zeros(0, int)

    def masks(self, view: RegionView) -> tuple[np.ndarray, np.ndarray]:
        """The coverage of the region's image, one for all reconstructed bins."""
        coverage = np.ones((1, 1, 1)) if view.coverage is None else view.coverage
        return np.zeros(self.n_energy, int), coverage

    def elements(self, view: RegionView, n_single: int, n_places: int, masks: tuple[int, int, int] | None) -> Elements:
        """The sums over the region; arguments as those of a cube."""
        mask_of, coverage = self.masks(view)
        none = self.energy
        return Elements(
            x=none,
            y=none,
            energy=none,
            place=none,
            masks=None if masks is None else pad_to(coverage, masks),
            mask_of=mask_of,
            rest=np.arange(self.n_energy),
            size=self.n_energy,
        )

    def data(self, n_single: int) -> dict[str, np.ndarray | None]:
        """Counts, masks and constants of the elements, (R,)."""

        def row(name: str) -> np.ndarray | None:
            values = getattr(self.arrays, name)
            return None if values is None else self.gather(values, n_single)

        data = {name: row(name) for name in ("counts", "mask", "counts_off", "alpha")}
        return {**data, "offset": np.zeros(self.n_energy)}


def pad_to(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Array with zeros behind it along every axis, up to a shape."""
    return np.pad(array, [(0, wanted - n) for n, wanted in zip(array.shape, shape, strict=True)])


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the distinct rows each row is, and the distinct rows."""
    numbers: dict[bytes, int] = {}
    which = np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in rows])
    return which, rows[[int(np.argmax(which == k)) for k in range(len(numbers))]]


def _merging_constant(counts: np.ndarray, background: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Cash statistic of some bins less that of their sum, per energy (R,): 2 (N ln B - sum n ln b)."""
    counted = part & (counts > 0)
    logs = np.where(counted, counts * np.log(np.where(counted, background, 1.0)), 0.0).sum(axis=(1, 2))
    n, b = (np.where(part, cube, 0.0).sum(axis=(1, 2)) for cube in (counts, background))
    return 2.0 * (n * np.log(np.where(n > 0, b, 1.0)) - logs)
