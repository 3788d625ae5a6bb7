"""gammax: gamma-ray astronomy with a differentiable likelihood on JAX.

The names live where the field looks for them: ``gammax.datasets.Datasets``, ``gammax.models.SkyModel``,
``gammax.fit.Fit``, ``gammax.estimators.FluxPointsEstimator`` ... Importing gammax touches no device and no setting;
`enable_x64` comes before the first fit.

* data, irf, maps: event lists, responses, axes and skies, as files hold them. simulate: the same, invented.
* makers, datasets: from event lists to spectra and cubes; reduced files; data of your own.
* models: sources, backgrounds, unsure responses, priors, links. stats: statistics and significances.
* likelihood: datasets and models as one JAX function. fit: minima, errors, batches, tests, sampling.
* estimators, plot: flux points, pictures. analysis: all of it from a YAML file, as the command ``gammax``.
"""

from gammax._cache import enable_cache as enable_cache
from gammax._config import enable_x64 as enable_x64

__version__ = "0.1.0"
