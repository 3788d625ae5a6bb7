"""The PSF that a source is seen through: its table at a place, and as Gaussians."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gammax.irf import RecoPSFMap
from gammax.irf._psf_profile import radius_of
from gammax.models import ConstantSpatialModel

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

    from gammax.models import SkyModel

# part of the PSF that matters, at the energy where it is widest
_CONTAINMENT = 0.99999
# of the PSF: flux-point TS of the H.E.S.S. Crab cube are met to 8e-4 of exact sums over its table, with 12 to 1.5e-3;
# with 16 the weights cancel each other, as what is left is the noise of the table
_GAUSSIANS = 14


class PSFTable(NamedTuple):
    """PSF at a place: radii (n,) [deg], densities (T or R, n) [sr-1], whether over reconstructed energy, and a factor
    on all radii."""

    rad: np.ndarray
    density: np.ndarray
    reco: bool
    width: float = 1.0

    @property
    def reach(self) -> float:
        """Radius [deg] beyond which there is nothing that matters, at any energy."""
        return self.width * float(np.nanmax(radius_of(self.rad, self.density, _CONTAINMENT), initial=0.0))

    @property
    def gaussians(self) -> tuple[np.ndarray, np.ndarray]:
        """Widths (K,) and weights (T or R, K) of the PSF as Gaussians."""
        sigma, weights = _gaussians(*(np.asarray(part, float).tobytes() for part in (self.rad, self.density)))
        return self.width * sigma, weights


def psf_table(dataset: Any, model: SkyModel, position: SkyCoord, width: float = 1.0) -> PSFTable | None:
    """PSF that a source is seen through, wider than that of the dataset by a factor; None without one."""
    if not is_blurred(dataset, model):
        return None
    reco = isinstance(dataset.psf, RecoPSFMap)
    axis = dataset.energy_axis if reco else dataset.energy_axis_true
    return PSFTable(*dataset.psf.profile(position, axis.center), reco, width)


def is_blurred(dataset: Any, model: SkyModel) -> bool:
    """Whether a PSF changes what is seen of a source: what is the same everywhere is so through any, at the border of
    the image too."""
    return has_psf(dataset, model) and not isinstance(model.spatial_model, ConstantSpatialModel)


def has_psf(dataset: Any, model: SkyModel) -> bool:
    """Whether a dataset has a PSF that applies to a source."""
    return dataset.psf is not None and model.apply_irf["psf"]


def comes_after(dataset: Any, model: SkyModel) -> bool:
    """Whether a source is seen through a PSF in reconstructed energy, which no matrix over true energies holds."""
    return has_psf(dataset, model) and isinstance(dataset.psf, RecoPSFMap)


@lru_cache(maxsize=256)
def _gaussians(rad: bytes, psf: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Widths and weights of a PSF as Gaussians. Kept: a joint fit, and its flux points, ask for the same again and
    again, and it takes 20 to 100 ms."""
    from gammax.irf import gaussian_mixture

    radii = np.frombuffer(rad)
    return gaussian_mixture(radii, np.frombuffer(psf).reshape(-1, len(radii)), n=_GAUSSIANS)[:2]
