"""The DL3 responses by GADF class."""

from __future__ import annotations

from gammax.irf._background import Background2D, Background3D
from gammax.irf._effective_area import EffectiveAreaTable2D
from gammax.irf._energy_dispersion import EnergyDispersion2D
from gammax.irf._psf import PSF3D
from gammax.irf._psf_parametric import EnergyDependentMultiGaussPSF, PSFKing
from gammax.irf._rad_max import RadMax2D
from gammax.irf._response import Response

DL3_IRFS: dict[str, type[Response]] = {
    response.tag: response
    for response in (
        EffectiveAreaTable2D,
        EnergyDispersion2D,
        PSF3D,
        EnergyDependentMultiGaussPSF,
        PSFKing,
        Background2D,
        Background3D,
        RadMax2D,
    )
}
