"""Two results of one fit, parameter by parameter."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Table

from gammax.errors import FitError

if TYPE_CHECKING:
    from gammax.fit._result import FitResult

# two minimisers that differ by more have not found the same minimum
_SAME_STAT, _SAME_SIGMA = 1e-4, 0.01
# statuses of a place whose statistic may be compared with that of another
MINIMA = ("ok", "at_bound", "singular")


@dataclasses.dataclass(frozen=True, eq=False)
class FitComparison:
    """Differences between two results, over the free parameters that both have.

    Attributes
    ----------
    names, units : of those parameters, (P,).
    values, errors : of the first and of the other, (2, P), in the units of the first.
    differences : other minus first value in errors of the first, (P,); NaN where that has none.
    error_ratios : other over first error, (P,).
    delta_stat : statistic of the other minus that of the first, also called delta TS.
    statuses, backends : of the first and of the other.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    values: np.ndarray
    errors: np.ndarray
    delta_stat: float
    statuses: tuple[str, str]
    backends: tuple[str, str]

    @property
    def differences(self) -> np.ndarray:
        """Other minus first value in errors of the first; a held parameter (error 0) that stayed differs by 0."""
        moved, error = self.values[1] - self.values[0], self.errors[0]
        return moved / np.where((moved == 0.0) & (error == 0.0), 1.0, error)

    @property
    def error_ratios(self) -> np.ndarray:
        """Other over first error; NaN where one of them does not exist, or is 0."""
        first, other = self.errors
        return other / np.where(first > 0, first, np.nan)

    @property
    def agrees(self) -> bool:
        """Whether both have one status and one minimum: to 1e-4 in the statistic and 0.01 sigma in every parameter.

        Where a parameter has no error the statistic alone decides.
        """
        far = np.abs(self.differences) > _SAME_SIGMA
        same = self.statuses[0] == self.statuses[1] and self.statuses[0] in MINIMA
        return bool(same and abs(self.delta_stat) <= _SAME_STAT and not far.any())

    @property
    def table(self) -> Table:
        """Table of the parameters: name, unit, both values and errors, difference in sigma, ratio of the errors."""
        columns = {
            "name": list(self.names),
            "value": self.values[0],
            "other_value": self.values[1],
            "error": self.errors[0],
            "other_error": self.errors[1],
            "sigma": self.differences,
            "error_ratio": self.error_ratios,
            "unit": list(self.units),
        }
        return Table(columns)

    def __repr__(self) -> str:
        ends = [f"{backend} ({status})" for backend, status in zip(self.backends, self.statuses, strict=True)]
        verdict = "the same minimum" if self.agrees else "not the same minimum"
        head = f"FitComparison of {ends[0]} and {ends[1]}: {verdict}, delta TS {self.delta_stat:+.2e}\n"
        table = self.table
        for name in ("value", "other_value", "error", "other_error", "error_ratio"):
            table[name].info.format = ".5g"
        table["sigma"].info.format = "+.1e"
        return head + "\n".join(f"  {line}" for line in table.pformat(max_lines=-1, max_width=-1))


def compare_results(first: FitResult, other: FitResult) -> FitComparison:
    """Differences of `other` from `first`.

    Raises
    ------
    FitError : they have no free parameter in common, or one in two units.
    """
    names = tuple(name for name in first.names if name in other.names)
    if not names:
        raise FitError(
            "GX-FIT-203", "two results without a free parameter in common", found=other.names, expected=first.names
        )
    here, there = ([result.names.index(name) for name in names] for result in (first, other))
    units = tuple(first.units[i] for i in here)
    for name, unit, j in zip(names, units, there, strict=True):
        if other.units[j] != unit:
            raise FitError(
                "GX-FIT-204", "two units of one parameter", parameter=name, found=other.units[j], expected=unit
            )
    return FitComparison(
        names=names,
        units=units,
        values=np.stack([first.values[here], other.values[there]]),
        errors=np.stack([first.errors[here], other.errors[there]]),
        delta_stat=other.total_stat - first.total_stat,
        statuses=(first.status, other.status),
        backends=(first.backend, other.backend),
    )
