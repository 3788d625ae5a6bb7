"""Posteriors against closed forms, quadrature and the fit; honest statuses; a sampler that can be stopped."""

import signal
import sys
import threading
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from scipy import stats

from cubes import make_cube
from derivatives import toy_spectrum
from gammax.errors import FitError
from gammax.fit import Fit, Sampler
from gammax.fit.sampling._space import Space, make_space, to_theta
from gammax.fit.sampling._stats import ess_bulk
from gammax.likelihood import Likelihood
from gammax.models import (
    FoVBackgroundModel,
    GaussianPrior,
    LogNormalPrior,
    LogUniformPrior,
    Models,
    Parameter,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
    UniformPrior,
)

AMPLITUDE = "2e-12 TeV-1 s-1 cm-2"
INF = np.inf


def power_law(name="x", **values):
    return SkyModel(PowerLawSpectralModel(**{"index": 2.4, "amplitude": AMPLITUDE, **values}), name=name)


def amplitude(**options):
    """A source of which only the amplitude is free."""
    free = Parameter("amplitude", 2e-13, unit="TeV-1 s-1 cm-2", **options)
    return power_law(index=Parameter("index", 2.5, frozen=True), amplitude=free)


def one_bin(counts):
    """Spectrum of one bin, its known background, and the signal per amplitude."""
    dataset = toy_spectrum("cash", n_reco=1, n_true=4, counts=counts)
    background = float(dataset.background.data.sum())
    return dataset, background, float(dataset.npred(Models(amplitude())).data.sum() - background) / 2e-13


def assert_drawn_from(draws, distribution):
    """Kolmogorov-Smirnov test on as many draws as are independent."""
    thinned = draws.ravel()[:: int(np.ceil(draws.size / ess_bulk(draws)))]
    assert stats.kstest(thinned, distribution).pvalue > 1e-2


def spectrum():
    """An imaging telescope's spectrum: 1400 ON counts in 9 bins over a background that is measured."""
    return toy_spectrum("wstat", flux=2e-11)


class Plane(eqx.Module):
    """Two numbers that are measured with correlated errors: index, and amplitude in 1e-12."""

    measured: Array
    precision: Array
    name: str = eqx.field(static=True, default="plane")

    def npred(self, models):
        spectrum = models["x"].spectral_model
        return jnp.stack([spectrum.index.value, 1e12 * spectrum.amplitude.value])

    def statistic(self, npred):
        off = npred - self.measured
        return off @ self.precision @ off


def test_a_gaussian_likelihood_gives_its_gaussian():
    """Marginals, and both whitened coordinates, against the normal distribution; errors 0.7 times the other's axis."""
    pytest.importorskip("blackjax")
    mean, covariance = np.array([2.0, 3.0]), np.array([[0.04, 0.084], [0.084, 0.36]])
    found = Sampler(seed=1).run(Plane(mean, np.linalg.inv(covariance)), power_law())
    assert found.status == "ok"
    assert found.n_divergences == 0
    values = found.values * [1.0, 1e12]
    whitened = (values - mean) @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    for i in range(2):
        assert_drawn_from(whitened[:, :, i], stats.norm.cdf)
        assert_drawn_from(values[:, :, i], stats.norm(mean[i], covariance[i, i] ** 0.5).cdf)
    np.testing.assert_allclose(np.corrcoef(whitened.reshape(-1, 2).T)[0, 1], 0.0, atol=0.06)
    # S / 2 is chi2 with two degrees of freedom over two
    assert_drawn_from(-2.0 * found.sampler_results["lp"], stats.chi2(2).cdf)


@pytest.mark.filterwarnings("ignore:less than one count")
@pytest.mark.parametrize("counts", [0, 3, 60])
def test_a_poisson_rate_gives_the_gamma_distribution(counts):
    """n counts over a known background b, flat prior: mu is Gamma(n + 1) above b; few counts pile up at the bound."""
    pytest.importorskip("blackjax")
    dataset, background, per_amplitude = one_bin(counts)
    found = Sampler(n_warmup=300).run([dataset], amplitude(min=0.0))
    assert found.status == "ok"
    assert found.n_divergences == 0
    mu = background + per_amplitude * found.samples["x.spectral.amplitude"]
    gamma = stats.gamma(counts + 1.0)
    assert_drawn_from(mu, lambda x: 1.0 - gamma.sf(x) / gamma.sf(background))
    assert found.samples["x.spectral.amplitude"].min() > 0


