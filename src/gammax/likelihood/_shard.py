"""A likelihood whose datasets are spread over devices, of one process or of several: sums travel, data do not."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import numpy as np
from jax import Array
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from gammax.errors import FitError
from gammax.likelihood._own import OwnStack
from gammax.likelihood._stack import SpectrumStack

if TYPE_CHECKING:
    from gammax.likelihood._problem import Problem

_EVERYWHERE = PartitionSpec()
# fields of a stack of spectra, and of its parts, that all its datasets share
_COMMON = ("edges", "spline", "energy", "centers")


def over_processes(mesh: Mesh | None) -> bool:
    """Whether datasets are spread over several processes, each of which sees its own alone."""
    return mesh is not None and mesh.is_multi_process


def on_devices(tree: Any, mesh: Mesh | None) -> Any:
    """A problem or likelihood with its arrays where programs want them, to which each call would hand them over anew;
    one that is spread lies there already."""
    return jax.device_put(tree) if mesh is None else tree


def is_spread(stack: Any) -> bool:
    """Whether each device may hold some of the datasets of a stack: a dataset of the user's own is on all of them."""
    return not isinstance(stack, OwnStack)


def spread(problem: Problem, mesh: Mesh) -> Problem:
    """Problem with every stack cut along its datasets, one part for each device of a mesh.

    Stacks are padded by datasets outside all masks to a multiple of the number of devices. With several processes each
    gives the datasets that it holds, of like structure in all processes; they need not be equally many.

    Raises
    ------
    FitError : the mesh has more than one axis; the processes do not agree on models or structure.
    """
    if len(mesh.axis_names) != 1:
        raise FitError("GX-FIT-020", "datasets are spread along one axis", found=mesh.axis_names)
    # along axes of JAX's other kind, which `jax.make_mesh` makes, a dataset could not be taken out of its stack
    mesh = Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,))
    stacks = tuple(_padded(stack, mesh) if is_spread(stack) else stack for stack in problem.stacks)
    specs = dataclasses.replace(
        jax.tree.map(lambda _: _EVERYWHERE, problem), stacks=tuple(_specs(stack, mesh) for stack in stacks)
    )
    local = dataclasses.replace(problem, stacks=stacks)
    put = jax.tree.map(lambda leaf, spec: _put(leaf, mesh, spec), local, specs)
    shared = dataclasses.replace(put, mesh=mesh)
    _check_agreement(shared, mesh)
    return shared


def total(
    function: Callable[[Any, Array], Any],
    stacks: Sequence[Any],
    values: Array,
    mesh: Mesh | None,
    add: Callable[[list[Any]], Any],
    gather: Callable[[Any, str], Any],
) -> Any:
    """Sum over stacks of what a function of a stack and the slot values gives.

    Parameters
    ----------
    mesh : devices that the stacks are spread over: each takes the function of its own datasets. None: one device.
    add, gather : sum of what stacks give, and of what the devices along an axis give.
    """
    if mesh is None:
        return add([function(stack, values) for stack in stacks])
    cut = tuple(stack for stack in stacks if is_spread(stack))
    if not cut:
        return add([function(stack, values) for stack in stacks])
    common = [function(stack, values) for stack in stacks if not is_spread(stack)]

    def of_own(own: Sequence[Any], values: Array) -> Any:
        return gather(add([function(stack, values) for stack in own]), mesh.axis_names[0])

    specs = tuple(_specs(stack, mesh) for stack in cut)
    # unchecked: JAX's rules of what may differ between devices refuse loops under jax.vmap, and a user's model that
    # loops from a constant; and derivatives by common numbers would be summed over devices on their own
    split = jax.shard_map(of_own, mesh=mesh, in_specs=(specs, _EVERYWHERE), out_specs=_EVERYWHERE, check_vma=False)
    return add([split(cut, values), *common])


def by_dataset(
    function: Callable[[Any, Array], Array], stacks: Sequence[Any], values: Array, mesh: Mesh | None
) -> tuple[Array, ...]:
    """What a function of a stack and the slot values gives for each dataset, (D, ...), per stack; see `total`.

    Left to itself the compiler would bring all datasets to every device where they are gone through one by one.
    """

    def of_stack(stack: Any) -> Array:
        if mesh is None or not is_spread(stack):
            return function(stack, values)
        specs, along = (_specs(stack, mesh), _EVERYWHERE), PartitionSpec(mesh.axis_names[0])
        return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=along, check_vma=False)(stack, values)

    return tuple(map(of_stack, stacks))


