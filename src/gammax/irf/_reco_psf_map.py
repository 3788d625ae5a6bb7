"""Point spread functions over reconstructed energy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from gammax.errors import SchemaError
from gammax.irf._irf_map import Map
from gammax.irf._psf_map import PSFMap


@dataclass(frozen=True, eq=False, repr=False)
class RecoPSFMap(PSFMap):
    """PSF in reconstructed energy (axes rad, energy), as detectors of air shower particles give it.

    As `PSFMap`, which see; where that says energy_true, energies are reconstructed ones.
    """

    tag: ClassVar[str] = "psf_map_reco"
    axis_names: ClassVar[tuple[str, str]] = ("rad", "energy")
    formats: ClassVar[tuple[str, ...]] = ("gadf",)

    def stack(self, other: Self, weights: Map | None = None) -> Self:
        """Not defined: the weights would be the predicted counts, not exposures.

        Raises
        ------
        SchemaError : always.
        """
        raise SchemaError(
            "GX-IRF-155", "PSFs in reconstructed energy cannot be stacked", do="fit the datasets together"
        )

    def profile(
        self, position: SkyCoord | None = None, energy: Any = None, method: str | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Density at a position; see `PSFMap.profile`."""
        return super().profile(position, energy, method)

    def evaluate(self, rad: Any, energy: Any, position: SkyCoord | None = None) -> u.Quantity:
        """Density at distances and energies; see `PSFMap.evaluate`."""
        return super().evaluate(rad, energy, position)

    def containment(
        self, rad: Any, energy: Any, position: SkyCoord | None = None, method: str = "linear"
    ) -> np.ndarray:
        """Fraction of the events within `rad`; see `PSFMap.containment`."""
        return super().containment(rad, energy, position, method)

    def containment_radius(
        self, fraction: float, energy: Any = None, position: SkyCoord | None = None, method: str = "linear"
    ) -> u.Quantity:
        """Radius that holds a fraction of the events; see `PSFMap.containment_radius`."""
        return super().containment_radius(fraction, energy, position, method)

    def containment_radius_map(self, energy: Any, fraction: float = 0.68) -> Map:
        """Image of the radius at one energy; see `PSFMap.containment_radius_map`."""
        return super().containment_radius_map(energy, fraction)
