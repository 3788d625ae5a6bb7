"""The container of flux points: closed forms, attributes, parts, and what it refuses."""

import copy
import pickle

import astropy.units as u
import numpy as np
import pytest
from flux_points_cases import AMPLITUDE, EDGES, INDEX, KINDS, REFERENCE, all_quantities, make_points, power_law
from numpy.testing import assert_allclose, assert_array_equal

from gammax.errors import DataValueError, GeometryError, SchemaError, UnitError
from gammax.estimators import FluxPoints
from gammax.models import LogParabolaSpectralModel, PowerLawSpectralModel

ERG = u.TeV.to(u.erg)


def test_references_of_a_power_law():
    # closed forms: A (E/E0)^-G and its integrals over E^0 and E^1
    points = make_points()
    x_min, x_max, e_ref = EDGES[:-1] / REFERENCE, EDGES[1:] / REFERENCE, np.sqrt(EDGES[:-1] * EDGES[1:])
    dnde = AMPLITUDE * (e_ref / REFERENCE) ** -INDEX
    flux = AMPLITUDE * REFERENCE * (x_min ** (1 - INDEX) - x_max ** (1 - INDEX)) / (INDEX - 1)
    eflux = AMPLITUDE * REFERENCE**2 * (x_min ** (2 - INDEX) - x_max ** (2 - INDEX)) / (INDEX - 2)
    assert_allclose(points.dnde_ref.to_value("TeV-1 cm-2 s-1"), dnde, rtol=1e-13)
    assert_allclose(points.flux_ref.to_value("cm-2 s-1"), flux, rtol=1e-13)
    assert_allclose(points.eflux_ref.to_value("erg cm-2 s-1"), eflux * ERG, rtol=1e-13)
    assert_allclose(points.e2dnde_ref.to_value("erg cm-2 s-1"), dnde * e_ref**2 * ERG, rtol=1e-13)


@pytest.mark.parametrize(("index", "kind"), [(1.0, "flux"), (2.0, "eflux")])
def test_references_at_the_logarithmic_index(index, kind):
    # closed form: the integral of 1/E is ln(E_max / E_min)
    points = make_points(reference_model=power_law(index=index, reference="1 TeV"))
    expected = AMPLITUDE * np.log(EDGES[1:] / EDGES[:-1]) * (ERG if kind == "eflux" else 1.0)
    assert_allclose(getattr(points, f"{kind}_ref").value, expected, rtol=1e-13)


def test_reference_of_a_curved_model():
    # the model's own integrals, which tests/models compares with 50-digit quadrature
    model = LogParabolaSpectralModel(amplitude="4e-11 TeV-1 s-1 cm-2", alpha=2.5, beta=0.2, reference="1 TeV")
    points = make_points(reference_model=model)
    edges = EDGES * u.TeV
    assert_allclose(points.flux_ref.value, model.integral(edges[:-1], edges[1:]).to_value("cm-2 s-1"), rtol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", ["", "_err", "_errp", "_errn", "_ul", "_sensitivity"])
def test_fluxes_are_norms_times_references(kind, suffix):
    points = make_points()
    expected = all_quantities()[f"norm{suffix}"] * getattr(points, f"{kind}_ref")
    found = getattr(points, f"{kind}{suffix}")
    assert found.unit == expected.unit
    assert_array_equal(found, expected)


def test_plain_quantities():
    points = make_points()
    assert_array_equal(points.stat_scan, all_quantities()["stat_scan"])
    assert points.norm.unit == u.dimensionless_unscaled
    assert not points.quantities["norm"].flags.writeable
    assert {"dnde", "eflux_ul", "e2dnde_ref", "npred", "status", "sqrt_ts"} <= set(dir(points))


def test_sqrt_ts_has_the_sign_of_the_norm():
    points = make_points(quantities={"norm": np.array([2.0, -1.0, np.nan]), "ts": np.array([9.0, 4.0, np.nan])})
    assert_array_equal(points.sqrt_ts, [3.0, -2.0, np.nan])


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        # not said: significance below 2, then any finite limit, then no norm
        (("norm", "norm_ul", "ts"), [False, False, True]),
        (("norm", "norm_ul"), [True, True, True]),
        (("norm",), [False, True, False]),
        (("norm", "is_ul", "norm_ul", "ts"), [False, True, True]),
    ],
)
def test_upper_limit_rule(keep, expected):
    points = make_points(quantities={name: all_quantities()[name] for name in keep})
    assert_array_equal(points.is_ul, expected)


def test_upper_limit_threshold():
    assert_array_equal(make_points().with_ul_threshold(1.0).is_ul, [False, False, False])
    assert_array_equal(make_points().with_ul_threshold(15.0).is_ul, [True, False, True])
    with pytest.raises(SchemaError, match="no norm_ul"):
        make_points(quantities={"norm": np.ones(3)}).with_ul_threshold(1.0)


