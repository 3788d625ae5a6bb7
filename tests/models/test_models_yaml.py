"""Model YAML in the field's form, both ways, and its faults."""

import numpy as np
import pytest

from gammax.errors import GammaxError, GammaxWarning, SchemaError
from gammax.models import (
    ExpCutoffPowerLawSpectralModel,
    Models,
    Parameter,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    SpectralModel,
    parameter,
)

# as Gammapy 2.1 writes it (its layout and short and long keys; numbers shortened)
PEER = """
components:
-   name: src-a
    type: SkyModel
    datasets_names:
    - d1
    spectral:
        type: PowerLawSpectralModel
        parameters:
        -   name: index
            value: 2.3
            error: 0.1
            min: 1.0
            max: .nan
            link: index@LuVlbdt2
        -   name: amplitude
            value: 3.0e-12
            unit: TeV-1 s-1 cm-2
            error: 2.0e-13
        -   name: reference
            value: 1.0
            unit: TeV
-   name: src-b
    type: sky-model
    spectral:
        type: ecpl
        parameters:
        -   {name: index, value: 1.0, link: index@LuVlbdt2}
        -   {name: amplitude, value: 1e-12, unit: 1 / (TeV s m2)}
        -   {name: reference, value: 1.0, unit: TeV, frozen: true, scale_method: scale10}
        -   {name: lambda_, value: 0.1, unit: TeV-1}
        -   {name: alpha, value: 1.0}
metadata:
    creator: Gammapy 2.1
    date: '2026-11-22T14:49:59.607184'
"""


def write(tmp_path, text):
    path = tmp_path / "models.yaml"
    path.write_text(text)
    return path


def test_reads_the_peers_form(tmp_path):
    models = Models.read(write(tmp_path, PEER))
    a, b = models["src-a"], models["src-b"]
    assert a.datasets_names == ("d1",)
    assert isinstance(b.spectral_model, ExpCutoffPowerLawSpectralModel)
    assert float(b.spectral_model.index.value) == 2.3
    assert (float(a.spectral_model.index.min), float(a.spectral_model.index.max)) == (1.0, np.inf)
    assert a.spectral_model.reference.frozen
    np.testing.assert_allclose(b.spectral_model.amplitude.canonical, 1e-16)
    np.testing.assert_allclose(models.errors[:2], [0.1, 2e-13])


def test_round_trip_keeps_everything(tmp_path):
    spectrum = PowerLawSpectralModel(
        index=Parameter("index", 2.3, min=0.0, max=5.0, link="x"), reference="1 GeV"
    ) * PowerLawNormSpectralModel(norm=1.2).unfreeze("tilt")
    models = Models(
        [SkyModel(spectrum, "a", ["d1"]), SkyModel(PowerLawSpectralModel(index=Parameter("index", 1.0, link="x")), "b")]
    )
    rng = np.random.default_rng(0)
    root = rng.normal(size=(len(models.parameters),) * 2)
    models = Models(models.models, root @ root.T)
    models.write(tmp_path / "models.yaml")
    back = Models.read(tmp_path / "models.yaml")
    assert back.to_dict() == models.to_dict()
    assert list(back.parameters) == list(models.parameters)
    np.testing.assert_array_equal(back.covariance, models.covariance)
    again = tmp_path / "again"
    back.write(again / "models.yaml")
    for name in ("models.yaml", "models_covariance.dat"):
        assert (again / name).read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("-   name: index", "-   name: indx", "GX-MODEL-024"),
        ("max: .nan", "frozn: true", "GX-MODEL-020"),
        ("datasets_names:", "datasets_name:", "GX-MODEL-020"),
        ("            value: 2.3\n", "", "GX-MODEL-020"),
        ("value: 2.3", "value: high", "GX-MODEL-020"),
        ("type: ecpl", "type: ecplx", "GX-MODEL-022"),
        ("type: sky-model", "type: cube-model", "GX-MODEL-021"),
        ("unit: TeV-1 s-1 cm-2", "unit: Tev-1 s-1 cm-2", "GX-UNIT-001"),
        ("unit: TeV-1 s-1 cm-2", "unit: TeV", "GX-MODEL-003"),
        ("name: src-b", "name: src-a", "GX-MODEL-014"),
        ("-   name: amplitude", "-   name: index", "GX-MODEL-033"),
        ("components:", "component:", "GX-MODEL-020"),
        ("metadata:", "covariance: missing.dat\nmetadata:", "GX-MODEL-026"),
        ("    error: 0.1", "    error: 0.1\n            error: 0.2", "GX-YAML-003"),
    ],
)
def test_faults_name_the_file(tmp_path, old, new, code):
    assert old in PEER
    path = write(tmp_path, PEER.replace(old, new, 1))
    with pytest.raises(GammaxError) as caught:
        Models.read(path)
    assert caught.value.code == code
    assert str(tmp_path) in str(caught.value)


