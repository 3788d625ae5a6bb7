"""Datasets and models compiled into one pure function of a vector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy.table import Table
from jax import Array
from jax.sharding import Mesh

from gammax._config import require_x64
from gammax.datasets import MapDataset, MapDatasetOnOff
from gammax.errors import FitError, ModelError, did_you_mean
from gammax.folding._spectrum import reaches
from gammax.folding._view import ORDERS
from gammax.likelihood._counts import check_single, exchange, exchange_own, expected_counts, with_expected
from gammax.likelihood._cube import CubeStack
from gammax.likelihood._cube_build import Draft, stack_cubes
from gammax.likelihood._curves import Derivatives
from gammax.likelihood._own import OwnStack, is_own, make_own
from gammax.likelihood._penalties import describe, exchange_prior, make_penalties
from gammax.likelihood._plan import check_effects, make_plans
from gammax.likelihood._problem import Problem
from gammax.likelihood._runs import RunStack, columns_of, stack_spectra
from gammax.likelihood._shard import bins_here, check_kinds, largest, over_processes, refuse_processes, spread
from gammax.likelihood._stack import SpectrumStack, draft_spectrum
from gammax.likelihood._table import Slots, factor_bounds, factor_scale, slots_of
from gammax.models import Models, Prior, SkyModel

if TYPE_CHECKING:
    from gammax.datasets import Datasets
    from gammax.likelihood._cube_build import Dataset


class Likelihood(eqx.Module):
    """-2 ln L of datasets under models, as a pure float64 function of the free parameters in factor space.

    A likelihood is a pytree and its functions are compiled once per structure: `jax.jit`, `jax.grad`, `jax.hessian` and
    `jax.vmap` take it as it is. ``value = factor * scale`` with |factor| between 1 and 10 at the start. A loop of calls
    is quicker, on a GPU much, with ``jax.device_put(likelihood)``: each hands over what does not lie there yet.

    Parameters
    ----------
    datasets : `Datasets`, a spectrum or cube, data of your own (`gammax.datasets.Dataset`), or an iterable of them.
    models : `Models`, a `SkyModel`, or an iterable of them.
    order : of the folding in cubes. "exposure-first": exposure at the true position, before the PSF; "psf-first": at
        the reconstructed one, after it, as Gammapy has it.
    dense : in cubes, keep every bin that a source reaches. By default those without counts are merged, which is exact
        as long as the predicted counts are positive.
    mesh : devices, along one axis, over which the datasets are spread (`jax.make_mesh`); each holds its share of the
        data, and what travels are sums. With several processes (`jax.distributed`), on machines of one kind, each
        gives the datasets that it holds, and all of the models.

    Attributes
    ----------
    theta0 : factors of the models' values, (P,): where a minimiser may start. `parameters` has their bounds.
    names, units : of the free parameters, (P,); of linked ones the first.

    Raises
    ------
    FitError : JAX is set to 32 bits, unknown `order`, no free parameter, no dataset, two of the same name.
    ModelError : a start value that is not finite or is outside its bounds, a source that is seen in no dataset.
    DataValueError : counts, responses or acceptances that cannot be right.
    """

    problem: Problem
    theta0: Array
    names: tuple[str, ...] = eqx.field(static=True)
    aliases: tuple[tuple[str, str], ...] = eqx.field(static=True)
    units: tuple[str, ...] = eqx.field(static=True)
    dataset_places: tuple[tuple[str, int, int], ...] = eqx.field(static=True)

    def __init__(
        self,
        datasets: Datasets | Iterable[Dataset],
        models: Models | SkyModel | Iterable[SkyModel],
        order: str = "exposure-first",
        dense: bool = False,
        mesh: Mesh | None = None,
    ):
        require_x64()
        if order not in ORDERS:
            raise FitError("GX-FIT-014", f"unknown order {order!r}", do=did_you_mean(order, ORDERS))
        models = models if isinstance(models, Models) else Models(models)
        datasets = as_datasets(datasets)
        slots = slots_of(models)
        slots.check_start()
        stacks, self.dataset_places = _make_stacks(datasets, models, slots, order, dense, mesh)
        free = list(slots.free)
        values = slots.column("value")
        scale = factor_scale(values[free])
        lower, upper = factor_bounds(slots, scale)
        self.problem = Problem(
            stacks=stacks,
            values=values,
            scale=scale,
            lower=lower,
            upper=upper,
            free=slots.free,
            penalties=make_penalties(models, slots),
            ties=slots.ties,
        )
        if mesh is not None:
            self.problem = spread(self.problem, mesh)
        self.theta0 = jnp.asarray(values[free] / scale)
        self.names = tuple(slots.names[slot] for slot in free)
        self.aliases = tuple((name, slots.names[slot]) for name, slot in slots.of_name.items() if slot in free)
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

        Of a spectrum (R,); of a cube its elements (E,), single bins, then merged ones: `MapDataset.npred` gives pixels;
        of data of your own what their `npred` gives.
        """
        return self._by_dataset(_on_counts(self.problem, theta))

    def npred_signal(self, theta: Array) -> dict[str, Array]:
        """Predicted signal counts by dataset, as `npred`."""
        return self._by_dataset(_signals(self.problem, theta))

    def statistic_by_dataset(self, theta: Array) -> dict[str, Array]:
        """-2 ln L of each dataset; with `prior_stat` they add up to the total."""
        return {name: part.sum() for name, part in self._by_dataset(_bins(self.problem, theta)).items()}

    def prior_stat(self, theta: Array) -> Array:
        """What priors and penalties add to the statistic; those of frozen parameters included, of linked ones once."""
        return _priors(self.problem, theta)

    def fisher(self, theta: Array) -> Array:
        """Fisher matrix of the statistic in factor space, (P, P): the inverse covariance is half of it.

        From the expected curvature of the statistic; of cubes in Cash statistic, whose bins may be merged, from the
        observed one.
        """
        return _fisher(self.problem, theta)

    def derivatives(self, theta: Array) -> Derivatives:
        """Value, gradient, exact Hessian and Fisher matrix in factor space."""
        return _derivatives(self.problem, theta)

    def with_counts(self, counts: Mapping[str, Array]) -> Likelihood:
        """Likelihood with other (ON) counts by dataset, in the shapes of `npred`; traced ones too.

        Data of your own are exchanged by their method `with_data`.

        Raises
        ------
        FitError : no dataset of that name, another shape, data of your own that cannot be exchanged.
        """
        problem = exchange(self.problem, self.dataset_places, counts)
        return eqx.tree_at(lambda own: own.problem, self, problem)

    def asimov(self, theta: Array) -> Likelihood:
        """Likelihood of the Asimov data: counts as expected at theta (P,), OFF counts too.

        Without priors its minimum is at theta.

        Raises
        ------
        FitError : cubes with merged bins, which hold no expectation; data of your own without `with_data`.
        """
        check_single(self.problem)
        # exchanged outside the compiled program, which must not reach into objects that are closed over
        problem = with_expected(self.problem, _expected(self.problem, jnp.asarray(theta)))
        return eqx.tree_at(lambda own: own.problem, self, problem)

    def with_dataset(self, dataset: Any) -> Likelihood:
        """Likelihood with data of your own in the place of those of the same name, their arrays of the same shapes;
        traced ones too, so that errors or energies can be varied as counts are by `with_counts`.

        Raises
        ------
        FitError : no such dataset of your own, or one of another structure.
        """
        problem = exchange_own(self.problem, self.dataset_places, dataset)
        return eqx.tree_at(lambda own: own.problem, self, problem)

    def with_prior(self, name: str, prior: Prior) -> Likelihood:
        """Likelihood with other numbers in the prior of a free parameter, by its name or one linked to it; traced ones
        too, so that widths can be swept under `jax.vmap` without compiling anew. Bounds stay as they are.

        Raises
        ------
        ModelError : no free parameter of that name, or one without a prior of that class.
        """
        known = dict(self.aliases)
        if name not in known:
            raise ModelError("GX-MODEL-116", f"no free parameter {name!r}", do=did_you_mean(name, known))
        penalties = exchange_prior(self.problem.penalties, self.problem.free[self.names.index(known[name])], prior)
        if penalties is None:
            raise ModelError(
                "GX-MODEL-117",
                f"the parameter has no {type(prior).__name__} whose numbers could be changed",
                parameter=name,
                do="models.with_prior before the likelihood is made",
            )
        return eqx.tree_at(lambda own: own.problem.penalties, self, penalties)

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
        refuse_processes(self.problem.mesh, "numbers by dataset")
        return {name: parts[stack][place] for name, stack, place in self.dataset_places}

    def __repr__(self) -> str:
        bins = sum(bins_here(stack, self.problem.mesh) for stack in self.problem.stacks)
        return (
            f"Likelihood({len(self.dataset_places)} datasets in {len(self.problem.stacks)} stacks, {bins} bins, "
            f"free: {', '.join(self.names)}{describe(self.problem.penalties)})"
        )


