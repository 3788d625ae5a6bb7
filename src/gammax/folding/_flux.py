"""Spectra as fluxes in bins of true energy, and the models that are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp
from jax import Array

from gammax.errors import ModelError, did_you_mean
from gammax.models import Models, SpectralModel


def total_flux(spectral_models: Iterable[SpectralModel], edges: Array, panels: int) -> Array:
    """Flux of several spectra in true-energy bins.

    Parameters
    ----------
    spectral_models : what adds up.
    edges : true-energy edges [TeV], shape (T + 1,).
    panels : quadrature panels per bin, `gammax.models.n_panels`.

    Returns
    -------
    shape (T,) [cm-2 s-1].
    """
    fluxes = [model.integral_values(edges, panels) for model in spectral_models]
    return sum(fluxes, start=jnp.zeros(edges.shape[0] - 1))


def fold_flux(flux: Array, response: Array) -> Array:
    """Predicted counts (..., R) of a flux (T,) [cm-2 s-1] through responses (..., R, T) [cm2 s]."""
    return response @ flux


def choose_models(models: Any, names: Iterable[str] | None) -> list[Any]:
    """The models of some names, all without names.

    Raises
    ------
    ModelError : a name that is no model's.
    """
    models = models if isinstance(models, Models) else Models(models)
    chosen = models.names if names is None else tuple(names)
    for name in chosen:
        if name not in models.names:
            raise ModelError("GX-FOLD-001", f"no model named {name!r}", do=did_you_mean(name, models.names))
    return [model for model in models if model.name in chosen]
