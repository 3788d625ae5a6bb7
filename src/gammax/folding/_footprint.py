"""A source that stands still in a cube: its shape through exposure and PSF, computed once and kept."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.fft import irfft2, rfft2

from gammax.folding._grid import Grid
from gammax.folding._irf import NO_SCALES, Scales
from gammax.folding._mixture import Mixture, in_masks
from gammax.folding._psf_width import PSFWidth
from gammax.folding._region import RegionGrid, region_image
from gammax.folding._region_view import RegionView, region_exposure, view_of
from gammax.folding._view import View, check_view, dispersion, is_bare_point
from gammax.maps import RegionGeom
from gammax.models import GaussianSpatialModel

if TYPE_CHECKING:
    from jax import Array

    from gammax.datasets import MapDataset, SpectrumDataset, SpectrumDatasetOnOff
    from gammax.models import SkyModel, SpatialModel

# footprints that are kept for a dataset: fits that look their responses up anew, flux points and residuals ask for the
# same ones, and a diffuse template takes a second
_KEPT, _KEPT_BYTES = 64, 300_000_000
_FOOTPRINTS: WeakKeyDictionary = WeakKeyDictionary()
# of the largest value at an energy: what Fourier transforms leave of nothing
_ROUNDING = 1e-12


class Footprint(NamedTuple):
    """Exposure times fraction of a source [cm2 s] in its cutout, (T, ny, nx), and its energy dispersion (R, T).

    rows, columns : the cutout, slices of the cube; a region is one pixel.
    """

    rows: slice
    columns: slice
    basis: np.ndarray
    response: np.ndarray


def make_footprint(
    dataset: MapDataset | SpectrumDataset | SpectrumDatasetOnOff,
    model: SkyModel,
    order: str,
    scales: Scales = NO_SCALES,
) -> Footprint | None:
    """Footprint of a source where it is; arguments and errors as `view_of`.

    There is none through a PSF in reconstructed energy: `counts_after`.

    Parameters
    ----------
    scales : of the responses: the width of the PSF, and where a shape depends on it the scale of the true energy.
    """
    width = PSFWidth(1.0 if scales.psf_width is None else scales.psf_width)
    scale = scales.energy_scale_true if depends_on_energy(model) else None
    kept = _FOOTPRINTS.setdefault(dataset, OrderedDict())
    leaves, structure = jax.tree.flatten(model.spatial_model)
    numbers = (np.asarray(leaf).tobytes() for leaf in leaves)
    key = (order, width, scale, tuple(model.apply_irf.values()), structure, *numbers)
    if key not in kept:
        if isinstance(dataset.geom, RegionGeom) and is_bare_point(dataset, model):
            kept[key] = _bare_point(dataset, model, order)
        else:
            view = view_of(dataset, model, order, width)
            kept[key] = None if view is None else _footprint(at_scale(view, scale), model.spatial_model)
    kept.move_to_end(key)
    while len(kept) > _KEPT or sum(0 if f is None else f.basis.nbytes for f in list(kept.values())[:-1]) > _KEPT_BYTES:
        kept.popitem(last=False)
    return kept[key]


def depends_on_energy(model: SkyModel) -> bool:
    """Whether the shape of a source does."""
    return model.spatial_model is not None and model.spatial_model.is_energy_dependent


def at_scale(view: View | RegionView, scale: float | None) -> View | RegionView:
    """View of a shape that depends on energy, energies scaled as `Grid.at_scale` does; None: not."""
    return view if scale is None else view._replace(basis=view.basis.at_scale(scale))


def counts_after(view: View | RegionView, spatial: SpatialModel, weight: Array) -> np.ndarray:
    """Counts in a cutout, (R, ny, nx), of a source through a PSF in reconstructed energy.

    Parameters
    ----------
    weight : flux times energy dispersion, (R, T) [cm-2 s-1].
    """
    if not isinstance(view.basis, Mixture):
        return np.asarray(_grid_counts(view.basis, spatial, weight))
    place = _place(spatial)
    if isinstance(view, RegionView):
        return np.asarray(_region_counts(view.basis, view.coverage, *place, weight))[:, None, None]
    return np.asarray(_mixture_counts(view.basis, *place, weight))


def _bare_point(dataset: SpectrumDataset | SpectrumDatasetOnOff, model: SkyModel, order: str) -> Footprint | None:
    """Footprint of a point that is not spread by any PSF: it is inside the region, or not."""
    check_view(dataset, model, order)
    region_image(dataset.geom, dataset.name)
    position = model.spatial_model.position
    if not np.all(dataset.geom.contains(position)):
        return None
    exposure = region_exposure(dataset, model)[:, None, None]
    return Footprint(slice(0, 1), slice(0, 1), exposure, dispersion(dataset, model, position, order))


def _footprint(view: View | RegionView, spatial: SpatialModel) -> Footprint:
    if not isinstance(view.basis, Mixture):
        basis = _grid_basis(view.basis, spatial)
    elif isinstance(view, RegionView):
        basis = _region_basis(view.basis, view.coverage, *_place(spatial))[:, None, None]
    else:
        basis = view.basis.basis(*_place(spatial))
    return Footprint(view.rows, view.columns, np.asarray(basis), view.response)


def _place(spatial: SpatialModel) -> tuple[Any, Any, Any]:
    """Position [deg] and width [deg], None of a point."""
    size = spatial.sigma.canonical if isinstance(spatial, GaussianSpatialModel) else None
    return spatial.lon_0.canonical, spatial.lat_0.canonical, size


def _grid_basis(grid: Grid | RegionGrid, spatial: SpatialModel) -> np.ndarray:
    if isinstance(grid, RegionGrid) or grid.transform is None:
        return np.asarray(_whole_basis(grid, spatial))
    fractions, (ny, nx) = np.asarray(_fractions(grid, spatial)), grid.exposure.shape[1:]
    fractions = np.broadcast_to(fractions, grid.exposure.shape)
    basis = np.empty(grid.exposure.shape)
    # one energy after another: all transforms of a diffuse template at once take hundreds of MB, and time to compile
    for t, (shape, exposure, transform) in enumerate(zip(fractions, grid.exposure, grid.transform, strict=True)):
        seen = irfft2(rfft2(shape if grid.after else shape * exposure, grid.padded) * transform, grid.padded)[:ny, :nx]
        # rounding would be taken for a negative source
        seen[np.abs(seen) < _ROUNDING * seen.max()] = 0.0
        basis[t] = seen * exposure if grid.after else seen
    return basis


_whole_basis = eqx.filter_jit(lambda grid, spatial: grid.basis(spatial))
_fractions = eqx.filter_jit(lambda grid, spatial: grid.fractions(spatial))
_mixture_counts = jax.jit(lambda mixture, lon, lat, size, weight: mixture.counts(lon, lat, size, weight))
_grid_counts = eqx.filter_jit(
    lambda grid, spatial, weight: grid.blur(jnp.einsum("rt,tyx->ryx", weight, grid.basis(spatial)))
)


def _region_basis(mixture: Mixture, coverage: np.ndarray, lon: float, lat: float, size: float | None) -> np.ndarray:
    terms = mixture.terms(lon, lat, size)
    return np.einsum("tkm,km->t", terms.coefficients, in_masks(terms.columns, terms.rows, coverage)[0])


@jax.jit
def _region_counts(
    mixture: Mixture, coverage: Array, lon: Array, lat: Array, size: Array | None, weight: Array
) -> Array:
    terms = mixture.terms(lon, lat, size)
    return jnp.einsum("rkm,km->r", terms.contract(weight), in_masks(terms.columns, terms.rows, coverage)[0])
