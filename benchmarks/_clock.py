"""Timing for both sides; standard library only, because it also runs in the peer's environment."""

from __future__ import annotations

import json
import os
import platform
import resource
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any


def repeat(function: Callable[[], Any], times: int, before: Callable[[], Any] | None = None) -> list[float]:
    """Seconds of each call; `before` runs untimed ahead of every one."""
    seconds = []
    for _ in range(times):
        if before is not None:
            before()
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return seconds


def repeat_within(function: Callable[[], Any], times: int, limit: float) -> list[float]:
    """Seconds of each call: at most so many, at least one, no new one once so many seconds have gone."""
    seconds: list[float] = []
    while not seconds or (len(seconds) < times and sum(seconds) < limit):
        seconds += repeat(function, 1)
    return seconds


class Stages(dict):
    """Seconds by name of stage: ``result = stages.time("fit", fit)``."""

    def time(self, name: str, function: Callable[[], Any]) -> Any:
        """Result of a call, whose time is added to a stage."""
        start = time.perf_counter()
        result = function()
        self.add(name, time.perf_counter() - start)
        return result

    def add(self, name: str, seconds: float) -> None:
        """Add to a stage."""
        self[name] = self.get(name, 0.0) + seconds


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far [MB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python and of installed packages."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}}


def machine() -> dict[str, Any]:
    """What the numbers depend on: CPU, cores, load."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": os.getloadavg()[0],
    }


def without_nan(values: Any) -> list[float | None]:
    """Floats for a JSON file, which knows no NaN."""
    return [float(value) if value == value else None for value in values]


def write_json(path: str | Path, content: dict) -> None:
    """Write a JSON with full-precision numbers."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
