"""Datasets and models compiled into one pure function of a vector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy.table import Table
from jax import Array

from gammax._config import require_x64
from gammax.datasets import MapDataset, MapDatasetOnOff
from gammax.errors import FitError, ModelError, did_you_mean
from gammax.folding._spectrum import reaches
from gammax.folding._view import ORDERS
from gammax.likelihood._cube import CubeStack
from gammax.likelihood._cube_build import Draft, stack_cubes
from gammax.likelihood._curves import Derivatives
from gammax.likelihood._plan import make_plans
from gammax.likelihood._problem import Problem
from gammax.likelihood._stack import SpectrumStack, make_stack, stack_key
from gammax.likelihood._table import Slots, factor_scale
from gammax.models import Models, SkyModel

if TYPE_CHECKING:
    from gammax.datasets import Datasets
    from gammax.likelihood._cube_build import Dataset


class Likelihood(eqx.Module):
    """-2 ln L of datasets under models, as a pure float64 function of the free parameters in factor space.

    A likelihood is a pytree and its functions are compiled once per structure: `jax.jit`, `jax.grad`, `jax.hessian` and
    `jax.vmap` take it as it is. ``value = factor * scale`` with |factor| between 1 and 10 at the start.

    Parameters
    ----------
    datasets : `Datasets`, a spectrum or cube, or an iterable of them.
    models : `Models`, a `SkyModel`, or an iterable of them.
    order : of the folding in cubes. "exposure-first": exposure at the true position, before the PSF; "psf-first": at
        the reconstructed one, after it, as Gammapy has it.
    dense : in cubes, keep every bin that a source reaches. By default those without counts are merged, which is exact
        as long as the predicted counts are positive.

    Raises
    ------
    FitError : JAX is set to 32 bits, unknown `order`, no free parameter, no dataset, two of the same name.
    ModelError : a start value that is not finite or is outside its bounds, a source that is seen in no dataset.
    DataValueError : counts, responses or acceptances that cannot be right.
    """

    problem: Problem
    theta0: Array
    names: tuple[str, ...] = eqx.field(static=True)
    units: tuple[str, ...] = eqx.field(static=True)
    dataset_places: tuple[tuple[str, int, int], ...] = eqx.field(static=True)

    def __init__(
        self,
        datasets: Datasets | Iterable[Dataset],
        models: Models | SkyModel | Iterable[SkyModel],
        order: str = "exposure-first",
        dense: bool = False,
    ):
        require_x64()
        if order not in ORDERS:
            raise FitError("GX-FIT-014", f"unknown order {order!r}", do=did_you_mean(order, ORDERS))
        models = models if isinstance(models, Models) else Models(models)
        datasets = as_datasets(datasets)
        slots = Slots(models)
        slots.check_start()
        stacks, self.dataset_places = _make_stacks(datasets, models, slots, order, dense)
        free = list(slots.free)
        values = slots.column("value")
        scale = factor_scale(values[free])
        self.problem = Problem(
            stacks=stacks,
            values=values,
            scale=scale,
            lower=slots.column("min")[free] / scale,
            upper=slots.column("max")[free] / scale,
            free=slots.free,
        )
        self.theta0 = jnp.asarray(values[free] / scale)
        self.names = tuple(slots.names[slot] for slot in free)
        self.units = tuple(slots.parameters[slot].unit for slot in free)

    def __call__(self, theta: Array) -> Array:
        """-2 ln L at factors theta (P,).

        Raises
        ------
        ModelError : theta of another shape.
        """
        if jnp.shape(theta) != self.theta0.shape:
            raise ModelError(
                "GX-FIT-009", "theta has the wrong shape", found=jnp.shape(theta), expected=self.theta0.shape
            )
        return _statistic(self.problem, theta)

    def npred(self, theta: Array) -> dict[str, Array]:
        """Predicted (ON) counts by dataset: signal and background, that of wstat profiled.

        Of a spectrum (R,); of a cube its elements (E,), single bins, then merged ones: `MapDataset.npred` gives pixels.
        """
        return self._by_dataset(_on_counts(self.problem, theta))

    def npred_signal(self, theta: Array) -> dict[str, Array]:
        """Predicted signal counts by dataset, as `npred`."""
        return self._by_dataset(_signals(self.problem, theta))

    def statistic_by_dataset(self, theta: Array) -> dict[str, Array]:
        """-2 ln L of each dataset; they add up to the total."""
        return {name: part.sum() for name, part in self._by_dataset(_bins(self.problem, theta)).items()}

    def fisher(self, theta: Array) -> Array:
        """Fisher matrix of the statistic in factor space, (P, P): the inverse covariance is half of it.

        From the expected curvature of the statistic; of cubes in Cash statistic, whose bins may be merged, from the
        observed one.
        """
        return _fisher(self.problem, theta)

    def derivatives(self, theta: Array) -> Derivatives:
        """Value, gradient, exact Hessian and Fisher matrix in factor space."""
        return _derivatives(self.problem, theta)

    def to_values(self, theta: Array) -> Array:
        """Values in the parameters' units of factors theta (P,)."""
        return theta * self.problem.scale

    def from_values(self, values: Array) -> Array:
        """Factors of values (P,) in the parameters' units."""
        return values / self.problem.scale

    @property
    def parameters(self) -> Table:
        """Table of the free parameters: name, value, unit, min, max, scale."""
        scale = np.asarray(self.problem.scale)
        columns = (
            list(self.names),
            self.theta0 * scale,
            list(self.units),
            self.problem.lower * scale,
            self.problem.upper * scale,
            scale,
        )
        return Table(columns, names=("name", "value", "unit", "min", "max", "scale"))

    def _by_dataset(self, parts: tuple[Array, ...]) -> dict[str, Array]:
        return {name: parts[stack][place] for name, stack, place in self.dataset_places}

    def __repr__(self) -> str:
        bins = sum(int(np.sum(np.asarray(stack.mask))) for stack in self.problem.stacks)
        return (
            f"Likelihood({len(self.dataset_places)} datasets in {len(self.problem.stacks)} stacks, {bins} bins, "
            f"free: {', '.join(self.names)})"
        )