_statistic = jax.jit(lambda problem, theta: problem.statistic(theta))
_on_counts = jax.jit(lambda problem, theta: problem.on_counts(theta))
_signals = jax.jit(lambda problem, theta: problem.signals(theta))
_bins = jax.jit(lambda problem, theta: problem.bins(problem.expectations(theta)))
_priors = jax.jit(lambda problem, theta: problem.prior_statistic(theta))
_fisher = jax.jit(lambda problem, theta: problem.fisher(theta))
_derivatives = jax.jit(lambda problem, theta: problem.derivatives(theta))
_expected = jax.jit(expected_counts)


def as_datasets(datasets: Any) -> tuple[Dataset, ...]:
    """Datasets as a tuple: at least one, of different names."""
    if hasattr(datasets, "stat_type") or is_own(datasets):
        return (datasets,)
    datasets = tuple(datasets) if isinstance(datasets, Iterable) else (datasets,)
    for dataset in datasets:
        if not hasattr(dataset, "stat_type") and not is_own(dataset):
            raise FitError(
                "GX-FIT-400",
                "not a dataset",
                found=type(dataset).__name__,
                expected="a spectrum, a cube, or an object with name, npred and statistic",
                do="see gammax.datasets.Dataset",
            )
    if not datasets:
        raise FitError("GX-FIT-005", "no dataset to fit")
    twice = [name for name, times in Counter(dataset.name for dataset in datasets).items() if times > 1]
    if twice:
        raise FitError("GX-FIT-008", "two datasets have the same name", found=twice[0])
    return datasets


