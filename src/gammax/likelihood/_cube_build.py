"""Cubes and models to `CubeStack`: which bins are elements, and what each source does to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gammax.errors import ModelError
from gammax.folding import total_flux
from gammax.folding._background import check_backgrounds
from gammax.folding._footprint import Footprint, make_footprint
from gammax.folding._mixture import Mixture
from gammax.folding._view import View, make_view, round_up
from gammax.likelihood._cube import CubeStack, Elements, MovingGrid, MovingMixture
from gammax.likelihood._parts import FixedCounts, FixedSource, ScaledCounts, scaled_counts
from gammax.likelihood._plan import Plan
from gammax.models import GaussianSpatialModel, TemplateNPredModel, n_panels
from gammax.stats import wstat

if TYPE_CHECKING:
    from gammax.datasets import MapDataset

# expected counts below which a bin with counts stands for itself, whatever reaches it
_SMALLEST_BACKGROUND = 1e-8


class _Layout:
    """Elements of a cube: single bins and padding, then R merged bins without counts, then R merged bins that no source
    reaches.

    Padding makes the shapes of a fit whose cutouts have moved by a pixel those of the fit before.
    """

    def __init__(self, dataset: MapDataset, near: np.ndarray, dense: bool):
        arrays = dataset.arrays
        self.n_energy, mask = len(arrays.counts), arrays.mask
        near = np.broadcast_to(near, mask.shape) & mask
        lost = mask & ~near
        if arrays.background is not None:
            alone = lost & (arrays.counts > 0) & (arrays.background < _SMALLEST_BACKGROUND)
            near, lost = near | alone, lost & ~alone
        single = near if dense or arrays.counts_off is not None else near & (arrays.counts > 0)
        self.single, self.far, self.empty = single, lost, near & ~single
        self.energy, self.y, self.x = np.nonzero(single)
        self.n_single = round_up(len(self.energy))
        self.padding = self.n_single - len(self.energy)
        self.size = self.n_single + 2 * self.n_energy
        self.energy_of = self.elements_of(self.energy, np.tile(np.arange(self.n_energy), 2))
        self.rest = self.n_single + np.arange(self.n_energy)

    def gather(self, cube: np.ndarray) -> np.ndarray:
        """Elements (E,) of a map (R, ny, nx), merged bins added up."""
        merged = [np.where(part, cube, 0.0).sum(axis=(1, 2)) for part in (self.empty, self.far)]
        return self.elements_of(cube[self.single], np.concatenate(merged))

    def elements_of(self, single: np.ndarray, merged: np.ndarray, padding: float = 0) -> np.ndarray:
        """Elements (E,) from values of single bins and of merged bins (2 R,)."""
        return np.concatenate([np.pad(single, (0, self.padding), constant_values=padding), merged])

    def matrix(self, footprint: Footprint) -> np.ndarray:
        """Elements (E, T) of a source: counts of a unit flux [cm-2 s-1] in every true-energy bin."""
        rows, columns, basis, response = footprint
        matrix = np.zeros((self.size, len(basis)))
        places = np.flatnonzero(self._inside(footprint))
        matrix[places] = (
            response[self.energy[places]] * basis[:, self.y[places] - rows.start, self.x[places] - columns.start].T
        )
        empty = self.empty[:, rows, columns].reshape(self.n_energy, -1).astype(float)
        matrix[self.rest] = response * (empty @ basis.reshape(len(basis), -1).T)
        return matrix

    def elements(self, view: View, mask: np.ndarray) -> Elements:
        """Where the bins of a cutout are."""
        places = np.flatnonzero(self._inside(view))
        cut = (mask & ~self.far)[:, view.rows, view.columns].reshape(self.n_energy, -1)
        mask_of, masks = _distinct(cut)
        shape = (view.rows.stop - view.rows.start, view.columns.stop - view.columns.start)
        padding = (0, round_up(len(places)) - len(places))
        return Elements(
            x=np.pad(self.x[places] - view.columns.start, padding),
            y=np.pad(self.y[places] - view.rows.start, padding),
            energy=np.pad(self.energy[places], padding, constant_values=self.n_energy),
            place=np.pad(places, padding, constant_values=self.size),
            masks=None if masks.all() else masks.reshape(-1, *shape).astype(float),
            mask_of=mask_of,
            rest=self.rest,
        )

    def _inside(self, view: View | Footprint) -> np.ndarray:
        rows, columns = view.rows, view.columns
        inside_y = (self.y >= rows.start) & (self.y < rows.stop)
        return inside_y & (self.x >= columns.start) & (self.x < columns.stop)


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the distinct rows each row is, and the distinct rows."""
    numbers: dict[bytes, int] = {}
    which = np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in rows])
    return which, rows[[int(np.argmax(which == k)) for k in range(len(numbers))]]


