"""Arrays that nobody can change."""

from __future__ import annotations

from typing import Any

import numpy as np


def readonly(values: Any) -> np.ndarray:
    """Float64 copy, locked."""
    values = np.array(values, dtype=np.float64)
    values.setflags(write=False)
    return values
