"""Minima, covariances, results."""

from gammax.fit._compare import FitComparison as FitComparison
from gammax.fit._confidence import Confidence as Confidence
from gammax.fit._confidence import UpperLimit as UpperLimit
from gammax.fit._contour import StatContour as StatContour
from gammax.fit._error_matrix import CovarianceResult as CovarianceResult
from gammax.fit._fit import Fit as Fit
from gammax.fit._fit_many import fit_many as fit_many
from gammax.fit._many_result import FitResults as FitResults
from gammax.fit._result import FitResult as FitResult
from gammax.fit._scan import StatProfile as StatProfile
from gammax.fit._scan import StatSurface as StatSurface
from gammax.fit._sampling import Sampler as Sampler
from gammax.fit._sampling_result import SamplerResult as SamplerResult
from gammax.fit._hypothesis import NestedModels as NestedModels
from gammax.fit._hypothesis import select_nested_models as select_nested_models
from gammax.fit._implicit import optimum as optimum
