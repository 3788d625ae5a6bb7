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

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.likelihood import Problem
from gammax.likelihood._likelihood import _signals
from gammax.likelihood._own import OwnStack
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


def gauge_off(problem: Problem, theta: Array) -> tuple[Array, ...]:
    """Per stack with OFF counts: how many there are where the signal is, (4, D).

    Sums over the bins inside the masks of a weight, and of weight times OFF counts, signal counts and alpha. The weight
    is the predicted signal where positive, and the same for all bins where there is none.
    """
    if problem.mesh is not None and problem.mesh.is_multi_process:
        return ()
    values = problem.slot_values(theta)
    gauges = []
    for stack in problem.stacks:
        counts_off, alpha = getattr(stack, "counts_off", None), getattr(stack, "alpha", None)
        if counts_off is not None and alpha is not None:
            signal = jnp.maximum(stack.signal(values), 0.0)
            weight = stack.mask * (signal + _ANY_SIGNAL)
            gauges.append(jnp.stack([jnp.sum(weight * part, axis=-1) for part in (1.0, counts_off, signal, alpha)]))
    return tuple(gauges)


def find_warnings(likelihood: Likelihood, models: Models, minimum: Minimum) -> tuple[str, ...]:
    """Warnings of a minimum in words, one of each kind at most; none where the fit did not get that far."""
    mesh = likelihood.problem.mesh
    if minimum.status in ("no_data", "invalid_input", "interrupted") or (mesh is not None and mesh.is_multi_process):
        return ()
    empty = f"npred is not positive in {minimum.emptied} bins: bound the norm of what is negative at 0"
    found = (
        _biased_wstat(likelihood, minimum.gauges),
        _unseen_sources(likelihood, models, minimum.theta, np.sqrt(np.diag(minimum.covariance))),
        empty if minimum.emptied else "",
    )
    return tuple(text for text in found if text)


def _biased_wstat(likelihood: Likelihood, gauges: tuple[np.ndarray, ...]) -> str:
    thin = [_is_thin(gauge) for gauge in gauges]
    if not any(few.any() for few in thin):
        return ""
    within = sum(gauge[0][few].sum() for gauge, few in zip(gauges, thin, strict=True))
    if within < _THIN_PART * sum(gauge[0].sum() for gauge in gauges):
        return ""
    stacks = [i for i, stack in enumerate(likelihood.problem.stacks) if getattr(stack, "counts_off", None) is not None]
    few_of = dict(zip(stacks, thin, strict=True))
    names = [name for name, stack, place in likelihood.dataset_places if stack in few_of and few_of[stack][place]]
    return (
        f"wstat is biased in {_some(names)}: where the signal is, a bin has fewer than {_FEW_OFF:g} OFF counts and "
        f"fewer than {_FEW_SIGNAL:g} alpha signal counts; values, errors and profile intervals may be off by some 5 %: "
        "group bins or model the background"
    )


def _is_thin(gauge: np.ndarray) -> np.ndarray:
    """Which of the datasets have few OFF counts where their signal is, (D,)."""
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
    unsure = {likelihood.names[i]: i for i in np.flatnonzero(moves & ~(np.abs(theta) > errors))}
    counts = {}
    for name, parameter in models.parameters.items() if unsure else ():
        model = models[name.rsplit(".", 2)[0]] if name in unsure else None
        if isinstance(model, SkyModel) and is_proportional(model.spectral_model, parameter):
            counts[model.name] = _counts_of(likelihood.problem, theta, unsure[name])
    few = [f"{name} ({count:.2g})" for name, count in counts.items() if abs(count) < 1.0]
    return f"less than one count is predicted in all datasets together of {_some(few)}" if few else ""


def _counts_of(problem: Problem, theta: np.ndarray, norm: int) -> float:
    """Predicted counts, inside the masks, of what is proportional to a parameter; infinite where data of the user's
    own, which are not counts, depend on it."""
    without = np.array(theta)
    without[norm] = 0.0
    total = 0.0
    for stack, a, b in zip(problem.stacks, _signals(problem, theta), _signals(problem, without), strict=True):
        if isinstance(stack, OwnStack):
            total += np.inf if np.any(a != b) else 0.0
        else:
            total += float(np.sum(stack.mask * (a - b)))
    return total


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
