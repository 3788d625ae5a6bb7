"""One side of a benchmark in a fresh interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def run_one(
    python: Path, script: str, *arguments: str | Path, cache: Path | None = None, timeout: float | None = None
) -> dict:
    """JSON that a script of this folder writes; the path of that JSON is its last argument.

    Environment variables JAX_* are not handed on; `cache` is JAX's persistent compilation cache. Added to the answer:
    ``cold_s``, from asking for the process until it has left; or until ``ready``, where the answer has that time.

    Raises
    ------
    subprocess.TimeoutExpired : the process took more than `timeout` seconds, and was stopped.
    """
    words = " ".join(argument for argument in arguments if isinstance(argument, str))
    print(f"{script} {words}{' with a compilation cache' if cache else ''} ...", file=sys.stderr)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    environment["MPLBACKEND"] = "Agg"
    if cache is not None:
        environment |= {
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "answer.json")
        spawned = time.time()
        command = [str(python), "-W", "ignore", str(HERE / script), *map(str, arguments), str(out)]
        subprocess.run(command, check=True, env=environment, timeout=timeout)
        left = time.time()
        answer = json.loads(out.read_text())
    return {**answer, "cold_s": answer.get("ready", left) - spawned}
