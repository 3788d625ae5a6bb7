"""Equations as pytrees: parameters, spectra, sources, and their YAML."""

from gammax.models._parameter import Parameter as Parameter
from gammax.models._parameter import parameter as parameter
from gammax.models._spectral import SpectralModel as SpectralModel
from gammax.models._power_laws import ExpCutoffPowerLawSpectralModel as ExpCutoffPowerLawSpectralModel
from gammax.models._power_laws import LogParabolaSpectralModel as LogParabolaSpectralModel
from gammax.models._power_laws import PowerLawNormSpectralModel as PowerLawNormSpectralModel
from gammax.models._power_laws import PowerLawSpectralModel as PowerLawSpectralModel
from gammax.models._compound import CompoundSpectralModel as CompoundSpectralModel
from gammax.models._sky_model import SkyModel as SkyModel
from gammax.models._models import Models as Models
from gammax.models._integrate import n_panels as n_panels
