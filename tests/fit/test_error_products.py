"""Intervals, limits, profiles, surfaces, contours and covariances through `Fit`, against iminuit and closed forms."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import chi2, norm

from cubes import make_cube
from derivatives import toy_spectrum
from gammax.errors import FitError
from gammax.fit import Fit
from gammax.fit.backends._minuit import make_minuit
from gammax.fit.error_products._best import as_given
from gammax.fit.error_products._reach import Goal, Reached
from gammax.fit.error_products._rises import _judge
from gammax.likelihood import Likelihood
from gammax.models import (
    LogParabolaSpectralModel,
    Models,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
)

INDEX, AMPLITUDE, ALPHA, BETA = (f"x.spectral.{name}" for name in ("index", "amplitude", "alpha", "beta"))
# of an error: ours are exact to 1e-5, MINOS and mncontour stop a little earlier
SIGMAS = 1e-3


@pytest.fixture(scope="module")
def datasets():
    return [toy_spectrum("wstat", "a"), toy_spectrum("wstat", "b", seed=1)]


@pytest.fixture(scope="module")
def result(datasets):
    spectrum = LogParabolaSpectralModel(amplitude="1e-12 TeV-1 s-1 cm-2", reference="1 TeV", alpha=2.0, beta=0.1)
    result = Fit().run(datasets, SkyModel(spectrum, name="x"))
    assert result.success
    return result


@pytest.fixture(scope="module")
def minuit(datasets, result):
    """At our minimum, with numbers in the parameters' units."""
    likelihood = Likelihood(datasets, result.models)
    minuit = make_minuit(likelihood, np.asarray(likelihood.theta0))
    minuit.strategy, minuit.tol = 2, 1e-4
    minuit.migrad()
    return minuit


def scale_of(datasets, result):
    return np.asarray(Likelihood(datasets, result.models).problem.scale)


def one_bin(counts):
    """One bin and its amplitude: mu = slope * amplitude + background; the likelihood, and both numbers."""
    dataset = toy_spectrum("cash", n_reco=1, counts=counts)
    spectrum = PowerLawSpectralModel(index=2.5, amplitude="2e-12 TeV-1 s-1 cm-2").freeze("index")
    bounded = spectrum.amplitude.replace(min=0.0) if counts == 0 else spectrum.amplitude
    models = Models([SkyModel(spectrum.replace(amplitude=bounded), name="x")])
    background = float(dataset.arrays.background[0])
    slope = float(np.asarray(dataset.npred_signal(models).data).sum()) / 2e-12
    return dataset, models, slope, background


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_minos_of_every_parameter(datasets, result, minuit, sigma):
    minuit.minos(cl=2.0 * norm.cdf(sigma) - 1.0)
    found = Fit().confidence(datasets, result, sigma=sigma)
    scale = scale_of(datasets, result)
    for i, name in enumerate(result.names):
        errors = minuit.merrors[name]
        expected = np.array([-errors.lower, errors.upper]) * scale[i]
        np.testing.assert_allclose(
            [found[name].errn, found[name].errp], expected, atol=SIGMAS * result.errors[i], rtol=0
        )
        assert found[name].success


def test_ends_are_where_the_statistic_has_risen(datasets, result):
    """By a fit with the parameter frozen there, to 1e-6; one parameter alone gives the same as all."""
    found = Fit().confidence(datasets, result, ALPHA, sigma=2)
    for end in found.interval.value:
        at_end = Fit().stat_profile(datasets, result, ALPHA, [end], reoptimize=True)
        np.testing.assert_allclose(at_end.delta_ts, 4.0, atol=1e-6)
    again = Fit().confidence(datasets, result, sigma=2)[ALPHA]
    np.testing.assert_allclose([again.errp, again.errn], [found.errp, found.errn], rtol=1e-6)


def test_profile_against_mnprofile(datasets, result, minuit):
    values = np.linspace(-3, 3, 7) * result.errors[1] + result.values[1]
    found = Fit().stat_profile(datasets, result, result.names[1], values, reoptimize=True)
    _, expected, valid = minuit.mnprofile(result.names[1], grid=values / scale_of(datasets, result)[1])
    assert found.success
    assert valid.all()
    np.testing.assert_allclose(found.stat_scan, expected, atol=1e-4, rtol=0)
    np.testing.assert_allclose(found.free_values[:, 1], values, rtol=1e-14)
    np.testing.assert_array_equal(found[f"{result.names[1]}_scan"], values)


