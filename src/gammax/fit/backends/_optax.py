"""First-order minimisers of optax on the same likelihood, projected onto its bounds: for very many parameters."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.errors import FitError
from gammax.fit._judge import Outcome, look
from gammax.fit._newton import Show
from gammax.likelihood import Likelihood, Problem

if TYPE_CHECKING:
    from optax import GradientTransformationExtraArgs

# steps without any progress after which the minimiser has come to its end
_PATIENCE = 100


class _Frame(NamedTuple):
    """Coordinates x in units of about an error: theta = start + scale x. The bounds are those of x; all (P,)."""

    start: Array
    scale: Array
    lower: Array
    upper: Array


def check_optax(options: dict[str, Any]) -> None:
    """Raise unless the optimizer is one of optax.

    Raises
    ------
    FitError : an optimizer without `init` and `update`.
    """
    optimizer = options.get("optimizer")
    if optimizer is not None and not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise FitError("GX-FIT-201", "not an optimizer of optax", found=optimizer, expected="such as optax.adam(0.1)")


def run_optax(likelihood: Likelihood, options: dict[str, Any], tolerance: float, max_calls: int, show: Show) -> Outcome:
    """Minimum by steps of an optax optimizer, each followed by a projection onto the bounds.

    A parameter at its bound whose gradient pushes outwards is left out of the step. It ends where the gradient, in
    units of Fisher errors at the start, leaves less than `tolerance` to gain, or where nothing more is gained.

    Parameters
    ----------
    options : `optimizer`, by default `optax.lbfgs()`.
    """
    problem, optimizer = likelihood.problem, _optimizer(options.get("optimizer"))
    start = np.asarray(likelihood.theta0)
    scale = np.asarray(look(problem, start)[1])
    frame = _Frame(start, scale, (problem.lower - start) / scale, (problem.upper - start) / scale)
    best, theta, idle = np.inf, start, 0
    x = jnp.zeros(start.shape)
    state = optimizer.init(x)
    for number in range(1, max_calls + 1):
        now, state, value, left = _step(problem, frame, x, state, optimizer)
        if value < best:
            idle = 0 if best - value > 1e-13 * (1.0 + abs(value)) else idle + 1
            best, theta = float(value), np.asarray(_theta(problem, frame, x))
        else:
            idle += 1
        show(theta, best, number)
        if not np.isfinite(value) or left <= tolerance or idle > _PATIENCE:
            return Outcome(theta, "the first-order steps end", number)
        x = now
    return Outcome(theta, f"not there after {max_calls} first-order steps", max_calls)


@lru_cache(maxsize=8)
def _optimizer(chosen: Any) -> GradientTransformationExtraArgs:
    # imported late: a second, for one fit in a thousand
    import optax

    return optax.with_extra_args_support(optax.lbfgs() if chosen is None else chosen)


def _theta(problem: Problem, frame: _Frame, x: Array) -> Array:
    return jnp.clip(frame.start + frame.scale * x, problem.lower, problem.upper)


@partial(jax.jit, static_argnames="optimizer")
def _step(
    problem: Problem, frame: _Frame, x: Array, state: Any, optimizer: GradientTransformationExtraArgs
) -> tuple[Array, Any, Array, Array]:
    """Next point and state; value of this one, and what its gradient says is left to gain."""

    def statistic(x: Array) -> Array:
        return problem.statistic(_theta(problem, frame, x))

    value, gradient = jax.value_and_grad(statistic)(x)
    outwards = ((x <= frame.lower) & (gradient > 0)) | ((x >= frame.upper) & (gradient < 0))
    gradient = jnp.where(outwards | (frame.lower >= frame.upper), 0.0, gradient)
    step, state = optimizer.update(gradient, state, x, value=value, grad=gradient, value_fn=statistic)
    return jnp.clip(x + step, frame.lower, frame.upper), state, value, 0.25 * jnp.sum(gradient**2)
