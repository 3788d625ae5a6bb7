"""Pictures of flux points: what is in them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from flux_points_cases import EDGES, KINDS, all_quantities, make_points
from numpy.testing import assert_allclose

from gammax.errors import GammaxWarning, SchemaError


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("kind", KINDS)
def test_points_and_limits(kind):
    points = make_points()
    ax = points.plot(sed_type=kind, label="Crab")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlabel() == "Energy  [TeV]"
    assert "cm$^{-2}$ s$^{-1}$" in ax.get_ylabel()
    measured, limits = ax.containers
    assert_allclose(measured.lines[0].get_xdata(), points.energy_ref[:1])
    assert_allclose(measured.lines[0].get_ydata(), getattr(points, kind).value[:1])
    assert_allclose(limits.lines[0].get_ydata(), getattr(points, f"{kind}_ul").value[1:])
    # arrows are drawn as caps of the error bars
    assert len(limits.lines[1]) > 0
    assert ax.get_legend_handles_labels()[1] == ["Crab"]
    ax.figure.canvas.draw()


def test_error_bars_are_those_of_the_points():
    points = make_points()
    x_bar, y_bar = make_points().plot().containers[0].lines[2]
    value, low, high = points.e2dnde[0].value, points.e2dnde_errn[0].value, points.e2dnde_errp[0].value
    assert_allclose(y_bar.get_segments()[0][:, 1], [value - low, value + high], rtol=1e-12)
    assert_allclose(x_bar.get_segments()[0][:, 0], EDGES[:2], rtol=1e-12)


def test_symmetric_errors_where_there_are_no_others():
    quantities = {"norm": np.ones(3), "norm_err": np.full(3, 0.1)}
    segments = make_points(quantities=quantities).plot(sed_type="dnde").containers[0].lines[2][1].get_segments()
    ref = make_points().dnde_ref.value
    assert_allclose(np.array(segments)[:, :, 1], np.outer(ref, [0.9, 1.1]), rtol=1e-12)


def test_energies_in_another_unit():
    ax = make_points().plot(energy_unit="GeV")
    assert ax.get_xlabel() == "Energy  [GeV]"
    assert_allclose(ax.containers[0].lines[0].get_xdata(), 1e3 * make_points().energy_ref[:1])


def test_what_cannot_be_drawn_is_said():
    with pytest.warns(GammaxWarning, match="1 flux points do not show"):
        make_points(quantities={"norm": np.array([1.0, -0.5, np.nan])}).plot()


def test_limits_alone_keep_the_label():
    quantities = all_quantities() | {"is_ul": np.ones(3, dtype=bool)}
    ax = make_points(quantities=quantities).plot(label="limits")
    assert ax.get_legend_handles_labels()[1] == ["limits"]


def test_profiles():
    # TS = ((norm - best) / sigma)^2: the shade of the row at best + sigma is 1
    scan = np.tile(np.linspace(0.2, 3.0, 29), (3, 1))
    best, sigma = np.array([1.0, 1.5, 0.8]), 0.2
    quantities = {
        "norm": best,
        "stat": np.full(3, 7.0),
        "norm_scan": scan,
        "stat_scan": 7.0 + ((scan - best[:, None]) / sigma) ** 2,
    }
    points = make_points(quantities=quantities)
    ax = points.plot_ts_profiles(sed_type="dnde")
    meshes = [mesh for mesh in ax.collections if mesh.get_array() is not None]
    assert len(meshes) == 3
    for mesh, norm, ref in zip(meshes, best, points.dnde_ref.value, strict=True):
        rows = mesh.get_coordinates()[:, 0, 1]
        shades = np.ma.filled(mesh.get_array().ravel(), np.nan)
        there = np.searchsorted(rows, (norm + sigma) * ref) - 1
        assert_allclose(shades[there], 1.0, atol=0.1)
        assert np.nanmin(shades) < 0.01
        assert np.nanmax(shades) <= 9.0
    assert len(ax.figure.axes) == 2
    ax.figure.canvas.draw()


def test_profiles_need_a_scan():
    with pytest.raises(SchemaError, match="norm_scan"):
        make_points(quantities={"norm": np.ones(3)}).plot_ts_profiles()


def test_bins_without_a_profile_stay_white():
    quantities = all_quantities()
    quantities["stat_scan"] = np.where([[False], [True], [False]], np.nan, quantities["stat_scan"])
    ax = make_points(quantities=quantities).plot_ts_profiles()
    assert sum(mesh.get_array() is not None for mesh in ax.collections) == 2
    quantities["stat_scan"] = np.full_like(quantities["stat_scan"], np.nan)
    assert len(make_points(quantities=quantities).plot_ts_profiles().figure.axes) == 1


def test_kinds_that_cannot_be_drawn():
    with pytest.raises(SchemaError, match="cannot plot"):
        make_points().plot(sed_type="likelihood")
