"""Paths: environment variables on the way in, atomic replacement on the way out."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from gammax.errors import FileFormatError, ResourceError


def resolve_path(path: str | Path, base: Path | None = None) -> Path:
    """Path with ``~`` and environment variables expanded, relative to `base` where it is not absolute.

    Raises
    ------
    FileFormatError : an environment variable in the path is not set, a user is unknown, or no file can be called so.
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
    try:
        expanded = Path(os.path.expandvars(text)).expanduser()
        if b"\0" in os.fsencode(expanded):
            raise ValueError("it contains a NUL character")
    except (RuntimeError, ValueError) as error:
        raise FileFormatError("GX-PATH-004", f"no file can have this path: {error}", file=repr(text)) from error
    return expanded if base is None or expanded.is_absolute() else base / expanded


def file_fault(path: Path) -> str:
    """Why `path` cannot be read, in words; "" where it is a regular file that can."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return "is a folder"
        if not stat.S_ISREG(mode):
            return "is not a regular file"
        with path.open("rb"):
            return ""
    except (FileNotFoundError, NotADirectoryError):
        return "no such file"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def check_targets(paths: Iterable[Path], overwrite: bool) -> None:
    """Refuse to write a set of files of which one could not be, before any of them is.

    Raises
    ------
    FileFormatError : two paths that are one on some file system, a folder in the way, or a file that exists while
    `overwrite` is false. ResourceError : a folder that cannot be written to.
    """
    seen: set[str] = set()
    for path in paths:
        if str(path).casefold() in seen:
            raise FileFormatError("GX-PATH-005", "two files of one set have the same name", file=path)
        seen.add(str(path).casefold())
        try:
            is_folder, exists = path.is_dir(), os.path.lexists(path)
            parent = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
        except OSError as error:
            raise ResourceError("GX-PATH-003", f"cannot write: {error.strerror}", file=path) from error
        if is_folder:
            raise FileFormatError("GX-PATH-006", "cannot write: it is a folder", file=path)
        if exists and not overwrite:
            raise FileFormatError("GX-PATH-002", "the file exists", file=path, do="pass overwrite=True to replace it")
        if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
            raise ResourceError("GX-PATH-003", "cannot write into the folder", file=path, folder=parent)


def replace_file(path: str | Path, write: Callable[[BinaryIO], object], overwrite: bool = False) -> Path:
    """Call `write` on a temporary file beside `path`, then put it in place in one step.

    Raises
    ------
    FileFormatError : the file exists and `overwrite` is false. ResourceError : the file cannot be written; the
    old one is untouched then.
    """
    path = resolve_path(path)
    check_targets([path], overwrite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)
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
