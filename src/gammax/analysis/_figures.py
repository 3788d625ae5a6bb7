"""The figures of a run, as PNG bytes."""

from __future__ import annotations

import io
import itertools
import logging
import warnings
from typing import TYPE_CHECKING, NamedTuple

import astropy.units as u
import numpy as np
from tqdm import tqdm

from gammax.analysis._cube_figures import plot_maps
from gammax.analysis._cube_runs import CubeRuns
from gammax.analysis._reduce_cube import source_regions
from gammax.analysis._region_figures import MOST_REGIONS, plot_region_counts, region_panels
from gammax.analysis._run_figures import plot_growth, plot_sky
from gammax.analysis._sky_images import SkyImages, cubes_of
from gammax.analysis._stages import LOGGER
from gammax.datasets import Datasets
from gammax.errors import GammaxWarning
from gammax.models import Models
from gammax.plot import plot_fits, plot_flux_points, plot_spectrum, style
from gammax.plot._grid import PANELS_PER_PAGE
from gammax.plot._spectrum import plot_energy_ranges
from gammax.plot._style import format_energy_axis, model_colors, plain
from gammax.units import same_dimension

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gammax.analysis._results import Results
    from gammax.analysis._runs import Runs
    from gammax.estimators import FluxPoints

_DPI = 150
_WIDTH = 11.0
# bars of more datasets than this would leave no room for the spectrum above them
_MAX_RANGES = 24


class Picture(NamedTuple):
    """A figure: name of its file without suffix, what it shows, PNG."""

    name: str
    caption: str
    png: bytes


def make_figures(results: Results) -> list[Picture]:
    """Spectrum with flux points, their profiles, the sky, the observations, and counts of every spectrum."""
    pictures, models, points = [], results.fitted_models, results.flux_points
    with style(), warnings.catch_warnings():
        # matplotlib's own, as of a letter that a font lacks, are no matter of the results
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("always", GammaxWarning)
        if models is not None and len(_with_flux(models)) and np.isfinite(_energy_range(results.datasets)).all():
            pictures.append(_spectrum(results.datasets, models, points, results.source))
        if points is not None and "stat_scan" in points.quantities:
            pictures.append(_profiles(points))
        cubes = cubes_of(results.datasets)
        pictures += _maps(results, cubes)
        if results.runs is not None and not isinstance(results.runs, CubeRuns):
            pictures += _runs(results.runs)
        spectra = Datasets(dataset for dataset in results.datasets if dataset not in cubes)
        return pictures + (_counts(spectra, models) if len(spectra) else [])


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    # not from pyplot: nothing of the user's session is touched, and no display is needed
    return Figure(figsize=(width, height), layout="constrained")


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_DPI)
    return stream.getvalue()


def _energy_range(datasets: Datasets) -> u.Quantity:
    """Lowest and highest energy inside the masks, NaN where all are empty."""
    low, high = datasets.energy_ranges
    finite = np.isfinite(low.value)
    if not finite.any():
        return [np.nan, np.nan] * u.TeV
    return u.Quantity([low[finite].min(), high[finite].max()])


def _spectrum(datasets: Datasets, models: Models, points: FluxPoints | None, source: str | None) -> Picture:
    bars = len(datasets) if 1 < len(datasets) <= _MAX_RANGES else 0
    figure = _figure(_WIDTH, 5.4 + 0.2 * bars)
    upper, *lower = (
        figure.subplots(2, 1, sharex=True, height_ratios=(5.0, 0.3 + 0.2 * bars)) if bars else [figure.subplots()]
    )
    for ax in (upper, *lower):
        # bars would stick to the frame where they begin
        ax.use_sticky_edges = False
    low, high = _energy_range(datasets)
    for name, color in model_colors(_with_flux(models)).items():
        plot_spectrum(models, name, low, high, upper, color=color, label=f"{plain(name)}, best fit with 1σ band")
    caption = "Spectral energy distribution: best fit with its 1σ error band"
    if points is not None:
        plot_flux_points(points, upper, label=f"flux points of {plain(str(source))}")
        caption += f", flux points of {source}"
    # above the axes, where no flux point can be
    upper.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, borderaxespad=0.0)
    if bars:
        upper.set_xlabel("")
        plot_energy_ranges(datasets, lower[0])
        caption += "; below, the energies of each dataset inside the fit"
    return Picture("spectrum", f"{caption}.", _png(figure))


