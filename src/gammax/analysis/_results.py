"""What a run has made, for those who write it down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gammax.analysis._config import AnalysisConfig
from gammax.datasets import Datasets
from gammax.estimators import FluxPoints
from gammax.fit import FitResult
from gammax.models import Models


@dataclass(frozen=True)
class Results:
    """The products of an analysis so far.

    Attributes
    ----------
    datasets : with the masks of the fit.
    models : the fitted ones, or those given where there was no fit.
    source : the model that the flux points are of.
    timings : seconds by stage; grows while results are written.
    notes : warnings that came up; grows while results are written.
    """

    config: AnalysisConfig
    datasets: Datasets
    models: Models | None
    fit_result: FitResult | None
    flux_points: FluxPoints | None
    source: str | None
    timings: dict[str, float]
    notes: list[str]

    @property
    def status(self) -> str:
        """Status of the fit, "no_model" where there is none."""
        return "no_model" if self.fit_result is None else self.fit_result.status

    @property
    def message(self) -> str:
        """The status in a sentence."""
        return "no model was given, nothing was fitted" if self.fit_result is None else self.fit_result.message

    @property
    def fitted_models(self) -> Models | None:
        """The models of the fit, None where there was none."""
        return None if self.fit_result is None else self.fit_result.models

    @property
    def n_bins(self) -> int:
        """Energy bins inside the masks."""
        return sum(int(dataset.mask.sum()) for dataset in self.datasets)

    @property
    def counts(self) -> dict[str, float]:
        """ON counts inside the mask by dataset; whole numbers as int."""
        sums = {dataset.name: float(np.sum(dataset.counts.values()[dataset.mask])) for dataset in self.datasets}
        return {name: int(total) if total.is_integer() else total for name, total in sums.items()}
