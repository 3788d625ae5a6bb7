"""Coordinates for a sampler: without bounds, and wide as the errors of a fit."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.fit._trust_region import FLAT
from gammax.likelihood import Derivatives, Likelihood, Problem
from gammax.likelihood._curves import look

# the start is moved inside its bounds by this part of an error, or of the distance between the bounds
_INSIDE = 0.1
# scaled eigenvalue that a direction is given which the data leave open: its range is left to the bounds
_OPEN = 1e-6


class Space(eqx.Module):
    """Unconstrained coordinates u (M,) of the M parameters that may move, for factors theta (P,).

    Without bounds theta = u. With one bound theta = lower + width softplus((u - lower) / width), which is u from a few
    widths on; with two theta = lower + range sigmoid(4 (u - middle) / range), which is u around the middle.

    Attributes
    ----------
    lower, upper : bounds as factors, infinite where there is none, (M,).
    width : distance over which a single bound is felt, (M,).
    rest : factors of the parameters that are held, (P,).
    moving : which parameters move.
    """

    lower: Array
    upper: Array
    width: Array
    rest: Array
    moving: tuple[int, ...] = eqx.field(static=True)

    def theta(self, u: Array) -> Array:
        """Factors (P,) of coordinates (M,)."""
        below, above = jnp.isfinite(self.lower), jnp.isfinite(self.upper)
        x, span = self._scaled(u)
        base = jnp.where(below, self.lower, jnp.where(above, self.upper, 0.0))
        sign = jnp.where(above & ~below, -1.0, 1.0)
        factors = base + sign * span * jnp.where(below & above, jax.nn.sigmoid(x), jax.nn.softplus(x))
        factors = jnp.where(below | above, factors, u)
        return jnp.asarray(self.rest).at[np.array(self.moving)].set(factors)

    def log_slopes(self, u: Array) -> Array:
        """ln(d theta / du), (M,): their sum is the logarithm of the Jacobian determinant."""
        below, above = jnp.isfinite(self.lower), jnp.isfinite(self.upper)
        x, _ = self._scaled(u)
        one = jax.nn.log_sigmoid(x)
        both = np.log(4.0) + one + jax.nn.log_sigmoid(-x)
        return jnp.where(below & above, both, jnp.where(below | above, one, 0.0))

    def _scaled(self, u: Array) -> tuple[Array, Array]:
        """Argument of sigmoid or softplus, and by what that is multiplied; finite where there is no bound, as
        derivatives pass through all branches."""
        below, above = jnp.isfinite(self.lower), jnp.isfinite(self.upper)
        lower, upper = jnp.where(below, self.lower, 0.0), jnp.where(above, self.upper, 0.0)
        span = jnp.where(below & above, upper - lower, self.width)
        one = jnp.where(below, u - lower, upper - u) / self.width
        return jnp.where(below & above, 4.0 * (u - 0.5 * (lower + upper)) / span, one), span

    def coordinates(self, theta: np.ndarray) -> np.ndarray:
        """Coordinates (M,) of factors (P,), those at a bound or beyond it moved inside."""
        factors, lower, upper = np.asarray(theta)[list(self.moving)], np.asarray(self.lower), np.asarray(self.upper)
        # softplus and sigmoid backwards; what a branch makes of parameters that are not its own is not looked at
        with np.errstate(all="ignore"):
            margin = _INSIDE * np.minimum(self.width, upper - lower)
            factors = np.clip(factors, lower + margin, upper - margin)
            above, below = (distance / self.width for distance in (factors - lower, upper - factors))
            from_lower = lower + self.width * (above + np.log(-np.expm1(-above)))
            from_upper = upper - self.width * (below + np.log(-np.expm1(-below)))
            between = 0.5 * (lower + upper) + 0.25 * (upper - lower) * np.log(above / below)
        single = np.where(np.isfinite(lower), from_lower, np.where(np.isfinite(upper), from_upper, factors))
        return np.where(np.isfinite(lower) & np.isfinite(upper), between, single)

    def log_density(self, problem: Problem, u: Array) -> Array:
        """-S / 2 with the Jacobian: the posterior density of u (M,)."""
        return -0.5 * problem.statistic(self.theta(u)) + jnp.sum(self.log_slopes(u))

    def covariance(self, derivatives: Derivatives, u: np.ndarray) -> np.ndarray:
        """Covariance (M, M) of u from the derivatives of the statistic there.

        From the exact Hessian; from the Fisher matrix where that is not positive definite, what is flat in both being
        given a large but finite variance.
        """
        logs, first, second = jax.device_get(_slopes(self, u))
        slope, inside = np.exp(logs), np.ix_(self.moving, self.moving)
        gradient = np.asarray(derivatives.gradient)[list(self.moving)]
        bent = np.diag(gradient * slope * first - 2.0 * second)
        exact = np.asarray(derivatives.hessian)[inside] * np.outer(slope, slope) + bent
        expected = np.asarray(derivatives.fisher)[inside] * np.outer(slope, slope) - np.diag(2.0 * second)
        return _twice_inverse(expected if _is_flat(exact) else exact)


_slopes = jax.jit(lambda space, u: look(space.log_slopes, u))
to_theta = jax.jit(lambda space, u: space.theta(u))


def make_space(likelihood: Likelihood, derivatives: Derivatives) -> Space:
    """Coordinates of a likelihood's parameters, as wide as its derivatives somewhere near the minimum say."""
    problem = likelihood.problem
    lower, upper = np.array(problem.lower), np.array(problem.upper)
    moving = np.flatnonzero(lower < upper)
    width = np.sqrt(2.0) * _scale(derivatives.fisher)
    rest = np.clip(np.asarray(likelihood.theta0), lower, upper)
    return Space(lower[moving], upper[moving], width[moving], rest, tuple(int(i) for i in moving))


def open_directions(space: Space, derivatives: Derivatives) -> np.ndarray:
    """Directions (K, P) that neither data nor bounds limit: no density can be normalised along them."""
    scale = _scale(derivatives.fisher)
    moves, unbounded = np.zeros(len(scale), bool), np.ones(len(scale), bool)
    moves[list(space.moving)] = True
    unbounded[list(space.moving)] = np.isinf(space.lower) & np.isinf(space.upper)
    scaled = np.asarray(derivatives.fisher) * np.outer(scale, scale)
    scaled = np.where(np.outer(moves, moves), scaled, np.diag(np.where(moves, 0.0, 1.0)))
    eigenvalues, vectors = np.linalg.eigh(scaled)
    involved = np.abs(vectors) > 1e-3
    return vectors[:, (eigenvalues <= FLAT) & np.all(unbounded[:, None] | ~involved, axis=0)].T


def _scale(curvature: np.ndarray) -> np.ndarray:
    diagonal = np.diag(curvature)
    return 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))


def _is_flat(curvature: np.ndarray) -> bool:
    """Whether a curvature has a direction in which it is not positive, in units of its diagonal."""
    scale = _scale(curvature)
    return not np.linalg.eigvalsh(curvature * np.outer(scale, scale))[0] > FLAT


def _twice_inverse(curvature: np.ndarray) -> np.ndarray:
    scale = _scale(curvature)
    eigenvalues, vectors = np.linalg.eigh(curvature * np.outer(scale, scale))
    floored = np.where(eigenvalues > FLAT, eigenvalues, _OPEN)
    return 2.0 * (vectors / floored) @ vectors.T * np.outer(scale, scale)