def test_a_quantity_that_is_not_there():
    points = make_points(quantities={"norm": np.ones(3)})
    assert not hasattr(points, "dnde_ul")
    with pytest.raises(SchemaError, match="no dnde_ul") as caught:
        _ = points.dnde_ul
    assert "known:" in str(caught.value)
    assert "e2dnde_ref" in str(caught.value)
    with pytest.raises(SchemaError, match="did you mean 'dnde'"):
        _ = points.dndE


def test_points_without_bins_have_no_flux():
    points = make_points(energy_min=np.full(3, np.nan), energy_max=np.full(3, np.nan))
    assert points.available_quantities.count("dnde") == 1
    assert "flux" not in points.available_quantities
    with pytest.raises(SchemaError, match="no edges"):
        _ = points.flux
    assert "e_min" not in points.to_table().colnames


def test_slices():
    points = make_points()
    assert_array_equal(points[1:].energy_min, EDGES[1:-1])
    assert_array_equal(points[[False, False, True]].norm, [0.03])
    assert len(points[-1]) == 1
    assert points[-1].npred.shape == (1, 2)
    assert_allclose(points[-1].flux.value, points.flux.value[-1:], rtol=1e-14)
    assert_array_equal(points.slice_by_energy("1 TeV", 7e9 * u.keV).energy_min, EDGES[1:-1])
    assert_array_equal(points.slice_by_energy(energy_max="2.49 TeV").energy_max, [1.0])
    for empty in (slice(3, None), [], np.zeros(3, dtype=bool)):
        with pytest.raises(GeometryError):
            points[empty]
    with pytest.raises(GeometryError):
        points[3]
    with pytest.raises(UnitError):
        points.slice_by_energy(1.0)


def test_explicit_reference_fluxes_win():
    # a likelihood file without a model knows only the fluxes of norm 1
    fluxes = {"dnde": np.array([1.0, 2.0, 3.0]), "flux": np.array([4.0, 5.0, 6.0]), "eflux": np.ones(3)}
    points = make_points(reference_model=None, reference_fluxes=fluxes, quantities={"norm": np.full(3, 2.0)})
    assert_array_equal(points.dnde.value, [2.0, 4.0, 6.0])
    assert_array_equal(points[1:].flux.value, [10.0, 12.0])
    assert_allclose(points.eflux.value, 2.0 * ERG, rtol=1e-14)


def test_copies_and_pickles():
    for again in (copy.copy(make_points()), copy.deepcopy(make_points()), pickle.loads(pickle.dumps(make_points()))):
        assert_array_equal(again.dnde, make_points().dnde)


def test_points_are_shown_as_a_table():
    assert "0.5 to 7 TeV" in repr(make_points())
    assert "dnde_errp" in str(make_points())
    assert "npred" not in str(make_points())
    assert make_points()._repr_html_().count("<tr>") >= 4


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"energy_ref": np.array([1.0, -2.0, 3.0])}, DataValueError),
        ({"energy_ref": np.array([1.0, np.nan, 3.0])}, DataValueError),
        ({"energy_ref": 1.0}, GeometryError),
        ({"energy_min": EDGES}, GeometryError),
        ({"energy_min": EDGES[1:]}, DataValueError),
        ({"energy_unit": "cm"}, UnitError),
        ({"reference_model": None}, SchemaError),
        ({"reference_fluxes": {"dnde": np.ones(3)}}, SchemaError),
        ({"reference_fluxes": {"dnde": np.ones(3), "flux": np.ones(2), "eflux": np.ones(3)}}, GeometryError),
        ({"dataset_names": ("one",)}, GeometryError),
        ({"quantities": {"ts": np.ones(3)}}, SchemaError),
        ({"quantities": {"norm": np.ones(3), "norm_upper": np.ones(3)}}, SchemaError),
        ({"quantities": {"norm": np.ones(2)}}, GeometryError),
        ({"quantities": {"norm": np.ones(3), "npred": np.ones(3)}}, GeometryError),
        ({"quantities": {"norm": np.array(["a", "b", "c"])}}, DataValueError),
        ({"quantities": {"norm": np.ones(3), "is_ul": np.ones(3)}}, DataValueError),
        ({"quantities": {"norm": np.ones(3), "norm_errn": np.array([0.1, -0.1, 0.1])}}, DataValueError),
    ],
)
def test_what_cannot_be(changes, error):
    with pytest.raises(error):
        make_points(**changes)


def test_a_reference_without_flux():
    model = PowerLawSpectralModel(index=2.0, amplitude="0 TeV-1 s-1 cm-2")
    with pytest.raises(DataValueError, match="no positive dnde"):
        _ = make_points(reference_model=model).dnde


def test_energies_with_units():
    points = FluxPoints(
        EDGES[:-1] * u.TeV,
        EDGES[1:] * 1e9 * u.keV,
        [0.7, 1.5, 4.0] * u.TeV,
        power_law(),
        {"norm": np.ones(3)},
        energy_unit="GeV",
    )
    assert_allclose(points.energy_max, EDGES[1:], rtol=1e-14)
    assert_allclose(points.e_ref.value, [700.0, 1500.0, 4000.0], rtol=1e-14)
    assert points.e_min.unit == u.GeV
