"""The fluxes that a norm of 1 stands for."""

from __future__ import annotations

import astropy.units as u
import numpy as np

from gammax.errors import DataValueError
from gammax.models import SpectralModel


def reference_fluxes(
    model: SpectralModel, energy_ref: np.ndarray, energy_min: np.ndarray, energy_max: np.ndarray
) -> dict[str, np.ndarray]:
    """Fluxes of a model in energy bins, each (K,): dnde at `energy_ref` [cm-2 s-1 TeV-1], flux from `energy_min` to
    `energy_max` [cm-2 s-1], eflux [TeV cm-2 s-1]; the last two are NaN where a bin has no edges (NaN). Energies in TeV.

    Raises
    ------
    DataValueError : the model has no positive finite flux there, so that no norm could be defined.
    """
    has_edges = np.isfinite(energy_min) & np.isfinite(energy_max)
    lower = np.where(has_edges, energy_min, energy_ref) * u.TeV
    upper = np.where(has_edges, energy_max, 2.0 * energy_ref) * u.TeV
    fluxes = {
        "dnde": np.asarray(model(energy_ref * u.TeV).to_value("TeV-1 cm-2 s-1")),
        "flux": np.asarray(model.integral(lower, upper).to_value("cm-2 s-1")),
        "eflux": np.asarray(model.energy_flux(lower, upper).to_value("TeV cm-2 s-1")),
    }
    for name, flux in fluxes.items():
        wrong = ~(np.isfinite(flux) & (flux > 0))
        if np.any(wrong):
            raise DataValueError(
                "GX-FLUX-110",
                f"the reference model has no positive {name}",
                found=f"{flux[wrong][0]} at {energy_ref[wrong][0]:.6g} TeV",
                do="give a reference_model that has a flux in all bins",
            )
    return {name: flux if name == "dnde" else np.where(has_edges, flux, np.nan) for name, flux in fluxes.items()}
