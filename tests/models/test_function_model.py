"""A plain function as spectrum and as shape: it does what a model of the same formula does."""

import jax.numpy as jnp
import numpy as np
import pytest
from astropy.units import Quantity

from cubes import make_cube
from derivatives import toy_spectrum
from gammax._yaml import read_yaml
from gammax.errors import GammaxError, GammaxWarning, ModelError, UnitError
from gammax.fit import Fit
from gammax.likelihood import Likelihood
from gammax.likelihood._likelihood import _statistic
from gammax.models import (
    FunctionSpatialModel,
    FunctionSpectralModel,
    GaussianSpatialModel,
    Models,
    Parameter,
    PowerLawSpectralModel,
    SkyModel,
)

NORM = "1.5e-12 TeV-1 s-1 cm-2"


def power_law(energy, amplitude, index, pivot):
    return amplitude * (energy / pivot) ** -index


def function_model(**changes):
    pivot = Parameter("pivot", "1000 GeV", frozen=True)
    return FunctionSpectralModel(power_law, {"amplitude": NORM, "index": 2.2, "pivot": pivot}, **changes)


def test_a_function_is_fitted_as_the_class_of_the_same_formula():
    """Values, errors, error band and integrals of a power law; the quadrature of the function is good to 1e-9."""
    spectrum = toy_spectrum("wstat")
    plain = PowerLawSpectralModel(index=2.2, amplitude=NORM)
    ours, want = (Fit().run(spectrum, SkyModel(model, name="x")) for model in (function_model(), plain))
    assert ours.status == "ok"
    assert ours.names == ("x.spectral.amplitude", "x.spectral.index")
    np.testing.assert_allclose(ours.values, want.values[::-1], rtol=1e-8)
    np.testing.assert_allclose(ours.errors, want.errors[::-1], rtol=1e-6)
    energy = Quantity([0.5, 5.0], "TeV")
    bands = (result.models.evaluate_error("x", energy) for result in (ours, want))
    np.testing.assert_allclose(*(band.value for band in bands), rtol=1e-6)
    fitted, expected = (result.models["x"].spectral_model for result in (ours, want))
    for name in ("integral", "energy_flux"):
        got, exact = (getattr(model, name)("1 TeV", "10 TeV") for model in (fitted, expected))
        assert got.to_value(exact.unit) == pytest.approx(exact.value, rel=1e-8)


def test_it_is_a_model_like_any_other():
    model = function_model(norm="amplitude")
    assert [p.name for p in model.parameters] == ["amplitude", "index", "pivot"]
    assert model.pivot.canonical == pytest.approx(1.0)
    changed = model.replace(index=2.5, amplitude="1e-8 GeV-1 s-1 m-2").freeze("index")
    assert (changed.index.value, changed.index.frozen, model.index.value) == (2.5, True, 2.2)
    assert changed("1 TeV").to_value("TeV-1 s-1 cm-2") == pytest.approx(1e-9)
    assert not changed.freeze().with_default_state().index.frozen
    assert changed.with_default_state().pivot.frozen
    assert "power_law" in repr(model)
    assert "index" in repr(model)
    models = Models([SkyModel(model, name="x"), SkyModel(model, name="y")]).link(
        "slope", "x.spectral.index", "y.spectral.index"
    )
    assert models.with_values({"x.spectral.index": 3.0})["y"].spectral_model.index.value == 3.0
    assert (model * FunctionSpectralModel(_factor, {"tau": 0.1}, unit="")).unit == "TeV-1 s-1 cm-2"
    # its norm alone free: staged as a template
    alone = Likelihood(toy_spectrum("wstat"), SkyModel(model.freeze("index"), name="x"))
    assert not alone.problem.stacks[0].moving


def _factor(energy, tau):
    return jnp.exp(-tau * energy)


def test_other_numbers_of_one_function_share_the_compiled_program():
    Likelihood(toy_spectrum("wstat"), SkyModel(function_model(), name="x"))(np.ones(2))
    compiled = _statistic._cache_size()
    Likelihood(toy_spectrum("wstat"), SkyModel(function_model().replace(index=3.0), name="y"))(np.ones(2))
    assert _statistic._cache_size() == compiled


