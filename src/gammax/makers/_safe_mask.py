"""Energy bins in which the responses of an observation can be trusted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from gammax.data import Observation
from gammax.datasets._base import SpectrumBase
from gammax.errors import DataValueError, GammaxWarning, SchemaError, did_you_mean
from gammax.irf import EDispKernel
from gammax.makers._responses import require
from gammax.maps import RegionNDMap
from gammax.units import to_value

METHODS = ("aeff-default", "aeff-max", "edisp-bias", "offset-max", "bkg-peak")


@dataclass(frozen=True)
class SafeMaskMaker:
    """Sets mask_safe: the bins that all methods allow, and that it allowed before.

    - "aeff-default": LO_THRES to HI_THRES [TeV] of the header of the effective area.
    - "aeff-max": from the energy where the exposure first reaches `aeff_percent` of its maximum, log-log between the
      centres of the true energy bins.
    - "edisp-bias": from the reconstructed energy where, above its peak, the bias falls to `bias_percent`.
    - "offset-max": nothing where the region is `offset_max` or more from the pointing.
    - "bkg-peak": from the bin with most background (for ON and OFF counts: that which fits best without a source).

    Parameters
    ----------
    methods : one or several of them.
    aeff_percent, bias_percent : percent.
    position, fixed_offset : where to look at the responses of the observation for "aeff-max" and "edisp-bias", instead
        of taking the dataset's own; one of the two.
    offset_max : bare numbers are degrees.

    Raises
    ------
    SchemaError : unknown method, or both `position` and `fixed_offset`. DataValueError : a percentage or an angle that
    is none.
    """

    methods: Sequence[str] = ("aeff-default",)
    aeff_percent: float = 10
    bias_percent: float = 10
    position: SkyCoord | None = None
    fixed_offset: Any = None
    offset_max: Any = "3 deg"

    def __post_init__(self):
        methods = (self.methods,) if isinstance(self.methods, str) else tuple(self.methods)
        for name in methods:
            if name not in METHODS:
                raise SchemaError("GX-MAKERS-040", f"unknown method {name!r}", do=did_you_mean(name, METHODS))
        if self.position is not None and self.fixed_offset is not None:
            raise SchemaError("GX-MAKERS-041", "a position and a fixed offset exclude each other")
        for name in ("aeff_percent", "bias_percent"):
            value = getattr(self, name)
            if not 0 <= value <= 100:
                raise DataValueError("GX-MAKERS-042", f"{name} is no percentage", found=value)
        object.__setattr__(self, "methods", methods)
        for name in ("fixed_offset", "offset_max"):
            object.__setattr__(self, name, _degrees(getattr(self, name), name))

    def run(self, dataset: SpectrumBase, observation: Observation | None = None) -> Any:
        """Dataset with mask_safe; a warning where it leaves no bin.

        Raises
        ------
        SchemaError : a method needs an observation, a response or a background that there is not.
        """
        mask = np.ones(dataset.energy_axis.nbin, bool)
        if dataset.mask_safe is not None:
            mask &= dataset.mask_safe.values()
        had_bins = bool(mask.any())
        mask &= _has_background(dataset)
        rules: dict[str, Callable[..., RegionNDMap | bool]] = {
            "aeff-default": self._aeff_default,
            "aeff-max": self._aeff_max,
            "edisp-bias": self._edisp_bias,
            "offset-max": self._offset_max,
            "bkg-peak": self._bkg_peak,
        }
        for name in self.methods:
            part = rules[name](dataset, observation)
            mask &= part.values() if isinstance(part, RegionNDMap) else part
        if had_bins and not mask.any():
            warnings.warn(
                f"dataset {dataset.name!r}: no bin is left by the safe mask ({', '.join(self.methods)})",
                GammaxWarning,
                stacklevel=2,
            )
        return dataset.replace(mask_safe=RegionNDMap(dataset.geom, mask))

    @staticmethod
    def _aeff_default(dataset: SpectrumBase, observation: Observation | None) -> RegionNDMap:
        observation = _need(observation, "aeff-default")
        meta = require(observation, "aeff").meta
        low, high = (_threshold(meta, keyword, observation) for keyword in ("LO_THRES", "HI_THRES"))
        if low is None:
            warnings.warn(
                f"observation {observation.obs_id}: the effective area has no LO_THRES; no lower limit is set",
                GammaxWarning,
                stacklevel=3,
            )
        return dataset.geom.energy_mask(low, high)

    def _aeff_max(self, dataset: SpectrumBase, observation: Observation | None) -> RegionNDMap | bool:
        offset = self._offset(observation, "aeff-max")
        energy = dataset.energy_axis_true.center_value("TeV")
        if offset is None:
            values = dataset.exposure.values()
        else:
            values = require(_need(observation, "aeff-max"), "aeff").values(energy_true=energy, offset=offset)
        if not values.any():
            return False
        low = _first_reached(energy, values, self.aeff_percent / 100 * values.max())
        return dataset.geom.energy_mask(low * u.TeV)

    def _edisp_bias(self, dataset: SpectrumBase, observation: Observation | None) -> RegionNDMap | bool:
        offset, kernel = self._offset(observation, "edisp-bias"), dataset.edisp
        if offset is not None:
            edisp = require(_need(observation, "edisp-bias"), "edisp")
            kernel = edisp.to_edisp_kernel(offset * u.deg, dataset.energy_axis_true, dataset.energy_axis)
        if kernel is None:
            raise SchemaError("GX-MAKERS-043", "edisp-bias needs an energy dispersion", dataset=dataset.name)
        low = bias_energy(kernel, self.bias_percent / 100)
        return False if low is None else dataset.geom.energy_mask(low * u.TeV)

    def _offset_max(self, dataset: SpectrumBase, observation: Observation | None) -> bool:
        pointing = _need(observation, "offset-max").get_pointing_icrs()
        return bool(dataset.geom.center_skydir.separation(pointing).deg < self.offset_max)

    @staticmethod
    def _bkg_peak(dataset: SpectrumBase, observation: Observation | None) -> RegionNDMap:
        if dataset.stat_type == "wstat":
            on, off = dataset.acceptance.values(), dataset.acceptance_off.values()
            background = on / (on + off) * (dataset.counts.values() + dataset.counts_off.values())
        elif dataset.background is not None:
            background = dataset.background.values()
        else:
            raise SchemaError("GX-MAKERS-044", "bkg-peak needs a background", dataset=dataset.name)
        peak = int(np.argmax(np.where(np.isfinite(background), background, -np.inf)))
        return dataset.geom.energy_mask(dataset.energy_axis.edges[peak])

    def _offset(self, observation: Observation | None, method: str) -> float | None:
        """Offset [deg] at which to look at the responses of the observation, None for the dataset's own."""
        if self.fixed_offset is not None:
            return self.fixed_offset
        if self.position is None:
            return None
        return float(self.position.separation(_need(observation, method).get_pointing_icrs()).deg)


