"""The demo: simulated data whose truth is known, in a folder of the user's."""

from __future__ import annotations

import json
from pathlib import Path

from gammax._paths import resolve_path
from gammax.data import Observations
from gammax.errors import FileFormatError
from gammax.models import Models
from gammax.simulate import copy_demo
from gammax.simulate._demo_files import FILES, packaged

# configurations, and what they lead to
ANALYSES = {"config.yaml": "spectrum of the point source", "config_3d.yaml": "cube with both sources"}
_TRUTH = "MCMODELS"


def prepare_demo(folder: str | Path, overwrite: bool = False) -> tuple[Path, list[tuple[Path, Path]]]:
    """Copy the demo into a folder; returns it, and old and new paths of files that were edited there and put aside.

    Raises
    ------
    FileFormatError : the folder is a file, or it is not empty and `overwrite` is false. ResourceError : the disk
    refuses.
    """
    folder = resolve_path(folder)
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise FileFormatError(
            "GX-ANALYSIS-080",
            "the folder of the demo is not empty",
            folder=folder,
            do="choose another with out=, or pass overwrite=True (files that you edited are kept under new names)",
        )
    edited = [folder / name for name in FILES if _is_edited(folder / name)]
    kept = [(path, _put_aside(path)) for path in edited]
    return copy_demo(folder, overwrite), kept


def _is_edited(path: Path) -> bool:
    return path.is_file() and path.read_bytes() != packaged(path.name).read_bytes()


def _put_aside(path: Path) -> Path:
    """Rename to the first free of ``config.1.yaml``, ``config.2.yaml`` ..."""
    stem, _, suffix = path.name.partition(".")
    number = 1
    while (new := path.with_name(f"{stem}.{number}.{suffix}")).exists():
        number += 1
    return path.rename(new)


def true_models(observations: Observations) -> Models | None:
    """Models that the events were drawn from, as their header says; None where it does not."""
    text = observations[0].meta.get(_TRUTH)
    return None if text is None else Models.from_dict(json.loads(text))
