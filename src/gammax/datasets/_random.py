"""Poisson counts for simulated datasets."""

from __future__ import annotations

from typing import Any

import numpy as np

from gammax.errors import DataValueError, SchemaError


def random_generator(random_state: Any) -> np.random.Generator | np.random.RandomState:
    """Generator from a seed, from a generator (used as it is) or, for None, from the system's entropy.

    Raises
    ------
    SchemaError : anything else.
    """
    if isinstance(random_state, (np.random.Generator, np.random.RandomState)):
        return random_state
    if random_state is None or isinstance(random_state, (int, np.integer)):
        return np.random.default_rng(random_state)
    raise SchemaError(
        "GX-DATASETS-030",
        "random_state is no seed and no generator",
        found=repr(random_state),
        expected="an integer, numpy.random.default_rng(seed) or None",
    )


def poisson(mean: np.ndarray, random: np.random.Generator | np.random.RandomState, what: str) -> np.ndarray:
    """Poisson counts as float64.

    Raises
    ------
    DataValueError : a mean that is negative, not finite or too large to be counted.
    """
    # beyond 2^53 counts are no longer exact in float64
    bad = ~((mean >= 0) & (mean < 2.0**53))
    if bad.any():
        k = int(np.argmax(bad))
        raise DataValueError(
            "GX-DATASETS-031", f"cannot draw counts: {what} is not a number from 0 to 2^53", index=k, found=mean[k]
        )
    return random.poisson(mean).astype(np.float64)
