"""FluxPointsEstimator against closed forms and independent root finding; the peer's points are in tests/parity."""

import numpy as np
import pytest
from astropy.units import Quantity
from scipy.optimize import brentq

from derivatives import toy_spectrum
from gammax.datasets import Datasets
from gammax.errors import FitError, GammaxWarning, GeometryError, ModelError
from gammax.estimators import FluxPointsEstimator
from gammax.fit import Fit
from gammax.models import Models, PowerLawSpectralModel, SkyModel

MODELS = Models(SkyModel(PowerLawSpectralModel(index=2.5, amplitude="2e-12 TeV-1 s-1 cm-2"), "x"))


def edges_of(dataset):
    return dataset.counts.geom.axes["energy"].edges


def numpy_cash(counts, expected):
    """-2 ln L of Poisson counts without the factorial, as text books write it."""
    return 2.0 * np.sum(expected - counts * np.log(expected))


@pytest.fixture(scope="module")
def cash_points():
    dataset = toy_spectrum("cash")
    return dataset, FluxPointsEstimator(edges_of(dataset)[::3], "x", selection_optional="all").run([dataset], MODELS)


def test_norms_intervals_limits_and_scan(cash_points):
    """Every number by brentq on a numpy statistic and its slope, bin by bin; a fit stops at an edm of 1e-10."""
    dataset, points = cash_points
    counts, background = dataset.counts.values(), dataset.background.values()
    signal = dataset.npred_signal(MODELS).values()
    assert len(points.norm) == 3
    for k in range(3):
        n, b, s = (a[3 * k : 3 * k + 3] for a in (counts, background, signal))

        def stat(norm, n=n, b=b, s=s):
            return numpy_cash(n, b + norm * s)

        best = brentq(lambda x: np.sum(s * (1.0 - n / (b + x * s))), 0.01, 5.0, xtol=1e-14)  # noqa: B023
        curvature = 2.0 * np.sum(n * s**2 / (b + best * s) ** 2)
        np.testing.assert_allclose(points.norm[k], best, rtol=1e-5)
        np.testing.assert_allclose(points.norm_err[k], np.sqrt(2.0 / curvature), rtol=1e-5)
        up, ul = (brentq(lambda x: stat(x) - stat(best) - t, best, 10.0, xtol=1e-13) for t in (1.0, 4.0))  # noqa: B023
        down = brentq(lambda x: stat(x) - stat(best) - 1.0, 0.1, best, xtol=1e-13)  # noqa: B023
        np.testing.assert_allclose(
            [points.norm_errp[k], points.norm_errn[k], points.norm_ul[k]], [up - best, best - down, ul], rtol=1e-5
        )
        np.testing.assert_allclose(points.ts[k], stat(0.0) - stat(best), rtol=1e-10)
        np.testing.assert_allclose(points.sqrt_ts[k] ** 2, points.ts[k], rtol=1e-12)
        np.testing.assert_allclose(points.stat_scan[k], [stat(x) for x in points.norm_scan[k]], rtol=1e-12)
        np.testing.assert_allclose(points.npred[k], [(b + best * s).sum()], rtol=1e-5)
        np.testing.assert_allclose(points.npred_excess[k], [best * s.sum()], rtol=1e-5)
        np.testing.assert_allclose(points.counts[k], [n.sum()])

        def asimov(x, b=b, s=s):
            return numpy_cash(b + x * s, b) - numpy_cash(b + x * s, b + x * s) - 25.0

        np.testing.assert_allclose(points.norm_sensitivity[k], brentq(asimov, 1e-3, 100.0), rtol=1e-8)


def test_fluxes_are_norms_of_the_reference(cash_points):
    """dnde_ref at the geometric mean, flux_ref over the bin: power law in closed form."""
    _, points = cash_points
    lo, hi = points.energy_min, points.energy_max
    np.testing.assert_allclose(
        points.dnde.to_value("TeV-1 s-1 cm-2"), points.norm * 2e-12 * (lo * hi) ** -1.25, rtol=1e-12
    )
    want = points.norm * 2e-12 / 1.5 * (lo**-1.5 - hi**-1.5)
    np.testing.assert_allclose(points.flux.to_value("s-1 cm-2"), want, rtol=1e-12)


def test_reoptimised_points_profile_the_other_source():
    """Two sources on the same data: with `reoptimize` the second one's amplitude moves, and errors grow."""
    dataset = toy_spectrum("wstat", flux=1e-10)
    other = SkyModel(PowerLawSpectralModel(index=3.5, amplitude="1e-11 TeV-1 s-1 cm-2"), "y")
    models = Fit().run([dataset], MODELS + other.replace(spectral_model=other.spectral_model.freeze("index"))).models
    edges = edges_of(dataset)[::4]
    held, free = (
        FluxPointsEstimator(edges, "x", reoptimize=r, selection_optional="ul").run([dataset], models)
        for r in (False, True)
    )
    assert np.all(free.norm_err > 1.05 * held.norm_err)
    assert np.all(free.stat <= held.stat + 1e-9)
    assert np.all(free.norm_ul > held.norm_ul)


