"""MapAxis: edges and centres in closed form, look-ups, comparisons in words, and what it refuses."""

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from gammax.errors import DataValueError, GeometryError, SchemaError, UnitError
from gammax.maps import MapAxes, MapAxis


@pytest.fixture
def energy():
    return MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", nbin=10, per_decade=True)


def test_energy_bounds_per_decade(energy):
    # closed form: ceil(10 log10(400)) = 27 bins, edge k at 0.1 * 400^(k / 27)
    assert energy.nbin == 27
    assert_allclose(energy.edges_value("TeV"), 0.1 * 400 ** (np.arange(28) / 27), rtol=1e-15)
    assert energy.edges[0] == 0.1 * u.TeV
    assert energy.edges[-1] == 40 * u.TeV
    assert_allclose(energy.center_value("TeV"), 0.1 * 400 ** ((np.arange(27) + 0.5) / 27), rtol=1e-14)


@pytest.mark.parametrize(
    ("low", "high", "nbin", "expected"),
    [
        ("0.05 TeV", "100 TeV", 20, 67),  # ceil(66.02)
        ("0.1 TeV", "100 TeV", 10, 30),  # three decades stay three decades
        ("1.1 TeV", "1100 TeV", 10, 30),  # 1100 / 1.1 = 999.9999999999999
        ("0.3 TeV", "300 GeV", 10, None),
    ],
)
def test_bins_per_decade(low, high, nbin, expected):
    if expected is None:
        with pytest.raises(DataValueError, match="GX-MAPS-009"):
            MapAxis.from_energy_bounds(low, high, nbin=nbin, per_decade=True)
    else:
        assert MapAxis.from_energy_bounds(low, high, nbin=nbin, per_decade=True).nbin == expected


def test_unit_is_that_of_the_upper_bound():
    # as Gammapy 2.1
    axis = MapAxis.from_energy_bounds("100 GeV", "40 TeV", nbin=3)
    assert axis.unit == "TeV"
    assert axis.edges_value("GeV")[0] == 100


def test_node_axis_edges():
    # edges half-way in the logarithm: sqrt(2 * 4), outer ones continued by the same factor
    axis = MapAxis.from_nodes([2, 4, 16], name="energy_true", interp="log", unit="TeV")
    assert_allclose(axis.edges_value("TeV"), [2 / 2**0.5, 8**0.5, 8, 32], rtol=1e-14)
    assert_allclose(axis.center_value("TeV"), [2, 4, 16])


def test_sqrt_axis():
    axis = MapAxis.from_bounds(1, 9, 2, name="offset", interp="sqrt", unit="deg")
    assert_allclose(axis.edges_value("deg"), [1, 4, 9])
    assert_allclose(axis.center_value("deg"), [1.5**2, 2.5**2])


def test_from_mixed_spellings():
    axis = MapAxis.from_energy_edges(["300 GeV", 1 * u.TeV, "10 TeV"])
    assert_allclose(axis.edges_value("TeV"), [0.3, 1, 10])
    assert_allclose(axis.bin_width.to_value("TeV"), [0.7, 9])
    assert_allclose(u.Quantity([axis.edges_min, axis.edges_max]).to_value("TeV"), [[0.3, 1], [1, 10]])


def test_idx_is_half_open(energy):
    edges = energy.edges
    assert_array_equal(energy.coord_to_idx(edges), [*range(27), -1])
    assert_array_equal(energy.coord_to_idx([0.09, 0.1, 39.9, 41, np.nan] * u.TeV), [-1, 0, 26, -1, -1])
    assert_array_equal(energy.coord_to_idx([0.09, 41, np.nan] * u.TeV, clip=True), [0, 26, -1])
    assert energy.coord_to_idx("1000 GeV") == 10


def test_pix_extrapolates(energy):
    # one bin is a factor 400^(1/27)
    assert_allclose(
        energy.coord_to_pix(0.1 * 400 ** (np.array([-3, 0, 27, 30]) / 27) * u.TeV), [-3.5, -0.5, 26.5, 29.5]
    )
    assert np.isnan(energy.coord_to_pix(-1 * u.TeV))


@settings(max_examples=40, deadline=None)
@given(
    nodes=st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=8, unique=True),
    pix=st.floats(-0.5, 6),
    interp=st.sampled_from(["lin", "log", "sqrt"]),
    node_type=st.sampled_from(["edges", "center"]),
)
def test_pix_round_trip(nodes, pix, interp, node_type):
    nodes = np.sort(nodes)
    if np.any(np.diff(nodes) < 1e-6 * nodes[1:]):
        return
    axis = MapAxis(nodes, "x", interp, "deg", node_type)
    pix = min(pix, axis.nbin - 1)
    coord = axis.pix_to_coord(pix)
    if interp != "sqrt" or node_type == "edges":  # a square folds negative roots over
        assert_allclose(axis.coord_to_pix(coord), pix, atol=1e-6)
    assert axis.is_allclose(axis.to_unit("arcmin"), rtol=1e-12)


