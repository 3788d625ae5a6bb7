"""A Gaussian on a source that is none: the statistic is an even function of its width, and its minimum at the bound."""

import jax.numpy as jnp
import numpy as np
import pytest

from cubes import CENTER, make_cube, make_psf
from derivatives import toy_spectrum
from gammax.fit import Fit
from gammax.models import (
    FunctionSpectralModel,
    GaussianSpatialModel,
    LogParabolaSpectralModel,
    Models,
    Parameter,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
)

SPECTRUM = PowerLawSpectralModel(amplitude="3e-9 cm-2 s-1 TeV-1")
PLACE = {"lon_0": CENTER.ra, "lat_0": CENTER.dec}
POINT = SkyModel(SPECTRUM, name="s", spatial_model=PointSpatialModel(**PLACE))
CUBE = make_cube().replace(psf=make_psf(sigma=0.06))


def gaussian(sigma):
    return POINT.replace(spatial_model=GaussianSpatialModel(**PLACE, sigma=f"{sigma} deg"))


def hardly_there(amplitude, spatial=None):
    index = Parameter("index", 2.0, min=-3.0, max=7.0)
    spectrum = PowerLawSpectralModel(index=index, amplitude=f"{amplitude} cm-2 s-1 TeV-1").freeze("amplitude")
    return SkyModel(spectrum, name="faint", spatial_model=spatial)


def asimov(model, psf_width=None):
    cube = CUBE if psf_width is None else CUBE.replace(psf=make_psf(sigma=psf_width))
    return CUBE.replace(counts=cube.npred(Models(model)))


# counts of a point through the PSF of 0.06 deg, and through a narrower one: less extended than a point
DATA = {"point": asimov(POINT), "narrower": asimov(POINT, 0.057)}


@pytest.mark.parametrize(("kind", "start"), [("point", 0.2), ("narrower", 0.2), ("narrower", 0.01), ("narrower", 0.0)])
def test_a_width_that_the_data_do_not_ask_for_is_at_its_bound(kind, start):
    result = Fit().run(DATA[kind], gaussian(start))
    assert (result.status, result.message) == ("at_bound", "at a bound: s.spatial.sigma")
    sigma = result.names.index("s.spatial.sigma")
    assert result.values[sigma] == 0.0
    assert np.isnan(result.errors[sigma])
    # all others are those of a point
    point = Fit().run(DATA[kind], POINT)
    others = [result.names.index(name) for name in point.names]
    np.testing.assert_allclose((result.values[others] - point.values) / point.errors, 0.0, atol=1e-3)
    np.testing.assert_allclose(result.errors[others], point.errors, rtol=1e-3)
    np.testing.assert_allclose(result.total_stat, point.total_stat, rtol=0, atol=1e-4)


def test_batches_and_other_backends_say_the_same():
    results = Fit().run_many(list(DATA.values()), gaussian(0.2))
    assert list(results.status) == ["at_bound", "at_bound"]
    np.testing.assert_array_equal(results.values[:, results.names.index("s.spatial.sigma")], 0.0)
    for backend in ("minuit", "scipy"):
        result = Fit(backend=backend).run(DATA["narrower"], gaussian(0.02))
        assert (result.status, result.message) == ("at_bound", "at a bound: s.spatial.sigma")


def cutoff(energy, amplitude, index, rate):
    return amplitude * energy**-index * jnp.exp(-((rate * energy) ** 2))


def curved(amplitude):
    rate = Parameter("rate", 0.05, "TeV-1", min=0.0)
    numbers = {"amplitude": f"{amplitude} cm-2 s-1 TeV-1", "index": 2.0, "rate": rate}
    return SkyModel(FunctionSpectralModel(cutoff, numbers), name="s")


@pytest.mark.parametrize(("curvature", "faint"), [(0.0, False), (-0.05, False), (-0.05, True)])
def test_a_rate_of_which_the_square_counts(curvature, faint):
    """A spectrum without a cutoff, and one that turns up: alone, and beside a source whose index is anywhere between
    its bounds."""
    spectrum, models = toy_spectrum("cash"), [curved(2e-12), *([hardly_there(1e-19)] if faint else [])]
    shape = LogParabolaSpectralModel(amplitude="2e-12 cm-2 s-1 TeV-1", alpha=2, beta=curvature)
    data = spectrum.replace(counts=spectrum.npred(Models([SkyModel(shape, name="s"), *models[1:]])))
    results = [fit.run(data, Models(models)) for fit in (Fit(), Fit(tolerance=1e-6), Fit(backend="minuit"))]
    batches = [fit.run_many([data, data], Models(models)) for fit in (Fit(), Fit(tolerance=1e-6))]
    for result in (*results, *batches[0], *batches[1]):
        assert result.status == "at_bound"
        assert result.message.startswith("at a bound: s.spectral.rate")
        assert result.values[result.names.index("s.spectral.rate")] == 0.0


def test_a_width_that_is_there_is_found():
    """Asimov data give back 0.01 deg, a sixth of the PSF, and its error: 1 / (2 sigma) of that of its square."""
    result = Fit().run(asimov(gaussian(0.01)), gaussian(0.05))
    assert result.status == "ok"
    sigma = result.names.index("s.spatial.sigma")
    assert 0 < result.errors[sigma] < 0.05
    np.testing.assert_allclose(result.values[sigma], 0.01, rtol=1e-3)


def test_its_limit_is_that_of_the_profile():
    """delta TS = 4 above the bound, by fits with the width held."""
    result = Fit().run(DATA["narrower"], gaussian(0.02))
    limit = Fit().upper_limit(DATA["narrower"], result, "s.spatial.sigma")
    held = POINT.replace(spatial_model=gaussian(limit.upper_limit).spatial_model.freeze("sigma"))
    np.testing.assert_allclose(Fit().run(DATA["narrower"], held).total_stat - result.total_stat, 4.0, atol=1e-4)


def test_what_the_data_hardly_see_is_not_at_its_bounds():
    """The index of a source of 0.01 counts: unsure between its bounds, but the prediction is no even function there."""
    models = Models([POINT, hardly_there(3e-15, PointSpatialModel(lon_0=CENTER.ra, lat_0="22.3 deg").freeze())])
    result = Fit().run(DATA["point"], models)
    assert result.status == "ok"
    # both bounds are within a hundredth of an error
    assert result.errors[result.names.index("faint.spectral.index")] > 500
