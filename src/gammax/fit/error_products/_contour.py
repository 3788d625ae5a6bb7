"""Contours of the profile of two parameters."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from gammax.errors import FitError
from gammax.fit.error_products._best import Best, best_fit, check_sigma, merged_then_dense
from gammax.fit.error_products._keyed import Keyed
from gammax.fit.error_products._reach import Goal
from gammax.fit.error_products._rises import find_rises
from gammax.fit.error_products._scan import two_indices

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gammax.fit.error_products._best import FitDatasets, FitModels
    from gammax.fit.error_products._products import ErrorProducts


@dataclasses.dataclass(frozen=True, eq=False)
class StatContour(Keyed):
    """Where the statistic, minimised over all other parameters, has risen by sigma^2 above its minimum.

    Attributes
    ----------
    x, y, x_unit, y_unit : full names and units.
    x_values, y_values : of the points in order around the best fit, (K,); NaN where the status is not ok.
    best_values, total_stat : of both parameters, and the minimum of the statistic.
    sigma : the region holds both true values with the probability chi2(2).cdf(sigma^2): 39 % for 1, 86 % for 2.
    names, free_values : of all free parameters, (K, P).
    status : ok, at_bound (the contour is cut by a bound there), singular or not_converged, (K,) text.
    message : why points are missing.
    """

    x: str
    y: str
    x_unit: str
    y_unit: str
    x_values: np.ndarray
    y_values: np.ndarray
    best_values: tuple[float, float]
    total_stat: float
    sigma: float
    names: tuple[str, ...]
    free_values: np.ndarray
    status: np.ndarray
    message: str

    @property
    def success(self) -> bool:
        """Whether the contour is whole."""
        return bool(np.all(self.status == "ok"))

    def _by_key(self) -> dict[str, Any]:
        return {self.x: self.x_values, self.y: self.y_values, "success": self.success}

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """The contour as a closed line, open where points are missing, and the best fit; `kwargs` go to ``plot``."""
        from gammax.fit.error_products._scan_plot import plot_contour

        return plot_contour(self, ax, **kwargs)

    def __repr__(self) -> str:
        good = int(np.sum(self.status == "ok"))
        text = f"StatContour: {self.x} x {self.y}, {good} of {len(self.status)} points at {self.sigma:g} sigma"
        return f"{text} ({self.message})" if self.message else text


def stat_contour(
    fit: ErrorProducts,
    datasets: FitDatasets,
    models: FitModels,
    parameters: tuple[str, str],
    numpoints: int,
    sigma: float,
) -> StatContour:
    """See `gammax.fit.Fit.stat_contour`."""
    check_sigma(sigma)
    if numpoints < 1:
        raise FitError("GX-FIT-107", "a contour needs points", found=numpoints)

    def product(best: Best) -> tuple[StatContour, bool]:
        indices = two_indices(best, *parameters)
        goals = _rays(best, indices, numpoints, sigma)
        found = find_rises(fit, best, goals)
        values = best.values[indices]
        contour = StatContour(
            *parameters,
            *(best.likelihood.units[index] for index in indices),
            *found.values[:, indices].T,
            best_values=(float(values[0]), float(values[1])),
            total_stat=best.stat,
            sigma=sigma,
            names=best.names,
            free_values=found.values,
            status=np.array(found.status),
            message="; ".join(dict.fromkeys(filter(None, found.message))),
        )
        return contour, found.negative

    return merged_then_dense(best_fit, fit, datasets, models, product)


def _rays(best: Best, indices: list[int], numpoints: int, sigma: float) -> Goal:
    """Directions of equal angles in the plane in which the covariance of both parameters is a circle."""
    covariance = best.spread(indices) if best.is_minimum else np.eye(2)
    if not np.all(np.isfinite(covariance)):
        # where the data do not constrain both there is no such plane, and no closed contour
        width = np.abs(best.theta[indices]) + (best.theta[indices] == 0)
        covariance = np.diag(width**2)
    angle = 2.0 * np.pi * np.arange(numpoints) / numpoints
    direction = np.zeros((numpoints, len(best.theta)))
    direction[:, indices] = np.stack([np.cos(angle), np.sin(angle)], axis=1) @ np.linalg.cholesky(covariance).T
    held = np.zeros(direction.shape, bool)
    held[:, indices] = True
    return Goal(direction, held, np.full(numpoints, float(sigma) ** 2))
