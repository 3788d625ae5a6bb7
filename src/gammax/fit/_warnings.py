"""What a user should know about a minimum that is in order: biased wstat, sources that are not seen, negative counts.

Bias of the fitted amplitude, and coverage of its interval delta TS < 1 (nominally 0.683), with wstat; 20000 simulations
of 40 equal bins with s signal counts each per entry, minus what a known background gives with the same ON counts
(+-0.3 % and +-0.005). It is the same for the interval of a profile likelihood: the statistic itself is biased.

======  ============  ==============  ==============  ==============  ==============  ==============
alpha   OFF per bin   s = 0.6         s = 1.25        s = 2.5         s = 5           s = 10
======  ============  ==============  ==============  ==============  ==============  ==============
1       0.03          -73 %   -0.35   -12 %   -0.10   -2.8 %  -0.01   -0.4 %  +0.01    0.0 %   0.00
1       0.3           -39 %   -0.12   -5.4 %  -0.03   -0.7 %   0.00   +0.2 %   0.00   +0.1 %  -0.01
1       1             +0.1 %  -0.07   +4.4 %  -0.06   +2.6 %  -0.02   +1.0 %  -0.02   +0.3 %  -0.01
1       3                             +4.4 %  -0.06   +2.8 %  -0.04   +1.2 %  -0.03   +0.4 %  -0.01
1       5                             +1.4 %  -0.02   +1.1 %  -0.03   +0.7 %  -0.02   +0.3 %  -0.01
1       10                                             0.0 %  -0.01   +0.2 %  -0.02   +0.1 %  -0.01
0.3     0.03          -2.2 %  -0.01    0.0 %   0.00    0.0 %   0.00    0.0 %   0.00    0.0 %   0.00
0.3     1             +3.9 %  -0.04   +1.1 %  -0.02   +0.2 %   0.00    0.0 %   0.00    0.0 %   0.00
0.3     3             +3.9 %  -0.03   +1.3 %  -0.03   +0.3 %   0.00    0.0 %  -0.01    0.0 %   0.00
0.3     5             +1.9 %  -0.02   +0.7 %  -0.01   +0.3 %  -0.01   +0.1 %   0.00    0.0 %  -0.01
0.1     1             +0.3 %  -0.03    0.0 %  -0.01    0.0 %  -0.01    0.0 %  -0.01    0.0 %   0.00
======  ============  ==============  ==============  ==============  ==============  ==============

Every entry beyond 1 % or 0.02 has fewer than 6 OFF counts and fewer than 6 alpha signal counts per bin. At alpha = 0.1
such bins have s < 0.6 (s = 0.3: +1.8 %, -0.03), at 0.05 there are none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.likelihood import Problem
from gammax.likelihood._likelihood import _signals
from gammax.likelihood._own import OwnStack
from gammax.likelihood._shard import by_dataset, over_processes
from gammax.models import Models, SkyModel
from gammax.models._compound import is_proportional

if TYPE_CHECKING:
    from gammax.fit._judge import Minimum
    from gammax.likelihood import Likelihood

# where wstat is biased by 1 % or its intervals are off by 0.02: see the table
_FEW_OFF, _FEW_SIGNAL, _SMALL_ALPHA = 6.0, 6.0, 0.1
# part of the signal that may lie in such datasets: with the 5 % of the worst of them that are met, 1 % of the whole
_THIN_PART = 0.2
# where no signal is predicted all bins count alike
_ANY_SIGNAL = 1e-12
# one count alone is predicted with one, to what a fit is off its minimum
_ONE = 1.0 - 1e-4
# statuses of fits that did not get so far that there is something to warn of
UNFITTED = ("no_data", "invalid_input", "interrupted")
# how the warnings begin, one of each kind
KINDS = _BIASED, _UNSEEN, _EMPTIED = (
    "wstat is biased",
    "less than one count is predicted",
    "npred is not positive",
)


def gauge_off(problem: Problem, theta: Array) -> tuple[Array, ...]:
    """Per stack with OFF counts: how many there are where the signal is, (4, D).

    Sums over the bins inside the masks of a weight, and of weight times OFF counts, signal counts and alpha. The weight
    is the predicted signal where positive, and the same for all bins where there is none.
    """
    if over_processes(problem.mesh):
        return ()
    stacks = [stack for stack in problem.stacks if stack.counts_off is not None]
    signals = by_dataset(
        lambda stack, values: jnp.maximum(stack.signal(values), 0.0), stacks, problem.slot_values(theta), problem.mesh
    )
    gauges = []
    for stack, signal in zip(stacks, signals, strict=True):
        weight, parts = stack.mask * (signal + _ANY_SIGNAL), (1.0, stack.counts_off, signal, stack.alpha)
        gauges.append(jnp.stack([jnp.sum(weight * part, axis=-1) for part in parts]))
    return tuple(gauges)


def find_warnings(likelihood: Likelihood, models: Models, minimum: Minimum) -> tuple[str, ...]:
    """Warnings of a minimum in words, one of each kind at most; none where the fit did not get that far."""
    if minimum.status in UNFITTED or over_processes(likelihood.problem.mesh):
        return ()
    thin, biased = find_thin(minimum.gauges)
    found = (
        say_biased([likelihood.dataset_places[i][0] for i in datasets_of(likelihood, thin)]) if biased else "",
        _unseen_sources(likelihood, models, minimum.theta, np.sqrt(np.diag(minimum.covariance))),
        say_emptied(minimum.emptied) if minimum.emptied else "",
    )
    return tuple(text for text in found if text)


def find_thin(gauges: tuple[np.ndarray, ...]) -> tuple[list[np.ndarray], np.ndarray]:
    """Per stack with OFF counts: which datasets have few of them where their signal is, (..., D); and whether so much
    of the signal is there that it should be known, (...).

    Parameters
    ----------
    gauges : as `gauge_off`, (4, ..., D).
    """
    thin = [_is_thin(gauge) for gauge in gauges]
    within = sum((np.where(few, gauge[0], 0.0).sum(axis=-1) for gauge, few in zip(gauges, thin, strict=True)), 0.0)
    whole = sum((gauge[0].sum(axis=-1) for gauge in gauges), 0.0)
    return thin, np.asarray((within > 0) & (within >= _THIN_PART * whole))


def datasets_of(likelihood: Likelihood, thin: list[np.ndarray]) -> list[int]:
    """Numbers of the datasets that are among those of `find_thin`, (D,) per stack."""
    stacks = [i for i, stack in enumerate(likelihood.problem.stacks) if getattr(stack, "counts_off", None) is not None]
    few_of = dict(zip(stacks, thin, strict=True))
    places = enumerate(likelihood.dataset_places)
    return [i for i, (_, stack, place) in places if stack in few_of and few_of[stack][place]]


def say_biased(names: list[str]) -> str:
    """That wstat is biased in datasets."""
    return (
        f"{_BIASED} in {_some(names)}: where the signal is, a bin has fewer than {_FEW_OFF:g} OFF counts and "
        f"fewer than {_FEW_SIGNAL:g} alpha signal counts; values, errors and profile intervals may be off by some 5 %: "
        "group bins or model the background"
    )


def say_emptied(bins: int) -> str:
    """That nothing is predicted in bins."""
    return f"{_EMPTIED} in {bins} bins: bound the norm of what is negative at 0"


def may_be_thin(counts_off: np.ndarray, alpha: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Bins by which a dataset may have few OFF counts where its signal is, wherever that is."""
    return (counts_off < _FEW_OFF) & (alpha >= _SMALL_ALPHA * (1 - 1e-9)) & (mask > 0)


