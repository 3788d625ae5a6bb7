"""A batch, chunk by chunk: to disk where a path is given, with a progress bar, until it is done or interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from gammax.fit._interrupt import Watch, interruptible
from gammax.fit.batches._many import Solved
from gammax.fit.batches._store import SweepFile

_PROGRESS_AFTER_S = 1.0


class Plan(NamedTuple):
    """Chunks of a batch of `number` fits of `size` parameters.

    Attributes
    ----------
    chunk : fits in a chunk; the last one may have fewer.
    solve : minima of some of the fits, from their numbers.
    """

    number: int
    size: int
    chunk: int
    solve: Callable[[np.ndarray], Solved]

    @property
    def rows(self) -> list[np.ndarray]:
        """Numbers of the fits of every chunk."""
        return np.split(np.arange(self.number), range(self.chunk, self.number, self.chunk))


def run_plan(plan: Plan, path: str | Path | None = None, fingerprint: str = "") -> tuple[Solved, np.ndarray]:
    """Minima of all fits, and which of them were made before a Ctrl-C, (K,).

    Parameters
    ----------
    path : file that finished chunks are written to and read from. fingerprint : of all that the results depend on.

    Raises
    ------
    FitError, ResourceError : as `SweepFile`.
    """

    def work(watch: Watch) -> dict[int, Solved]:
        if path is None:
            return _solve_all(plan, {}, None, watch)
        with SweepFile(path, fingerprint, plan.number, plan.chunk, plan.size) as file:
            return _solve_all(plan, file.read(), file, watch)

    return _assemble(plan, interruptible(work, lambda best: best or {}))


def _solve_all(plan: Plan, parts: dict[int, Solved], file: SweepFile | None, watch: Watch) -> dict[int, Solved]:
    rows = plan.rows
    watch.show(dict(parts))
    with tqdm(total=plan.number, desc="fit", unit="fit", delay=_PROGRESS_AFTER_S, disable=None) as bar:
        bar.update(sum(len(rows[index]) for index in parts))
        for index, members in enumerate(rows):
            if index in parts:
                continue
            solved = plan.solve(members)
            watch.look()
            if file is not None:
                file.append(index, solved)
            parts[index] = solved
            watch.show(dict(parts))
            bar.update(len(members))
    return parts


def _assemble(plan: Plan, parts: dict[int, Solved]) -> tuple[Solved, np.ndarray]:
    solved, done = blank(plan.number, plan.size), np.zeros(plan.number, bool)
    for index, rows in enumerate(plan.rows):
        if index in parts:
            put(solved, rows, parts[index])
            done[rows] = True
    return solved, done


def blank(number: int, size: int) -> Solved:
    """Minima that were not looked for."""
    shapes: dict[str, Any] = {
        "theta": (size,),
        "gradient": (size,),
        "active": (size,),
        "covariance": (size, size),
        "flatness": (size,),
        "directions": (size, size),
    }
    arrays = {name: np.full((number, *shapes.get(name, ())), np.nan) for name in Solved._fields}
    for name, kind in (("converged", bool), ("active", bool), ("n_steps", int), ("emptied", int)):
        arrays[name] = np.zeros(arrays[name].shape, kind)
    return Solved(**arrays)


def put(solved: Solved, rows: np.ndarray, part: Solved) -> None:
    """Write minima of some rows into others, in place."""
    for target, source in zip(solved, part, strict=True):
        target[rows] = source