def _specs(stack: Any, mesh: Mesh) -> Any:
    """How every array of a stack is spread."""
    along = PartitionSpec(mesh.axis_names[0])
    return jax.tree.map(lambda own: along if own else _EVERYWHERE, _of_datasets(stack))


def _of_datasets(stack: Any) -> Any:
    """Which arrays of a stack have an axis of datasets, in place of the arrays."""
    common = _COMMON if isinstance(stack, SpectrumStack) else ()

    def is_own(path: tuple[Any, ...], _: Any) -> bool:
        return is_spread(stack) and not any(getattr(key, "name", None) in common for key in path)

    return jax.tree_util.tree_map_with_path(is_own, stack)


def _padded(stack: Any, mesh: Mesh) -> Any:
    """Stack with as many datasets in every process, of which each device of the process gets as many."""
    own, devices = stack.mask.shape[0], len(mesh.local_devices)
    most = int(_all_processes(np.array([own]), mesh).max())
    lacking = -(-most // devices) * devices - own
    if not lacking:
        return stack

    def pad(leaf: Any, of_datasets: bool) -> Any:
        return np.concatenate([leaf, np.repeat(np.asarray(leaf)[-1:], lacking, axis=0)]) if of_datasets else leaf

    more = jax.tree.map(pad, stack, _of_datasets(stack))
    mask = np.array(more.mask)
    mask[own:] = 0.0
    return eqx.tree_at(lambda stack: _mask_holder(stack).mask, more, mask)


def _mask_holder(stack: Any) -> Any:
    """The part of a stack that holds its masks."""
    return getattr(stack, "cubes", None) or getattr(stack, "runs", None) or stack


def _put(leaf: Any, mesh: Mesh, spec: PartitionSpec) -> Array:
    return jax.make_array_from_process_local_data(NamedSharding(mesh, spec), np.asarray(leaf))


def _all_processes(numbers: np.ndarray, mesh: Mesh) -> np.ndarray:
    """Numbers of every process, along a new leading axis."""
    if not mesh.is_multi_process:
        return numbers[np.newaxis]
    from jax.experimental.multihost_utils import process_allgather

    return np.asarray(process_allgather(numbers))


def largest(sizes: Sequence[int], mesh: Mesh) -> tuple[int, ...]:
    """The largest of the sizes that processes want, each for itself."""
    return tuple(map(int, _all_processes(np.array(sizes), mesh).max(axis=0)))


def _check_agreement(problem: Problem, mesh: Mesh) -> None:
    """Raise where the processes would not run the same program, and wait for one another for ever."""
    if not mesh.is_multi_process:
        return
    program = jax.jit(lambda problem, theta: problem.statistic(theta)).lower(problem, problem.scale).as_text()
    common = problem.values, problem.lower, problem.upper, *jax.tree.leaves(problem.penalties)
    _raise_unless_equal(program + repr([np.asarray(leaf).tolist() for leaf in common]), mesh)


def check_kinds(kinds: Sequence[str], mesh: Mesh) -> None:
    """Raise where processes have stacks of other kinds, before they ask one another for sizes.

    Raises
    ------
    FitError : they have.
    """
    _raise_unless_equal(repr(kinds), mesh)


def _raise_unless_equal(text: str, mesh: Mesh) -> None:
    """Raise where processes do not say the same."""
    digest = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big")
    if len(set(_all_processes(np.array([digest]), mesh).ravel().tolist())) > 1:
        raise FitError(
            "GX-FIT-021",
            "the processes do not share one likelihood",
            expected="the same models, and datasets of the same kinds, axes and order of kinds in every process",
        )


def bins_here(stack: Any, mesh: Mesh | None) -> int:
    """Bins inside the masks of the datasets that this process holds, counted without the others: they may not ask."""
    apart = over_processes(mesh) and is_spread(stack)
    parts = [part.data for part in stack.mask.addressable_shards] if apart else [stack.mask]
    return sum(int(np.asarray(part).sum()) for part in parts)


def refuse_processes(mesh: Mesh | None, what: str) -> None:
    """Raise where datasets are spread over processes: each would answer for its own datasets alone.

    Raises
    ------
    FitError : they are.
    """
    if over_processes(mesh):
        raise FitError(
            "GX-FIT-022",
            f"{what} of datasets that are spread over processes: not available",
            do="fit with Fit(mesh=mesh), then ask each process's datasets with the fitted models, without a mesh",
        )
