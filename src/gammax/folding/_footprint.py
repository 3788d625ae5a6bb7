"""A source that stands still in a cube: its shape through exposure and PSF, computed once and kept."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import equinox as eqx
import jax
import numpy as np

from gammax.folding._mixture import Mixture
from gammax.folding._view import View, make_view
from gammax.models import GaussianSpatialModel

if TYPE_CHECKING:
    from gammax.datasets import MapDataset
    from gammax.models import SkyModel, SpatialModel

# footprints that are kept for a dataset: fits that look their responses up anew, flux points and residuals ask for the
# same ones, and a diffuse template takes a second
_KEPT = 64
_FOOTPRINTS: WeakKeyDictionary = WeakKeyDictionary()


class Footprint(NamedTuple):
    """Exposure times fraction of a source [cm2 s] in its cutout, (T, ny, nx), and its energy dispersion (R, T).

    rows, columns : the cutout, slices of the cube.
    """

    rows: slice
    columns: slice
    basis: np.ndarray
    response: np.ndarray


def make_footprint(dataset: MapDataset, model: SkyModel, order: str) -> Footprint | None:
    """Footprint of a source where it is; arguments and errors as `make_view`."""
    kept = _FOOTPRINTS.setdefault(dataset, OrderedDict())
    leaves, structure = jax.tree.flatten(model.spatial_model)
    key = (order, tuple(model.apply_irf.values()), structure, *(np.asarray(leaf).tobytes() for leaf in leaves))
    if key not in kept:
        view = make_view(dataset, model, order)
        kept[key] = None if view is None else _footprint(view, model.spatial_model)
    kept.move_to_end(key)
    while len(kept) > _KEPT:
        kept.popitem(last=False)
    return kept[key]


def _footprint(view: View, spatial: SpatialModel) -> Footprint:
    if isinstance(view.basis, Mixture):
        size = spatial.sigma.canonical if isinstance(spatial, GaussianSpatialModel) else None
        basis = _mixture_basis(view.basis, spatial.lon_0.canonical, spatial.lat_0.canonical, size)
    else:
        basis = _grid_basis(view.basis, spatial)
    return Footprint(view.rows, view.columns, np.asarray(basis), view.response)


_mixture_basis = jax.jit(lambda mixture, lon, lat, size: mixture.basis(lon, lat, size))
_grid_basis = eqx.filter_jit(lambda grid, spatial: grid.basis(spatial))
