"""What a fit can say of errors beyond the covariance of its result: the methods of `Fit` that give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gammax.fit.error_products._confidence import Confidence, UpperLimit, confidence, upper_limit
from gammax.fit.error_products._contour import StatContour, stat_contour
from gammax.fit.error_products._error_matrix import CovarianceResult, covariance
from gammax.fit.error_products._scan import StatProfile, StatSurface, stat_profile, stat_surface

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from gammax.fit.error_products._best import FitDatasets, FitModels


class ErrorProducts:
    """Error products of `Fit`, each one batch of one compiled program.

    In all of them `models` are those of a fit, or its result. What needs a minimum takes the one near them, by Newton
    steps whatever the backend; responses of cubes are looked up where the models are. Parameters have their full names,
    such as "crab.spectral.index"; they must be free. With a `mesh` datasets are spread as in `Fit.run`.
    """

    tolerance: float
    max_steps: int
    order: str
    mesh: Mesh | None

    def covariance(self, datasets: FitDatasets, models: FitModels) -> CovarianceResult:
        """Covariance at the given models, nothing fitted: from the exact Hessian, or from the Fisher matrix where that
        is not positive definite; errors as `gammax.likelihood.Likelihood`."""
        return covariance(self, datasets, models)

    def confidence(
        self,
        datasets: FitDatasets,
        models: FitModels,
        parameter: str | Sequence[str] | None = None,
        sigma: float = 1.0,
        reoptimize: bool = True,
    ) -> Confidence | dict[str, Confidence]:
        """Interval of a parameter where the statistic is less than sigma^2 above its minimum, as MINOS.

        Parameters
        ----------
        parameter : a name; for several names, or for all free parameters (None), the answer is a dictionary by name.
        reoptimize : whether the other free parameters are fitted at the ends.

        Raises
        ------
        FitError : no free parameter of that name, sigma not positive; else as `gammax.likelihood.Likelihood`.
        """
        return confidence(self, datasets, models, parameter, sigma, reoptimize)

    def upper_limit(self, datasets: FitDatasets, models: FitModels, parameter: str, sigma: float = 2.0) -> UpperLimit:
        """Value above the best fit where the statistic has risen by sigma^2, the other free parameters fitted; errors
        as `confidence`. A best fit at a bound or below zero is as good as any other."""
        return upper_limit(self, datasets, models, parameter, sigma)

    def stat_profile(
        self, datasets: FitDatasets, models: FitModels, parameter: str, values: Any = None, reoptimize: bool = False
    ) -> StatProfile:
        """The statistic over values of a parameter.

        Parameters
        ----------
        values : Quantity, or numbers in the parameter's unit; 11 within two errors unless given.
        reoptimize : whether the other free parameters are fitted at every value, or stay as the models have them.

        Raises
        ------
        FitError : no free parameter of that name, values that are no numbers, or none and no error to take them from;
            else as `gammax.likelihood.Likelihood`.
        """
        return stat_profile(self, datasets, models, parameter, values, reoptimize)

    def stat_surface(
        self,
        datasets: FitDatasets,
        models: FitModels,
        x: str,
        y: str,
        x_values: Any = None,
        y_values: Any = None,
        reoptimize: bool = False,
    ) -> StatSurface:
        """The statistic over a grid of two parameters; parameters and errors as `stat_profile`."""
        return stat_surface(self, datasets, models, (x, y), (x_values, y_values), reoptimize)

    def stat_contour(
        self, datasets: FitDatasets, models: FitModels, x: str, y: str, numpoints: int = 10, sigma: float = 1.0
    ) -> StatContour:
        """Points where the statistic, minimised over all other parameters, is sigma^2 above its minimum; errors as
        `confidence`."""
        return stat_contour(self, datasets, models, (x, y), numpoints, sigma)
