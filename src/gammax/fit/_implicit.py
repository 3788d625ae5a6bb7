"""The optimum as a differentiable function of everything that a likelihood holds: data, responses, priors, bounds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jax import Array

from gammax.fit._trust_region import active_bounds, minimise
from gammax.likelihood import Likelihood

if TYPE_CHECKING:
    from gammax.likelihood import Problem


def optimum(
    likelihood: Likelihood, theta: Array | None = None, tolerance: float = 1e-10, max_steps: int = 100
) -> Array:
    """Factors (P,) at which a likelihood is smallest within its bounds, as a pure function of the likelihood.

    It works under `jax.jit`, `jax.vmap`, `jax.jacfwd`, `jax.grad` and their combinations, so that a fit may be part of
    another JAX program. Derivatives are those of the implicit function theorem: where the gradient g of the statistic
    vanishes, H d(theta) = -d(g) at fixed theta, with the exact Hessian H. A parameter at a bound follows the bound.
    Exchange what you vary by `Likelihood.with_counts` or by `equinox.tree_at`, as a likelihood is a pytree::

        def index(counts):
            return optimum(likelihood.with_counts({"run": counts}))[0]

        jax.grad(index)(counts)  # by how much every count pulls the index

    Parameters
    ----------
    likelihood : of cubes one whose bins are not merged (``dense=True``) if its counts vary.
    theta : where the search starts, (P,); by default at `likelihood.theta0`. The optimum does not depend on it.
    tolerance, max_steps : as `Fit`.

    Returns
    -------
    theta : NaN where the search did not converge; its derivatives are not finite where the Hessian is singular.
    """
    start = likelihood.theta0 if theta is None else jnp.asarray(theta, dtype=float)
    return _optimum(likelihood.problem, start, tolerance, max_steps)


@partial(jax.jit, static_argnums=(2, 3))
@partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _optimum(problem: Problem, start: Array, tolerance: float, max_steps: int) -> Array:
    state = minimise(problem.derivatives, start, problem.lower, problem.upper, tolerance, max_steps)
    converged = (state.edm <= tolerance) & state.convex
    # the step that is not tried any more: its error is the square of the last one, which derivatives would feel
    return jnp.where(converged, state.trial, jnp.nan)


def _optimum_jvp(
    tolerance: float, max_steps: int, primals: tuple[Problem, Array], tangents: tuple[Problem, Array]
) -> tuple[Array, Array]:
    """Optimum and its derivative along a tangent of the problem; of first order in the tangent, so that reverse mode
    can transpose it, and itself differentiable."""
    problem, change = primals[0], tangents[0]
    theta = _optimum(*primals, tolerance, max_steps)
    gradient, drift = jax.jvp(lambda problem: jax.grad(problem.statistic)(theta), (problem,), (change,))
    hessian = problem.derivatives(theta).hessian
    active = active_bounds(theta, gradient, problem.lower, problem.upper)
    carried = jnp.where(active, jnp.where(theta <= problem.lower, change.lower, change.upper), 0.0)
    # in units in which the diagonal is 1: parameters of any size are solved for alike
    scale = jax.lax.stop_gradient(jnp.where(active, 1.0, 1.0 / jnp.sqrt(jnp.abs(jnp.diag(hessian)))))
    inside = jnp.where(active[:, None] | active[None, :], jnp.eye(len(theta)), hessian * jnp.outer(scale, scale))
    pull = jnp.where(active, 0.0, (drift + hessian @ carried) * scale)
    return theta, carried - scale * jnp.linalg.solve(inside, pull)


_optimum.__wrapped__.defjvp(_optimum_jvp)
