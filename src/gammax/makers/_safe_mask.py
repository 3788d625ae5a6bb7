"""Bins in which the responses of an observation can be trusted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from gammax.data import Observation
from gammax.datasets._dataset import DatasetBase
from gammax.errors import DataValueError, GammaxWarning, SchemaError, did_you_mean
from gammax.irf import EDispKernel
from gammax.makers._responses import require
from gammax.makers._safe_mask_dl3 import area_threshold, background_peak, kernel_of_table
from gammax.maps import RegionGeom, WcsNDMap
from gammax.units import to_value

METHODS = ("aeff-default", "aeff-max", "edisp-bias", "offset-max", "bkg-peak")
IRFS = ("DL4", "DL3")


@dataclass(frozen=True)
class SafeMaskMaker:
    """Sets mask_safe: the bins that all methods allow, that it allowed before, and that have a background.

    - "aeff-default": LO_THRES to HI_THRES [TeV] of the header of the effective area.
    - "aeff-max": from the energy where the exposure first reaches `aeff_percent` of its maximum, log-log between the
      centres of the true energy bins.
    - "edisp-bias": from the reconstructed energy where, above its peak, the bias falls to `bias_percent`.
    - "offset-max": nothing where the region or the pixel is `offset_max` or more from the pointing.
    - "bkg-peak": from the bin with most background (for ON and OFF counts: that which fits best without a source), of a
      cube in all of its pixels.

    Parameters
    ----------
    methods : one or several of them.
    aeff_percent, bias_percent : percent.
    position, fixed_offset : where to look at the responses for "aeff-max" and "edisp-bias"; one of the two. By default
        that is where a spectrum is, and the middle of an image. Of a spectrum, whose own responses are at one place,
        the responses of the observation are looked at.
    offset_max : bare numbers are degrees.
    irfs : "DL4", responses as the dataset has them, or "DL3", the tables of the observation: for "aeff-max" the first
        edge of the energies of the effective area with more than `aeff_percent` of the maximum at the offset of
        `position` (`fixed_offset`, 0), for "edisp-bias" and "bkg-peak" the same rules in the bins of the tables.

    Raises
    ------
    SchemaError : unknown method or irfs, or both `position` and `fixed_offset`. DataValueError : a percentage or an
    angle that is none.
    """

    methods: Sequence[str] = ("aeff-default",)
    aeff_percent: float = 10
    bias_percent: float = 10
    position: SkyCoord | None = None
    fixed_offset: Any = None
    offset_max: Any = "3 deg"
    irfs: str = "DL4"

    def __post_init__(self):
        methods = (self.methods,) if isinstance(self.methods, str) else tuple(self.methods)
        for name in methods:
            if name not in METHODS:
                raise SchemaError("GX-MAKERS-040", f"unknown method {name!r}", do=did_you_mean(name, METHODS))
        if self.irfs not in IRFS:
            raise SchemaError("GX-MAKERS-048", f"unknown irfs {self.irfs!r}", expected=" or ".join(IRFS))
        if self.position is not None and self.fixed_offset is not None:
            raise SchemaError("GX-MAKERS-041", "a position and a fixed offset exclude each other")
        for name in ("aeff_percent", "bias_percent"):
            value = getattr(self, name)
            if not 0 <= value <= 100:
                raise DataValueError("GX-MAKERS-042", f"{name} is no percentage", found=value)
        object.__setattr__(self, "methods", methods)
        for name in ("fixed_offset", "offset_max"):
            object.__setattr__(self, name, _degrees(getattr(self, name), name))

    def run(self, dataset: DatasetBase, observation: Observation | None = None) -> Any:
        """Dataset with mask_safe; a warning where it leaves no bin.

        Raises
        ------
        SchemaError : a method needs an observation, a response or a background that there is not.
        """
        safe = dataset.mask_safe
        mask = np.ones(dataset.counts.values().shape, bool) if safe is None else safe.values().copy()
        had_bins = bool(mask.any())
        mask &= _has_background(dataset)
        rules: dict[str, Callable[..., np.ndarray | bool]] = {
            "aeff-default": self._aeff_default,
            "aeff-max": self._aeff_max,
            "edisp-bias": self._edisp_bias,
            "offset-max": self._offset_max,
            "bkg-peak": self._bkg_peak,
        }
        for name in self.methods:
            mask &= rules[name](dataset, observation)
        if had_bins and not mask.any():
            warnings.warn(
                f"dataset {dataset.name!r}: no bin is left by the safe mask ({', '.join(self.methods)})",
                GammaxWarning,
                stacklevel=2,
            )
        return dataset.replace(mask_safe=dataset._to_map(mask))

    @staticmethod
    def _aeff_default(dataset: DatasetBase, observation: Observation | None) -> np.ndarray:
        observation = _need(observation, "aeff-default")
        meta = require(observation, "aeff").meta
        low, high = (_threshold(meta, keyword, observation) for keyword in ("LO_THRES", "HI_THRES"))
        if low is None:
            warnings.warn(
                f"observation {observation.obs_id}: the effective area has no LO_THRES; no lower limit is set",
                GammaxWarning,
                stacklevel=3,
            )
        return dataset.geom.energy_mask(low, high).values()

    def _aeff_max(self, dataset: DatasetBase, observation: Observation | None) -> np.ndarray | bool:
        if self.irfs == "DL3":
            low = area_threshold(*self._table("aeff", observation, "aeff-max"), self.aeff_percent)
            return _from_energy(dataset, low)
        energy = dataset.energy_axis_true.center_value("TeV")
        if isinstance(dataset.exposure, WcsNDMap):
            values = dataset.exposure.get_spectrum(self._position(dataset, observation, "aeff-max")).values()
        elif (offset := self._offset(observation, "aeff-max")) is None:
            values = dataset.exposure.values()
        else:
            values = require(_need(observation, "aeff-max"), "aeff").values(energy_true=energy, offset=offset)
        if not values.any():
            return False
        return _from_energy(dataset, _first_reached(energy, values, self.aeff_percent / 100 * values.max()))

    def _edisp_bias(self, dataset: DatasetBase, observation: Observation | None) -> np.ndarray | bool:
        kernel = dataset.edisp
        if self.irfs == "DL3":
            kernel = kernel_of_table(*self._table("edisp", observation, "edisp-bias"))
        elif kernel is not None and not isinstance(kernel, EDispKernel):
            kernel = kernel.get_edisp_kernel(dataset.energy_axis, self._position(dataset, observation, "edisp-bias"))
        elif (offset := self._offset(observation, "edisp-bias")) is not None:
            edisp = require(_need(observation, "edisp-bias"), "edisp")
            kernel = edisp.to_edisp_kernel(offset * u.deg, dataset.energy_axis_true, dataset.energy_axis)
        if kernel is None:
            raise SchemaError("GX-MAKERS-043", "edisp-bias needs an energy dispersion", dataset=dataset.name)
        return _from_energy(dataset, bias_energy(kernel, self.bias_percent / 100))

    def _offset_max(self, dataset: DatasetBase, observation: Observation | None) -> np.ndarray | bool:
        pointing = _need(observation, "offset-max").get_pointing_icrs()
        if isinstance(dataset.geom, RegionGeom):
            return bool(dataset.geom.center_skydir.separation(pointing).deg < self.offset_max)
        return dataset.geom.separation(pointing).to_value("deg") < self.offset_max

    def _bkg_peak(self, dataset: DatasetBase, observation: Observation | None) -> np.ndarray | bool:
        if self.irfs == "DL3":
            return _from_energy(dataset, background_peak(require(_need(observation, "bkg-peak"), "bkg")))
        if dataset.stat_type == "wstat":
            on, off = dataset.acceptance.values(), dataset.acceptance_off.values()
            share = np.divide(on, on + off, out=np.zeros_like(on), where=on + off > 0)
            background = share * (dataset.counts.values() + dataset.counts_off.values())
        elif dataset.background is not None:
            background = dataset.background.values()
        else:
            raise SchemaError("GX-MAKERS-044", "bkg-peak needs a background", dataset=dataset.name)
        spectrum = np.where(np.isfinite(background), background, 0.0).reshape(len(background), -1).sum(axis=1)
        return _from_energy(dataset, float(dataset.energy_axis.edges_value("TeV")[np.argmax(spectrum)]))

    def _offset(self, observation: Observation | None, method: str) -> float | None:
        """Offset [deg] at which to look at the responses of the observation, None for the dataset's own."""
        if self.fixed_offset is not None:
            return self.fixed_offset
        if self.position is None:
            return None
        return float(self.position.separation(_need(observation, method).get_pointing_icrs()).deg)

    def _position(self, dataset: DatasetBase, observation: Observation | None, method: str) -> SkyCoord:
        """Where to look at the responses of an image; at a fixed offset to the north."""
        if self.fixed_offset is not None:
            pointing = _need(observation, method).get_pointing_icrs()
            return pointing.directional_offset_by(0 * u.deg, self.fixed_offset * u.deg)
        return dataset.geom.center_skydir if self.position is None else self.position

    def _table(self, name: str, observation: Observation | None, method: str) -> tuple[Any, float]:
        """Response of the observation and the offset [deg] at which to look at it."""
        return require(_need(observation, method), name), self._offset(observation, method) or 0.0


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


def _from_energy(dataset: DatasetBase, energy: float | None) -> np.ndarray | bool:
    """Bins that lie wholly above an energy [TeV], none where there is none."""
    return False if energy is None else dataset.geom.energy_mask(energy * u.TeV).values()


def _has_background(dataset: DatasetBase) -> np.ndarray | bool:
    """Bins with a usable background: with OFF acceptance for wstat, a positive one for cash; all, where it has none."""
    if dataset.stat_type == "wstat":
        return dataset.acceptance_off.values() > 0
    if dataset.background is None:
        return True
    values = dataset.background.values()
    return np.isfinite(values) & (values > 0)


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
