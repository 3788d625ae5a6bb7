"""Sources that a fit moves or deforms, in the elements of a cube."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.folding._grid import Grid
from gammax.folding._irf import Scales
from gammax.folding._mixture import Mixture, Place, are_many, at_pixels, contract, in_masks
from gammax.folding._nearby import make_nearby
from gammax.folding._region import RegionGrid
from gammax.likelihood._curves import Moved
from gammax.likelihood._parts import Dispersion, Source, bend_apart
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

    def project(self, slope: Array, columns: Array, ny: int) -> Array:
        """What a slope (E,) makes of the columns (nx, ...) of the cutout, (R, ny, ...): times rows it adds up to the
        product of the slope with `spread`."""
        flat, rest = columns.reshape(len(columns), -1), slope[self.rest]
        alone = slope.at[self.place].get(mode="fill", fill_value=0.0) - rest.at[self.energy].get(mode="clip")
        whole = flat.sum(axis=0)[None, None] if self.masks is None else jnp.einsum("uyx,xf->uyf", self.masks, flat)
        sums = jnp.broadcast_to(whole[self.mask_of], (len(rest), ny, flat.shape[1])) * rest[:, None, None]
        if are_many(self.x, sums, columns):
            image = jnp.zeros((*sums.shape[:2], len(columns))).at[self.energy, self.y, self.x].add(alone, mode="drop")
            sums = sums + jnp.einsum("ryx,xf->ryf", image, flat)
        else:
            sums = sums.at[self.energy, self.y].add(alone[:, None] * flat[self.x], mode="drop")
        return sums.reshape(*sums.shape[:2], *columns.shape[1:])

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

    def bend(
        self, numbers: Array, free: tuple[int, ...], edges: Array, panels: int, slope: Array
    ) -> tuple[Array, Array]:
        """As `Group.bend`: by numbers of the shape apart from others, which leave it as it is."""
        heavy, light = self.shaping(free)
        order = np.argsort([*light, *heavy])

        def counts(first: Array, second: Array) -> Array:
            return self.counts(Moved(Moved(numbers, light, first), heavy, second), edges, panels)

        first, second = (numbers[np.array(places, dtype=int)] for places in (light, heavy))
        jacobian, bend = bend_apart(counts, first, second, slope)
        return jacobian[order], bend[order][:, order]

    def shaping(self, free: tuple[int, ...]) -> tuple[list[int], list[int]]:
        """Those of the free places whose numbers change the shape, and the others."""
        acting = {*self.spatial.slots, *self.effects.only(["psf_width", "energy_scale_true"]).slots}
        return [place for place in free if place in acting], [place for place in free if place not in acting]


class MovingMixture(_Moving):
    """A point or a Gaussian that moves, closed forms; `sized`: it has a width, its parameter `sigma`."""

    mixture: Mixture
    sized: bool = eqx.field(static=True)

    def counts(self, numbers: Array, edges: Array, panels: int) -> Array:
        """Predicted counts of the elements, (E,)."""
        if self.mixture.exposure is not None:
            return self._after(numbers, edges, panels, self.mixture.exposure)
        contracted, place = self._seen(numbers, edges, panels)
        return self._fold(contracted, *self.mixture.along(place, contracted.shape[-1]))

    def bend(
        self, numbers: Array, free: tuple[int, ...], edges: Array, panels: int, slope: Array
    ) -> tuple[Array, Array]:
        """As `Group.bend`. The slope is summed over the shape first, so that what is differentiated twice are some
        thousand numbers."""
        if self.mixture.exposure is not None:
            return super().bend(numbers, free, edges, panels, slope)
        x = numbers[np.array(free, dtype=int)]

        def seen(x: Array) -> tuple[Array, Place]:
            return self._seen(Moved(numbers, free, x), edges, panels)

        contracted, place = here = seen(x)
        nearby = make_nearby(self.mixture, place, contracted.shape[-1], self.sized or "psf_width" in self.effects.names)
        moments = nearby.moments(self.elements.project(slope, nearby.columns, len(nearby.rows)))

        def product(x: Array) -> tuple[Array, tuple[Array, Place]]:
            there = seen(x)
            return jnp.sum(there[0] * nearby.sums(moments, there[1])), there

        def pushed(x: Array) -> tuple[Array, tuple[Array, Place]]:
            return jax.vmap(lambda tangent: jax.jvp(product, (x,), (tangent,))[1])(every)

        # forward twice: backwards it takes twice as long to compile
        every = jnp.eye(len(free))
        _, steps = pushed(x)
        bend = jax.vmap(lambda tangent: jax.jvp(lambda x: pushed(x)[0], (x,), (tangent,))[1])(every)

        def counts(contracted: Array, place: Place) -> Array:
            return self._fold(contracted, *nearby.along(place))

        return jax.vmap(lambda step: jax.jvp(counts, here, step)[1])(steps), bend

    def _seen(self, numbers: Array, edges: Array, panels: int) -> tuple[Array, Place]:
        """Coefficients (R, K, M) of the source contracted with spectrum and energy dispersion, and its place."""
        mixture, where, weight = self._placed(numbers, edges, panels)
        coefficients, weights = mixture.coefficients(*where), mixture.weights if mixture.reco else None
        return contract(coefficients, weights, weight), mixture.place(*where)

    def _placed(self, numbers: Array, edges: Array, panels: int) -> tuple[Mixture, tuple[Any, Any, Any], Array]:
        """The mixture with its PSF as wide as it is, longitude, latitude and width of the source, and `weight`."""
        model, scales = self.spatial.build(numbers), self.effects.scales(numbers)
        mixture = self.mixture if scales.psf_width is None else self.mixture.widened(scales.psf_width)
        where = model.lon_0.canonical, model.lat_0.canonical, model.sigma.canonical if self.sized else None
        return mixture, where, self.weight(numbers, edges, panels, scales)

    def _fold(self, contracted: Array, columns: Array, rows: Array) -> Array:
        """Counts of the elements, (E,), of contracted coefficients, columns and rows."""
        where = self.elements
        single = at_pixels(columns, rows, where.x, where.y, where.energy, contracted)
        total = jnp.einsum("rkm,rkm->r", contracted, in_masks(columns, rows, where.masks)[where.mask_of])
        return where.spread(single, total)

    def _after(self, numbers: Array, edges: Array, panels: int, exposure: Array) -> Array:
        """Counts of the elements, (E,), the exposure taken after the PSF."""
        mixture, place, weight = self._placed(numbers, edges, panels)
        terms, where = mixture.terms(*place), self.elements
        mixed, columns, rows = terms.coefficients[..., 0], terms.columns[..., 0], terms.rows[..., 0]
        shape = (columns[where.x] * rows[where.y]) @ mixed.T
        single = jnp.sum(shape * exposure[:, where.y, where.x].T * weight[where.energy], axis=1)
        cutout = jnp.einsum("tk,yk,xk->tyx", mixed, rows, columns) * exposure
        return where.spread(single, jnp.sum(weight * where.sum_masks(cutout), axis=1))


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
