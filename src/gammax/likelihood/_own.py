"""Data of a user's own in a likelihood: an expectation and a statistic that somebody else has written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy.units import Quantity
from jax import Array

from gammax.datasets import Dataset
from gammax.errors import FitError
from gammax.likelihood._curves import Derivatives, look, scatter
from gammax.likelihood._parts import bend_along
from gammax.likelihood._table import Recipe, Slots
from gammax.models import Models
from gammax.models._function import ByIdentity
from gammax.models._parameter import is_parameter

_ARRAY = object()


class Frame:
    """What a dataset is besides its arrays: hashable, so that data of equal structure share one compiled program."""

    def __init__(self, structure: Any, fixed: tuple[Any, ...]):
        self._key = (structure, fixed)

    def build(self, arrays: Sequence[Array]) -> Any:
        """Dataset with (traced) arrays."""
        structure, fixed = self._key
        numbers = iter(arrays)
        leaves = [next(numbers) if leaf is _ARRAY else leaf for leaf in fixed]
        return jax.tree.unflatten(structure, [leaf.value if isinstance(leaf, ByIdentity) else leaf for leaf in leaves])

    def holds_tracers(self) -> bool:
        """Whether an object that is closed over holds traced numbers."""
        objects = (leaf.value for leaf in self._key[1] if isinstance(leaf, ByIdentity))
        held = (leaf for one in objects for leaf in jax.tree.leaves(getattr(one, "__dict__", {})))
        return any(isinstance(leaf, jax.core.Tracer) for leaf in held)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frame) and self._key == other._key

    def __repr__(self) -> str:
        return f"Frame{self._key}"


class OwnStack(eqx.Module):
    """A dataset of the user's own. Its points have the shape that its `npred` gives, with an axis (1,) in front.

    Attributes
    ----------
    arrays : those of the dataset.
    mask : of what its statistic gives, (1, ...), 1 inside and 0 outside.
    frame : the rest of the dataset.
    models : recipe of the `Models` that apply to it.
    moved : free slots of those models, and the fit's parameters in them.
    mixes : whether the statistic of one point depends on other points.
    """

    arrays: tuple[Array, ...]
    mask: Array
    frame: Frame = eqx.field(static=True)
    models: Recipe = eqx.field(static=True)
    moved: tuple[tuple[int, ...], tuple[int, ...]] = eqx.field(static=True)
    mixes: bool = eqx.field(static=True)

    # what the other stacks have: nothing is counted here
    counts = counts_off = alpha = None

    @property
    def dataset(self) -> Any:
        """The dataset."""
        return self.frame.build(self.arrays)

    def signal(self, values: Array) -> Array:
        """What the dataset expects for the vector of slot values, (1, ...)."""
        return jnp.asarray(self.dataset.npred(self.models.build(values)), dtype=float)[None]

    def background(self, values: Array) -> Array:
        """Nothing: what there is belongs to `signal`."""
        return jnp.zeros_like(self.signal(values))

    def expectation(self, values: Array) -> Array:
        """What the statistic compares with the data: `signal`."""
        return self.signal(values)

    def on_counts(self, expectation: Array) -> Array:
        """The expectation as it is."""
        return expectation

    def statistic(self, expectation: Array) -> Array:
        """-2 ln L in the shape in which the dataset gives it, (1, ...), zero outside the mask."""
        return self.mask * jnp.asarray(self.dataset.statistic(expectation[0]), dtype=float)[None]

    def with_counts(self, data: Array | None) -> OwnStack:
        """Stack with other data (1, ...); None leaves them.

        Raises
        ------
        FitError : the dataset has no method `with_data`. Others as `with_dataset`.
        """
        if data is None:
            return self
        if not hasattr(self.dataset, "with_data"):
            raise FitError(
                "GX-FIT-403",
                "the data of this dataset cannot be exchanged",
                dataset=self.dataset.name,
                do="give it a method with_data(values), see gammax.datasets.Dataset",
            )
        return self.with_dataset(self.dataset.with_data(data[0]))

    def with_dataset(self, dataset: Any) -> OwnStack:
        """Stack of a dataset with other arrays, also traced ones.

        Raises
        ------
        FitError : a dataset of another structure.
        """
        arrays, frame = _take_apart(dataset)
        if [np.shape(array) for array in arrays] != [np.shape(array) for array in self.arrays]:
            raise FitError("GX-FIT-404", "a dataset of another structure", dataset=self.dataset.name)
        if frame.holds_tracers():
            raise FitError(
                "GX-FIT-409",
                "the data of an object that is closed over cannot be varied inside a compiled program",
                dataset=self.dataset.name,
                do="make the dataset an equinox.Module",
            )
        return OwnStack(arrays, self.mask, frame, self.models, self.moved, self.mixes)

    def derivatives(self, values: Array, size: int) -> Derivatives:
        """Value, and derivatives by the slot values of the fit's `size` parameters; the Fisher matrix is that of the
        part of the curvature that is not negative."""
        slots, columns = (np.array(part, dtype=int) for part in self.moved)
        expected = self.expectation(values)

        def flat(x: Array) -> Array:
            return self.expectation(values.at[slots].set(x)).ravel()

        def statistic(mu: Array) -> Array:
            return self.statistic(mu.reshape(expected.shape)).ravel()

        value, slope, curve, convex = (_mixed if self.mixes else _pointwise)(statistic, expected.ravel())
        jacobian, bend = bend_along(flat, values[slots], slope)
        own = Derivatives(
            value=value,
            gradient=jacobian @ slope,
            hessian=curve(jacobian) @ jacobian.T + bend,
            fisher=convex(jacobian) @ jacobian.T,
            emptied=jnp.zeros((), dtype=int),
            lowest=jnp.full((), jnp.inf),
        )
        return scatter(columns[None], jax.tree.map(lambda part: part[None], own), size)


def _pointwise(statistic: Any, mu: Array) -> tuple[Array, Array, Any, Any]:
    """Value and slope of a sum over points, and what multiplies a Jacobian (P, N) by its curvature, and by the part of
    it that is not negative."""
    value, slope, second = look(statistic, mu)
    return value.sum(), slope, lambda j: j * second, lambda j: j * jnp.maximum(second, 0.0)


def _mixed(statistic: Any, mu: Array) -> tuple[Array, Array, Any, Any]:
    """As `_pointwise`, of points that are correlated: by a matrix (N, N)."""
    value, slope = jax.value_and_grad(lambda x: statistic(x).sum())(mu)
    second = jax.hessian(lambda x: statistic(x).sum())(mu)
    eigenvalues, vectors = jnp.linalg.eigh(second)
    positive = (vectors * jnp.maximum(eigenvalues, 0.0)) @ vectors.T
    return value, slope, lambda j: j @ second, lambda j: j @ positive


def is_own(dataset: Any) -> bool:
    """Whether a dataset is the user's own: it follows the protocol `gammax.datasets.Dataset`, and is none of ours."""
    # the protocol last: asking for it takes a third of the time in which a hundred spectra are stacked
    return not hasattr(dataset, "stat_type") and not isinstance(dataset, type) and isinstance(dataset, Dataset)


