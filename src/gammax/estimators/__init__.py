"""Estimators: fluxes in energy bins."""

from gammax.estimators._flux_points import FluxPoints as FluxPoints
from gammax.estimators._estimator import FluxPointsEstimator as FluxPointsEstimator
