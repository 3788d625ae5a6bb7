"""The spatial model: surface brightness on the sphere, with declared parameters, and all that follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import astropy.units as u
import equinox as eqx
import numpy as np
from astropy.coordinates import SkyCoord
from jax import Array

from gammax import _regions as sky_regions
from gammax._config import require_x64
from gammax.errors import ModelError, did_you_mean
from gammax.maps import WcsGeom, WcsNDMap
from gammax.models._declared import DeclaredModel
from gammax.models._mesh import Mesh, in_blocks, integrate_pixels, values_at
from gammax.models._registry import register
from gammax.models._sphere import ellipse_squared
from gammax.units import to_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPATIAL_MODELS: dict[str, type[SpatialModel]] = {}
FRAMES = ("icrs", "galactic", "fk5")
# a circle of this radius holds 95 % of a round two-dimensional Gaussian of sigma 1: sqrt(-2 ln 0.05)
_RADIUS_95 = np.sqrt(-2.0 * np.log(0.05))


class SpatialModel(DeclaredModel):
    """Surface brightness [sr-1] as a function of position, of unit integral over the sphere.

    A model declares its parameters, among them `lon_0` and `lat_0`, and writes `evaluate`, a pure JAX function of
    positions [deg] in the frame of the model and of parameters in canonical units (angles in degrees)::

        class Cone(SpatialModel):
            lon_0: Parameter = parameter("0 deg")
            lat_0: Parameter = parameter("0 deg")
            radius: Parameter = parameter("1 deg")

            @staticmethod
            def evaluate(lon, lat, lon_0, lat_0, radius): ...

            evaluation_radius = property(lambda self: float(self.radius.canonical))

    Parameters
    ----------
    frame : "icrs", "galactic" or "fk5": of `lon_0` and `lat_0`.

    Raises
    ------
    ModelError : unknown frame or parameter name. UnitError : a value without unit or with the wrong one.
    """

    unit: ClassVar[str] = "sr-1"

    frame: str = eqx.field(static=True)

    def __init__(self, frame: str = "icrs", **values: Any):
        if frame not in FRAMES:
            raise ModelError("GX-MODEL-040", f"unknown frame {frame!r}", do=did_you_mean(frame, FRAMES))
        self.frame = frame
        super().__init__(**values)

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "evaluate"):
            register(SPATIAL_MODELS, cls, "spatial")

    @classmethod
    def from_position(cls, position: SkyCoord, **values: Any) -> Self:
        """Model at a position, in the frame of that."""
        lonlat: Any = position.spherical
        return cls(lon_0=lonlat.lon.deg * u.deg, lat_0=lonlat.lat.deg * u.deg, frame=position.frame.name, **values)

    def _options(self) -> dict[str, Any]:
        return {"frame": self.frame}

    # -- device side: plain arrays ----------------------------------------------------------------------------------

    def values(self, lon: Array, lat: Array, energy: Array | None = None) -> Array:
        """Surface brightness [sr-1] at positions [deg] in the frame of the model.

        Models that depend on energy take `energy` [TeV] too, in a shape that broadcasts with the positions.
        """
        return self.evaluate(lon, lat, **self._values())

    def values_at_nodes(self, lon: Array, lat: Array, spacing: Array, energy: Array | None = None) -> Array:
        """As `values`, up to a factor, at nodes `spacing` [deg] apart that stay in place while the shape moves.

        Models with edges or cusps blunt them to that spacing: a sum over nodes would feel each of them pass.
        """
        return self.values(lon, lat, energy)

    def axes(self) -> tuple[Any, Any, Any]:
        """Half axis [deg], eccentricity, position angle [deg] of the ellipse that `mesh` counts in: round, 1 deg."""
        return 1.0, 0.0, 0.0

    def reduced_squared(self, lon: Array, lat: Array) -> Array:
        """(separation / radius of the ellipse of `axes` in that direction)^2 at positions [deg]."""
        return ellipse_squared(lon, lat, self.lon_0.canonical, self.lat_0.canonical, *self.axes())

    # -- extent, on the host ----------------------------------------------------------------------------------------

    @property
    def is_energy_dependent(self) -> bool:
        """Whether the shape depends on energy."""
        return False

    @property
    def position(self) -> SkyCoord:
        """Centre."""
        return SkyCoord(float(self.lon_0.canonical), float(self.lat_0.canonical), unit="deg", frame=self.frame)

    @property
    def evaluation_radius(self) -> float | None:
        """Radius [deg] that holds practically all of the source; None if it is everywhere."""
        return None

    @property
    def evaluation_bin_size_min(self) -> float | None:
        """Size [deg] of the smallest structure; None if there is none."""
        return None

    @property
    def evaluation_region(self) -> sky_regions.SkyRegion | None:
        """Circle of `evaluation_radius`."""
        if self.evaluation_radius is None:
            return None
        return sky_regions.CircleSkyRegion(self.position, self.evaluation_radius * u.deg)

    def mesh(self) -> Mesh | None:
        """How finely the shape must be sampled; None: by the pixels as they are."""
        radius, smallest = self.evaluation_radius, self.evaluation_bin_size_min
        return None if radius is None else Mesh(1.0, radius, np.inf if smallest is None else smallest)

    def major_over_minor(self) -> float:
        """Ratio of the half axes of `axes`."""
        return float(1.0 / np.sqrt(max(1.0 - float(self.axes()[1]) ** 2, 1e-12)))

    # -- user side: Quantities and maps -----------------------------------------------------------------------------

    def __call__(self, lon: Any, lat: Any = None, energy: Any = None) -> u.Quantity:
        """Surface brightness at positions: a SkyCoord, or longitude and latitude (Quantities) in the model's frame.

        Raises
        ------
        ModelError : a model that depends on energy without `energy`.
        """
        require_x64()
        if isinstance(lon, SkyCoord):
            sky = lon.transform_to(self.frame).spherical
            lon, lat = sky.lon, sky.lat
        lon, lat = np.broadcast_arrays(to_value(lon, "deg", "lon"), to_value(lat, "deg", "lat"))
        if not self.is_energy_dependent:
            return u.Quantity(self._at(lon, lat, None), self.unit)
        if energy is None:
            raise ModelError("GX-MODEL-041", "this model depends on energy", found="no energy")
        lon, lat, energy = np.broadcast_arrays(lon, lat, to_value(energy, "TeV", "energy"))
        return u.Quantity(self._at(lon, lat, energy), self.unit)

    def _at(self, lon: np.ndarray, lat: np.ndarray, energy: np.ndarray | None) -> np.ndarray:
        """Values on the host."""
        return in_blocks(values_at, self, lon, lat)

    def evaluate_geom(self, geom: WcsGeom) -> u.Quantity:
        """Surface brightness at the pixel centres, (ny, nx), with (energy_true, ny, nx) where it depends on energy."""
        coords = geom.get_coord()
        energy = geom.axes["energy_true"].center[:, None, None] if self.is_energy_dependent else None
        return self(coords["skycoord"], energy=energy)

    def integrate_geom(self, geom: WcsGeom, oversampling_factor: int | None = None) -> WcsNDMap:
        """Fraction of the source in every pixel: an image, with an axis ``energy_true`` where it depends on energy.

        Parameters
        ----------
        oversampling_factor : take the mean of this many squared points of each pixel times its solid angle. By default
            pixels are divided as finely as the shape needs: the sum over a map that holds a source is 1 within 1e-6
            (disk and shells 1e-5), whatever its size.
        """
        require_x64()
        if oversampling_factor is None and self.mesh() is not None:
            return WcsNDMap(geom.to_image(), integrate_pixels(self, geom.to_image()))
        image = geom.to_image()
        factor = oversampling_factor or self._factor(image)
        steps = (np.arange(factor) + 0.5) / factor - 0.5
        x, y = (np.add.outer(np.arange(n), steps).ravel() for n in geom.npix)
        sky = image.pix_to_coord(np.meshgrid(x, y))["skycoord"]
        energy = geom.axes["energy_true"].center[:, None, None] if self.is_energy_dependent else None
        brightness = self(sky, energy=energy).value
        shape = (*brightness.shape[:-2], geom.npix[1], factor, geom.npix[0], factor)
        fractions = brightness.reshape(shape).mean(axis=(-3, -1)) * image.solid_angle().value
        unit = u.Unit(self.unit) * u.sr
        grid = image.to_cube([geom.axes["energy_true"]]) if self.is_energy_dependent else image
        return WcsNDMap(grid, fractions, unit.to_string())

    def _factor(self, image: WcsGeom) -> int:
        """Points per pixel and direction that a model without `mesh` needs."""
        return 1

    def to_region(self, size_factor: float = 1.0, **kwargs: Any) -> sky_regions.SkyRegion:
        """Outline, scaled by `size_factor`; `kwargs` go to the region."""
        return sky_regions.CircleSkyRegion(
            self.position, (self.evaluation_radius or 180.0) * size_factor * u.deg, **kwargs
        )

    def position_error(self, covariance: np.ndarray) -> sky_regions.EllipseSkyRegion:
        """Ellipse that holds the position with 95 % probability.

        Parameters
        ----------
        covariance : of `parameters`, in their own units, shape (P, P), `Models.subcovariance(name, "spatial")`.
        """
        names = [p.name for p in self.parameters]
        chosen = [names.index("lon_0"), names.index("lat_0")]
        scale = np.array([np.cos(np.radians(float(self.lat_0.canonical))), 1.0])
        scale *= [getattr(self, name).replace(value=1.0).canonical for name in ("lon_0", "lat_0")]
        variances, axes = np.linalg.eigh(covariance[np.ix_(chosen, chosen)] * np.outer(scale, scale))
        minor, major = 2.0 * _RADIUS_95 * np.sqrt(np.maximum(variances, 0.0)) * u.deg
        east, north = axes[:, 1]
        return sky_regions.EllipseSkyRegion(
            self.position, width=minor, height=major, angle=np.arctan2(east, north) * u.rad
        )

    def plot(self, ax: Axes | None = None, geom: WcsGeom | None = None, **kwargs: Any) -> Axes:
        """Image of the surface brightness; `kwargs` go to `WcsNDMap.plot`.

        Parameters
        ----------
        geom : image to draw; by default one of 200 pixels across, twice `evaluation_radius` wide.

        Raises
        ------
        ModelError : no `geom` for a model that is everywhere, or for one that depends on energy.
        """
        if geom is None:
            if self.evaluation_radius is None:
                raise ModelError("GX-MODEL-042", "the model is everywhere", do="pass the geom to draw")
            width = max(2.0 * self.evaluation_radius, 0.02)
            geom = WcsGeom.create(skydir=self.position, frame=self.frame, proj="TAN", width=width, binsz=width / 200)
        brightness = self.evaluate_geom(geom)
        if brightness.size > np.prod(geom.image_shape):
            raise ModelError("GX-MODEL-044", "the shape depends on energy", do="pass a geom with one energy_true bin")
        return WcsNDMap(geom.to_image(), brightness.value.reshape(geom.image_shape), self.unit).plot(ax, **kwargs)

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, frame={self.frame!r})"
