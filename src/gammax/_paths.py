"""Paths: environment variables on the way in, atomic replacement on the way out."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from gammax.errors import FileFormatError, ResourceError


def resolve_path(path: str | Path, base: Path | None = None) -> Path:
    """Path with ``~`` and environment variables expanded, relative to `base` where it is not absolute.

    Raises
    ------
    FileFormatError : an environment variable in the path is not set.
    """
    text = str(path)
    for name in re.findall(r"\$(?:\{(\w+)\}|(\w+))", text):
        variable = name[0] or name[1]
        if variable not in os.environ:
            raise FileFormatError(
                "GX-PATH-001",
                f"environment variable {variable} is not set",
                file=text,
                do=f"set {variable} or write the path out",
            )
    expanded = Path(os.path.expandvars(text)).expanduser()
    return expanded if base is None or expanded.is_absolute() else base / expanded


def replace_file(path: str | Path, write: Callable[[BinaryIO], object], overwrite: bool = False) -> Path:
    """Call `write` on a temporary file beside `path`, then put it in place in one step.

    Raises
    ------
    FileFormatError : the file exists and `overwrite` is false. ResourceError : the file cannot be written; the
    old one is untouched then.
    """
    path = resolve_path(path)
    if path.exists() and not overwrite:
        raise FileFormatError("GX-PATH-002", "the file exists", file=path, do="pass overwrite=True to replace it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise ResourceError("GX-PATH-003", f"cannot write: {error.strerror}", file=path) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes private files; a product is as readable as the user's umask says
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        raise ResourceError("GX-PATH-003", f"cannot write: {error.strerror}", file=path) from error
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
    return path


def write_text(text: str, path: str | Path, overwrite: bool = False) -> Path:
    """Write text as UTF-8, atomically; errors as `replace_file`."""
    return replace_file(path, lambda stream: stream.write(text.encode()), overwrite)
