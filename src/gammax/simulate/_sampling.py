"""Random numbers that follow a given density: inverse of a cumulative sum, and thinning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from gammax.errors import ResourceError

# 100 million events take about 10 GB
MAX_EVENTS = 10**8
# of a table that has one row per event
_CELLS_AT_ONCE = 2**20


def stream(seed: int, *names: Any) -> np.random.Generator:
    """Random numbers that depend on the seed and the names alone, not on what was drawn elsewhere."""
    words = [seed]
    for name in names:
        text = str(name).encode()
        words += [len(text), int.from_bytes(text, "big")]
    return np.random.default_rng(np.random.SeedSequence(words))


def poisson(rng: np.random.Generator, expected: float, **where: Any) -> int:
    """Number of events.

    Raises
    ------
    ResourceError : more than fit into memory are expected.
    """
    if expected > MAX_EVENTS:
        raise ResourceError(
            "GX-SIMULATE-001",
            "too many events to simulate at once",
            found=f"{expected:.3g} expected",
            expected=f"at most {MAX_EVENTS:.0e}",
            do="check amplitude and effective area, or cut the observation into pieces",
            **where,
        )
    return int(rng.poisson(expected))


def sample_piecewise_linear(rng: np.random.Generator, x: np.ndarray, density: np.ndarray, size: int) -> np.ndarray:
    """Values that follow a density which is linear between nodes; its scale does not matter.

    The cumulative is a parabola in each piece and is inverted in closed form, so that the piecewise linear density is
    met exactly.
    """
    area = np.diff(x) * (density[1:] + density[:-1]) / 2
    cumulative = np.append(0.0, np.cumsum(area))
    wanted = rng.random(size) * cumulative[-1]
    # a piece without area is never met: the cumulative does not rise there
    k = np.clip(np.searchsorted(cumulative, wanted, side="right") - 1, 0, len(area) - 1)
    rest = wanted - cumulative[k]
    low, slope = density[k], (density[k + 1] - density[k]) / (x[k + 1] - x[k])
    # root of low t + slope t^2 / 2 = rest that does not cancel for a small slope
    root = np.sqrt(np.maximum(low**2 + 2 * slope * rest, 0.0))
    step = 2 * rest / np.where(low + root > 0, low + root, 1.0)
    return np.minimum(x[k] + step, x[k + 1])


def sample_rows(rng: np.random.Generator, edges: np.ndarray, content: Callable[[slice], np.ndarray], size: int):
    """One value per row from histograms, evenly distributed inside a bin; NaN for a row that is empty.

    Parameters
    ----------
    edges : of the bins.
    content : integral of each bin for a slice of rows, shape (rows, bins); asked for piece by piece.
    """
    uniform, values = rng.random(size), np.full(size, np.nan)
    rows_at_once = max(1, _CELLS_AT_ONCE // len(edges))
    for start in range(0, size, rows_at_once):
        rows = slice(start, start + rows_at_once)
        inside = content(rows)
        cumulative = np.cumsum(inside, axis=1)
        total = cumulative[:, -1]
        wanted = uniform[rows] * total
        k = np.minimum((cumulative <= wanted[:, np.newaxis]).sum(axis=1), inside.shape[1] - 1)
        width, share = np.diff(edges)[k], np.take_along_axis(inside, k[:, np.newaxis], axis=1)[:, 0]
        above = np.take_along_axis(cumulative, k[:, np.newaxis], axis=1)[:, 0] - wanted
        with np.errstate(invalid="ignore", divide="ignore"):
            values[rows] = np.where(total > 0, edges[k + 1] - width * above / share, np.nan)
    return values


def sample_poisson_process(
    rng: np.random.Generator,
    nodes: Sequence[np.ndarray],
    at_nodes: np.ndarray,
    density: Callable[..., np.ndarray],
    scale: float = 1.0,
    **where: Any,
) -> list[np.ndarray]:
    """Points of a Poisson process, one array of coordinates per axis.

    Points are proposed evenly in boxes, as many as the largest density in each would give, and kept with the
    probability density / largest (thinning): no integral is computed, and their number and places have no error of one.

    Parameters
    ----------
    nodes : coordinates that bound the boxes, one array per axis.
    at_nodes : density there, shape (len(nodes[0]), ...); inside a box it must not exceed the largest of its corners.
    density : function of the coordinates, one array per axis.
    scale : factor of the density.
    """
    largest = at_nodes
    for axis in range(at_nodes.ndim):
        lower, upper = (np.take(largest, range(k, largest.shape[axis] - 1 + k), axis) for k in (0, 1))
        largest = np.maximum(lower, upper)
    volume = reduce(np.multiply.outer, [np.diff(node) for node in nodes])
    expected = (largest * volume).ravel() * scale
    size = poisson(rng, float(expected.sum()), **where)
    share = np.append(0.0, np.cumsum(expected))
    box = np.searchsorted(share, rng.random(size) * share[-1], side="right") - 1
    box = np.unravel_index(np.clip(box, 0, len(expected) - 1), largest.shape)
    points = [node[k] + np.diff(node)[k] * rng.random(size) for node, k in zip(nodes, box, strict=True)]
    kept = rng.random(size) * largest[box] < density(*points)
    return [point[kept] for point in points]
