"""Columns of simulated events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gammax.data import GTI


class Sample(NamedTuple):
    """Events in the order in which they were drawn; arrays of one length.

    Times in seconds, energies in TeV, directions in deg (ICRS). True values are NaN where an event has none.
    """

    time: np.ndarray
    energy: np.ndarray
    ra: np.ndarray
    dec: np.ndarray
    true_energy: np.ndarray
    true_ra: np.ndarray
    true_dec: np.ndarray

    def select(self, rows: np.ndarray) -> Sample:
        """Some of them."""
        return Sample(*(column[rows] for column in self))


def join(samples: Sequence[Sample]) -> tuple[Sample, np.ndarray]:
    """All events in order of time, and for each the number of its sample."""
    number = np.repeat(np.arange(len(samples)), [len(sample.time) for sample in samples])
    joined = Sample(*(np.concatenate(columns) for columns in zip(*samples, strict=True)))
    order = np.argsort(joined.time, kind="stable")
    return joined.select(order), number[order]


def sample_times(rng: np.random.Generator, gti: GTI, size: int) -> np.ndarray:
    """Times [s] evenly distributed over good time intervals."""
    length = gti.stop_s - gti.start_s
    begin = np.append(0.0, np.cumsum(length))
    clock = rng.random(size) * begin[-1]
    k = np.clip(np.searchsorted(begin, clock, side="right") - 1, 0, len(length) - 1)
    return gti.start_s[k] + clock - begin[k]
