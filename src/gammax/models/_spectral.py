"""The spectral model: a formula with declared parameters, and all that follows from it."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from astropy.units import Quantity, TeV
from jax import Array

from gammax._config import require_x64
from gammax.errors import ModelError
from gammax.models._declared import DeclaredModel
from gammax.models._integrate import integrate_bins, n_panels
from gammax.models._parameter import is_parameter
from gammax.models._registry import register
from gammax.units import canonical_factor, to_value

SPECTRAL_MODELS: dict[str, type[SpectralModel]] = {}


class SpectralModel(DeclaredModel):
    """Differential flux as a function of energy.

    A model declares its parameters and writes `evaluate`; integrals, derivatives, error bands and YAML follow::

        class Log10Parabola(SpectralModel):
            amplitude: Parameter = parameter("3.8e-11 TeV-1 s-1 cm-2", is_norm=True)
            reference: Parameter = parameter("1 TeV", frozen=True)
            alpha: Parameter = parameter(2.47)
            beta: Parameter = parameter(0.24)

            @staticmethod
            def evaluate(energy, amplitude, reference, alpha, beta):
                x = energy / reference
                return amplitude * x ** (-alpha - beta * jnp.log10(x))

    `evaluate` is a pure function of floats and arrays in canonical units (energies TeV, areas cm2, times s). A model
    with a closed form may add ``evaluate_integral(energy_min, energy_max, **parameters)`` and ``evaluate_energy_flux``.

    Raises
    ------
    ModelError : unknown parameter name. UnitError : a value without unit or with the wrong one.
    """

    unit: ClassVar[str] = "TeV-1 s-1 cm-2"

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if isinstance(cls.unit, str) and canonical_factor(cls.unit) != 1.0:
            raise ModelError(
                "GX-MODEL-030",
                f"the unit of {cls.__name__} is not canonical",
                found=cls.unit,
                expected="TeV-1 s-1 cm-2, or '' for a factor",
                do="let evaluate return canonical units",
            )
        register(SPECTRAL_MODELS, cls, "spectral")

    # -- device side: plain arrays in canonical units --------------------------------------------------------------

    def dnde(self, energy: Array) -> Array:
        """Differential flux [cm-2 s-1 TeV-1] at energies [TeV], any shape."""
        return self.evaluate(energy, **self._values())

    def integral_values(self, edges: Array, panels: int = 1) -> Array:
        """Flux in bins [cm-2 s-1], shape (n,), for edges [TeV] of shape (n + 1,)."""
        if hasattr(self, "evaluate_integral"):
            return self.evaluate_integral(edges[:-1], edges[1:], **self._values())
        return integrate_bins(self.dnde, edges, panels)

    def energy_flux_values(self, edges: Array, panels: int = 1) -> Array:
        """Energy flux in bins [TeV cm-2 s-1], shape (n,), for edges [TeV] of shape (n + 1,)."""
        if hasattr(self, "evaluate_energy_flux"):
            return self.evaluate_energy_flux(edges[:-1], edges[1:], **self._values())
        return integrate_bins(self.dnde, edges, panels, power=1)

    def __mul__(self, other: SpectralModel) -> SpectralModel:
        return SPECTRAL_MODELS["CompoundSpectralModel"](self, other, "mul")

    def __add__(self, other: SpectralModel) -> SpectralModel:
        return SPECTRAL_MODELS["CompoundSpectralModel"](self, other, "add")

    # -- user side: Quantities in and out ---------------------------------------------------------------------------

    def __call__(self, energy: Any) -> Quantity:
        """Differential flux at energies (Quantity, any shape)."""
        return Quantity(np.asarray(_dnde(self, _energies(energy))), self.unit)

    def integral(self, energy_min: Any, energy_max: Any) -> Quantity:
        """Flux between two energies (Quantities; arrays give one flux per pair)."""
        return Quantity(self._integrated(_integral, energy_min, energy_max), self.unit) * TeV

    def energy_flux(self, energy_min: Any, energy_max: Any) -> Quantity:
        """Energy flux between two energies (Quantities; arrays give one per pair)."""
        return Quantity(self._integrated(_energy_flux, energy_min, energy_max), self.unit) * TeV**2

    def evaluate_error(self, energy: Any, covariance: np.ndarray) -> Quantity:
        """Flux and its 1 sigma error, shape (2, ...): first-order propagation with exact derivatives.

        Parameters
        ----------
        energy : Quantity, any shape.
        covariance : of `parameters`, in their own units, shape (P, P); zero rows for frozen ones. A parameter without
            error (NaN: it sits at a bound) counts as fixed; the band is NaN where no parameter has one.
        """
        lost = np.isnan(np.diag(covariance))
        covariance = np.where(lost[:, None] | lost[None, :], 0.0, covariance)
        if lost.any() and not covariance.any():
            covariance = np.full(covariance.shape, np.nan)
        energies = _energies(energy)
        if not self.parameters:
            return Quantity(np.stack([np.asarray(_dnde(self, energies)), np.zeros(energies.shape)]), self.unit)
        jacobian = _jacobian(self, energies.ravel())
        variance = np.einsum("ep,pq,eq->e", jacobian, covariance, jacobian).reshape(energies.shape)
        both = np.stack([np.asarray(_dnde(self, energies)), np.sqrt(np.maximum(variance, 0.0))])
        return Quantity(both, self.unit)

    def _integrated(self, function: Any, energy_min: Any, energy_max: Any) -> np.ndarray:
        lower, upper = np.broadcast_arrays(_energies(energy_min), _energies(energy_max))
        if not np.all((lower > 0) & (upper >= lower)):
            raise ModelError(
                "GX-MODEL-031", "an integral needs 0 < energy_min <= energy_max", found=f"{energy_min} to {energy_max}"
            )
        edges = np.stack([lower.ravel(), upper.ravel()], axis=1)
        panels = max(n_panels(pair) for pair in edges)
        return np.asarray(function(self, edges, panels)).reshape(lower.shape)


def _energies(energy: Any) -> np.ndarray:
    require_x64()
    return to_value(energy, "TeV", "energy")


_dnde = jax.jit(lambda model, energy: model.dnde(energy))
_integral = jax.jit(
    lambda model, pairs, panels: jax.vmap(lambda pair: model.integral_values(pair, panels)[0])(pairs), static_argnums=2
)
_energy_flux = jax.jit(
    lambda model, pairs, panels: jax.vmap(lambda pair: model.energy_flux_values(pair, panels)[0])(pairs),
    static_argnums=2,
)


@jax.jit
def _jacobian(model: SpectralModel, energy: Array) -> Array:
    """d dnde / d parameter, in the parameters' own units, shape (energy, P)."""
    parameters, structure = jax.tree.flatten(model, is_leaf=is_parameter)

    def flux(values: Array) -> Array:
        moved = [parameter.with_value(value) for parameter, value in zip(parameters, values, strict=True)]
        return jax.tree.unflatten(structure, moved).dnde(energy)

    return jax.jacfwd(flux)(jnp.stack([parameter.value for parameter in parameters]))
