"""Weights of true energies in means over them."""

from __future__ import annotations

from typing import Any

import numpy as np

from gammax.maps import MapAxis


def spectrum_weights(axis: MapAxis, spectral_model: Any = None) -> np.ndarray:
    """Flux of a model in the bins of an energy axis, as fractions of its sum, shape (n,).

    Parameters
    ----------
    spectral_model : has ``integral(energy_min, energy_max)``; a power law of index 2 by default.
    """
    if spectral_model is None:
        edges = axis.edges_value("TeV")
        flux = 1 / edges[:-1] - 1 / edges[1:]
    else:
        flux = np.asarray(spectral_model.integral(axis.edges_min, axis.edges_max).value, float)
    return flux / flux.sum()
