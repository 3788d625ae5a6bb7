"""Energy thresholds of the tables of an observation, in their own bins."""

from __future__ import annotations

import numpy as np

from gammax.irf import Background2D, EDispKernel, EffectiveAreaTable2D, EnergyDispersion2D
from gammax.irf._background import BackgroundBase


def area_threshold(aeff: EffectiveAreaTable2D, offset: float, percent: float) -> float | None:
    """Lowest edge [TeV] of the table with more than `percent` of the maximum at an offset [deg]; None if all are 0."""
    edges = aeff.axes["energy_true"].edges_value("TeV")
    values = aeff.values(energy_true=edges, offset=offset)
    above = values > percent / 100 * values.max()
    return float(edges[above][0]) if above.any() else None


def kernel_of_table(edisp: EnergyDispersion2D, offset: float) -> EDispKernel:
    """Kernel at an offset [deg], true and reconstructed energies in the bins of the table."""
    true = edisp.axes["energy_true"]
    return edisp.to_edisp_kernel(f"{offset!r} deg", true, true.rename("energy"))


def background_peak(bkg: BackgroundBase) -> float:
    """Lower edge [TeV] of the bin of the table with the highest rate.

    That of a 3D table is summed over rings, from the values on the positive longitudes at latitude 0.
    """
    data, axis = bkg.data, bkg.axes["offset"] if isinstance(bkg, Background2D) else bkg.axes["fov_lon"]
    edges = axis.edges_value("deg")
    if not isinstance(bkg, Background2D):
        lat = bkg.axes["fov_lat"].edges_value("deg")
        row = int(np.clip(np.searchsorted(lat, 0, side="right") - 1, 0, data.shape[2] - 1))
        first = int(np.clip(np.searchsorted(edges, 0, side="right") - 1, 0, data.shape[1] - 1))
        data, edges = data[:, first:, row], edges[first:]
    spectrum = data @ ((edges[1:] + edges[:-1]) * np.diff(edges))
    return float(bkg.axes["energy"].edges_value("TeV")[np.argmax(spectrum)])
