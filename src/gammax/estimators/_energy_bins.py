"""Energy bins of flux points: edges on the reconstructed axes, masks of bins, and how far a norm may go in each."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np
from jax import Array

from gammax.errors import GammaxWarning, GeometryError
from gammax.likelihood import Likelihood, Problem
from gammax.likelihood._cube import CubeStack

if TYPE_CHECKING:
    from gammax.datasets import SpectrumDataset, SpectrumDatasetOnOff

_EDGE_RTOL = 1e-6


class EnergyBins(NamedTuple):
    """K energy bins.

    Attributes
    ----------
    edges : (K + 1,) [TeV].
    problem : that of the likelihood, split by bin (`split_by_bin`).
    masks : per stack of it (K, D, R), of cubes (K, D, E), 1 inside and 0 outside.
    lower : smallest norm of each bin, (K,).
    seen : whether the source reaches any reconstructed bin, (K,).
    """

    edges: np.ndarray
    problem: Problem
    masks: list[np.ndarray]
    lower: np.ndarray
    seen: np.ndarray


def energy_bins(
    edges: np.ndarray, likelihood: Likelihood, datasets: Sequence[SpectrumDataset | SpectrumDatasetOnOff], index: int
) -> EnergyBins:
    """Bins between edges [TeV] for the parameter `index`, a norm; errors and warnings as `snap_edges`."""
    edges = snap_edges(edges, datasets)
    pairs = itertools.pairwise(edges)
    groups = zip(*(masks_between(likelihood, datasets, low, high) for low, high in pairs), strict=True)
    problem, masks = split_by_bin(likelihood.problem, [np.stack(group) for group in groups])
    lower, seen = norm_floor(problem, np.asarray(likelihood.theta0), index, masks)
    return EnergyBins(edges, problem, masks, lower, seen)


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


def masks_between(
    likelihood: Likelihood, datasets: Sequence[SpectrumDataset | SpectrumDatasetOnOff], lower: float, upper: float
) -> list[np.ndarray]:
    """Per stack (D, R), of cubes (D, E), bool: bins of the fit that lie wholly between two energies [TeV]."""
    masks = [np.array(stack.mask, bool) for stack in likelihood.problem.stacks]
    for dataset, (_, stack, place) in zip(datasets, likelihood.dataset_places, strict=True):
        edges = dataset.energy_axis.edges_value("TeV")
        inside = (edges[:-1] >= lower * (1 - _EDGE_RTOL)) & (edges[1:] <= upper * (1 + _EDGE_RTOL))
        part = likelihood.problem.stacks[stack]
        masks[stack][place] &= inside[np.asarray(part.energy[place])] if isinstance(part, CubeStack) else inside
    return masks


def _expected(problem: Problem, theta: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Signal and background (0 for wstat) per stack, (D, R), of cubes (D, E)."""
    values = problem.slot_values(theta)
    return problem.signals(theta), tuple(stack.background(values) for stack in problem.stacks)


_expected_in_bins = jax.jit(jax.vmap(_expected, in_axes=(0, None)))


def norm_floor(
    problem: Problem, theta: np.ndarray, index: int, masks: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Smallest norm of each energy bin, (K,), where the first reconstructed bin would expect no ON count; and whether
    the source reaches any of its bins, (K,).

    For wstat with n_on > 0 the profiled background keeps the expectation positive at any norm; with n_on = 0 it is
    zero at a signal of -alpha n_off / (1 + alpha). An energy bin without ON counts stops at 0.

    Parameters
    ----------
    problem, masks : of `EnergyBins`.
    """
    unit = np.eye(len(theta))[index]
    with_source, background = _expected_in_bins(problem, theta + (1.0 - theta[index]) * unit)
    without, _ = _expected_in_bins(problem, theta - theta[index] * unit)
    floors, totals, seen = [], [], []
    for stack, mask, one, none, other in zip(problem.stacks, masks, with_source, without, background, strict=True):
        rate, others, counts = np.asarray(one) - np.asarray(none), np.asarray(none), np.asarray(stack.counts)
        if stack.alpha is None:
            room = np.asarray(other)
        else:
            room = np.where(counts > 0, np.inf, stack.alpha * stack.counts_off / (1.0 + stack.alpha))
        sees = (mask > 0) & (rate > 0)
        floors.append(np.where(sees, -(room + others) / np.where(rate > 0, rate, 1.0), -np.inf).max(axis=(1, 2)))
        totals.append((sees * counts).sum(axis=(1, 2)))
        seen.append(((mask > 0) & (rate != 0)).any(axis=(1, 2)))
    lower = np.where(sum(totals) > 0, np.minimum(np.max(floors, axis=0), 0.0), 0.0)
    return lower, np.any(seen, axis=0)


def split_by_bin(problem: Problem, masks: list[np.ndarray]) -> tuple[Problem, list[np.ndarray]]:
    """Problem and masks with a leading axis of K energy bins on every array.

    Of a cube whose sources stand still each bin gets its own elements alone, padded to equal number by masked ones:
    K times less to compute.
    """
    count = len(masks[0])

    def repeated(tree):
        return jax.tree.map(lambda leaf: np.broadcast_to(leaf, (count, *np.shape(leaf))), tree)

    stacks, parts = [], []
    for stack, mask in zip(problem.stacks, masks, strict=True):
        if isinstance(stack, CubeStack) and not stack.moves:
            size = max(1, int(mask.sum(axis=-1).max()))
            # those inside first, in their order
            elements = np.argsort(~mask, axis=-1, kind="stable")[..., :size]
            stacks.append(stack.take(elements))
            parts.append(np.take_along_axis(mask, elements, axis=-1).astype(float))
        else:
            stacks.append(repeated(stack))
            parts.append(mask.astype(float))
    plain = {name: repeated(getattr(problem, name)) for name in ("values", "scale", "lower", "upper", "penalties")}
    return dataclasses.replace(problem, stacks=tuple(stacks), **plain), parts