def _make_stacks(
    datasets: tuple[Dataset, ...], models: Models, slots: Slots, order: str, dense: bool, mesh: Mesh | None
) -> tuple[tuple[SpectrumStack | RunStack | CubeStack | OwnStack, ...], tuple[tuple[str, int, int], ...]]:
    """Stacks, and for each dataset its name, stack and place in it."""
    others = over_processes(mesh)
    plans, seen = make_plans(models, slots), _seen(datasets, models, others)
    columns = {slot: number for number, slot in enumerate(slots.moved)}
    groups: dict = {}
    for dataset in datasets:
        if is_own(dataset):
            applies = [i in seen[dataset.name] for i in range(len(models))]
            member = make_own(dataset, models, applies, slots, columns)
            key = dataset.name
        elif is_folded(dataset):
            member = Draft(dataset, [plans[i] for i in seen[dataset.name]], order, dense, columns)
            key = member.key
        else:
            member = draft_spectrum(dataset, [plans[i] for i in seen[dataset.name]], columns)
            key = member.key
        groups.setdefault(key, []).append((dataset.name, member))
    if others:
        check_kinds([type(group[0][1]).__name__ for group in groups.values()], mesh)
    places, stacks = {}, []
    for number, group in enumerate(groups.values()):
        places |= {name: (number, place) for place, (name, _) in enumerate(group)}
        members = [member for _, member in group]
        if isinstance(members[0], OwnStack):
            stacks.append(members[0])
        elif isinstance(members[0], Draft):
            stacks.append(stack_cubes(members, (lambda sizes: largest(sizes, mesh)) if others else tuple))
        else:
            stacks.append(stack_spectra(members, others))
    if not others:
        through_ties = {columns[slot] for tie in slots.ties for slot in tie.sources if slot in columns}
        check_effects(plans, columns, through_ties.union(*map(columns_of, stacks)))
    return tuple(stacks), tuple((dataset.name, *places[dataset.name]) for dataset in datasets)


def is_folded(dataset: Dataset) -> bool:
    """Whether sources are folded into the pixels of a dataset, or into its region: a map, or a spectrum with a PSF."""
    return dataset.psf is not None or isinstance(dataset, MapDataset | MapDatasetOnOff)


def _seen(datasets: tuple[Dataset, ...], models: Models, others: bool) -> dict[str, tuple[int, ...]]:
    """Numbers of the models that apply to each dataset.

    Parameters
    ----------
    others : whether other processes have datasets too.

    Raises
    ------
    ModelError : a model that applies to none.
    """
    seen = {
        dataset.name: tuple(i for i, model in enumerate(models) if _applies(model, dataset)) for dataset in datasets
    }
    for i, model in enumerate(models):
        if not others and not any(i in found for found in seen.values()):
            raise ModelError(
                "GX-FIT-006",
                "the model is seen in no dataset",
                model=model.name,
                found=f"datasets_names {list(model.datasets_names or ())}" if model.datasets_names else "out of reach",
                expected=f"some of {', '.join(seen)}",
            )
    return seen


def _applies(model: Any, dataset: Dataset) -> bool:
    # first by name: of a hundred runs each has models of its own
    if model.datasets_names is not None and dataset.name not in model.datasets_names:
        return False
    is_spectrum_source = isinstance(model, SkyModel) and not is_own(dataset) and not is_folded(dataset)
    return not is_spectrum_source or reaches(model, dataset)
