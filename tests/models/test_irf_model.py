"""Models of responses: what they are made from, as members of `Models`, and their YAML."""

import numpy as np
import pytest
import yaml

from gammax.errors import ModelError, SchemaError
from gammax.models import (
    FoVBackgroundModel,
    GaussianPrior,
    IRFModel,
    Models,
    Parameter,
    PowerLawSpectralModel,
    SkyModel,
)


def hess(**scales):
    return IRFModel("hess", ["a", "b"], **scales)


def test_all_is_neutral_and_frozen_until_it_is_wanted():
    values = {p.name: (float(p.value), p.frozen) for p in hess().parameters}
    neutral = {"energy_scale_true": 0.0, "energy_scale_reco": 0.0, "aeff_norm": 1.0, "aeff_tilt": 0.0}
    assert values == {name: (value, True) for name, value in {**neutral, "reference": 1.0, "psf_width": 1.0}.items()}


def test_a_prior_frees_and_a_number_does_not():
    model = hess(energy_scale_true=GaussianPrior(0.0, 0.15), aeff_norm=1.1, reference="2 TeV")
    free = [p for p in model.parameters if not p.frozen]
    assert [p.name for p in free] == ["energy_scale_true"]
    assert float(free[0].prior.sigma) == 0.15
    assert float(model.irf.aeff_norm.value) == 1.1
    wide = hess(energy_scale_true=Parameter("z", 0.1, min=-0.3, max=0.3)).irf.energy_scale_true
    assert (wide.name, float(wide.max), wide.frozen) == ("energy_scale_true", 0.3, False)


def test_it_is_a_member_of_models():
    source = SkyModel(PowerLawSpectralModel(), name="x")
    models = Models([source, hess(), FoVBackgroundModel("a")])
    assert "hess.irf.energy_scale_true" in models.parameters
    assert models.background_models.names == ("a-bkg",)
    assert models.sky_models.names == ("x",)
    assert models.select(tag="IRFModel").names == ("hess",)
    free = models.unfreeze("hess.irf.psf_width").with_prior("hess.irf.psf_width", GaussianPrior(1.0, 0.1))
    assert not free["hess"].irf.psf_width.frozen
    # of a "spectral" part it has nothing; what its class declares is all frozen
    assert not free.freeze(model_type="spectral")["hess"].irf.psf_width.frozen
    assert free["hess"].unfreeze().irf.psf_width.frozen
    assert models.reassign("a", "c")["hess"].datasets_names == ("c", "b")
    assert models["hess"].replace(name="other", aeff_norm=0.9).irf.aeff_norm.value == 0.9
    assert "aeff_norm=1" in repr(models["hess"])


def test_yaml_both_ways(tmp_path):
    irf = hess(
        energy_scale_true=Parameter("z", 0.02, min=-0.3, max=0.3, prior=GaussianPrior(0.0, 0.15)), reference="500 GeV"
    )
    models = Models([SkyModel(PowerLawSpectralModel(), name="x"), irf])
    models = Models(models.models, np.diag(np.arange(9.0)))
    models.write(tmp_path / "models.yaml")
    back = Models.read(tmp_path / "models.yaml")
    assert back.to_dict() == models.to_dict()
    assert np.array_equal(back.covariance, models.covariance)
    found = back["hess"].irf
    assert float(found.energy_scale_true.prior.sigma) == 0.15
    assert (float(found.reference.value), found.reference.unit) == (500.0, "GeV")


def test_a_file_names_what_it_needs():
    text = """
    components:
    - {name: lst, type: IRFModel, datasets_names: run, parameters: [{name: aeff_norm, value: 1.2, frozen: false}]}
    """
    model = Models.from_dict(yaml.safe_load(text))["lst"]
    assert model.datasets_names == ("run",)
    assert (float(model.irf.aeff_norm.value), model.irf.aeff_norm.frozen) == (1.2, False)
    assert model.irf.psf_width.frozen


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: IRFModel("", ["a"]), "GX-MODEL-201"),
        (lambda: IRFModel("x", []), "GX-MODEL-202"),
        (lambda: hess(energy_scale=0.1), "GX-MODEL-005"),
        (lambda: hess().replace(aeff=0.1), "GX-MODEL-005"),
    ],
)
def test_what_it_cannot_be_made_from(make, code):
    with pytest.raises(ModelError, match=code):
        make()


def test_a_file_with_a_spectrum_of_responses():
    entry = {"name": "x", "type": "IRFModel", "datasets_names": ["a"], "spectral": {"type": "PowerLawSpectralModel"}}
    with pytest.raises(SchemaError, match="GX-MODEL-067"):
        Models.from_dict({"components": [entry]})
