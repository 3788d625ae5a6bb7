"""Versions of what computes, read from package metadata: nothing is imported."""

from __future__ import annotations

import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version

from gammax import __version__


def dependency_versions() -> dict[str, str]:
    """Version of every required dependency by name, "not installed" where there is none."""
    return {name: _version(name) for name in _required()}


def all_versions() -> dict[str, str]:
    """Versions of gammax, Python and the dependencies."""
    return {"gammax": __version__, "python": platform.python_version(), **dependency_versions()}


def _required() -> list[str]:
    try:
        lines = requires("gammax") or []
    except PackageNotFoundError:
        # running from a source tree that was never installed
        return ["jax", "numpy", "astropy", "equinox"]
    return [re.split(r"[^\w.-]", line)[0] for line in lines if "extra ==" not in line]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
