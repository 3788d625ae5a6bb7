"""What a fit found, and how far it can be trusted."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Table

from gammax.fit._compare import FitComparison, compare_results
from gammax.models import Models

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclasses.dataclass(frozen=True, eq=False)
class FitResult:
    """Best fit of a likelihood.

    Attributes
    ----------
    models : the models with the fitted values and the covariance; the fit's input is unchanged.
    total_stat : -2 ln L at the minimum, with what priors and penalties add, constants included.
    status : one of ok, at_bound (a parameter is at its limit, or in a corner of its prior), singular (the data leave a
        direction open), not_converged (also a place that moves on whenever responses are looked up there), no_data (no
        count inside the masks), invalid_input (the statistic or its derivative is not finite where the fit starts, or
        ends), interrupted (by Ctrl-C: the values are the best so far).
    message : the status in a sentence.
    names, units : of the free parameters, (P,).
    values, errors : of the free parameters in their units, (P,); an error that does not exist is NaN.
    covariance, correlation : of the free parameters, (P, P).
    edm : predicted distance to the minimum, in units of the statistic.
    n_steps : Newton steps, or calls of the likelihood for other backends.
    backend : what minimised.
    warnings : what should be known about a minimum even if it is in order, each a sentence: wstat biased by few OFF
        counts, a source without a predicted count, a predicted count that is not positive, a source that moves on
        whenever its responses are looked up where the fit ends.
    """

    models: Models
    total_stat: float
    status: str
    message: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    values: np.ndarray
    covariance: np.ndarray
    edm: float
    n_steps: int
    backend: str
    warnings: tuple[str, ...] = ()

    @property
    def success(self) -> bool:
        """Whether the minimum is an ordinary one, with errors for every parameter."""
        return self.status == "ok"

    @property
    def errors(self) -> np.ndarray:
        """1 sigma errors of the free parameters, in their units."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> np.ndarray:
        """Correlation matrix of the free parameters."""
        return self.covariance / np.outer(self.errors, self.errors)

    @property
    def parameters(self) -> Table:
        """Table of the free parameters: model, name, value, error, unit."""
        table = self.models.to_parameters_table()
        free = set(self.names)
        keep = [name in free for name in self.models.parameters]
        table.keep_columns(["model", "name", "value", "error", "unit"])
        return Table(table[np.array(keep)])

    def compare(self, other: FitResult) -> FitComparison:
        """Differences of another result from this one, in sigma: of two backends, two releases, two data selections.

        Raises
        ------
        FitError : no free parameter in common, or one in two units.
        """
        return compare_results(self, other)

    def plot_correlation(self, ax: Axes | None = None) -> Axes:
        """Correlation matrix as an image."""
        import matplotlib.pyplot as plt

        ax = ax or plt.gca()
        short = [name.replace(".spectral", "") for name in self.names]
        image = ax.imshow(self.correlation, vmin=-1, vmax=1, cmap="RdBu_r")
        ax.set_xticks(range(len(short)), short, rotation=45, ha="right")
        ax.set_yticks(range(len(short)), short)
        # as large as the cells of a figure of the usual size allow
        size = min(10.0, 60.0 / len(short))
        for (i, j), value in np.ndenumerate(self.correlation):
            color = "w" if abs(value) > 0.6 else "k"
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", color=color, fontsize=size)
        ax.figure.colorbar(image, ax=ax, label="correlation")
        return ax

    def __repr__(self) -> str:
        head = (
            f"FitResult: {self.status} ({self.message})\n"
            f"  total stat {self.total_stat:.6f}, edm {self.edm:.1e}, {self.n_steps} steps, backend {self.backend}\n"
        )
        head += "".join(f"  warning: {text}\n" for text in self.warnings)
        return head + "\n".join(f"  {line}" for line in self._shown().pformat(max_lines=-1, max_width=-1))

    def _repr_html_(self) -> str:
        color = "green" if self.success else "crimson"
        warned = "".join(f"<p>warning: {text}</p>" for text in self.warnings)
        return (
            f"<p><b style='color:{color}'>{self.status}</b>: {self.message}; total stat {self.total_stat:.4f}</p>"
            f"{warned}{self._shown()._repr_html_()}"
        )

    def _shown(self) -> Table:
        """Free parameters by the names under which methods know them, numbers shortened."""
        table, free = self.parameters, set(self.names)
        table.replace_column("name", [name for name in self.models.parameters if name in free])
        table.remove_column("model")
        table["value"].info.format = table["error"].info.format = ".5g"
        return table
