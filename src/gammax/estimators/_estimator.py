"""Flux points: the norm of one source in energy bins, all bins in one batch."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import numpy as np
from jax import Array

from gammax.errors import FitError, GammaxWarning, GeometryError, did_you_mean
from gammax.estimators._flux_points import FluxPoints
from gammax.estimators._norm import NormEstimate, Sigmas, estimate_norm
from gammax.likelihood import Likelihood, Problem
from gammax.models import Models, PowerLawNormSpectralModel, SkyModel
from gammax.models._parameter import is_parameter
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
    norm_scan : norms at which the profile is given.
    tolerance, max_steps : as in `gammax.fit.Fit`.

    Raises
    ------
    FitError : unknown option.
    """

    energy_edges: Any
    source: str
    n_sigma: float = 1.0
    n_sigma_ul: float = 2.0
    n_sigma_sensitivity: float = 5.0
    selection_optional: str | Sequence[str] = ()
    reoptimize: bool = False
    norm_scan: Sequence[float] = tuple(np.geomspace(0.2, 5.0, 11))
    tolerance: float = 1e-10
    max_steps: int = 100

    def __post_init__(self):
        for option in self._options():
            if option not in _OPTIONS:
                raise FitError(
                    "GX-FLUX-001", f"unknown selection_optional {option!r}", do=did_you_mean(option, _OPTIONS)
                )

    def _options(self) -> tuple[str, ...]:
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

        A bin without data has NaN and status ``no_data``. A norm may become negative down to where the first bin
        would expect no ON count; a bin that has none has norm 0, no error and an upper limit, status ``at_bound``.

        Raises
        ------
        ModelError : no model of the source's name. GeometryError : no two edges inside the axes.
        """
        datasets, models = tuple(datasets), models if isinstance(models, Models) else Models(models)
        reference = models[self.source].spectral_model
        likelihood = Likelihood(datasets, self._norm_models(models))
        index = _norm_index(likelihood, self.source)
        edges = snap_edges(to_value(self.energy_edges, "TeV", "energy_edges"), datasets)
        masks = [
            np.stack(group)
            for group in zip(
                *(_masks(likelihood, datasets, lo, hi) for lo, hi in itertools.pairwise(edges)),
                strict=True,
            )
        ]
        lower = norm_floor(likelihood.problem, likelihood.theta0, index, masks)
        sigmas = Sigmas(self.n_sigma, self.n_sigma_ul, self.n_sigma_sensitivity)
        estimate = jax.device_get(
            _estimate_all(
                likelihood.problem,
                likelihood.theta0,
                masks,
                lower,
                np.asarray(self.norm_scan),
                sigmas,
                index,
                self._options(),
                self.tolerance,
                self.max_steps,
            )
        )
        quantities = self._quantities(estimate, likelihood, masks)
        return FluxPoints(
            energy_min=edges[:-1],
            energy_max=edges[1:],
            energy_ref=np.sqrt(edges[:-1] * edges[1:]),
            reference_model=reference,
            quantities=quantities,
            dataset_names=tuple(d.name for d in datasets),
            n_sigma=self.n_sigma,
            n_sigma_ul=self.n_sigma_ul,
            n_sigma_sensitivity=self.n_sigma_sensitivity,
        )

    def _norm_models(self, models: Models) -> Models:
        """The source's spectrum times a free norm, its own parameters held; the others held unless reoptimised."""

        def held(p: Any) -> Any:
            return p.replace(frozen=True, link=None) if is_parameter(p) else p

        changed = []
        for model in models:
            if model.name == self.source:
                spectrum = jax.tree.map(held, model.spectral_model, is_leaf=is_parameter)
                model = model.replace(spectral_model=spectrum * PowerLawNormSpectralModel())
            elif not self.reoptimize:
                model = model.replace(spectral_model=jax.tree.map(held, model.spectral_model, is_leaf=is_parameter))
            changed.append(model)
        return Models(changed)

    def _quantities(self, estimate: NormEstimate, likelihood: Likelihood, masks: list[np.ndarray]) -> dict:
        """Arrays of `FluxPoints` in the order of the bins; NaN where there is no data."""
        has_data = sum(mask.sum(axis=(1, 2)) for mask in masks) > 0
        at_bound, converged = np.asarray(estimate.at_bound), np.asarray(estimate.converged)
        ts = estimate.stat_null - estimate.stat
        counts = [mask * np.asarray(stack.counts) for mask, stack in zip(masks, likelihood.problem.stacks, strict=True)]
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
        for option in self._options():
            plain |= optional[option]
        found = {
            name: np.where(has_data.reshape(-1, *[1] * (value.ndim - 1)), value, np.nan)
            for name, value in plain.items()
        }
        if "scan" in self._options():
            found["norm_scan"] = np.broadcast_to(np.asarray(self.norm_scan), found["stat_scan"].shape)
        status = np.select([~has_data, ~converged, at_bound], ["no_data", "not_converged", "at_bound"], "ok")
        success = has_data & converged
        if "ul" in self._options():
            found["is_ul"] = has_data & ~(found["sqrt_ts"] >= self.n_sigma_ul)
        return {**found, "counts": _by_dataset(counts, likelihood), "status": status, "success": success}


