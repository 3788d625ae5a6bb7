"""Summary numbers of a dataset, as the field's tables show them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import Table

from gammax.datasets._dataset import DatasetBase
from gammax.datasets._tables import ontime
from gammax.errors import SchemaError


def info_dict(dataset: DatasetBase, in_safe_data_range: bool, models: Any) -> dict[str, Any]:
    """Summary of a dataset: counts are summed over mask_safe (or all bins), the statistic over the mask.

    What depends on models is computed without a source where none are given, and npred_signal is NaN then.
    """
    bins = np.ones(dataset.mask.shape, bool)
    if in_safe_data_range and dataset.mask_safe is not None:
        bins = dataset.mask_safe.values()
    counts = dataset.counts.values()[bins].sum()
    signal = np.nan if models is None else dataset.npred_signal(models).values()[bins].sum()
    info = {"name": dataset.name, "counts": _count(counts), **_significance(dataset, bins)}
    info |= {
        "npred": float(dataset.npred(models).values()[bins].sum()),
        "npred_background": float(dataset.npred_background(models).values()[bins].sum()),
        "npred_signal": float(signal),
        **_times(dataset, info),
        "n_bins": dataset.mask.size,
        "n_fit_bins": int(dataset.mask.sum()),
        "stat_type": dataset.stat_type,
        "stat_sum": dataset.stat_sum(models),
    }
    return info | (_off(dataset, bins, info["background"]) if dataset.stat_type == "wstat" else {})


def _count(value: float) -> int | float:
    return int(value) if float(value).is_integer() else float(value)


def _significance(dataset: DatasetBase, bins: np.ndarray) -> dict[str, float]:
    """Excess, signed significance and background of all bins taken together."""
    from gammax.stats import CashCountsStatistic, WStatCountsStatistic

    if dataset.background is None:
        return {"excess": np.nan, "sqrt_ts": np.nan, "background": np.nan}
    counts = dataset.counts.values()[bins].sum()
    background = float(dataset.background.values()[bins].sum())
    if dataset.stat_type == "wstat":
        statistic = WStatCountsStatistic(counts, *_off_total(dataset, bins, background))
    else:
        statistic = CashCountsStatistic(counts, background)
    return {"excess": float(counts - background), "sqrt_ts": float(statistic.sqrt_ts), "background": background}


def _off_total(dataset: DatasetBase, bins: np.ndarray, background: float) -> tuple[float, float]:
    """OFF counts and alpha of all bins taken together; NaN where there is no OFF acceptance at all."""
    counts_off = float(dataset.counts_off.values()[bins].sum())
    if counts_off > 0:
        return counts_off, background / counts_off
    on, off = (getattr(dataset, name).values()[bins].sum() for name in ("acceptance", "acceptance_off"))
    return counts_off, float(on / off) if off > 0 else np.nan


def _off(dataset: DatasetBase, bins: np.ndarray, background: float) -> dict[str, Any]:
    counts_off, alpha = _off_total(dataset, bins, background)
    acceptance = float(dataset.acceptance.values()[bins].sum())
    return {
        "counts_off": _count(counts_off),
        "acceptance": acceptance,
        "acceptance_off": acceptance / alpha if alpha > 0 else np.nan,
        "alpha": alpha,
    }


def _times(dataset: DatasetBase, info: dict[str, Any]) -> dict[str, u.Quantity]:
    low, high = _exposure_limits(dataset)
    livetime = (np.nan if dataset.livetime is None else dataset.livetime) * u.s
    rates = {f"{name}_rate": info[name] / livetime for name in ("counts", "background", "excess")}
    return {
        "exposure_min": low,
        "exposure_max": high,
        "livetime": livetime,
        "ontime": ontime(dataset.gti) * u.s,
        **rates,
    }


def _exposure_limits(dataset: DatasetBase) -> tuple[u.Quantity, u.Quantity]:
    """Smallest and largest positive exposure, where there is one inside mask_safe at some energy."""
    if dataset.exposure is None:
        return u.Quantity(np.nan, "cm2 s"), u.Quantity(np.nan, "cm2 s")
    exposure = dataset.exposure.values()
    positive = exposure > 0
    safe = positive if dataset.mask_safe is None else positive & dataset.mask_safe.values().any(axis=0)
    chosen = next((exposure[part] for part in (safe, positive) if part.any()), exposure)
    return chosen.min() * u.Unit(dataset.exposure.unit), chosen.max() * u.Unit(dataset.exposure.unit)


def info_table(datasets: Iterable[DatasetBase]) -> Table:
    """Table with one row of `info_dict` per dataset.

    Raises
    ------
    SchemaError : datasets with and without OFF counts.
    """
    datasets = list(datasets)
    if len({dataset.stat_type for dataset in datasets}) > 1:
        raise SchemaError(
            "GX-DATASETS-120",
            "datasets of different kinds have no common info table",
            found=", ".join(sorted({dataset.tag for dataset in datasets})),
            do="select those of one kind first",
        )
    rows = [dataset.info_dict() for dataset in datasets]
    table = Table()
    for key in rows[0] if rows else ():
        cells = [row[key] for row in rows]
        table[key] = u.Quantity(cells) if isinstance(cells[0], u.Quantity) else cells
    return table
