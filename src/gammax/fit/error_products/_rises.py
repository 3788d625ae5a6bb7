"""Many searches for a rise of the statistic from one best fit, and what became of each in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np

from gammax.fit.error_products._batch import map_blocks
from gammax.fit.error_products._best import Best
from gammax.fit.error_products._climb import climb
from gammax.fit.error_products._reach import Goal, Reached, reach

if TYPE_CHECKING:
    from gammax.fit.error_products._products import ErrorProducts

# how far below the minimum says that there is another one
_LOWER = 1e-3


class Rises(NamedTuple):
    """Ends of K searches.

    Attributes
    ----------
    values : the parameters there, in their units, (K, P); NaN where the status is not ok.
    status, message : of each.
    negative : whether a flux or factor of a cube is negative at one of them.
    """

    values: np.ndarray
    status: list[str]
    message: list[str]
    negative: bool


def find_rises(fit: ErrorProducts, best: Best, goals: Goal) -> Rises:
    """Follow directions from a best fit to where the statistic has risen.

    Parameters
    ----------
    goals : arrays with a leading axis of length K; directions about one standard deviation long, where that is known.
    """
    count = len(goals.rise)
    if not best.is_minimum:
        nowhere = np.full((count, len(best.theta)), np.nan)
        return Rises(nowhere, [best.status] * count, [best.message] * count, False)
    reached = map_blocks(reach, best.problem, (best.theta, best.stat), goals)
    lost = np.flatnonzero(~(reached.found | reached.beyond | reached.flat))
    if lost.size:
        again = _climbed(fit, best, Goal(*(part[lost] for part in goals)))
        for part, new in zip(reached, again, strict=True):
            part[lost] = new
    rows = [jax.tree.map(lambda part, k=k: part[k], (goals, reached)) for k in range(count)]
    judged = [_judge(best, *row) for row in rows]
    good = np.array([status == "ok" for status, _ in judged])
    values = np.where(good[:, None], reached.theta * best.scale, np.nan)
    return Rises(values, *map(list, zip(*judged, strict=True)), negative=bool(np.any(reached.lowest < 0)))


def _climbed(fit: ErrorProducts, best: Best, goals: Goal) -> Reached:
    """The slow search, its first look where a parabola would end."""
    shared = (best.theta, best.stat, fit.tolerance, fit.max_steps)
    return map_blocks(climb, best.problem, shared, goals)


def _judge(best: Best, goal: Goal, reached: Reached) -> tuple[str, str]:
    """Status and message of one search."""
    wanted = f"before the statistic has risen by {goal.rise:.4g}"
    if reached.emptied:
        return "at_bound", f"a negative source leaves nothing expected in {int(reached.emptied)} bins {wanted}"
    if reached.found:
        return "ok", ""
    bounds = _at_bounds(best, goal, reached)
    if reached.beyond and bounds:
        return "at_bound", f"at the bound of {bounds} {wanted}"
    if reached.flat:
        moving = ", ".join(name for name, d in zip(best.names, goal.direction, strict=True) if d)
        return "singular", f"the data do not constrain {moving}"
    risen = float(goal.rise - reached.missing)
    if risen < -_LOWER:
        return "not_converged", f"the statistic seems to fall {-risen:.4g} below its minimum: fit from another start"
    return "not_converged", f"the search ended where the statistic has risen by {risen:.4g}"


def _at_bounds(best: Best, goal: Goal, reached: Reached) -> str:
    ends = np.where(goal.direction > 0, best.problem.upper, best.problem.lower)
    # a bound at zero is reached to the precision of where the way began
    near = np.isclose(reached.theta, ends, rtol=1e-9, atol=1e-12 + 1e-9 * np.abs(best.theta)) & (goal.direction != 0)
    return " and ".join(name for name, at in zip(best.names, near, strict=True) if at)
