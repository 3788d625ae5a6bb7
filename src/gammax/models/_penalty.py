"""Penalties: quadratic terms of the fit statistic that join several parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.errors import ModelError, did_you_mean
from gammax.models._number import as_number
from gammax.models._parameter import Parameter
from gammax.units import canonical_factor, same_dimension

# of a matrix: asymmetry, and how far below zero an eigenvalue may be, relative to the largest
_ROUNDING = 1e-10


class GaussianPriorPenalty(eqx.Module):
    """Gaussian prior of several parameters: lambda (x - mean)^T C^-1 (x - mean), without the constants of a density.

    Its numbers are leaves of a pytree: `lambda_` can be swept under `jax.vmap` without compiling anew.

    Parameters
    ----------
    parameters : full names (``crab.spectral.index``), K of them.
    mean : in the parameters' own units, (K,) or one number; 0 by default.
    covariance : C in these units, (K, K); the unit matrix by default.
    lambda_ : strength, not negative.
    precision : C^-1 in place of C; it may have directions in which there is no penalty.

    Raises
    ------
    ModelError : arrays of other shapes, numbers that are not finite, a negative strength; C not symmetric and positive
        definite, C^-1 not positive semi-definite.
    """

    mean: Array
    precision: Array
    lambda_: Array
    parameters: tuple[str, ...] = eqx.field(static=True)
    units: tuple[str, ...] | None = eqx.field(static=True)

    def __init__(
        self,
        parameters: Sequence[str],
        mean: Any = None,
        covariance: Any = None,
        lambda_: Any = 1.0,
        *,
        precision: Any = None,
        units: Sequence[str] | None = None,
    ):
        if isinstance(parameters, str) or not len(parameters):
            raise ModelError("GX-MODEL-110", "a penalty needs a list of names", found=repr(parameters))
        self.parameters, self.units = tuple(parameters), None if units is None else tuple(units)
        self.mean = _vector(0.0 if mean is None else mean, len(self.parameters), "mean")
        if precision is None:
            given = np.eye(len(self.parameters)) if covariance is None else covariance
            self.precision = _inverse(_matrix(given, len(self.parameters), "covariance", definite=True))
        else:
            self.precision = _matrix(precision, len(self.parameters), "precision", definite=False)
        self.lambda_ = as_number(lambda_, "lambda_")
        if not isinstance(self.lambda_, jax.core.Tracer) and not 0 <= self.lambda_ < np.inf:
            raise ModelError("GX-MODEL-119", "no strength", found=self.lambda_, expected="0 <= lambda_ < infinity")

    @classmethod
    def from_precision(
        cls, parameters: Sequence[str], precision: Any, mean: Any = None, lambda_: Any = 1.0
    ) -> GaussianPriorPenalty:
        """Penalty of the inverse covariance (K, K); errors as the class."""
        return cls(parameters, mean, lambda_=lambda_, precision=precision)

    @classmethod
    def from_diagonal(
        cls, parameters: Sequence[str], sigma: Any, mean: Any = None, lambda_: Any = 1.0
    ) -> GaussianPriorPenalty:
        """Penalty of independent parameters with standard deviations `sigma`, (K,) or one number."""
        sigma = _vector(sigma, len(parameters), "sigma")
        return cls(parameters, mean, sigma**2 * np.eye(len(parameters)), lambda_)

    @classmethod
    def L2_penalty(cls, parameters: Sequence[str], mean: Any = None, lambda_: Any = 1.0) -> GaussianPriorPenalty:
        """lambda sum_i (x_i - mean_i)^2: ridge regularisation."""
        return cls(parameters, mean, lambda_=lambda_)

    @classmethod
    def SmoothnessPenalty(cls, parameters: Sequence[str], mean: Any = None, lambda_: Any = 1.0) -> GaussianPriorPenalty:
        """lambda (d_1^2 + d_K^2 + sum_i (d_i+1 - d_i)^2), d = x - mean: neighbours that differ cost, ends are held.

        Its precision has 2 on the diagonal and -1 beside it, as Gammapy's.
        """
        size = len(parameters)
        precision = 2.0 * np.eye(size) - np.eye(size, k=1) - np.eye(size, k=-1)
        return cls.from_precision(parameters, precision, mean, lambda_)

    @property
    def covariance(self) -> Any:
        """C, (K, K).

        Raises
        ------
        ModelError : some direction has no penalty.
        """
        return _inverse(_matrix(self.precision, len(self.parameters), "covariance of this precision", definite=True))

    def statistic(self, values: Array) -> Array:
        """Contribution to the fit statistic of the parameters' values (K,)."""
        off = values - self.mean
        return self.lambda_ * (off @ jnp.asarray(self.precision) @ off)

    def bound(self, known: Mapping[str, Parameter]) -> GaussianPriorPenalty:
        """Penalty in the units that its parameters have now.

        Raises
        ------
        ModelError : an unknown name, a unit that does not convert.
        """
        for name in self.parameters:
            if name not in known:
                raise ModelError(
                    "GX-MODEL-017", f"no parameter named {name!r}", found=f"{self}", do=did_you_mean(name, known)
                )
        units = tuple(known[name].unit for name in self.parameters)
        if units == self.units:
            return self
        old = units if self.units is None else self.units
        for name, one, other in zip(self.parameters, old, units, strict=True):
            if not same_dimension(one, other):
                raise ModelError(
                    "GX-MODEL-113", "a penalty is in another unit", parameter=name, found=other, expected=one
                )
        factor = np.array([canonical_factor(a) / canonical_factor(b) for a, b in zip(old, units, strict=True)])
        return self._copy(self.mean * factor, self.precision / np.outer(factor, factor), self.parameters, units)

    def renamed(self, names: Mapping[str, str]) -> GaussianPriorPenalty:
        """Penalty of parameters that have other names."""
        return self._copy(self.mean, self.precision, [names[name] for name in self.parameters], self.units)

    def _copy(self, mean: Any, precision: Any, parameters: Sequence[str], units: Any) -> GaussianPriorPenalty:
        return GaussianPriorPenalty(parameters, mean, lambda_=self.lambda_, precision=precision, units=units)

    def __repr__(self) -> str:
        return f"GaussianPriorPenalty({', '.join(self.parameters)})"


