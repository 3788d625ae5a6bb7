"""Parameters: units, bounds, links, and what is refused."""

import astropy.units as u
import jax.numpy as jnp
import numpy as np
import pytest

from gammax.errors import ModelError, UnitError
from gammax.models import (
    ExpCutoffPowerLawSpectralModel,
    Models,
    Parameter,
    PowerLawSpectralModel,
    SkyModel,
    SpectralModel,
)
from gammax.units import canonical_factor


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("TeV", 1.0),
        ("GeV", 1e-3),
        ("keV", 1e-9),
        ("erg", 1 / 1.602176634),
        ("TeV-1 s-1 cm-2", 1.0),
        ("m-2 s-1 GeV-1", 1e-4 * 1e3),
        ("1 / (MeV s cm2)", 1e6),
        ("h", 3600.0),
        ("m2 s", 1e4),
        ("deg", 1.0),
        ("rad", 180 / np.pi),
        ("sr", 1.0),
        ("", 1.0),
        ("erg s-1 cm-2", 1 / 1.602176634),
        ("TeV-1 s-1 cm-2 sr-1", 1.0),
        ("1/s/MeV/sr", 1e6),
        ("m**2", 1e4),
        ("sr^(-1)", 1.0),
    ],
)
def test_canonical_factors(unit, factor):
    """TeV, cm, s, deg, sr; 1 TeV = 1.602176634 erg by the definition of the electron volt (SI 2019)."""
    np.testing.assert_allclose(canonical_factor(unit), factor, rtol=1e-14)


def test_value_unit_and_bounds():
    p = Parameter("amplitude", "3e-12 TeV-1 s-1 cm-2", min="1e-9 m-2 s-1 TeV-1")
    assert (p.unit, p.frozen, p.link) == ("TeV-1 s-1 cm-2", False, None)
    np.testing.assert_allclose([p.value, p.min, p.max], [3e-12, 1e-13, np.inf])
    assert p.value.dtype == np.float64
    assert p.replace(value=2e-12 * u.Unit("TeV-1 s-1 cm-2")).value == 2e-12
    assert p.quantity == 3e-12 * u.Unit("TeV-1 s-1 cm-2")
    assert np.isinf(Parameter("index", 2.0, min=np.nan).min)


def test_user_units_are_kept_and_evaluate_alike():
    """Same spectrum in other units: 1e-12 relative."""
    one = ExpCutoffPowerLawSpectralModel(index=2.0, amplitude="1e-12 TeV-1 s-1 cm-2", lambda_="0.1 TeV-1")
    two = ExpCutoffPowerLawSpectralModel(
        index=2.0, amplitude="1e-11 m-2 s-1 GeV-1", lambda_="1e-4 GeV-1", reference="1e9 keV"
    )
    assert two.amplitude.unit == "GeV-1 s-1 m-2"
    energy = np.geomspace(0.1, 100, 7)
    np.testing.assert_allclose(two.dnde(jnp.asarray(energy)), one.dnde(jnp.asarray(energy)), rtol=1e-12)


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (lambda: PowerLawSpectralModel(indx=2.0), ModelError),
        (lambda: PowerLawSpectralModel(amplitude=1e-12), UnitError),
        (lambda: PowerLawSpectralModel(amplitude="1e-12 TeV"), UnitError),
        (lambda: PowerLawSpectralModel(reference="1 TeVV"), UnitError),
        (lambda: PowerLawSpectralModel(index=Parameter("x", 1.0, unit="TeV")), UnitError),
        (lambda: Parameter("x", 1.0, min=2.0, max=1.0), ModelError),
        (lambda: Parameter("x", 1.0, interp="cubic"), ModelError),
        (lambda: Parameter("x", "abc"), UnitError),
        (lambda: Parameter("x", object()), ModelError),
        (lambda: Parameter("x", [1.0, 2.0]), ModelError),
        (lambda: Models([PowerLawSpectralModel()]), ModelError),
        (lambda: PowerLawSpectralModel().integral("3 TeV", "1 TeV"), ModelError),
        (lambda: PowerLawSpectralModel().integral("0 TeV", "1 TeV"), ModelError),
        (lambda: type("Odd", (SpectralModel,), {"unit": "MeV-1 s-1 cm-2"}), ModelError),
        (lambda: PowerLawSpectralModel().replace(indx=2.0), ModelError),
        (lambda: PowerLawSpectralModel().freeze("indx"), ModelError),
    ],
)
def test_what_is_refused(build, error):
    with pytest.raises(error) as caught:
        build()
    assert caught.value.code.startswith("GX-")


