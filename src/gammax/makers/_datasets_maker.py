"""Many observations to datasets: one after the other, or in workers."""

from __future__ import annotations

import itertools
import os
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from multiprocessing import parent_process
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from gammax.data import Observation
from gammax.datasets import Datasets, MapDataset, SpectrumDataset
from gammax.datasets._dataset import DatasetBase
from gammax.datasets._map_base import MapBase
from gammax.datasets._map_stack import stack_stream
from gammax.errors import DataValueError, GammaxError, GammaxWarning, GeometryError, ResourceError
from gammax.makers._gathered import gathered_warnings
from gammax.makers._safe_mask import SafeMaskMaker
from gammax.maps import WcsNDMap

# shorter runs show no progress
_PROGRESS_AFTER_S = 3.0
# of `WcsGeom.cutout`
_OUTSIDE = "GX-MAPS-157"
# of `SpectrumDatasetMaker`: the ON region lies outside of the field of view of the responses
_NOT_IN_VIEW = "GX-MAKERS-022"


@dataclass(frozen=True)
class Reduction:
    """What `DatasetsMaker.reduce` made.

    Parameters
    ----------
    datasets : one per observation, or their stack.
    skipped : why observations are not among them, by the name their dataset would have.
    """

    datasets: Datasets
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DatasetsMaker:
    """A chain of makers over many observations.

    Parameters
    ----------
    makers : run in this order, each ``run(dataset, observation) -> dataset``.
    stack_datasets : stack all into one dataset, "stacked" (`gammax.datasets.stack`); otherwise keep one for each. Cubes
        are stacked as they come, one after the other.
    executor : workers (any `concurrent.futures.Executor`); processes should be spawned, and makers and observations
        are then pickled. One after the other unless given.
    cutout_mode, cutout_width : each cube is reduced on the part of the image that is so wide around the pointing, as
        `WcsGeom.cutout` makes it; twice the ``offset_max`` of a `SafeMaskMaker` with the method "offset-max" by
        default, the whole image where there is none. Runs that do not reach the image are left out.
    """

    makers: Sequence[Any]
    stack_datasets: bool = True
    executor: Executor | None = None
    cutout_mode: str = "trim"
    cutout_width: Any = None

    def run(self, dataset: SpectrumDataset | MapDataset, observations: Iterable[Observation]) -> Datasets:
        """Datasets of the observations, in their order, on the region or image and the axes of `dataset`.

        Each is named by its observation (``"23523"``; pieces of one observation ``"23523-0"``, ``"23523-1"``, ...).
        Nothing that is read stays in memory. Observations without any OFF region, outside the image, or with the ON
        region outside of their field of view, are left out, with one warning.

        Raises
        ------
        GammaxError : a run fails; the error names ``obs_id``. DataValueError : nothing is left.
        """
        reduction = self.reduce(dataset, observations)
        if reduction.skipped:
            reasons = ", ".join(f"{name} ({reason})" for name, reason in reduction.skipped.items())
            warnings.warn(f"observations left out: {reasons}", GammaxWarning, stacklevel=2)
        return reduction.datasets

    def reduce(self, dataset: SpectrumDataset | MapDataset, observations: Iterable[Observation]) -> Reduction:
        """As `run`, with what was left out in the result instead of a warning; `meta` of a stack says it as well.

        What the runs warn of comes at the end, one warning of each kind ("in 18 files (first: ...)").
        """
        observations = list(observations)
        if not observations:
            raise DataValueError("GX-MAKERS-050", "there is no observation to reduce")
        skipped: dict[str, str] = {}
        members: list[DatasetBase] = []
        with gathered_warnings(stacklevel=2):
            made = self._kept(dataset, observations, skipped)
            if (first := next(made, None)) is not None:
                made = itertools.chain([first], made)
                stream = self.stack_datasets and isinstance(dataset, MapBase)
                members = [_stack_cubes(dataset, made)] if stream else list(made)
        skipped = {name: skipped[name] for name in _names(observations) if name in skipped}
        if not members:
            raise DataValueError(
                "GX-MAKERS-051",
                "no observation is left",
                found=", ".join(f"{name}: {reason}" for name, reason in skipped.items()),
                do="choose another ON region, image or exclusion mask",
            )
        if not self.stack_datasets:
            return Reduction(Datasets(members), skipped)
        stacked = members[0] if isinstance(dataset, MapBase) else Datasets(members).stack_reduce("stacked")
        if skipped:
            stacked = stacked.replace(meta={**stacked.meta, "skipped": [*stacked.meta.get("skipped", []), *skipped]})
        return Reduction(Datasets([stacked]), skipped)

    def _kept(self, dataset: Any, observations: list[Observation], skipped: dict[str, str]) -> Iterator[DatasetBase]:
        """Datasets one by one, in the order of the observations; why others are left out goes into `skipped`."""
        if isinstance(dataset, MapBase) and self.stack_datasets:
            dataset = dataset.replace(mask_fit=None)
        for part in self._reduced(self._jobs(dataset, observations, skipped), len(observations)):
            skipped |= part.skipped
            for name, made in part.datasets.items():
                if _has_no_off(made):
                    skipped[name] = "no OFF region"
                else:
                    yield made

    def _jobs(self, dataset: Any, observations: list[Observation], skipped: dict[str, str]) -> Iterator[_Job]:
        groups: dict[int, dict[str, Observation]] = {}
        for name, observation in zip(_names(observations), observations, strict=True):
            groups.setdefault(id(observation.parts), {})[name] = observation
        width = self._width(dataset)
        for group in groups.values():
            parts = next(iter(group.values())).unread().parts
            chosen = {name: replace(observation, parts=parts) for name, observation in group.items()}
            datasets = {name: self._part(dataset, observation, width) for name, observation in chosen.items()}
            skipped |= {name: "outside the image" for name, part in datasets.items() if part is None}
            datasets = {name: part.replace(name=name) for name, part in datasets.items() if part is not None}
            if datasets:
                yield _Job(tuple(self.makers), datasets, {name: chosen[name] for name in datasets})

    def _width(self, dataset: Any) -> Any:
        """Width of the parts of an image; None to take it whole."""
        if not (isinstance(dataset, MapBase) and isinstance(dataset.counts, WcsNDMap)):
            return None
        for maker in self.makers:
            if self.cutout_width is None and isinstance(maker, SafeMaskMaker) and "offset-max" in maker.methods:
                return 2 * maker.offset_max
        return self.cutout_width

    def _part(self, dataset: Any, observation: Observation, width: Any) -> Any:
        """Part of an image for one observation, None where there is none."""
        if width is None:
            return dataset
        try:
            return dataset.cutout(observation.get_pointing_icrs(), width, self.cutout_mode)
        except GeometryError as error:
            if error.code == _OUTSIDE:
                return None
            raise error.with_context(obs_id=observation.obs_id) from error

    def _reduced(self, jobs: Iterator[_Job], n_observations: int) -> Iterator[_Outcome]:
        with tqdm(total=n_observations, desc="reduce", unit="run", delay=_PROGRESS_AFTER_S, disable=None) as bar:
            for part in self._outcomes(jobs):
                if part.failure is not None:
                    raise part.failure
                for message in part.warnings:
                    warnings.warn(message, GammaxWarning, stacklevel=4)
                bar.update(len(part.datasets) + len(part.skipped))
                yield part

    def _outcomes(self, jobs: Iterator[_Job]) -> Iterator[_Outcome]:
        """Outcomes in the order of the jobs, of which no more are handed out than keep the workers busy."""
        if self.executor is None:
            yield from map(_work, jobs)
            return
        ahead = 2 * (getattr(self.executor, "_max_workers", None) or os.cpu_count() or 1)
        waiting: deque[tuple[Future, tuple[str, ...]]] = deque()
        try:
            for job in jobs:
                waiting.append((self.executor.submit(_work, job), tuple(job.observations)))
                if len(waiting) > ahead:
                    yield _result(*waiting.popleft())
            while waiting:
                yield _result(*waiting.popleft())
        finally:
            for future, _ in waiting:
                future.cancel()


