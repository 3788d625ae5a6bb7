"""Sources that a fit moves or deforms, in the elements of a cube."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from gammax.folding import total_flux
from gammax.folding._grid import Grid
from gammax.folding._mixture import Mixture, Terms, at_pixels, in_masks
from gammax.folding._region import RegionGrid
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


class _Moving(eqx.Module):
    """What all sources that move have in common.

    Attributes
    ----------
    response : energy dispersion, (R, T).
    spectrum, spatial : recipes.
    """

    elements: Elements
    response: Array
    spectrum: Recipe = eqx.field(static=True)
    spatial: Recipe = eqx.field(static=True)

    def flux(self, numbers: Array, edges: Array, panels: int) -> Array:
        """Flux in true-energy bins [cm-2 s-1], (T,)."""
        return total_flux([self.spectrum.build(numbers)], edges, panels)

    def lowest(self, numbers: Array, edges: Array, panels: int) -> Array:
        """Lowest flux in a true-energy bin."""
        return self.flux(numbers, edges, panels).min()


class MovingMixture(_Moving):
    """A point or a Gaussian that moves, closed forms; `sized`: it has a width, its parameter `sigma`."""

    mixture: Mixture
    sized: bool = eqx.field(static=True)

    def counts(self, numbers: Array, edges: Array, panels: int) -> Array:
        """Predicted counts of the elements, (E,)."""
        model = self.spatial.build(numbers)
        terms = self.mixture.terms(
            model.lon_0.canonical, model.lat_0.canonical, model.sigma.canonical if self.sized else None
        )
        weight = self.response * self.flux(numbers, edges, panels)
        where = self.elements
        if self.mixture.exposure is not None:
            return where.spread(*self._after(terms, weight, self.mixture.exposure))
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
    """A source of any shape that moves, at nodes of the sky."""

    grid: Grid | RegionGrid

    def counts(self, numbers: Array, edges: Array, panels: int) -> Array:
        """Predicted counts of the elements, (E,)."""
        basis = self.grid.basis(self.spatial.build(numbers))
        weight = self.response * self.flux(numbers, edges, panels)
        where = self.elements
        if self.grid.reco:
            seen = self.grid.blur(jnp.einsum("rt,tyx->ryx", weight, basis))
            return where.spread(seen[where.energy, where.y, where.x], where.sum_each(seen))
        single = jnp.sum(basis[:, where.y, where.x].T * weight[where.energy], axis=1)
        return where.spread(single, jnp.sum(weight * where.sum_masks(basis), axis=1))
