"""Covariance from the exact Hessian, and what it says about bounds and flat directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.fit._trust_region import FLAT, active_bounds, fisher_scale, lifted
from gammax.likelihood import Derivatives, Problem

# a parameter takes part in a flat direction if its component is above this
INVOLVED = 1e-3


class CurvatureReport(NamedTuple):
    """Curvature at a point in units of the Fisher diagonal; parameters at a bound are taken out.

    Attributes
    ----------
    covariance : in factor space, (P, P), twice the inverse Hessian of -2 ln L; meaningless where `flat` or `active`.
    active : at a bound, or held, (P,).
    eigenvalues : of the Hessian, ascending, (P,).
    flatness, directions : eigenvalues of the Fisher matrix and their eigenvectors (columns). What the data do not
        constrain is flat in it to rounding, while the Hessian keeps the curvature of the valley times what is left
        of the gradient.
    emptied : bins where a negative source leaves nothing expected: there the curvature is that of a wall.
    lowest : lowest flux or factor in a cube.
    """

    covariance: Array
    active: Array
    eigenvalues: Array
    flatness: Array
    directions: Array
    emptied: Array
    lowest: Array


def report_curvature(problem: Problem, theta: Array, derivatives: Derivatives) -> CurvatureReport:
    """Decompose Hessian and Fisher matrix at a minimum of a problem, within its bounds."""
    active = active_bounds(theta, derivatives.gradient, problem.lower, problem.upper)
    if problem.has_corners:
        covariance = _inverted(derivatives, active)[0]
        active |= problem.in_corners(theta, jnp.sqrt(jnp.maximum(jnp.diag(covariance), 0.0)))
    covariance, eigenvalues, scoring = _inverted(derivatives, active)
    flatness, directions = jnp.linalg.eigh(scoring)
    return CurvatureReport(
        covariance, active, eigenvalues, flatness, directions, derivatives.emptied, derivatives.lowest
    )


def _inverted(derivatives: Derivatives, active: Array) -> tuple[Array, Array, Array]:
    """Covariance, eigenvalues of the scaled Hessian and scaled Fisher matrix, without the active parameters."""
    fisher = lifted(derivatives)
    scale = jnp.where(active, 0.0, fisher_scale(fisher))
    out = jnp.diag(active.astype(scale.dtype))
    scaled, scoring = (matrix * jnp.outer(scale, scale) + out for matrix in (derivatives.hessian, fisher))
    eigenvalues, vectors = jnp.linalg.eigh(scaled)
    steep = eigenvalues > FLAT
    inverse = jnp.where(steep, 1.0 / jnp.where(steep, eigenvalues, 1.0), 0.0)
    return 2.0 * (vectors * inverse) @ vectors.T * jnp.outer(scale, scale), eigenvalues, scoring


def flat_columns(report: CurvatureReport) -> np.ndarray:
    """Which of the report's directions are flat, (P,)."""
    return np.asarray(report.flatness) <= FLAT


def honest_covariance(report: CurvatureReport, held: np.ndarray) -> np.ndarray:
    """Covariance with NaN for every parameter that has no error: at a bound, or part of a flat direction.

    Parameters
    ----------
    held : parameters without room to move (lower = upper), (P,): their error is 0, as that of a frozen one.
    """
    covariance = np.array(report.covariance)
    involved = np.abs(np.asarray(report.directions)[:, flat_columns(report)]).max(axis=1, initial=0.0) > INVOLVED
    lost = (np.asarray(report.active) | involved) & ~held
    covariance[lost, :] = np.nan
    covariance[:, lost] = np.nan
    return covariance


def flat_directions(report: CurvatureReport, names: Sequence[str]) -> list[str]:
    """Flat directions in words, such as ``a.spectral.amplitude - b.spectral.amplitude``."""
    directions = np.asarray(report.directions).T
    return [in_words(vector, names) for flat, vector in zip(flat_columns(report), directions, strict=True) if flat]


def in_words(direction: np.ndarray, names: Sequence[str]) -> str:
    """A direction (P,) in words."""
    order = [i for i in np.argsort(-np.abs(direction)) if abs(direction[i]) > 0.1]
    sign = np.sign(direction[order[0]])
    return " ".join(f"{'+' if direction[i] * sign > 0 else '-'} {names[i]}" for i in order).removeprefix("+ ")
