"""Single numbers that models hold: read-only float64, and traced values as they come."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from gammax.errors import ModelError


def as_number(value: Any, name: str) -> Any:
    """Read-only copy as a float64 number; traced values pass.

    Raises
    ------
    ModelError : no number, or more than one.
    """
    if isinstance(value, jax.core.Tracer):
        return value
    try:
        # numpy, not jnp: an array made before `enable_x64()` would stay rounded to 32 bits for ever
        number = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ModelError("GX-MODEL-029", "not a number", parameter=name, found=repr(value)) from error
    if number.shape:
        raise ModelError("GX-MODEL-029", "a parameter is one number", parameter=name, found=f"shape {number.shape}")
    number.setflags(write=False)
    return number