@pytest.mark.parametrize(
    ("counts", "options"),
    [
        (20, {"min": 0.0, "max": 3e-12}),
        (20, {"min": 1.5e-13, "max": 2.5e-13}),
        (60, {"max": 9e-13}),
        pytest.param(20, {"min": 0.0, "prior": GaussianPrior(1e-13, 5e-14)}, marks=pytest.mark.slow),
        pytest.param(20, {"prior": UniformPrior(1e-13, 3e-13)}, marks=pytest.mark.slow),
        pytest.param(20, {"prior": LogUniformPrior(1e-15, 1e-11)}, marks=pytest.mark.slow),
        (20, {"prior": LogNormalPrior(np.log(1e-13), 1.0)}),
    ],
    ids=["wide", "narrow", "upper", "Gaussian", "uniform", "log-uniform", "log-normal"],
)
def test_bounds_and_priors_against_quadrature(counts, options):
    """One parameter: exp(-S / 2) of the likelihood itself, summed up on a grid; priors are in it."""
    pytest.importorskip("blackjax")
    (dataset, background, per_amplitude), model = one_bin(counts), amplitude(**options)
    found = Sampler(n_warmup=300).run([dataset], model)
    assert found.status == "ok"
    likelihood = Likelihood([dataset], model)
    # where nothing is left of the background the Cash statistic ends
    low, high = (likelihood.parameters[bound][0] for bound in ("min", "max"))
    cdf = by_quadrature(likelihood, max(low, -0.99 * background / per_amplitude), min(high, 3e-12))
    assert_drawn_from(found.samples["x.spectral.amplitude"], cdf)


def by_quadrature(likelihood, low, high):
    """Distribution of the one parameter of a likelihood between two values."""
    edges = np.linspace(low, high, 20001)
    values = 0.5 * (edges[1:] + edges[:-1])
    stat = jax.lax.map(likelihood.problem.statistic, likelihood.from_values(values[:, None]), batch_size=100)
    density = np.exp(-0.5 * (stat - np.min(stat)))
    return lambda x: np.interp(x, edges[1:], np.cumsum(density) / np.sum(density))


