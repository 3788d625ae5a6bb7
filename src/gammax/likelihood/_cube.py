"""A cube as bins of the Cash or wstat statistic: few that matter one by one, and per energy what may be merged.

Bins without counts may be merged as long as every mu in them is positive: their statistic is linear in mu. Bins that
no source reaches may be merged whatever their counts: their mu is one background times one factor per energy, and the
sums over them are sufficient. Both are exact, the second up to the constant `offset`.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.likelihood._curves import Derivatives, count_emptied, expected_on, look, scatter
from gammax.likelihood._parts import Group
from gammax.stats import cash, wstat, wstat_curvature

# numbers of a Jacobian that are held at once when many cubes are gone through: 32 MB
_AT_ONCE = 4_000_000


class Cube(eqx.Module):
    """One cube with E elements: single bins, then per reconstructed energy merged bins.

    Attributes
    ----------
    edges : true-energy edges [TeV], (T + 1,).
    energy : reconstructed bin of the elements, (E,).
    counts, mask : (E,); the mask is 1 inside and 0 outside.
    offset : constant of merged bins, added to the statistic, (E,).
    counts_off, alpha : (E,) OFF counts and exposure ratio of a wstat fit, else None.
    sources, backgrounds : parts of the signal, and what is not a source.
    columns : which of the fit's parameters the cube depends on, (L,).
    merged : whether bins without counts are.
    """

    edges: Array
    energy: Array
    counts: Array
    mask: Array
    offset: Array
    counts_off: Array | None
    alpha: Array | None
    sources: tuple[Group, ...]
    backgrounds: tuple[Group, ...]
    columns: Array
    panels: int = eqx.field(static=True)
    merged: bool = eqx.field(static=True)

    def signal(self, values: Array) -> Array:
        """Predicted signal counts (E,) for the vector of slot values."""
        return self._sum(self.sources, values)

    def background(self, values: Array) -> Array:
        """Predicted background counts (E,); 0 for wstat."""
        return self._sum(self.backgrounds, values)

    def expectation(self, values: Array) -> Array:
        """What the statistic compares with the counts, (E,): signal for wstat, signal + background for cash."""
        return self._sum((*self.sources, *self.backgrounds), values)

    def _sum(self, groups: tuple[Group, ...], values: Array) -> Array:
        counts = (group.counts(values, self.edges, self.panels) for group in groups)
        return sum(counts, start=jnp.zeros_like(self.counts))

    def statistic(self, expectation: Array) -> Array:
        """-2 ln L per element (E,), zero outside the mask."""
        if self.counts_off is None or self.alpha is None:
            return self.mask * (cash(self.counts, expectation) + self.offset)
        return self.mask * (wstat(self.counts, self.counts_off, self.alpha, expectation) + self.offset)

    def curvature(self, expectation: Array, second: Array) -> Array:
        """Curvature of the statistic per element (E,) that is never negative: expected for wstat, as observed for cash.

        Expected curvature, 2 / mu, cannot be summed over merged bins; the observed one, 2 n / mu^2, can.
        """
        if self.counts_off is None or self.alpha is None:
            return second
        return self.mask * wstat_curvature(self.counts, self.counts_off, self.alpha, expectation)

    def lowest(self, values: Array) -> Array:
        """Lowest flux or factor of what adds up to the expectation: below 0 merging is no longer exact; infinity where
        nothing is merged."""
        if not self.merged:
            return jnp.full((), jnp.inf)
        groups = (*self.sources, *self.backgrounds)
        return jnp.stack([group.lowest(values, self.edges, self.panels) for group in groups]).min(initial=jnp.inf)

    def derivatives(self, values: Array) -> Derivatives:
        """Value, and derivatives by the numbers of the L columns."""
        signal = self.signal(values)
        mu = signal + self.background(values)
        value, first, second = look(self.statistic, mu)
        jacobian = jnp.zeros((self.columns.shape[0], mu.shape[0]))
        bends = jnp.zeros((self.columns.shape[0],) * 2)
        for group in (*self.sources, *self.backgrounds):
            if group.free:
                slopes, bend = group.bend(values, self.edges, self.panels, first)
                jacobian = jacobian.at[group.columns.ravel()].add(slopes.reshape(-1, mu.shape[0]))
                bends = bends.at[group.columns[:, :, None], group.columns[:, None, :]].add(bend)
        return Derivatives(
            value=jnp.sum(value),
            gradient=jacobian @ first,
            hessian=(jacobian * second) @ jacobian.T + bends,
            fisher=(jacobian * self.curvature(mu, second)) @ jacobian.T,
            emptied=count_emptied(self.mask, signal, expected_on(self.counts, self.counts_off, self.alpha, mu)),
            lowest=self.lowest(values),
        )


class CubeStack(eqx.Module):
    """D cubes of equal structure: every array of `cubes` has a leading axis of length D."""

    cubes: Cube

    counts = property(attrgetter("cubes.counts"), doc="(D, E)")
    mask = property(attrgetter("cubes.mask"), doc="(D, E)")
    counts_off = property(attrgetter("cubes.counts_off"), doc="(D, E) or None")
    alpha = property(attrgetter("cubes.alpha"), doc="(D, E) or None")
    energy = property(attrgetter("cubes.energy"), doc="(D, E)")

    def signal(self, values: Array) -> Array:
        """Predicted signal counts (D, E) for the vector of slot values."""
        return self._each(lambda cube: cube.signal(values))

    def background(self, values: Array) -> Array:
        """Predicted background counts (D, E); 0 for wstat."""
        return self._each(lambda cube: cube.background(values))

    def expectation(self, values: Array) -> Array:
        """What the statistic compares with the counts, (D, E): signal for wstat, signal + background for cash."""
        return self._each(lambda cube: cube.expectation(values))

    def on_counts(self, expectation: Array) -> Array:
        """Predicted ON counts (D, E): for wstat the profiled background is added to the signal."""
        return expected_on(self.counts, self.counts_off, self.alpha, expectation)

    def statistic(self, expectation: Array) -> Array:
        """-2 ln L per element (D, E), zero outside the mask."""
        return jax.vmap(lambda cube, mu: cube.statistic(mu))(self.cubes, expectation)

    def derivatives(self, values: Array, size: int) -> Derivatives:
        """Value, and derivatives by the slot values of the fit's `size` parameters."""
        found = self._each(lambda cube: (cube.columns, cube.derivatives(values)))
        return scatter(*found, size)

    @property
    def moves(self) -> bool:
        """Whether a fit moves a source."""
        return any(hasattr(group.part, "elements") for group in self.cubes.sources)

    def take(self, elements: np.ndarray) -> CubeStack:
        """Stacks of some elements (K, D, M), with a leading axis K on every array; only where no source moves."""
        count, depth = elements.shape[:2]
        cubes, each = self.cubes, np.arange(depth)[:, None]

        def repeated(tree: Any) -> Any:
            return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *jnp.shape(leaf))), tree)

        def of_parts(array: Array) -> np.ndarray:
            return np.moveaxis(np.moveaxis(np.asarray(array), 1, 2)[each, elements], 3, 2)

        def chosen(group: Group) -> Group:
            taken = repeated(group)
            for name in ("matrix", "template", "energy"):
                if hasattr(group.part, name):
                    taken = eqx.tree_at(attrgetter(f"part.{name}"), taken, of_parts(getattr(group.part, name)))
            return taken

        plain = ("energy", "counts", "mask", "offset", "counts_off", "alpha")
        arrays = {name: getattr(cubes, name) for name in plain}
        rows = {name: None if array is None else np.asarray(array)[each, elements] for name, array in arrays.items()}
        groups = {name: tuple(map(chosen, getattr(cubes, name))) for name in ("sources", "backgrounds")}
        others = {name: repeated(getattr(cubes, name)) for name in ("edges", "columns")}
        return CubeStack(Cube(**rows, **groups, **others, panels=cubes.panels, merged=cubes.merged))

    def _each(self, function: Callable[[Cube], Any]) -> Any:
        """What a function of a cube gives for each of them, along a leading axis."""
        depth, size = np.shape(self.cubes.counts)
        if depth == 1:
            alone = function(jax.tree.map(lambda leaf: leaf[0], self.cubes))
            return jax.tree.map(lambda leaf: leaf[None], alone)
        batch = max(1, _AT_ONCE // (size * max(1, self.cubes.columns.shape[-1])))
        if batch >= depth:
            return jax.vmap(function)(self.cubes)
        return jax.lax.map(function, self.cubes, batch_size=batch)
