"""Sources that a fit moves or deforms, in the elements of a cube."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from gammax.folding._grid import Grid
from gammax.folding._irf import Scales
from gammax.folding._mixture import Mixture, Terms, at_pixels, in_masks
from gammax.folding._region import RegionGrid
from gammax.likelihood._parts import Dispersion, Source
from gammax.likelihood._table import Recipe


class Elements(eqx.Module):
    """Where the bins of a source's cutout are among the `size` elements of a cube.

    N of its bins are elements of their own. Of the others those inside the masks are summed, per reconstructed energy.

    Attributes
    ----------
    x, y, energy : column and row in the cutout and reconstructed bin, (N,).
    place : element, (N,). Padding lies outside, at bin R and element E, and is dropped.
    masks : distinct masks of the cutout, (U, ny, nx), 1 inside and 0 outside; None: all bins are inside.
    mask_of : mask of every reconstructed bin, (R,).
    rest : elements that take the sums, (R,).
    """

    x: Array
    y: Array
    energy: Array
    place: Array
    masks: Array | None
    mask_of: Array
    rest: Array
    size: int = eqx.field(static=True)

    def sum_masks(self, maps: Array) -> Array:
        """Sums of maps (T, ny, nx) over the mask of every reconstructed bin, (R, T)."""
        if self.masks is None:
            return jnp.broadcast_to(maps.sum(axis=(1, 2)), (self.rest.shape[0], maps.shape[0]))
        return jnp.einsum("uyx,tyx->ut", self.masks, maps)[self.mask_of]

    def sum_each(self, maps: Array) -> Array:
        """Sums of maps (R, ny, nx), each over the mask of its reconstructed bin, (R,)."""
        if self.masks is None:
            return maps.sum(axis=(1, 2))
        return jnp.einsum("ryx,ryx->r", self.masks[self.mask_of], maps)

    def spread(self, single: Array, total: Array) -> Array:
        """Vector of all elements from the values of single bins (N,) and of whole masks (R,)."""
        listed = jnp.zeros_like(total).at[self.energy].add(single, mode="drop")
        return jnp.zeros(self.size).at[self.place].set(single, mode="drop").at[self.rest].add(total - listed)


class _Moving(Source):
    """What all sources that move, or whose PSF does, have in common: elements, and the recipe of their shape."""

    elements: Elements
    dispersion: Dispersion
    spatial: Recipe = eqx.field(static=True)

    def weight(self, numbers: Array, edges: Array, panels: int, scales: Scales) -> Array:
        """Energy dispersion times flux [cm-2 s-1], (R, T)."""
        return self.dispersion.scaled(scales.energy_scale_reco) * self.flux(numbers, edges, panels)


class MovingMixture(_Moving):
    """A point or a Gaussian that moves, closed forms; `sized`: it has a width, its parameter `sigma`."""

    mixture: Mixture
    sized: bool = eqx.field(static=True)

    def counts(self, numbers: Array, edges: Array, panels: int) -> Array:
        """Predicted counts of the elements, (E,)."""
        model, scales = self.spatial.build(numbers), self.effects.scales(numbers)
        mixture = self.mixture if scales.psf_width is None else self.mixture.widened(scales.psf_width)
        terms = mixture.terms(
            model.lon_0.canonical, model.lat_0.canonical, model.sigma.canonical if self.sized else None
        )
        weight = self.weight(numbers, edges, panels, scales)
        where = self.elements
        if mixture.exposure is not None:
            return where.spread(*self._after(terms, weight, mixture.exposure))
        contracted = terms.contract(weight)
        single = at_pixels(terms, where.x, where.y, where.energy, contracted)
        total = jnp.einsum("rkm,rkm->r", contracted, in_masks(terms, where.masks)[where.mask_of])
        return where.spread(single, total)

    def _after(self, terms: Terms, weight: Array, exposure: Array) -> tuple[Array, Array]:
        """Single bins and whole masks, the exposure taken after the PSF."""
        where, mixed = self.elements, terms.coefficients[..., 0]
        shape = (terms.columns[where.x] * terms.rows[where.y]) @ mixed.T
        single = jnp.sum(shape * exposure[:, where.y, where.x].T * weight[where.energy], axis=1)
        cutout = jnp.einsum("tk,yk,xk->tyx", mixed, terms.rows, terms.columns) * exposure
        return single, jnp.sum(weight * where.sum_masks(cutout), axis=1)


class MovingGrid(_Moving):
    """A source of any shape that moves, at nodes of the sky; `follows_energy`: the shape depends on true energy, whose
    scale moves."""

    grid: Grid | RegionGrid
    follows_energy: bool = eqx.field(static=True)

    def counts(self, numbers: Array, edges: Array, panels: int) -> Array:
        """Predicted counts of the elements, (E,)."""
        scales = self.effects.scales(numbers)
        grid = self.grid if scales.psf_width is None else self.grid.widened(scales.psf_width)
        if self.follows_energy:
            grid = grid.at_scale(scales.energy_scale_true)
        basis = grid.basis(self.spatial.build(numbers))
        weight = self.weight(numbers, edges, panels, scales)
        where = self.elements
        if grid.reco:
            seen = grid.blur(jnp.einsum("rt,tyx->ryx", weight, basis))
            return where.spread(seen[where.energy, where.y, where.x], where.sum_each(seen))
        single = jnp.sum(basis[:, where.y, where.x].T * weight[where.energy], axis=1)
        return where.spread(single, jnp.sum(weight * where.sum_masks(basis), axis=1))
