"""Which observations of a data store the configuration asks for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astropy.time import Time

from gammax._paths import file_fault
from gammax.data import DataStore, Observations
from gammax.data._obs_table import unknown_obs_id
from gammax.errors import DataValueError, FileFormatError, GammaxError, SchemaError

if TYPE_CHECKING:
    from gammax.analysis._config import AnalysisConfig

_HEADER = "OBS_ID"
# of `DataStore.from_dir`
_NO_INDEX = "GX-DATA-090"


def check_observations(config: AnalysisConfig) -> None:
    """Raise where the section observations does not say what it means; only ``obs_file`` is looked at.

    Raises
    ------
    SchemaError, DataValueError, FileFormatError : as `select_observations`.
    """
    chosen = config.observations
    if chosen.obs_ids and chosen.obs_file is not None:
        raise SchemaError(
            "GX-ANALYSIS-060",
            "observations are chosen by obs_ids or by obs_file, not by both",
            key="observations.obs_file",
            file=config.file,
            do="remove one of them",
        )
    numbers = _wanted(config) or []
    if repeated := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise DataValueError(
            "GX-ANALYSIS-069",
            "observations are listed twice and would count twice",
            key="observations.obs_ids" if chosen.obs_file is None else "observations.obs_file",
            file=config.file,
            found=", ".join(map(str, repeated[:10])),
        )
    cone = {key: getattr(chosen.obs_cone, key) for key in ("frame", "lon", "lat", "radius")}
    missing = [key for key, value in cone.items() if value is None]
    if 0 < len(missing) < len(cone):
        raise SchemaError(
            "GX-ANALYSIS-061",
            f"the cone lacks {', '.join(missing)}",
            key=f"observations.obs_cone.{missing[0]}",
            file=config.file,
            expected="frame, lon, lat and radius, or none of them",
        )
    _intervals(config)


def select_observations(config: AnalysisConfig) -> Observations:
    """Observations of the data store: numbers, then cone, then responses, then time intervals, to which they are cut.

    Observations without the responses of ``required_irf`` are left out, with a warning.

    Raises
    ------
    FileFormatError : no data store, no ``obs_file``. DataValueError : no observation is left, or one asked for by its
    number does not exist. SchemaError : settings that exclude each other or lack a part, or no index for the cone.
    """
    check_observations(config)
    store = _store(config)
    numbers = _wanted(config)
    if numbers is None:
        numbers = store.obs_ids if store.obs_table is None else [int(number) for number in store.obs_table["OBS_ID"]]
    elif unknown := [number for number in numbers if number not in set(store.obs_ids)]:
        raise unknown_obs_id(unknown, store.obs_ids, store.hdu_table.meta.get("IDX_FILE")).with_context(
            key="observations.obs_ids"
        )
    in_cone = _in_cone(config, store, numbers)
    if not in_cone:
        raise _nothing_left(config, "observations.obs_cone", f"none of {len(numbers)} observations is in the cone")
    required = config.observations.required_irf
    complete = store.get_observations(in_cone, required_irf=required, skip_missing=True)
    if not len(complete):
        raise _nothing_left(
            config,
            "observations.required_irf",
            f"none of {len(in_cone)} observations has {', '.join(required)}",
            "leave out what the analysis does not need: [aeff, edisp] do for point-like responses",
        )
    intervals = _intervals(config)
    pieces = complete.select_time(intervals) if intervals else complete
    if not len(pieces):
        raise _nothing_left(
            config, "observations.obs_time", f"none of {len(complete)} observations has good time in the intervals"
        )
    return pieces


def store_path(config: AnalysisConfig) -> Path:
    """Place of the data store.

    Raises
    ------
    FileFormatError : a variable in it is not set.
    """
    try:
        return config.path(config.observations.datastore)
    except FileFormatError as error:
        raise FileFormatError(
            error.code,
            error.what,
            file=config.file,
            key="observations.datastore",
            found=config.observations.datastore,
            do="set the variable, or give observations.datastore: the folder that holds hdu-index.fits.gz",
        ) from error


def _store(config: AnalysisConfig) -> DataStore:
    path = store_path(config)
    # one file may hold both index tables
    names = (path.name, path.name) if path.is_file() else (None, None)
    try:
        return DataStore.from_dir(path.parent if path.is_file() else path, *names)
    except GammaxError as error:
        known = error.with_context(key="observations.datastore")
        if error.code == _NO_INDEX:
            # what `DataStore.from_dir` says to do is said of its arguments
            do = "check the path: the folder that holds hdu-index.fits.gz, or the file with both index tables"
            known = type(error)(error.code, error.what, do=do, **known.context)
        raise known from error


def _wanted(config: AnalysisConfig) -> list[int] | None:
    """Numbers of ``obs_ids`` or ``obs_file``, None where all are meant."""
    chosen = config.observations
    if chosen.obs_file is None:
        return list(chosen.obs_ids) or None
    path = config.path(chosen.obs_file)
    if fault := file_fault(path):
        raise FileFormatError(
            "GX-ANALYSIS-062", f"cannot read the list of observations: {fault}", file=path, key="observations.obs_file"
        )
    return _read_numbers(path)


def _read_numbers(path: Path) -> list[int]:
    """First column of a text file; comments (``#``) and a line of column names that begins with OBS_ID are no rows."""
    numbers = []
    for k, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        word = line.partition("#")[0].replace(",", " ").split()[:1]
        if not word or (word == [_HEADER] and not numbers):
            continue
        if not word[0].isdecimal():
            raise DataValueError(
                "GX-ANALYSIS-063",
                "the list of observations holds something that is no number",
                file=path,
                line=k,
                found=repr(word[0]),
                expected="one observation number a line, such as 23523",
            )
        numbers.append(int(word[0]))
    if not numbers:
        raise DataValueError("GX-ANALYSIS-064", "the list of observations is empty", file=path)
    return numbers


def _in_cone(config: AnalysisConfig, store: DataStore, numbers: Sequence[int]) -> list[int]:
    cone = config.observations.obs_cone
    if cone.lon is None:
        return list(numbers)
    if store.obs_table is None:
        raise SchemaError(
            "GX-ANALYSIS-065",
            "a cone needs an observation index, and the data store has none",
            key="observations.obs_cone",
            folder=store.hdu_table.base_dir,
            do="give observations.obs_ids",
        )
    wanted = {"type": "sky_circle", "frame": cone.frame, "lon": cone.lon, "lat": cone.lat, "radius": cone.radius}
    inside = {int(number) for number in store.obs_table.select_observations(wanted)["OBS_ID"]}
    return [number for number in numbers if number in inside]


def _intervals(config: AnalysisConfig) -> list[Time]:
    """Time intervals, none where all times are meant.

    Raises
    ------
    SchemaError : a start without stop. DataValueError : a start after its stop.
    """
    starts, stops = (_listed(getattr(config.observations.obs_time, key)) for key in ("start", "stop"))
    if len(starts) != len(stops):
        raise SchemaError(
            "GX-ANALYSIS-066",
            "every time interval needs its start and its stop",
            key="observations.obs_time",
            file=config.file,
            found=f"{len(starts)} starts, {len(stops)} stops",
        )
    intervals = [Time([Time(start), Time(stop)]) for start, stop in zip(starts, stops, strict=True)]
    for interval, start, stop in zip(intervals, starts, stops, strict=True):
        if not interval[0] < interval[1]:
            raise DataValueError(
                "GX-ANALYSIS-067",
                "a time interval does not start before it stops",
                key="observations.obs_time",
                file=config.file,
                found=f"{start} to {stop}",
            )
    return intervals


def _listed(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value or ()


def _nothing_left(config: AnalysisConfig, key: str, what: str, do: str = "") -> DataValueError:
    context: dict[str, Any] = {"key": key, "file": config.file}
    return DataValueError("GX-ANALYSIS-068", what, do=do, **context)
