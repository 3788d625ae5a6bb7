"""Minima, covariances, results."""

from gammax.fit._fit import Fit as Fit
from gammax.fit._result import FitResult as FitResult
