"""Covariance from the exact Hessian, and what it says about bounds and flat directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.fit._trust_region import FLAT, active_bounds, fisher_scale
from gammax.likelihood import Derivatives

# a parameter takes part in a flat direction if its component is above this
_INVOLVED = 1e-3


class CurvatureReport(NamedTuple):
    """Hessian at a point, decomposed in units of the Fisher diagonal; parameters at a bound are taken out.

    Attributes
    ----------
    covariance : in factor space, (P, P), twice the inverse Hessian of -2 ln L; meaningless where `flat` or `active`.
    active : at a bound, or held, (P,).
    eigenvalues, vectors : ascending, and their columns, (P,) and (P, P).
    """

    covariance: Array
    active: Array
    eigenvalues: Array
    vectors: Array


def report_curvature(theta: Array, derivatives: Derivatives, lower: Array, upper: Array) -> CurvatureReport:
    """Decompose the Hessian at a minimum."""
    active = active_bounds(theta, derivatives.gradient, lower, upper)
    scale = jnp.where(active, 0.0, fisher_scale(derivatives.fisher))
    scaled = derivatives.hessian * scale[:, None] * scale[None, :] + jnp.diag(active.astype(theta.dtype))
    eigenvalues, vectors = jnp.linalg.eigh(scaled)
    steep = eigenvalues > FLAT
    inverse = jnp.where(steep, 1.0 / jnp.where(steep, eigenvalues, 1.0), 0.0)
    covariance = 2.0 * (vectors * inverse) @ vectors.T * scale[:, None] * scale[None, :]
    return CurvatureReport(covariance, active, eigenvalues, vectors)


def honest_covariance(report: CurvatureReport) -> np.ndarray:
    """Covariance with NaN for every parameter that has no error: at a bound, or part of a flat direction."""
    covariance = np.array(report.covariance)
    flat = np.asarray(report.eigenvalues) <= FLAT
    involved = np.abs(np.asarray(report.vectors)[:, flat]).max(axis=1, initial=0.0) > _INVOLVED
    lost = np.asarray(report.active) | involved
    covariance[lost, :] = np.nan
    covariance[:, lost] = np.nan
    return covariance


def flat_directions(report: CurvatureReport, names: Sequence[str]) -> list[str]:
    """Flat directions in words, such as ``a.spectral.amplitude - b.spectral.amplitude``."""
    words = []
    for value, vector in zip(np.asarray(report.eigenvalues), np.asarray(report.vectors).T, strict=True):
        if value <= FLAT:
            order = [i for i in np.argsort(-np.abs(vector)) if abs(vector[i]) > 0.1]
            sign = np.sign(vector[order[0]])
            terms = [f"{'+' if vector[i] * sign > 0 else '-'} {names[i]}" for i in order]
            words.append(" ".join(terms).removeprefix("+ "))
    return words
