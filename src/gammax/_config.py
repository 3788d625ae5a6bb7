"""Process-wide switches, all of them calls that the user makes; nothing is switched at import."""

from __future__ import annotations

from gammax.errors import FitError


def enable_x64() -> None:
    """Switch JAX to 64-bit floats for this process. Call it once, before building a likelihood."""
    import jax

    jax.config.update("jax_enable_x64", True)


def require_x64() -> None:
    """Raise unless JAX computes in 64 bits.

    Raises
    ------
    FitError : with the line to add. In 32 bits a change of the statistic by 2.4 on 2.7e8 comes out as 0.
    """
    import jax

    if not jax.config.jax_enable_x64:
        raise FitError(
            "GX-FIT-001",
            "a likelihood needs 64-bit floats, and JAX is set to 32",
            do="call gammax.enable_x64() at the start of the program",
        )
