"""A batch, chunk by chunk: to disk where a path is given, with a progress bar, until it is done or interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from gammax.fit._interrupt import Watch, interruptible
from gammax.fit.batches._many import Solved
from gammax.fit.batches._store import Finished, SweepFile

_PROGRESS_AFTER_S = 1.0


class Plan(NamedTuple):
    """Chunks of a batch of `number` fits of `size` parameters.

    Attributes
    ----------
    chunk : fits in a chunk; the last one may have fewer.
    solve : minima of some of the fits, from their numbers; None where they could not be made, which is not kept: a
        batch that goes on tries them again.
    """

    number: int
    size: int
    chunk: int
    solve: Callable[[np.ndarray], Finished | None]

    @property
    def rows(self) -> list[np.ndarray]:
        """Numbers of the fits of every chunk."""
        return np.split(np.arange(self.number), range(self.chunk, self.number, self.chunk))


class Swept(NamedTuple):
    """Minima of all fits, which of them were made, (K,), and warnings that do not follow from the minima."""

    solved: Solved
    done: np.ndarray
    warnings: list[tuple[str, ...]]


def run_plan(plan: Plan, path: str | Path | None = None, fingerprint: str = "") -> Swept:
    """Minima of all fits, or of those that were made before a Ctrl-C.

    Parameters
    ----------
    path : file that finished chunks are written to and read from. fingerprint : of all that the results depend on.

    Raises
    ------
    FitError, ResourceError : as `SweepFile`.
    """

    def work(watch: Watch) -> dict[int, Finished]:
        if path is None:
            return _solve_all(plan, {}, None, watch)
        with SweepFile(path, fingerprint, plan.number, plan.chunk, plan.size) as file:
            return _solve_all(plan, file.read(), file, watch)

    return _assemble(plan, interruptible(work, lambda best: best or {}))


def _solve_all(plan: Plan, parts: dict[int, Finished], file: SweepFile | None, watch: Watch) -> dict[int, Finished]:
    rows = plan.rows
    watch.show(dict(parts))
    with tqdm(total=plan.number, desc="fit", unit="fit", delay=_PROGRESS_AFTER_S, disable=None) as bar:
        bar.update(sum(len(rows[index]) for index in parts))
        for index, members in enumerate(rows):
            if index in parts:
                continue
            finished = plan.solve(members)
            watch.look()
            if finished is not None:
                if file is not None:
                    file.append(index, finished)
                parts[index] = finished
                watch.show(dict(parts))
            bar.update(len(members))
    return parts


def _assemble(plan: Plan, parts: dict[int, Finished]) -> Swept:
    swept = Swept(blank(plan.number, plan.size), np.zeros(plan.number, bool), [()] * plan.number)
    for index, rows in enumerate(plan.rows):
        if index in parts:
            put(swept.solved, rows, parts[index].solved)
            swept.done[rows] = True
            for k, texts in zip(rows, parts[index].warnings, strict=False):
                swept.warnings[k] = texts
    return swept


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
