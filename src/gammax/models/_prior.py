"""Priors: what is known of one parameter besides the data, as -2 ln of a probability density."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy.units import Quantity
from jax import Array
from jax.scipy.special import gammaln

from gammax.errors import ModelError
from gammax.models._number import as_number
from gammax.models._registry import register

PRIORS: dict[str, type[Prior]] = {}

# below this distance from its centre, in widths, a generalised Gaussian is smooth
_CORNER = 1e-8
# where it may have another curvature than in an error's reach: nearer to its centre than this, in sigma, or so high up,
# as the logarithm below its peak, that a fit does not go on
_NEAR, _TOP = 0.05, 1e-6
# by how much a parabola may then miss the statistic one error up and down, which together add 2: an eighth of the error
_MISSED = 0.5


def _plain(value: Any) -> Any:
    """Float64 number without unit; traced values pass."""
    if isinstance(value, (str, Quantity)):
        raise ModelError(
            "GX-MODEL-101",
            "a prior is made of plain numbers",
            found=repr(value),
            do="give them in the unit of the parameter that the prior is for",
        )
    return as_number(value, "of a prior")


def number(default: float, **options: Any) -> Any:
    """Declare a number of a prior: ``sigma: Array = number(1.0)``."""
    return eqx.field(default=default, converter=_plain, **options)


class Prior(eqx.Module):
    """Probability density of a parameter's value in the parameter's own unit.

    Subclasses declare their numbers with `number` and write `log_pdf`. The numbers are leaves of the pytree: they can
    be differentiated by, and swept under `jax.vmap` without compiling anew.

    Parameters
    ----------
    weight : factor on the statistic, not negative; 0 switches the prior off, its bounds remain.

    Raises
    ------
    ModelError : a number with unit, or one for which there is no density.
    """

    weight: Array = number(1.0, kw_only=True)

    tag: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        register(PRIORS, cls, "prior")

    def __check_init__(self):
        self._check((self.weight >= 0) & (self.weight < np.inf), "0 <= weight < infinity")

    def log_pdf(self, value: Array) -> Array:
        """Logarithm of the density at a number, -inf outside the support; never NaN, nor are its derivatives."""
        raise NotImplementedError

    def statistic(self, value: Array) -> Array:
        """Contribution to the fit statistic: -2 ln pdf times `weight`, constants included."""
        log = self.log_pdf(value)
        # nothing times infinity, outside the support
        return -2.0 * self.weight * jnp.where((self.weight == 0.0) & (log == -jnp.inf), 0.0, log)

    def in_corner(self, value: Array, error: Array) -> Array:
        """Whether a value is where the density has a corner, or where it is flatter than around: a fit that ends there
        has no curvature to take an error from.

        Parameters
        ----------
        error : that of the curvature, of data and prior, at the value.
        """
        return jnp.zeros(jnp.shape(value), dtype=bool)

    def step_curvature(self, value: Array, curvature: Array) -> Array:
        """Curvature of a parabola that a fit far from its minimum steps by, not negative: the prior's share of the
        Fisher matrix.

        Parameters
        ----------
        curvature : second derivative of the statistic at the value.
        """
        return jnp.maximum(curvature, 0.0)

    @property
    def numbers(self) -> dict[str, Any]:
        """The numbers by name, without the weight."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "weight"}

    @property
    def support(self) -> tuple[Any, Any]:
        """Hard bounds of the value, which the parameter takes over."""
        return -np.inf, np.inf

    def rescaled(self, factor: float) -> Self:
        """Density of the value times a positive factor: the same prior in another unit.

        As densities are per unit, the statistic changes by the constant 2 `weight` ln(factor).

        Raises
        ------
        ModelError : the class does not say how.
        """
        raise ModelError(
            "GX-MODEL-102",
            f"a {type(self).__name__} cannot be converted to another unit",
            do="write its method `rescaled`, or set the prior after the change of unit",
        )

    def _check(self, good: Any, expected: str) -> None:
        if not isinstance(good, jax.core.Tracer) and not np.all(good):
            found = ", ".join(f"{name} {value}" for name, value in {**self.numbers, "weight": self.weight}.items())
            raise ModelError("GX-MODEL-103", f"no {type(self).__name__}", found=found, expected=expected)

    def __repr__(self) -> str:
        numbers = self.numbers if np.all(self.weight == 1.0) else {**self.numbers, "weight": self.weight}
        return f"{type(self).__name__}({', '.join(f'{name}={_short(value)}' for name, value in numbers.items())})"


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, np.ndarray) and not value.shape else str(value)


def _check_normal(prior: Any) -> None:
    good = (abs(prior.mu) < np.inf) & (prior.sigma > 0) & (prior.sigma < np.inf)
    prior._check(good, "sigma > 0, all finite")


class GaussianPrior(Prior):
    """Normal distribution.

    Parameters
    ----------
    mu, sigma : mean and standard deviation, in the parameter's unit.
    """

    mu: Array = number(0.0)
    sigma: Array = number(1.0)

    def __check_init__(self):
        _check_normal(self)

    def log_pdf(self, value: Array) -> Array:
        """-z^2 / 2 - ln(sigma sqrt(2 pi)), z = (value - mu) / sigma."""
        return -0.5 * ((value - self.mu) / self.sigma) ** 2 - jnp.log(self.sigma) - 0.5 * np.log(2.0 * np.pi)

    def rescaled(self, factor: float) -> Self:
        """Both numbers times the factor."""
        return dataclasses.replace(self, mu=self.mu * factor, sigma=self.sigma * factor)


