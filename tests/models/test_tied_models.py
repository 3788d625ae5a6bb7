"""Parameters that are functions of others, in models: values follow, and what cannot be is refused."""

import jax.numpy as jnp
import numpy as np
import pytest

from gammax.errors import GammaxWarning, ModelError
from gammax.models import (
    FoVBackgroundModel,
    GaussianPrior,
    Models,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
)


def twice(x):
    return 2.0 * x


def make_models():
    spectrum = PowerLawSpectralModel(index=2.2, amplitude="1e-12 TeV-1 s-1 cm-2")
    return Models([SkyModel(spectrum, name=name) for name in "abc"])


def value(models, name):
    return float(models.parameters[name].value)


def test_a_tied_value_follows():
    models = make_models().tie("b.spectral.amplitude", twice, "a.spectral.amplitude")
    assert value(models, "b.spectral.amplitude") == 2e-12
    assert models.parameters["b.spectral.amplitude"].frozen
    moved = models.with_values({"a.spectral.amplitude": 3e-12})
    assert value(moved, "b.spectral.amplitude") == 6e-12
    changed = moved.replace(moved["a"].replace(spectral_model=moved["a"].spectral_model.replace(amplitude=1e-12)))
    assert value(changed, "b.spectral.amplitude") == 2e-12
    assert len(Models(models).ties) == len((models.select(frozen=False) + make_models().select("zzz")).ties) == 1


def test_ties_of_ties_in_any_order():
    models = make_models().tie("c.spectral.index", lambda a, b: a + b, "a.spectral.index", "b.spectral.index")
    models = models.tie("b.spectral.index", jnp.sqrt, "a.spectral.index")
    np.testing.assert_allclose(value(models, "c.spectral.index"), 2.2 + np.sqrt(2.2), rtol=1e-15)
    table = models.to_parameters_table()
    assert table["tie"].tolist()[6] == "<lambda>(a.spectral.index, b.spectral.index)"
    assert table["tie"].tolist()[3] == "sqrt(a.spectral.index)"


def test_units_are_those_of_the_parameters():
    spectrum = PowerLawSpectralModel(index=2.2, amplitude="1e-15 GeV-1 s-1 cm-2")
    models = Models([make_models()["a"], SkyModel(spectrum, name="g")])
    tied = models.tie("g.spectral.amplitude", lambda x: 1e-3 * x, "a.spectral.amplitude")
    np.testing.assert_allclose(tied.parameters["g.spectral.amplitude"].canonical, 1e-12, rtol=1e-14)


def test_states():
    """A tied parameter is frozen whatever is unfrozen; untied it stays so."""
    models = make_models().tie("b.spectral.index", twice, "a.spectral.index")
    for free in (models.freeze().unfreeze(), models.unfreeze(model_type="spectral")):
        assert free.parameters["b.spectral.index"].frozen
        assert not free.parameters["b.spectral.amplitude"].frozen
    untied = models.untie("b.spectral.index")
    assert untied.ties == models.untie().ties == ()
    assert value(untied.with_values({"a.spectral.index": 1.0}), "b.spectral.index") == 4.4
    assert not untied.unfreeze("b.spectral.index").parameters["b.spectral.index"].frozen


def test_selections():
    models = (
        make_models()
        .tie("b.spectral.index", twice, "a.spectral.index")
        .tie("c.spectral.index", twice, "a.spectral.index")
    )
    assert models.select(name_substring="b").ties == ()
    assert models.select(name_substring="b").parameters["b.spectral.index"].frozen
    with_background = models + FoVBackgroundModel("d") + FoVBackgroundModel("e")
    tied = with_background.tie("e-bkg.spectral.norm", twice, "d-bkg.spectral.norm")
    assert [tie.name for tie in tied.reassign("e", "f").ties][-1] == "f-bkg.spectral.norm"
    assert [tie.name for tie in tied.background_models.ties] == ["e-bkg.spectral.norm"]


def test_a_prior_of_a_tied_parameter():
    models = make_models().tie("b.spectral.index", twice, "a.spectral.index")
    assert models.with_prior("b.spectral.index", GaussianPrior(4.0, 0.1)).ties == models.ties


INDEX = ("a.spectral.index", "b.spectral.index", "c.spectral.index")


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda m: m.tie("a.spectral.indx", twice, INDEX[1]), "GX-MODEL-017"),
        (lambda m: m.tie(INDEX[0], twice, "b.spectral.indx"), "GX-MODEL-017"),
        (lambda m: m.tie(INDEX[0], twice), "GX-MODEL-106"),
        (lambda m: m.tie(INDEX[0], 2.0, INDEX[1]), "GX-MODEL-106"),
        (lambda m: m.tie(INDEX[0], twice, INDEX[1]).tie(INDEX[0], twice, INDEX[2]), "GX-MODEL-107"),
        (lambda m: m.tie(INDEX[0], twice, INDEX[0]), "GX-MODEL-108"),
        (lambda m: m.tie(INDEX[0], twice, INDEX[1]).tie(INDEX[1], twice, INDEX[0]), "GX-MODEL-108"),
        (lambda m: m.link("i", *INDEX[:2]).tie(INDEX[0], twice, INDEX[2]), "GX-MODEL-109"),
        (lambda m: m.tie(INDEX[0], twice, INDEX[1]).link("i", INDEX[0], INDEX[2]), "GX-MODEL-109"),
        (lambda m: m.tie(INDEX[0], twice, INDEX[1]).unfreeze(INDEX[0]), "GX-MODEL-109"),
        (lambda m: m.tie(INDEX[0], twice, INDEX[1]).with_values({INDEX[0]: 2.0}), "GX-MODEL-109"),
        (lambda m: m.tie(INDEX[0], twice, INDEX[1]).replace(m["a"]), "GX-MODEL-109"),
        (lambda m: m.tie(INDEX[0], lambda x: jnp.array([x, x]), INDEX[1]), "GX-MODEL-029"),
    ],
)
def test_refused(make, code):
    with pytest.raises(ModelError, match=code):
        make(make_models())


def test_files_have_the_value_alone(tmp_path):
    models = make_models().tie("b.spectral.index", twice, "a.spectral.index")
    with pytest.warns(GammaxWarning, match=r"GX-MODEL-114.*b.spectral.index = twice\(a.spectral.index\)"):
        models.write(tmp_path / "models.yaml")
    again = Models.read(tmp_path / "models.yaml")
    assert again.ties == ()
    assert (value(again, "b.spectral.index"), again.parameters["b.spectral.index"].frozen) == (4.4, True)


def test_a_norm_model_can_be_tied():
    """Parts of a compound, by their names."""
    spectrum = PowerLawSpectralModel(amplitude="1e-12 TeV-1 s-1 cm-2") * PowerLawNormSpectralModel()
    models = make_models() + SkyModel(spectrum, name="d")
    tied = models.tie("d.spectral.norm", lambda x: x / 1e-12, "a.spectral.amplitude")
    np.testing.assert_allclose(value(tied, "d.spectral.norm"), 1.0, rtol=1e-15)