def test_a_missing_parameter_takes_its_default_with_one_warning(tmp_path):
    text = PEER.replace("        -   {name: alpha, value: 1.0}\n", "")
    with pytest.warns(GammaxWarning, match="takes its default for alpha"):
        Models.read(write(tmp_path, text))


def test_covariance_of_a_product_as_the_peer_names_its_parameters(tmp_path):
    """Gammapy 2.1 names them ``crab.spectral.model1.index`` in any case, we only where names repeat."""
    product = PowerLawSpectralModel() * PowerLawNormSpectralModel()
    covariance = np.diag(np.arange(1.0, 7.0))
    path = tmp_path / "models.yaml"
    Models([SkyModel(product, "crab")], covariance).write(path)
    matrix = tmp_path / "models_covariance.dat"
    text = matrix.read_text()
    for place, name in (("model1", "index"), ("model1", "amplitude"), ("model2", "tilt"), ("model2", "norm")):
        # columns keep their places
        ours, theirs = f"{' ' * 7}crab.spectral.{name} |", f"crab.spectral.{place}.{name} |"
        assert ours in text
        text = text.replace(ours, theirs)
    matrix.write_text(text)
    np.testing.assert_array_equal(Models.read(path).covariance, covariance)
    matrix.write_text(text.replace("model1.index", "model1.alpha"))
    with pytest.raises(SchemaError, match="GX-MODEL-028"):
        Models.read(path)


def test_covariance_of_other_models_is_refused(tmp_path):
    models = Models(SkyModel(PowerLawSpectralModel(), "a"))
    Models(models.models, np.eye(3)).write(tmp_path / "models.yaml")
    path = tmp_path / "models.yaml"
    path.write_text(path.read_text().replace("name: a\n", "name: b\n"))
    with pytest.raises(SchemaError, match="GX-MODEL-028"):
        Models.read(path)


def test_errors_follow_a_link_into_its_unit(tmp_path):
    """The head of a link is in TeV-1: the other's error of 1e-5 GeV-1 is 1e-2 TeV-1."""
    text = """
components:
-   {name: a, spectral: {type: ecpl, parameters: [{name: lambda_, value: 0.1, unit: TeV-1, error: 0.02, link: x}]}}
-   {name: b, spectral: {type: ecpl, parameters: [{name: lambda_, value: 1e-4, unit: GeV-1, error: 1e-5, link: x}]}}
"""
    with pytest.warns(GammaxWarning):
        models = Models.read(write(tmp_path, text))
    np.testing.assert_allclose(models.errors[[3, 8]], [0.02, 0.01])
    assert models["b"].spectral_model.lambda_.unit == "TeV-1"


class Bounded(SpectralModel):
    """A model whose declared bound a file may lift."""

    norm: Parameter = parameter("1e-12 TeV-1 s-1 cm-2", is_norm=True, min=0.0)

    @staticmethod
    def evaluate(energy, norm):
        return norm * energy**-2.0


def test_declared_bounds_hold_unless_the_file_says_otherwise():
    bounded = Models(SkyModel(Bounded(), "x"))
    assert "min" not in bounded.to_dict()["components"][0]["spectral"]["parameters"][0]
    assert float(Models.from_dict(bounded.to_dict())["x"].spectral_model.norm.min) == 0.0
    lifted = Models(SkyModel(Bounded(norm=Parameter("norm", "1e-12 TeV-1 s-1 cm-2")), "x"))
    assert np.isneginf(Models.from_dict(lifted.to_dict())["x"].spectral_model.norm.min)


def test_a_misspelt_parameter_in_a_file_gets_its_hint(tmp_path):
    with pytest.raises(SchemaError, match="did you mean 'index'"):
        Models.read(write(tmp_path, PEER.replace("-   name: index", "-   name: indx", 1)))