def gaussian(lon, lat, lon_0, lat_0, sigma):
    """Flat sky, in degrees: 1 / sr of a narrow Gaussian."""
    x, y = (lon - lon_0) * jnp.cos(jnp.radians(lat_0)), lat - lat_0
    width = jnp.radians(sigma)
    return jnp.exp(-0.5 * (x**2 + y**2) / sigma**2) / (2 * jnp.pi * width**2)


def spatial_function(**changes):
    place = {"lon_0": "83.66 deg", "lat_0": "22.03 deg", "sigma": "0.12 deg"}
    radius = {"evaluation_radius": lambda lon_0, lat_0, sigma: 5.0 * sigma, "evaluation_bin_size_min": "0.03 deg"}
    return FunctionSpatialModel(gaussian, place, **{**radius, **changes})


def test_a_function_as_shape_is_folded_as_the_class_is():
    """Free in position and size: the counts of the Gaussian of our own, to 0.2 % of the largest."""
    spectrum, cube = PowerLawSpectralModel(index=2.2, amplitude="2e-10 TeV-1 s-1 cm-2"), make_cube("a", slope=0.02)
    known = GaussianSpatialModel(lon_0="83.66 deg", lat_0="22.03 deg", sigma="0.12 deg")
    ours, want = (
        Likelihood(cube, SkyModel(spectrum, "x", spatial_model=shape), dense=True)
        for shape in (spatial_function(), known)
    )
    assert ours.names == want.names
    got, exact = (model.npred_signal(model.theta0)["a"] for model in (ours, want))
    np.testing.assert_allclose(got, exact, atol=2e-3 * float(exact.max()))
    shape = spatial_function()
    assert shape.evaluation_radius == pytest.approx(0.6)
    assert shape.replace(sigma="0.06 deg").evaluation_radius == pytest.approx(0.3)
    assert shape.integrate_geom(cube.geom).data.sum() == pytest.approx(1.0, abs=1e-3)


def test_yaml_does_not_hold_code(tmp_path):
    """Written for the record, with its values and bounds; read again by nobody."""
    bounded = function_model().replace(index=Parameter("index", 2.2, min=1.0))
    models = Models([SkyModel(bounded, "x", spatial_model=spatial_function())])
    with pytest.warns(GammaxWarning, match="GX-MODEL-410") as caught:
        models.write(tmp_path / "models.yaml")
    for warning, name in zip(caught, ("power_law", "gaussian"), strict=True):
        assert f"function {name} is written" in str(warning.message)
    entry = read_yaml(tmp_path / "models.yaml", "models")["components"][0]["spectral"]
    assert entry["function"].endswith("test_function_model.power_law")
    assert entry["parameters"][1] == {"name": "index", "value": 2.2, "min": 1.0}
    with pytest.raises(ModelError, match="GX-MODEL-409"):
        Models.read(tmp_path / "models.yaml")


def _sum(energy, index):
    return jnp.sum(energy) * index


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: function_model(norm="norm"), "GX-MODEL-402"),
        (lambda: FunctionSpectralModel(power_law, {"amplitude": NORM}), "GX-MODEL-403"),
        (lambda: FunctionSpectralModel(_sum, {"index": 2.0}), "GX-MODEL-404"),
        (lambda: FunctionSpectralModel(_factor, {"unit": 1.0}), "GX-MODEL-405"),
        (lambda: FunctionSpectralModel(_factor, {"tau": "1e-4 G"}), "GX-MODEL-406"),
        (lambda: FunctionSpectralModel(_factor, {"tau": 1.0}, unit="erg"), "GX-MODEL-407"),
        (lambda: FunctionSpectralModel(lambda energy, tau: np.exp(-energy) * tau, {"tau": 1.0}), "GX-MODEL-411"),
        (lambda: FunctionSpatialModel(lambda lon, lat, size: lon * size, {"size": 1.0}), "GX-MODEL-408"),
        (lambda: spatial_function(frame="ecliptic"), "GX-MODEL-040"),
        (lambda: function_model().replace(slope=2.0), "GX-MODEL-005"),
    ],
)
def test_what_cannot_be_a_model_is_refused(make, code):
    with pytest.raises(GammaxError, match=code):
        make()


def test_a_changed_unit_must_fit():
    with pytest.raises(UnitError):
        function_model().replace(amplitude="1 TeV")
    with pytest.raises(AttributeError, match="slope"):
        function_model().slope  # noqa: B018