def make_cube(dataset: MapDataset, plans: Sequence[Plan], order: str, dense: bool) -> CubeStack:
    """Cube under the models that apply to it.

    Parameters
    ----------
    plans : sky models, background models and templates of counts that apply to the dataset.
    order : as `make_view`.
    dense : keep every bin that a source reaches for itself: needed where mu may be negative, and for other counts.

    Raises
    ------
    ModelError, SchemaError, GeometryError : as `make_view` and `check_backgrounds`.
    """
    arrays = dataset.arrays
    # without exposure there is no source, and nothing that true energies are needed for
    edges = arrays.energy if arrays.energy_true is None else arrays.energy_true
    others = [plan for plan in plans if not plan.is_source]
    check_backgrounds(dataset, [plan.model for plan in others])
    makers = {True: make_view, False: make_footprint}
    seen = [(plan, makers[plan.spatial_moves](dataset, plan.model, order)) for plan in plans if plan.is_source]
    seen = [(plan, view) for plan, view in seen if view is not None]
    near = _near(arrays.counts.shape[1:], [view for _, view in seen], others)
    layout = _Layout(dataset, near, dense)
    panels = n_panels(edges)
    fixed, moving = [], []
    for plan, view in seen:
        if plan.spatial_moves:
            moving.append(_moving(plan, view, layout.elements(view, arrays.mask)))
        else:
            fixed.append(_fixed(plan, view, layout, edges, panels))
    return CubeStack(
        edges=edges,
        energy=layout.energy_of,
        fixed=tuple(fixed) + tuple(_counts_template(dataset, plan, layout) for plan in others if _is_template(plan)),
        moving=tuple(moving),
        backgrounds=_backgrounds(dataset, [plan for plan in others if not _is_template(plan)], layout),
        panels=panels,
        **_data(dataset, layout),
    )


def _is_template(plan: Plan) -> bool:
    return isinstance(plan.model, TemplateNPredModel)


def _near(shape: tuple[int, ...], views: Sequence[View | Footprint], others: Sequence[Plan]) -> np.ndarray:
    """Pixels that a source may reach, (ny, nx)."""
    if any(_is_template(plan) for plan in others):
        return np.ones(shape, bool)
    near = np.zeros(shape, bool)
    for view in views:
        near[view.rows, view.columns] = True
    return near


def _moving(plan: Plan, view: View, elements: Elements) -> MovingMixture | MovingGrid:
    if isinstance(view.basis, Mixture):
        sized = isinstance(plan.model.spatial_model, GaussianSpatialModel)
        return MovingMixture(view.basis, elements, view.response, plan.spatial, plan.spectrum, sized)
    return MovingGrid(view.basis, elements, view.response, plan.spatial, plan.spectrum)


def _fixed(
    plan: Plan, footprint: Footprint, layout: _Layout, edges: np.ndarray, panels: int
) -> FixedSource | FixedCounts:
    matrix = layout.matrix(footprint)
    if plan.shape is None:
        return FixedSource(matrix, plan.spectrum)
    flux = np.asarray(total_flux([plan.spectrum.build(plan.shape.values)], edges, panels))
    return FixedCounts(matrix @ flux, plan.shape.slot)


def _counts_template(dataset: MapDataset, plan: Plan, layout: _Layout) -> FixedCounts | ScaledCounts:
    template = layout.gather(
        np.where(dataset.arrays.mask, plan.model.map.values() * _spatial_factor(plan, dataset), 0.0)
    )
    return scaled_counts(template, layout.energy_of, dataset.energy_axis.center_value("TeV"), plan)


def _backgrounds(dataset: MapDataset, plans: Sequence[Plan], layout: _Layout) -> tuple[FixedCounts | ScaledCounts, ...]:
    background = dataset.arrays.background
    if background is None:
        if plans:
            raise ModelError(
                "GX-FIT-012",
                "a background model needs a known background (cash)",
                model=plans[0].model.name,
                dataset=dataset.name,
            )
        return ()
    plan = plans[0] if plans else None
    template = layout.gather(background if plan is None else background * _spatial_factor(plan, dataset))
    return (scaled_counts(template, layout.energy_of, dataset.energy_axis.center_value("TeV"), plan),)


def _spatial_factor(plan: Plan, dataset: MapDataset) -> np.ndarray | float:
    """Factor of the spatial part of a model of counts.

    Raises
    ------
    ModelError : it has free parameters.
    """
    if plan.model.spatial_model is None:
        return 1.0
    if plan.spatial_moves:
        raise ModelError(
            "GX-FIT-013", "the spatial factor of a background cannot be fitted", model=plan.model.name, do="freeze it"
        )
    return np.nan_to_num(plan.model.spatial_model.evaluate_geom(dataset.geom.to_image()).value)


def _data(dataset: MapDataset, layout: _Layout) -> dict[str, np.ndarray | None]:
    """Counts, masks and constants of the elements, (1, E)."""
    arrays, n = dataset.arrays, layout.n_energy
    parts = (layout.empty, layout.far)
    members = layout.elements_of(np.ones(len(layout.energy)), np.concatenate([p.any(axis=(1, 2)) for p in parts]))
    counts, offset, off, alpha = layout.gather(arrays.counts), np.zeros(layout.size), None, None
    if arrays.counts_off is None or arrays.alpha is None:
        offset[-n:] = _merging_constant(arrays.counts, arrays.background, layout.far)
    else:
        far_stat = np.asarray(wstat(arrays.counts, arrays.counts_off, arrays.alpha, np.zeros_like(arrays.counts)))
        offset[-n:] = np.where(layout.far, far_stat, 0.0).sum(axis=(1, 2))
        counts[-n:] = 0.0
        off = layout.elements_of(arrays.counts_off[layout.single], np.zeros(2 * n))[None]
        alpha = layout.elements_of(arrays.alpha[layout.single], np.ones(2 * n), padding=1.0)[None]
    return {"counts": counts[None], "mask": members[None], "offset": offset[None], "counts_off": off, "alpha": alpha}


def _merging_constant(counts: np.ndarray, background: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Cash statistic of some bins less that of their sum, per energy (R,): 2 (N ln B - sum n ln b)."""
    counted = part & (counts > 0)
    logs = np.where(counted, counts * np.log(np.where(counted, background, 1.0)), 0.0).sum(axis=(1, 2))
    n, b = (np.where(part, cube, 0.0).sum(axis=(1, 2)) for cube in (counts, background))
    return 2.0 * (n * np.log(np.where(n > 0, b, 1.0)) - logs)
