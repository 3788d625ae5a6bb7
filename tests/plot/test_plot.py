"""Pictures: what is drawn where, in the axes that are given."""

import astropy.units as u
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import norm, poisson

from gammax.datasets import Datasets
from gammax.estimators import FluxPoints
from gammax.maps import RegionNDMap
from gammax.models import Models
from gammax.plot import (
    plot_counts,
    plot_fit,
    plot_fits,
    plot_flux_points,
    plot_residuals,
    plot_spectrum,
    style,
)
from gammax.plot._counts import deviance_residuals, poisson_interval
from gammax.plot._grid import grid_axes
from gammax.plot._spectrum import plot_energy_ranges
from gammax.plot._style import model_colors
from gammax.stats import li_ma_significance
from small_project import ENERGY, make_onoff, make_spectrum, true_models

EDGES = ENERGY.edges_value("TeV")


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture(autouse=True)
def no_figure_is_left():
    yield
    plt.close("all")


def with_covariance(models):
    size = len(models.parameters)
    return Models(models.models, np.diag(np.array([0.1, 3e-12, 0.0])[:size] ** 2))


def test_poisson_interval_covers_what_it_says():
    # definition of Garwood's interval: each limit leaves 15.87 % of the law on its far side
    counts = np.array([1, 2, 5, 40])
    lower, upper = poisson_interval(counts)
    np.testing.assert_allclose(poisson.sf(counts - 1, lower), norm.sf(1), rtol=1e-9)
    np.testing.assert_allclose(poisson.cdf(counts, upper), norm.sf(1), rtol=1e-9)
    # Gehrels (1986), ApJ 303, 336, table 1 and 2: 0 counts up to 1.841, 1 count 0.1727 to 3.300
    np.testing.assert_allclose(poisson_interval(np.array([0, 1])), [[0, 0.1727], [1.841, 3.300]], atol=5e-4)


def test_residuals_are_signed_roots_of_the_statistic():
    dataset, models = make_onoff(), true_models()
    found = deviance_residuals(dataset, models)
    assert np.isnan(found[0])
    assert np.isfinite(found[1:]).all()
    assert np.sum(found[1:] ** 2) == pytest.approx(dataset.stat_sum(models), rel=1e-12)
    assert (
        np.sign(found[1:]).tolist() == np.sign((dataset.counts.values() - dataset.npred(models).values())[1:]).tolist()
    )


def test_residuals_without_a_source_are_li_and_ma():
    dataset = make_onoff()
    expected = li_ma_significance(dataset.counts.values(), dataset.counts_off.values(), 0.1)
    np.testing.assert_allclose(deviance_residuals(dataset)[1:], np.asarray(expected)[1:], rtol=1e-9)


def test_residuals_of_a_known_background():
    dataset = make_spectrum()
    n, mu = 20.0, 16.0
    exact = dataset.replace(
        counts=RegionNDMap(dataset.geom, np.full(8, n)), background=RegionNDMap(dataset.geom, np.full(8, mu))
    )
    expected = np.sqrt(2 * (mu - n + n * np.log(n / mu)))
    np.testing.assert_allclose(deviance_residuals(exact)[1:], expected, rtol=1e-12)
    perfect = exact.replace(counts=exact.background)
    np.testing.assert_allclose(deviance_residuals(perfect)[1:], 0.0, atol=1e-7)


@pytest.mark.parametrize("make", [make_spectrum, make_onoff])
def test_counts_background_and_prediction(make, ax):
    dataset, models = make(), true_models()
    assert plot_counts(dataset, models, ax) is ax
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Energy [TeV]", "Counts per bin")
    labels = ax.get_legend_handles_labels()[1]
    assert set(labels) == {
        "background (α × OFF)" if make is make_onoff else "background",
        "model",
        "counts",
        "outside the mask",
    }
    steps = {patch.get_label(): patch.get_data() for patch in ax.patches}
    np.testing.assert_array_equal(steps["model"].edges, EDGES)
    np.testing.assert_allclose(steps["model"].values[1:], dataset.npred(models).values()[1:])
    assert np.isnan(steps["model"].values[0])
    np.testing.assert_allclose(steps[labels[0]].values, np.where(dataset.mask, dataset.background.values(), 0.0))


def test_bins_outside_the_mask_are_light(ax):
    dataset = make_spectrum()
    plot_counts(dataset, None, ax)
    # vertical bars of the points, one collection per group: inside the mask, then outside
    bars = [container.lines[2] for container in ax.containers if container.lines[2][0].get_segments()]
    inside, outside = (group[1] for group in bars)
    assert len(inside.get_segments()) == 7
    assert len(outside.get_segments()) == 1
    assert inside.get_alpha() == 1.0
    assert outside.get_alpha() < 0.5
    (low, high) = outside.get_segments()[0][:, 1]
    np.testing.assert_allclose([low, high], np.ravel(poisson_interval(dataset.counts.values()[:1])))


def test_a_spectrum_without_background_and_without_counts(ax):
    dataset = make_spectrum().replace(background=None, counts=RegionNDMap(make_spectrum().geom))
    plot_fit(dataset, true_models(), Figure().subplots(2, 1))
    plot_counts(dataset, None, ax)
    assert ax.get_ylim()[0] > 0


def test_a_mask_without_bins(ax):
    dataset = make_spectrum()
    masked = dataset.replace(mask_safe=RegionNDMap(dataset.geom, np.zeros(8, bool)))
    axes = Figure().subplots(2, 1)
    assert plot_fit(masked, true_models(), axes) is axes


