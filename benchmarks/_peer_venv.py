"""The peer's own environment, made once and kept in a cache folder; gammax never depends on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

VERSION = "2.1"
_REQUIREMENTS = (f"gammapy=={VERSION}", "regions<0.12")


def peer_python(folder: Path | None = None) -> Path:
    """Python of an environment that has the peer; made in `folder` (default: the user's cache) if it is not there.

    Raises
    ------
    SystemExit : the folder holds another version of the peer, or pip fails.
    """
    folder = folder or default_folder()
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"making the peer's environment ({', '.join(_REQUIREMENTS)}) ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    if _installed(python) is None:
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *_REQUIREMENTS], check=True)
    if _installed(python) != VERSION:
        raise SystemExit(f"{folder} has Gammapy {_installed(python)}, this benchmark needs {VERSION}")
    return python


def default_folder() -> Path:
    """Where the environment is kept unless the user says otherwise."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return cache / "gammax" / f"gammapy-{VERSION}"


def _installed(python: Path) -> str | None:
    code = "from importlib import metadata; print(metadata.version('gammapy'))"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
