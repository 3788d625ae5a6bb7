"""Minima, their errors, batches of them, tests and draws.

* `Fit`: one fit (`run`), many (`run_many`), and what follows from a minimum: `confidence`, `upper_limit`,
  `stat_profile`, `stat_surface`, `stat_contour`, `covariance`, `cross_check`. Results say `status` and `success`.
* `fit_many`: one likelihood, other counts, starts or held values, thousands of times.
* `select_nested_models`: whether parameters are needed. `Sampler`: the posterior, by NUTS.
* `optimum`: the minimum as a differentiable JAX function.
"""

from gammax.fit._compare import FitComparison as FitComparison
from gammax.fit.error_products._confidence import Confidence as Confidence
from gammax.fit.error_products._confidence import UpperLimit as UpperLimit
from gammax.fit.error_products._contour import StatContour as StatContour
from gammax.fit.error_products._error_matrix import CovarianceResult as CovarianceResult
from gammax.fit._fit import Fit as Fit
from gammax.fit.batches._fit_many import fit_many as fit_many
from gammax.fit.batches._result import FitResults as FitResults
from gammax.fit._result import FitResult as FitResult
from gammax.fit.error_products._scan import StatProfile as StatProfile
from gammax.fit.error_products._scan import StatSurface as StatSurface
from gammax.fit.sampling._sampler import Sampler as Sampler
from gammax.fit.sampling._result import SamplerResult as SamplerResult
from gammax.fit._hypothesis import NestedModels as NestedModels
from gammax.fit._hypothesis import select_nested_models as select_nested_models
from gammax.fit._implicit import optimum as optimum
