"""What all datasets have in common: counts over reconstructed energy, exposure over true energy, masks, and a name."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import astropy.units as u
import numpy as np
from astropy.table import Table

from gammax.datasets._check import check_livetime
from gammax.datasets._tables import check_gti
from gammax.errors import DataValueError, ModelError, SchemaError, did_you_mean
from gammax.maps import MapAxis

RESIDUALS = {
    "diff": lambda data, model: data - model,
    "diff/model": lambda data, model: (data - model) / model,
    "diff/sqrt(model)": lambda data, model: (data - model) / np.sqrt(model),
}


@dataclass(frozen=True, eq=False, repr=False)
class DatasetBase(ABC):
    """Base of spectra and cubes; the first axis of all values is the reconstructed energy."""

    tag: ClassVar[str]
    stat_type: ClassVar[str]
    map_fields: ClassVar[tuple[str, ...]]  # maps over the reconstructed energy axis
    optional_fields: ClassVar[tuple[str, ...]] = ("mask_safe", "mask_fit")

    name: str
    counts: Any
    exposure: Any
    _: KW_ONLY
    edisp: Any = None
    mask_safe: Any = None
    mask_fit: Any = None
    gti: Table | None = None
    meta_table: Table | None = None
    livetime: float | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name:
            raise SchemaError("GX-DATASETS-020", "a dataset needs a name", found=repr(self.name))
        self._check_parts()
        object.__setattr__(self, "gti", check_gti(self.gti, self.name))
        object.__setattr__(self, "livetime", check_livetime(self.livetime, self.name))

    @abstractmethod
    def _check_parts(self) -> None:
        """Raise unless the parts are of the right kind and fit each other."""

    @property
    def geom(self) -> Any:
        """Geometry of the counts, with the reconstructed energy axis."""
        return self.counts.geom

    @property
    def energy_axis(self) -> MapAxis:
        """Reconstructed energy axis, R bins."""
        return self.counts.geom.axes["energy"]

    @property
    def energy_axis_true(self) -> MapAxis:
        """True energy axis, T bins."""
        return self.exposure.geom.axes["energy_true"]

    @cached_property
    def mask(self) -> np.ndarray:
        """Bins that enter the statistic: mask_safe AND mask_fit, where given; bool, shape of the counts."""
        mask = np.ones(self.counts.values().shape, bool)
        for part in (self.mask_safe, self.mask_fit):
            if part is not None:
                mask &= part.values()
        mask.setflags(write=False)
        return mask

    @property
    @abstractmethod
    def arrays(self) -> Any:
        """Plain arrays in canonical units, checked."""

    @property
    def energy_range_total(self) -> tuple[u.Quantity, u.Quantity]:
        """Lower edge of the first and upper edge of the last energy bin of the mask; NaN where it is empty."""
        unit, bins = self.energy_axis.unit, np.flatnonzero(self.mask.reshape(self.energy_axis.nbin, -1).any(axis=1))
        if not len(bins):
            return u.Quantity(np.nan, unit), u.Quantity(np.nan, unit)
        edges = self.energy_axis.edges_value(unit)
        return u.Quantity(edges[bins[0]], unit), u.Quantity(edges[bins[-1] + 1], unit)

    @property
    def excess(self) -> Any:
        """Counts less background."""
        background = self._background_values()
        return self._to_map(self.counts.values() - (0.0 if background is None else background))

    def replace(self, **changes: Any) -> Self:
        """Dataset with some fields exchanged.

        Raises
        ------
        SchemaError : no such field.
        """
        fields = [part.name for part in dataclasses.fields(self)]
        for name in changes:
            if name not in fields:
                raise SchemaError("GX-DATASETS-021", f"{self.tag} has no field {name!r}", do=did_you_mean(name, fields))
        return dataclasses.replace(self, **changes)

    def with_fit_range(self, energy_min: Any = None, energy_max: Any = None) -> Self:
        """Dataset whose mask_fit holds the bins that lie wholly inside an energy range (edges compared to 1e-6).

        Raises
        ------
        DataValueError : no bin of mask_safe is left.
        """
        dataset = self.replace(mask_fit=self.geom.energy_mask(energy_min, energy_max))
        if not dataset.mask.any():
            low, high = self.replace(mask_fit=None).energy_range_total
            raise DataValueError(
                "GX-DATASETS-022",
                "no energy bin is left in the fit range",
                dataset=self.name,
                found=f"{energy_min} to {energy_max}",
                expected=f"within {low:.4g} to {high:.4g}",
            )
        return dataset

    @abstractmethod
    def slice_by_idx(self, slices: dict[str, slice], name: str | None = None) -> Self:
        """Dataset cut to ranges of bins."""

    def slice_by_energy(self, energy_min: Any = None, energy_max: Any = None, name: str | None = None) -> Self:
        """Dataset cut in reconstructed energy, the limits moved to the nearest bin edges (in log energy).

        Raises
        ------
        DataValueError : no bin left.
        """
        axis = self.energy_axis
        low = axis.bounds[0] if energy_min is None else energy_min
        high = axis.bounds[1] if energy_max is None else energy_max
        edges = [int(np.clip(np.round(axis.coord_to_pix(limit) + 0.5), 0, axis.nbin)) for limit in (low, high)]
        if edges[0] >= edges[1]:
            raise DataValueError(
                "GX-DATASETS-024",
                "no energy bin is left in the slice",
                dataset=self.name,
                found=f"{energy_min} to {energy_max}",
                expected=f"within {axis.bounds[0]:.4g} to {axis.bounds[1]:.4g}",
            )
        return self.slice_by_idx({"energy": slice(*edges)}, name)

    def npred_signal(self, models: Any, model_names: Any = None) -> Any:
        """Predicted counts of the sources (of those named in `model_names`, where given)."""
        return self._to_map(self._signal_values(models, model_names))

    def npred(self, models: Any = None) -> Any:
        """Predicted counts: sources and background."""
        return self._to_map(self._signal_values(models) + self.npred_background(models).values())

    @abstractmethod
    def npred_background(self, models: Any = None) -> Any:
        """Predicted background counts."""

    @abstractmethod
    def stat_array(self, models: Any = None) -> np.ndarray:
        """Statistic (-2 log likelihood) of every bin; NaN outside the mask."""

    def stat_sum(self, models: Any = None) -> float:
        """Statistic (-2 log likelihood) summed over the mask."""
        return float(self.stat_array(models)[self.mask].sum())

    def residuals(self, models: Any = None, method: str = "diff") -> Any:
        """Residuals of the counts, NaN outside the mask; `method` is "diff", "diff/model" or "diff/sqrt(model)".

        Raises
        ------
        SchemaError : another method.
        """
        values = compute_residuals(self.counts.values(), self.npred(models).values(), method)
        return self._to_map(np.where(self.mask, values, np.nan))

    def info_dict(self, in_safe_data_range: bool = True, models: Any = None) -> dict[str, Any]:
        """Summary numbers, summed over the safe energy range or over all bins."""
        from gammax.datasets._info import info_dict

        return info_dict(self, in_safe_data_range, models)

    @classmethod
    def read(cls, path: str | Path, format: str | None = None, name: str | None = None) -> Self:
        """Read a file in one of the formats of the class; without `format`, the HDUs tell.

        Raises
        ------
        FileFormatError, SchemaError, UnitError, DataValueError, GeometryError : with file, HDU and column.
        """
        from gammax.datasets._files import read_dataset

        return read_dataset(path, cls, format, name)

    def write(self, path: str | Path, format: str = "gadf", overwrite: bool = False) -> Path:
        """Write to one "gadf" file.

        Raises
        ------
        FileFormatError : a file exists and `overwrite` is false. SchemaError : the format cannot hold the dataset.
        """
        from gammax.datasets._files import write_dataset

        return write_dataset(self, path, format, overwrite)

    def _background_values(self) -> np.ndarray | None:
        background = self.background
        return None if background is None else background.values()

    def _signal_values(self, models: Any, model_names: Any = None) -> np.ndarray:
        if models is None:
            return np.zeros(self.mask.shape)
        from gammax._config import require_x64
        from gammax.models import SpectralModel

        if isinstance(models, SpectralModel):
            raise ModelError(
                "GX-DATASETS-026",
                "a spectral model has no name and no datasets that it applies to",
                found=type(models).__name__,
                expected="a SkyModel or Models",
                do="wrap it: SkyModel(spectral_model, name=...)",
            )
        require_x64()
        return np.asarray(self._predict(models, model_names), dtype=np.float64).reshape(self.mask.shape)

    @abstractmethod
    def _predict(self, models: Any, model_names: Any) -> Any:
        """Predicted counts of the sources, by `gammax.folding`."""

    def _to_map(self, values: np.ndarray) -> Any:
        return type(self.counts)(self.geom, values)


def compute_residuals(counts: np.ndarray, npred: np.ndarray, method: str) -> np.ndarray:
    """Residuals of counts; not finite where the prediction is zero and `method` divides by it.

    Raises
    ------
    SchemaError : unknown method.
    """
    if method not in RESIDUALS:
        raise SchemaError("GX-DATASETS-025", f"unknown residuals {method!r}", do=did_you_mean(method, RESIDUALS))
    with np.errstate(divide="ignore", invalid="ignore"):
        return RESIDUALS[method](counts, npred)
