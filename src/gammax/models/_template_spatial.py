"""A map of the sky as spatial model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from astropy.coordinates import SkyCoord
from jax import Array

from gammax import _regions as sky_regions
from gammax._paths import resolve_path
from gammax.errors import ModelError
from gammax.maps import WcsGeom, WcsNDMap
from gammax.models._mesh import Mesh
from gammax.models._parameter import Parameter, parameter
from gammax.models._projection import projection_of
from gammax.models._spatial import SpatialModel
from gammax.models._template_table import MapTable, template_table


class TemplateSpatialModel(SpatialModel):
    """Surface brightness of a map, interpolated linearly in its logarithm; 0 outside and where the map is not positive.

    Its position, frozen by default, is the centre of the map; moved, it shifts the map in longitude and latitude, which
    is right for small shifts only.

    Parameters
    ----------
    map : image, or cube with axis ``energy_true``, then interpolated in energy as well.
    normalize : divide by the integral over the map, at every energy; the unit is then sr-1.
    filename : the file that YAML names.
    **values : `lon_0`, `lat_0`.

    Raises
    ------
    ModelError : other axes, or a unit that is none of a surface brightness.
    """

    tag: ClassVar = ("template",)

    map: WcsNDMap = eqx.field(static=True)
    normalize: bool = eqx.field(static=True)
    filename: str | None = eqx.field(static=True)
    _table: MapTable = eqx.field(static=True)
    lon_0: Parameter = parameter("0 deg", frozen=True)
    lat_0: Parameter = parameter("0 deg", min=-90.0, max=90.0, frozen=True)

    def __init__(self, map: WcsNDMap, normalize: bool = True, filename: str | Path | None = None, **values: Any):
        self.map, self.normalize = map, bool(normalize)
        self.filename = None if filename is None else str(filename)
        self._table = template_table(map, self.normalize)
        center = map.geom.center_skydir.spherical
        for name, angle in (("lon_0", center.lon.deg), ("lat_0", center.lat.deg)):
            given = values.get(name)
            if given is None:
                values[name] = f"{float(angle)!r} deg"
            elif isinstance(given, Parameter) and np.isnan(given.value):
                values[name] = given.replace(value=float(angle), unit="deg")
        super().__init__(frame=map.geom.frame, **values)

    @classmethod
    def read(cls, path: str | Path, normalize: bool = True, **values: Any) -> TemplateSpatialModel:
        """Model from a map file; errors as `WcsNDMap.read`."""
        return cls(WcsNDMap.read(resolve_path(path)), normalize, path, **values)

    def write(self, overwrite: bool = False) -> Path:
        """Write the map, as it was given, to `filename`.

        Raises
        ------
        ModelError : no filename.
        """
        if self.filename is None:
            raise ModelError(
                "GX-MODEL-046", "the template has no filename", do="TemplateSpatialModel(..., filename=...)"
            )
        return self.map.write(resolve_path(self.filename), overwrite=overwrite)

    def with_filename(self, filename: str | Path) -> TemplateSpatialModel:
        """Model whose file has another name."""
        return TemplateSpatialModel(self.map, self.normalize, filename, lon_0=self.lon_0, lat_0=self.lat_0)

    def _options(self) -> dict[str, Any]:
        return {"map": self.map, "normalize": self.normalize, "filename": self.filename}

    @property
    def unit(self) -> str:
        """Canonical unit of the values: sr-1, or TeV-1 s-1 cm-2 sr-1 for a map of flux."""
        return self._table.unit

    def evaluate(self, lon: Array, lat: Array, lon_0: Array, lat_0: Array, energy: Array | None = None) -> Array:
        """Values in `unit`; only for maps in CAR and TAN projection."""
        lon, lat = self._unshifted(lon, lat, lon_0, lat_0)
        projection = projection_of(self.map.geom.wcs, self.map.geom.npix[0])
        return self._table.sample(jnp, *projection.pixels(lon, lat), energy)

    def values(self, lon: Array, lat: Array, energy: Array | None = None) -> Array:
        """Surface brightness in `unit` at positions [deg] and energies [TeV] that broadcast with each other."""
        return self.evaluate(lon, lat, energy=energy, **self._values())

    def _at(self, lon: np.ndarray, lat: np.ndarray, energy: np.ndarray | None) -> np.ndarray:
        lon, lat = self._unshifted(lon, lat, float(self.lon_0.canonical), float(self.lat_0.canonical))
        outside = np.abs(lat) > 90.0
        sky = SkyCoord(lon, np.where(outside, 0.0, lat), unit="deg", frame=self.frame)
        x, y = self.map.geom.to_image().coord_to_pix(sky)
        return np.where(outside, 0.0, self._table.sample(np, x, y, energy))

    def _unshifted(self, lon: Any, lat: Any, lon_0: Any, lat_0: Any) -> tuple[Any, Any]:
        center = self.map.geom.center_skydir.spherical
        return lon - (lon_0 - center.lon.deg), lat - (lat_0 - center.lat.deg)

    @property
    def is_energy_dependent(self) -> bool:
        """Whether the map has an energy axis."""
        return not self.map.geom.is_image

    @property
    def evaluation_radius(self) -> float:
        """Half of the larger side of the map [deg]."""
        return float(self.map.geom.width.to_value("deg").max()) / 2.0

    def mesh(self) -> Mesh | None:
        """None: sampled by the pixels."""
        return None

    def _factor(self, image: WcsGeom) -> int:
        scales = (geom.pixel_scales.to_value("deg").max() for geom in (image, self.map.geom))
        pixel, own = scales
        return max(1, int(np.ceil(pixel / own - 1e-6)))

    def to_region(self, size_factor: float = 1.0, **kwargs: Any) -> sky_regions.RectangleSkyRegion:
        """Border of the map; `kwargs` go to the region."""
        width, height = self.map.geom.width
        return sky_regions.RectangleSkyRegion(self.map.geom.center_skydir, width=width, height=height, **kwargs)

    def plot(self, ax: Any = None, geom: WcsGeom | None = None, **kwargs: Any) -> Any:
        """Image, by default on the pixels of the map; otherwise as `SpatialModel.plot`."""
        return super().plot(ax, self.map.geom if geom is None else geom, **kwargs)

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, map={self.filename or self.map!r}, normalize={self.normalize})"
