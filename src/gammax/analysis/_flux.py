"""From the configuration's flux_points section to the estimator's arguments."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np

from gammax.analysis._check import convert_section
from gammax.analysis._config import AnalysisConfig
from gammax.analysis._sections import FluxOptions
from gammax.datasets import Datasets
from gammax.errors import DataValueError, GeometryError, SchemaError, did_you_mean
from gammax.estimators import FluxPointsEstimator
from gammax.maps import MapAxis
from gammax.models import Models
from gammax.units import to_value

_EDGE_RTOL = 1e-6


def flux_source(config: AnalysisConfig, models: Models) -> str:
    """Name of the source: the one configured, or the only source whatever its name.

    Raises
    ------
    SchemaError : no model of that name among several.
    """
    name = config.flux_points.source
    if name in models.sky_models.names:
        return name
    sources = models.sky_models.names
    if len(sources) == 1:
        return sources[0]
    raise SchemaError(
        "GX-ANALYSIS-020",
        f"no model named {name!r} for the flux points",
        key="flux_points.source",
        do=did_you_mean(name, sources),
    )


def flux_options(config: AnalysisConfig) -> dict[str, Any]:
    """Options of the estimator.

    Raises
    ------
    SchemaError : an option that it does not have, a value of the wrong kind.
    """
    given = config.flux_points.parameters
    convert_section(given, FluxOptions, config.file, ("flux_points", "parameters"))
    return dict(given)


def flux_estimator(config: AnalysisConfig, datasets: Datasets, models: Models) -> FluxPointsEstimator:
    """The estimator that the configuration describes.

    Raises
    ------
    SchemaError : the source or an option is unknown or wrong. GeometryError, DataValueError : no bins for points.
    """
    return FluxPointsEstimator(flux_edges(config, datasets), flux_source(config, models), **flux_options(config))


def flux_edges(config: AnalysisConfig, datasets: Datasets) -> u.Quantity:
    """Edges of the flux points, shape (K + 1,).

    With ``nbins``, equal logarithmic bins from min to max; without, the reconstructed edges between them. A limit that
    is null is that of the masks; with both null, bins end at the reconstructed edges nearest to the logarithmic ones.
    Datasets may have different axes: an edge counts if every dataset that has data on both sides of it has it too.

    Raises
    ------
    DataValueError : nothing inside the masks, or min not below max. GeometryError : no bin of any dataset between the
    limits, or no two edges in common.
    """
    energy = config.flux_points.energy
    edges = _common_edges(datasets)
    low = edges[0] if energy.min is None else float(to_value(energy.min, "TeV", "flux_points.energy.min"))
    high = edges[-1] if energy.max is None else float(to_value(energy.max, "TeV", "flux_points.energy.max"))
    if not low < high:
        raise DataValueError(
            "GX-ANALYSIS-022",
            "flux_points.energy.min is not below max",
            key="flux_points.energy",
            found=f"{low:.6g} to {high:.6g} TeV",
        )
    axes = [dataset.energy_axis.edges_value("TeV") for dataset in datasets]
    lowest, highest = min(axis[0] for axis in axes), max(axis[-1] for axis in axes)
    if not (low < highest and high > lowest):
        raise GeometryError(
            "GX-ANALYSIS-025",
            "flux_points.energy lies outside the energy axes of the datasets",
            key="flux_points.energy",
            found=f"{low:.6g} to {high:.6g} TeV",
            expected=f"within {lowest:.6g} to {highest:.6g} TeV",
        )
    if energy.nbins is not None and (energy.min or energy.max):
        return MapAxis.from_energy_bounds(low * u.TeV, high * u.TeV, energy.nbins).edges
    inside = edges[(edges >= low * (1 - _EDGE_RTOL)) & (edges <= high * (1 + _EDGE_RTOL))]
    if len(inside) < 2:
        raise GeometryError(
            "GX-ANALYSIS-023",
            "the datasets have no two energy edges in common for flux points",
            key="flux_points.energy",
            found=f"{low:.6g} to {high:.6g} TeV",
            do="give flux_points.energy.nbins",
        )
    if energy.nbins is not None and energy.nbins < len(inside) - 1:
        grid = np.linspace(*np.log(inside[[0, -1]]), energy.nbins + 1)
        inside = inside[np.unique(np.abs(grid[:, np.newaxis] - np.log(inside)).argmin(axis=1))]
    return inside * u.TeV


def _common_edges(datasets: Datasets) -> np.ndarray:
    """Edges [TeV] of bins inside the masks, without those that cut through a bin of another dataset."""
    own = []
    for dataset in datasets:
        edges = dataset.energy_axis.edges_value("TeV")
        mask = dataset.mask.reshape(len(edges) - 1, -1).any(axis=1)
        own.append(edges[np.append(mask, False) | np.append(False, mask)])
    own = [edges for edges in own if len(edges)]
    if not own:
        raise DataValueError(
            "GX-ANALYSIS-024",
            "no energy bin is left inside the masks",
            key="fit.fit_range",
            datasets=", ".join(datasets.names),
        )
    every = np.unique(np.concatenate(own))
    every = every[np.append(True, np.diff(np.log(every)) > _EDGE_RTOL)]
    return every[np.all([_fits(every, edges) for edges in own], axis=0)]


def _fits(candidates: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Which candidates are edges of a dataset, or lie outside its range."""
    outside = (candidates < edges[0] * (1 - _EDGE_RTOL)) | (candidates > edges[-1] * (1 + _EDGE_RTOL))
    return outside | np.isclose(candidates[:, np.newaxis], edges, rtol=_EDGE_RTOL, atol=0).any(axis=1)