def _vector(given: Any, size: int, name: str) -> Any:
    if isinstance(given, jax.core.Tracer):
        return jnp.broadcast_to(given, (size,))
    array = np.asarray(given, dtype=np.float64)
    if array.shape not in ((), (size,)):
        raise ModelError("GX-MODEL-111", f"{name} of the wrong shape", found=array.shape, expected=(size,))
    if not np.isfinite(array).all():
        raise ModelError("GX-MODEL-119", f"{name} is not finite", found=array.tolist())
    return np.array(np.broadcast_to(array, (size,)))


def _inverse(matrix: Any) -> Any:
    return jnp.linalg.inv(matrix) if isinstance(matrix, jax.core.Tracer) else np.linalg.inv(matrix)


def _matrix(given: Any, size: int, name: str, definite: bool) -> Any:
    if isinstance(given, jax.core.Tracer):
        return given
    matrix = np.array(given, dtype=np.float64)
    if matrix.shape != (size, size):
        raise ModelError("GX-MODEL-111", f"{name} of the wrong shape", found=matrix.shape, expected=(size, size))
    scale = np.sqrt(np.outer(np.diag(matrix), np.diag(matrix))) if np.all(np.diag(matrix) > 0) else 1.0
    unitless = matrix / scale
    good = np.all(np.isfinite(unitless)) and np.allclose(unitless, unitless.T, rtol=0.0, atol=_ROUNDING)
    lowest = np.linalg.eigvalsh(unitless)[0] if good else -np.inf
    if not (lowest > _ROUNDING if definite else lowest > -_ROUNDING):
        raise ModelError(
            "GX-MODEL-112",
            f"no {name}",
            found=matrix.tolist(),
            expected="a symmetric matrix, " + ("positive definite" if definite else "without negative eigenvalues"),
        )
    return matrix
