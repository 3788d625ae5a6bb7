"""Priors: densities against scipy, derivatives without NaN, units, bounds, links, tables and files."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import yaml

from gammax.errors import ModelError, SchemaError
from gammax.models import (
    FoVBackgroundModel,
    GaussianPrior,
    GeneralizedGaussianPrior,
    LogNormalPrior,
    LogUniformPrior,
    Models,
    Parameter,
    PointSpatialModel,
    PowerLawSpectralModel,
    Prior,
    SkyModel,
    UniformPrior,
)
from gammax.models._prior import PRIORS, number

# our class, scipy's density, values inside, at and outside the edges of the support
CASES = [
    (GaussianPrior(1.2, 0.3), scipy.stats.norm(1.2, 0.3), [-5.0, 1.2, 1.3, 40.0]),
    (UniformPrior(-1.0, 3.0), scipy.stats.uniform(-1.0, 4.0), [-1.0, 0.0, 3.0, 3.1, -2.0]),
    (LogUniformPrior(1e-13, 1e-11), scipy.stats.loguniform(1e-13, 1e-11), [1e-13, 3e-12, 1e-11, 2e-11, 0.0, -1.0]),
    (
        GeneralizedGaussianPrior(0.4, 0.2, 0.3),
        scipy.stats.gennorm(1 / 0.3, 0.4, 0.2 * np.sqrt(2)),
        [-1.0, 0.4, 0.5, 2.0],
    ),
    (GeneralizedGaussianPrior(0.4, 0.2, 1.0), scipy.stats.gennorm(1.0, 0.4, 0.2 * np.sqrt(2)), [-1.0, 0.5, 2.0]),
    (LogNormalPrior(-1.0, 0.5), scipy.stats.lognorm(0.5, scale=np.exp(-1.0)), [1e-3, 0.3, 1.0, 20.0, 0.0, -1.0]),
]
IDS = ["gaussian", "uniform", "log uniform", "generalised", "laplace", "log normal"]


@pytest.mark.parametrize(("prior", "density", "values"), CASES, ids=IDS)
def test_statistic_is_scipys(prior, density, values):
    """-2 ln pdf, constants included, infinite outside the support, times the weight."""
    found = [float(prior.statistic(value)) for value in values]
    np.testing.assert_allclose(found, -2.0 * density.logpdf(values), rtol=1e-13, atol=1e-13)
    heavier = eqx.tree_at(lambda prior: prior.weight, prior, np.float64(2.5))
    np.testing.assert_allclose(float(heavier.statistic(values[1])), -5.0 * density.logpdf(values[1]), rtol=1e-13)


@pytest.mark.parametrize(("prior", "density", "values"), CASES, ids=IDS)
def test_derivatives_are_numbers_everywhere(prior, density, values):
    """By the value and by the numbers of the prior, inside and outside, where outside is flat."""
    centre = np.atleast_1d(getattr(prior, "mu", values[0]))
    for value in [*values, *centre]:
        slope, bend = jax.grad(prior.statistic)(value), jax.hessian(prior.statistic)(value)
        by_numbers = jax.tree.leaves(jax.grad(lambda prior, value=value: prior.log_pdf(value))(prior))
        assert np.all(np.isfinite([slope, bend, *by_numbers]))
        if np.isinf(density.logpdf(value)):
            assert slope == bend == 0.0
    inside = values[1]
    step = 1e-5 * abs(inside) or 1e-5
    f = -2.0 * density.logpdf(inside + step * np.array([-2, -1, 1, 2]))
    want = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step)
    np.testing.assert_allclose(jax.grad(prior.statistic)(inside), want, rtol=1e-6, atol=1e-6)


def test_generalised_gaussian_of_half_is_a_gaussian():
    values = np.linspace(-3.0, 5.0, 9)
    one, other = GeneralizedGaussianPrior(1.0, 0.7, 0.5), GaussianPrior(1.0, 0.7)
    np.testing.assert_allclose(jax.vmap(one.statistic)(values), jax.vmap(other.statistic)(values), rtol=1e-12)
    np.testing.assert_allclose(jax.hessian(one.statistic)(1.0), 2.0 / 0.7**2, rtol=1e-12)


def test_numbers_can_be_swept():
    """Widths are leaves: differentiated by, and swept under vmap."""
    found = jax.vmap(lambda sigma: GaussianPrior(0.0, sigma).statistic(1.0))(jnp.array([0.5, 2.0]))
    np.testing.assert_allclose(found, -2.0 * scipy.stats.norm.logpdf(1.0, 0.0, [0.5, 2.0]), rtol=1e-14)
    # d/dsigma (z^2 + 2 ln sigma) = -2 (x - mu)^2 / sigma^3 + 2 / sigma
    np.testing.assert_allclose(jax.grad(lambda s: GaussianPrior(0.0, s).statistic(1.0))(2.0), -2 / 8 + 1.0, rtol=1e-14)


@pytest.mark.parametrize(
    "make",
    [
        lambda: GaussianPrior(0.0, 0.0),
        lambda: GaussianPrior(0.0, np.nan),
        lambda: UniformPrior(1.0, 1.0),
        lambda: UniformPrior(0.0, np.inf),
        lambda: LogUniformPrior(0.0, 1.0),
        lambda: LogNormalPrior(0.0, -1.0),
        lambda: GeneralizedGaussianPrior(0.0, 1.0, 0.0),
        lambda: GeneralizedGaussianPrior(0.0, 1.0, np.inf),
        lambda: GeneralizedGaussianPrior(0.0, np.inf),
        lambda: GaussianPrior(np.nan, 1.0),
        lambda: GaussianPrior(0.0, np.inf),
        lambda: LogNormalPrior(np.inf, 1.0),
        lambda: GaussianPrior(0.0, 1.0, weight=-1.0),
        lambda: UniformPrior(0.0, 1.0, weight=np.nan),
    ],
)
def test_no_density_is_refused(make):
    with pytest.raises(ModelError, match="GX-MODEL-103"):
        make()


def test_a_prior_without_weight_is_none():
    """Outside its support too, and so are the derivatives."""
    prior = UniformPrior(0.0, 1.0, weight=0.0)
    value, slope = jax.value_and_grad(prior.statistic)(2.0)
    assert (float(value), float(slope)) == (0.0, 0.0)
    assert np.isfinite(jax.grad(lambda w: UniformPrior(0.0, 1.0, weight=w).statistic(2.0))(0.0))


def test_units_are_refused_and_foreign_objects():
    with pytest.raises(ModelError, match="GX-MODEL-101"):
        GaussianPrior("1 TeV", "0.1 TeV")
    with pytest.raises(ModelError, match="GX-MODEL-104"):
        Parameter("index", 2.0, prior=scipy.stats.norm(2.0, 0.1))


def test_a_parameter_keeps_its_prior():
    p = Parameter("index", 2.0, prior=GaussianPrior(2.0, 0.1))
    for other in (p.replace(value=3.0), p.with_value(3.0), p.replace(frozen=True), p.replace(name="alpha")):
        assert float(other.prior.sigma) == 0.1
    assert p.replace(prior=None).prior is None
    assert repr(p) == "Parameter(index = 2, prior=GaussianPrior(mu=2, sigma=0.1))"
    assert repr(GaussianPrior(2.0, 0.1, weight=0.5)) == "GaussianPrior(mu=2, sigma=0.1, weight=0.5)"


@pytest.mark.parametrize(
    "prior",
    [
        GaussianPrior(2.0, 0.1),
        GeneralizedGaussianPrior(2.0, 0.1, 0.4),
        LogNormalPrior(0.6, 0.2),
        UniformPrior(1.0, 4.0),
        LogUniformPrior(1.0, 4.0),
    ],
)
def test_another_unit_converts_the_prior(prior):
    """p(1000 x) d(1000 x) = p(x) dx: the statistic changes by 2 ln 1000."""
    p = Parameter("energy", 2.2, "TeV", prior=prior)
    other = p.replace(unit="GeV")
    change = other.prior.statistic(other.value) - p.prior.statistic(p.value)
    np.testing.assert_allclose(change, 2 * np.log(1000.0), rtol=1e-12)
    np.testing.assert_allclose([other.min, other.max], [1000 * p.min, 1000 * p.max])
    moved = p.replace(value="1500 GeV", unit="GeV")
    np.testing.assert_allclose(moved.prior.statistic(1500.0), prior.statistic(1.5) + 2 * np.log(1000.0), rtol=1e-12)


class HalfCosine(Prior):
    """A user's prior: density cos(value / width) / (2 width), its bounds left to the parameter."""

    width: jax.Array = number(1.0)

    def log_pdf(self, value):
        """Logarithm of the density."""
        return jnp.log(jnp.cos(value / self.width)) - jnp.log(2.0 * self.width)


