"""What many minima are worth: the rules of `_judge` for whole arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gammax.fit._covariance import INVOLVED, flat_directions
from gammax.fit._judge import why_not
from gammax.fit._trust_region import FLAT
from gammax.fit.batches._many import Solved, take

if TYPE_CHECKING:
    from gammax.fit.batches._result import Frame

# the gravest last
STATUSES = ("ok", "at_bound", "singular", "not_converged", "no_data", "invalid_input", "interrupted")
OK, AT_BOUND, SINGULAR, NOT_CONVERGED, NO_DATA, INVALID_INPUT, INTERRUPTED = range(len(STATUSES))
_PLAIN = {
    OK: "converged",
    NO_DATA: "no bin inside the masks, or no count in them",
    INVALID_INPUT: "counts, a start or a held value cannot be right, or the statistic is not finite",
    INTERRUPTED: "not fitted",
}


def judge_many(solved: Solved, held: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Status numbers (K,), and covariances (K, P, P) with NaN for every parameter that has no error.

    Parameters
    ----------
    held : parameters without room to move, (K, P): their error is 0.
    known : status of members that were not fitted, (K,); OK for the others.
    """
    active, flat = solved.active & ~held, solved.flatness <= FLAT
    status = np.where(active.any(axis=1), AT_BOUND, OK)
    status = np.where(flat.any(axis=1), SINGULAR, status)
    status = np.where(solved.converged, status, NOT_CONVERGED)
    status = np.where(solved.emptied > 0, AT_BOUND, status)
    finite = np.isfinite(solved.value) & np.isfinite(solved.gradient).all(axis=1)
    status = np.where(finite, status, INVALID_INPUT)
    status = np.where(known != OK, known, status)
    involved = (np.abs(solved.directions) * flat[:, None, :]).max(axis=2, initial=0.0) > INVOLVED
    lost = ((active | involved) & ~held) | ((status >= NOT_CONVERGED) | (solved.emptied > 0))[:, None]
    return status, np.where(lost[:, :, None] | lost[:, None, :], np.nan, solved.covariance)


def messages_of(status: np.ndarray, solved: Solved, lower: np.ndarray, upper: np.ndarray, frame: Frame) -> list[str]:
    """Status of every member in a sentence; bounds as factors, (K, P)."""
    names = frame.names
    free = solved.active & (lower < upper)
    # a corner of the statistic at zero is a bound, too; scales of other factors are powers of ten
    theta = solved.theta
    corner = (theta == 0.0) & ~np.asarray(frame.cornered)
    bound = np.isclose(theta, lower, 1e-12, 0.0) | np.isclose(theta, upper, 1e-12, 0.0) | corner
    kinds = {"at a bound": free & bound, "in a corner of its prior": free & ~bound}

    def say_where(k: int) -> str:
        found = {words: ", ".join(np.array(names)[which[k]]) for words, which in kinds.items()}
        return "; ".join(f"{words}: {some}" for words, some in found.items() if some)

    def say(k: int) -> str:
        if status[k] == NOT_CONVERGED:
            edm = float(solved.edm[k])
            return why_not(f"stopped after {solved.n_steps[k]} steps", edm, convex=edm > frame.tolerance)
        if solved.emptied[k]:
            emptied = f"leaves nothing expected in {solved.emptied[k]} bins: bound its norm at 0"
            return f"a negative source or background {emptied}"
        bounds = say_where(k)
        if status[k] == AT_BOUND:
            return bounds
        words = "; ".join(flat_directions(take(solved, k), names))
        return f"the data do not constrain {words}" + (f"; {bounds}" if bounds else "")

    return [_PLAIN[number] if number in _PLAIN else say(k) for k, number in enumerate(status.tolist())]