def test_bins_without_data_and_without_on_counts():
    """No bin in the mask: NaN, no_data. No ON count: norm 0, no error, a limit where 2 s has risen by 4."""
    dataset = toy_spectrum("wstat").with_fit_range("1 TeV", "100 TeV")
    counts = dataset.counts.values().copy()
    counts[-3:] = 0.0
    dataset = dataset.replace(counts=dataset.counts.replace(data=counts.reshape(dataset.counts.data.shape)))
    points = FluxPointsEstimator(edges_of(dataset)[::3], "x", selection_optional=["ul", "errn-errp"]).run(
        [dataset], MODELS
    )
    assert list(points.status) == ["no_data", "ok", "at_bound"]
    assert np.isnan([points.norm[0], points.norm_ul[0], points.ts[0]]).all()
    assert list(points.success) == [False, True, True]
    assert points.norm[2] == 0.0
    assert np.isnan([points.norm_err[2], points.norm_errn[2]]).all()
    signal = dataset.npred_signal(MODELS).values()[-3:].sum()
    np.testing.assert_allclose(points.norm_ul[2], 2.0 / signal, rtol=1e-9)
    assert points.is_ul[2]


def test_norms_go_negative_where_counts_are_missing():
    """ON below the expected background: a negative norm and a signed sqrt_ts."""
    dataset = toy_spectrum("wstat")
    few = np.ones(dataset.counts.data.shape)
    off = dataset.counts_off.replace(data=np.full(few.shape, 40.0))
    points = FluxPointsEstimator(edges_of(dataset)[[0, -1]], "x").run(
        [dataset.replace(counts=dataset.counts.replace(data=few), counts_off=off)], MODELS
    )
    assert points.norm[0] < 0
    assert points.sqrt_ts[0] < 0


def test_points_do_not_depend_on_stacking_of_shapes():
    """Datasets of different axes: the joint points are those of one wstat sum over both."""
    one, two = toy_spectrum("wstat", "a"), toy_spectrum("wstat", "b", 1, n_reco=18)
    edges = edges_of(one)[::3]
    together = FluxPointsEstimator(edges, "x").run(Datasets([one, two]), MODELS)
    swapped = FluxPointsEstimator(edges, "x").run(Datasets([two, one]), MODELS)
    np.testing.assert_allclose(together.norm, swapped.norm, rtol=1e-9)
    np.testing.assert_array_equal(together.counts, swapped.counts[:, ::-1])


def test_edges_move_to_the_nearest_of_the_axis_with_a_warning():
    """Nearest in ln E, as the peer snaps: 0.7 and 1 TeV between 0.592, 0.875 and 1.29 TeV become 0.592 and 0.875."""
    dataset = toy_spectrum("wstat")
    edges = edges_of(dataset).value
    wanted = np.exp(np.log(edges[[2, 5]]) + 0.45 * np.array([1.0, -1.0]) * np.log(edges[1] / edges[0]))
    with pytest.warns(GammaxWarning, match="GX-FLUX-003"):
        points = FluxPointsEstimator(Quantity(wanted, "TeV"), "x").run([dataset], MODELS)
    np.testing.assert_allclose([points.energy_min[0], points.energy_max[0]], edges[[2, 5]])


def test_what_is_refused():
    dataset = toy_spectrum("wstat")
    with pytest.raises(FitError, match="GX-FLUX-001"):
        FluxPointsEstimator(edges_of(dataset), "x", selection_optional="ull")
    for wrong in ({"n_sigma_ul": 0.0}, {"n_sigma": -1.0}, {"tolerance": -1.0}, {"max_steps": 0}):
        with pytest.raises(FitError, match="GX-FLUX-004"):
            FluxPointsEstimator(edges_of(dataset), "x", **wrong)
    with pytest.raises(ModelError, match="GX-MODEL-016"):
        FluxPointsEstimator(edges_of(dataset), "y").run([dataset], MODELS)
    with pytest.raises(GeometryError, match="GX-FLUX-002"):
        FluxPointsEstimator(Quantity([100.0, 200.0], "TeV"), "x").run([dataset], MODELS)


def test_bins_that_no_dataset_sees_have_no_data():
    """The source is only in a dataset above 1.3 TeV: below, the other dataset's counts say nothing of it."""
    one, two = toy_spectrum("wstat", "a").with_fit_range("1.29 TeV", "20 TeV"), toy_spectrum("wstat", "b", 1)
    models = Models([MODELS["x"].replace(datasets_names=["a"]), MODELS["x"].replace(name="y", datasets_names=["b"])])
    points = FluxPointsEstimator(edges_of(two)[::3], "x", selection_optional="all").run([one, two], models)
    assert list(points.status) == ["no_data", "ok", "ok"]
    assert np.isnan([points.norm[0], points.norm_err[0], points.ts[0], points.norm_ul[0]]).all()


def test_points_that_do_not_converge_have_no_numbers():
    dataset = toy_spectrum("wstat")
    points = FluxPointsEstimator(edges_of(dataset)[::3], "x", selection_optional="ul", max_steps=1).run(
        [dataset], MODELS
    )
    assert set(points.status) == {"not_converged"}
    assert not points.success.any()
    assert np.isnan([points.norm, points.norm_err, points.norm_ul, points.ts]).all()
