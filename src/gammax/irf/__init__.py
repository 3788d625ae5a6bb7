"""Instrument responses: as files of the DL3 format hold them, and reduced to what a dataset needs."""

from gammax.irf._background import Background2D as Background2D
from gammax.irf._background import Background3D as Background3D
from gammax.irf._dl3 import DL3_IRFS as DL3_IRFS
from gammax.irf._dl3_class import hdu_class_of as hdu_class_of
from gammax.irf._edisp_kernel import EDispKernel as EDispKernel
from gammax.irf._edisp_kernel_map import EDispKernelMap as EDispKernelMap
from gammax.irf._edisp_map import EDispMap as EDispMap
from gammax.irf._effective_area import EffectiveAreaTable2D as EffectiveAreaTable2D
from gammax.irf._energy_dispersion import EnergyDispersion2D as EnergyDispersion2D
from gammax.irf._psf import PSF3D as PSF3D
from gammax.irf._psf_kernel import PSFKernel as PSFKernel
from gammax.irf._psf_map import PSFMap as PSFMap
from gammax.irf._psf_mixture import GaussianMixture as GaussianMixture
from gammax.irf._psf_mixture import gaussian_mixture as gaussian_mixture
from gammax.irf._psf_parametric import EnergyDependentMultiGaussPSF as EnergyDependentMultiGaussPSF
from gammax.irf._psf_parametric import PSFKing as PSFKing
from gammax.irf._rad_max import RadMax2D as RadMax2D
from gammax.irf._reco_psf_map import RecoPSFMap as RecoPSFMap
