"""The peer's integral as user models: power laws between 100 nodes per decade, the sum over each true-energy bin.

With it gammax must give the peer's numbers for curved spectra; what is left between the peer and the models of
`gammax.models` is then the peer's quadrature and nothing else.
"""

import jax.numpy as jnp
import numpy as np

from gammax.models import ExpCutoffPowerLawSpectralModel, LogParabolaSpectralModel

# int(100 log10(upper / lower)) of the 0.0493-decade bins of the w01 spectra
NODES = 4


def log_log_trapezoid(function, lower, upper, nodes):
    """Integral over bins (n,) of the curve that is a straight line in ln f(ln E) between geometrically spaced nodes."""
    energy = jnp.exp(jnp.log(lower)[:, None] + jnp.log(upper / lower)[:, None] * np.linspace(0.0, 1.0, nodes))
    times_energy = energy * function(energy)
    z = jnp.diff(jnp.log(times_energy), axis=1)
    near = jnp.abs(z) < 1e-6
    growth = jnp.where(near, 1.0 + 0.5 * z, jnp.expm1(z) / jnp.where(near, 1.0, z))
    return jnp.sum(times_energy[:, :-1] * jnp.diff(jnp.log(energy), axis=1) * growth, axis=1)


class TrapezoidExpCutoff(ExpCutoffPowerLawSpectralModel):
    """Power law with exponential cutoff, integrated as the peer does."""

    tag = ()

    @classmethod
    def evaluate_integral(cls, energy_min, energy_max, **parameters):
        """Flux between two energies [cm-2 s-1]."""
        return log_log_trapezoid(lambda energy: cls.evaluate(energy, **parameters), energy_min, energy_max, NODES)


class TrapezoidLogParabola(LogParabolaSpectralModel):
    """Log parabola, integrated as the peer does."""

    tag = ()

    @classmethod
    def evaluate_integral(cls, energy_min, energy_max, **parameters):
        """Flux between two energies [cm-2 s-1]."""
        return log_log_trapezoid(lambda energy: cls.evaluate(energy, **parameters), energy_min, energy_max, NODES)
