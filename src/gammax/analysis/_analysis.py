"""From a configuration to a folder of results, step by step or in one call."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

from gammax._paths import resolve_path
from gammax.analysis._backgrounds import with_backgrounds
from gammax.analysis._check import check_needs, unused
from gammax.analysis._config import AnalysisConfig
from gammax.analysis._cube_runs import CubeRuns
from gammax.analysis._flux import flux_estimator, flux_options, flux_source
from gammax.analysis._folder import check_folder, write_results
from gammax.analysis._html import plural
from gammax.analysis._ledger import collect
from gammax.analysis._observations import check_observations, select_observations, store_path
from gammax.analysis._reduce import Recipe, make_recipe, reduce
from gammax.analysis._reduce_cube import make_cube_recipe, source_region
from gammax.analysis._results import Results, fit_status, fitted_table
from gammax.analysis._runs import Runs
from gammax.analysis._sections import FluxPointsSection, Section
from gammax.analysis._stages import Stages, log_output
from gammax.data import Observations
from gammax.datasets import Datasets
from gammax.datasets._files import dataset_files
from gammax.errors import FileFormatError, GammaxError, GammaxWarning, SchemaError
from gammax.estimators import FluxPoints
from gammax.fit import Fit, FitResult
from gammax.models import Models, SkyModel


class Analysis:
    """An analysis from event files, or from reduced spectra and cubes, to flux points.

    It keeps what its steps make: `observations`, `datasets`, `models`, `fit_result`, `flux_points`. `run` makes all
    steps and writes the results; or call them one by one, or set `datasets` and `models` directly.

    Where ``general.datasets_file`` names a file that exists, `run` reads the datasets from it. Otherwise it reduces the
    data store of the section ``observations``; a name without file is noted, and nothing is written there (the reduced
    datasets are among the results).

    Parameters
    ----------
    config : configuration, or the path of one.
    """

    def __init__(self, config: AnalysisConfig | str | Path):
        self.config = config if isinstance(config, AnalysisConfig) else AnalysisConfig.read(config)
        self.observations: Observations | None = None
        self.runs: Runs | CubeRuns | None = None
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
        if self.config.general.datasets_file is None:
            raise SchemaError(
                "GX-ANALYSIS-011",
                "no datasets file",
                key="general.datasets_file",
                found="null",
                do="name one, or reduce the data store: get_observations(), get_datasets()",
            )
        self.datasets = Datasets.read(self.config.path(self.config.general.datasets_file))
        self.runs = None
        return self.datasets

    def get_observations(self) -> Observations:
        """Choose the observations of the section ``observations``; nothing but index tables is read.

        Observations that lack a response of ``required_irf`` are left out, with a warning.

        Raises
        ------
        FileFormatError : no data store there, or its path starts from a variable that is not set. SchemaError,
        DataValueError : settings that are wrong, a number that does not exist, no observation left.
        """
        self.observations = select_observations(self.config)
        return self.observations

    def get_datasets(self) -> Datasets:
        """Reduce the observations as the section ``datasets`` says, in ``general.n_jobs`` processes.

        One spectrum or cube for each observation, named by its number, or their stack, "stacked". Observations without
        OFF region or with the ON region or the image outside of their field of view are left out, with a warning;
        `runs` tells of all.

        Raises
        ------
        SchemaError : no observations yet, or a setting that is wrong. GammaxError : a reduction fails; names obs_id.
        """
        if self.observations is None:
            raise SchemaError("GX-ANALYSIS-055", "this step needs observations", do="call get_observations() first")
        recipe = self._recipe()
        reduction = reduce(recipe, self.observations, self.config.general.n_jobs)
        if reduction.skipped:
            reasons = ", ".join(f"{name} ({reason})" for name, reason in reduction.skipped.items())
            warnings.warn(
                f"{plural(len(reduction.skipped), 'observation')} left out: {reasons}", GammaxWarning, stacklevel=2
            )
        datasets = reduction.datasets
        if self.config.datasets.type == "3d":
            self.datasets, sums = collect(datasets)
            where = (recipe.dataset.geom, source_region(self.config, self.models), recipe.exclusion)
            self.runs = CubeRuns.record(self.observations, sums, reduction.skipped, *where)
        else:
            self.runs = Runs.record(self.observations, reduction, recipe.exclusion)
            self.datasets = Datasets([datasets.stack_reduce()]) if self.config.datasets.stack else datasets
        return self.datasets

    def _recipe(self) -> Recipe:
        if self.config.datasets.type == "3d":
            return make_cube_recipe(self.config, self.models)
        return make_recipe(self.config)

    def read_models(self, path: str | Path | None = None) -> Models:
        """Read the models of a file, by default ``general.models_file``.

        Raises
        ------
        SchemaError : no file is named. Of the file: as `Models.read`.
        """
        if path is None:
            if self.config.general.models_file is None:
                raise SchemaError("GX-ANALYSIS-050", "no models file", key="general.models_file", found="null")
            try:
                models = Models.read(path := self.config.path(self.config.general.models_file))
            except GammaxError as error:
                raise error.with_context(key="general.models_file") from error
        else:
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

        Cubes whose background no model scales get a free `FoVBackgroundModel` each.

        Raises
        ------
        SchemaError : no datasets or no models yet. Of the fit: as `gammax.fit.Fit`.
        """
        models, datasets = self._require_models(), self._set_fit_range()
        self.fit_result = Fit().run(datasets, with_backgrounds(models, datasets))
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
            None if self.runs is None else self.runs.within(*self._fit_limits),
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
        """Reduce or read, fit, estimate flux points, write, with a line of progress for each; returns the folder.

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
        """Models and datasets; what can be said against the settings is said before the work."""
        reduces = self._prepare()
        if reduces:
            with self.stages("observations") as said:
                said.append(f"{plural(len(self.get_observations()), 'observation')} of {store_path(self.config)}")
        with self.stages("datasets") as said:
            self.get_datasets() if reduces else self.read_datasets()
            datasets, counts = self._set_fit_range(), self.results.counts
            for dataset in datasets:
                # a name, say, that a file cannot hold is refused now and not after the fit
                dataset_files(dataset, Path(dataset.name), "gadf")
            said += [plural(len(datasets), "dataset"), f"{sum(counts.values()):g} counts inside the masks"]
        if ignored := unused(self.config, reduces):
            kind = "reduced datasets" if not reduces else "spectra" if self.config.datasets.type == "1d" else "cubes"
            self.stages.note(f"settings without effect on {kind}: {', '.join(ignored)}")
        if self.models is not None:
            given, self.models = len(self.models), with_backgrounds(self.models, datasets)
            if added := self.models.names[given:]:
                self.stages.note(f"backgrounds that no model scaled are fitted along: {', '.join(added)}")
            # what the estimator would refuse after the fit it refuses now
            source, asked = flux_estimator(self.config, datasets, self.models).source, self.config.flux_points.source
            if asked not in (source, FluxPointsSection().source):
                self.stages.note(f"flux_points.source {asked!r} is not a model, the flux points are of {source!r}")

    def _prepare(self) -> bool:
        """Read the models, and try all settings on empty datasets; whether the data store is to be reduced."""
        check_needs(self.config)
        flux_options(self.config)
        reduces = self._reduces()
        if self.models is None and self.config.general.models_file is not None:
            with self.stages("models") as said:
                said.append(", ".join(self.read_models().names))
        if self.models is not None:
            flux_source(self.config, self.models)
        source_region(self.config, self.models)
        if reduces:
            check_observations(self.config)
            planned = Datasets([self._recipe().dataset])
            try:
                planned = planned.with_fit_range(*self._fit_limits)
            except GammaxError as error:
                raise error.with_context(key="fit.fit_range", file=self.config.file) from error
            if self.models is not None:
                flux_estimator(self.config, planned, self.models)
        return reduces

    def _reduces(self) -> bool:
        """Whether the data store is to be reduced: no file of datasets is named, or none is there (noted)."""
        name = self.config.general.datasets_file
        if name is None:
            return True
        path = self.config.path(name)
        if path.exists():
            return False
        section, what = self.config.datasets, "ON region"
        given: Section = section.on_region
        if section.type == "3d":
            given, what = section.geom.wcs.skydir, "image"
        if given == type(given)():
            raise FileFormatError(
                "GX-ANALYSIS-056",
                f"no such file of datasets, and no {what} to reduce a data store",
                key="general.datasets_file",
                file=path,
                do="check the path, or fill in the sections observations and datasets",
            )
        self.stages.note(f"there is no {path}: the data store is reduced, the datasets are among the results")
        return True

    def _estimate(self) -> None:
        with self.stages("fit") as said:
            result = self.run_fit()
            said += [f"{result.status}: {result.message}", plural(result.n_steps, "step")]
        if result.status == "interrupted":
            # whoever ends a run means all of it; `Fit` ends its fit alone
            raise KeyboardInterrupt
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
        datasets = self._require_datasets()
        if self._fit_limits != (None, None):
            self.datasets = datasets = datasets.with_fit_range(*self._fit_limits)
        return datasets

    @property
    def _fit_limits(self) -> tuple[str | None, str | None]:
        return self.config.fit.fit_range.min, self.config.fit.fit_range.max

    def _require_datasets(self) -> Datasets:
        if self.datasets is None:
            raise SchemaError(
                "GX-ANALYSIS-052", "this step needs datasets", do="call read_datasets() or get_datasets()"
            )
        return self.datasets

    def _require_models(self) -> Models:
        if self.models is None:
            raise SchemaError(
                "GX-ANALYSIS-053", "this step needs models", do="call read_models() or set_models() first"
            )
        return self.models

    def __str__(self) -> str:
        if self.datasets is None:
            return f"Analysis of {self.config.general.datasets_file or self.config.observations.datastore}"
        return fitted_table(self.results)
