"""Sampler: datasets and models in, draws from the posterior out."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from gammax.errors import FitError
from gammax.fit._covariance import in_words
from gammax.fit._fit import Fit, fitted_models
from gammax.fit._interrupt import Watch, interruptible
from gammax.fit._judge import name_culprits
from gammax.fit._result import FitResult
from gammax.fit.sampling._nuts import CHUNK, Draws, finite_starts, require_blackjax, run_chains, warmup_chunks
from gammax.fit.sampling._result import SamplerResult
from gammax.fit.sampling._space import Space, make_space, open_directions, to_theta
from gammax.fit.sampling._stats import judge_chains
from gammax.likelihood import Likelihood
from gammax.likelihood._likelihood import as_datasets
from gammax.likelihood._table import Slots
from gammax.models import Models

if TYPE_CHECKING:
    from gammax.fit.error_products._best import FitDatasets, FitModels

_PROGRESS_AFTER_S = 1.0
# errors of the fit beyond which a chain does not come back
_AWAY = 1e3
# what is told of every draw
_STATISTICS = ("lp", "energy", "acceptance_rate", "n_steps", "tree_depth", "step_size", "diverging")


class _NoPosterior(Exception):
    """Status and message of a run without draws; never leaves this file."""


class _NegativeSource(Exception):
    """A source has become negative in a cube, whose bins without counts must not be merged then; never leaves this
    file."""


class _Snapshot(NamedTuple):
    """The draws so far, and how many gradients they took."""

    likelihood: Likelihood
    models: Models
    draws: tuple[Draws, ...]
    nfev: int


class _Start(NamedTuple):
    """Where the chains start, (C, M), and the covariance there, (M, M)."""

    space: Space
    u: np.ndarray
    covariance: np.ndarray

    def fled(self, draws: Draws) -> np.ndarray:
        """Parameters that have gone where no density that can be normalised would let them, (P,)."""
        fled = np.zeros(len(self.space.rest), bool)
        distance = np.abs(draws.u - self.u.mean(axis=0)).max(axis=(0, 1))
        fled[list(self.space.moving)] = distance > _AWAY * np.sqrt(np.diag(self.covariance))
        return fled


@dataclasses.dataclass(frozen=True)
class Sampler:
    """Draws from the posterior by the No-U-Turn sampler of blackjax; needs ``pip install 'gammax[sample]'``.

    The posterior is the likelihood times the priors of the parameters (`Parameter.prior`) and the penalties of the
    models. The prior of a parameter that has none is uniform between its bounds; without bounds that is improper, and
    the data must limit the parameter for a posterior to exist.

    Chains start around the fit, in coordinates without bounds, with the fit's covariance as inverse mass matrix; step
    size and covariance adapt in the warm-up. All chains run side by side in one compiled program.

    Parameters
    ----------
    n_chains : of independent chains; only by comparing them can one see that they have converged.
    n_warmup, n_samples : draws of each chain that are thrown away (rounded up to a multiple of 25), and kept.
    seed : same seed, same draws.
    target_acceptance : mean acceptance rate that the step size adapts to; nearer to 1 where there are divergences.
    order : of the folding in cubes, see `gammax.likelihood.Likelihood`.

    Raises
    ------
    FitError : too small numbers, an acceptance rate that is not between 0 and 1.

    Notes
    -----
    A likelihood is a pure function of factors, so that other samplers take it as it is, and the bounds, which are those
    of its problem. In NumPyro, where a step beyond a bound counts as divergence::

        def model():
            theta = numpyro.sample("theta", dist.ImproperUniform(dist.constraints.real_vector, (), start.shape))
            inside = jnp.all((likelihood.problem.lower <= theta) & (theta <= likelihood.problem.upper))
            numpyro.factor("gammax", jnp.where(inside, -0.5 * likelihood(theta), -jnp.inf))

        likelihood = Likelihood(datasets, fit.models)
        start = likelihood.theta0
        mcmc = MCMC(NUTS(model, init_strategy=init_to_value(values={"theta": start})), num_warmup=500, num_samples=1000)
        mcmc.run(jax.random.key(0))
        values = likelihood.to_values(mcmc.get_samples()["theta"])
    """

    n_chains: int = 4
    n_warmup: int = 500
    n_samples: int = 1000
    seed: int = 0
    target_acceptance: float = 0.8
    order: str = "exposure-first"

    def __post_init__(self):
        for name, least in (("n_chains", 1), ("n_warmup", 1), ("n_samples", 2)):
            if getattr(self, name) < least:
                raise FitError("GX-FIT-500", f"{name} must be at least {least}", found=getattr(self, name))
        if not 0 < self.target_acceptance < 1:
            raise FitError("GX-FIT-500", "target_acceptance must be between 0 and 1", found=self.target_acceptance)

    def run(self, datasets: FitDatasets, models: FitModels) -> SamplerResult:
        """Draw from the posterior of the free parameters of `models` given `datasets`; errors as `Likelihood`.

        A run that goes wrong raises nothing: look at the result's status. Ctrl-C ends the run, not the program: its
        result has the draws so far.

        Parameters
        ----------
        models : a fit's result, around which the chains start; or models, which are fitted first.

        Raises
        ------
        FitError : blackjax is not installed, or no parameter has room to move.
        """
        require_blackjax()
        datasets = as_datasets(datasets)
        if not isinstance(models, FitResult):
            fit = Fit(order=self.order).run(datasets, models)
            if fit.status == "interrupted":
                return self._without_draws(fit.models, "interrupted", "interrupted in the fit before")
            models = fit
        best = models.models
        return interruptible(
            lambda watch: self._run(datasets, best, watch), lambda snapshot: self._interrupted(best, snapshot)
        )

    def _run(self, datasets: tuple, models: Models, watch: Watch) -> SamplerResult:
        try:
            try:
                return self._sample(Likelihood(datasets, models, self.order), models, watch)
            except _NegativeSource:
                return self._sample(Likelihood(datasets, models, self.order, dense=True), models, watch)
        except _NoPosterior as reason:
            return self._without_draws(models, *reason.args)

    def _sample(self, likelihood: Likelihood, models: Models, watch: Watch) -> SamplerResult:
        if not any(np.any(stack.mask) for stack in likelihood.problem.stacks):
            raise _NoPosterior("no_data", "no bin is left inside the masks")
        return _result(self._draw(likelihood, models, self._start(likelihood), watch), self.n_samples)

    def _start(self, likelihood: Likelihood) -> _Start:
        """Starts of the chains, drawn from a Gaussian around the models."""
        there = jax.device_get(likelihood.derivatives(likelihood.theta0))
        space = make_space(likelihood, there)
        if not space.moving:
            raise FitError("GX-FIT-504", "no parameter has room to move", do="widen the bounds of one")
        endless = open_directions(space, there)
        if len(endless):
            raise _unlimited("; ".join(in_words(direction, likelihood.names) for direction in endless))
        middle = space.coordinates(likelihood.theta0)
        theta = to_theta(space, middle)
        there = jax.device_get(likelihood.derivatives(theta))
        if not (np.isfinite(there.value) and np.isfinite(there.gradient).all()):
            raise _NoPosterior("invalid_input", name_culprits(likelihood, np.asarray(theta), there.gradient))
        if there.emptied:
            bins = f"{there.emptied} bins"
            raise _NoPosterior("invalid_input", f"a negative source leaves nothing expected in {bins}: bound its norm")
        covariance = space.covariance(there, middle)
        steps = np.random.default_rng(self.seed).standard_normal((self.n_chains, len(middle)))
        u = middle + steps @ np.linalg.cholesky(covariance).T
        return _Start(space, finite_starts(likelihood.problem, space, u, middle), covariance)

    def _draw(self, likelihood: Likelihood, models: Models, start: _Start, watch: Watch) -> _Snapshot:
        """All draws that are kept."""
        n_warmup, n_kept = warmup_chunks(self.n_warmup), -(-self.n_samples // CHUNK)
        chunks = run_chains(likelihood.problem, *start, self.n_warmup, self.seed, self.target_acceptance)
        snapshot = _Snapshot(likelihood, models, (), 0)
        total = (n_warmup + n_kept) * CHUNK
        with tqdm(total=total, desc="sample", unit="draw", delay=_PROGRESS_AFTER_S, disable=None) as bar:
            for number, draws in zip(range(n_warmup + n_kept), chunks, strict=False):
                fled, is_kept = start.fled(draws), number >= n_warmup
                if np.any(draws.lowest < 0) and (is_kept or fled.any()):
                    raise _NegativeSource
                if fled.any():
                    raise _unlimited(", ".join(np.array(likelihood.names)[fled]))
                nfev = snapshot.nfev + int(draws.n_steps.sum())
                snapshot = snapshot._replace(draws=snapshot.draws + (draws,) * is_kept, nfev=nfev)
                watch.show(snapshot)
                bar.update(CHUNK)
        return snapshot

    def _interrupted(self, models: Models, snapshot: _Snapshot | None) -> SamplerResult:
        if snapshot is None or not snapshot.draws:
            return self._without_draws(models, "interrupted", "interrupted before the first draw that is kept")
        result = _result(snapshot, self.n_samples)
        n_draws = result.values.shape[1]
        message = f"interrupted after {n_draws} of {self.n_samples} draws; {result.message}"
        return dataclasses.replace(result, status="interrupted", message=message)

    def _without_draws(self, models: Models, status: str, message: str) -> SamplerResult:
        slots, nothing = Slots(models), np.zeros((self.n_chains, 0))
        return SamplerResult(
            models=models,
            status=status,
            message=message,
            names=tuple(slots.names[slot] for slot in slots.free),
            units=tuple(slots.parameters[slot].unit for slot in slots.free),
            samples={slots.names[slot]: nothing for slot in slots.free},
            sampler_results=dict.fromkeys(_STATISTICS, nothing),
            nfev=0,
        )


def _unlimited(what: str) -> _NoPosterior:
    return _NoPosterior("singular", f"neither data nor bounds limit {what}: give priors or bounds")


def _result(snapshot: _Snapshot, n_samples: int) -> SamplerResult:
    """Result of the draws, without those that only fill the last chunk."""
    likelihood, models, chunks, nfev = snapshot
    draws = Draws(*(np.concatenate(parts)[:n_samples].swapaxes(0, 1) for parts in zip(*chunks, strict=True)))
    values = draws.theta * np.asarray(likelihood.problem.scale)
    samples = {name: values[:, :, i] for i, name in enumerate(likelihood.names)}
    status, message = judge_chains(samples, int(draws.diverging.sum()))
    flat = values.reshape(-1, values.shape[-1])
    covariance = np.cov(flat.T).reshape((flat.shape[1],) * 2)
    return SamplerResult(
        models=fitted_models(models, flat.mean(axis=0), covariance),
        status=status,
        message=message,
        names=likelihood.names,
        units=likelihood.units,
        samples=samples,
        sampler_results={name: getattr(draws, name) for name in _STATISTICS},
        nfev=nfev,
    )
