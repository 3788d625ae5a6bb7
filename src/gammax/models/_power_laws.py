"""The power-law family of spectral models. Energies in TeV, amplitudes in cm-2 s-1 TeV-1."""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array

from gammax.models._integrate import power_law_integral
from gammax.models._parameter import Parameter, parameter
from gammax.models._spectral import SpectralModel

_AMPLITUDE = "1e-12 TeV-1 s-1 cm-2"


class PowerLawSpectralModel(SpectralModel):
    """Power law: A (E / E0)^-index."""

    tag: ClassVar = ("pl",)

    index: Parameter = parameter(2.0)
    amplitude: Parameter = parameter(_AMPLITUDE, is_norm=True, interp="log")
    reference: Parameter = parameter("1 TeV", frozen=True)

    @staticmethod
    def evaluate(energy: Array, index: Array, amplitude: Array, reference: Array) -> Array:
        """Differential flux [cm-2 s-1 TeV-1]."""
        return amplitude * (energy / reference) ** -index

    @staticmethod
    def evaluate_integral(
        energy_min: Array, energy_max: Array, index: Array, amplitude: Array, reference: Array
    ) -> Array:
        """Flux between two energies [cm-2 s-1], smooth through index = 1."""
        return amplitude * reference * power_law_integral(energy_min / reference, energy_max / reference, -index)

    @staticmethod
    def evaluate_energy_flux(
        energy_min: Array, energy_max: Array, index: Array, amplitude: Array, reference: Array
    ) -> Array:
        """Energy flux between two energies [TeV cm-2 s-1], smooth through index = 2."""
        return (
            amplitude * reference**2 * power_law_integral(energy_min / reference, energy_max / reference, 1.0 - index)
        )


class PowerLawNormSpectralModel(SpectralModel):
    """Dimensionless power law, a factor on another model: norm (E / E0)^-tilt."""

    tag: ClassVar = ("pl-norm",)
    unit: ClassVar = ""

    tilt: Parameter = parameter(0.0, frozen=True)
    norm: Parameter = parameter(1.0, is_norm=True, interp="log")
    reference: Parameter = parameter("1 TeV", frozen=True)

    @staticmethod
    def evaluate(energy: Array, tilt: Array, norm: Array, reference: Array) -> Array:
        """Factor [dimensionless]."""
        return norm * (energy / reference) ** -tilt


class ExpCutoffPowerLawSpectralModel(SpectralModel):
    """Power law with an exponential cutoff: A (E / E0)^-index exp(-(lambda E)^alpha).

    For alpha > 1 the slope by lambda is 0 at lambda = 0: a fit that starts there stays there.
    """

    tag: ClassVar = ("ecpl",)

    index: Parameter = parameter(1.5)
    amplitude: Parameter = parameter(_AMPLITUDE, is_norm=True, interp="log")
    reference: Parameter = parameter("1 TeV", frozen=True)
    lambda_: Parameter = parameter("0.1 TeV-1")
    alpha: Parameter = parameter(1.0, frozen=True)

    @staticmethod
    def evaluate(
        energy: Array, index: Array, amplitude: Array, reference: Array, lambda_: Array, alpha: Array
    ) -> Array:
        """Differential flux [cm-2 s-1 TeV-1]; for lambda < 0 the odd continuation, exp(+|lambda E|^alpha)."""
        x = lambda_ * energy
        is_zero = x == 0.0
        power = jnp.sign(x) * jnp.where(is_zero, 1.0, jnp.abs(x)) ** alpha
        # at 0 the slope and curvature of x^alpha from above; where they are infinite, those of the next whole power
        start = jnp.where(alpha <= 1.0, x, jnp.where(alpha <= 2.0, x * x, 0.0))
        power = jnp.where(is_zero, start, power)
        return amplitude * (energy / reference) ** -index * jnp.exp(-power)


class LogParabolaSpectralModel(SpectralModel):
    """Log parabola with the natural logarithm: A x^(-alpha - beta ln x), x = E / E0."""

    tag: ClassVar = ("lp",)

    amplitude: Parameter = parameter(_AMPLITUDE, is_norm=True, interp="log")
    reference: Parameter = parameter("10 TeV", frozen=True)
    alpha: Parameter = parameter(2.0)
    beta: Parameter = parameter(1.0)

    @classmethod
    def from_log10(cls, amplitude: Any, reference: Any, alpha: Any, beta: float) -> LogParabolaSpectralModel:
        """Model from the curvature of papers that use log10 in place of ln: beta = beta10 / ln 10."""
        return cls(amplitude=amplitude, reference=reference, alpha=alpha, beta=beta / jnp.log(10.0).item())

    @staticmethod
    def evaluate(energy: Array, amplitude: Array, reference: Array, alpha: Array, beta: Array) -> Array:
        """Differential flux [cm-2 s-1 TeV-1]."""
        log_x = jnp.log(energy / reference)
        return amplitude * jnp.exp(-(alpha + beta * log_x) * log_x)
