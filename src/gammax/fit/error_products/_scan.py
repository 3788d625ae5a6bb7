"""Profiles and surfaces of the statistic: one or two parameters at given values, the others fitted or left alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gammax.errors import FitError
from gammax.fit.batches._many import solve_many
from gammax.fit.error_products._best import Best, as_given, best_fit, merged_then_dense, to_numbers
from gammax.fit.error_products._keyed import Keyed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gammax.fit.error_products._best import FitDatasets, FitModels
    from gammax.fit.error_products._products import ErrorProducts

# values of a scan where none are given, as Gammapy has them
_N_VALUES, _N_SIGMA = 11, 2.0
# points that one call of the program takes
_CHUNK = 16
# how far below the minimum the statistic must be to speak of another minimum
_LOWER = 1e-3


class Points(NamedTuple):
    """The statistic at K points.

    Attributes
    ----------
    stat : NaN where the status is not ok, (K,).
    values : of all free parameters in their units, (K, P).
    status : ok, at_bound (the point is outside the bounds, or leaves bins with nothing expected) or not_converged.
    negative : whether a flux or factor of a cube is negative at one of them.
    """

    stat: np.ndarray
    values: np.ndarray
    status: np.ndarray
    negative: bool


@dataclasses.dataclass(frozen=True, eq=False)
class StatProfile(Keyed):
    """The statistic over the values of one parameter.

    Attributes
    ----------
    parameter, unit : full name and unit.
    values, stat_scan : of the parameter in its unit, and -2 ln L there, (K,); NaN where the status is not ok.
    best_value, total_stat : where the others come from: the best fit, or the given models without `reoptimize`.
    reoptimize : whether the other free parameters are fitted at every value.
    names, free_values : of all free parameters at every value, in their units, (K, P).
    status : ok, at_bound or not_converged, (K,) text.
    message : what a reader must know.
    """

    parameter: str
    unit: str
    values: np.ndarray
    stat_scan: np.ndarray
    best_value: float
    total_stat: float
    reoptimize: bool
    names: tuple[str, ...]
    free_values: np.ndarray
    status: np.ndarray
    message: str

    @property
    def success(self) -> bool:
        """Whether every value has its statistic."""
        return bool(np.all(self.status == "ok"))

    @property
    def delta_ts(self) -> np.ndarray:
        """Rise of the statistic above `total_stat`, in the shape of `stat_scan`."""
        return self.stat_scan - self.total_stat

    def _by_key(self) -> dict[str, Any]:
        return {f"{self.parameter}_scan": self.values, "stat_scan": self.stat_scan}

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Rise of the statistic over the parameter, with the levels of 1, 2, 3 sigma; `kwargs` go to ``plot``."""
        from gammax.fit.error_products._scan_plot import plot_profile

        return plot_profile(self, ax, **kwargs)

    def __repr__(self) -> str:
        how = "others fitted" if self.reoptimize else "others held"
        good = int(np.sum(self.status == "ok"))
        span = f"{self.values.min():.5g} to {self.values.max():.5g} {self.unit}".rstrip()
        text = f"StatProfile: {self.parameter}, {good} of {len(self.values)} points from {span}, {how}"
        return f"{text} ({self.message})" if self.message else text


