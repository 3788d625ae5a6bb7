"""Flux points of all bins fitted together, against a likelihood written out by hand."""

import itertools

import numpy as np
import pytest
from scipy.optimize import brentq, minimize

from derivatives import fd_gradient, toy_spectrum
from gammax.errors import FitError, GeometryError
from gammax.estimators import FluxPointsEstimator
from gammax.models import Models, PowerLawSpectralModel, SkyModel

INDEX, AMPLITUDE = 2.5, 2e-12
OPTIONS = ("errn-errp", "ul")


@pytest.fixture(scope="module")
def dataset():
    return toy_spectrum("cash", seed=3)


@pytest.fixture(scope="module")
def edges(dataset):
    """Three bins of two or three reconstructed bins; those of true energy have other edges."""
    return dataset.energy_axis.edges[[1, 3, 5, 8]]


@pytest.fixture(scope="module")
def points(dataset, edges):
    return FluxPointsEstimator(edges, "x", selection_optional=OPTIONS, joint=True).run([dataset], models())


def models():
    spectrum = PowerLawSpectralModel(index=INDEX, amplitude=f"{AMPLITUDE} TeV-1 s-1 cm-2")
    return Models(SkyModel(spectrum, name="x"))


class ByHand:
    """-2 ln L of three norms in true energy, the outermost ones without end."""

    def __init__(self, dataset, edges):
        arrays, true = dataset.arrays, dataset.arrays.energy_true
        limits = [true[0], *edges.to_value("TeV")[1:-1], true[-1]]
        self.templates = []
        for low, high in itertools.pairwise(limits):
            inside = np.clip(true, low, high) ** (1.0 - INDEX)
            self.templates.append(arrays.response @ (AMPLITUDE / (INDEX - 1.0) * (inside[:-1] - inside[1:])))
        reco = dataset.energy_axis.edges_value("TeV")
        bounds = edges.to_value("TeV")
        self.used = (reco[:-1] > bounds[0] * 0.999) & (reco[1:] < bounds[-1] * 1.001)
        self.counts, self.background = arrays.counts, arrays.background

    def __call__(self, norms):
        mu = (np.tensordot(norms, self.templates, 1) + self.background)[self.used]
        return 2.0 * np.sum(mu - self.counts[self.used] * np.log(mu))

    def fit(self, held=None, value=0.0):
        """Lowest statistic with one norm at a value."""
        free = [i for i in range(3) if i != held]

        def function(x):
            norms = np.full(3, value)
            norms[free] = x
            return self(norms)

        return minimize(function, np.ones(len(free)), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12})


def test_norms_and_their_covariance(dataset, edges, points):
    """Twice the inverse of the Hessian by finite differences, 1e-4; neighbours are anticorrelated."""
    hand = ByHand(dataset, edges)
    best = hand.fit()
    np.testing.assert_allclose(points.norm, best.x, rtol=1e-5)
    hessian = fd_gradient(lambda x: fd_gradient(hand, x), points.norm.value)
    np.testing.assert_allclose(points.covariance, 2.0 * np.linalg.inv(hessian), rtol=1e-4)
    np.testing.assert_allclose(points.norm_err, np.sqrt(np.diag(points.covariance)), rtol=1e-12)
    assert points.correlation[0, 1] < -0.1
    assert list(points.status) == ["ok"] * 3


def test_null_and_limits(dataset, edges, points):
    """ts where one norm is 0 and the others are fitted; at the ends of intervals the statistic has risen by 1, at the
    limits by 4: root finding, 1e-6 of an error."""
    hand = ByHand(dataset, edges)
    best = hand.fit()
    np.testing.assert_allclose(points.ts, [hand.fit(i).fun - best.fun for i in range(3)], rtol=1e-6)
    for i, (norm, error) in enumerate(zip(best.x, points.norm_err.value, strict=True)):

        def end(sigmas, rise, i=i, norm=norm, error=error):
            bracket = norm + np.array([0.5, 2.0]) * sigmas * error
            return brentq(lambda value: hand.fit(i, value).fun - best.fun - rise, *bracket, xtol=1e-8 * error)

        found = points.norm_errp[i] + norm, norm - points.norm_errn[i], points.norm_ul[i]
        np.testing.assert_allclose(found, [end(1, 1.0), end(-1, 1.0), end(2, 4.0)], rtol=0, atol=1e-5 * error)


def test_a_fit_without_a_minimum_has_no_numbers(dataset, edges):
    lost = FluxPointsEstimator(edges, "x", selection_optional=OPTIONS, joint=True, tolerance=1e-300).run(
        [dataset], models()
    )
    assert list(lost.status) == ["not_converged"] * 3
    for name in ("norm", "norm_err", "norm_errp", "norm_errn", "norm_ul", "ts", "sqrt_ts", "stat"):
        assert np.isnan(getattr(lost, name)).all(), name
    assert not lost.is_ul.any()


def test_parts_keep_their_part(points):
    np.testing.assert_array_equal(points[1:].covariance, points.covariance[1:, 1:])
    np.testing.assert_allclose(points[[0]].correlation, [[1.0]])


def test_what_is_not_for_bins_together(dataset, edges, points):
    with pytest.raises(FitError, match="GX-FLUX-160"):
        FluxPointsEstimator(edges, "x", selection_optional="all", joint=True).run([dataset], models())
    with pytest.raises(GeometryError, match="GX-FLUX-161"):
        type(points)(**{**vars(points), "covariance": np.eye(2)})
