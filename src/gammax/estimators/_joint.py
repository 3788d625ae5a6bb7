"""Flux points of all energy bins fitted together: their norms, and how these depend on each other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.errors import FitError
from gammax.estimators._energy_bins import masks_between, snap_edges
from gammax.estimators._flux_points import FluxPoints
from gammax.fit import Fit
from gammax.fit.error_products._best import Best, best_of
from gammax.fit.error_products._confidence import find_ends
from gammax.fit.error_products._scan import points_at
from gammax.likelihood import Likelihood
from gammax.models import Models, Parameter, SkyModel, SpectralModel
from gammax.models._compound import CompoundSpectralModel
from gammax.models._parameter import is_parameter, parameter
from gammax.models._tie import among
from gammax.units import to_value

if TYPE_CHECKING:
    from gammax.estimators._estimator import FluxPointsEstimator
    from gammax.likelihood._likelihood import Dataset

# what the outermost norms scale as well [TeV]
_LOWEST, _HIGHEST = 0.0, 1e9


class _BandNorm(SpectralModel):
    """A norm between two energies, 0 elsewhere."""

    tag: ClassVar = ()
    unit: ClassVar = ""

    norm: Parameter = parameter(1.0, is_norm=True)
    energy_min: Parameter = parameter("1 TeV", frozen=True)
    energy_max: Parameter = parameter("10 TeV", frozen=True)

    @staticmethod
    def evaluate(energy: Array, norm: Array, energy_min: Array, energy_max: Array) -> Array:
        """Factor at energies [TeV]."""
        return jnp.where((energy >= energy_min) & (energy < energy_max), norm, 0.0)


class _Band(CompoundSpectralModel):
    """A spectrum between two energies; a bin that holds one of them counts up to there."""

    tag: ClassVar = ()

    def integral_values(self, edges: Array, panels: int = 1) -> Array:
        """Flux in bins [cm-2 s-1]."""
        own = self.model2._values()
        inside = jnp.clip(edges, own["energy_min"], own["energy_max"])
        return own["norm"] * self.model1.integral_values(inside, panels)


def joint_points(estimator: FluxPointsEstimator, datasets: Sequence[Dataset], models: Models) -> FluxPoints:
    """Norms of the reference spectrum between the edges, all of them free at once.

    In true energy the source is its reference spectrum times a norm in each bin, the outermost ones reaching beyond the
    edges; all reconstructed bins between the outer edges are fitted.

    Raises
    ------
    FitError : options that single bins have alone.
    """
    options = estimator.options
    alone = [option for option in options if option not in ("errn-errp", "ul")]
    if alone:
        raise FitError("GX-FLUX-160", "not for bins that are fitted together", found=", ".join(alone))
    source = models[estimator.source]
    edges = snap_edges(to_value(estimator.energy_edges, "TeV", "energy_edges"), datasets)
    names = [f"{_name(source, number)}.spectral.norm" for number in range(len(edges) - 1)]
    likelihood = Likelihood(datasets, _banded(estimator, models, edges), estimator.order, dense=True)
    likelihood = _bounded(likelihood, datasets, edges, [likelihood.names.index(name) for name in names])
    fit = Fit(tolerance=estimator.tolerance, max_steps=estimator.max_steps, order=estimator.order)
    best = best_of(fit, likelihood, {name: name for name in likelihood.names})
    indices = [best.index(name) for name in names]
    return FluxPoints(
        energy_min=edges[:-1],
        energy_max=edges[1:],
        energy_ref=np.sqrt(edges[:-1] * edges[1:]),
        reference_model=source.spectral_model,
        quantities=_quantities(estimator, fit, best, names, indices),
        dataset_names=tuple(dataset.name for dataset in datasets),
        n_sigma=estimator.n_sigma,
        n_sigma_ul=estimator.n_sigma_ul,
        n_sigma_sensitivity=estimator.n_sigma_sensitivity,
        covariance=(best.covariance * np.outer(best.scale, best.scale))[np.ix_(indices, indices)],
    )


def held(model: Any) -> Any:
    """Model whose parameters are frozen, each for itself."""
    return jax.tree.map(
        lambda p: p.replace(frozen=True, link=None) if is_parameter(p) else p, model, is_leaf=is_parameter
    )


def _name(source: SkyModel, number: int) -> str:
    return f"{source.name}-{number}"


def _banded(estimator: FluxPointsEstimator, models: Models, edges: np.ndarray) -> Models:
    """The source once for every bin, its parts together the whole; the other models as they are, or held."""

    limits = np.concatenate([[_LOWEST], edges[1:-1], [_HIGHEST]])
    changed = []
    for model in models:
        still = held(model)
        if model.name != estimator.source:
            changed.append(model if estimator.reoptimize else still)
            continue
        for number, (low, high) in enumerate(itertools.pairwise(limits)):
            norm = _BandNorm(energy_min=f"{low} TeV", energy_max=f"{high} TeV")
            band = _Band(still.spectral_model, norm, "mul")
            changed.append(still.replace(name=_name(model, number), spectral_model=band))
    names, own = Models(changed).parameters, f"{estimator.source}."
    others = [tie for tie in models.ties if not tie.name.startswith(own)]
    return Models(changed, None, *among(names, models.penalties, others))


def _bounded(
    likelihood: Likelihood, datasets: Sequence[Dataset], edges: np.ndarray, indices: Sequence[int]
) -> Likelihood:
    """Likelihood of the bins between the outer edges; a norm whose bins have no ON count must not be negative."""
    problem = likelihood.problem
    masks = masks_between(likelihood, datasets, edges[0], edges[-1])
    lower = np.array(problem.lower)
    for index, limits in zip(indices, itertools.pairwise(edges), strict=True):
        own = masks_between(likelihood, datasets, *limits)
        counts = sum(np.sum(mask * np.asarray(part.counts)) for mask, part in zip(own, problem.stacks, strict=True))
        lower[index] = lower[index] if counts else 0.0
    masked = problem.with_masks([mask.astype(float) for mask in masks])
    masked = eqx.tree_at(lambda own: own.lower, masked, lower)
    return eqx.tree_at(lambda own: own.problem, likelihood, masked)


def _quantities(
    estimator: FluxPointsEstimator, fit: Fit, best: Best, names: list[str], indices: list[int]
) -> dict[str, np.ndarray]:
    """Arrays of `FluxPoints`; a norm without an error has the status of the fit."""
    norm, size = best.values[indices], len(names)
    error = np.sqrt(np.diag(best.covariance)[indices]) * best.scale[indices]
    known = np.isfinite(error) & best.is_minimum
    status = np.where(known, "ok", best.status)
    null = np.array([points_at(fit, best, [index], np.zeros((1, 1))).stat[0] for index in indices])
    stat = best.stat if best.is_minimum else np.nan
    ts = null - stat
    found = {
        "norm": np.where(best.is_minimum, norm, np.nan),
        "norm_err": np.where(known, estimator.n_sigma * error, np.nan),
        "stat": np.full(size, stat),
        "stat_null": null,
        "ts": ts,
        "sqrt_ts": np.sign(norm) * np.sqrt(np.maximum(ts, 0.0)),
        "status": status,
        "success": np.isin(status, ("ok", "at_bound")),
    }

    def distance(sign: int, sigma: float) -> np.ndarray:
        ends = find_ends(fit, best, names, [sign] * size, sigma, True).values
        return sign * (ends[np.arange(size), indices] - norm)

    if "errn-errp" in estimator.options:
        found |= {"norm_errp": distance(1, estimator.n_sigma), "norm_errn": distance(-1, estimator.n_sigma)}
    if "ul" in estimator.options:
        found["norm_ul"] = norm + distance(1, estimator.n_sigma_ul)
        found["is_ul"] = found["success"] & ~(found["sqrt_ts"] >= estimator.n_sigma_ul)
    return found