def test_residual_points_and_their_scale(ax):
    dataset, models = make_onoff(), true_models()
    assert plot_residuals(dataset, models, ax) is ax
    points = ax.lines[-1]
    np.testing.assert_allclose(points.get_xdata(), ENERGY.center_value("TeV"))
    np.testing.assert_array_equal(points.get_ydata(), deviance_residuals(dataset, models))
    low, high = ax.get_ylim()
    assert low == -high
    assert high > np.nanmax(np.abs(points.get_ydata()))


def test_axes_are_made_where_none_are_given():
    dataset, models = make_spectrum(), true_models()
    upper, lower = plot_fit(dataset, models)
    assert upper.get_shared_x_axes().joined(upper, lower)
    assert upper.get_title(loc="left") + upper.get_title() == "run-1"
    for plot in (plot_counts, plot_residuals):
        assert plot(dataset, models).figure is not upper.figure
    assert len(plot_fits([dataset], models)) == 1


@pytest.mark.parametrize(("n", "shape"), [(1, (1, 1)), (3, (2, 2)), (5, (2, 3)), (10, (5, 2)), (12, (4, 3))])
def test_grid_panels_are_aligned_and_fill_the_figure(n, shape):
    figure = Figure()
    pairs = grid_axes(n, figure)
    places = [upper.get_position() for upper, _ in pairs]
    assert len(pairs) == n
    assert len({round(place.y0, 6) for place in places}) == shape[0]
    assert len({round(place.x0, 6) for place in places}) == min(shape[1], n)
    width, height = figure.get_size_inches()
    assert all(place.width * width > 2.8 and place.height * height > 1.8 for place in places)
    assert all(lower.get_position().x0 == upper.get_position().x0 for upper, lower in pairs)


def test_a_grid_has_one_legend_and_outer_labels():
    datasets = Datasets([make_onoff(f"run-{k}", seed=k + 1) for k in range(5)])
    figure = Figure()
    pairs = plot_fits(datasets, true_models(), figure)
    assert len(figure.legends) == 1
    assert all(upper.get_legend() is None for upper, _ in pairs)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(names) == ["background (α × OFF)", "counts", "model", "outside the mask"]
    assert [bool(upper.get_ylabel()) for upper, _ in pairs] == [True, False, False, True, False]
    assert [bool(lower.get_xlabel()) for _, lower in pairs] == [False, False, True, True, True]


def test_spectrum_and_its_band(ax):
    models = with_covariance(true_models())
    assert plot_spectrum(models, "crab", "0.1 TeV", 10 * u.TeV, ax) is ax
    energy, flux = ax.lines[0].get_data()
    assert (energy[0], energy[-1]) == (pytest.approx(0.1), pytest.approx(10))
    # E^2 A E^-index in erg cm-2 s-1, A = 3e-11 TeV-1 cm-2 s-1 at 1 TeV
    np.testing.assert_allclose(flux, 3e-11 * energy**-0.3 * u.TeV.to(u.erg), rtol=1e-12)
    band = ax.collections[0].get_paths()[0].vertices
    # relative error of a power law: sqrt((sigma_A / A)^2 + (ln E sigma_index)^2), here at 10 TeV
    relative = np.hypot(0.1, 0.1 * np.log(10))
    top = band[np.isclose(band[:, 0], 10), 1].max()
    assert top == pytest.approx(flux[-1] * (1 + relative), rel=1e-9)


def test_spectrum_without_covariance_has_no_band(ax):
    plot_spectrum(true_models(), "crab", "0.1 TeV", "10 TeV", ax, label="start")
    assert not ax.collections
    assert ax.get_legend_handles_labels()[1] == ["start"]


def test_flux_points_and_spectrum_share_their_axes(ax):
    models = true_models()
    points = FluxPoints(
        energy_min=np.array([0.3, 1.0]),
        energy_max=np.array([1.0, 3.0]),
        energy_ref=np.array([0.5, 1.7]),
        reference_model=models["crab"].spectral_model,
        quantities={"norm": np.array([1.0, 1.0]), "norm_err": np.array([0.1, 0.2])},
    )
    plot_spectrum(models, "crab", "0.1 TeV", "10 TeV", ax)
    assert plot_flux_points(points, ax) is ax
    curve, drawn = ax.lines[0], ax.containers[0].lines[0]
    np.testing.assert_allclose(
        drawn.get_ydata(), np.interp(np.log(drawn.get_xdata()), np.log(curve.get_xdata()), curve.get_ydata()), rtol=1e-4
    )


def test_energy_ranges_are_those_of_the_masks(ax):
    datasets = Datasets([make_onoff("a"), make_onoff("b").with_fit_range("0.5 TeV", "5 TeV")])
    assert plot_energy_ranges(datasets, ax) is ax
    spans = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches]
    np.testing.assert_allclose(spans, [(EDGES[1], EDGES[8]), (EDGES[3], EDGES[6])])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_style_comes_and_goes():
    before = dict(mpl.rcParams)
    with style():
        assert not mpl.rcParams["axes.spines.top"]
    assert dict(mpl.rcParams) == before


def test_colors_differ_and_the_first_is_that_of_predictions():
    colors = model_colors(true_models("a") + true_models("b") + true_models("c"))
    assert list(colors) == ["a", "b", "c"]
    assert len(set(colors.values())) == 3
    assert colors["a"] == "#D55E00"
