"""Linear interpolation on a grid of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np


def locate(nodes: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the node below `x` and the fraction of the way to the next; the outer pieces go on outside.

    A single node gives fraction 0: nothing depends on that coordinate.
    """
    if len(nodes) == 1:
        return np.zeros(np.shape(x), int), np.zeros(np.shape(x))
    k = np.clip(np.searchsorted(nodes, x, side="right") - 1, 0, len(nodes) - 2)
    return k, (x - nodes[k]) / (nodes[k + 1] - nodes[k])


def multilinear(nodes: Sequence[np.ndarray], table: np.ndarray, coords: Sequence[np.ndarray]) -> np.ndarray:
    """Values of `table` at `coords`, linear in each coordinate.

    Parameters
    ----------
    nodes : one increasing array per leading axis of `table`; the axes left over are carried along.
    coords : one array per node array; they broadcast against each other.
    """
    places = [locate(node, np.asarray(x, float)) for node, x in zip(nodes, coords, strict=True)]
    carried = (np.newaxis,) * (table.ndim - len(places))
    total: np.ndarray | float = 0.0
    for corner in product(*((0,) if len(node) == 1 else (0, 1) for node in nodes)):
        weight = np.ones(())
        for (_, w), side in zip(places, corner, strict=True):
            weight = weight * (w if side else 1 - w)
        value = table[tuple(k + side for (k, _), side in zip(places, corner, strict=True))]
        total = total + weight[(..., *carried)] * value
    return np.asarray(total)
