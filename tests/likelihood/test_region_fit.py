"""Fits of regions with a PSF: map datasets of a region and spectra, alone and beside cubes."""

import astropy.units as u
import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from cubes import CENTER, ENERGY, make_cube, make_onoff_cube
from derivatives import assert_derivative, fd_gradient
from gammax.data import DataStore
from gammax.datasets import SpectrumDataset
from gammax.errors import GammaxError
from gammax.fit import Fit
from gammax.irf import RecoPSFMap
from gammax.likelihood import Likelihood
from gammax.makers import ReflectedRegionsBackgroundMaker, SpectrumDatasetMaker
from gammax.maps import MapAxis, RegionGeom
from gammax.models import (
    DiskSpatialModel,
    FoVBackgroundModel,
    GaussianSpatialModel,
    Models,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
)

CIRCLE = f"icrs;circle({CENTER.ra.deg}, {CENTER.dec.deg}, 0.2)"
POINT = PointSpatialModel(lon_0=f"{CENTER.ra.deg + 0.05} deg", lat_0=f"{CENTER.dec.deg + 0.03} deg")
GAUSSIAN = GaussianSpatialModel(lon_0="83.7 deg", lat_0="22.1 deg", sigma="0.1 deg")
DISK = DiskSpatialModel(lon_0="83.7 deg", lat_0="22.1 deg", r_0="0.2 deg", edge_width=0.1)


def sources(*spatial, spectral=PowerLawSpectralModel(amplitude="3e-10 cm-2 s-1 TeV-1")):  # noqa: B008
    return [SkyModel(spectral, name=f"s{i}", spatial_model=model) for i, model in enumerate(spatial)]


def frozen(model):
    return model.freeze()


@pytest.mark.parametrize("make", [make_cube, make_onoff_cube], ids=["cash", "wstat"])
def test_a_likelihood_predicts_what_datasets_predict(make):
    cube = make(threshold=1)
    # a square fills its image
    square = f"icrs;box({CENTER.ra.deg}, {CENTER.dec.deg}, 0.3, 0.3, 0)"
    region = cube.to_region_map_dataset(square, "region")
    spectrum = cube.to_spectrum_dataset(square, name="spectrum", keep_psf=True)
    models = Models([*sources(POINT, GAUSSIAN, DISK, frozen(POINT), frozen(DISK))])
    likelihood = Likelihood([region, spectrum], models)
    found = likelihood.npred_signal(likelihood.theta0)
    expected = region.npred_signal(models).values()
    assert expected.min() > 0
    for dataset in (region, spectrum):
        assert_allclose(dataset.npred_signal(models).values(), expected, rtol=1e-12)
        assert_allclose(found[dataset.name], expected, rtol=1e-12)
        one = likelihood.statistic_by_dataset(likelihood.theta0)[dataset.name]
        assert_allclose(one, dataset.stat_sum(models), rtol=1e-10)


def test_gradients():
    # 4th-order differences, over steps that take a source through pixels of the region's image
    spectrum = make_cube().to_spectrum_dataset(CIRCLE, keep_psf=True)
    reco = RecoPSFMap.from_gauss(ENERGY, sigma=np.linspace(0.09, 0.05, 4) * u.deg)
    for psf, shape in ((spectrum.psf, GAUSSIAN.freeze("e", "phi")), (reco, DISK.freeze("e", "phi"))):
        likelihood = Likelihood(spectrum.replace(psf=psf), sources(shape))
        gradient = np.asarray(jax.grad(likelihood)(likelihood.theta0))
        assert_derivative(gradient, fd_gradient(likelihood, likelihood.theta0, 1e-4), rtol=1e-6, floor=1e-7)


def test_a_spectrum_and_a_cube_together():
    cube = make_cube()
    background = FoVBackgroundModel("cube")
    cube = cube.replace(name="cube", counts=make_cube().npred(Models(sources(POINT))))
    spectrum = cube.to_spectrum_dataset(CIRCLE, name="spectrum", keep_psf=True)
    spectrum = spectrum.replace(counts=spectrum.npred(Models(sources(POINT))))
    (start,) = sources(POINT, spectral=PowerLawSpectralModel(amplitude="2e-10 cm-2 s-1 TeV-1", index=2.3))
    alone = Fit().run(spectrum, start.freeze("spatial"))
    assert alone.success
    assert_allclose(alone.values, [2, 3e-10], rtol=1e-5)
    beside = start.replace(spatial_model=POINT.replace(lon_0=83.66, lat_0=22.02))
    both = Fit().run([cube, spectrum], Models([beside, background]))
    assert both.success
    assert_allclose(both.values[:4], [2, 3e-10, POINT.lon_0.value, POINT.lat_0.value], rtol=1e-5)


def test_a_point_without_psf_cannot_move():
    spectrum = make_cube().to_region_map_dataset(CIRCLE).replace(psf=None)
    with pytest.raises(GammaxError, match="GX-FOLD-017"):
        Likelihood(spectrum, sources(POINT))
    assert Likelihood(spectrum, sources(POINT.freeze("lon_0", "lat_0"))).theta0.shape == (2,)


@pytest.mark.data
def test_the_crab_with_its_psf_is_that_with_a_containment_correction(data_dir):
    # the correction is the integral of the PSF of the files, the PSF a table of 66 rings: to 1 % of each other
    store = DataStore.from_dir(data_dir / "hess-dl3-dr1")
    geom = RegionGeom.create("icrs;circle(83.63, 22.01, 0.11)", [MapAxis.from_energy_bounds("0.7 TeV", "30 TeV", 12)])
    true = MapAxis.from_energy_bounds("0.1 TeV", "100 TeV", 30, name="energy_true")
    spectrum = PowerLawSpectralModel(amplitude="3e-11 cm-2 s-1 TeV-1", index=2.4)
    place = PointSpatialModel(lon_0="83.63 deg", lat_0="22.01 deg").freeze()
    with_psf = SpectrumDatasetMaker(selection=("counts", "exposure", "edisp", "psf"))
    ways = [
        (SkyModel(spectrum, name="crab"), SpectrumDatasetMaker(containment_correction=True)),
        (SkyModel(spectrum, name="crab", spatial_model=place), with_psf),
    ]
    found = []
    for model, maker in ways:
        runs = []
        for observation in store.get_observations([23523, 23592]):
            run = maker.run(SpectrumDataset.create(geom, true, str(observation.obs_id)), observation)
            runs.append(ReflectedRegionsBackgroundMaker().run(run, observation))
        found.append(Fit().run(runs, model))
    corrected, folded = found
    assert corrected.success
    assert folded.success
    assert abs(folded.values - corrected.values)[0] < 0.05 * corrected.errors[0]
    assert folded.values[1] == pytest.approx(corrected.values[1], rel=5e-3)
    assert_allclose(folded.errors, corrected.errors, rtol=0.01)
