"""A likelihood as minimisers from elsewhere want it: functions of a numpy vector, for value, gradient and Hessian."""

from __future__ import annotations

import numpy as np

from gammax.fit._judge import Outcome, look
from gammax.fit._newton import Show, unseen, value_and_gradient
from gammax.fit._trust_region import fisher_scale
from gammax.likelihood import Derivatives, Likelihood


class TooManyCalls(Exception):
    """Ends a minimiser that has used up its calls of the likelihood; never leaves this room."""


class Points:
    """-2 ln L of factors theta (P,). It remembers its last point, as minimisers ask for the gradient after the value,
    and its best one.

    Attributes
    ----------
    n_calls : points looked at.
    """

    def __init__(self, likelihood: Likelihood, max_calls: float = np.inf, show: Show = unseen):
        self.likelihood, self._max_calls, self._show = likelihood, max_calls, show
        self._last: np.ndarray | None = None
        self._best, self._best_theta = np.inf, np.asarray(likelihood.theta0)
        self.n_calls = 0

    def value(self, theta: np.ndarray) -> float:
        """-2 ln L."""
        return self._at(theta)[0]

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        """Exact gradient, (P,)."""
        return self._at(theta)[1]

    def hessian(self, theta: np.ndarray) -> np.ndarray:
        """Exact Hessian, (P, P)."""
        return np.asarray(self._derivatives(theta).hessian)

    def curvature(self, theta: np.ndarray) -> np.ndarray:
        """The exact Hessian, (P, P), or the Fisher matrix where that bends down somewhere."""
        now = self._derivatives(theta)
        scale = np.asarray(fisher_scale(now.fisher))
        scaled = np.asarray(now.hessian) * np.outer(scale, scale)
        convex = np.isfinite(scaled).all() and np.linalg.eigvalsh(scaled)[0] > 0
        return np.asarray(now.hessian if convex else now.fisher)

    def outcome(self, message: str) -> Outcome:
        """The best point so far, and what the minimiser says."""
        return Outcome(self._best_theta, message, self.n_calls)

    def _derivatives(self, theta: np.ndarray) -> Derivatives:
        return self.likelihood.derivatives(np.array(theta, dtype=np.float64))

    def _at(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        if self._last is None or not np.array_equal(theta, self._last):
            if self.n_calls >= self._max_calls:
                raise TooManyCalls
            self._last = np.array(theta, dtype=np.float64)
            value, gradient = value_and_gradient(self.likelihood.problem, self._last)
            self._answer = float(value), np.array(gradient)
            self.n_calls += 1
            if self._answer[0] < self._best:
                self._best, self._best_theta = self._answer[0], self._last
            self._show(self._best_theta, self._best, self.n_calls)
        return self._answer


class ScaledPoints:
    """The same as a function of x (m,): the parameters that are not held, from the start values on, in units of their
    Fisher errors there.

    Attributes
    ----------
    lower, upper : bounds of x, (m,).
    """

    def __init__(self, points: Points):
        problem = points.likelihood.problem
        self.points, self._start = points, np.asarray(points.likelihood.theta0)
        self._limits = np.asarray(problem.lower), np.asarray(problem.upper)
        self._moved = np.flatnonzero(self._limits[0] < self._limits[1])
        self._scale = np.asarray(look(problem, self._start)[1])[self._moved]
        self.lower, self.upper = ((limit - self._start)[self._moved] / self._scale for limit in self._limits)

    @property
    def start(self) -> np.ndarray:
        """The start values: zeros, (m,)."""
        return np.zeros(len(self._moved))

    def value(self, x: np.ndarray) -> float:
        """-2 ln L."""
        return self.points.value(self.theta(x))

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Exact gradient, (m,)."""
        return self.points.gradient(self.theta(x))[self._moved] * self._scale

    def hessian(self, x: np.ndarray) -> np.ndarray:
        """Exact Hessian, (m, m)."""
        whole = self.points.hessian(self.theta(x))
        return whole[np.ix_(self._moved, self._moved)] * np.outer(self._scale, self._scale)

    def theta(self, x: np.ndarray) -> np.ndarray:
        """Factors of x, (P,), inside the bounds to the last digit."""
        theta = self._start.copy()
        theta[self._moved] += np.asarray(x) * self._scale
        return np.clip(theta, *self._limits)