def test_slice_squash_downsample(energy):
    assert_array_equal(energy.slice(slice(3, 7)).edges, energy.edges[3:8])
    assert_array_equal(energy.slice(slice(None, -25)).edges, energy.edges[:3])
    assert_array_equal(energy.squash().edges, energy.edges[[0, -1]])
    assert_array_equal(energy.downsample(9).edges, energy.edges[::9])
    with pytest.raises(GeometryError, match="GX-MAPS-006"):
        energy.downsample(2)
    for idx in (slice(5, 5), slice(0, 10, 2), slice(30, 40)):
        with pytest.raises(GeometryError, match="GX-MAPS-005"):
            energy.slice(idx)


def test_comparison_ignores_units(energy):
    kev = energy.to_unit("keV")
    assert kev.unit == "keV"
    assert energy.is_allclose(kev)
    float32 = MapAxis.from_energy_edges(kev.edges_value("keV").astype(np.float32), unit="keV")
    assert energy.is_allclose(float32)
    assert not energy.is_allclose(float32, rtol=1e-9)


def test_difference_in_words(energy):
    edges = energy.edges_value("TeV").copy()
    edges[4] *= 1.01
    other = MapAxis.from_energy_edges(edges, unit="TeV").to_unit("GeV")
    assert energy.difference(energy) == ""
    edge = 0.1 * 400 ** (4 / 27)
    assert energy.difference(other) == f"edge 4: {edge:.9g} TeV against {1.01 * edge:.9g} TeV"
    assert energy.difference(energy.slice(slice(0, 9))) == "27 bins against 9"
    assert "name" in energy.difference(energy.rename("energy_true"))
    assert "unit" in energy.difference(MapAxis.from_edges([1, 2], name="energy", unit="deg"))


def test_aligned(energy):
    assert energy.is_aligned(energy.downsample(3))
    assert energy.downsample(3).is_aligned(energy.slice(slice(3, 12)))
    assert not energy.is_aligned(MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", nbin=26))


def test_frozen(energy):
    with pytest.raises(ValueError, match="read-only"):
        energy.nodes[0] = 1
    with pytest.raises(AttributeError):
        energy.name = "x"


@pytest.mark.parametrize(
    ("edges", "interp", "error", "code"),
    [
        ([1, np.nan, 3], "lin", DataValueError, "GX-MAPS-008"),
        ([1, np.inf], "lin", DataValueError, "GX-MAPS-008"),
        ([1, 3, 2], "lin", DataValueError, "GX-MAPS-009"),
        ([1, 1, 2], "lin", DataValueError, "GX-MAPS-009"),
        ([0, 1, 2], "log", DataValueError, "GX-MAPS-010"),
        ([-1, 1, 2], "sqrt", DataValueError, "GX-MAPS-010"),
        ([1], "lin", GeometryError, "GX-MAPS-003"),
        ([[1, 2], [3, 4]], "lin", GeometryError, "GX-MAPS-003"),
        ([1, 2], "cubic", SchemaError, "GX-MAPS-001"),
    ],
)
def test_refused_edges(edges, interp, error, code):
    with pytest.raises(error, match=code):
        MapAxis.from_edges(edges, name="energy", interp=interp, unit="TeV")


def test_refused_units(energy):
    with pytest.raises(UnitError, match="GX-MAPS-011"):
        MapAxis.from_energy_edges([1, 2] * u.deg)
    with pytest.raises(UnitError, match="GX-MAPS-011"):
        MapAxis.from_energy_edges([1, 2])
    with pytest.raises(UnitError, match="GX-MAPS-007"):
        MapAxis.from_energy_edges([1 * u.TeV, 2])
    with pytest.raises(UnitError, match="GX-MAPS-014"):
        MapAxis.from_energy_edges(["1 TeV", "ten TeV"])
    with pytest.raises(UnitError, match="GX-MAPS-015"):
        MapAxis([1, 2] * u.TeV)
    with pytest.raises(DataValueError, match="GX-MAPS-013"):
        MapAxis.from_edges([1, {}])
    with pytest.raises(UnitError, match="GX-MAPS-004"):
        energy.edges_value("cm")
    with pytest.raises(UnitError, match="GX-UNIT-003"):
        energy.coord_to_idx(1.0)


def test_axes_by_name_and_place(energy):
    true = MapAxis.from_energy_bounds("0.05 TeV", "100 TeV", nbin=3, name="energy_true")
    axes = MapAxes([energy, true])
    assert axes["energy"] is energy
    assert axes[1] is true
    assert axes.names == ("energy", "energy_true")
    assert axes.array_shape == (3, 27)
    assert axes.array_position("energy") == 1
    assert "energy" in axes
    assert "rad" not in axes
    assert axes.squash("energy").array_shape == (3, 1)
    assert axes.slice_by_idx({"energy": slice(2, 4)}).array_shape == (3, 2)
    assert axes.is_allclose(MapAxes([energy.to_unit("keV"), true]))
    assert "axis 'energy_true', 3 bins against 1" in axes.difference(axes.squash("energy_true"))
    assert "energy_true" in axes.difference(MapAxes([energy]))
    with pytest.raises(SchemaError, match="did you mean 'energy'"):
        axes["enrgy"]
    with pytest.raises(GeometryError, match="GX-MAPS-020"):
        MapAxes([energy, energy])
