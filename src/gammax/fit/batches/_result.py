"""What many fits found."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from astropy import units as u
from astropy.table import Table

from gammax.errors import FitError, did_you_mean
from gammax.fit._fit import fitted_models
from gammax.fit._result import FitResult
from gammax.fit.batches._judge import STATUSES, judge_many, messages_of
from gammax.fit.batches._many import Solved
from gammax.models import Models

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclasses.dataclass(frozen=True, eq=False)
class FitResults:
    """Best fits of K members of a batch. ``results[k]`` is the `FitResult` of one of them, ``results[rows]`` some.

    Attributes
    ----------
    names, units : of the free parameters, (P,).
    values, errors : of the free parameters in their units, (K, P); an error that does not exist is NaN, that of a
        parameter that was held is 0.
    covariance : (K, P, P).
    total_stat : -2 ln L at the minima, (K,).
    status : of each member (K,), as in `FitResult`; "interrupted" where there is no fit as a batch was stopped before
        it, or as its data could not be had (a file, memory): with a `path`, the same batch tries these again.
    messages : the status in a sentence, (K,).
    warnings : of each member (K,), as in `FitResult`.
    edm : predicted distances to the minima, (K,). n_steps : Newton steps, (K,).
    models : models whose free parameters were fitted; None: not known, and there is no ``results[k]``.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    values: np.ndarray
    covariance: np.ndarray
    total_stat: np.ndarray
    status: np.ndarray
    messages: tuple[str, ...]
    edm: np.ndarray
    n_steps: np.ndarray
    warnings: tuple[tuple[str, ...], ...]
    models: Models | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def errors(self) -> np.ndarray:
        """1 sigma errors, (K, P)."""
        return np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))

    @property
    def success(self) -> np.ndarray:
        """Which minima are ordinary ones, with errors for every parameter, (K,)."""
        return self.status == "ok"

    def value(self, name: str) -> u.Quantity:
        """Values (K,) of a parameter, "crab.spectral.index"."""
        i = self._place(name)
        return u.Quantity(self.values[:, i], self.units[i])

    def error(self, name: str) -> u.Quantity:
        """Errors (K,) of a parameter."""
        i = self._place(name)
        return u.Quantity(self.errors[:, i], self.units[i])

    def pulls(self, name: str, truth: Any) -> np.ndarray:
        """(value - truth) / error of a parameter in the members that are ok.

        Parameters
        ----------
        truth : number in the parameter's unit, or a quantity; one, or one for each member (K,).
        """
        i, good = self._place(name), self.success
        truth = np.broadcast_to(_number(truth, self.units[i]), len(self))
        return ((self.values[:, i] - truth) / self.errors[:, i])[good]

    def to_table(self) -> Table:
        """One row per member: status, total_stat, n_steps, and value and error of every parameter."""
        columns: dict[str, Any] = {name: getattr(self, name) for name in ("status", "total_stat", "n_steps")}
        for i, name in enumerate(self.names):
            columns[name] = u.Quantity(self.values[:, i], self.units[i])
            columns[f"{name}_err"] = u.Quantity(self.errors[:, i], self.units[i])
        return Table(columns)

    def summary(self) -> Table:
        """Per parameter, over the members that are ok: mean and spread of the values, mean error."""
        good = self.success
        values, errors = self.values[good], self.errors[good]
        some = len(values) > 0
        columns = {
            "name": list(self.names),
            "unit": list(self.units),
            "mean": values.mean(axis=0) if some else np.full(len(self.names), np.nan),
            "std": values.std(axis=0) if some else np.full(len(self.names), np.nan),
            "mean_error": errors.mean(axis=0) if some else np.full(len(self.names), np.nan),
        }
        return Table(columns)

    def plot(self, name: str, truth: Any = None, bins: int = 30, ax: Axes | None = None) -> Axes:
        """Distribution of a parameter; with its true value, of its pulls beside the normal distribution."""
        import matplotlib.pyplot as plt

        ax, i = ax or plt.gca(), self._place(name)
        if truth is None:
            ax.hist(self.values[self.success, i], bins=bins, histtype="step")
            ax.set_xlabel(f"{name} [{self.units[i]}]" if self.units[i] else name)
        else:
            pulls = self.pulls(name, truth)
            counts, edges, _ = ax.hist(
                pulls, bins=bins, histtype="step", label=f"{pulls.mean():+.2f}, {pulls.std():.2f}"
            )
            x = np.linspace(edges[0], edges[-1], 200)
            scale = counts.sum() * (edges[1] - edges[0]) / np.sqrt(2 * np.pi)
            ax.plot(x, scale * np.exp(-0.5 * x**2), label="normal")
            ax.legend(title="mean, width")
            ax.set_xlabel(f"pull of {name}")
        ax.set_ylabel("fits")
        return ax

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, (int, np.integer)):
            rows = np.arange(len(self))[key]
            arrays = {name: getattr(self, name)[rows] for name in _ARRAYS}
            texts = {name: tuple(getattr(self, name)[k] for k in rows) for name in ("messages", "warnings")}
            return dataclasses.replace(self, **arrays, **texts)
        if self.models is None:
            raise FitError("GX-FIT-301", "the models of these fits are not known", do="fit_many(..., models=models)")
        values, covariance = self.values[key], self.covariance[key]
        return FitResult(
            models=fitted_models(self.models, values, covariance),
            total_stat=float(self.total_stat[key]),
            status=str(self.status[key]),
            message=self.messages[key],
            names=self.names,
            units=self.units,
            values=values,
            covariance=covariance,
            edm=float(self.edm[key]),
            n_steps=int(self.n_steps[key]),
            backend="newton",
            warnings=self.warnings[key],
        )

    def _place(self, name: str) -> int:
        if name not in self.names:
            raise FitError("GX-FIT-302", f"no free parameter {name!r}", do=did_you_mean(name, self.names))
        return self.names.index(name)

    def __repr__(self) -> str:
        found = ", ".join(f"{number} {status}" for status, number in Counter(self.status.tolist()).most_common())
        table = self.summary()
        for name in ("mean", "std", "mean_error"):
            table[name].info.format = ".5g"
        lines = [f"FitResults: {len(self)} fits, {found or 'none'}", *table.pformat(max_lines=-1, max_width=-1)]
        return "\n  ".join(lines)