def test_a_spectrum_gives_what_the_fit_gives():
    """Many counts: mean within 0.15 sigma and widths within 10 % of the fit; the same draws again for the same seed."""
    pytest.importorskip("blackjax")
    fit = Fit().run([spectrum()], power_law())
    found = Sampler().run([spectrum()], fit)
    assert found.success
    assert found.n_divergences == 0
    np.testing.assert_allclose((found.mean - fit.values) / fit.errors, 0.0, atol=0.15)
    np.testing.assert_allclose(found.errors, fit.errors, rtol=0.1)
    np.testing.assert_allclose(np.corrcoef(found.values.reshape(-1, 2).T), fit.correlation, atol=0.1)
    np.testing.assert_allclose([p.value for p in list(found.models.parameters.values())[:2]], found.mean, rtol=1e-12)
    np.testing.assert_allclose(found.models.errors[:2], found.errors, rtol=1e-12)
    again = Sampler().run([spectrum()], fit)
    np.testing.assert_array_equal(again.values, found.values)
    other = Sampler(seed=1, n_warmup=25, n_samples=25).run([spectrum()], fit)
    assert not np.array_equal(other.values, found.values[:, :25])
    assert "ess_bulk" in repr(found)
    assert "ok" in found._repr_html_()
    assert {panel.get_xlabel() for panel in found.plot_corner().axes} >= {"x\nindex"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:less than one count")
def test_the_truth_is_anywhere_in_its_posterior(rng):
    """Simulation-based calibration (Talts et al. 2018): truth drawn from the prior, counts from the truth; the rank of
    the truth among the draws is uniform, and no run gives a false alarm. Amplitudes are bounded, a third is below 1e-12
    where the bound is felt."""
    pytest.importorskip("blackjax")
    empty = toy_spectrum("cash", flux=4e-12)

    def known(index, amplitude):
        index = Parameter("index", index, prior=GaussianPrior(2.4, 0.3))
        unit = "TeV-1 s-1 cm-2"
        return power_law(
            index=index, amplitude=Parameter("amplitude", amplitude, unit, min=0.0, prior=GaussianPrior(2e-12, 2e-12))
        )

    ranks, statuses = [], []
    for seed in range(120):
        truth = rng.normal(2.4, 0.3), stats.truncnorm(-1, np.inf, 2e-12, 2e-12).rvs(random_state=rng)
        counts = rng.poisson(empty.npred(Models(known(*truth))).data).astype(float)
        dataset = empty.replace(counts=empty.counts.replace(data=counts))
        found = Sampler(seed=seed).run([dataset], known(2.4, 2e-12))
        ranks.append(np.mean(found.values.reshape(-1, 2) < truth, axis=0))
        statuses.append(found.status)
    assert set(statuses) == {"ok"}
    for of_parameter in np.transpose(ranks):
        assert stats.kstest(of_parameter, "uniform").pvalue > 1e-2


def cube_and_models(amplitude):
    """A cube with a point source that stands still on 3 background counts per bin."""
    position = PointSpatialModel(lon_0="83.63 deg", lat_0="22.01 deg", frame="icrs")
    source = SkyModel(PowerLawSpectralModel(index=2.2, amplitude=amplitude), spatial_model=position.freeze(), name="x")
    models = Models([source, FoVBackgroundModel(dataset_name="a")])
    cube = make_cube()
    drawn = np.random.default_rng(3).poisson(cube.npred(models).data).astype(float)
    return cube.replace(counts=cube.counts.replace(data=drawn)), models


def test_a_cube_gives_what_the_fit_gives():
    pytest.importorskip("blackjax")
    cube, models = cube_and_models("3e-9 TeV-1 s-1 cm-2")
    fit = Fit().run([cube], models)
    found = Sampler(n_warmup=100, n_samples=400).run([cube], fit)
    assert found.success
    assert found.names == ("x.spectral.index", "x.spectral.amplitude", "a-bkg.spectral.norm")
    np.testing.assert_allclose((found.mean - fit.values) / fit.errors, 0.0, atol=0.15)
    np.testing.assert_allclose(found.errors, fit.errors, rtol=0.1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:less than one count")
def test_a_negative_source_in_a_cube():
    """A third of the posterior is below zero, where bins without counts must not be merged: against quadrature. It ends
    where a bin is left empty: there trajectories diverge, and the message says what to do."""
    pytest.importorskip("blackjax")
    cube, models = cube_and_models("1e-11 TeV-1 s-1 cm-2")
    models = models.freeze("x.spectral.index", "a-bkg.spectral.norm")
    found = Sampler(n_warmup=100).run([cube], models)
    draws = found.samples["x.spectral.amplitude"]
    assert 0.2 < np.mean(draws < 0) < 0.6
    assert_drawn_from(draws, by_quadrature(Likelihood([cube], models, dense=True), -2e-10, 2e-10))
    assert found.status == "not_converged"
    assert "bound what must not become negative" in found.message


def test_short_runs_and_odd_numbers():
    """As many draws as were asked for, and the truth about how few they are."""
    pytest.importorskip("blackjax")
    found = Sampler(n_warmup=60, n_samples=33, n_chains=4).run([spectrum()], power_law())
    assert found.samples["x.spectral.index"].shape == (4, 33)
    assert found.sampler_results["lp"].shape == (4, 33)
    assert found.status == "not_converged"
    assert "independent draws of x.spectral.index, fewer than 400" in found.message


def test_an_open_direction_is_named():
    """Two equal sources share one flux: improper without bounds."""
    pytest.importorskip("blackjax")
    frozen = Parameter("index", 2.5, frozen=True)
    found = Sampler().run([one_bin(60)[0]], [power_law("a", index=frozen), power_law("b", index=frozen)])
    assert found.status == "singular"
    assert "limit a.spectral.amplitude - b.spectral.amplitude: give priors or bounds" in found.message
    assert found.values.shape == (4, 0, 2)


def test_a_posterior_without_end_is_left():
    """What no data limit, and a bound on one side alone."""
    pytest.importorskip("blackjax")
    amplitude = Parameter("amplitude", 3e-12, unit="TeV-1 s-1 cm-2", min=0.0)
    found = Sampler().run(Plane(np.array([2.0, 3.0]), np.diag([25.0, 0.0])), power_law(amplitude=amplitude))
    assert found.status == "singular"
    assert found.message == "neither data nor bounds limit x.spectral.amplitude: give priors or bounds"


def test_nothing_inside_the_masks():
    pytest.importorskip("blackjax")
    dataset = spectrum()
    dataset = dataset.replace(mask_fit=dataset.counts.replace(data=np.zeros(dataset.counts.data.shape, bool)))
    found = Sampler().run([dataset], power_law())
    assert found.status == "no_data"
    assert found.values.shape == (4, 0, 2)
    assert np.isnan(found.errors).all()
    assert "no bin" in repr(found)
    with pytest.raises(FitError, match="GX-FIT-503"):
        found.plot_corner()


def test_ctrl_c_returns_the_draws_so_far(monkeypatch):
    """The signal comes while the third chunk that is kept is drawn."""
    pytest.importorskip("blackjax")
    from gammax.fit.sampling import _sampler

    fit, made = Fit().run([spectrum()], power_law()), []

    def interrupting(*args):
        for draws in run_chains(*args):
            made.append(draws)
            if len(made) == 7:
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                time.sleep(0.2)
            yield draws

    run_chains = _sampler.run_chains
    monkeypatch.setattr(_sampler, "run_chains", interrupting)
    found = Sampler(n_warmup=100).run([spectrum()], fit)
    assert found.status == "interrupted"
    assert found.message.startswith("interrupted after 50 of 1000 draws")
    np.testing.assert_allclose((found.mean - fit.values) / fit.errors, 0.0, atol=0.5)


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "blackjax", None)
    with pytest.raises(FitError, match=r"GX-FIT-501 .*\n.*gammax\[sample\]"):
        Sampler().run([spectrum()], power_law())


@pytest.mark.parametrize("options", [{"n_chains": 0}, {"n_samples": 1}, {"n_warmup": 0}, {"target_acceptance": 1.0}])
def test_impossible_settings(options):
    with pytest.raises(FitError, match="GX-FIT-500"):
        Sampler(**options)


def space_of_all_kinds():
    lower, upper = np.array([-INF, 0.0, -INF, 1.0]), np.array([INF, INF, 2.0, 3.0])
    return Space(lower, upper, np.array([1.0, 0.1, 0.5, 0.2]), np.full(5, 7.0), (0, 1, 3, 4))


def test_coordinates_there_and_back():
    """Far from bounds and 1e-9 from them; slopes against the Jacobian by automatic differentiation."""
    space = space_of_all_kinds()
    slopes = jax.jit(lambda space, u: jax.jacfwd(space.theta)(u))
    sums = jax.jit(lambda space, u: jax.grad(lambda u: space.theta(u).sum() + space.log_slopes(u).sum())(u))
    for theta in ([-3.0, 0.2, 7.0, 1.5, 2.9], [2.0, 40.0, 7.0, -90.0, 1.3]):
        u = space.coordinates(np.array(theta))
        np.testing.assert_allclose(to_theta(space, u), theta, rtol=1e-12)
        jacobian = slopes(space, u)[np.array(space.moving)]
        np.testing.assert_allclose(np.log(np.diag(jacobian)), space.log_slopes(u), atol=1e-12)
        np.testing.assert_array_equal(jacobian, np.diag(np.diag(jacobian)))
    far = np.array([-700.0, 700.0])
    for u in np.stack(np.meshgrid(*[far] * 4)).reshape(4, -1).T:
        theta = np.asarray(to_theta(space, u))
        assert np.isfinite(theta).all()
        assert np.isfinite(sums(space, u)).all()
        moving = theta[list(space.moving)]
        assert np.all((moving >= space.lower) & (moving <= space.upper))


def test_starts_at_a_bound_are_moved_inside():
    """By a tenth of a width, or of the distance of two bounds."""
    space = space_of_all_kinds()
    theta = to_theta(space, space.coordinates(np.array([0.0, 0.0, 0.0, 5.0, 1.0])))
    np.testing.assert_allclose(theta, [0.0, 0.01, 7.0, 1.95, 1.02], rtol=1e-12)


def test_covariance_of_the_coordinates():
    """Against the Hessian of the density by automatic differentiation, one parameter bounded from below, one held."""
    index = Parameter("index", 2.4, min=2.3)
    model = SkyModel(PowerLawSpectralModel(index=index, amplitude=AMPLITUDE), name="x")
    likelihood = Likelihood([toy_spectrum("wstat")], model)
    theta = likelihood.theta0
    space = make_space(likelihood, likelihood.derivatives(theta))
    u = space.coordinates(theta)
    hessian = jax.jit(jax.hessian(lambda u: space.log_density(likelihood.problem, u)))(u)
    np.testing.assert_allclose(space.covariance(likelihood.derivatives(theta), u), -np.linalg.inv(hessian), rtol=1e-9)
    held = Parameter("index", 2.4, min=2.4, max=2.4)
    model = SkyModel(PowerLawSpectralModel(index=held, amplitude=AMPLITUDE), name="x")
    likelihood = Likelihood([toy_spectrum("wstat")], model)
    space = make_space(likelihood, likelihood.derivatives(theta))
    assert space.moving == (1,)
    np.testing.assert_allclose(space.theta(space.coordinates(theta)), theta, rtol=1e-14)


def test_draws_for_arviz(monkeypatch):
    """A missing package is named."""
    pytest.importorskip("blackjax")
    found = Sampler(n_warmup=25, n_samples=33).run([spectrum()], power_law())
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "arviz_base", None)
        with pytest.raises(FitError, match=r"GX-FIT-502 .*\n.*gammax\[sample\]"):
            found.to_arviz()
    pytest.importorskip("arviz_base")
    tree = found.to_arviz()
    np.testing.assert_array_equal(tree["posterior"]["x.spectral.index"].values, found.samples["x.spectral.index"])
    np.testing.assert_array_equal(tree["sample_stats"]["diverging"].values, found.sampler_results["diverging"])
