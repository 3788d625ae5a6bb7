"""Compiled programs that are kept on disk from one process to the next, with checksums."""

from __future__ import annotations

import atexit
import hashlib
import os
import platform
import warnings
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
    is not defined (JAX may crash or return a wrong number: its own files carry no checksum), so that gammax writes
    checksums when a process ends and drops what does not match, or has none, when the next one begins. Trust the
    folder as you trust code: do not share it with people who may write to it.

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
        dropped = _drop_unknown(own)
    except OSError as error:
        raise ResourceError(
            "GX-CACHE-001", f"no cache can be kept here: {error.strerror}", file=str(own), do="give another folder"
        ) from error
    if dropped:
        warnings.warn(f"{dropped} damaged programs were dropped from the cache {own}", GammaxWarning, stacklevel=2)
    jax.config.update("jax_compilation_cache_dir", str(own))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _SLOW_S)
    atexit.register(_write_sums, own)
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


def _drop_unknown(folder: Path) -> int:
    """Delete programs without a checksum, left by a process that was killed, and damaged ones; number of the latter."""
    sums, damaged = _read_sums(folder), 0
    for path in _programs(folder):
        known = sums.get(path.name)
        if known is None or known != _digest(path):
            path.unlink(missing_ok=True)
            damaged += known is not None
    return damaged


def _write_sums(folder: Path) -> None:
    """Append the checksums of new programs."""
    sums = _read_sums(folder)
    new = [f"{_digest(path)}  {path.name}\n" for path in _programs(folder) if path.name not in sums]
    if new:
        with open(folder / _SUMS, "a", encoding="utf-8") as file:
            file.write("".join(new))
