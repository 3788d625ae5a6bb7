"""The folder of a run: built beside its place, and moved there when it is whole."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from gammax import __version__
from gammax._paths import write_text
from gammax.analysis._config import AnalysisConfig
from gammax.analysis._figures import make_figures
from gammax.analysis._report import report
from gammax.analysis._results import summary
from gammax.analysis._stages import LOGGER
from gammax.errors import FileFormatError, ResourceError

if TYPE_CHECKING:
    from gammax.analysis._results import Results
    from gammax.analysis._stages import Stages

PRODUCTS = (
    "config.yaml",
    "observations.ecsv",
    "datasets",
    "models.yaml",
    "models_covariance.dat",
    "flux_points.fits",
    "figures",
    "summary.json",
    "report.html",
)
_PREFIX = ".gammax-run-"


def write_results(results: Results, stages: Stages, folder: Path) -> Path:
    """Write datasets, models, flux points, figures, summary and report; see `Analysis.write`."""
    with staged(folder) as place:
        with stages("figures") as said:
            pictures = make_figures(results)
            said.append(", ".join(picture.name for picture in pictures))
        with stages("write") as said:
            results.datasets.write(place / "datasets" / "datasets.yaml")
            if results.runs is not None:
                results.runs.to_table().write(place / "observations.ecsv")
            if results.models is not None:
                results.models.write(place / "models.yaml")
            if results.flux_points is not None:
                results.flux_points.write(place / "flux_points.fits")
            for picture in pictures:
                path = place / "figures" / f"{picture.name}.png"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(picture.png)
            config = config_as_used(results, folder)
            config.write(place / "config.yaml")
            said.append(str(folder))
        css = files("gammax.analysis").joinpath("report.css").read_text(encoding="utf-8")
        write_text(report(results, config, pictures, css), place / "report.html")
        # last, because a folder that has it is one that a run may replace, as far as it lists its files
        content = summary(results) | {"files": sorted([*_files(place), "summary.json"])}
        write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", place / "summary.json")
    return folder


def config_as_used(results: Results, folder: Path) -> AnalysisConfig:
    """The configuration with the paths of the written folder, so that it can be run again from there.

    It reads the datasets beside it; without ``datasets_file`` it reduces the data store again, whose path, as that of
    other files outside, then starts from the folder.
    """
    config = results.config
    origin = config.observations.datastore if results.runs is not None else config.general.datasets_file
    observations, background = config.observations, config.datasets.background
    return config.update(
        {
            "general": {
                "outdir": ".",
                "datasets_file": "datasets/datasets.yaml",
                "models_file": None if results.models is None else "models.yaml",
            },
            "observations": {
                "datastore": _path_from(folder, config, observations.datastore),
                "obs_file": _path_from(folder, config, observations.obs_file),
            },
            "datasets": {"background": {"exclusion": _path_from(folder, config, background.exclusion)}},
            "metadata": {
                "creator": f"gammax {__version__}",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "origin": None if origin is None else str(config.path(origin).absolute()),
            },
        }
    )


def _path_from(folder: Path, config: AnalysisConfig, text: str | None) -> str | None:
    """Path in a configuration as it reads from another folder: relative if it was and both folders move together."""
    if text is None or "$" in text or text.startswith("~") or Path(text).is_absolute():
        return text
    home, target = config.folder.resolve(), config.path(text).resolve()
    inside = folder.resolve().is_relative_to(home) and target.is_relative_to(home)
    return Path(os.path.relpath(target, folder.resolve())).as_posix() if inside else str(target)


def check_folder(folder: Path, overwrite: bool, log: Path | None = None) -> None:
    """Raise where a run must not or cannot write; nothing is left behind. The log of the run may lie in the folder.

    Raises
    ------
    FileFormatError : the folder is a file; it is not empty and `overwrite` is false; it holds files of the names that
    a run writes, and no run wrote them. ResourceError : the disk refuses.
    """
    if folder.is_file():
        raise FileFormatError("GX-ANALYSIS-040", "the output folder is a file", file=folder)
    if folder.is_dir():
        _check_content(folder, overwrite, log)
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.rmdir(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
    except OSError as error:
        raise _refused(error, folder) from error
    finally:
        for path in missing:
            with suppress(OSError):
                path.rmdir()


def _check_content(folder: Path, overwrite: bool, log: Path | None) -> None:
    own = None if log is None else log.absolute()
    if not overwrite and any(path.absolute() != own for path in folder.iterdir()):
        raise FileFormatError(
            "GX-ANALYSIS-041",
            "the output folder is not empty",
            folder=folder,
            do="choose another with out=, or pass overwrite=True to replace the results in it",
        )
    taken = [name for name in PRODUCTS if (folder / name).exists()]
    if taken and not (folder / "summary.json").is_file():
        raise FileFormatError(
            "GX-ANALYSIS-042",
            "the output folder holds files that are not of a run",
            folder=folder,
            found=", ".join(taken),
            do="choose another folder",
        )


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Temporary folder whose content becomes that of `folder` when the block ends well; other files there stay.

    A block that fails or is interrupted leaves `folder` as it was.

    Raises
    ------
    ResourceError : the disk refuses.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # inside an existing folder, which may be a disk of its own that nothing can be moved into in one step
        staging = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder if folder.exists() else folder.parent))
    except OSError as error:
        raise _refused(error, folder) from error
    new, old, moved = staging / "new", staging / "old", []
    try:
        new.mkdir()
        old.mkdir()
        yield new
        _publish(new, folder, old, moved)
    except OSError as error:
        raise _refused(error, folder) from error
    finally:
        if moved:
            LOGGER.error("the previous results could not all be put back: see %s", staging)
        else:
            shutil.rmtree(staging, ignore_errors=True)


def _refused(error: OSError, folder: Path) -> ResourceError:
    return ResourceError("GX-ANALYSIS-043", f"cannot write: {error.strerror}", folder=folder)


def _publish(new: Path, folder: Path, old: Path, moved: list[tuple[Path, Path]]) -> None:
    """Move the products of the previous run to `old` and the new ones in; all back again if that fails.

    `moved` holds what could not be put back, nothing in general.
    """
    if not folder.exists():
        os.rename(new, folder)
        return
    moves = [(folder / name, new / name) for name in _foreign(folder)]
    for name in PRODUCTS:
        moves += [(folder / name, old / name), (new / name, folder / name)]
    try:
        for source, target in moves:
            if source.exists() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                # before the move, after which an interrupt may come at once
                moved.append((source, target))
                os.rename(source, target)
        moved.clear()
    except BaseException:
        while moved:
            source, target = moved[-1]
            if target.exists() and not source.exists():
                os.rename(target, source)
            moved.pop()
        raise


def _foreign(folder: Path) -> list[str]:
    """Files inside the product folders that no run wrote, as far as the list in summary.json tells."""
    try:
        known = set(json.loads((folder / "summary.json").read_bytes())["files"])
    except (OSError, ValueError, KeyError, TypeError):
        known = set()
    inside = [f"{name}/{file}" for name in PRODUCTS if (folder / name).is_dir() for file in _files(folder / name)]
    return [file for file in inside if file not in known]


def _files(folder: Path) -> list[str]:
    """Relative paths of all files in a folder."""
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
