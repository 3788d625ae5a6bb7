"""Positions of photons that follow the shape of a source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from gammax.maps import MapAxis, WcsGeom

# pixels of a shape: this many across it at least, or this many in its smallest structure, but not more than fit
_ACROSS, _IN_SMALLEST, _MOST = 300, 4, 2000
# of a shape that depends on energy, which has many images
_ACROSS_EACH, _PER_DECADE = 100, 20


@dataclass(frozen=True)
class Shape:
    """Shape of a source as an image, inside of which positions are even over each pixel; a point is a point.

    A Gaussian becomes wider by 2e-4 of its width by that. What lies beyond the field of view is left out where the
    source is larger.

    Attributes
    ----------
    center, radius : circle [deg] that holds it.
    image : pixels of one solid angle; None for a point.
    parts : what the pixels hold, times the canonical unit of the spatial model and sr, (energies, pixels).
    energies : of the images [TeV]; one where the shape does not depend on it.
    """

    center: SkyCoord
    radius: float = 0.0
    image: WcsGeom | None = None
    parts: np.ndarray = field(default_factory=lambda: np.ones((1, 1)))
    energies: np.ndarray = field(default_factory=lambda: np.ones(1))

    @classmethod
    def of(cls, spatial: Any, pointing: SkyCoord, reach: float, energies: tuple[float, float]) -> Self:
        """Shape of a spatial model, as far as the field of view of radius `reach` [deg] and the energies [TeV] go."""
        radius = _radius(spatial)
        if radius == 0:
            return cls(spatial.position.icrs)
        center, smallest = pointing, spatial.evaluation_bin_size_min or np.inf
        if radius is None or radius > reach:
            radius = reach
        else:
            center = spatial.position.icrs
        across = _ACROSS_EACH if spatial.is_energy_dependent else _ACROSS
        pixel = max(min(2 * radius / across, smallest / _IN_SMALLEST), 2 * radius / _MOST)
        image = WcsGeom.create(skydir=center, width=2 * radius, binsz=pixel, proj="ZEA", frame="icrs")
        if not spatial.is_energy_dependent:
            parts = spatial.integrate_geom(image, None if spatial.mesh() is None else 1).data
            return cls(center, np.sqrt(2) * radius, image, parts.reshape(1, -1))
        count = max(1, round(_PER_DECADE * float(np.log10(energies[1] / energies[0]))))
        low, high = (energy * u.TeV for energy in energies)
        axis = MapAxis.from_energy_bounds(low, high, nbin=count, name="energy_true")
        parts = spatial.integrate_geom(image.to_cube([axis])).data
        return cls(center, np.sqrt(2) * radius, image, parts.reshape(count, -1), axis.center_value("TeV"))

    def total(self, energy: np.ndarray) -> np.ndarray:
        """Integral over the shape at true energies [TeV]; 1 for one that is normalised and wholly inside."""
        low, high = self._around(energy)[1]
        return low + high

    def offsets(self, pointing: SkyCoord) -> tuple[float, float]:
        """Smallest and largest distance [deg] from a pointing."""
        middle = float(pointing.separation(self.center).deg)
        return max(0.0, middle - self.radius), middle + self.radius

    def draw(self, rng: np.random.Generator, energy: np.ndarray) -> SkyCoord:
        """One position for each true energy [TeV]."""
        if self.image is None or not len(energy):
            return SkyCoord(
                *(np.full(len(energy), angle.deg) for angle in (self.center.ra, self.center.dec)), unit="deg"
            )
        below, (low, high) = self._around(energy)
        number = below if len(self.energies) == 1 else below + (rng.random(len(energy)) * (low + high) >= low)
        pixel = np.empty(len(energy), int)
        for k in np.unique(number):
            rows, share = number == k, np.cumsum(self.parts[k])
            pixel[rows] = np.searchsorted(share, rng.random(rows.sum()) * share[-1], side="right")
        y, x = np.divmod(np.minimum(pixel, self.parts.shape[1] - 1), self.image.npix[0])
        x, y = (index + rng.uniform(-0.5, 0.5, len(energy)) for index in (x, y))
        return self.image.pix_to_coord((x, y))["skycoord"]

    def _around(self, energy: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Number of the image below each energy, and the integrals of that image and the next times their weights."""
        total = self.parts.sum(axis=1)
        if len(total) == 1:
            return np.zeros(len(energy), int), (np.full(len(energy), total[0]), np.zeros(len(energy)))
        place = np.interp(np.log(energy), np.log(self.energies), np.arange(len(total)))
        below = np.minimum(place.astype(int), len(total) - 2)
        weight = place - below
        return below, ((1 - weight) * total[below], weight * total[below + 1])


def _radius(spatial: Any) -> float | None:
    """Radius [deg] that holds the source, None where it is everywhere."""
    mesh = spatial.mesh()
    if mesh is not None:
        return float(mesh.extent * mesh.unit * spatial.major_over_minor())
    # of a template, half of the side of its map
    radius = spatial.evaluation_radius
    return None if radius is None else float(np.sqrt(2) * radius)
