"""Sums over the cube of each observation, which a stack no longer tells apart."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gammax.data import Observation
from gammax.datasets import Datasets, MapDataset

# columns of the meta_table, in which the sums travel, from worker processes and through stacks
_PREFIX = "LEDGER_"


class Sums(NamedTuple):
    """Sums over the bins of mask_safe for each reconstructed energy, (R,); NaN where there is no background or region.

    Attributes
    ----------
    counts, background : of the whole image.
    on, on_background : of the region.
    norm, norm_err : factor that the background was multiplied with, (); NaN without.
    """

    counts: np.ndarray
    background: np.ndarray
    on: np.ndarray
    on_background: np.ndarray
    norm: np.ndarray
    norm_err: np.ndarray


@dataclass(frozen=True)
class Ledger:
    """The last maker of a chain: leaves `Sums` in the meta_table, out of which `collect` takes them.

    Parameters
    ----------
    region : region on the sky, None for none.
    """

    region: Any = None

    def run(self, dataset: MapDataset, observation: Observation) -> MapDataset:
        """The dataset, with more columns in its meta_table."""
        fov = dataset.meta.get("fov_background", {})
        table = dataset.meta_table.copy()
        norms = (np.asarray(fov.get(name, math.nan), float) for name in ("norm", "norm_err"))
        for name, value in zip(Sums._fields, (*self._sums(dataset), *norms), strict=True):
            table[_PREFIX + name] = value[np.newaxis]
        return dataset.replace(meta_table=table)

    def _sums(self, dataset: MapDataset) -> tuple[np.ndarray, ...]:
        mask, missing = dataset.mask, np.full(len(dataset.mask), np.nan)
        inside = None if self.region is None else mask & dataset.geom.to_image().region_mask(self.region).data
        parts = [dataset.counts.data, None if dataset.background is None else dataset.background.data]
        return tuple(
            missing if chosen is None or part is None else np.where(chosen, part, 0.0).sum(axis=(1, 2))
            for chosen in (mask, inside)
            for part in parts
        )


def collect(datasets: Iterable[MapDataset]) -> tuple[Datasets, dict[str, Sums]]:
    """Datasets without the columns of the ledger, and the sums by the name of each observation's dataset."""
    sums: dict[str, Sums] = {}
    clean = []
    for dataset in datasets:
        table = dataset.meta_table.copy()
        names = dataset.meta.get("stacked", [dataset.name])
        columns = [np.asarray(table[_PREFIX + name], float) for name in Sums._fields]
        sums |= {name: Sums(*(column[k] for column in columns)) for k, name in enumerate(names)}
        table.remove_columns([_PREFIX + name for name in Sums._fields])
        clean.append(dataset.replace(meta_table=table))
    return Datasets(clean), sums
