"""Intervals and upper limits of parameters from the profile of the statistic."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from gammax.errors import FitError
from gammax.fit.batches._judge import STATUSES
from gammax.fit.error_products._best import Best, best_fit, check_sigma, merged_then_dense
from gammax.fit.error_products._keyed import Keyed
from gammax.fit.error_products._reach import Goal
from gammax.fit.error_products._rises import Rises, find_rises

if TYPE_CHECKING:
    from gammax.fit.error_products._best import FitDatasets, FitModels
    from gammax.fit.error_products._products import ErrorProducts


@dataclasses.dataclass(frozen=True, eq=False)
class Confidence(Keyed):
    """Interval in which the statistic is less than sigma^2 above its minimum, as MINOS gives it.

    Attributes
    ----------
    parameter, unit, value : full name, unit, best fit.
    errp, errn : distances to the upper and the lower end, both positive; NaN where there is no such end.
    sigma : level.
    status : ok, or the gravest of both ends; message : why an end is missing.
    """

    parameter: str
    unit: str
    value: float
    errp: float
    errn: float
    sigma: float
    status: str
    message: str

    @property
    def success(self) -> bool:
        """Whether both ends exist."""
        return self.status == "ok"

    @property
    def interval(self) -> u.Quantity:
        """Lower and upper end."""
        return u.Quantity([self.value - self.errn, self.value + self.errp], self.unit)

    def _by_key(self) -> dict[str, Any]:
        return {"success": self.success, "message": self.message, "errp": self.errp, "errn": self.errn}

    def __repr__(self) -> str:
        problem = "" if self.success else f" ({self.status}: {self.message})"
        numbers = f"{self.value:.5g} -{self.errn:.4g} +{self.errp:.4g} {self.unit}".rstrip()
        return f"Confidence: {self.parameter} = {numbers} at {self.sigma:g} sigma{problem}"


@dataclasses.dataclass(frozen=True, eq=False)
class UpperLimit:
    """Where above the best fit the statistic has risen by sigma^2.

    Attributes
    ----------
    parameter, unit, value : full name, unit, best fit.
    upper_limit : NaN where there is none.
    sigma : level; 2 is 97.7 % one-sided.
    status, message : ok, or why there is none.
    """

    parameter: str
    unit: str
    value: float
    upper_limit: float
    sigma: float
    status: str
    message: str

    @property
    def success(self) -> bool:
        """Whether there is a limit."""
        return self.status == "ok"

    @property
    def quantity(self) -> u.Quantity:
        """The limit with its unit."""
        return u.Quantity(self.upper_limit, self.unit)

    def __repr__(self) -> str:
        problem = "" if self.success else f" ({self.status}: {self.message})"
        limit = f"{self.parameter} < {self.upper_limit:.5g} {self.unit}".rstrip()
        return f"UpperLimit: {limit} at {self.sigma:g} sigma{problem}"


def confidence(
    fit: ErrorProducts,
    datasets: FitDatasets,
    models: FitModels,
    parameter: str | Sequence[str] | None,
    sigma: float,
    reoptimize: bool,
) -> Confidence | dict[str, Confidence]:
    """See `gammax.fit.Fit.confidence`."""
    check_sigma(sigma)

    def product(best: Best) -> tuple[dict[str, Confidence], bool]:
        names = _chosen(best, parameter)
        # both sides of each
        ends = find_ends(fit, best, [name for name in names for _ in range(2)], [1, -1] * len(names), sigma, reoptimize)
        return {name: _interval(best, name, ends, 2 * n, sigma) for n, name in enumerate(names)}, ends.negative

    found = merged_then_dense(best_fit, fit, datasets, models, product)
    return found[parameter] if isinstance(parameter, str) else found


def upper_limit(
    fit: ErrorProducts, datasets: FitDatasets, models: FitModels, parameter: str, sigma: float
) -> UpperLimit:
    """See `gammax.fit.Fit.upper_limit`."""
    check_sigma(sigma)

    def product(best: Best) -> tuple[UpperLimit, bool]:
        index = best.index(parameter)
        ends = find_ends(fit, best, [parameter], [1], sigma, True)
        value, limit = float(best.values[index]), float(ends.values[0, index])
        unit, (status,), (message,) = best.likelihood.units[index], ends.status, ends.message
        return UpperLimit(parameter, unit, value, limit, sigma, status, message), ends.negative

    return merged_then_dense(best_fit, fit, datasets, models, product)


def _chosen(best: Best, parameter: str | Iterable[str] | None) -> list[str]:
    """Full names of parameters: all for None.

    Raises
    ------
    FitError : there are none.
    """
    if parameter is None:
        return list(best.names)
    names = [parameter] if isinstance(parameter, str) else list(parameter)
    if not names:
        raise FitError("GX-FIT-101", "no parameter is named", do="name one, or leave it out for all of them")
    return names


def find_ends(
    fit: ErrorProducts, best: Best, names: list[str], signs: list[int], sigma: float, reoptimize: bool
) -> Rises:
    """Ends of intervals, one for each name, upwards or downwards."""
    indices = [best.index(name) for name in names]
    width = {index: _width(best, index) for index in set(indices)}
    direction = np.zeros((len(names), len(best.theta)))
    held = np.full(direction.shape, not reoptimize)
    for row, (index, sign) in enumerate(zip(indices, signs, strict=True)):
        direction[row, index] = sign * width[index]
        held[row, index] = True
    return find_rises(fit, best, Goal(direction, held, np.full(len(names), float(sigma) ** 2)))


def _width(best: Best, index: int) -> float:
    """About one standard deviation; any length where the data do not tell."""
    width = float(np.sqrt(best.spread([index])[0, 0])) if best.is_minimum else np.nan
    return width if width > 0 else 1.0


def _interval(best: Best, name: str, ends: Rises, row: int, sigma: float) -> Confidence:
    """Interval from its upper end, at `row`, and its lower one, at the next."""
    index = best.index(name)
    value, unit = float(best.values[index]), best.likelihood.units[index]
    up, down = (float(abs(ends.values[row + side, index] - value)) for side in (0, 1))
    failed = [side for side in (0, 1) if ends.status[row + side] != "ok"]
    words = [f"{('upper', 'lower')[side]} end: {ends.message[row + side]}" for side in failed]
    status = max(ends.status[row], ends.status[row + 1], key=STATUSES.index)
    return Confidence(name, unit, value, up, down, sigma, status, "; ".join(words))
