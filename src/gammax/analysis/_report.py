"""The report: one HTML page that holds everything that a reader of the result asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gammax import __version__
from gammax._versions import all_versions
from gammax.analysis._cube_runs import CubeRuns
from gammax.analysis._html import Html, element, image, join, page, plural, section, table
from gammax.analysis._report_cubes import cube_observations_table, positions_table
from gammax.analysis._report_runs import observations_table
from gammax.analysis._report_tables import (
    correlation_table,
    datasets_table,
    flux_points_table,
    key_figures,
    parameters_table,
    settings_table,
)
from gammax.analysis._sky_images import cubes_of

if TYPE_CHECKING:
    from gammax.analysis._config import AnalysisConfig
    from gammax.analysis._figures import Picture
    from gammax.analysis._results import Results

# colour of the banner by status; what is not here is an alarm
_TONES = {"ok": "good", "no_model": "plain", "at_bound": "warn"}


def report(results: Results, config: AnalysisConfig, pictures: Sequence[Picture], css: str) -> str:
    """HTML text of the report.

    Parameters
    ----------
    config : the configuration as it is written beside the report.
    """
    title = _title(results)
    return page(
        title,
        css,
        element("header", join([element("h1", title), element("p", _byline(config), class_="byline")])),
        _banner(results),
        key_figures(results),
        _notes(results),
        _fit(results),
        *_pictures(pictures, "spectrum"),
        _flux_points(results),
        *_pictures(pictures, "flux_profiles"),
        *_pictures(pictures, "maps"),
        *_pictures(pictures, "region"),
        _observations(results, pictures),
        section("Datasets", datasets_table(results)),
        *_pictures(pictures, "counts"),
        _configuration(results, config),
        _technical(results),
    )


def _title(results: Results) -> str:
    names = results.datasets.names
    n_cubes = len(cubes_of(results.datasets))
    one, several = {0: ("spectrum", "spectra"), len(names): ("cube", "cubes")}.get(n_cubes, ("dataset", "datasets"))
    what = f"{len(names)} {several}" if len(names) > 1 else f"the {one} {names[0]}"
    if results.fit_result is None:
        return f"{what[0].upper()}{what[1:]}, no model"
    sources = ", ".join(results.fit_result.models.sky_models.names) or "Background"
    return f"{sources}: {'joint fit' if len(names) > 1 else 'fit'} of {what}"


def _byline(config: AnalysisConfig) -> str:
    date = (config.metadata.date or "").replace("T", " ").replace("+00:00", " UTC")
    return f"gammax {__version__} · {date} · {config.metadata.origin or 'datasets in memory'}"


def _banner(results: Results) -> Html:
    message, result = results.message, results.fit_result
    if result is not None and math.isfinite(result.edm):
        message += f" ({result.backend}, {plural(result.n_steps, 'step')}, edm {result.edm:.1g})"
    words = join([element("strong", results.status.replace("_", " ")), element("span", message)])
    return element("div", words, class_=f"banner {_TONES.get(results.status, 'bad')}")


def _notes(results: Results) -> Html:
    notes = results.notes
    return element("ul", join(element("li", note) for note in notes), class_="notes") if notes else Html()


def _fit(results: Results) -> Html:
    if results.fit_result is None:
        return Html()
    parts = [section("Fitted parameters", parameters_table(results.fit_result))]
    if (positions := positions_table(results.fit_result)) is not None:
        parts.append(section("Positions", positions))
    if len(results.fit_result.names) > 1:
        parts.append(section("Correlation", correlation_table(results.fit_result)))
    return element("div", join(parts), class_="columns spread")


def _flux_points(results: Results) -> Html:
    return (
        Html()
        if results.flux_points is None
        else section(f"Flux points of {results.source}", flux_points_table(results.flux_points))
    )


def _observations(results: Results, pictures: Sequence[Picture]) -> Html:
    if results.runs is None:
        return Html()
    shown = [*_pictures(pictures, "sky"), *_pictures(pictures, "excess")]
    cubes = isinstance(results.runs, CubeRuns)
    rows = cube_observations_table(results.runs) if cubes else observations_table(results.runs)
    return join([section("Observations", rows), *shown])


def _pictures(pictures: Sequence[Picture], start: str) -> list[Html]:
    return [image(picture.png, picture.caption) for picture in pictures if picture.name.startswith(start)]


def _configuration(results: Results, config: AnalysisConfig) -> Html:
    whole = element(
        "details", join([element("summary", "All settings (config.yaml)"), element("pre", config.to_yaml())])
    )
    return section("Configuration", settings_table(results.config), whole)


def _technical(results: Results) -> Html:
    times = table(
        ("Stage", "Time [s]"),
        [(name, f"{seconds:.2f}") for name, seconds in results.timings.items()],
        "lr",
        ("total", f"{sum(results.timings.values()):.2f}"),
    )
    versions = table(("Package", "Version"), all_versions().items(), "ll")
    return section("Run", element("div", join([times, versions]), class_="columns"))
