"""A pure function of a problem, for as many inputs as there are, by one compiled program whatever their number."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.fit._quick import quick_options
from gammax.likelihood import Problem
from gammax.likelihood._cube import CubeStack

# inputs that one call takes; only blocks that are in use are gone through
_CAPACITY = 64
# inputs that take their steps together: a processor gains nothing from more, and all wait for the slowest
_BLOCK, _BLOCK_OF_CUBES, _BLOCK_ON_ACCELERATOR = 2, 1, 32


def map_blocks(function: Callable[..., Any], problem: Problem, shared: tuple[Any, ...], each: Any) -> Any:
    """``function(problem, *shared, one)`` for every one of `each`, as numpy arrays with a leading axis.

    Parameters
    ----------
    function : pure and defined in a module, as programs are kept by function.
    shared : arguments that are the same for all.
    each : tree of arrays with a leading axis of length K.
    """
    cubes = any(isinstance(stack, CubeStack) for stack in problem.stacks)
    block = _block(cubes)
    run = _run_cubes() if cubes else _run
    count = len(jax.tree.leaves(each)[0])
    answers = []
    for first in range(0, count, _CAPACITY):
        part = jax.tree.map(lambda array, first=first: _padded(array[first : first + _CAPACITY], block), each)
        n_blocks = -(-min(count - first, _CAPACITY) // block)
        answers.append(jax.device_get(run(function, problem, shared, part, n_blocks)))
    return jax.tree.map(lambda *parts: np.concatenate([_flat(part) for part in parts])[:count], *answers)


def _block(cubes: bool) -> int:
    if jax.default_backend() != "cpu":
        return _BLOCK_ON_ACCELERATOR
    return _BLOCK_OF_CUBES if cubes else _BLOCK


def _padded(array: np.ndarray, block: int) -> np.ndarray:
    """Rows in blocks up to the capacity, the last one repeated."""
    rows = np.minimum(np.arange(_CAPACITY), len(array) - 1)
    return np.asarray(array)[rows].reshape(-1, block, *np.shape(array)[1:])


def _flat(blocks: np.ndarray) -> np.ndarray:
    return blocks.reshape(-1, *blocks.shape[2:])


def _blocks(function: Callable[..., Any], problem: Problem, shared: tuple[Any, ...], each: Any, n_blocks: Array) -> Any:
    def together(block: Any) -> Any:
        return jax.vmap(lambda one: function(problem, *shared, one))(block)

    shapes = jax.eval_shape(together, jax.tree.map(lambda array: array[0], each))
    total = len(jax.tree.leaves(each)[0])
    empty = jax.tree.map(lambda shape: jnp.zeros((total, *shape.shape), shape.dtype), shapes)

    def fill(number: Array, answers: Any) -> Any:
        found = together(jax.tree.map(lambda array: array[number], each))
        return jax.tree.map(lambda array, block: array.at[number].set(block), answers, found)

    return jax.lax.fori_loop(0, n_blocks, fill, empty)


_run = jax.jit(_blocks, static_argnums=0)


@cache
def _run_cubes() -> Callable[..., Any]:
    return jax.jit(_blocks, static_argnums=0, compiler_options=quick_options())
