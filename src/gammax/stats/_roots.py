"""Where a convex function crosses zero, for whole arrays at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Crossing = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def expand_bracket(function: Crossing, inside: np.ndarray, step: np.ndarray) -> np.ndarray:
    """``inside`` + ``step`` with steps doubled until the function is no longer negative there."""
    for _ in range(200):
        short = function(inside + step)[0] < 0
        if not short.any():
            break
        step = np.where(short, 2 * step, step)
    return inside + step


def find_crossing(function: Crossing, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Zero of ``function`` between ``inside`` (negative there) and ``outside`` (not negative) by safeguarded Newton.

    ``function`` gives value and slope. NaN in, NaN out.
    """
    tolerance = 4e-16 * (np.abs(outside) + np.abs(outside - inside))
    x = (inside + outside) / 2
    for _ in range(200):
        value, slope = function(x)
        inside, outside = np.where(value < 0, x, inside), np.where(value < 0, outside, x)
        newton = x - value / np.where(slope == 0, np.nan, slope)
        done = (np.abs(newton - x) <= tolerance) | (np.abs(outside - inside) <= tolerance) | np.isnan(value)
        if done.all():
            break
        between = (newton - inside) * (newton - outside) < 0
        x = np.where(done, x, np.where(between, newton, (inside + outside) / 2))
    return x
