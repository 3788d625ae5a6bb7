"""What the spectrum datasets have in common: counts in R energy bins, exposure, energy dispersion, masks."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import astropy.units as u

from gammax.datasets._arrays import SpectrumArrays, spectrum_arrays
from gammax.datasets._check import as_region_map, check_edisp, check_map, check_mask, check_same_axis
from gammax.datasets._dataset import DatasetBase
from gammax.datasets._map_check import check_psf
from gammax.errors import SchemaError, did_you_mean
from gammax.irf import EDispKernel, PSFMap, RecoPSFMap
from gammax.maps import RegionGeom, RegionNDMap


@dataclass(frozen=True, eq=False, repr=False)
class SpectrumBase(DatasetBase):
    """Base of `SpectrumDataset`, where the fields are told, and `SpectrumDatasetOnOff`."""

    counts: RegionNDMap
    exposure: RegionNDMap
    _: KW_ONLY
    edisp: EDispKernel | None = None
    mask_safe: RegionNDMap | None = None
    mask_fit: RegionNDMap | None = None
    psf: PSFMap | RecoPSFMap | None = None

    def _check_parts(self) -> None:
        check_map(self.counts, "counts", "energy", self.name)
        check_map(self.exposure, "exposure", "energy_true", self.name)
        for part in self.map_fields:
            value = getattr(self, part)
            if value is None and part in self.optional_fields:
                continue
            value = check_map(value, part, "energy", self.name)
            check_same_axis(value.geom.axes["energy"], self.energy_axis, part, "counts", self.name)
            if part.startswith("mask"):
                check_mask(value, part, self.name)
        if self.edisp is not None:
            check_edisp(self.edisp, self.energy_axis, self.energy_axis_true, self.name)
        if self.psf is not None:
            check_psf(self.psf, self.name)

    @property
    def geom(self) -> RegionGeom:
        """Region and reconstructed energy axis of the counts."""
        return self.counts.geom

    @cached_property
    def arrays(self) -> SpectrumArrays:
        """Plain arrays in canonical units, checked; errors as `SpectrumArrays` names them."""
        return spectrum_arrays(self)

    @property
    def energy_range(self) -> tuple[u.Quantity, u.Quantity]:
        """Lower edge of the first and upper edge of the last bin of the mask; NaN where it is empty."""
        return self.energy_range_total

    def slice_by_idx(self, slices: dict[str, slice], name: str | None = None) -> Self:
        """Dataset cut to a range of bins of the axes "energy", "energy_true" or, of a PSF, "rad".

        Raises
        ------
        GeometryError : no bin left, or no slice. SchemaError : another axis.
        """
        known = ("energy", "energy_true") if self.psf is None else ("energy", "energy_true", "rad")
        for axis in slices:
            if axis not in known:
                raise SchemaError("GX-DATASETS-023", f"a spectrum has no axis {axis!r}", do=did_you_mean(axis, known))
        reco = {axis: idx for axis, idx in slices.items() if axis == "energy"}
        true = {axis: idx for axis, idx in slices.items() if axis == "energy_true"}
        changes: dict[str, Any] = {
            part: value.slice_by_idx(reco) for part in self.map_fields if (value := getattr(self, part)) is not None
        }
        changes["exposure"] = self.exposure.slice_by_idx(true)
        if self.edisp is not None:
            changes["edisp"] = self.edisp.slice_by_idx(reco | true)
        if self.psf is not None:
            own = {axis: idx for axis, idx in slices.items() if axis in self.psf.geom.axes}
            changes["psf"] = self.psf.slice_by_idx(own)
        return self.replace(name=name or self.name, **changes)

    def write(self, path: str | Path, format: str = "gadf", overwrite: bool = False) -> Path:
        """Write to one "gadf" file, or to "ogip" files (the PHA file at `path`, beside it _arf, _bkg and _rmf).

        Raises
        ------
        FileFormatError : a file exists and `overwrite` is false. SchemaError : the format cannot hold the dataset.
        """
        return super().write(path, format, overwrite)

    def _as_map(self, value: Any, name: str) -> RegionNDMap:
        return as_region_map(value, self.geom, name)

    def _predict(self, models: Any, model_names: Any) -> Any:
        from gammax.folding import predict_signal

        return predict_signal(self, models, model_names)

    def __repr__(self) -> str:
        axis, mask = self.energy_axis, self.mask
        low, high = axis.edges_value("TeV")[[0, -1]]
        off = f", {self.counts_off.values()[mask].sum():g} off" if self.stat_type == "wstat" else ""
        return (
            f"{self.tag}({self.name!r}, {axis.nbin} bins {low:.3g} to {high:.3g} TeV, {mask.sum()} in the mask: "
            f"{self.counts.values()[mask].sum():g} counts{off})"
        )