@dataclasses.dataclass(frozen=True, eq=False)
class StatSurface(Keyed):
    """The statistic over a grid of two parameters.

    Attributes
    ----------
    x, y, x_unit, y_unit : full names and units.
    x_values (X,), y_values (Y,), stat_scan (X, Y) : NaN where the status is not ok.
    best_values, total_stat : as in `StatProfile`, of both parameters.
    reoptimize : whether the other free parameters are fitted at every point.
    names, free_values : of all free parameters, (X, Y, P).
    status : ok, at_bound or not_converged, (X, Y) text.
    message : what a reader must know.
    """

    x: str
    y: str
    x_unit: str
    y_unit: str
    x_values: np.ndarray
    y_values: np.ndarray
    stat_scan: np.ndarray
    best_values: tuple[float, float]
    total_stat: float
    reoptimize: bool
    names: tuple[str, ...]
    free_values: np.ndarray
    status: np.ndarray
    message: str

    success = StatProfile.success
    delta_ts = StatProfile.delta_ts

    def _by_key(self) -> dict[str, Any]:
        return {f"{self.x}_scan": self.x_values, f"{self.y}_scan": self.y_values, "stat_scan": self.stat_scan}

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Rise of the statistic as shades, lines where it is 1, 4 and 9; `kwargs` go to ``pcolormesh``."""
        from gammax.fit.error_products._scan_plot import plot_surface

        return plot_surface(self, ax, **kwargs)

    def __repr__(self) -> str:
        how = "others fitted" if self.reoptimize else "others held"
        shape, good = self.status.shape, int(np.sum(self.status == "ok"))
        text = f"StatSurface: {self.x} x {self.y}, {good} of {shape[0]} x {shape[1]} points, {how}"
        return f"{text} ({self.message})" if self.message else text


def stat_profile(
    fit: ErrorProducts, datasets: FitDatasets, models: FitModels, parameter: str, values: Any, reoptimize: bool
) -> StatProfile:
    """See `gammax.fit.Fit.stat_profile`."""

    def product(best: Best) -> tuple[StatProfile, bool]:
        index = best.index(parameter)
        unit, scanned = best.likelihood.units[index], _scanned(best, parameter, values)
        points = points_at(fit, best, [index], scanned[:, None], reoptimize)
        profile = StatProfile(
            parameter=parameter,
            unit=unit,
            values=scanned,
            stat_scan=points.stat,
            best_value=float(best.values[index]),
            total_stat=best.stat,
            reoptimize=reoptimize,
            names=best.names,
            free_values=points.values,
            status=points.status,
            message=_message(best, points, reoptimize),
        )
        return profile, points.negative

    return merged_then_dense(best_fit if reoptimize else as_given, fit, datasets, models, product)


def stat_surface(
    fit: ErrorProducts,
    datasets: FitDatasets,
    models: FitModels,
    parameters: tuple[str, str],
    values: tuple[Any, Any],
    reoptimize: bool,
) -> StatSurface:
    """See `gammax.fit.Fit.stat_surface`."""

    def product(best: Best) -> tuple[StatSurface, bool]:
        indices = two_indices(best, *parameters)
        axes = [_scanned(best, name, chosen) for name, chosen in zip(parameters, values, strict=True)]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        points, shape = points_at(fit, best, indices, grid.reshape(-1, 2), reoptimize), grid.shape[:2]
        surface = StatSurface(
            *parameters,
            *(best.likelihood.units[index] for index in indices),
            *axes,
            stat_scan=points.stat.reshape(shape),
            best_values=(float(best.values[indices[0]]), float(best.values[indices[1]])),
            total_stat=best.stat,
            reoptimize=reoptimize,
            names=best.names,
            free_values=points.values.reshape(*shape, -1),
            status=points.status.reshape(shape),
            message=_message(best, points, reoptimize),
        )
        return surface, points.negative

    return merged_then_dense(best_fit if reoptimize else as_given, fit, datasets, models, product)


def points_at(
    fit: ErrorProducts, best: Best, indices: Sequence[int], values: np.ndarray, reoptimize: bool = True
) -> Points:
    """The statistic with some parameters at given values, in one batch.

    Parameters
    ----------
    values : in the parameters' units, (K, n).
    """
    indices = list(indices)
    lower, upper = (np.asarray(bound) for bound in (best.problem.lower, best.problem.upper))
    wanted = values / best.scale[indices]
    inside = np.all((wanted >= lower[indices]) & (wanted <= upper[indices]), axis=1)
    start = _neighbours(best, indices, wanted) if reoptimize else np.tile(best.theta, (len(wanted), 1))
    start[:, indices] = wanted
    start = np.clip(start, lower, upper)
    held = np.full(start.shape, not reoptimize)
    held[:, indices] = True
    bounds = np.where(held, start, lower), np.where(held, start, upper)
    solved = solve_many(best.problem, start, *bounds, fit.tolerance, fit.max_steps, chunk=_CHUNK)
    there = solved.converged & np.isfinite(solved.value)
    status = np.select([~inside | (solved.emptied > 0), ~there], ["at_bound", "not_converged"], "ok")
    stat = np.where(status == "ok", solved.value, np.nan)
    return Points(stat, solved.theta * best.scale, status, bool(np.any(solved.lowest < 0)))


def _neighbours(best: Best, indices: list[int], wanted: np.ndarray) -> np.ndarray:
    """Where the other parameters would follow to if the statistic were a parabola, (K, P)."""
    known = np.where(np.isfinite(best.covariance), best.covariance, 0.0)
    slopes = np.linalg.pinv(known[np.ix_(indices, indices)], hermitian=True) @ known[indices]
    return best.theta + (wanted - best.theta[indices]) @ slopes


def two_indices(best: Best, x: str, y: str) -> list[int]:
    """Numbers of two different parameters.

    Raises
    ------
    FitError : they are the same, or no free parameters.
    """
    indices = [best.index(x), best.index(y)]
    if indices[0] == indices[1]:
        raise FitError("GX-FIT-105", "two different parameters are needed", found=f"{x}, {y}")
    return indices


def _scanned(best: Best, parameter: str, values: Any) -> np.ndarray:
    """Values to scan: given ones, or as many as Gammapy takes within two errors and the bounds.

    Raises
    ------
    FitError : none are given, and the parameter has no error.
    """
    index = best.index(parameter)
    if values is not None:
        return to_numbers(values, best.likelihood.units[index], parameter)
    reach = _N_SIGMA * np.sqrt(best.spread([index])[0, 0])
    if not reach > 0:
        raise FitError(
            "GX-FIT-106", "the parameter has no error to scan by", parameter=parameter, do="give the values to scan"
        )
    value, bounds = best.theta[index], (best.problem.lower[index], best.problem.upper[index])
    return np.linspace(*np.clip([value - reach, value + reach], *bounds), _N_VALUES) * best.scale[index]


def _message(best: Best, points: Points, reoptimize: bool) -> str:
    """Another minimum, or a start that is none."""
    words = [] if best.is_minimum else [f"no best fit: {best.message}"]
    if reoptimize and np.any(points.stat < best.stat - _LOWER):
        lowest = int(np.nanargmin(points.stat))
        words.append(f"another minimum is lower by {best.stat - points.stat[lowest]:.4g}: fit again from there")
    return "; ".join(words)