def test_a_users_prior():
    p = Parameter("offset", 0.1, "deg", prior=HalfCosine(0.5))
    np.testing.assert_allclose(p.prior.statistic(p.value), -2 * np.log(np.cos(0.2)), rtol=1e-13)
    assert PRIORS["HalfCosine"] is HalfCosine
    with pytest.raises(ModelError, match="GX-MODEL-102"):
        p.replace(unit="rad")


def test_support_narrows_the_bounds_as_long_as_it_is_there():
    p = Parameter("norm", 1.0, min=-5.0, max=2.0)
    bounded = p.replace(prior=UniformPrior(0.0, 10.0))
    assert (bounded.min, bounded.max) == (0.0, 2.0)
    assert (bounded.replace(prior=UniformPrior(0.5, 1.5)).max, bounded.replace(prior=None).min) == (1.5, -5.0)
    assert "min=0, max=2" in repr(bounded)
    assert (p.replace(prior=GaussianPrior(0.0, 1.0)).min, p.replace(prior=LogNormalPrior()).min) == (-5.0, 0.0)
    with pytest.raises(ModelError, match="GX-MODEL-002"):
        p.replace(prior=UniformPrior(3.0, 4.0))


def two_sources():
    spectrum = PowerLawSpectralModel(index=2.2, amplitude="1e-12 TeV-1 s-1 cm-2")
    return Models([SkyModel(spectrum, name="a"), SkyModel(spectrum, name="b")])


