"""How the programs of cube fits are compiled on processors: quickly and in little memory."""

from __future__ import annotations

import os
from functools import lru_cache

import jax

# without XLA's newer emitters of CPU code a fit of a cube is compiled in 60 % of the time and with 260 MB less; it runs
# a few ms longer, of a hundred. At the first level of optimisation it is compiled in 80 to 90 % of what is left, and
# runs as fast as at the third; without any it runs twice as long
_OPTIONS = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 1}


@lru_cache(maxsize=1)
def quick_options() -> dict[str, bool | int] | None:
    """Options for `jax.jit`, without those in the environment's XLA_FLAGS; None on accelerators, whose code they would
    slow down, and where this XLA does not know them."""
    if jax.default_backend() != "cpu":
        return None
    set_already = os.environ.get("XLA_FLAGS", "")
    options = {name: value for name, value in _OPTIONS.items() if name not in set_already}
    try:
        jax.jit(lambda x: x, compiler_options=options)(0.0)
    except jax.errors.JaxRuntimeError:
        return None
    return options
