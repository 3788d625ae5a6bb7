"""Results whose numbers are found by Gammapy's keys, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gammax.errors import FitError, did_you_mean


class Keyed:
    """``result["errp"]``, ``dict(result)``: what `_by_key` has."""

    def _by_key(self) -> dict[str, Any]:
        raise NotImplementedError

    def keys(self) -> Iterator[str]:
        """Keys, as Gammapy names them."""
        return iter(self._by_key())

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def __getitem__(self, key: str) -> Any:
        """Raises
        ------
        FitError : no such key.
        """
        found = self._by_key()
        if key not in found:
            raise FitError("GX-FIT-104", "the result has no such key", found=key, do=did_you_mean(key, found))
        return found[key]


def label(name: str, unit: str) -> str:
    """Of an axis: the parameter with its unit."""
    return f"{name}  [{unit}]" if unit else name