def test_with_prior():
    models = two_sources().with_prior("b.spectral.index", GaussianPrior(2.0, 0.1))
    assert [p.prior is not None for p in models.parameters.values()] == [False, False, False, True, False, False]
    assert models.with_values({"b.spectral.index": 3.0}).freeze().parameters["b.spectral.index"].prior is not None
    assert models.with_prior("b.spectral.index", None).parameters["b.spectral.index"].prior is None
    with pytest.raises(ModelError, match="GX-MODEL-017"):
        models.with_prior("b.spectral.indx", GaussianPrior(2.0, 0.1))
    table = models.to_parameters_table()
    assert table["prior"][3] == "GaussianPrior(mu=2, sigma=0.1)"
    assert "tie" not in table.colnames
    assert "prior" not in two_sources().to_parameters_table().colnames


def test_linked_parameters_have_one_prior():
    linked = two_sources().link("index", "a.spectral.index", "b.spectral.index")
    both = linked.with_prior("b.spectral.index", GaussianPrior(2.0, 0.1))
    assert [str(p.prior) for name, p in both.parameters.items() if name.endswith("index")] == [
        "GaussianPrior(mu=2, sigma=0.1)"
    ] * 2
    # one that does not say how it is converted need not be
    own = linked.with_prior("b.spectral.index", HalfCosine(5.0))
    assert isinstance(own.freeze("a.spectral.index").replace(own["b"]).parameters["b.spectral.index"].prior, HalfCosine)
    changed = both["b"].spectral_model.replace(
        index=both["b"].spectral_model.index.replace(prior=GaussianPrior(2.0, 0.3))
    )
    with pytest.raises(ModelError, match="GX-MODEL-105"):
        both.replace(both["b"].replace(spectral_model=changed))


# written by Gammapy 2.1, which gives the sum of its priors as -22.757710358012222
PEER = """
components:
- name: a
  type: SkyModel
  spectral:
    type: PowerLawSpectralModel
    parameters:
    - {name: index, value: 2.0, prior: {type: GaussianPrior, parameters: [{name: mu, value: 2.0, unit: ''}, {name: sigma, value: 0.1, unit: ''}], weight: 1}}
    - {name: amplitude, value: 1.0e-12, unit: TeV-1 s-1 cm-2, min: 1.0e-13, max: 1.0e-11, prior: {type: LogUniformPrior, parameters: [{name: min, value: 1.0e-13, unit: ''}, {name: max, value: 1.0e-11, unit: ''}], weight: 0.5}}
    - {name: reference, value: 1.0, unit: TeV}
  spatial:
    type: PointSpatialModel
    frame: icrs
    parameters:
    - {name: lon_0, value: 1.0, unit: deg, min: 0.0, max: 3.0, prior: {type: UniformPrior, parameters: [{name: min, value: 0.0, unit: ''}, {name: max, value: 3.0, unit: ''}], weight: 1}}
    - {name: lat_0, value: 2.0, unit: deg, prior: {type: GeneralizedGaussianPrior, parameters: [{name: mu, value: 0.0, unit: ''}, {name: sigma, value: 3.0, unit: ''}, {name: eta, value: 0.3, unit: ''}], weight: 1}}
- type: FoVBackgroundModel
  datasets_names: [d]
  spectral:
    type: PowerLawNormSpectralModel
    parameters:
    - {name: tilt, value: 0.0, prior: {type: GaussianPrior, parameters: [{name: mu, value: 0.1, unit: ''}, {name: sigma, value: 0.05, unit: ''}], weight: 1}}
    - {name: norm, value: 1.0, prior: {type: GaussianPrior, parameters: [{name: mu, value: 1.1, unit: ''}, {name: sigma, value: 0.05, unit: ''}], weight: 1}}
    - {name: reference, value: 1.0, unit: TeV}
"""  # noqa: E501