_statistic = jax.jit(lambda problem, theta: problem.statistic(theta))
_on_counts = jax.jit(lambda problem, theta: problem.on_counts(theta))
_signals = jax.jit(lambda problem, theta: problem.signals(theta))
_bins = jax.jit(lambda problem, theta: problem.bins(problem.expectations(theta)))
_fisher = jax.jit(lambda problem, theta: problem.fisher(theta))
_derivatives = jax.jit(lambda problem, theta: problem.derivatives(theta))


def as_datasets(datasets: Any) -> tuple[Dataset, ...]:
    """Datasets as a tuple: at least one, of different names."""
    if hasattr(datasets, "stat_type"):
        return (datasets,)
    datasets = tuple(datasets)
    if not datasets:
        raise FitError("GX-FIT-005", "no dataset to fit")
    twice = [name for name, times in Counter(dataset.name for dataset in datasets).items() if times > 1]
    if twice:
        raise FitError("GX-FIT-008", "two datasets have the same name", found=twice[0])
    return datasets


def _make_stacks(
    datasets: tuple[Dataset, ...], models: Models, slots: Slots, order: str, dense: bool
) -> tuple[tuple[SpectrumStack | CubeStack, ...], tuple[tuple[str, int, int], ...]]:
    """Stacks, and for each dataset its name, stack and place in it."""
    plans, seen = make_plans(models, slots), _seen(datasets, models)
    columns = {slot: number for number, slot in enumerate(slots.free)}
    groups: dict = {}
    for dataset in datasets:
        if is_folded(dataset):
            member = Draft(dataset, [plans[i] for i in seen[dataset.name]], order, dense, columns)
            key = member.key
        else:
            member, key = dataset, stack_key(dataset, seen[dataset.name])
        groups.setdefault(key, []).append((dataset.name, member))
    places, stacks = {}, []
    for number, group in enumerate(groups.values()):
        places |= {name: (number, place) for place, (name, _) in enumerate(group)}
        members = [member for _, member in group]
        if isinstance(members[0], Draft):
            stacks.append(stack_cubes(members))
        else:
            stacks.append(make_stack(members, [plans[i] for i in seen[members[0].name]], columns))
    return tuple(stacks), tuple((dataset.name, *places[dataset.name]) for dataset in datasets)


def is_folded(dataset: Dataset) -> bool:
    """Whether sources are folded into the pixels of a dataset, or into its region: a map, or a spectrum with a PSF."""
    return dataset.psf is not None or isinstance(dataset, MapDataset | MapDatasetOnOff)


def _seen(datasets: tuple[Dataset, ...], models: Models) -> dict[str, tuple[int, ...]]:
    """Numbers of the models that apply to each dataset.

    Raises
    ------
    ModelError : a model that applies to none.
    """
    seen = {
        dataset.name: tuple(i for i, model in enumerate(models) if _applies(model, dataset)) for dataset in datasets
    }
    for i, model in enumerate(models):
        if not any(i in found for found in seen.values()):
            raise ModelError(
                "GX-FIT-006",
                "the model is seen in no dataset",
                model=model.name,
                found=f"datasets_names {list(model.datasets_names or ())}" if model.datasets_names else "out of reach",
                expected=f"some of {', '.join(seen)}",
            )
    return seen


def _applies(model: Any, dataset: Dataset) -> bool:
    is_spectrum_source = isinstance(model, SkyModel) and not is_folded(dataset)
    named = model.datasets_names is None or dataset.name in model.datasets_names
    return named and (not is_spectrum_source or reaches(model, dataset))
