"""Simulated cubes that grow in one direction: their models by formula, the same words for both sides."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

SIZES = {
    "sources": (1, 2, 5, 10, 20, 50),
    "fixed sources": (1, 2, 5, 10, 20, 50),
    "pixels": (50, 100, 200, 400, 800),
    "observations": (1, 3, 10, 30, 100),
}
CENTER = (83.63, 22.01)
# the starts of the fits: factors of the truth, and degrees from it
START = {"index": 0.92, "amplitude": 0.8, "lon_0": 0.004, "lat_0": -0.003, "sigma": 0.85}
# positions are bounded around their starts: without, the first steps of the peer throw sources out of the image, and
# from two sources on it does not converge
BOUND_DEG, POSITION = 0.2, ("lon_0", "lat_0")
_GOLDEN_ANGLE = math.pi * (3.0 - math.sqrt(5.0))
_FIELD_RADIUS, _MOST_SOURCES = 1.6, 50


def folder_name(panel: str, size: int) -> str:
    """Where the cubes of a case lie: sources that stand still are those that move."""
    return f"{panel.removeprefix('fixed ')}_{size}"


def make_models(library: ModuleType, panel: str, size: int, names: list[str], start: bool) -> list[Any]:
    """Truth, or where a fit starts, from either side's module of models; `names` are those of the datasets."""
    if panel == "pixels":
        sources = [_source(library, 0, CENTER, 1e-11, start, sigma=0.1)]
    elif panel == "observations":
        sources = [_source(library, 0, CENTER, 2e-11, start)]
    else:
        sources = [_source(library, k, place(k), 5e-12, start) for k in range(size)]
    return [*sources, *(library.FoVBackgroundModel(dataset_name=name) for name in names)]


def place(number: int) -> tuple[float, float]:
    """Position of a source [deg]: a sunflower of 50 around the center, in which the nearest are 0.35 deg apart."""
    radius, angle = _FIELD_RADIUS * math.sqrt((number + 0.5) / _MOST_SOURCES), number * _GOLDEN_ANGLE
    lat = CENTER[1] + radius * math.sin(angle)
    return CENTER[0] + radius * math.cos(angle) / math.cos(math.radians(lat)), lat


def _source(
    library: ModuleType, number: int, where: tuple[float, float], amplitude: float, start: bool, sigma: float = 0.0
) -> Any:
    index, (lon, lat) = 2.2 + 0.04 * (number % 10), where
    if start:
        index, amplitude, sigma = index * START["index"], amplitude * START["amplitude"], sigma * START["sigma"]
        lon, lat = lon + START["lon_0"], lat + START["lat_0"]
    spot = {"lon_0": f"{lon!r} deg", "lat_0": f"{lat!r} deg"}
    if sigma:
        spatial = library.GaussianSpatialModel(**spot, sigma=f"{sigma!r} deg")
    else:
        spatial = library.PointSpatialModel(**spot)
    spectrum = library.PowerLawSpectralModel(index=index, amplitude=f"{amplitude!r} cm-2 s-1 TeV-1", reference="1 TeV")
    return library.SkyModel(spectral_model=spectrum, spatial_model=spatial, name=f"source-{number:02d}")
