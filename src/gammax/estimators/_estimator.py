"""Flux points: the norm of one source in energy bins, all bins in one batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import numpy as np
from jax import Array

from gammax.errors import FitError, did_you_mean
from gammax.estimators._energy_bins import EnergyBins, energy_bins
from gammax.estimators._flux_points import FluxPoints
from gammax.estimators._joint import held, joint_points
from gammax.estimators._norm import NormEstimate, Sigmas, estimate_norm
from gammax.fit._quick import quick_options
from gammax.likelihood import Likelihood, Problem
from gammax.likelihood._cube import CubeStack
from gammax.likelihood._own import is_own
from gammax.models import Models, PowerLawNormSpectralModel, SkyModel
from gammax.models._tie import among
from gammax.units import to_value

if TYPE_CHECKING:
    from gammax.datasets import Datasets, SpectrumDataset, SpectrumDatasetOnOff

_OPTIONS = ("errn-errp", "ul", "scan", "sensitivity")
_EDGE_RTOL = 1e-6


@dataclasses.dataclass(frozen=True)
class FluxPointsEstimator:
    """Flux points of one source: in each energy bin the norm of its best-fit spectrum is fitted, its shape held.

    Parameters
    ----------
    energy_edges : edges of the points (Quantity); moved to the nearest edges (in ln E) of the reconstructed axes.
    source : name of the sky model.
    n_sigma, n_sigma_ul, n_sigma_sensitivity : levels of errors, upper limits and sensitivity.
    selection_optional : "all", or some of "errn-errp", "ul", "scan", "sensitivity".
    reoptimize : whether the free parameters of the other models are fitted along in every bin.
    joint : whether all bins are fitted together, which also gives the covariance of their norms: the norms then scale
        the source's spectrum in true energy, the outermost ones what lies beyond the edges as well.
    norm_scan : norms at which the profile is given.
    tolerance, max_steps, order : as in `gammax.fit.Fit`.

    Raises
    ------
    FitError : unknown option, a level or limit that is not positive.
    """

    energy_edges: Any
    source: str
    n_sigma: float = 1.0
    n_sigma_ul: float = 2.0
    n_sigma_sensitivity: float = 5.0
    selection_optional: str | Sequence[str] = ()
    reoptimize: bool = False
    joint: bool = False
    norm_scan: Sequence[float] = tuple(np.geomspace(0.2, 5.0, 11))
    tolerance: float = 1e-10
    max_steps: int = 100
    order: str = "exposure-first"

    def __post_init__(self):
        for option in self.options:
            if option not in _OPTIONS:
                raise FitError(
                    "GX-FLUX-001", f"unknown selection_optional {option!r}", do=did_you_mean(option, _OPTIONS)
                )

        for name in ("n_sigma", "n_sigma_ul", "n_sigma_sensitivity", "tolerance", "max_steps"):
            if not getattr(self, name) > 0:
                raise FitError("GX-FLUX-004", f"{name} must be positive", found=getattr(self, name))

    @property
    def options(self) -> tuple[str, ...]:
        """The chosen options, one by one."""
        if self.selection_optional == "all":
            return _OPTIONS
        chosen = self.selection_optional or ()
        return (chosen,) if isinstance(chosen, str) else tuple(chosen)

    def run(
        self,
        datasets: Datasets | Iterable[SpectrumDataset | SpectrumDatasetOnOff],
        models: Models | SkyModel | Iterable[SkyModel],
    ) -> FluxPoints:
        """Flux points of datasets under models (those of a fit result); errors as `gammax.likelihood.Likelihood`.

        A bin in which no data see the source has NaN and status ``no_data``. A norm may become negative down to where
        the first bin would expect no ON count; a bin that has none has norm 0, no error and an upper limit, status
        ``at_bound``.

        Raises
        ------
        ModelError : no model of the source's name. GeometryError : no two edges inside the axes. FitError : data of the
        user's own, which have no energy bins.
        """
        datasets, models = tuple(datasets), models if isinstance(models, Models) else Models(models)
        for dataset in datasets:
            if is_own(dataset):
                raise FitError(
                    "GX-FLUX-005",
                    "flux points are those of spectra and cubes",
                    dataset=dataset.name,
                    do="leave data of your own out: what they say of the models is in those of the fit result",
                )
        if self.joint:
            return joint_points(self, datasets, models)
        reference = models[self.source].spectral_model
        likelihood = Likelihood(datasets, self._norm_models(models), self.order, dense=True)
        index = _norm_index(likelihood, self.source)
        bins = energy_bins(to_value(self.energy_edges, "TeV", "energy_edges"), likelihood, datasets, index)
        estimate = self._estimate(likelihood, bins, index)
        return FluxPoints(
            energy_min=bins.edges[:-1],
            energy_max=bins.edges[1:],
            energy_ref=np.sqrt(bins.edges[:-1] * bins.edges[1:]),
            reference_model=reference,
            quantities=self._quantities(estimate, likelihood, bins),
            dataset_names=tuple(d.name for d in datasets),
            n_sigma=self.n_sigma,
            n_sigma_ul=self.n_sigma_ul,
            n_sigma_sensitivity=self.n_sigma_sensitivity,
        )

    def _estimate(self, likelihood: Likelihood, bins: EnergyBins, index: int) -> NormEstimate:
        sigmas = Sigmas(self.n_sigma, self.n_sigma_ul, self.n_sigma_sensitivity)
        start, scan = likelihood.theta0, np.asarray(self.norm_scan, dtype=np.float64)
        limits = (index, self.options, self.tolerance, self.max_steps)
        cubes = any(isinstance(stack, CubeStack) for stack in bins.problem.stacks)
        estimate = _estimate_cubes() if cubes else _estimate_all
        return jax.device_get(estimate(bins.problem, start, bins.masks, bins.lower, scan, sigmas, *limits))

    def _norm_models(self, models: Models) -> Models:
        """The source's spectrum times a free norm, its own parameters held; the others held unless reoptimised.

        What is tied in the source is held with it; penalties and ties of the others stay.
        """
        changed = []
        for model in models:
            still = held(model)
            if model.name == self.source:
                changed.append(still.replace(spectral_model=still.spectral_model * PowerLawNormSpectralModel()))
            else:
                changed.append(model if self.reoptimize else still)
        names, own = Models(changed).parameters, f"{self.source}."
        others = [tie for tie in models.ties if not tie.name.startswith(own)]
        return Models(changed, None, *among(names, models.penalties, others))

    def _quantities(self, estimate: NormEstimate, likelihood: Likelihood, bins: EnergyBins) -> dict:
        """Arrays of `FluxPoints` in the order of the bins; NaN where no data see the source or the fit failed."""
        masks, has_data = bins.masks, bins.seen
        at_bound, converged = np.asarray(estimate.at_bound), np.asarray(estimate.converged)
        ts = estimate.stat_null - estimate.stat
        counts = [mask * np.asarray(stack.counts) for mask, stack in zip(masks, bins.problem.stacks, strict=True)]
        plain = {
            "norm": estimate.norm,
            "norm_err": self.n_sigma * estimate.error,
            "stat": estimate.stat,
            "stat_null": estimate.stat_null,
            "ts": ts,
            "sqrt_ts": np.sign(estimate.norm) * np.sqrt(np.maximum(ts, 0.0)),
            "npred": _by_dataset([m * p for m, p in zip(masks, estimate.npred, strict=True)], likelihood),
            "npred_excess": _by_dataset([m * p for m, p in zip(masks, estimate.npred_excess, strict=True)], likelihood),
        }
        optional = {
            "errn-errp": {"norm_errp": estimate.error_up, "norm_errn": estimate.error_down},
            "ul": {"norm_ul": estimate.upper_limit},
            "scan": {"stat_scan": estimate.stat_scan},
            "sensitivity": {"norm_sensitivity": estimate.sensitivity},
        }
        for option in self.options:
            plain |= optional[option]
        good = has_data & converged
        found = {
            name: np.where(good.reshape(-1, *[1] * (value.ndim - 1)), value, np.nan) for name, value in plain.items()
        }
        if "scan" in self.options:
            found["norm_scan"] = np.broadcast_to(np.asarray(self.norm_scan), found["stat_scan"].shape)
        status = np.select([~has_data, ~converged, at_bound], ["no_data", "not_converged", "at_bound"], "ok")
        if "ul" in self.options:
            found["is_ul"] = good & ~(found["sqrt_ts"] >= self.n_sigma_ul)
        return {**found, "counts": _by_dataset(counts, likelihood), "status": status, "success": good}


def _estimate_bins(
    problem: Problem,
    theta: Array,
    masks: list[Array],
    lower: Array,
    scan: Array,
    sigmas: Sigmas,
    index: int,
    options: tuple[str, ...],
    tolerance: float,
    max_steps: int,
) -> NormEstimate:
    def one(problem: Problem, masks: list[Array], lower: Array) -> NormEstimate:
        masked = eqx.tree_at(lambda p: p.lower, problem.with_masks(masks), problem.lower.at[index].set(lower))
        return estimate_norm(masked, theta, index, scan, sigmas, options, tolerance, max_steps)

    return jax.vmap(one)(problem, masks, lower)


_STATIC = ("index", "options", "max_steps")
_estimate_all = jax.jit(_estimate_bins, static_argnames=_STATIC)


@cache
def _estimate_cubes() -> Callable[..., NormEstimate]:
    return jax.jit(_estimate_bins, static_argnames=_STATIC, compiler_options=quick_options())


def _norm_index(likelihood: Likelihood, source: str) -> int:
    names = (f"{source}.spectral.norm", f"{source}.spectral.model2.norm")
    return next(i for i, name in enumerate(likelihood.names) if name in names)


def _by_dataset(parts: list[np.ndarray], likelihood: Likelihood) -> np.ndarray:
    """Sums over bins (K, n_datasets), in the order of the datasets, from stacks of (K, D, R)."""
    return np.stack([parts[stack][:, place].sum(axis=-1) for _, stack, place in likelihood.dataset_places], axis=1)
