"""A table of fluxes as spectral model."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from astropy.units import Quantity
from jax import Array

from gammax.errors import ModelError
from gammax.models._integrate import power_law_integral
from gammax.models._spectral import SpectralModel
from gammax.units import canonical_factor, same_dimension, to_quantity, to_value, unit_string

_UNITS = ("TeV-1 s-1 cm-2", "")
_TINY = np.finfo(float).tiny


class TemplateSpectralModel(SpectralModel):
    """Flux of a table: power laws from each energy to the next, the first and the last going on beyond.

    It has no parameters: multiply it with a norm model to fit it.

    Parameters
    ----------
    energy : increasing energies (Quantity).
    values : fluxes at them (Quantity), or numbers without unit for a factor. Zero is a flux of 2e-308.

    Raises
    ------
    ModelError : energies not positive and increasing, other than one value each, negative values, a unit of no flux.
    """

    tag: ClassVar = ("template",)

    _energy: tuple[float, ...] = eqx.field(static=True)
    _flux: tuple[float, ...] = eqx.field(static=True)
    _units: tuple[str, str] = eqx.field(static=True)

    def __init__(self, energy: Any, values: Any):
        energies, fluxes = (np.atleast_1d(to_quantity(given, None, "template")) for given in (energy, values))
        numbers = to_value(energies, "TeV", "energy")
        good = numbers.ndim == 1 and numbers.shape == fluxes.shape and numbers[0] > 0 and np.all(np.diff(numbers) > 0)
        if not good:
            raise ModelError(
                "GX-MODEL-051",
                "a template needs positive, increasing energies and one value at each",
                found=f"shapes {energies.shape} and {fluxes.shape}",
            )
        if not np.all(np.isfinite(fluxes.value) & (fluxes.value >= 0)):
            raise ModelError("GX-MODEL-052", "the values of a template are not positive numbers")
        self._units = (unit_string(energies.unit), unit_string(fluxes.unit))
        if not any(same_dimension(self._units[1], unit) for unit in _UNITS):
            raise ModelError("GX-MODEL-053", "not the unit of a flux", found=self._units[1], expected=_UNITS[0])
        self._energy, self._flux = tuple(energies.value.tolist()), tuple(fluxes.value.tolist())
        super().__init__()

    @property
    def energy(self) -> Quantity:
        """Energies, as given."""
        return Quantity(self._energy, self._units[0])

    @property
    def values(self) -> Quantity:
        """Values at the energies, as given."""
        return Quantity(self._flux, self._units[1])

    @property
    def unit(self) -> str:
        """Unit of `dnde`."""
        return _UNITS[0] if same_dimension(self._units[1], _UNITS[0]) else ""

    def _options(self) -> dict[str, Any]:
        return {"energy": self.energy, "values": self.values}

    def _pieces(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Energies [TeV], fluxes and slopes of the power laws, (n - 1,); one of slope 0 for a single value."""
        energy = np.array(self._energy) * canonical_factor(self._units[0])
        flux = np.maximum(np.array(self._flux), _TINY) * canonical_factor(self._units[1])
        if len(energy) == 1:
            return energy, flux, np.zeros(1)
        return energy[:-1], flux[:-1], np.diff(np.log(flux)) / np.diff(np.log(energy))

    def evaluate(self, energy: Array) -> Array:
        """Differential flux at energies [TeV]."""
        start, flux, slope = self._pieces()
        piece = jnp.clip(jnp.searchsorted(jnp.asarray(start), energy, side="right") - 1, 0, len(start) - 1)
        distance = jnp.log(energy) - jnp.asarray(np.log(start))[piece]
        values = jnp.asarray(flux)[piece] * jnp.exp(jnp.asarray(slope)[piece] * distance)
        return jnp.where(values > 2.0 * _TINY * canonical_factor(self._units[1]), values, 0.0)

    def evaluate_integral(self, energy_min: Array, energy_max: Array) -> Array:
        """Flux between energies [TeV], exact for the power laws between."""
        return self._integral(energy_min, energy_max, 0)

    def evaluate_energy_flux(self, energy_min: Array, energy_max: Array) -> Array:
        """Energy flux between energies [TeV], exact for the power laws between."""
        return self._integral(energy_min, energy_max, 1)

    def _integral(self, energy_min: Array, energy_max: Array, power: int) -> Array:
        start, flux, slope = self._pieces()
        first, last = np.concatenate([[0.0], start[1:]]), np.concatenate([start[1:], [np.inf]])
        lower, upper = (jnp.clip(jnp.asarray(edge)[..., None], first, last) for edge in (energy_min, energy_max))
        parts = power_law_integral(lower / start, upper / start, slope + power)
        return jnp.sum(jnp.where(upper > lower, parts, 0.0) * flux * start ** (1 + power), axis=-1)

    def __repr__(self) -> str:
        return f"TemplateSpectralModel({len(self._energy)} energies from {self.energy[0]} to {self.energy[-1]})"