def bias_energy(kernel: EDispKernel, bias: float) -> float | None:
    """Reconstructed energy [TeV] where, above its peak, the bias of a kernel first falls to `bias`.

    Where it never does, that of the peak; None where the kernel is empty.
    """
    energy = kernel.energy_axis_true.center_value("TeV")
    values = kernel.get_bias(kernel.energy_axis_true.center)
    known = np.isfinite(values)
    if not known.any():
        return None
    energy, values = energy[known], values[known]
    peak = int(np.argmax(values))
    energy, values = energy[peak:], values[peak:]
    below = np.flatnonzero(values <= bias)
    if not len(below) or below[0] == 0:
        return float(energy[0] * (1 + bias))
    return _crossing(energy, values, int(below[0]), bias) * (1 + bias)


def _first_reached(energy: np.ndarray, values: np.ndarray, threshold: float) -> float:
    """Energy where positive values first reach a threshold, log-log in between."""
    positive = values > 0
    energy, values = energy[positive], values[positive]
    k = int(np.argmax(values >= threshold))
    return float(energy[0]) if k == 0 else _crossing(energy, values, k, threshold)


def _crossing(energy: np.ndarray, values: np.ndarray, k: int, level: float) -> float:
    """Energy between nodes k - 1 and k where the values pass a level; log-log if all of them are positive."""
    (y0, y1), (x0, x1) = values[k - 1 : k + 1], np.log(energy[k - 1 : k + 1])
    if min(y0, y1, level) > 0:
        y0, y1, level = np.log([y0, y1, level])
    return float(np.exp(x0 + (x1 - x0) * (level - y0) / (y1 - y0)))


def _has_background(dataset: SpectrumBase) -> np.ndarray | bool:
    """Bins with a usable background: with OFF acceptance for wstat, a positive one for cash; all, where it has none."""
    if dataset.stat_type == "wstat":
        return dataset.acceptance_off.values() > 0
    return True if dataset.background is None else dataset.background.values() > 0


def _threshold(meta: Any, keyword: str, observation: Observation) -> u.Quantity | None:
    """Energy of a keyword; None where it is missing or 0."""
    value = meta.get(keyword) or 0.0
    try:
        energy = float(value)
    except (TypeError, ValueError):
        energy = np.nan
    if not np.isfinite(energy) or energy < 0:
        raise DataValueError(
            "GX-MAKERS-045",
            f"keyword {keyword} is no energy",
            obs_id=observation.obs_id,
            keyword=keyword,
            found=repr(value),
        )
    return energy * u.TeV if energy > 0 else None


def _need(observation: Observation | None, method: str) -> Observation:
    if observation is None:
        raise SchemaError("GX-MAKERS-046", f"{method} needs the observation", do="run(dataset, observation)")
    return observation


def _degrees(value: Any, name: str) -> float | None:
    if value is None:
        return None
    angle = float(value) if isinstance(value, (int, float)) else float(to_value(value, "deg", name))
    if not angle >= 0:
        raise DataValueError("GX-MAKERS-047", f"{name} is no angle", found=value, expected="0 or more")
    return angle
