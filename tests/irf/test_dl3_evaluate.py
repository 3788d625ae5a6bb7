"""DL3 responses evaluated: closed forms, limits, pictures."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
import pytest
from dl3_cases import background, gauss_table, king, linear_area, multi_gauss, offset_axis, true_axis
from numpy.testing import assert_allclose, assert_array_equal
from scipy.interpolate import RegularGridInterpolator
from test_dl3_files import CASES

from gammax.errors import DataValueError, SchemaError, UnitError
from gammax.irf import EDispKernel, EffectiveAreaTable2D, EnergyDispersion2D, RadMax2D
from gammax.irf._grid import multilinear
from gammax.maps import MapAxes, MapAxis


def test_multilinear_against_scipy(rng):
    nodes = [np.array([0.0, 1, 4]), np.array([-1.0, 2]), np.array([0.0, 1, 2, 5])]
    table = rng.normal(size=(3, 2, 4))
    points = rng.uniform(-2, 6, size=(50, 3))
    oracle = RegularGridInterpolator(nodes, table, bounds_error=False, fill_value=None)
    assert_allclose(multilinear(nodes, table, points.T), oracle(points), rtol=1e-12, atol=1e-12)


def test_area_is_linear_in_log_energy_and_offset(rng):
    energy, offset = np.exp(rng.uniform(np.log(0.11), np.log(900), 20)), rng.uniform(-0.4, 2.4, 20)
    expected = np.maximum(1000 * np.log(energy / 0.1) + 100 * offset, 0)
    area = linear_area()
    assert_allclose(area.values(energy_true=energy, offset=offset), expected * 1e4, rtol=1e-12)
    quantity = area.evaluate(energy_true=energy * u.TeV, offset=(offset * u.deg).to("rad"))
    assert quantity.unit == "m2"
    assert_allclose(quantity.value, expected, rtol=1e-12)


def test_area_outside_is_zero():
    # nodes at 0, 1 and 2 deg: the last bin ends at 2.5 deg
    area = linear_area()
    values = area.values(energy_true=np.array([0.05, 1, 1, 2000]), offset=np.array([1, 2.51, -0.51, 1]))
    assert_array_equal(values, 0)
    assert np.all(area.values(energy_true=np.array([1000.0, 1]), offset=np.array([1, 2.5])) > 0)


def test_coordinates_are_named_and_have_units():
    with pytest.raises(SchemaError, match=r"GX-IRF-042[^$]*expected: energy_true, offset"):
        linear_area().evaluate(energy_true="1 TeV")
    with pytest.raises(UnitError):
        linear_area().evaluate(energy_true="1 TeV", offset=1.0)


def test_background_is_interpolated_in_its_logarithm():
    # half-way between the rates 5 (centre) and 8 (next longitude) of the lowest energies
    bkg = background()
    energy = bkg.axes["energy"].center_value("TeV")[0]
    value = bkg.evaluate(energy=energy * u.TeV, fov_lon=1 / 3 * u.deg, fov_lat=0 * u.deg)
    assert_allclose(value.to_value("s-1 MeV-1 sr-1"), np.sqrt(5 * 8), rtol=1e-12)
    assert_allclose(bkg.values(energy=energy, fov_lon=1 / 3, fov_lat=0.0), 1e6 * np.sqrt(5 * 8), rtol=1e-12)
    assert bkg.values(energy=1.0, fov_lon=1.01, fov_lat=0.0) == 0


def test_edisp_kernel_of_a_gaussian():
    # fine migra bins: the kernel of the table is the closed form, to the curvature of the density within a bin
    migra = MapAxis.from_bounds(0.2, 5, 2400, "migra")
    edisp = EnergyDispersion2D.from_gauss(true_axis(), migra, offset_axis(), 0.05, 0.2, pdf_threshold=0)
    true = MapAxis.from_energy_bounds("1 TeV", "100 TeV", nbin=5, name="energy_true")
    reco = MapAxis.from_energy_bounds("0.3 TeV", "300 TeV", nbin=20)
    kernel = edisp.to_edisp_kernel("0.3 deg", true, reco)
    oracle = EDispKernel.from_gauss(true, reco, 0.2, 0.05, pdf_threshold=0)
    assert_allclose(kernel.data, oracle.data, atol=2e-5)


def test_edisp_is_normalised_after_interpolation():
    # half-way in offset between a table of norm 1 at migra 0.5 and one of norm 3 at migra 1.5: 1/4 and 3/4
    migra = MapAxis.from_edges([0, 1, 2], "migra")
    data = np.zeros((4, 2, 3))
    data[:, 0, 0], data[:, 1, 1:] = 1, 3
    edisp = EnergyDispersion2D(MapAxes([true_axis(), migra, offset_axis()]), data)
    true = MapAxis.from_energy_edges([0.9, 1.1], unit="TeV", name="energy_true")
    center = true.center_value("TeV")[0]
    reco = MapAxis.from_energy_edges([1e-6 * center, center, 2 * center], unit="TeV")
    assert_allclose(edisp.to_edisp_kernel("0.5 deg", true, reco).data, [[0.25, 0.75]], atol=1e-6)
    assert_array_equal(edisp.norms(), np.broadcast_to([1, 3, 3], (4, 3)))


def test_edisp_beyond_the_table():
    edisp = CASES["edisp_2d"]()
    true = MapAxis.from_energy_edges([1, 10, 1e5, 1e6], unit="TeV", name="energy_true")
    reco = MapAxis.from_energy_bounds("0.01 TeV", "1e8 TeV", nbin=10)
    assert_allclose(edisp.to_edisp_kernel("0 deg", true, reco).data.sum(axis=1), 1, rtol=1e-12)
    assert_array_equal(edisp.to_edisp_kernel("9 deg", true, reco).data, 0)


LAYOUTS = {
    "hess": np.sqrt(np.linspace(0, 0.443, 145)),
    "fine": np.linspace(0, 0.66, 67),
    "coarse": np.linspace(0, 0.6, 13),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("sigma", [0.03, 0.06, 0.1])
def test_constant_rings_are_nearer_to_the_closed_form(layout, sigma):
    """Largest error of the containment of a Gaussian, at radii inside rings as well as at their edges."""
    psf, rad = gauss_table(LAYOUTS[layout], sigma), np.linspace(0.001, 0.58, 600)
    truth = 1 - np.exp(-(rad**2) / (2 * sigma**2))
    error = {m: np.abs(psf.containment_values(rad, 1.0, 0.5, method=m) - truth).max() for m in ("ring", "gammapy")}
    assert error["ring"] < 0.8 * error["gammapy"]


def test_containment_at_the_edges_is_exact():
    edges, sigma = LAYOUTS["coarse"], 0.06
    psf = gauss_table(edges, sigma, norm=0.9)
    truth = 0.9 * (1 - np.exp(-(edges**2) / (2 * sigma**2)))
    assert_allclose(psf.containment_values(edges, 1.0, 0.5, method="ring"), truth, atol=1e-14)
    assert_allclose(psf.containment_values(edges[1:], 1.0, 0.5, method="gammapy"), truth[1:], atol=1e-14)
    assert_allclose(psf.containment_values(edges, 1.0, 0.5), truth / truth[-1], atol=1e-14)


def test_containment_beyond_the_last_radius():
    psf = gauss_table(LAYOUTS["fine"], 0.06, norm=0.9)
    contained = {m: psf.containment(2 * u.deg, "1 TeV", "0 deg", method=m) for m in ("normalized", "ring", "gammapy")}
    assert contained == pytest.approx({"normalized": 1, "ring": 0.9, "gammapy": 0})
    with pytest.raises(SchemaError, match="GX-IRF-061"):
        psf.containment(2 * u.deg, "1 TeV", "0 deg", method="ringg")


def test_empty_psf_cells_are_no_part_of_the_answer():
    psf = gauss_table(LAYOUTS["fine"], 0.06)
    data = psf.data.copy()
    data[0] = 0
    data[:, 2] = 0
    holed = type(psf)(psf.axes, data)
    truth = psf.containment_values(0.1, 1.0, 0.5)
    energy, offset = np.array([0.2, 0.7, 50, 50]), np.array([0.5, 0.5, 1.6, 2.4])
    assert_allclose(holed.containment_values(0.1, energy, offset), truth, rtol=1e-12)
    assert np.all(holed.containment_values(0.1, energy, offset, method="ring") < 0.9 * truth)
    with pytest.raises(DataValueError, match="GX-IRF-063"):
        type(psf)(psf.axes, 0 * data).containment("0.1 deg", "1 TeV", "0 deg")


@pytest.mark.parametrize(
    "psf", [multi_gauss(), king(), gauss_table(LAYOUTS["hess"], 0.06)], ids=["gauss", "king", "3d"]
)
def test_containment_radius_inverts_containment(psf):
    fraction = np.array([0.1, 0.5, 0.68, 0.95])
    radius = psf.containment_radius(fraction, [0.3, 1, 10, 100] * u.TeV, "0.7 deg")
    assert_allclose(psf.containment(radius, [0.3, 1, 10, 100] * u.TeV, "0.7 deg"), fraction, rtol=1e-10)
    with pytest.raises(DataValueError, match="GX-IRF-060"):
        psf.containment_radius(1.0, "1 TeV", "0 deg")


@pytest.mark.parametrize("psf", [multi_gauss(), king()], ids=["gauss", "king"])
def test_density_integrates_to_containment(psf):
    rad = np.linspace(0, 0.15, 20001)
    integrand = 2 * np.pi * rad * psf.values(rad, 1.0, 0.3) * np.deg2rad(1) ** 2
    assert_allclose(np.trapezoid(integrand, rad), psf.containment_values(0.15, 1.0, 0.3), rtol=1e-7)
    table = psf.to_psf3d(MapAxis.from_bounds(0, 0.3, 30, "rad", unit="deg"))
    assert_allclose(
        table.containment_values(0.2, 1.0, 0.3, method="ring"), psf.containment_values(0.2, 1.0, 0.3), rtol=1e-12
    )


def test_closed_forms():
    # two Gaussians with half of the events each; King with gamma 2: r^2 / (r^2 + 4 s^2)
    rad = 0.1
    two = 1 - (np.exp(-2) + np.exp(-1 / 8)) / 2
    assert_allclose(multi_gauss().containment_values(rad, 1.0, 0.3), two, rtol=1e-12)
    assert_allclose(king().containment_values(rad, 1.0, 0.3), rad**2 / (rad**2 + 4 * 0.05**2), rtol=1e-12)


def test_empty_parameter_cells_take_the_nearest():
    sigma, gamma = np.full((4, 3), 0.05), np.full((4, 3), 2.0)
    sigma[:2], gamma[:2] = 0, 0
    holed, truth = king(sigma, gamma), king()
    assert_allclose(
        holed.containment("0.1 deg", [0.3, 3, 30] * u.TeV, "0.3 deg"), truth.containment("0.1 deg", "1 TeV", "0.3 deg")
    )
    assert holed.parameters["sigma"][0, 0] == 0


def test_extrapolated_parameters_stay_a_psf():
    # gamma falls from 2 at 1 deg to 1.1 at 2 deg: at the outer edge, 2.5 deg, it would be 0.65, which is no PSF
    psf = king(gamma=np.broadcast_to([2.0, 2.0, 1.1], (4, 3)))
    contained = psf.containment_values(0.1, 1.0, np.array([2.0, 2.5]))
    assert_allclose(contained[1], contained[0])


@pytest.mark.parametrize(("sigma", "gamma"), [(-0.05, 2), (0.05, 1)])
def test_parameters_that_are_no_psf(sigma, gamma):
    with pytest.raises(DataValueError, match=r"GX-IRF-072 12 of 12[^$]*sigma > 0 and gamma > 1"):
        king(sigma, gamma)
    with pytest.raises(DataValueError, match="GX-IRF-071"):
        king(0, 0)


def test_rad_max_of_the_bin():
    rad_max = CASES["rad_max_2d"]()
    low, high = rad_max.axes["energy"].edges_value("TeV")[[1, 2]]
    energy = np.array([low * 0.999, low * 1.001, high * 0.999, 11.0])
    assert_allclose(rad_max.values(energy=energy, offset=0.45), [0.3, 0.2, 0.2, 0])
    assert_allclose(rad_max.values(energy=1.0, offset=np.array([0.59, 0.61])), [0.2, 0.25])
    assert not rad_max.is_fixed_rad_max


def test_fixed_rad_max():
    area = linear_area()
    point = EffectiveAreaTable2D(area.axes, area.data, is_pointlike=True, meta={"RAD_MAX": 0.2})
    fixed = RadMax2D.from_irf(point)
    assert fixed.is_fixed_rad_max
    assert_array_equal(fixed.values(energy=np.array([1e-3, 1]), offset=9.0), [0.2, 0.2])
    with pytest.raises(SchemaError, match="GX-IRF-090"):
        RadMax2D.from_irf(area)
    with pytest.raises(SchemaError, match="GX-IRF-091"):
        RadMax2D.from_irf(EffectiveAreaTable2D(area.axes, area.data, is_pointlike=True))
    for bad, code in (("wide", "GX-IRF-092"), (-1.0, "GX-IRF-093")):
        with pytest.raises(DataValueError, match=code):
            RadMax2D.from_irf(EffectiveAreaTable2D(area.axes, area.data, is_pointlike=True, meta={"RAD_MAX": bad}))


@pytest.mark.parametrize("tag", CASES)
def test_plots(tag):
    response = CASES[tag]()
    ax = response.plot_containment_radius() if tag.startswith("psf") else response.plot()
    assert ax.get_xlabel()
    assert ax.lines or ax.patches or ax.collections
    plt.close("all")
