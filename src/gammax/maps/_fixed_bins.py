"""Axes whose bins are neither cut nor merged."""

from __future__ import annotations

from typing import Any, NoReturn

from gammax.errors import GeometryError


class FixedBins:
    """Methods that a `MapAxis` has and axes of time intervals and labels have not."""

    name: str

    def upsample(self, factor: int) -> NoReturn:
        """Refused: the bins are not cut."""
        self._refuse("upsample")

    def downsample(self, factor: int) -> NoReturn:
        """Refused: the bins are not merged."""
        self._refuse("downsample")

    def resample(self, axis: Any) -> NoReturn:
        """Refused: the bins are not grouped."""
        self._refuse("resample")

    def _refuse(self, what: str) -> NoReturn:
        raise GeometryError(
            "GX-MAPS-195", f"cannot {what} axis {self.name!r}", found=type(self).__name__, expected="a MapAxis"
        )
