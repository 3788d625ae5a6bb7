"""Classes by the names that files give them."""

from __future__ import annotations

from typing import Any

from gammax.errors import ModelError


def register(registry: dict[str, Any], cls: type, what: str) -> None:
    """Enter a class under its name and its tags.

    Raises
    ------
    ModelError : another class has one of the names.
    """
    for name in (cls.__name__, *cls.__dict__.get("tag", ())):
        known = registry.setdefault(name, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ModelError(
                "GX-MODEL-006",
                f"a {what} model named {name!r} exists already",
                found=f"{known.__module__}.{known.__qualname__}",
            )
        registry[name] = cls