def prior_sum(models):
    return sum(float(p.prior.statistic(p.value)) for p in models.parameters.values() if p.prior is not None)


def test_the_peers_file():
    models = Models.from_dict(yaml.safe_load(PEER))
    np.testing.assert_allclose(prior_sum(models), -22.757710358012222, rtol=1e-14)
    amplitude = models["a"].spectral_model.amplitude
    assert (float(amplitude.min), float(amplitude.max), float(amplitude.prior.weight)) == (1e-13, 1e-11, 0.5)
    # bounds that are those of the prior go with it
    assert np.isinf(amplitude.replace(prior=None).max)


def test_files_keep_priors(tmp_path):
    models = Models.from_dict(yaml.safe_load(PEER))
    models.write(tmp_path / "models.yaml")
    again = Models.read(tmp_path / "models.yaml")
    assert again.to_dict() == models.to_dict()
    assert prior_sum(again) == prior_sum(models)
    entry = models.to_dict()["components"][1]["spectral"]["parameters"][1]
    numbers = [{"name": "mu", "value": 1.1, "unit": ""}, {"name": "sigma", "value": 0.05, "unit": ""}]
    assert entry == {
        "name": "norm",
        "value": 1.0,
        "prior": {"type": "GaussianPrior", "parameters": numbers, "weight": 1.0},
    }


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("GaussianPrior", "GausianPrior", "GaussianPrior"),
        ("name: sigma, value: 0.1", "name: width, value: 0.1", "width"),
        ("name: sigma, value: 0.1", "name: sigma, value: -0.1", "sigma > 0"),
        ("name: sigma, value: 0.1, unit: ''", "name: sigma, value: 0.1, unit: TeV", "another unit"),
        ("name: sigma, value: 0.1, unit: ''", "name: sigma, value: 0.1, unit: parsnip", "another unit"),
        ("name: min, value: 1.0e-13, unit: ''", "name: min, value: 1.0e-13, unit: GeV-1 s-1 cm-2", "another unit"),
        ("weight: 0.5", "strength: 0.5", "strength"),
    ],
)
def test_faulty_priors_in_files(old, new, words):
    with pytest.raises(SchemaError, match=f"(?s)GX-MODEL-073.*{words}"):
        Models.from_dict(yaml.safe_load(PEER.replace(old, new, 1)))


def test_units_of_priors_in_files_may_be_said():
    """The unit of its parameter changes nothing."""
    for unit in ("TeV-1 s-1 cm-2", "cm-2 s-1 TeV-1"):
        said = PEER.replace("name: min, value: 1.0e-13, unit: ''", f"name: min, value: 1.0e-13, unit: {unit}")
        assert prior_sum(Models.from_dict(yaml.safe_load(said))) == prior_sum(Models.from_dict(yaml.safe_load(PEER)))


def test_priors_of_backgrounds_and_shapes():
    """By name, as any other parameter."""
    source = SkyModel(
        PowerLawSpectralModel(), name="a", spatial_model=PointSpatialModel(lon_0="1 deg", lat_0="2 deg", frame="icrs")
    )
    models = Models([source, FoVBackgroundModel("d")])
    models = models.with_prior("a.spatial.lon_0", UniformPrior(0.0, 3.0))
    models = models.with_prior("d-bkg.spectral.norm", GaussianPrior(1.0, 0.01))
    assert models["a"].spatial_model.lon_0.max == 3.0
    assert float(models["d-bkg"].spectral_model.norm.prior.sigma) == 0.01