@partial(jax.jit, static_argnames=("index", "options", "max_steps"))
def _estimate_all(
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
    def one(masks: list[Array], lower: Array) -> NormEstimate:
        masked = eqx.tree_at(lambda p: p.lower, problem.with_masks(masks), problem.lower.at[index].set(lower))
        return estimate_norm(masked, theta, index, scan, sigmas, options, tolerance, max_steps)

    return jax.vmap(one)(masks, lower)


_signals = jax.jit(lambda problem, theta: problem.signals(theta))


def _norm_index(likelihood: Likelihood, source: str) -> int:
    names = (f"{source}.spectral.norm", f"{source}.spectral.model2.norm")
    return next(i for i, name in enumerate(likelihood.names) if name in names)


def snap_edges(edges: np.ndarray, datasets: Sequence[SpectrumDataset | SpectrumDatasetOnOff]) -> np.ndarray:
    """Edges [TeV] moved to the nearest edges (in ln E) of the datasets' reconstructed axes; those outside are dropped.

    Warns if the edges are not those that were asked for.

    Raises
    ------
    GeometryError : fewer than two are left.
    """
    known = np.unique(np.concatenate([dataset.energy_axis.edges_value("TeV") for dataset in datasets]))
    known = known[np.append(True, np.diff(np.log(known)) > _EDGE_RTOL)]
    inside = edges[(edges > known[0] * (1 - _EDGE_RTOL)) & (edges < known[-1] * (1 + _EDGE_RTOL))]
    nearest = np.abs(np.log(inside)[:, None] - np.log(known)).argmin(axis=1)
    snapped = known[np.unique(nearest)]
    if len(snapped) < 2:
        raise GeometryError(
            "GX-FLUX-002",
            "no energy bin lies inside the reconstructed axes",
            found=f"{edges} TeV",
            expected=f"edges between {known[0]:.6g} and {known[-1]:.6g} TeV",
        )
    if len(snapped) != len(edges) or not np.allclose(snapped, edges, rtol=_EDGE_RTOL, atol=0.0):
        warnings.warn(
            f"GX-FLUX-003 flux-point edges were moved to edges of the reconstructed axes: "
            f"{', '.join(f'{edge:.4g}' for edge in snapped)} TeV",
            GammaxWarning,
            stacklevel=3,
        )
    return snapped


def _masks(
    likelihood: Likelihood, datasets: Sequence[SpectrumDataset | SpectrumDatasetOnOff], lower: float, upper: float
) -> list[np.ndarray]:
    """Per stack (D, R): the fit's mask and the bins that lie wholly between two energies [TeV]."""
    masks = [np.array(stack.mask) for stack in likelihood.problem.stacks]
    for dataset, (_, stack, place) in zip(datasets, likelihood.dataset_places, strict=True):
        edges = dataset.energy_axis.edges_value("TeV")
        inside = (edges[:-1] >= lower * (1 - _EDGE_RTOL)) & (edges[1:] <= upper * (1 + _EDGE_RTOL))
        masks[stack][place] *= inside
    return masks


def norm_floor(problem: Problem, theta: np.ndarray, index: int, masks: list[np.ndarray]) -> np.ndarray:
    """Smallest norm of each energy bin, (K,): where the first reconstructed bin would expect no ON count.

    For wstat with n_on > 0 the profiled background keeps the expectation positive at any norm; with n_on = 0 it is
    zero at a signal of -alpha n_off / (1 + alpha). An energy bin without ON counts stops at 0.
    """
    unit = np.eye(len(theta))[index]
    with_source, without = (_signals(problem, theta + (norm - theta[index]) * unit) for norm in (1.0, 0.0))
    floors, totals = [], []
    for stack, mask, one, none in zip(problem.stacks, masks, with_source, without, strict=True):
        rate, other, counts = np.asarray(one) - np.asarray(none), np.asarray(none), np.asarray(stack.counts)
        if stack.background is None:
            room = np.where(counts > 0, np.inf, stack.alpha * stack.counts_off / (1.0 + stack.alpha))
        else:
            room = np.asarray(stack.background)
        sees = (mask > 0) & (rate > 0)
        floors.append(np.where(sees, -(room + other) / np.where(rate > 0, rate, 1.0), -np.inf).max(axis=(1, 2)))
        totals.append((mask * counts).sum(axis=(1, 2)))
    return np.where(sum(totals) > 0, np.minimum(np.max(floors, axis=0), 0.0), 0.0)


def _by_dataset(parts: list[np.ndarray], likelihood: Likelihood) -> np.ndarray:
    """Sums over bins (K, n_datasets), in the order of the datasets, from stacks of (K, D, R)."""
    return np.stack([parts[stack][:, place].sum(axis=-1) for _, stack, place in likelihood.dataset_places], axis=1)
