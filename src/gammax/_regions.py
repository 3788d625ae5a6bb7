"""The package `regions`, imported when a name of it is first needed: a tenth of a second that many processes save."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    import regions

    return getattr(regions, name)
