"""Bounds at which a prediction is an even function of a parameter: the extent of a source at zero, where its square
counts.

There the gradient vanishes, and so does the Fisher information: a minimum on the bound is not held there by a slope,
and one nearby has a curvature that is no error. Both are at the bound if the statistic does not tell them from it.
"""

from __future__ import annotations

import equinox as eqx
import numpy as np

from gammax.likelihood import Derivatives, Problem

# squared errors, by the Fisher information, within which a parameter may be at a bound: by how much the statistic says
# so, which is asked next, may not be more than a hundred times the tolerance of fits, as a minimum that is flat to
# fourth order is approached slowly
_REACH, _SLACK = 1e-4, 1e-8
# information at the bound in parts of what there is nearby, or of the curvature: none but for rounding
_NONE = 1e-6


def pinned_at_bounds(problem: Problem, theta: np.ndarray, derivatives: Derivatives) -> Problem | None:
    """The problem with those parameters held at their bounds that are next to one; None if no parameter is.

    Parameters
    ----------
    theta, derivatives : a minimum, (P,), and the derivatives there.
    """
    lower, upper = np.asarray(problem.lower), np.asarray(problem.upper)
    nearest = np.where(theta - lower <= upper - theta, lower, upper)
    # without a bound the distance is infinite
    room = np.where(np.isfinite(nearest), np.abs(theta - nearest), np.inf)
    information = np.diag(np.asarray(derivatives.fisher))
    with np.errstate(invalid="ignore"):
        near = (lower < upper) & np.isfinite(room) & (0.5 * information * room**2 < _REACH)
    if not near.any():
        return None
    bounds = np.where(near, nearest, lower), np.where(near, nearest, upper)
    return eqx.tree_at(lambda p: (p.lower, p.upper), problem, bounds)


def is_even(problem: Problem, pinned: Problem, here: Derivatives, there: Derivatives) -> bool:
    """Whether a minimum is on the bounds of a pinned problem: the statistic is the same, and knows nothing of the
    parameters there to first order.

    Parameters
    ----------
    here, there : derivatives at the minimum, and at that of the pinned problem.
    """
    held = (np.asarray(pinned.lower) >= np.asarray(pinned.upper)) & (np.asarray(problem.lower) < problem.upper)
    value = float(here.value)
    if not float(there.value) - value <= _SLACK + 1e-13 * abs(value):
        return False
    nearby, left = (np.diag(np.asarray(derivatives.fisher))[held] for derivatives in (here, there))
    curvature = np.diag(np.asarray(there.hessian))[held]
    return bool((left < _NONE * np.maximum(nearby, curvature)).all())