def make_own(dataset: Any, models: Models, applies: Sequence[bool], slots: Slots, columns: dict[int, int]) -> OwnStack:
    """Stack of a dataset of the user's own.

    Parameters
    ----------
    applies : of each of the models, whether the dataset sees it. columns : of the moving slots, as `make_stack`.

    Raises
    ------
    FitError : a field with a unit, methods that leave JAX or give no real numbers.
    """
    arrays, frame = _take_apart(dataset)
    recipe = _models_recipe(models, applies, slots)
    moving = tuple(sorted({slot for slot in recipe.slots if slot in columns}))
    moved = (moving, tuple(columns[slot] for slot in moving))
    draft = OwnStack(arrays, np.ones(1), frame, recipe, moved, mixes=False)
    values = slots.column("value")
    expected = _shape_of(lambda v: draft.dataset.npred(recipe.build(v)), values, "npred", dataset.name)
    result = _shape_of(draft.dataset.statistic, expected, "statistic", dataset.name)
    mask = np.ones((1, *result.shape))
    mixes = result.shape != expected.shape or bool(_mixes(OwnStack(arrays, mask, frame, recipe, moved, True), values))
    return OwnStack(arrays, mask, frame, recipe, moved, mixes)


def _shape_of(function: Callable[[Any], Any], argument: Any, what: str, name: str) -> jax.ShapeDtypeStruct:
    """Shape and type of what a method of a dataset gives."""
    try:
        found = jax.eval_shape(lambda x: jnp.asarray(function(x)), argument)
    except jax.errors.JAXTypeError as error:
        raise FitError(
            "GX-FIT-405",
            f"{what} of the dataset leaves JAX, which sees no derivative then",
            dataset=name,
            do="take jax.numpy in place of numpy, and dnde(energy) in place of a model called with a Quantity",
        ) from error
    if not found.size or jnp.issubdtype(found.dtype, jnp.complexfloating):
        raise FitError(
            "GX-FIT-402",
            f"{what} of the dataset gives no real numbers",
            dataset=name,
            found=f"shape {found.shape}, {found.dtype}",
        )
    return found