def test_profile_without_fits_is_the_statistic(datasets, result):
    """11 values within two errors, as the peer; the same numbers as the likelihood."""
    found = Fit().stat_profile(datasets, result, BETA)
    i = result.names.index(BETA)
    np.testing.assert_allclose(found.values, result.values[i] + np.linspace(-2, 2, 11) * result.errors[i], rtol=1e-6)
    likelihood = Likelihood(datasets, result.models)
    expected = []
    for value in found.values:
        values = result.values.copy()
        values[i] = value
        expected.append(float(likelihood(likelihood.from_values(values))))
    np.testing.assert_allclose(found.stat_scan, expected, rtol=1e-13)


def test_surface_is_a_grid_of_profiles(datasets, result):
    x, y = (result.values[i] + np.array([-1.0, 0.0, 1.5]) * result.errors[i] for i in (0, 1))
    surface = Fit().stat_surface(datasets, result, *result.names[:2], x, y[:2], reoptimize=True)
    assert surface["stat_scan"].shape == surface.status.shape == (3, 2)
    assert surface.success
    # the third parameter is at the vertex of the parabola through three points
    third = np.array([-0.05, 0.0, 0.05]) * result.errors[2]
    likelihood = Likelihood(datasets, result.models)
    for (i, j), value in np.ndenumerate(surface.stat_scan):
        centre = surface.free_values[i, j]
        around = [float(likelihood(likelihood.from_values(centre + np.array([0, 0, d])))) for d in third]
        np.testing.assert_allclose(around[1], value, rtol=1e-12)
        vertex = 0.025 * (around[0] - around[2]) / (around[0] - 2.0 * around[1] + around[2])
        assert abs(vertex) < 1e-3


def test_contour_against_mncontour(datasets, result, minuit):
    """mncontour's points, our statistic fitted there: delta TS = 1.5^2; ours the same to 1e-6, and at equal angles."""
    x, y = result.names[0], result.names[2]
    contour = Fit().stat_contour(datasets, result, x, y, numpoints=8, sigma=1.5)
    assert contour.success
    angles = np.unwrap(np.arctan2(*_unit(contour, result)[::-1]))
    np.testing.assert_allclose(np.diff(angles), 2.0 * np.pi / 8, rtol=1e-6)
    points = np.stack([contour.x_values, contour.y_values], axis=1)
    theirs = np.array(minuit.mncontour(x, y, cl=chi2(2).cdf(1.5**2), size=6)) * scale_of(datasets, result)[[0, 2]]
    for these, atol in ((points, 1e-6), (theirs[:-1], 5e-3)):
        surface = Fit().stat_surface(datasets, result, x, y, these[:, 0], these[:, 1], reoptimize=True)
        np.testing.assert_allclose(np.diag(surface.delta_ts), 2.25, atol=atol)


def _unit(contour, result):
    """Points of a contour where a parabola has its circle."""
    rows = [result.names.index(contour.x), result.names.index(contour.y)]
    root = np.linalg.cholesky(result.covariance[np.ix_(rows, rows)])
    return np.linalg.solve(root, [contour.x_values - contour.best_values[0], contour.y_values - contour.best_values[1]])


@pytest.mark.parametrize("counts", [0, 1, 7])
def test_one_bin_has_its_closed_form(counts):
    """-2 ln L = 2 (mu - n ln mu): interval and limit by root finding, to 1e-8; without a count the best fit is at its
    bound, and there is no lower end."""
    dataset, models, slope, background = one_bin(counts)
    result = Fit().run([dataset], models)
    best = float(result.values[0]) if counts else 0.0

    def rise(amplitude, target):
        mu, at_best = slope * amplitude + background, slope * best + background
        return 2 * (mu - at_best) - 2 * counts * np.log(mu / at_best) - target

    limit = Fit().upper_limit([dataset], result, AMPLITUDE)
    np.testing.assert_allclose(limit.upper_limit, brentq(rise, best, best + 1e-9, args=(4.0,), xtol=1e-24), rtol=1e-8)
    assert limit.quantity.unit == "TeV-1 s-1 cm-2"
    interval = Fit().confidence([dataset], result, AMPLITUDE)
    up = brentq(rise, best, best + 1e-9, args=(1.0,), xtol=1e-24) - best
    np.testing.assert_allclose(interval.errp, up, rtol=1e-8)
    if counts:
        down = best - brentq(rise, -background / slope * (1 - 1e-9), best, args=(1.0,), xtol=1e-24)
        np.testing.assert_allclose(interval.errn, down, rtol=1e-8)
    else:
        assert best == 0.0
        np.testing.assert_allclose(limit.upper_limit, 2.0 / slope, rtol=1e-8)
        assert (interval.status, np.isnan(interval.errn)) == ("at_bound", True)
        assert interval.message.startswith("lower end: at the bound of x.spectral.amplitude")


