"""Many observations to datasets: one after the other, or in workers."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass, field, replace
from multiprocessing import parent_process
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from gammax.data import Observation
from gammax.datasets import Datasets, SpectrumDataset
from gammax.datasets._base import SpectrumBase
from gammax.errors import DataValueError, GammaxError, GammaxWarning, ResourceError

# shorter runs show no progress
_PROGRESS_AFTER_S = 3.0


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
    stack_datasets : stack all into one dataset, "stacked" (`gammax.datasets.stack`); otherwise keep one for each.
    executor : workers (any `concurrent.futures.Executor`); processes should be spawned, and makers and observations
        are then pickled. One after the other unless given.
    """

    makers: Sequence[Any]
    stack_datasets: bool = True
    executor: Executor | None = None

    def run(self, dataset: SpectrumDataset, observations: Iterable[Observation]) -> Datasets:
        """Datasets of the observations, in their order, on the region and axes of `dataset`.

        Each is named by its observation (``"23523"``; pieces of one observation ``"23523-0"``, ``"23523-1"``, ...).
        Nothing that is read stays in memory. Observations without any OFF region are left out, with one warning.

        Raises
        ------
        GammaxError : a run fails; the error names ``obs_id``. DataValueError : nothing is left.
        """
        reduction = self.reduce(dataset, observations)
        if reduction.skipped:
            reasons = ", ".join(f"{name} ({reason})" for name, reason in reduction.skipped.items())
            warnings.warn(f"{len(reduction.skipped)} observations are left out: {reasons}", GammaxWarning, stacklevel=2)
        return reduction.datasets

    def reduce(self, dataset: SpectrumDataset, observations: Iterable[Observation]) -> Reduction:
        """As `run`, with what was left out in the result instead of a warning; `meta` of a stack says it as well."""
        observations = list(observations)
        if not observations:
            raise DataValueError("GX-MAKERS-050", "there is no observation to reduce")
        names = _names(observations)
        made: dict[str, SpectrumBase] = {}
        for part in self._reduced(_jobs(self.makers, dataset, names, observations), len(observations)):
            made |= part
        skipped = {name: "no OFF region" for name in names if _has_no_off(made[name])}
        kept = [made[name] for name in names if name not in skipped]
        if not kept:
            raise DataValueError(
                "GX-MAKERS-051",
                "no observation is left",
                found=", ".join(f"{name}: {reason}" for name, reason in skipped.items()),
                do="choose another ON region or exclusion mask",
            )
        if not self.stack_datasets:
            return Reduction(Datasets(kept), skipped)
        stacked = Datasets(kept).stack_reduce("stacked")
        if skipped:
            stacked = stacked.replace(meta={**stacked.meta, "skipped": [*stacked.meta.get("skipped", []), *skipped]})
        return Reduction(Datasets([stacked]), skipped)

    def _reduced(self, jobs: list[_Job], n_observations: int) -> Iterator[dict[str, SpectrumBase]]:
        with tqdm(total=n_observations, desc="reduce", unit="run", delay=_PROGRESS_AFTER_S, disable=None) as bar:
            for part in self._outcomes(jobs):
                if part.failure is not None:
                    raise part.failure.to_error()
                for message in part.warnings:
                    warnings.warn(message, GammaxWarning, stacklevel=4)
                bar.update(len(part.datasets))
                yield part.datasets

    def _outcomes(self, jobs: list[_Job]) -> Iterator[_Outcome]:
        if self.executor is None:
            yield from map(_work, jobs)
            return
        futures = {self.executor.submit(_work, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield _result(future, futures[future])
        finally:
            for future in futures:
                future.cancel()


class _Job(NamedTuple):
    """Observations that share what they read: one, or pieces of one."""

    makers: tuple[Any, ...]
    dataset: SpectrumDataset
    observations: dict[str, Observation]


class _Failure(NamedTuple):
    """One of our errors, as it comes out of a worker process: pickles do not carry its keywords."""

    kind: type[GammaxError]
    code: str
    what: str
    do: str
    context: dict[str, str]

    @classmethod
    def of(cls, error: GammaxError) -> _Failure:
        return cls(type(error), error.code, error.what, error.do, {k: str(v) for k, v in error.context.items()})

    def to_error(self) -> GammaxError:
        return self.kind(self.code, self.what, do=self.do, **self.context)


class _Outcome(NamedTuple):
    datasets: dict[str, SpectrumBase]
    warnings: tuple[str, ...] = ()
    failure: _Failure | None = None


def _names(observations: Sequence[Observation]) -> list[str]:
    ids = [str(observation.obs_id) for observation in observations]
    seen: dict[str, int] = {}
    names = []
    for number in ids:
        seen[number] = seen.get(number, -1) + 1
        names.append(f"{number}-{seen[number]}" if ids.count(number) > 1 else number)
    return names


def _jobs(makers: Sequence[Any], dataset: Any, names: list[str], observations: list[Observation]) -> list[_Job]:
    groups: dict[int, dict[str, Observation]] = {}
    for name, observation in zip(names, observations, strict=True):
        groups.setdefault(id(observation.parts), {})[name] = observation
    return [_Job(tuple(makers), dataset, group) for group in groups.values()]


def _result(future: Future, job: _Job) -> _Outcome:
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
            obs_id=", ".join(job.observations),
            do="are all makers defined in a module that can be imported, and is there memory for all workers?",
        ) from error


def _work(job: _Job) -> _Outcome:
    """Datasets of a job; in a worker process warnings and errors are handed back, where the user sees them."""
    if parent_process() is None:
        return _Outcome(_run_job(job))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", GammaxWarning)
        try:
            datasets = _run_job(job)
        except GammaxError as error:
            return _Outcome({}, failure=_Failure.of(error))
    return _Outcome(datasets, tuple(str(w.message) for w in caught if issubclass(w.category, GammaxWarning)))


def _run_job(job: _Job) -> dict[str, SpectrumBase]:
    parts = next(iter(job.observations.values())).unread().parts
    return {
        name: _run_makers(job, name, replace(observation, parts=parts))
        for name, observation in job.observations.items()
    }


def _run_makers(job: _Job, name: str, observation: Observation) -> SpectrumBase:
    dataset: Any = job.dataset.replace(name=name)
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


def _has_no_off(dataset: SpectrumBase) -> bool:
    return dataset.stat_type == "wstat" and not np.any(dataset.acceptance_off.values())
