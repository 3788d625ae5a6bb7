"""Chains of the No-U-Turn sampler: the one file that knows blackjax."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.errors import FitError
from gammax.fit._quick import quick_options
from gammax.likelihood._cube import CubeStack

if TYPE_CHECKING:
    from gammax.fit.sampling._space import Space
    from gammax.likelihood import Problem

# draws of one call of the compiled program: after each there is a look at the progress bar and at Ctrl-C
CHUNK = 25
# parts of the warm-up at whose ends the metric is taken anew from the draws since the last one; before the first and
# after the last of them the step size alone adapts
_WINDOWS = (0.1, 0.25, 0.5, 0.9)
# how many draws per dimension it takes to believe them as much as the covariance so far
_BELIEF = 20.0
_FIRST_STEP = 0.5
# in coordinates of unit widths a trajectory turns after a few steps; after 2^8 it is lost in a density without end
_DOUBLINGS = 8


class Draws(NamedTuple):
    """n draws of C chains.

    Attributes
    ----------
    u, theta : coordinates (n, C, M) and factors (n, C, P).
    lp : -S / 2, the logarithm of the posterior density but for a constant, (n, C) as all that follow.
    energy : Hamiltonian of the transition.
    acceptance_rate : mean along its trajectory, which has `n_steps` gradients in it, and doubled `tree_depth` times.
    step_size : the same in all chains.
    diverging : whether the energy went astray: the density bends too much for the step there.
    lowest : lowest flux or factor in a cube whose bins are merged, else infinity.
    """

    u: Any
    theta: Any
    lp: Any
    energy: Any
    acceptance_rate: Any
    n_steps: Any
    tree_depth: Any
    step_size: Any
    diverging: Any
    lowest: Any


class _Chains(NamedTuple):
    """States of C chains and of the adaptation of their step size, both blackjax's."""

    states: Any
    tuning: Any


def require_blackjax() -> Any:
    """The package blackjax.

    Raises
    ------
    FitError : it is not installed.
    """
    try:
        import blackjax
    except ImportError as error:
        do = "pip install 'gammax[sample]'"
        raise FitError("GX-FIT-501", "sampling needs the package blackjax", do=do) from error
    return blackjax


def run_chains(
    problem: Problem, space: Space, u: np.ndarray, covariance: np.ndarray, n_warmup: int, seed: int, target: float
) -> Iterator[Draws]:
    """Chunks of draws without end, those of the warm-up first.

    Parameters
    ----------
    u : where the chains start, (C, M); the density must be finite there.
    covariance : of u, (M, M): the inverse of the mass matrix, in whose coordinates a density of that covariance has
        unit widths.
    n_warmup : draws in which the step size adapts to a mean acceptance rate of `target`, and the covariance to what the
        chains find together; rounded up to whole chunks.
    """
    start, advance = _programs(any(isinstance(stack, CubeStack) for stack in problem.stacks))
    problem, space = jax.device_put((problem, space))
    key, fresh = jax.random.key(seed), _fresh_tuning(target)
    chains = _Chains(start(problem, space, jnp.asarray(u)), fresh)
    n_adapting = warmup_chunks(n_warmup)
    ends = sorted({round(part * n_adapting) for part in _WINDOWS} - {0, n_adapting})
    chunk, window = 0, []
    while True:
        adapting = chunk < n_adapting
        chains, draws = advance(problem, space, chains, key, chunk * CHUNK, (covariance, target, adapting))
        draws, chunk = jax.device_get(draws), chunk + 1
        yield draws
        if adapting:
            window.append(draws.u)
        if chunk in ends:
            # the first window is the way from the start to where the density is
            covariance = covariance if chunk == ends[0] else _updated(covariance, np.concatenate(window))
            chains, window = chains._replace(tuning=fresh), []


def warmup_chunks(n_warmup: int) -> int:
    """Number of chunks that the warm-up takes."""
    return -(-n_warmup // CHUNK)


def finite_starts(problem: Problem, space: Space, u: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Starts (C, M), those where the density is not finite moved to the middle (M,), where it is."""
    start, _ = _programs(any(isinstance(stack, CubeStack) for stack in problem.stacks))
    state = jax.device_get(start(problem, space, jnp.asarray(u)))
    good = np.isfinite(state.logdensity) & np.isfinite(state.logdensity_grad).all(axis=1)
    return np.where(good[:, None], u, middle)


def _updated(covariance: np.ndarray, draws: np.ndarray) -> np.ndarray:
    flat = draws.reshape(-1, draws.shape[-1])
    weight = len(flat) / (len(flat) + _BELIEF * flat.shape[1])
    return weight * np.cov(flat.T).reshape(covariance.shape) + (1.0 - weight) * covariance


@cache
def _programs(cubes: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    options = quick_options() if cubes else None
    return jax.jit(_start, compiler_options=options), jax.jit(_advance, compiler_options=options)


def _start(problem: Problem, space: Space, u: Array) -> Any:
    density = partial(space.log_density, problem)
    return jax.vmap(lambda one: require_blackjax().nuts.init(one, density))(u)


def _advance(
    problem: Problem, space: Space, chains: _Chains, key: Array, first: Array, settings: tuple[Any, Any, Any]
) -> tuple[_Chains, Draws]:
    """A chunk of draws of all chains."""
    covariance, target, adapting = settings
    kernel, density = require_blackjax().nuts.build_kernel(), partial(space.log_density, problem)
    _, update, final = _dual_averaging(target)

    def transition(chains: _Chains, number: Array) -> tuple[_Chains, Draws]:
        states, tuning = chains
        step = jnp.where(adapting, jnp.exp(tuning.log_step_size), final(tuning))
        keys = jax.random.split(jax.random.fold_in(key, first + number), len(states.position))
        states, info = jax.vmap(lambda key, state: kernel(key, state, density, step, covariance, _DOUBLINGS))(
            keys, states
        )
        tuned = update(tuning, jnp.mean(info.acceptance_rate))
        tuning = jax.tree.map(lambda new, old: jnp.where(adapting, new, old), tuned, tuning)
        return _Chains(states, tuning), _record(problem, space, states, info, step)

    return jax.lax.scan(transition, chains, jnp.arange(CHUNK))


def _record(problem: Problem, space: Space, states: Any, info: Any, step: Array) -> Draws:
    """What is kept of a transition."""
    merged = any(isinstance(stack, CubeStack) and stack.cubes.merged for stack in problem.stacks)
    theta = jax.vmap(space.theta)(states.position)
    nowhere = jnp.full(step.shape, jnp.inf)
    return Draws(
        u=states.position,
        theta=theta,
        lp=states.logdensity - jnp.sum(jax.vmap(space.log_slopes)(states.position), axis=1),
        energy=info.energy,
        acceptance_rate=info.acceptance_rate,
        n_steps=info.num_integration_steps,
        tree_depth=info.num_trajectory_expansions,
        step_size=jnp.broadcast_to(step, info.energy.shape),
        diverging=info.is_divergent,
        lowest=jax.vmap(lambda one: problem.derivatives(one).lowest if merged else nowhere)(theta),
    )


def _dual_averaging(target: Any) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    require_blackjax()
    from blackjax.adaptation.step_size import dual_averaging_adaptation

    return dual_averaging_adaptation(target)


def _fresh_tuning(target: float) -> Any:
    init, _, _ = _dual_averaging(target)
    return jax.tree.map(lambda number: jnp.asarray(number, float), init(_FIRST_STEP))
