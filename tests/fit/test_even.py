"""A Gaussian on a source that is none: the statistic is an even function of its width, and its minimum at the bound."""

import numpy as np
import pytest

from cubes import CENTER, make_cube, make_psf
from gammax.fit import Fit
from gammax.fit._even import pinned_at_bounds
from gammax.likelihood import Likelihood
from gammax.models import GaussianSpatialModel, Models, Parameter, PointSpatialModel, PowerLawSpectralModel, SkyModel

SPECTRUM = PowerLawSpectralModel(amplitude="3e-9 cm-2 s-1 TeV-1")
PLACE = {"lon_0": CENTER.ra, "lat_0": CENTER.dec}
POINT = SkyModel(SPECTRUM, name="s", spatial_model=PointSpatialModel(**PLACE))
CUBE = make_cube().replace(psf=make_psf(sigma=0.06))


def gaussian(sigma):
    return POINT.replace(spatial_model=GaussianSpatialModel(**PLACE, sigma=f"{sigma} deg"))


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
    index = Parameter("index", 2.0, min=-3.0, max=7.0)
    faint = PowerLawSpectralModel(index=index, amplitude="3e-15 cm-2 s-1 TeV-1").freeze("amplitude")
    shape = PointSpatialModel(lon_0=CENTER.ra, lat_0="22.3 deg").freeze()
    models = Models([POINT, SkyModel(faint, name="faint", spatial_model=shape)])
    result = Fit().run(DATA["point"], models)
    assert result.status == "ok"
    assert result.errors[result.names.index("faint.spectral.index")] > 100
    likelihood = Likelihood(DATA["point"], result.models)
    assert (
        pinned_at_bounds(likelihood.problem, likelihood.theta0, likelihood.derivatives(likelihood.theta0)) is not None
    )
