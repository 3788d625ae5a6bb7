"""The section of the report on the observations."""

from __future__ import annotations

import math
from typing import Any

from gammax.analysis._html import Html, element, join, minus, table
from gammax.analysis._record import USED, Run
from gammax.analysis._runs import Runs

_HEAD = (
    "Observation",
    "Target",
    "Start (UTC)",
    "Livetime [min]",
    "Offset [deg]",
    "Zenith [deg]",
    "ON",
    "OFF",
    "α",
    "Excess",
    "Significance [σ]",
)
_ALIGN = "lllrrrrrrrr"
_DIGITS = {"counts": ".10g", "counts_off": ".10g", "alpha": ".3g", "excess": ".1f", "sqrt_ts": ".1f"}
DASH = "–"
# longer tables are folded
MOST_ROWS = 40


def observations_table(runs: Runs) -> Html:
    """All observations: when and where, and what lies inside the mask of the fit."""
    numbers = runs.numbers()
    rows = [_row(run, info) for run, info in zip(runs.rows, numbers, strict=True)]
    total = _total(runs) if len(runs.used) > 1 else None
    content = table(_HEAD, rows, _ALIGN, total)
    if len(rows) <= MOST_ROWS:
        return content
    return element("details", join([element("summary", f"All {len(rows)} observations"), content]))


def _row(run: Run, info: dict[str, Any]) -> tuple[object, ...]:
    name = run.name if run.status == USED else join([run.name, element("span", run.status, class_="soft")])
    place = (f"{run.livetime / 60:.1f}", f"{run.offset:.2f}", number(run.zenith, ".1f"))
    return (name, run.target, run.start, *place, *_sums(info))


def _total(runs: Runs) -> tuple[object, ...]:
    info = runs.fitted().info_table(cumulative=True)[-1]
    livetime = sum(run.livetime for run in runs.used) / 60
    sums = {key: info[key] for key in _DIGITS if key in info.colnames}
    return ("all used", "", "", f"{livetime:.1f}", "", "", *_sums(sums))


def _sums(info: dict[str, Any]) -> tuple[str, ...]:
    return tuple(number(float(info.get(key, math.nan)), digits) for key, digits in _DIGITS.items())


def number(value: float, digits: str) -> str:
    """Text of a number, a dash for none."""
    return minus(f"{value:{digits}}") if math.isfinite(value) else DASH