def _is_thin(gauge: np.ndarray) -> np.ndarray:
    """Which of the datasets have few OFF counts where their signal is, (..., D)."""
    weight, *sums = gauge
    off, signal, alpha = (part / np.where(weight > 0, weight, 1.0) for part in sums)
    few = (off < _FEW_OFF) & (signal < _FEW_SIGNAL * alpha)
    return (weight > 0) & few & (alpha >= _SMALL_ALPHA * (1 - 1e-9))


def _unseen_sources(likelihood: Likelihood, models: Models, theta: np.ndarray, errors: np.ndarray) -> str:
    """Sources with less than one predicted count in all datasets together.

    Without a count an amplitude has no error smaller than itself: only such sources are looked at.
    """
    # what is held at a value, as by a null hypothesis, is no surprise
    moves = np.asarray(likelihood.problem.lower) < np.asarray(likelihood.problem.upper)
    unsure = np.flatnonzero(moves & ~(np.abs(theta) > errors))
    counts = {}
    for norm, name in norms_of(likelihood, models, unsure).items():
        without = np.array(theta)
        without[norm] = 0.0
        signals = (_signals(likelihood.problem, values) for values in (theta, without))
        counts[name] = float(counts_between(likelihood.problem, *signals))
    return say_unseen(counts)


def norms_of(likelihood: Likelihood, models: Models, numbers: Sequence[int] | np.ndarray) -> dict[int, str]:
    """Names of the sources that are proportional to some of the free parameters, by the parameters' numbers."""
    found, parameters = {}, models.parameters if len(numbers) else {}
    for i in numbers:
        name = likelihood.names[i]
        model = models[name.rsplit(".", 2)[0]]
        if isinstance(model, SkyModel) and is_proportional(model.spectral_model, parameters[name]):
            found[int(i)] = model.name
    return found


def counts_between(problem: Problem, signals: tuple[Array, ...], others: tuple[Array, ...]) -> Array:
    """Counts, inside the masks, by which one prediction is above another; infinite where they differ in data of the
    user's own, which are not counts."""
    total = jnp.zeros(())
    for stack, a, b in zip(problem.stacks, signals, others, strict=True):
        own = isinstance(stack, OwnStack)
        total += jnp.where(jnp.any(a != b), jnp.inf, 0.0) if own else jnp.sum(stack.mask * (a - b))
    return total


def say_unseen(counts: Mapping[str, float]) -> str:
    """Which of the sources are predicted with less than one count, by their counts; nothing if none is."""
    few = [f"{name} ({count:.2g})" for name, count in counts.items() if abs(count) < _ONE]
    return f"{_UNSEEN} in all datasets together of {_some(few)}" if few else ""


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
