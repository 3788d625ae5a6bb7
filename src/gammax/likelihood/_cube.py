"""A cube as bins of the Cash or wstat statistic: few that matter one by one, and per energy what may be merged.

Bins without counts may be merged as long as every mu in them is positive: their statistic is linear in mu. Bins that
no source reaches may be merged whatever their counts: their mu is one background times one factor per energy, and the
sums over them are sufficient. Both are exact, the second up to the constant `offset`.
"""

from __future__ import annotations

from operator import attrgetter

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.folding import total_flux
from gammax.folding._grid import Grid
from gammax.folding._mixture import Mixture, Terms, at_pixels, in_masks
from gammax.likelihood._parts import FixedCounts, FixedSource, ScaledCounts
from gammax.likelihood._table import Recipe
from gammax.stats import cash, wstat, wstat_curvature, wstat_mu_bkg


class Elements(eqx.Module):
    """Where the bins of a source's cutout are among the elements of a cube.

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

    def sum_masks(self, maps: Array) -> Array:
        """Sums of maps (T, ny, nx) over the mask of every reconstructed bin, (R, T)."""
        if self.masks is None:
            return jnp.broadcast_to(maps.sum(axis=(1, 2)), (self.rest.shape[0], maps.shape[0]))
        return jnp.einsum("uyx,tyx->ut", self.masks, maps)[self.mask_of]

    def spread(self, single: Array, total: Array, size: int) -> Array:
        """Vector of `size` elements from the values of single bins (N,) and of whole masks (R,)."""
        listed = jnp.zeros_like(total).at[self.energy].add(single, mode="drop")
        return jnp.zeros(size).at[self.place].set(single, mode="drop").at[self.rest].add(total - listed)


class MovingMixture(eqx.Module):
    """A point or a Gaussian that moves, closed forms.

    Attributes
    ----------
    response : energy dispersion, (R, T).
    spatial, spectrum : recipes. sized : whether the source has a width, its parameter `sigma`.
    """

    mixture: Mixture
    elements: Elements
    response: Array
    spatial: Recipe = eqx.field(static=True)
    spectrum: Recipe = eqx.field(static=True)
    sized: bool = eqx.field(static=True)

    def counts(self, values: Array, edges: Array, panels: int, size: int) -> Array:
        """Predicted counts of the elements, (E,)."""
        model = self.spatial.build(values)
        terms = self.mixture.terms(
            model.lon_0.canonical, model.lat_0.canonical, model.sigma.canonical if self.sized else None
        )
        weight = self.response * total_flux([self.spectrum.build(values)], edges, panels)
        where = self.elements
        if self.mixture.exposure is not None:
            return where.spread(*self._after(terms, weight, self.mixture.exposure), size)
        contracted = jnp.einsum("rt,tkm->rkm", weight, terms.coefficients)
        single = at_pixels(terms, where.x, where.y, where.energy, contracted)
        total = jnp.einsum("rkm,rkm->r", contracted, in_masks(terms, where.masks)[where.mask_of])
        return where.spread(single, total, size)

    def _after(self, terms: Terms, weight: Array, exposure: Array) -> tuple[Array, Array]:
        """Single bins and whole masks, the exposure taken after the PSF."""
        where, mixed = self.elements, terms.coefficients[..., 0]
        shape = (terms.columns[where.x] * terms.rows[where.y]) @ mixed.T
        single = jnp.sum(shape * exposure[:, where.y, where.x].T * weight[where.energy], axis=1)
        cutout = jnp.einsum("tk,yk,xk->tyx", mixed, terms.rows, terms.columns) * exposure
        return single, jnp.sum(weight * where.sum_masks(cutout), axis=1)


class MovingGrid(eqx.Module):
    """A source of any shape that moves, by FFT."""

    grid: Grid
    elements: Elements
    response: Array
    spatial: Recipe = eqx.field(static=True)
    spectrum: Recipe = eqx.field(static=True)

    def counts(self, values: Array, edges: Array, panels: int, size: int) -> Array:
        """Predicted counts of the elements, (E,)."""
        basis = self.grid.basis(self.spatial.build(values))
        weight = self.response * total_flux([self.spectrum.build(values)], edges, panels)
        where = self.elements
        single = jnp.sum(basis[:, where.y, where.x].T * weight[where.energy], axis=1)
        return where.spread(single, jnp.sum(weight * where.sum_masks(basis), axis=1), size)


class CubeStack(eqx.Module):
    """One cube with E elements: single bins, then per reconstructed energy merged bins.

    The arrays have a leading axis of length 1, as those of `SpectrumStack` have one of D datasets.

    Attributes
    ----------
    edges : true-energy edges [TeV], (T + 1,).
    energy : reconstructed bin of the elements, (E,).
    counts, mask : (1, E); the mask is 1 inside and 0 outside.
    offset : constant of merged bins, added to the statistic, (1, E).
    counts_off, alpha : (1, E) OFF counts and exposure ratio of a wstat fit, else None.
    fixed, moving : the sources; backgrounds : what is not a source.
    """

    edges: Array
    energy: Array
    counts: Array
    mask: Array
    offset: Array
    counts_off: Array | None
    alpha: Array | None
    fixed: tuple[FixedSource | FixedCounts | ScaledCounts, ...]
    moving: tuple[MovingMixture | MovingGrid, ...]
    backgrounds: tuple[FixedCounts | ScaledCounts, ...]
    panels: int = eqx.field(static=True)

    def take(self, elements: np.ndarray) -> CubeStack:
        """Stacks of some elements (K, M), with a leading axis K on every array; only without moving sources."""
        count = len(elements)

        def chosen(part: FixedSource | FixedCounts | ScaledCounts) -> FixedSource | FixedCounts | ScaledCounts:
            taken = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *jnp.shape(leaf))), part)
            for name in ("matrix", "template", "energy"):
                if hasattr(part, name):
                    taken = eqx.tree_at(attrgetter(name), taken, jnp.asarray(getattr(part, name))[elements])
            return taken

        def row(array: Array | None) -> Array | None:
            return None if array is None else jnp.asarray(array)[0][elements][:, None]

        return CubeStack(
            edges=jnp.broadcast_to(self.edges, (count, *self.edges.shape)),
            energy=jnp.asarray(self.energy)[elements],
            counts=row(self.counts),
            mask=row(self.mask),
            offset=row(self.offset),
            counts_off=row(self.counts_off),
            alpha=row(self.alpha),
            fixed=tuple(map(chosen, self.fixed)),
            moving=(),
            backgrounds=tuple(map(chosen, self.backgrounds)),
            panels=self.panels,
        )

    def signal(self, values: Array) -> Array:
        """Predicted signal counts (1, E) for the vector of slot values."""
        size = self.counts.shape[-1]
        signal = jnp.zeros(size)
        for source in self.fixed:
            signal = signal + source.counts(values, self.edges, self.panels)
        for source in self.moving:
            signal = signal + source.counts(values, self.edges, self.panels, size)
        return signal[None]

    def background(self, values: Array) -> Array:
        """Predicted background counts (1, E); 0 for wstat."""
        background = jnp.zeros(self.counts.shape[-1])
        for part in self.backgrounds:
            background = background + part.counts(values, self.edges, self.panels)
        return background[None]

    def expectation(self, values: Array) -> Array:
        """What the statistic compares with the counts, (1, E): signal for wstat, signal + background for cash."""
        return self.signal(values) + self.background(values)

    def on_counts(self, expectation: Array) -> Array:
        """Predicted ON counts (1, E): for wstat the profiled background is added to the signal."""
        if self.alpha is None:
            return expectation
        return expectation + self.alpha * wstat_mu_bkg(self.counts, self.counts_off, self.alpha, expectation)

    def statistic(self, expectation: Array) -> Array:
        """-2 ln L per element (1, E), zero outside the mask."""
        if self.alpha is None:
            return self.mask * (cash(self.counts, expectation) + self.offset)
        return self.mask * (wstat(self.counts, self.counts_off, self.alpha, expectation) + self.offset)

    def curvature(self, expectation: Array) -> Array:
        """Second derivative of the statistic per element (1, E): expected for wstat, as observed for cash.

        Expected curvature, 2 / mu, cannot be summed over merged bins; the observed one, 2 n / mu^2, can.
        """
        if self.alpha is not None:
            return self.mask * wstat_curvature(self.counts, self.counts_off, self.alpha, expectation)
        slope = jax.jvp(lambda mu: _slope(self.counts, mu), (expectation,), (jnp.ones_like(expectation),))[1]
        return self.mask * slope


def _slope(counts: Array, mu: Array) -> Array:
    return jax.jvp(lambda x: cash(counts, x), (mu,), (jnp.ones_like(mu),))[1]