def test_replace_and_freeze_return_new_models():
    model = PowerLawSpectralModel(index=2.0)
    other = model.replace(index=2.3, amplitude="2e-8 m-2 s-1 TeV-1").freeze("index")
    assert (float(other.index.value), other.index.frozen) == (2.3, True)
    np.testing.assert_allclose(other.amplitude.value, 2e-12, rtol=1e-15)
    assert (float(model.index.value), model.index.frozen) == (2.0, False)
    assert not other.unfreeze().reference.frozen


def test_links_share_value_bounds_and_state():
    models = Models(
        [
            SkyModel(PowerLawSpectralModel(index=Parameter("index", 2.2, min=1.0, link="shape")), "a"),
            SkyModel(PowerLawSpectralModel(index=Parameter("index", 3.0, link="shape")), "b"),
        ]
    )
    assert float(models["b"].spectral_model.index.value) == 2.2
    assert float(models["b"].spectral_model.index.min) == 1.0
    with pytest.raises(ModelError, match="GX-MODEL-019"):
        models.link("nonsense", "a.spectral.index", "b.spectral.amplitude")
    # the label forgotten: this would link one parameter with nothing
    with pytest.raises(ModelError, match="GX-MODEL-118"):
        models.link("a.spectral.index", "b.spectral.index")
    with pytest.raises(ModelError, match="GX-MODEL-118"):
        models.link("index")


def test_models_by_name_and_index():
    models = Models([SkyModel(PowerLawSpectralModel(), "a"), SkyModel(PowerLawSpectralModel(index=3.0), "b")])
    assert models.names == ("a", "b")
    assert models[1].name == models["b"].name == "b"
    assert float(models.with_values({"b.spectral.index": 2.7})["b"].spectral_model.index.value) == 2.7
    assert models.freeze("a.spectral.index")["a"].spectral_model.index.frozen
    with pytest.raises(ModelError, match="did you mean 'b'"):
        models["bb"]
    with pytest.raises(ModelError, match="same name"):
        models + models["a"]
    table = models.to_parameters_table()
    assert list(table["name"]) == ["index", "amplitude", "reference"] * 2
    assert np.isnan(table["error"]).all()


def linked():
    models = Models([SkyModel(PowerLawSpectralModel(), "a"), SkyModel(PowerLawSpectralModel(index=3.0), "b")])
    return models.link("i", "b.spectral.index", "a.spectral.index")


def test_linked_parameters_stay_one():
    """The first named gives the value; what changes one changes all, and drops the covariance of the old values."""
    models = linked()
    assert [float(models[name].spectral_model.index.value) for name in "ab"] == [3.0, 3.0]
    moved = Models(models.models, np.eye(6)).with_values({"b.spectral.index": 2.5})
    assert [float(moved[name].spectral_model.index.value) for name in "ab"] == [2.5, 2.5]
    assert moved.covariance is None
    frozen = models.freeze("b.spectral.index")
    assert [frozen[name].spectral_model.index.frozen for name in "ab"] == [True, True]


def test_one_spectrum_in_two_sources_has_two_covariances():
    spectrum = PowerLawSpectralModel(index=2.0)
    models = Models([SkyModel(spectrum, "a"), SkyModel(spectrum, "a.spectral")], np.diag(np.arange(6.0)))
    np.testing.assert_array_equal(np.diag(models.subcovariance("a")), [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(np.diag(models.subcovariance("a.spectral")), [3.0, 4.0, 5.0])
    assert list(models.to_parameters_table()["model"]) == ["a"] * 3 + ["a.spectral"] * 3


def test_values_are_copied_and_read_only():
    mine = np.array(2.0)
    p = Parameter("index", mine)
    mine[...] = 9.0
    assert p.value == 2.0
    with pytest.raises(ValueError, match="read-only"):
        p.value[...] = 9.0


def test_another_unit_converts_value_and_bounds():
    p = Parameter("reference", "1 TeV", min="100 GeV").replace(unit="GeV")
    np.testing.assert_allclose([p.value, p.min, p.max], [1000.0, 100.0, np.inf])
