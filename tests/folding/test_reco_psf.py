"""PSFs in reconstructed energy: exposure, energy dispersion, then the PSF."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cubes import CENTER, ENERGY, ENERGY_TRUE, make_cube
from derivatives import assert_derivative, fd_gradient
from gammax.datasets import MapDataset
from gammax.fit import Fit
from gammax.folding import predict_cube
from gammax.irf import PSFMap, RecoPSFMap
from gammax.likelihood import Likelihood
from gammax.models import GaussianSpatialModel, Models, PointSpatialModel, PowerLawSpectralModel, SkyModel

WIDTHS = ("0.12 deg", "0.1 deg", "0.08 deg", "0.06 deg")
PLACE = {"lon_0": "83.7 deg", "lat_0": "22.1 deg"}
SHAPES = {
    "point": PointSpatialModel(**PLACE),
    "gaussian": GaussianSpatialModel(sigma="0.1 deg", **PLACE),
    "ellipse": GaussianSpatialModel(sigma="0.1 deg", e=0.7, **PLACE),
}
CIRCLE = f"icrs;circle({CENTER.ra.deg}, {CENTER.dec.deg}, 0.2)"


def source(shape):
    spectrum = PowerLawSpectralModel(amplitude="3e-10 cm-2 s-1 TeV-1")
    return SkyModel(spectrum, name="source", spatial_model=SHAPES[shape])


def stacked_psf():
    """Width by width."""
    parts = [RecoPSFMap.from_gauss(ENERGY, sigma=width) for width in WIDTHS]
    data = np.stack([part.psf_map.data[k] for k, part in enumerate(parts)])
    return parts[0]._with(parts[0].psf_map.replace(data=data), parts[0].exposure_map)


def of_region(dataset):
    return dataset.to_region_map_dataset(CIRCLE)


@pytest.fixture(scope="module")
def cube():
    """Cube with a gradient in the exposure and a mask, and a PSF in reconstructed energy."""
    return make_cube(slope=0.02, threshold=1).replace(psf=stacked_psf())


@pytest.mark.parametrize("of", [lambda cube: cube, of_region], ids=["cube", "region"])
@pytest.mark.parametrize("shape", SHAPES)
def test_counts_of_every_energy_are_those_through_its_psf(cube, shape, of):
    # a PSF that is the same at all true energies commutes with the energy dispersion
    dataset, model = of(cube), source(shape)
    found = predict_cube(dataset, model)
    assert_allclose(predict_cube(dataset, model, order="psf-first"), found, rtol=1e-12)
    for k, width in enumerate(WIDTHS):
        same = dataset.replace(psf=PSFMap.from_gauss(ENERGY_TRUE, sigma=width))
        # Gaussians are fitted to all widths at once, or to one
        expected = predict_cube(same, model)[k]
        assert_allclose(found[k], expected, rtol=2e-3, atol=1e-3 * expected.max())
        assert_allclose(found[k].sum(), expected.sum(), rtol=1e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_one_width_in_both_energies(shape):
    cube, model = make_cube(slope=0.02), source(shape)
    true = cube.replace(psf=PSFMap.from_gauss(ENERGY_TRUE, sigma="0.08 deg"))
    reco = cube.replace(psf=RecoPSFMap.from_gauss(ENERGY, sigma="0.08 deg"))
    assert_allclose(predict_cube(reco, model), predict_cube(true, model), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", ["point", "ellipse"])
def test_a_likelihood_predicts_the_same(cube, shape):
    model = source(shape)
    signal = cube.npred_signal(model)
    for moves in (model, model.freeze("spatial")):
        likelihood = Likelihood(cube, moves, dense=True)
        found = likelihood.npred_signal(likelihood.theta0)["a"]
        assert_allclose(found.sum(), signal.data[1:].sum(), rtol=1e-10)
        assert_allclose(likelihood(likelihood.theta0), cube.stat_sum(model), rtol=1e-10)


def test_a_fit(cube, tmp_path):
    truth = source("gaussian")
    cube = cube.replace(counts=cube.npred(truth))
    path = cube.write(tmp_path / "cube.fits")
    again = MapDataset.read(path)
    assert isinstance(again.psf, RecoPSFMap)
    start = truth.replace(spatial_model=SHAPES["gaussian"].replace(lon_0=83.68, sigma=0.12).freeze("e", "phi"))
    likelihood = Likelihood(cube, start)
    gradient = fd_gradient(likelihood, likelihood.theta0, 1e-4)
    assert_derivative(likelihood.derivatives(likelihood.theta0).gradient, gradient, rtol=1e-6, floor=1e-7)
    result = Fit().run(again, Models([start]))
    assert result.success
    assert_allclose(result.values, [2, 3e-10, 83.7, 22.1, 0.1], rtol=1e-5)