def _with_flux(models: Models) -> Models:
    """Sources whose spectra are fluxes; those of templates are factors."""
    return Models([model for model in models.sky_models if same_dimension(model.spectral_model.unit, "TeV-1 s-1 cm-2")])


def _maps(results: Results, cubes: Datasets) -> list[Picture]:
    models, runs, pictures = results.fitted_models, results.runs, []
    regions = source_regions(results.config, results.models) if len(cubes) else {}
    if isinstance(runs, CubeRuns) and runs.region is not None:
        # where the sums by observation are taken
        regions[next(iter(regions), "region")] = runs.region
    groups = SkyImages.of(cubes, models, list(regions.values()))
    for k, images in enumerate(groups, 1):
        number = "" if len(groups) == 1 else f"_{k}"
        rows, columns = images.box
        height = min(max((rows.stop - rows.start) / (columns.stop - columns.start), 0.3), 1.2)
        panels = 2 if models is None else 3
        figure = _figure(_WIDTH, panels * (0.36 * _WIDTH * height + 0.75))
        exclusion = None if runs is None else runs.exclusion
        pictures.append(Picture(f"maps{number}", plot_maps(images, models, exclusion, figure), _png(figure)))
        sums = {name: found for name, found in zip(regions, images.regions, strict=True) if found.bins.any()}
        sums = dict(itertools.islice(sums.items(), MOST_REGIONS))
        if sums:
            n_rows, n_columns = region_panels(len(sums))
            figure = _figure(_WIDTH, n_rows * (4.6 if n_columns == 1 else 3.9))
            caption = plot_region_counts(images.edges, sums, regions, models is not None, figure)
            pictures.append(Picture(f"region{number}", caption, _png(figure)))
    return pictures


def _profiles(points: FluxPoints) -> Picture:
    figure = _figure(_WIDTH, 5.2)
    format_energy_axis(points.plot_ts_profiles(figure.subplots()))
    caption = "Profile of the fit statistic in every energy bin, above its minimum (1, 4, 9 are 1, 2, 3σ)."
    return Picture("flux_profiles", caption, _png(figure))


def _runs(runs: Runs) -> list[Picture]:
    columns, rows = runs.sky.geom.npix
    # as high as it gets in most of the width, beside the colour bar
    figure = _figure(_WIDTH, min(0.75 * _WIDTH * rows / columns, 0.62 * _WIDTH) + 0.9)
    pictures = [Picture("sky", plot_sky(runs, figure), _png(figure))]
    # one point makes no curve, and where nothing is known of the background there is no excess
    if len(runs.datasets) > 1 and all(dataset.background is not None for dataset in runs.datasets):
        figure = _figure(_WIDTH, 3.8)
        pictures.append(Picture("excess", plot_growth(runs, figure), _png(figure)))
    return pictures


def _counts(datasets: Datasets, models: Models | None) -> list[Picture]:
    pages = -(-len(datasets) // PANELS_PER_PAGE)
    bounds = np.linspace(0, len(datasets), pages + 1).round().astype(int)
    pictures = []
    hidden = pages < 3 or not LOGGER.isEnabledFor(logging.INFO)
    for page in tqdm(range(pages), desc="figures", disable=hidden):
        shown = datasets[bounds[page] : bounds[page + 1]]
        figure = _figure(_WIDTH, 5.6)
        plot_fits(shown, models, figure)
        name = "counts" if pages == 1 else f"counts_{page + 1}"
        pictures.append(Picture(name, _counts_caption(models), _png(figure)))
    return pictures


def _counts_caption(models: Models | None) -> str:
    if models is None:
        return (
            "Counts with Poisson errors and background; significance of the excess in every bin. Bins outside the mask "
            "are light."
        )
    return (
        "Counts with Poisson errors, background and prediction of the best fit; residuals as the signed root of each "
        "bin's share of the fit statistic. Bins outside the mask are light."
    )
