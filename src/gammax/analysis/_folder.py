"""The folder of a run: built beside its place and moved there when it is whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gammax.errors import FileFormatError, ResourceError

PRODUCTS = (
    "config.yaml",
    "datasets",
    "models.yaml",
    "models_covariance.dat",
    "flux_points.fits",
    "figures",
    "summary.json",
    "report.html",
)


def check_folder(folder: Path, overwrite: bool) -> None:
    """Raise where a run must not write.

    Raises
    ------
    FileFormatError : the folder is a file; it is not empty and `overwrite` is false; it holds files of the names that
    a run writes, and no run wrote them.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise FileFormatError("GX-ANALYSIS-040", "the output folder is a file", file=folder)
    if any(folder.iterdir()) and not overwrite:
        raise FileFormatError(
            "GX-ANALYSIS-041",
            "the output folder is not empty",
            folder=folder,
            do="choose another with --out (out=), or pass --overwrite (overwrite=True)",
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

    A block that fails leaves `folder` as it was.

    Raises
    ------
    ResourceError : the disk refuses.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # inside an existing folder, which may be a disk of its own that nothing can be moved into in one step
        staging = Path(tempfile.mkdtemp(prefix=".gammax-run-", dir=folder if folder.exists() else folder.parent))
    except OSError as error:
        raise ResourceError("GX-ANALYSIS-043", f"cannot write: {error.strerror}", folder=folder) from error
    try:
        new, old = staging / "new", staging / "old"
        new.mkdir()
        old.mkdir()
        yield new
        _publish(new, folder, old)
    except OSError as error:
        raise ResourceError("GX-ANALYSIS-043", f"cannot write: {error.strerror}", folder=folder) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _publish(new: Path, folder: Path, old: Path) -> None:
    """Move the products of the previous run to `old` and the new ones in; all back again if that fails."""
    if not folder.exists():
        os.rename(new, folder)
        return
    moved: list[tuple[Path, Path]] = []
    try:
        for name in PRODUCTS:
            for source, target in ((folder / name, old / name), (new / name, folder / name)):
                if source.exists():
                    os.rename(source, target)
                    moved.append((source, target))
    except OSError:
        for source, target in reversed(moved):
            os.rename(target, source)
        raise
