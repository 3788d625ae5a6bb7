"""Responses of an invented telescope, given by formulas, for the demo data."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtr

from gammax.irf import Background3D, EffectiveAreaTable2D, EnergyDependentMultiGaussPSF, EnergyDispersion2D
from gammax.maps import MapAxes, MapAxis

INSTRUMENT = {"TELESCOP": "DEMO", "INSTRUME": "gammax demo", "ORIGIN": "gammax"}
# where the demo's effective area is called well known [TeV]
THRESHOLDS = {"LO_THRES": 0.5, "HI_THRES": 100.0}
ENERGY_RANGE = ("0.05 TeV", "150 TeV")
_OFFSETS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)


def demo_irfs() -> dict[str, Any]:
    """Effective area, energy dispersion, PSF and background by type."""
    return {"aeff": effective_area(), "edisp": energy_dispersion(), "psf": point_spread(), "bkg": background()}


def _axes() -> tuple[MapAxis, MapAxis, np.ndarray, np.ndarray]:
    """Axes of true energy and offset, and their nodes [TeV, deg] as a column and a row."""
    true = MapAxis.from_energy_bounds(*ENERGY_RANGE, nbin=40, name="energy_true")
    offset = MapAxis.from_nodes(_OFFSETS, "offset", unit="deg")
    return true, offset, true.center_value("TeV")[:, np.newaxis], offset.center_value("deg")


def _single(values: np.ndarray) -> np.ndarray:
    """Rounded to 32 bits, which halves the file; what is simulated is then what the file says."""
    return values.astype(np.float32).astype(np.float64)


def effective_area() -> EffectiveAreaTable2D:
    """Steep rise up to 0.4 TeV, then nearly flat; half at 2 deg off the axis."""
    true, offset, energy, theta = _axes()
    rise = (1 + (energy / 0.4) ** -2.5) ** -1
    area = 2.2e5 * rise * (energy / 10) ** 0.05 * np.exp2(-((theta / 2) ** 2))
    return EffectiveAreaTable2D(MapAxes([true, offset]), _single(area), "m2", meta={**INSTRUMENT, **THRESHOLDS})


def energy_dispersion() -> EnergyDispersion2D:
    """Log-normal: 20 % wide at 0.1 TeV, 10 % at 100 TeV; 20 % too high at 0.1 TeV, 3 % too low at 100 TeV."""
    true, offset, energy, theta = _axes()
    migra = MapAxis.from_edges(np.linspace(0.2, 3.0, 141), "migra")
    width = (0.09 + 0.05 * energy**-0.35) * (1 + 0.1 * theta)
    shift = np.log1p(0.025 * energy**-0.9 - 0.015 * np.log10(1 + energy))
    scaled = (np.log(migra.edges_value("")) - shift[..., np.newaxis]) / width[..., np.newaxis]
    density = np.diff(ndtr(scaled), axis=2) / np.diff(migra.edges_value(""))
    data = np.moveaxis(np.where(density < 1e-6, 0.0, density), 2, 1)
    return EnergyDispersion2D(MapAxes([true, migra, offset]), _single(data), meta=dict(INSTRUMENT))


def point_spread() -> EnergyDependentMultiGaussPSF:
    """Two Gaussians; 68 % within 0.09 deg at 0.3 TeV and 0.06 deg at 10 TeV.

    Its containment is a closed form, and it needs no tables in the distance to the source.
    """
    true, offset, energy, theta = _axes()
    core = (0.029 + 0.011 * energy**-0.4) * (1 + 0.1 * theta**2)
    tail, fraction = 2.5 * core, 0.2
    # of the amplitudes, so that the tail holds its fraction of the events
    ratio = fraction / (1 - fraction) * (core / tail) ** 2
    tables = {
        # the peak density per steradian
        "scale": (1 - fraction) / (2 * np.pi * np.deg2rad(core) ** 2),
        "sigma_1": core,
        "ampl_2": ratio,
        "sigma_2": tail,
        "ampl_3": np.zeros_like(core),
        "sigma_3": np.zeros_like(core),
    }
    return EnergyDependentMultiGaussPSF(
        MapAxes([true, offset]), {name: _single(table) for name, table in tables.items()}, meta=dict(INSTRUMENT)
    )


def background() -> Background3D:
    """Power law of index 2.6 above a threshold at 0.35 TeV, Gaussian of 1.2 deg in the field of view."""
    axis = MapAxis.from_energy_bounds(*ENERGY_RANGE, nbin=28)
    side = np.linspace(-2.5, 2.5, 21)
    lon, lat = (MapAxis.from_edges(side, name, unit="deg") for name in ("fov_lon", "fov_lat"))
    energy, x, y = np.meshgrid(
        axis.center_value("TeV"), lon.center_value("deg"), lat.center_value("deg"), indexing="ij"
    )
    spectrum = energy**-2.6 / (1 + (energy / 0.35) ** -4)
    rate = 5e-4 * spectrum * np.exp(-(x**2 + y**2) / (2 * 1.2**2))
    return Background3D(MapAxes([axis, lon, lat]), _single(rate), "s-1 MeV-1 sr-1", meta=dict(INSTRUMENT))
