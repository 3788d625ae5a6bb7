"""Pictures of images of the sky."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gammax import _regions as sky_regions
from gammax.errors import GeometryError, SchemaError, did_you_mean
from gammax.maps._plot import bin_label
from gammax.maps._region import parse_region, parts_of
from gammax.maps._wcs_projection import celestial_frame, sky_to_pix
from gammax.maps._wcs_region import region_to_pixel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LABELS = {
    "icrs": ("Right ascension", "Declination"),
    "fk5": ("Right ascension", "Declination"),
    "galactic": ("Galactic longitude", "Galactic latitude"),
}


def sky_axes(geom: Any, ax: Axes | None = None) -> Axes:
    """`ax`, or the axes of a new figure, with labels of the frame of an image.

    Raises
    ------
    GeometryError : `ax` has no sky coordinates.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(layout="constrained")
        ax = figure.add_subplot(projection=geom.wcs)
    if not hasattr(ax, "coords"):
        raise GeometryError(
            "GX-MAPS-150",
            "an image of the sky needs axes with sky coordinates",
            found=type(ax).__name__,
            do="make them with plt.subplot(projection=geom.wcs)",
        )
    for coord, label in zip(ax.coords, _LABELS[celestial_frame(geom.wcs).name], strict=False):
        coord.set_axislabel(label)
    return ax


def plot_image(
    image: Any, ax: Axes | None = None, add_cbar: bool = True, stretch: str = "linear", **kwargs: Any
) -> Axes:
    """Image with the sky coordinates of its projection; masks in grey, numbers with a colour bar."""
    ax = sky_axes(image.geom, ax)
    defaults: dict[str, Any] = {"origin": "lower", "interpolation": "nearest"}
    if image.is_mask:
        defaults |= {"cmap": "gray", "vmin": 0, "vmax": 1}
    else:
        defaults["cmap"] = "viridis"
    if not image.is_mask and "norm" not in kwargs:
        kwargs["norm"] = _norm(image.data, stretch, kwargs.pop("vmin", None), kwargs.pop("vmax", None))
    picture = ax.imshow(image.data, **(defaults | kwargs))
    # what a logarithm has no place for is below the scale, not a hole
    ax.set_facecolor(picture.get_cmap()(0.0))
    if add_cbar:
        ax.figure.colorbar(picture, ax=ax, label=image.unit)
    return ax


def _norm(data: np.ndarray, stretch: str, vmin: float | None, vmax: float | None) -> Any:
    from matplotlib import colors

    kinds = {
        "linear": colors.Normalize,
        "sqrt": lambda **limits: colors.PowerNorm(0.5, **limits),
        "log": colors.LogNorm,
        "asinh": lambda **limits: colors.AsinhNorm((limits["vmax"] - limits["vmin"]) / 10 or 1.0, **limits),
    }
    if stretch not in kinds:
        raise SchemaError("GX-MAPS-151", f"unknown stretch {stretch!r}", do=did_you_mean(stretch, kinds))
    shown = data[np.isfinite(data) & (data > 0)] if stretch == "log" else data[np.isfinite(data)]
    low, high = (shown.min(), shown.max()) if shown.size else (0.1, 1.0)
    return kinds[stretch](vmin=low if vmin is None else vmin, vmax=high if vmax is None else vmax)


def plot_images(cube: Any, ncols: int, figsize: tuple[float, float] | None, **kwargs: Any) -> Figure:
    """One image for each bin of the only axis with more than one, in rows of `ncols`."""
    import matplotlib.pyplot as plt

    wide = [axis for axis in cube.geom.axes if axis.nbin > 1] or list(cube.geom.axes)
    if len(wide) != 1:
        raise GeometryError(
            "GX-MAPS-152",
            "a grid of images needs a map over one axis",
            found=", ".join(cube.geom.axes.names),
            do="sum or slice the other axes first",
        )
    axis = wide[0]
    ncols = min(ncols, axis.nbin)
    nrows = -(-axis.nbin // ncols)
    nx, ny = cube.geom.npix
    width = 4.2 * ncols
    size = figsize or (width, (width / ncols * min(ny / nx, 2.0) * 0.72 + 0.7) * nrows)
    figure = plt.figure(figsize=size, layout="constrained")
    for k, part in enumerate(cube.iter_by_axis(axis.name)):
        ax = figure.add_subplot(nrows, ncols, k + 1, projection=cube.geom.wcs)
        plot_image(part.to_image(), ax, **kwargs)
        ax.set_title(bin_label(axis, k))
        if k % ncols:
            ax.coords[1].set_axislabel(" ")
        if k + ncols < axis.nbin:
            ax.coords[0].set_axislabel(" ")
    return figure


def plot_mask(mask: Any, ax: Axes | None = None, color: Any = "black", alpha: float = 0.4, **kwargs: Any) -> Axes:
    """Veil over the pixels that a mask leaves out, on top of what `ax` shows."""
    from matplotlib.colors import ListedColormap

    ax = sky_axes(mask.geom, ax)
    veil = np.ma.masked_where(mask.data, np.ones(mask.data.shape))
    defaults = {"origin": "lower", "interpolation": "nearest", "cmap": ListedColormap([color]), "zorder": 2}
    ax.imshow(veil, alpha=alpha, **(defaults | kwargs))
    return ax


def plot_region(geom: Any, region: Any, ax: Axes | None = None, **kwargs: Any) -> Axes:
    """Outlines of a region, or of the parts of a union; points as markers. Parts off the projection are left out."""
    fresh = ax is None
    ax = sky_axes(geom, ax)
    if fresh:
        nx, ny = geom.npix
        ax.set(xlim=(-0.5, nx - 0.5), ylim=(-0.5, ny - 0.5), aspect="equal")
    wcs = ax.wcs  # type: ignore[attr-defined]
    for part in parts_of(parse_region(region)):
        if isinstance(part, sky_regions.PointSkyRegion):
            x, y = sky_to_pix(wcs, part.center)
            ax.plot(x, y, **({"marker": "+", "linestyle": "none", "color": "tab:red"} | kwargs))
        elif (pixels := region_to_pixel(part, wcs)) is not None:
            pixels.plot(ax=ax, **({"edgecolor": "tab:red"} | kwargs))
    return ax
