"""Equations as pytrees: parameters, spectra, shapes, sources, backgrounds, and their YAML."""

from gammax.models._parameter import Parameter as Parameter
from gammax.models._parameter import parameter as parameter
from gammax.models._spectral import SpectralModel as SpectralModel
from gammax.models._power_laws import ExpCutoffPowerLawSpectralModel as ExpCutoffPowerLawSpectralModel
from gammax.models._power_laws import LogParabolaSpectralModel as LogParabolaSpectralModel
from gammax.models._power_laws import PowerLawNormSpectralModel as PowerLawNormSpectralModel
from gammax.models._power_laws import PowerLawSpectralModel as PowerLawSpectralModel
from gammax.models._template_spectral import TemplateSpectralModel as TemplateSpectralModel
from gammax.models._compound import CompoundSpectralModel as CompoundSpectralModel
from gammax.models._spatial import SpatialModel as SpatialModel
from gammax.models._point import ConstantSpatialModel as ConstantSpatialModel
from gammax.models._point import PointSpatialModel as PointSpatialModel
from gammax.models._gaussian import GaussianSpatialModel as GaussianSpatialModel
from gammax.models._gaussian import GeneralizedGaussianSpatialModel as GeneralizedGaussianSpatialModel
from gammax.models._edges import DiskSpatialModel as DiskSpatialModel
from gammax.models._edges import Shell2SpatialModel as Shell2SpatialModel
from gammax.models._edges import ShellSpatialModel as ShellSpatialModel
from gammax.models._template_spatial import TemplateSpatialModel as TemplateSpatialModel
from gammax.models._sky_model import SkyModel as SkyModel
from gammax.models._background import FoVBackgroundModel as FoVBackgroundModel
from gammax.models._background import TemplateNPredModel as TemplateNPredModel
from gammax.models._background import create_fermi_isotropic_diffuse_model as create_fermi_isotropic_diffuse_model
from gammax.models._models import Models as Models
from gammax.models._integrate import n_panels as n_panels