def test_without_reoptimising_the_others_stay(datasets, result):
    found = Fit().confidence(datasets, result, ALPHA, reoptimize=False)
    whole = Fit().confidence(datasets, result, ALPHA)
    assert found.errp < whole.errp
    at = Fit().stat_profile(datasets, result, ALPHA, found.interval)
    np.testing.assert_allclose(at.delta_ts, 1.0, atol=1e-6)


def test_covariance_at_given_models(datasets, result):
    """At a minimum that of the fit; elsewhere it says so; where the Hessian is indefinite, the Fisher matrix."""
    there = Fit().covariance(datasets, result)
    assert there.success
    assert there.method == "hessian"
    np.testing.assert_allclose(there.matrix, result.covariance, rtol=1e-6)
    np.testing.assert_allclose(there.models.covariance, result.models.covariance, rtol=1e-6)
    away = Fit().covariance(datasets, result.models.map_parameters(_away))
    assert away.status == "not_converged"
    assert away.method == "fisher"
    assert np.all(np.linalg.eigvalsh(away.correlation) > 0)


@pytest.mark.parametrize(("value", "status"), [(1e300, "invalid_input"), (-1e-10, "at_bound")])
def test_no_errors_where_there_is_no_curvature(datasets, result, value, status):
    """A statistic that is not finite; bins that a negative source leaves empty, where there is that of a wall."""
    bad = result.models.map_parameters(lambda n, p: p.with_value(value) if n == AMPLITUDE else p)
    found = Fit().covariance(datasets, bad)
    assert (found.status, found.success) == (status, False)
    assert np.isnan(found.matrix).all()
    assert np.isnan(found.models.covariance[np.ix_([0], [0])]).all()
    assert ("not finite in a (9 of 9 bins" if status == "invalid_input" else "nothing expected in") in found.message


def test_no_interval_of_what_is_not_finite(datasets, result):
    """Neither a raw error, nor a number."""
    bad = result.models.map_parameters(lambda n, p: p.with_value(1e300) if n == AMPLITUDE else p)
    found = Fit().confidence(datasets, bad, ALPHA)
    assert (found.status, np.isnan([found.errn, found.errp]).all()) == ("invalid_input", True)
    assert "not finite in a" in found.message


def _away(name, parameter):
    factor = {AMPLITUDE: 0.05, BETA: 20.0}.get(name)
    return parameter if factor is None else parameter.with_value(factor * parameter.value)


def test_a_lower_minimum_is_said(datasets, result):
    best = as_given(Fit(), datasets, result.models)
    goal = Goal(direction=np.array([0.0, 1.0, 0.0]), held=np.array([False, True, False]), rise=1.0)
    lost = {"found": False, "beyond": False, "flat": False, "emptied": 0, "lowest": 1.0}
    said = [_judge(best, goal, Reached(best.theta, 1.0, missing, **lost)) for missing in (0.6, 4.2)]
    assert [status for status, _ in said] == ["not_converged"] * 2
    assert said[0][1] == "the search ended where the statistic has risen by 0.4"
    assert said[1][1] == "the statistic seems to fall 3.2 below its minimum: fit from another start"


def test_bad_questions(datasets, result):
    fit = Fit()
    with pytest.raises(FitError, match="GX-FIT-101 no free parameter of that name"):
        fit.confidence(datasets, result, "x.spectral.alhpa")
    with pytest.raises(FitError, match="GX-FIT-101 no parameter is named"):
        fit.confidence(datasets, result, [])
    with pytest.raises(FitError, match="GX-FIT-102"):
        fit.upper_limit(datasets, result, ALPHA, sigma=0)
    with pytest.raises(FitError, match="GX-FIT-103"):
        fit.stat_profile(datasets, result, ALPHA, [np.nan])
    with pytest.raises(FitError, match="GX-FIT-103"):
        fit.stat_profile(datasets, result, ALPHA, "a few")
    with pytest.raises(FitError, match="GX-FIT-104"):
        fit.confidence(datasets, result, ALPHA)["errq"]
    with pytest.raises(FitError, match="GX-FIT-105"):
        fit.stat_contour(datasets, result, ALPHA, ALPHA)
    with pytest.raises(FitError, match="GX-FIT-107"):
        fit.stat_contour(datasets, result, ALPHA, BETA, numpoints=0)


