"""From a configuration to a folder of results, step by step or in one call."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gammax._paths import resolve_path
from gammax.analysis._config import AnalysisConfig
from gammax.analysis._flux import flux_edges, flux_options, flux_source
from gammax.analysis._folder import check_folder
from gammax.analysis._needs import check_needs
from gammax.analysis._numbers import plural
from gammax.analysis._results import Results
from gammax.analysis._stages import Stages, log_output
from gammax.analysis._summary import fitted_table
from gammax.analysis._write import write_results
from gammax.datasets import Datasets
from gammax.errors import SchemaError
from gammax.estimators import FluxPoints, FluxPointsEstimator
from gammax.fit import Fit, FitResult
from gammax.models import Models, SkyModel


class Analysis:
    """An analysis of reduced spectra. It keeps what its steps make: `datasets`, `models`, `fit_result`, `flux_points`.

    `run` makes all steps and writes the results; or call them one by one, or set `datasets` and `models` directly.

    Parameters
    ----------
    config : configuration, or the path of one.
    """

    def __init__(self, config: AnalysisConfig | str | Path):
        self.config = config if isinstance(config, AnalysisConfig) else AnalysisConfig.read(config)
        self.datasets: Datasets | None = None
        self.models: Models | None = None
        self.fit_result: FitResult | None = None
        self.flux_points: FluxPoints | None = None
        self.stages = Stages()

    @property
    def status(self) -> str:
        """Status of the fit, "no_model" where there is none."""
        return "no_model" if self.fit_result is None else self.fit_result.status

    def read_datasets(self) -> Datasets:
        """Read the datasets of ``general.datasets_file``.

        Raises
        ------
        SchemaError : the configuration names none. Of the files: as `Datasets.read`.
        """
        check_needs(self.config)
        self.datasets = Datasets.read(self.config.path(self.config.general.datasets_file))
        return self.datasets

    def read_models(self, path: str | Path | None = None) -> Models:
        """Read the models of a file, by default ``general.models_file``.

        Raises
        ------
        SchemaError : no file is named. Of the file: as `Models.read`.
        """
        if path is None:
            if self.config.general.models_file is None:
                raise SchemaError("GX-ANALYSIS-050", "no models file", key="general.models_file", found="null")
            path = self.config.path(self.config.general.models_file)
        return self.set_models(Models.read(path))

    def set_models(self, models: Models | SkyModel | Iterable[SkyModel]) -> Models:
        """Take models; the results of earlier ones are dropped."""
        self.models = models if isinstance(models, Models) else Models(models)
        self.fit_result = self.flux_points = None
        return self.models

    def run_fit(self) -> FitResult:
        """Fit the models to the datasets within ``fit.fit_range``; `models` are the fitted ones after.

        Raises
        ------
        SchemaError : no datasets or no models yet. Of the fit: as `gammax.fit.Fit`.
        """
        models = self._require_models()
        self.fit_result = Fit().run(self._set_fit_range(), models)
        self.models = self.fit_result.models
        return self.fit_result

    def get_flux_points(self) -> FluxPoints:
        """Flux points of ``flux_points.source`` under the fitted models.

        Raises
        ------
        SchemaError : no fit yet, an unknown source or option. GeometryError, DataValueError : no bins for points.
        """
        datasets, models = self._require_datasets(), self._require_models()
        if self.fit_result is None:
            raise SchemaError("GX-ANALYSIS-051", "this step needs a fit", do="call run_fit() first")
        edges, source = flux_edges(self.config, datasets), flux_source(self.config, models)
        self.flux_points = FluxPointsEstimator(edges, source, **flux_options(self.config)).run(datasets, models)
        return self.flux_points

    @property
    def results(self) -> Results:
        """What there is so far.

        Raises
        ------
        SchemaError : no datasets yet.
        """
        source = None
        if self.flux_points is not None and self.models is not None:
            source = flux_source(self.config, self.models)
        return Results(
            self.config,
            self._require_datasets(),
            self.models,
            self.fit_result,
            self.flux_points,
            source,
            self.stages.timings,
            self.stages.notes,
        )

    def write(self, folder: str | Path, overwrite: bool = False) -> Path:
        """Write the results there are into one folder, which appears whole or not at all.

        Raises
        ------
        FileFormatError : the folder is not empty and `overwrite` is false, or holds files of another origin.
        ResourceError : the disk refuses; what was in the folder is still there.
        """
        folder = resolve_path(folder)
        check_folder(folder, overwrite)
        return write_results(self.results, self.stages, folder)

    def run(self, out: str | Path | None = None, overwrite: bool = False) -> Path:
        """Read, fit, estimate flux points, write, with a line of progress for each; returns the folder.

        Without models the datasets are written with their pictures, status "no_model". After a fit that has no
        minimum there are no flux points.

        Parameters
        ----------
        out : folder of the results, by default ``general.outdir``.

        Raises
        ------
        GammaxError : of the steps; settings that must fail do so before anything is computed.
        """
        folder = self.config.path(self.config.general.outdir) if out is None else resolve_path(out)
        with log_output(self.config):
            check_folder(folder, overwrite)
            self._read()
            if self.models is not None:
                self._estimate()
            return self.write(folder, overwrite)

    def _read(self) -> None:
        with self.stages("datasets") as said:
            self.read_datasets()
            datasets, counts = self._set_fit_range(), self.results.counts
            said += [plural(len(datasets), "dataset"), f"{sum(counts.values()):g} counts inside the masks"]
        if self.models is None and self.config.general.models_file is not None:
            with self.stages("models") as said:
                said.append(", ".join(self.read_models().names))
        if self.models is not None:
            flux_source(self.config, self.models)
            flux_options(self.config)

    def _estimate(self) -> None:
        with self.stages("fit") as said:
            result = self.run_fit()
            said += [f"{result.status}: {result.message}", plural(result.n_steps, "step")]
        if result.status not in ("ok", "at_bound"):
            self.stages.notes.append(f"no flux points were computed: the fit is {result.status}")
            return
        with self.stages("flux points") as said:
            points = self.get_flux_points()
            said.append(f"{plural(len(points), 'point')} of {self.results.source}")

    def _set_fit_range(self) -> Datasets:
        datasets, limits = self._require_datasets(), self.config.fit.fit_range
        if (limits.min, limits.max) != (None, None):
            self.datasets = datasets = datasets.with_fit_range(limits.min, limits.max)
        return datasets

    def _require_datasets(self) -> Datasets:
        if self.datasets is None:
            raise SchemaError("GX-ANALYSIS-052", "this step needs datasets", do="call read_datasets() first")
        return self.datasets

    def _require_models(self) -> Models:
        if self.models is None:
            raise SchemaError(
                "GX-ANALYSIS-053", "this step needs models", do="call read_models() or set_models() first"
            )
        return self.models

    def __str__(self) -> str:
        return (
            f"Analysis of {self.config.general.datasets_file}" if self.datasets is None else fitted_table(self.results)
        )