class Frame(NamedTuple):
    """Names, units and scales of the free parameters, (P,).

    Attributes
    ----------
    tolerance : a minimum with an edm up to this that has not converged is a saddle.
    cornered : parameters that are in the corner of a prior when all are 0, (P,).
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    scale: np.ndarray
    tolerance: float = 0.0
    cornered: np.ndarray | bool = False


def results_of(
    frame: Frame, models: Models | None, solved: Solved, known: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> FitResults:
    """Judged minima in the parameters' units, without warnings.

    Parameters
    ----------
    known : as `judge_many`. lower, upper : bounds as factors, (K, P) or (P,).
    """
    lower, upper = (np.broadcast_to(bound, solved.theta.shape) for bound in (lower, upper))
    status, covariance = judge_many(solved, lower >= upper, known)
    return FitResults(
        names=frame.names,
        units=frame.units,
        values=solved.theta * frame.scale,
        covariance=covariance * np.outer(frame.scale, frame.scale),
        total_stat=solved.value,
        status=np.array(STATUSES)[status],
        messages=tuple(messages_of(status, solved, lower, upper, frame)),
        edm=solved.edm,
        n_steps=solved.n_steps,
        warnings=((),) * len(status),
        models=models,
    )


_ARRAYS = ("values", "covariance", "total_stat", "status", "edm", "n_steps")


def _number(value: Any, unit: str) -> np.ndarray:
    return np.asarray(value.to_value(unit) if isinstance(value, u.Quantity) else value, dtype=float)