def test_one_program_for_every_parameter(datasets, result):
    """Ends, limits and contours share one program, profiles and surfaces another: nothing is compiled anew."""
    from gammax.fit.batches import _lanes
    from gammax.fit.error_products import _batch

    fit, names = Fit(), result.names
    fit.confidence(datasets, result, names[0])
    fit.stat_profile(datasets, result, names[0], reoptimize=True)
    programs = _batch._run, _lanes.solver()
    before = [program._cache_size() for program in programs]
    for name in names:
        fit.confidence(datasets, result, name, sigma=1.7)
        fit.upper_limit(datasets, result, name)
        fit.stat_profile(datasets, result, name, reoptimize=True)
        fit.stat_profile(datasets, result, name)
    fit.confidence(datasets, result)
    fit.stat_contour(datasets, result, *names[:2], numpoints=5)
    fit.stat_surface(datasets, result, *names[1:], reoptimize=True)
    assert [program._cache_size() for program in programs] == before


def test_pictures_and_words(datasets, result):
    """Pictures have the points and labels with units; words have numbers."""
    fit = Fit()
    profile = fit.stat_profile(datasets, result, AMPLITUDE, reoptimize=True)
    contour = fit.stat_contour(datasets, result, ALPHA, BETA, numpoints=6)
    surface = fit.stat_surface(datasets, result, ALPHA, AMPLITUDE)
    ax = profile.plot()
    np.testing.assert_allclose(ax.lines[0].get_xydata(), np.stack([profile.values, profile.delta_ts], axis=1))
    assert ax.get_xlabel() == "x.spectral.amplitude  [TeV-1 s-1 cm-2]"
    closed = contour.plot().lines[0].get_xydata()
    np.testing.assert_array_equal(closed[0], closed[-1])
    assert surface.plot().get_ylabel() == "x.spectral.amplitude  [TeV-1 s-1 cm-2]"
    assert "11 of 11 points" in repr(profile)
    assert "6 of 6 points" in repr(contour)
    assert "at 1 sigma" in repr(fit.confidence(datasets, result, ALPHA))
    assert " < " in repr(fit.upper_limit(datasets, result, ALPHA))
    assert set(dict(contour)) == {ALPHA, BETA, "success"}


@pytest.mark.parametrize("depth", [pytest.param(0.3, marks=pytest.mark.slow), 0.7, 1.0])
def test_cubes_with_negative_sources(depth):
    """Merged bins are exact for positive counts alone: where an end or the best fit is negative, those of the dense
    likelihood are found; at 0.3 the lower end is beyond where a bin would expect less than nothing."""
    cube = make_cube()
    place = PointSpatialModel(lon_0="83.66 deg", lat_0="22.03 deg")
    hole = np.where(cube.geom.separation(place.position).to_value("deg") < 0.1, depth, 1.0)
    cube = cube.replace(counts=cube.counts.replace(data=np.round(cube.background.data * hole)))
    spectrum = PowerLawSpectralModel(index=2.2, amplitude="1e-12 cm-2 s-1 TeV-1", reference="1 TeV").freeze("index")
    model = SkyModel(spectrum, spatial_model=place.freeze(), name="x")
    dense = Likelihood(cube, model, dense=True)
    interval = Fit().confidence(cube, model, AMPLITUDE)
    limit = Fit().upper_limit(cube, model, AMPLITUDE)
    ends = interval.interval.value[0 if depth > 0.3 else 1 :]
    assert interval.success == (depth > 0.3)
    assert interval.success or "nothing expected in 1 bins" in interval.message
    assert ends[0] < 0
    assert (ends[-1] > 0) == (depth == 1.0)
    best = float(dense(dense.from_values(np.array([interval.value]))))
    for found, rise in (ends, 1.0), ([limit.upper_limit], 4.0):
        for value in found:
            np.testing.assert_allclose(float(dense(dense.from_values(np.array([value])))) - best, rise, rtol=1e-7)


def test_nothing_to_fit_has_no_errors(datasets, result):
    """No bin inside the masks: a status, and no numbers."""
    away = [
        dataset.replace(mask_fit=dataset.counts.replace(data=np.zeros(dataset.counts.data.shape, bool)))
        for dataset in datasets
    ]
    interval = Fit().confidence(away, result, ALPHA)
    assert (interval.status, interval.success) == ("no_data", False)
    assert np.isnan([interval.errn, interval.errp]).all()
    contour = Fit().stat_contour(away, result, ALPHA, BETA)
    assert set(contour.status) == {"no_data"}
    assert contour.message == "no bin is left inside the masks"


def test_linked_parameters_have_both_names(datasets, result):
    other = SkyModel(result.models["x"].spectral_model, name="y")
    linked = Models([result.models["x"], other]).link("alpha", ALPHA, "y.spectral.alpha")
    given = as_given(Fit(), datasets, linked)
    assert given.index("y.spectral.alpha") == given.index(ALPHA)
    assert len(given.names) == 5
