"""What a model of the responses does to predicted counts, against brute force."""

import jax
import numpy as np
import pytest

from cubes import ENERGY_TRUE, make_cube, make_psf
from derivatives import toy_spectrum
from gammax.folding import predict_cube, predict_signal
from gammax.folding._irf import energy_spline
from gammax.irf import EDispKernel
from gammax.maps import MapAxis
from gammax.models import (
    DiskSpatialModel,
    ExpCutoffPowerLawSpectralModel,
    GaussianSpatialModel,
    IRFModel,
    Models,
    Parameter,
    PointSpatialModel,
    SkyModel,
    SpectralModel,
    parameter,
)

Z = 0.13
SPECTRUM = ExpCutoffPowerLawSpectralModel(index=2.3, amplitude="2e-12 TeV-1 s-1 cm-2", lambda_="0.1 TeV-1")
PLACE = {"lon_0": "83.66 deg", "lat_0": "22.03 deg"}
SHAPES = {
    "point": PointSpatialModel(**PLACE),
    "gaussian": GaussianSpatialModel(**PLACE, sigma="0.07 deg"),
    "disk": DiskSpatialModel(**PLACE, r_0="0.15 deg", edge_width=0.1),
}


class Scaled(SpectralModel):
    """`SPECTRUM` as instruments see it whose energies are 1 + z too high."""

    amplitude: Parameter = parameter("1 TeV-1 s-1 cm-2", is_norm=True, frozen=True)

    @staticmethod
    def evaluate(energy, amplitude):
        """Differential flux [cm-2 s-1 TeV-1]."""
        return amplitude * SPECTRUM.dnde(energy / (1.0 + Z)) / (1.0 + Z)


def source(spectrum=SPECTRUM, shape=None):
    return SkyModel(spectrum, "x", spatial_model=None if shape is None else SHAPES[shape])


def irf(name="toy", **scales):
    return IRFModel("irf", [name], **scales)


def test_the_scale_of_the_true_energy_is_a_scaled_spectrum():
    dataset = toy_spectrum("wstat")
    found = predict_signal(dataset, Models([source(), irf(energy_scale_true=Z)]))
    np.testing.assert_allclose(found, predict_signal(dataset, source(Scaled())), rtol=1e-12)
    # and not one through other responses
    assert np.abs(found / predict_signal(dataset, Models([source(), irf(energy_scale_reco=Z)])) - 1).min() > 0.03


def test_the_scale_of_the_true_energy_in_a_cube():
    cube = make_cube(slope=0.02)
    found = predict_cube(cube, Models([source(shape="gaussian"), irf("a", energy_scale_true=Z)]))
    expected = predict_cube(cube, source(Scaled(), "gaussian"))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14 * expected.max())


@pytest.mark.parametrize("scale", [-0.1, 0.12])
def test_the_scale_of_the_reconstructed_energy_is_a_shifted_response(scale):
    """In the bins of an axis divided by 1 + s: to 1e-3 from the fifth bin on, to 0.02 before, where it matters
    what comes in from below the axis."""
    energy = MapAxis.from_energy_bounds("0.3 TeV", "20 TeV", 20)
    true = MapAxis.from_energy_bounds("0.03 TeV", "200 TeV", 200, name="energy_true")
    flux = SPECTRUM.integral(true.edges_min, true.edges_max).value * true.center_value("TeV") ** 0.4
    shifted = MapAxis.from_energy_edges(energy.edges / (1.0 + scale))
    counts, expected = (EDispKernel.from_gauss(true, axis, 0.2, 0.0).pdf_matrix.T @ flux for axis in (energy, shifted))
    found = energy_spline(energy.edges_value("TeV")).shifted(counts, scale)
    np.testing.assert_allclose(found[4:-4], expected[4:-4], rtol=1e-3)
    np.testing.assert_allclose(found[:4], expected[:4], rtol=0.02)
    np.testing.assert_allclose(found[-4:-1], expected[-4:-1], rtol=0.02)
    assert np.abs(counts / expected - 1).min() > 0.05


