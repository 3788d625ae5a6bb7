"""gammax: gamma-ray astronomy with a differentiable likelihood on JAX.

The names live where the field looks for them: ``gammax.datasets.Datasets``, ``gammax.models.SkyModel``,
``gammax.fit.Fit``, ``gammax.estimators.FluxPointsEstimator`` ... Importing gammax touches no device and no setting.
"""

from gammax._cache import enable_cache as enable_cache
from gammax._config import enable_x64 as enable_x64

__version__ = "0.1.0"
