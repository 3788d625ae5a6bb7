"""From a configuration to a folder of results, step by step or in one call."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gammax._paths import resolve_path
from gammax.analysis._check import check_needs, unused
from gammax.analysis._config import AnalysisConfig
from gammax.analysis._flux import flux_estimator, flux_source
from gammax.analysis._folder import check_folder, write_results
from gammax.analysis._html import plural
from gammax.analysis._results import Results, fit_status, fitted_table
from gammax.analysis._sections import FluxPointsSection
from gammax.analysis._stages import Stages, log_output
from gammax.datasets import Datasets
from gammax.datasets._files import dataset_files
from gammax.errors import GammaxError, SchemaError
from gammax.estimators import FluxPoints
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
        return fit_status(self.fit_result)

    @property
    def is_complete(self) -> bool:
        """Whether there was no model, or the fit is ok and the flux points were computed."""
        return self.status == "no_model" or (self.status == "ok" and self.flux_points is not None)

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
        models = Models.read(path)
        if not len(models):
            raise SchemaError(
                "GX-ANALYSIS-054",
                "the models file has no model",
                key="components",
                file=path,
                do="add a component, or take no models file (general.models_file: null) to see the counts only",
            )
        return self.set_models(models)

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
        self.flux_points = flux_estimator(self.config, datasets, models).run(datasets, models)
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
        check_folder(folder, overwrite, self.config.log_file)
        return write_results(self.results, self.stages, folder)

    def run(self, out: str | Path | None = None, overwrite: bool = False) -> Path:
        """Read, fit, estimate flux points, write, with a line of progress for each; returns the folder.

        Without models the datasets are written with their pictures, status "no_model". After a fit that has no
        minimum there are no flux points; if only they fail, the rest is written, with a note.

        Parameters
        ----------
        out : folder of the results, by default ``config.outdir``.

        Raises
        ------
        GammaxError : of the steps; settings that must fail do so before anything is computed.
        """
        folder = self.config.outdir if out is None else resolve_path(out)
        check_folder(folder, overwrite, self.config.log_file)
        with log_output(self.config):
            self._read()
            if self.models is not None:
                self._estimate()
            return self.write(folder, overwrite)

    def _read(self) -> None:
        with self.stages("datasets") as said:
            self.read_datasets()
            datasets, counts = self._set_fit_range(), self.results.counts
            for dataset in datasets:
                # a name, say, that a file cannot hold is refused now and not after the fit
                dataset_files(dataset, Path(dataset.name), "gadf")
            said += [plural(len(datasets), "dataset"), f"{sum(counts.values()):g} counts inside the masks"]
        if ignored := unused(self.config):
            self.stages.note(f"settings without effect on reduced datasets: {', '.join(ignored)}")
        if self.models is None and self.config.general.models_file is not None:
            with self.stages("models") as said:
                said.append(", ".join(self.read_models().names))
        if self.models is not None:
            # what the estimator would refuse after the fit it refuses now
            source, asked = flux_estimator(self.config, datasets, self.models).source, self.config.flux_points.source
            if asked not in (source, FluxPointsSection().source):
                self.stages.note(f"flux_points.source {asked!r} is not a model, the flux points are of {source!r}")

    def _estimate(self) -> None:
        with self.stages("fit") as said:
            result = self.run_fit()
            said += [f"{result.status}: {result.message}", plural(result.n_steps, "step")]
        if result.status not in ("ok", "at_bound"):
            self.stages.note(f"no flux points were computed: the fit is {result.status}")
            return
        try:
            with self.stages("flux points") as said:
                points = self.get_flux_points()
                said.append(f"{plural(len(points), 'point')} of {self.results.source}")
        except GammaxError as error:
            self.stages.note(f"no flux points were computed: {error}")

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