class GeneralizedGaussianPrior(Prior):
    """Generalised normal distribution, of density exp(-(abs(value - mu) / (sqrt(2) sigma))^(1 / eta)).

    But for eta = 0.5 the curvature at its centre is infinite (above) or zero (below), and says nothing of an error. A
    parameter that a fit leaves near to the centre, held by the prior more than by the data, has no error, its status is
    ``at_bound``.

    Parameters
    ----------
    mu, sigma : centre and width, in the parameter's unit.
    eta : 0.5 is a normal distribution, 1 a Laplace distribution, towards 0 it becomes a box of half-width
        sqrt(2) sigma.
    """

    mu: Array = number(0.0)
    sigma: Array = number(1.0)
    eta: Array = number(0.5)

    def __check_init__(self):
        _check_normal(self)
        self._check((self.eta > 0) & (self.eta < np.inf), "eta > 0, finite")

    def log_pdf(self, value: Array) -> Array:
        """As scipy.stats.gennorm with beta = 1 / eta, scale = sqrt(2) sigma, rounded within 1e-8 of mu."""
        scale = np.sqrt(2.0) * self.sigma
        return -(self._distance(value) ** (1.0 / self.eta)) - jnp.log(2.0 * scale * self.eta) - gammaln(self.eta)

    def _distance(self, value: Array) -> Array:
        return jnp.sqrt((value - self.mu) ** 2 / (2.0 * self.sigma**2) + _CORNER**2)

    def step_curvature(self, value: Array, curvature: Array) -> Array:
        """That of the parabola about mu with the statistic's slope at the value, where this is larger.

        Up to a Laplace distribution's the slope hardly changes, and the curvature knows nothing of the distance to mu;
        that parabola lies above the statistic, and a step by it ends at mu where there is nothing else.
        """
        parabola = self.weight / (self.eta * self.sigma**2) * self._distance(value) ** (1.0 / self.eta - 2.0)
        return jnp.maximum(curvature, parabola)

    def in_corner(self, value: Array, error: Array) -> Array:
        """Near to mu, unless eta is 0.5: the statistic an error up and down is not what the curvature says.

        Where the data are so good that the prior changes nothing, their error stands.
        """
        distance = jnp.abs(value - self.mu) / self.sigma
        near = (distance < _NEAR) | ((distance / np.sqrt(2.0)) ** (1.0 / self.eta) < _TOP)
        rise = self.statistic(value + error) + self.statistic(value - error) - 2.0 * self.statistic(value)
        parabola = jax.grad(jax.grad(self.statistic))(value) * error**2
        return (self.eta != 0.5) & near & (jnp.abs(rise - parabola) > _MISSED)

    def rescaled(self, factor: float) -> Self:
        """Centre and width times the factor."""
        return dataclasses.replace(self, mu=self.mu * factor, sigma=self.sigma * factor)


class LogNormalPrior(Prior):
    """Normal distribution of the logarithm of a positive value; 0 becomes a lower bound of the parameter.

    Parameters
    ----------
    mu, sigma : mean and standard deviation of ln(value).
    """

    mu: Array = number(1.0)
    sigma: Array = number(1.0)

    def __check_init__(self):
        _check_normal(self)

    def log_pdf(self, value: Array) -> Array:
        """-z^2 / 2 - ln(value sigma sqrt(2 pi)), z = (ln(value) - mu) / sigma; -inf from zero down."""
        positive = value > 0
        log = jnp.log(jnp.where(positive, value, 1.0))
        inside = -0.5 * ((log - self.mu) / self.sigma) ** 2 - log - jnp.log(self.sigma) - 0.5 * np.log(2.0 * np.pi)
        return jnp.where(positive, inside, -jnp.inf)

    @property
    def support(self) -> tuple[Any, Any]:
        """0 and infinity."""
        return 0.0, np.inf

    def rescaled(self, factor: float) -> Self:
        """The mean plus the factor's logarithm."""
        return dataclasses.replace(self, mu=self.mu + np.log(factor))


class UniformPrior(Prior):
    """Constant density between two numbers, which become bounds of the parameter.

    Parameters
    ----------
    min, max : finite, in the parameter's unit.
    """

    min: Array = number(0.0)
    max: Array = number(1.0)

    def __check_init__(self):
        self._check((self.min < self.max) & (self.max - self.min < np.inf), "min < max, both finite")

    def log_pdf(self, value: Array) -> Array:
        """-ln(max - min); -inf outside."""
        inside = (value >= self.min) & (value <= self.max)
        return jnp.where(inside, -jnp.log(self.max - self.min), -jnp.inf)

    @property
    def support(self) -> tuple[Any, Any]:
        """`min` and `max`."""
        return self.min, self.max

    def rescaled(self, factor: float) -> Self:
        """Both numbers times the factor."""
        return dataclasses.replace(self, min=self.min * factor, max=self.max * factor)


class LogUniformPrior(Prior):
    """Constant density of the logarithm between two numbers, which become bounds of the parameter.

    Parameters
    ----------
    min, max : positive, in the parameter's unit.
    """

    min: Array = number(1e-14)
    max: Array = number(1e-10)

    def __check_init__(self):
        self._check((self.min > 0) & (self.min < self.max) & (self.max < np.inf), "0 < min < max < infinity")

    def log_pdf(self, value: Array) -> Array:
        """-ln(value ln(max / min)); -inf outside."""
        inside = (value >= self.min) & (value <= self.max)
        log = jnp.log(jnp.where(inside, value, self.max))
        return jnp.where(inside, -log - jnp.log(jnp.log(self.max / self.min)), -jnp.inf)

    @property
    def support(self) -> tuple[Any, Any]:
        """`min` and `max`."""
        return self.min, self.max

    def rescaled(self, factor: float) -> Self:
        """Both numbers times the factor."""
        return dataclasses.replace(self, min=self.min * factor, max=self.max * factor)
