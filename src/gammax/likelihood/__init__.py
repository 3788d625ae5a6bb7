"""Datasets and models compiled into one pure function."""

from gammax.likelihood._likelihood import Likelihood as Likelihood
from gammax.likelihood._problem import Derivatives as Derivatives
from gammax.likelihood._problem import Problem as Problem
