"""Pictures of images of the sky."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gammax.errors import GeometryError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gammax.maps._wcs_geom import WcsGeom
    from gammax.maps._wcs_map import WcsNDMap

_LABELS = {
    "icrs": ("Right ascension", "Declination"),
    "fk5": ("Right ascension", "Declination"),
    "galactic": ("Galactic longitude", "Galactic latitude"),
}


def sky_axes(geom: WcsGeom, ax: Axes | None = None) -> Axes:
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
    for coord, label in zip(ax.coords, _LABELS[geom.frame], strict=False):
        coord.set_axislabel(label)
    return ax


def plot_image(image: WcsNDMap, ax: Axes | None = None, add_cbar: bool = True, **kwargs: Any) -> Axes:
    """Image with the sky coordinates of its projection; masks in grey, numbers with a colour bar."""
    ax = sky_axes(image.geom, ax)
    defaults = {"origin": "lower", "interpolation": "nearest"}
    defaults |= {"cmap": "gray", "vmin": 0, "vmax": 1} if image.is_mask else {"cmap": "viridis"}
    picture = ax.imshow(image.data, **(defaults | kwargs))
    if add_cbar:
        ax.figure.colorbar(picture, ax=ax, label=image.unit)
    return ax
