"""What the report of cubes says of observations and positions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gammax.analysis._cube_runs import CubeRuns
from gammax.analysis._html import Html, element, join, rounded, table
from gammax.analysis._record import USED, Run
from gammax.analysis._report_runs import DASH, MOST_ROWS, number
from gammax.fit import FitResult

_HEAD = (
    "Observation",
    "Start (UTC)",
    "Time [min]",
    "Offset [deg]",
    "Zenith [deg]",
    "Counts",
    "Background",
    "Norm",
)
_REGION_HEAD = ("In region", "Expected", "Excess", "Signif. [σ]")
_DIGITS = {"on": ".10g", "on_background": ".1f", "excess": ".1f", "significance": ".1f"}


def cube_observations_table(runs: CubeRuns) -> Html:
    """All observations: when and where, what the image holds, and what its region."""
    rows = [_row(runs, run) for run in runs.rows]
    total = None
    if len(runs.used) > 1:
        livetime = sum(run.livetime for run in runs.used) / 60
        total = ("all used", "", f"{livetime:.1f}", "", "", *_sums(runs.numbers(), norm=""))
    head = (*_HEAD, *_REGION_HEAD)
    # columns that nothing is known of are left out
    keep = [k for k in range(len(head)) if any(row[k] != DASH for row in rows)]
    content = table(
        [head[k] for k in keep],
        [[row[k] for k in keep] for row in rows],
        "".join("llrrrrrrrrrr"[k] for k in keep),
        None if total is None else [total[k] for k in keep],
    )
    if runs.region is not None:
        center = runs.region.center
        where = f"The region is a circle of {runs.region.radius.to_value('deg'):.3g} deg about {_place(center)}. "
        note = where + "Of its background no uncertainty is in the significance."
        content = join([content, element("p", note, class_="byline")])
    if len(rows) <= MOST_ROWS:
        return content
    return element("details", join([element("summary", f"All {len(rows)} observations"), content]))


def _row(runs: CubeRuns, run: Run) -> tuple[object, ...]:
    below = run.target if run.status == USED else run.status
    name = join([element("b", run.name), element("span", below, class_="soft")])
    found = runs.numbers([run.name]) if run.name in runs.sums else {}
    place = (f"{run.livetime / 60:.1f}", f"{run.offset:.2f}", number(run.zenith, ".1f"))
    # without seconds, which leaves room for the columns of the region
    return (name, run.start[:16], *place, *_sums(found))


def _sums(found: dict[str, float], norm: str | None = None) -> tuple[object, ...]:
    counts, background = (number(found.get(key, math.nan), d) for key, d in (("counts", ".10g"), ("background", ".1f")))
    value, error = (found.get(key, math.nan) for key in ("norm", "norm_err"))
    own = Html(rounded(value, error).html) if math.isfinite(value) else DASH
    rest = (number(found.get(key, math.nan), digits) for key, digits in _DIGITS.items())
    return (counts, background, own if norm is None else norm, *rest)


def positions_table(result: FitResult) -> Html | None:
    """Where the sources are, with errors; None where no position was fitted."""
    rows: list[tuple[object, ...]] = []
    models = result.models
    for model in models.sky_models:
        free = [f"{model.name}.spatial.{name}" in result.names for name in ("lon_0", "lat_0")]
        if not any(free):
            continue
        icrs, galactic = model.position.icrs, model.position.galactic
        place = (
            f"{icrs.ra.deg:.4f}, {icrs.dec.deg:+.4f}".replace("-", "−"),
            f"{galactic.l.deg:.4f}, {galactic.b.deg:+.4f}".replace("-", "−"),
        )
        rows.append((element("b", model.name), *place, _error_text(models, model.name) if all(free) else DASH))
    if not rows:
        return None
    return table(("Source", "RA, Dec [deg]", "l, b [deg]", "Error, 68 % · 95 % [arcmin]"), rows, "lrrr")


def _error_text(models: Any, name: str) -> str:
    """Larger half axes of the ellipses that hold the position with 68 % and 95 % probability."""
    with np.errstate(invalid="ignore"):
        ellipse = models.position_error(name)
    largest = max(ellipse.width.to_value("arcmin"), ellipse.height.to_value("arcmin")) / 2.0
    if not largest > 0:
        return DASH
    # chi2 of two degrees of freedom: radius^2 = -2 ln(1 - p)
    return f"{largest * math.sqrt(math.log(1 - 0.68) / math.log(1 - 0.95)):.2g} · {largest:.2g}"


def _place(center: Any) -> str:
    lon, lat = center.spherical.lon.deg, center.spherical.lat.deg
    names = ("l", "b") if center.frame.name == "galactic" else ("RA", "Dec")
    return f"{names[0]} {lon:.4f} deg, {names[1]} {lat:+.4f} deg".replace("-", "−")