class _Job(NamedTuple):
    """Observations that share what they read, of which nothing is pickled: one, or pieces of one."""

    makers: tuple[Any, ...]
    datasets: dict[str, Any]
    observations: dict[str, Observation]


class _Outcome(NamedTuple):
    datasets: dict[str, DatasetBase]
    skipped: dict[str, str]
    warnings: tuple[str, ...] = ()
    failure: GammaxError | None = None


def _names(observations: Sequence[Observation]) -> list[str]:
    ids = [str(observation.obs_id) for observation in observations]
    seen: dict[str, int] = {}
    names = []
    for number in ids:
        seen[number] = seen.get(number, -1) + 1
        names.append(f"{number}-{seen[number]}" if ids.count(number) > 1 else number)
    return names


def _stack_cubes(reference: Any, datasets: Iterable[DatasetBase]) -> DatasetBase:
    return stack_stream(reference, datasets, "stacked").replace(mask_fit=reference.mask_fit)


def _result(future: Future, names: tuple[str, ...]) -> _Outcome:
    """What a worker hands back.

    Raises
    ------
    ResourceError : the worker itself failed: killed, or the job cannot be pickled.
    """
    try:
        return future.result()
    except GammaxError:
        raise
    except Exception as error:
        raise ResourceError(
            "GX-MAKERS-053",
            f"a worker failed: {error!r}",
            obs_id=", ".join(names),
            do="are all makers defined in a module that can be imported, and is there memory for all workers?",
        ) from error


def _work(job: _Job) -> _Outcome:
    """Datasets of a job; in a worker process warnings and errors are handed back, where the user sees them."""
    if parent_process() is None:
        return _Outcome(*_run_job(job))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", GammaxWarning)
        try:
            datasets, skipped = _run_job(job)
        except GammaxError as error:
            return _Outcome({}, {}, failure=error)
    return _Outcome(datasets, skipped, tuple(str(w.message) for w in caught if issubclass(w.category, GammaxWarning)))


def _run_job(job: _Job) -> tuple[dict[str, DatasetBase], dict[str, str]]:
    """Datasets of a job, and why others of it are left out."""
    datasets, skipped = {}, {}
    for name, observation in job.observations.items():
        try:
            datasets[name] = _run_makers(job, name, observation)
        except GammaxError as error:
            if error.code != _NOT_IN_VIEW:
                raise
            skipped[name] = "ON region outside of the field of view"
    return datasets, skipped


def _run_makers(job: _Job, name: str, observation: Observation) -> DatasetBase:
    dataset = job.datasets[name]
    try:
        for maker in job.makers:
            dataset = maker.run(dataset, observation)
    except GammaxError as error:
        raise error.with_context(obs_id=observation.obs_id) from error
    except Exception as error:
        raise GammaxError(
            "GX-MAKERS-052", f"a maker failed: {error!r}", obs_id=observation.obs_id, found=type(error).__name__
        ) from error
    return dataset


def _has_no_off(dataset: DatasetBase) -> bool:
    return dataset.stat_type == "wstat" and not np.any(dataset.acceptance_off.values())
