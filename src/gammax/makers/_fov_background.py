"""Background of a cube scaled to the counts outside of sources."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from gammax.data import Observation
from gammax.datasets import MapDataset
from gammax.errors import GammaxWarning, GeometryError, ModelError, SchemaError, did_you_mean
from gammax.makers._exclusion import usable
from gammax.makers._norm_tilt import Bins, NormTilt
from gammax.maps import WcsNDMap

METHODS = ("scale", "fit")


@dataclass(frozen=True)
class FoVBackgroundMaker:
    """Multiplies the background by a factor, norm (E / reference)^-tilt, that fits the counts outside of sources.

    The factor goes into the background map, so that a background model of a later fit begins at 1; what it was is in
    ``meta["fov_background"]`` of the dataset (norm, norm_err, tilt, tilt_err, reference, method).

    Parameters
    ----------
    method : "scale", a norm from the sums of counts and background; "fit", the free ones of norm and tilt by maximum
        likelihood (cash). With the tilt frozen the two are the same.
    exclusion_mask : False where sources are; what it does not cover is left out, too.
    spectral_model : `PowerLawNormSpectralModel` whose tilt, where it is free, is fitted; norm alone by default.
    min_counts, min_npred_background : counts and expected background that are needed outside of the mask, or more.
    models : sources, whose predicted counts are taken as they are; none by default.

    Raises
    ------
    SchemaError : unknown method. ModelError : another model.
    """

    method: str = "scale"
    exclusion_mask: WcsNDMap | None = None
    spectral_model: Any = None
    min_counts: float = 0
    min_npred_background: float = 0
    models: Any = None

    def __post_init__(self):
        if self.method not in METHODS:
            raise SchemaError("GX-MAKERS-090", f"unknown method {self.method!r}", do=did_you_mean(self.method, METHODS))
        tags = getattr(self.spectral_model, "tag", ("pl-norm",))
        if "pl-norm" not in tags:
            raise ModelError(
                "GX-MAKERS-091",
                "the background is scaled by a norm and a tilt",
                found=type(self.spectral_model).__name__,
                expected="PowerLawNormSpectralModel",
            )

    def run(self, dataset: MapDataset, observation: Observation | None = None) -> MapDataset:
        """Dataset with the scaled background; with a warning and no bin in mask_safe where it cannot be found.

        Raises
        ------
        GeometryError : the dataset is of a region. SchemaError : it has no background.
        """
        if not isinstance(dataset.counts, WcsNDMap):
            raise GeometryError("GX-MAKERS-092", "there is no field of view in a region", dataset=dataset.name)
        if dataset.background is None:
            raise SchemaError("GX-MAKERS-093", "the dataset has no background to scale", dataset=dataset.name)
        bins = self._bins(dataset)
        fault, fitted = self._fault(bins), None
        if not fault:
            start = NormTilt.of(self.spectral_model)
            fitted = start.scaled(bins) if self.method == "scale" else start.fitted(bins)
        if fitted is None:
            warnings.warn(
                f"dataset {dataset.name!r}: the background is not scaled, and all of its bins are masked: "
                f"{fault or 'the fit did not converge'}",
                GammaxWarning,
                stacklevel=2,
            )
            return dataset.replace(mask_safe=dataset._to_map(np.zeros(dataset.mask.shape, bool)))
        factor = fitted.values(dataset.energy_axis.center_value("TeV"))[:, np.newaxis, np.newaxis]
        return dataset.replace(
            background=dataset.background.replace(data=dataset.background.data * factor),
            meta={**dataset.meta, "fov_background": {"method": self.method, **fitted.to_dict()}},
        )

    def _bins(self, dataset: MapDataset) -> Bins:
        """Bins inside the masks and outside of the excluded; without sources one for each energy is enough."""
        background = dataset.background.values()
        inside = dataset.mask & usable(self.exclusion_mask, dataset.geom) & np.isfinite(background)
        energy = dataset.energy_axis.center_value("TeV")
        if self.models is not None:
            signal = dataset.npred_signal(self.models).values()
            energies = np.broadcast_to(energy[:, np.newaxis, np.newaxis], inside.shape)
            return Bins(*(part[inside] for part in (energies, dataset.counts.values(), background, signal)))
        counts, background = (
            np.where(inside, part, 0.0).sum(axis=(1, 2)) for part in (dataset.counts.values(), background)
        )
        return Bins(energy, counts, background, np.zeros_like(energy))

    def _fault(self, bins: Bins) -> str:
        """Why the background cannot be scaled, "" where it can."""
        counts, background, signal = bins.counts.sum(), bins.background.sum(), bins.signal.sum()
        if background <= max(self.min_npred_background, 0):
            return f"{background:.4g} counts of background are expected outside of the exclusion mask"
        if counts <= self.min_counts or counts <= signal:
            return f"{counts:g} counts outside of the exclusion mask, of which {signal:.4g} are expected of sources"
        return ""
