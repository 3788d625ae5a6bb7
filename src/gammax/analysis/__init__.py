"""Analyses that a YAML file describes: from reduced datasets to a folder of results with a report."""

from gammax.analysis._config import AnalysisConfig as AnalysisConfig
from gammax.analysis._analysis import Analysis as Analysis
