"""Methods that draw cubes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class CubePlots:
    """Pictures of a map dataset; drawn by `gammax.datasets._map_draw`."""

    def plot_counts(self, ax: Axes | None = None, smooth: Any = None, **kwargs: Any) -> Axes:
        """Image of the counts inside the mask, summed over energy.

        Parameters
        ----------
        smooth : width of a Gaussian by which the image is smoothed, an angle or pixels; none by default.
        kwargs : go to ``imshow``.
        """
        from gammax.datasets._map_draw import plot_counts

        return plot_counts(self, ax, smooth, **kwargs)

    def plot_residuals_spatial(
        self,
        models: Any = None,
        ax: Axes | None = None,
        method: str = "diff/sqrt(model)",
        smooth_radius: Any = "0.1 deg",
        **kwargs: Any,
    ) -> Axes:
        """Image of the residuals of counts and prediction inside the mask, both summed over energy and smoothed.

        Parameters
        ----------
        method : as `residuals`. smooth_radius : standard deviation of the Gaussian. kwargs : go to ``imshow``.

        Raises
        ------
        SchemaError : unknown method.
        """
        from gammax.datasets._map_draw import plot_residuals_spatial

        return plot_residuals_spatial(self, models, ax, method, smooth_radius, **kwargs)

    def plot_residuals_spectral(
        self,
        models: Any = None,
        ax: Axes | None = None,
        region: Any = None,
        method: str = "diff/sqrt(model)",
        **kwargs: Any,
    ) -> Axes:
        """Residuals over energy of the masked counts of a region, the whole image by default, with Poisson errors.

        Parameters
        ----------
        method : as `residuals`. kwargs : go to ``errorbar``.

        Raises
        ------
        SchemaError : unknown method. GeometryError : not a region.
        """
        from gammax.datasets._map_draw import plot_residuals_spectral

        return plot_residuals_spectral(self, models, ax, region, method, **kwargs)

    def plot_residuals(self, models: Any = None, region: Any = None, method: str = "diff/sqrt(model)") -> Figure:
        """Residuals on the sky and over energy, in one figure; the region is drawn on the sky."""
        from gammax.datasets._map_draw import plot_residuals

        return plot_residuals(self, models, region, method)

    def plot_masks(self) -> Figure:
        """mask_safe and mask_fit, one image for each energy; light: mask_safe alone, dark: both."""
        from gammax.datasets._map_draw import plot_masks

        return plot_masks(self)

    def peek(self) -> Figure:
        """Counts, exposure, radius of the PSF and energy dispersion in one figure, what there is of them."""
        from gammax.datasets._map_draw import peek

        return peek(self)
