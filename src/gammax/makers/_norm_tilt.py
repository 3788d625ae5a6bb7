"""Factor norm (E / reference)^-tilt on a background, and its fit to counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

_MAX_STEPS, _TOLERANCE = 60, 1e-12


class Bins(NamedTuple):
    """Bins of a fit, all of shape (n,): energies [TeV], counts, expected background, expected counts of sources."""

    energy: np.ndarray
    counts: np.ndarray
    background: np.ndarray
    signal: np.ndarray


@dataclass(frozen=True)
class NormTilt:
    """Factor norm (E / reference)^-tilt, its errors, and what of it is free; the reference in TeV."""

    norm: float = 1.0
    tilt: float = 0.0
    reference: float = 1.0
    norm_err: float = 0.0
    tilt_err: float = 0.0
    free: tuple[bool, bool] = (True, False)

    @classmethod
    def of(cls, model: Any) -> NormTilt:
        """That of a `PowerLawNormSpectralModel`; by default a free norm."""
        if model is None:
            return cls()
        norm, tilt, reference = (float(part.canonical) for part in (model.norm, model.tilt, model.reference))
        return cls(norm, tilt, reference, free=(not model.norm.frozen, not model.tilt.frozen))

    def values(self, energy: np.ndarray) -> np.ndarray:
        """Factor at energies [TeV]."""
        return self.norm * (energy / self.reference) ** -self.tilt

    def to_dict(self) -> dict[str, float]:
        """Plain numbers."""
        return {name: getattr(self, name) for name in ("norm", "norm_err", "tilt", "tilt_err", "reference")}

    def scaled(self, bins: Bins) -> NormTilt:
        """The norm with which the sum of the expected counts is that of the counts."""
        shape = replace(self, norm=1.0).values(bins.energy)
        background, excess = float(np.sum(shape * bins.background)), float(np.sum(bins.counts - bins.signal))
        return replace(self, norm=excess / background, norm_err=float(np.sqrt(excess)) / background, tilt_err=0.0)

    def fitted(self, bins: Bins) -> NormTilt | None:
        """The factor of largest Poisson likelihood (cash), from Fisher steps in (ln norm, tilt); None if they diverge.

        Without sources the likelihood depends on sums over bins of one energy alone, and has one maximum. Errors are
        those of the curvature there.
        """
        free = np.flatnonzero(self.free)
        start = self.scaled(bins) if self.free[0] else self
        if not len(free) or not start.norm > 0:
            return start if start.norm > 0 else None
        point, x = np.array([np.log(start.norm), start.tilt]), np.log(bins.energy / self.reference)
        design = np.stack([np.ones_like(x), -x])[free]
        for _ in range(_MAX_STEPS):
            gradient, curvature, _ = _derivatives(point, x, design, bins)
            step = np.linalg.lstsq(curvature, -gradient)[0]
            step *= min(1.0, 2.0 / float(np.max(np.abs(step), initial=1e-300)))
            point[free] += _halved(point, free, step, x, bins)
            if -gradient @ step < _TOLERANCE:
                return self._with_errors(point, free, _derivatives(point, x, design, bins)[2])
        return None

    def _with_errors(self, point: np.ndarray, free: np.ndarray, hessian: np.ndarray) -> NormTilt | None:
        errors, covariance = np.zeros(2), np.linalg.pinv(hessian)
        if not np.all(np.diag(covariance) > 0):
            return None
        errors[free] = np.sqrt(np.diag(covariance))
        norm, tilt = float(np.exp(point[0])), float(point[1])
        return replace(self, norm=norm, tilt=tilt, norm_err=norm * float(errors[0]), tilt_err=float(errors[1]))


def _half_cash(point: np.ndarray, x: np.ndarray, bins: Bins) -> float:
    mu = np.exp(point[0] - point[1] * x) * bins.background + bins.signal
    counted = bins.counts > 0
    with np.errstate(divide="ignore"):
        return float(np.sum(mu) - np.sum(bins.counts[counted] * np.log(mu[counted])))


def _halved(point: np.ndarray, free: np.ndarray, step: np.ndarray, x: np.ndarray, bins: Bins) -> np.ndarray:
    """The step, halved until the statistic does not grow."""
    before = _half_cash(point, x, bins)
    for _ in range(30):
        after = point.copy()
        after[free] += step
        if _half_cash(after, x, bins) <= before + 1e-12 * abs(before):
            return step
        step = step / 2
    return np.zeros_like(step)


def _derivatives(
    point: np.ndarray, x: np.ndarray, design: np.ndarray, bins: Bins
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradient, expected and actual curvature of half the cash statistic in the free parameters."""
    scaled = np.exp(point[0] - point[1] * x) * bins.background
    mu = np.maximum(scaled + bins.signal, np.finfo(float).tiny)
    slope = (1 - bins.counts / mu) * scaled
    expected = scaled**2 / mu
    actual = slope + bins.counts * (scaled / mu) ** 2
    return design @ slope, (design * expected) @ design.T, (design * actual) @ design.T