def test_counts_that_move_between_bins_are_neither_made_nor_lost():
    spline = energy_spline(np.geomspace(0.1, 100.0, 31))
    counts = np.exp(-0.5 * ((np.arange(30) - 14) / 2.5) ** 2)
    for scale in (-0.3, -0.01, 0.0, 0.02, 0.4):
        shifted = np.asarray(spline.shifted(counts, scale))
        assert shifted.sum() == pytest.approx(counts.sum(), rel=1e-6)
        centre = np.average(np.arange(30), weights=shifted) - 14
        assert centre == pytest.approx(np.log1p(scale) / np.log(1000) * 30, abs=1e-5)
    np.testing.assert_allclose(spline.shifted(counts, 0.0), counts, atol=1e-15)


def test_shifting_is_smooth_and_linear():
    """Two continuous derivatives where edges meet edges, at the ends and at 0; a sum is shifted as its parts are."""
    spline = energy_spline(np.geomspace(0.1, 10.0, 9))
    one, two = np.random.default_rng(1).uniform(1, 5, (2, 8))
    together = spline.shifted(one + 3.0 * two, 0.2)
    np.testing.assert_allclose(together, spline.shifted(one, 0.2) + 3.0 * spline.shifted(two, 0.2), rtol=1e-13)
    second = jax.jit(jax.jacfwd(jax.jacfwd(lambda s: spline.shifted(one, s))))
    bin_width = np.log(100.0) / 8
    for meeting in (0.0, np.expm1(bin_width), np.expm1(-bin_width)):
        below, above = second(meeting - 1e-9), second(meeting + 1e-9)
        np.testing.assert_allclose(below, above, atol=1e-5 * np.abs(above).max())


def test_area_and_width_are_those_of_other_responses():
    """An exposure times norm E^-tilt, exactly; a PSF of another width, up to what its table is met by Gaussians."""
    cube = make_cube(slope=0.02)
    factor = 1.1 * ENERGY_TRUE.center_value("TeV")[:, None, None] ** -0.2
    larger = cube.replace(exposure=cube.exposure.replace(data=cube.exposure.data * factor))
    changed = irf("a", aeff_norm=1.1, aeff_tilt=0.2)
    found = predict_cube(cube, Models([source(shape="gaussian"), changed]))
    expected = predict_cube(larger, source(shape="gaussian"))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14 * expected.max())
    narrow, wide = (cube.replace(psf=make_psf(sigma=sigma)) for sigma in (0.06, 0.072))
    for shape in SHAPES:
        found = predict_cube(narrow, Models([source(shape=shape), irf("a", psf_width=1.2)]))
        expected = predict_cube(wide, source(shape=shape))
        np.testing.assert_allclose(found, expected, rtol=0.0, atol=2e-3 * expected.max())
        assert found.sum() == pytest.approx(expected.sum(), rel=1e-4)


def test_a_source_is_seen_through_the_responses_that_apply_to_it():
    cube = make_cube()
    plain = SkyModel(SPECTRUM, "x", spatial_model=SHAPES["gaussian"], apply_irf={"edisp": False, "psf": False})
    changed = irf("a", energy_scale_reco=0.1, psf_width=1.3)
    np.testing.assert_array_equal(predict_cube(cube, Models([plain, changed])), predict_cube(cube, plain))
    assert np.any(predict_cube(cube, Models([plain, irf("a", aeff_norm=1.1)])) != predict_cube(cube, plain))


def test_only_the_named_datasets_change():
    dataset = toy_spectrum("wstat")
    alone = predict_signal(dataset, source())
    np.testing.assert_array_equal(predict_signal(dataset, Models([source(), irf("other", aeff_norm=2.0)])), alone)
    neutral = Models([source(), irf()])
    np.testing.assert_array_equal(predict_signal(dataset, neutral), alone)
    # asked for one source, it is seen through the same responses
    doubled = predict_signal(dataset, Models([source(), irf(aeff_norm=2.0)]), ["x"])
    np.testing.assert_allclose(doubled, 2.0 * alone, rtol=1e-13)
