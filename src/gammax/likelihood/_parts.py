"""What adds up to the predicted counts of a dataset: each part is a pure function of its own numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.folding import total_flux
from gammax.folding._irf import EnergySpline, scaled_flux
from gammax.likelihood._curves import Moved
from gammax.likelihood._plan import Effects, Plan
from gammax.likelihood._table import Recipe


class Source(eqx.Module):
    """The spectrum of a source, and what a model of the responses does to it."""

    spectrum: Recipe = eqx.field(static=True)
    effects: Effects = eqx.field(static=True)

    def flux(self, numbers: Array, edges: Array, panels: int) -> Array:
        """Flux in true-energy bins [cm-2 s-1], (T,), times what the effective area is more than that of the files."""
        return scaled_flux([self.spectrum.build(numbers)], edges, panels, self.effects.scales(numbers))

    def lowest(self, numbers: Array, edges: Array, panels: int) -> Array:
        """Lowest flux in a true-energy bin."""
        return self.flux(numbers, edges, panels).min()


class FixedSource(Source):
    """A source of frozen place: counts of a unit flux in every true-energy bin, (E, T)."""

    matrix: Array

    def counts(self, numbers: Array, edges: Array, panels: int) -> Array:
        """Predicted counts of the elements, (E,)."""
        return self.matrix @ self.flux(numbers, edges, panels)


class Dispersion(eqx.Module):
    """Energy dispersion of a source, (R, T); with a spline where the scale of reconstructed energy may differ from
    that of the files."""

    matrix: Array
    spline: EnergySpline | None

    def scaled(self, scale: Array | None) -> Array:
        """The matrix when reconstructed energies are scaled."""
        return self.matrix if self.spline is None else self.spline.shifted(self.matrix.T, scale).T


class FixedPlace(Source):
    """A source of frozen place under a moving scale of reconstructed energy.

    Attributes
    ----------
    matrix : what the elements hold of it before energy dispersion, (E, T). energy : their reconstructed bins, (E,).
    """

    matrix: Array
    energy: Array
    dispersion: Dispersion

    def counts(self, numbers: Array, edges: Array, panels: int) -> Array:
        """Predicted counts of the elements, (E,)."""
        response = self.dispersion.scaled(self.effects.scales(numbers).energy_scale_reco)
        weight = response * self.flux(numbers, edges, panels)
        return jnp.sum(self.matrix * weight[self.energy], axis=1)


class FixedCounts(eqx.Module):
    """Predicted counts of frozen shape, (..., E), times some of the numbers."""

    template: Array
    slots: tuple[int, ...] = eqx.field(static=True)

    def counts(self, numbers: Array, edges: Array, panels: int) -> Array:
        """Predicted counts, shape of the template."""
        counts = self.template
        for slot in self.slots:
            counts = counts * numbers[slot]
        return counts

    def lowest(self, numbers: Array, edges: Array, panels: int) -> Array:
        """Lowest predicted count."""
        return self.counts(numbers, edges, panels).min()


class ScaledCounts(eqx.Module):
    """Predicted counts times a norm model of the reconstructed energy: background, counts templates.

    Attributes
    ----------
    template : counts, (..., E).
    energy : their reconstructed bins, (E,).
    centers : centres of the reconstructed bins [TeV], (R,).
    """

    template: Array
    energy: Array
    centers: Array
    norm: Recipe = eqx.field(static=True)

    def counts(self, numbers: Array, edges: Array, panels: int) -> Array:
        """Predicted counts, shape of the template."""
        return self.template * self.norm.build(numbers).dnde(self.centers)[self.energy]

    def lowest(self, numbers: Array, edges: Array, panels: int) -> Array:
        """Lowest factor of a reconstructed bin."""
        return self.norm.build(numbers).dnde(self.centers).min()


def unit_flux(plan: Plan, edges: np.ndarray, panels: int) -> np.ndarray:
    """Flux (T,) of a spectrum of frozen shape, its norm being 1."""
    recipe = plan.spectrum
    return np.asarray(_flux(plan.shape.values[list(recipe.slots)], edges, recipe.renumbered(), panels))


def unit_factor(plan: Plan, centers: np.ndarray) -> np.ndarray:
    """Factors (R,) of a norm model of frozen shape, its norm being 1."""
    recipe = plan.spectrum
    return np.asarray(_factor(plan.shape.values[list(recipe.slots)], centers, recipe.renumbered()))


# compiled whole: operation by operation each would be compiled for itself
_flux = jax.jit(
    lambda numbers, edges, recipe, panels: total_flux([recipe.build(numbers)], edges, panels),
    static_argnames=("recipe", "panels"),
)
_factor = jax.jit(lambda numbers, centers, recipe: recipe.build(numbers).dnde(centers), static_argnames="recipe")


def bend_along(function: Callable[[Array], Array], x: Array, slope: Array) -> tuple[Array, Array]:
    """Jacobian (f, E) of a function of x (f,), and the Hessian (f, f) of its product with a slope (E,).

    One Hessian of a linear form, whose forward pass gives the Jacobian.
    """

    def contracted(x: Array) -> tuple[Array, Array]:
        there, pull = jax.vjp(function, x)
        return pull(slope)[0], there

    def push(tangent: Array) -> tuple[Array, Array]:
        return jax.jvp(contracted, (x,), (tangent,))[1]

    bend, jacobian = jax.vmap(push)(jnp.eye(x.shape[0]))
    return jacobian, bend


def bend_apart(
    function: Callable[[Array, Array], Array], light: Array, heavy: Array, slope: Array
) -> tuple[Array, Array]:
    """As `bend_along`, of a function of light and heavy numbers: what only heavy ones enter is not differentiated by
    light ones, as it would be with all of them in one vector."""

    def contracted(light: Array, heavy: Array) -> tuple[tuple[Array, Array], Array]:
        there, pull = jax.vjp(function, light, heavy)
        return pull(slope), there

    def push_light(tangent: Array) -> tuple[tuple[Array, Array], Array]:
        return jax.jvp(lambda light: contracted(light, heavy), (light,), (tangent,))[1]

    def push_heavy(tangent: Array) -> tuple[tuple[Array, Array], Array]:
        return jax.jvp(lambda heavy: contracted(light, heavy), (heavy,), (tangent,))[1]

    (among_light, _), by_light = jax.vmap(push_light)(jnp.eye(light.shape[0]))
    (across, among_heavy), by_heavy = jax.vmap(push_heavy)(jnp.eye(heavy.shape[0]))
    return jnp.concatenate([by_light, by_heavy]), jnp.block([[among_light, across.T], [across, among_heavy]])


class Group(eqx.Module):
    """S parts of one kind: every array of `part` has a leading axis of length S, so that fifty sources are one program.

    Each part has n numbers of its own, of which a fit moves f.

    Attributes
    ----------
    slots : where a part's numbers are among all slot values, (S, n).
    columns : which of the moving numbers of its dataset those are that move, (S, f).
    free : their places among a part's numbers.
    """

    part: eqx.Module
    slots: Array
    columns: Array
    free: tuple[int, ...] = eqx.field(static=True)

    def counts(self, values: Array, edges: Array, panels: int) -> Array:
        """Predicted counts of the elements, all parts together, (E,)."""
        return jax.vmap(lambda part, slots: part.counts(values[slots], edges, panels))(self.part, self.slots).sum(0)

    def lowest(self, values: Array, edges: Array, panels: int) -> Array:
        """Lowest flux, count or factor of all parts: negative where a bin might expect less than nothing."""
        return jax.vmap(lambda part, slots: part.lowest(values[slots], edges, panels))(self.part, self.slots).min()

    def bend(self, values: Array, edges: Array, panels: int, slope: Array) -> tuple[Array, Array]:
        """Jacobians (S, f, E), and Hessians (S, f, f) of their products with a slope (E,), each part's for itself."""
        free = np.array(self.free, dtype=int)

        def one(part: eqx.Module, slots: Array) -> tuple[Array, Array]:
            numbers = values[slots]
            if hasattr(part, "bend"):
                return part.bend(numbers, self.free, edges, panels, slope)
            return bend_along(lambda x: part.counts(Moved(numbers, self.free, x), edges, panels), numbers[free], slope)

        return jax.vmap(one)(self.part, self.slots)


def stacked(*arrays: np.ndarray) -> np.ndarray:
    """Arrays of equal shape along a new leading axis; one alone is not copied."""
    return np.asarray(arrays[0])[np.newaxis] if len(arrays) == 1 else np.stack(arrays)


def make_group(
    parts: Sequence[eqx.Module], slots: Sequence[Sequence[int]], free: tuple[int, ...], columns: dict[int, int]
) -> Group:
    """Group of parts of equal structure and shapes.

    Parameters
    ----------
    slots : of each part's numbers. free : places of those that move. columns : of the moving slots.
    """
    places = np.array(slots, dtype=int).reshape(len(parts), -1)
    moving = [[columns[slot] for slot in row[list(free)]] for row in places]
    return Group(
        part=jax.tree.map(stacked, *parts),
        slots=places,
        columns=np.array(moving, dtype=int).reshape(len(parts), len(free)),
        free=free,
    )