def _models_recipe(models: Models, applies: Sequence[bool], slots: Slots) -> Recipe:
    """Recipe of the models that apply to a dataset."""
    seen, own, rest = [], [], list(slots.of_parameter)
    for model, wanted in zip(models, applies, strict=True):
        size = sum(map(is_parameter, jax.tree.leaves(model, is_leaf=is_parameter)))
        if wanted:
            seen, own = [*seen, model], own + rest[:size]
        rest = rest[size:]
    return Recipe(Models(seen), own)


@jax.jit
def _mixes(stack: OwnStack, values: Array) -> Array:
    """Whether points are mixed: of a sum of functions of one number each, the derivative in a direction is, number by
    number, the gradient times that direction."""
    mu = stack.expectation(values)
    number = jnp.arange(mu.size, dtype=float).reshape(mu.shape)
    direction = 1.0 + jnp.sin(number)

    def mixed(mu: Array) -> Array:
        along = jax.jvp(stack.statistic, (mu,), (direction,))[1]
        gradient = jax.grad(lambda x: stack.statistic(x).sum())(mu)
        size = jnp.abs(gradient * direction).max(initial=0.0)
        return jnp.any(jnp.abs(along - gradient * direction) > 1e-9 * size)

    # where the data are what is expected all slopes are zero, mixed or not: beside that they are not
    beside = mu + 0.1 * jnp.where(mu == 0.0, 1.0, mu) * jnp.cos(1.0 + number)
    return jnp.any(jax.lax.map(mixed, jnp.stack([mu, beside])))


def _take_apart(dataset: Any) -> tuple[tuple[Array, ...], Frame]:
    """Arrays of a dataset, and the rest of it; an object that JAX does not look into is closed over.

    All are copies: what the user changes in them later, also in place, changes no likelihood made of them before.
    """
    leaves, structure = jax.tree.flatten(dataset)
    arrays, fixed = [], []
    for leaf in leaves:
        if isinstance(leaf, Quantity):
            raise FitError(
                "GX-FIT-401",
                "the dataset holds a Quantity, whose unit JAX would drop",
                dataset=dataset.name,
                found=f"an array in {leaf.unit}",
                do="hold plain numbers: quantity.to_value('TeV')",
            )
        if _is_numbers(leaf):
            # strong 64-bit types in native byte order: data from other sources then share the compiled program
            known = isinstance(leaf, jax.core.Tracer)
            arrays.append(leaf if known else np.array(leaf, dtype=_wide(np.asarray(leaf).dtype)))
            fixed.append(_ARRAY)
        else:
            fixed.append(ByIdentity(_copied(leaf)) if leaf is dataset or not _is_plain(leaf) else leaf)
    return tuple(arrays), Frame(structure, tuple(fixed))


def _copied(leaf: Any) -> Any:
    """An object with its arrays; with the same ones where it cannot be copied whole (open files, locks)."""
    try:
        return deepcopy(leaf)
    except Exception:
        return copy(leaf)


def _is_numbers(leaf: Any) -> bool:
    if isinstance(leaf, jax.Array | float):
        return True
    return isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind in "fiub"


def _is_plain(leaf: Any) -> bool:
    return leaf is None or callable(leaf) or isinstance(leaf, str | int | bool)


def _wide(dtype: np.dtype) -> Any:
    return np.float64 if dtype.kind == "f" else dtype.newbyteorder("=")
