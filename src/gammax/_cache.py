"""Compiled programs that are kept on disk from one process to the next, with checksums."""

from __future__ import annotations

import atexit
import hashlib
import os
import platform
import shutil
import warnings
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from gammax._paths import resolve_path
from gammax.errors import GammaxWarning, ResourceError

# programs that compile faster are not worth a file
_SLOW_S = 0.2
_SUMS = "checksums.txt"


def enable_cache(folder: str | Path | None = None) -> Path:
    """Keep compiled programs on disk, so that the next process does not compile them again; call it at the start.

    Each kind of machine gets a folder of its own, as programs are made for one processor. What a damaged file would do
    is not defined (JAX may crash or return a wrong number: its own files carry no checksum), so that a process works on
    links to programs whose checksums are right, and adds those that it has made when it ends; one that is killed adds
    none. Trust the folder as you trust code: do not share it with people who may write to it.

    Parameters
    ----------
    folder : where, by default ``gammax/compiled`` in the user's cache folder; made where it is not there.

    Returns
    -------
    The folder of this machine. To clear the cache, delete it.

    Raises
    ------
    ResourceError : the folder cannot be made or read.
    """
    import jax

    base = resolve_path(folder) if folder is not None else _default()
    own = base / _machine()
    try:
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
        dropped = _drop_damaged(own)
        work = _begin(own)
    except OSError as error:
        raise ResourceError(
            "GX-CACHE-001", f"no cache can be kept here: {error.strerror}", file=str(own), do="give another folder"
        ) from error
    if dropped:
        warnings.warn(f"{dropped} damaged programs were dropped from the cache {own}", GammaxWarning, stacklevel=2)
    jax.config.update("jax_compilation_cache_dir", str(work))
    # caches of XLA's own would make the folder, which is another one in every process, part of what a program is
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _SLOW_S)
    atexit.register(_keep, own, work)
    return own


def _default() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (resolve_path(base) if base else Path.home() / ".cache") / "gammax" / "compiled"


def _machine() -> str:
    """Short name of what programs are compiled for: the processor's abilities, and the compiler's version."""
    about = [platform.machine(), platform.processor(), version("jaxlib")]
    described = Path("/proc/cpuinfo")
    if described.exists():
        lines = described.read_text(errors="replace").splitlines()
        about += sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    return hashlib.blake2b("\n".join(about).encode(), digest_size=8).hexdigest()


def _programs(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*-cache") if path.is_file()]


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=32).hexdigest()


def _read_sums(folder: Path) -> dict[str, str]:
    path = folder / _SUMS
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _drop_damaged(folder: Path) -> int:
    """Delete programs whose checksum is wrong or missing; number of those where it is wrong."""
    sums, damaged = _read_sums(folder), 0
    for path in _programs(folder):
        known = sums.get(path.name)
        if known is None or known != _digest(path):
            path.unlink(missing_ok=True)
            damaged += known is not None
    return damaged


def _begin(folder: Path) -> Path:
    """Folder of this process with links to all programs; those of processes that were killed are removed."""
    mark = f"process-{platform.node()}-"
    for left in folder.glob(f"{mark}*"):
        if not _is_alive(int(left.name.removeprefix(mark))):
            shutil.rmtree(left, ignore_errors=True)
    work = folder / f"{mark}{os.getpid()}"
    work.mkdir(mode=0o700, exist_ok=True)
    for path in _programs(folder):
        with suppress(FileExistsError):
            _link(path, work / path.name)
    return work


def _keep(folder: Path, work: Path) -> None:
    """Add the programs of a process that ends, and their checksums; the first to add a program wins."""
    lines = []
    for path in _programs(work):
        with suppress(FileExistsError):
            _link(path, folder / path.name)
            lines.append(f"{_digest(path)}  {path.name}\n")
    if lines:
        with open(folder / _SUMS, "a", encoding="utf-8") as file:
            file.write("".join(lines))
    shutil.rmtree(work, ignore_errors=True)


def _link(path: Path, to: Path) -> None:
    """Hard link, or a copy where the system has none.

    Raises
    ------
    FileExistsError : something is there.
    """
    try:
        os.link(path, to)
    except FileExistsError:
        raise
    except OSError:
        with open(to, "xb") as file:
            file.write(path.read_bytes())


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
