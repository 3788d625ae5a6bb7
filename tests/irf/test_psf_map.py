"""PSF maps against closed forms of a Gaussian: containment 1 - exp(-r^2 / 2 s^2), radius s sqrt(-2 ln(1 - f))."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from numpy.testing import assert_allclose
from regions import CircleSkyRegion

from gammax.errors import DataValueError, GammaxWarning, GeometryError, SchemaError, UnitError
from gammax.irf import PSFKernel, PSFMap, RecoPSFMap
from gammax.irf._psf_profile import SR, closed_profile, integral_to
from gammax.maps import MapAxis, RegionGeom, RegionNDMap, WcsGeom, WcsNDMap

TRUE = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=2, name="energy_true")
RAD = MapAxis.from_bounds(0, 1, 1000, "rad", unit="deg")
SIGMA = np.array([0.1, 0.05])
CENTER = SkyCoord(83.6, 22.0, unit="deg")
IMAGE = WcsGeom.create(npix=(4, 3), binsz=0.5, skydir=CENTER)


def gauss(geom=None, rad=RAD):
    return PSFMap.from_gauss(TRUE, rad, SIGMA * u.deg, geom)


def at(x, y):
    return IMAGE.pix_to_coord((x, y))["skycoord"]


def with_hole():
    """Tables k + 1 times a Gaussian in pixel k; no response in the first column."""
    psf = gauss(IMAGE)
    scale = (np.arange(12) + 1.0).reshape(3, 4)
    scale[:, 0] = 0
    return PSFMap(psf.psf_map.replace(data=psf.psf_map.data * scale), psf.exposure_map)


@pytest.mark.parametrize("geom", [None, IMAGE])
@pytest.mark.parametrize("method", ["linear", "gammapy"])
def test_containment_of_a_gaussian(geom, method):
    psf, rad = gauss(geom), np.array([0.03, 0.1, 0.2])
    expected = -np.expm1(-(rad[:, np.newaxis] ** 2) / (2 * SIGMA**2))
    assert_allclose(psf.containment(rad[:, None] * u.deg, TRUE.center, method=method), expected, atol=3e-5)
    radius = psf.containment_radius(0.68, method=method)
    # the peer's rule looks in twentieths of a ring of 0.001 deg
    assert_allclose(radius.to_value("deg"), SIGMA * np.sqrt(-2 * np.log(0.32)), atol=3e-5)


def test_integral_of_lines_is_exact():
    # cone of height 1 and radius 1: volume pi / 3; within x: pi x^2 - 2 pi x^3 / 3
    rad, values = np.array([0.0, 0.4, 1.0]), np.array([[1.0, 0.6, 0.0]])
    x = np.array([0.0, 0.1, 0.4, 0.7, 1.0, 5.0])
    inner = np.minimum(x, 1)
    assert_allclose(integral_to(rad, values, x)[0], SR * np.pi * (inner**2 - 2 * inner**3 / 3), rtol=1e-14, atol=1e-20)


def test_profile_goes_on_to_the_source_and_to_the_edge():
    nodes, values = closed_profile(np.array([1.0, 3.0]), np.array([[4.0, 2.0], [1.0, 0.1]]), 4.0)
    assert_allclose(nodes, [0, 1, 3, 4])
    # lines through both centres; the second would be negative at the edge
    assert_allclose(values, [[5, 4, 2, 1], [1.45, 1, 0.1, 0]])
    rad, density = gauss().profile()
    assert rad[0] == 0
    assert_allclose(rad[-1], 1, rtol=1e-12)
    assert_allclose(density[:, 1:-1], gauss().psf_map.data[..., 0, 0])


def test_tables_are_linear_between_pixels_and_in_log_energy():
    psf = with_hole()
    middle = psf.profile(at(1, 1))[1]
    # pixels 5, 6, 9 and 10, which hold 6, 7, 10 and 11
    assert_allclose(psf.profile(at(1.25, 1.5))[1], middle / 6 * (0.75 * (6 + 10) / 2 + 0.25 * (7 + 11) / 2), rtol=1e-9)
    assert_allclose(psf.profile(at(1.25, 1.2), method="nearest")[1], middle, rtol=1e-12)
    quarter = u.Quantity(np.exp(np.log(TRUE.center_value("TeV")) @ [0.75, 0.25]), "TeV")
    assert_allclose(psf.profile(at(1, 1), quarter)[1][0], 0.75 * middle[0] + 0.25 * middle[1], rtol=1e-9)


def test_an_empty_pixel_is_replaced_by_the_nearest_that_is_not():
    psf = with_hole()
    with pytest.warns(GammaxWarning, match="outside"):
        moved = psf.profile(at(0.2, 2))
    assert_allclose(moved[1], psf.profile(at(1, 2))[1])
    with pytest.warns(GammaxWarning):
        assert psf.nearest_valid_position(at(-30, 2)).separation(at(1, 2)).deg < 1e-9
    assert psf.mask_safe_image.data.sum() == 9


def test_energies_without_response_are_zero():
    psf = gauss()
    psf = PSFMap(psf.psf_map.replace(data=psf.psf_map.data * np.array([1.0, 0.0]).reshape(2, 1, 1, 1)))
    normed = psf.normalize()
    assert_allclose(normed.containment("0.9 deg", TRUE.center), [1, 0], atol=1e-9)
    radius = normed.containment_radius(0.5).value
    assert np.isfinite(radius[0])
    assert np.isnan(radius[1])
    kernel = normed.get_psf_kernel(WcsGeom.create(npix=5, binsz=0.05, axes=[TRUE]), max_radius="0.2 deg")
    assert_allclose(kernel.data.sum(axis=(1, 2)), [1, 0], atol=1e-12)


def test_kernel_of_a_gaussian_is_its_integral_over_pixels():
    geom = WcsGeom.create(npix=5, binsz=0.04, skydir=CENTER, axes=[TRUE])
    kernel = gauss().get_psf_kernel(geom, max_radius="0.5 deg")
    exact = PSFKernel.from_gauss(geom, SIGMA * u.deg, max_radius="0.5 deg")
    assert kernel.data.shape == exact.data.shape == (2, 25, 25)
    # 4 x 4 points per pixel, cut at 99.9 % and normalised
    assert_allclose(kernel.data, exact.data, atol=4e-4)
    x = (np.arange(25) - 12) * 0.04
    second = np.einsum("tyx,x->t", exact.data, x**2)
    # a Gaussian and a pixel, one after the other
    assert_allclose(second, SIGMA**2 + 0.04**2 / 12, rtol=1e-4)


def test_kernel_axes_and_errors():
    geom = WcsGeom.create(npix=5, binsz=0.04, axes=[TRUE])
    kernel = PSFKernel.from_gauss(geom, "0.1 deg")
    image = kernel.to_image()
    assert image.data.shape == (1, *kernel.data.shape[1:])
    assert_allclose(image.data.sum(), 1)
    assert kernel.slice_by_idx({"energy_true": slice(1, 2)}).data.shape[0] == 1
    with pytest.raises(GeometryError, match="GX-IRF-150"):
        PSFKernel(WcsNDMap(WcsGeom.create(npix=4), np.ones((4, 4))))
    with pytest.raises(GeometryError, match="GX-IRF-142"):
        gauss().get_psf_kernel(geom.to_image())
    with pytest.raises(DataValueError, match="GX-IRF-151"):
        PSFKernel(WcsNDMap(WcsGeom.create(npix=1), -np.ones((1, 1))))


def test_kernel_weights_energies_by_flux():
    geom = WcsGeom.create(npix=5, binsz=0.04, axes=[TRUE])
    kernel = PSFKernel.from_gauss(geom, SIGMA * u.deg)
    # index 2 between 0.1, 1 and 10 TeV: 9 and 0.9; exposures 1 and 10 make them even
    expected = kernel.data.mean(axis=0)
    assert_allclose(kernel.to_image(exposure=[1, 10]).data[0], expected, rtol=1e-12)


def test_mean_over_energies_and_pixels_is_weighted_by_exposure():
    psf = gauss(IMAGE)
    exposure = np.ones(psf.exposure_map.data.shape)
    exposure[1] = 10
    exposure[..., 1, 2] *= 3
    psf = PSFMap(with_hole().psf_map, psf.exposure_map.replace(data=exposure))
    image = psf.to_image()
    assert_allclose(image.psf_map.data[0], psf.psf_map.data.mean(axis=0), rtol=1e-12)
    assert_allclose(image.exposure_map.data[0, 0, 1, 2], 3 * (1 * 9 + 10 * 0.9) / 9.9)
    region = psf.to_region_nd_map(CircleSkyRegion(at(1.5, 1), 0.3 * u.deg))
    # pixels 5 and 6 with exposures 1 and 3
    assert_allclose(region.psf_map.data[..., 0, 0], psf.values_at(at(1, 1)) / 6 * (6 + 3 * 7) / 4, rtol=1e-9)
    assert_allclose(region.exposure_map.data[:, 0, 0, 0], [2, 20])
    assert_allclose(psf.to_region_nd_map(at(2.3, 1)).profile()[1], psf.profile(at(2, 1))[1], rtol=1e-9)


def test_slices_keep_nodes_that_are_not_even():
    rad = MapAxis.from_nodes([0.0, 0.1, 0.4, 0.9], "rad", unit="deg")
    psf = gauss(rad=rad).slice_by_idx({"rad": slice(0, 3), "energy_true": slice(1, 2)})
    assert_allclose(psf.rad_axis.center_value("deg"), [0, 0.1, 0.4], atol=0)
    assert psf.exposure_map.data.shape == (1, 1, 1, 1)
    assert gauss(IMAGE).cutout(CENTER, "0.1 deg").psf_map.data.shape[2:] == (3, 3)


def test_psf_over_reconstructed_energy():
    energy = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=2)
    psf = RecoPSFMap.from_gauss(energy, RAD, SIGMA * u.deg)
    assert_allclose(psf.containment("0.1 deg", energy=energy.center), gauss().containment("0.1 deg", TRUE.center))
    assert_allclose(psf.containment_radius(0.68, energy="1 TeV").value, gauss().containment_radius(0.68, "1 TeV").value)
    with pytest.raises(SchemaError, match="GX-IRF-155"):
        psf.stack(psf)


def test_what_is_no_psf_map_is_refused():
    psf = gauss()
    with pytest.raises(GeometryError, match="GX-IRF-110"):
        PSFMap(psf.exposure_map.replace(geom=RegionGeom(None, (TRUE,)), data=np.ones(2)))
    with pytest.raises(UnitError, match="GX-IRF-111"):
        PSFMap(psf.psf_map.replace(unit="m2"))
    with pytest.raises(DataValueError, match="GX-IRF-112"):
        PSFMap(psf.psf_map.replace(data=np.full(psf.psf_map.data.shape, np.nan)))
    with pytest.raises(GeometryError, match="GX-IRF-113"):
        PSFMap(psf.psf_map, psf.psf_map.replace(unit="m2 s"))
    other = MapAxis.from_energy_bounds("0.2 TeV", "10 TeV", nbin=2, name="energy_true")
    with pytest.raises(GeometryError, match="edge 0"):
        PSFMap(psf.psf_map, RegionNDMap(RegionGeom(None, (RAD.squash(), other)), unit="m2 s"))
    with pytest.raises(UnitError, match="GX-IRF-114"):
        PSFMap(psf.psf_map, psf.exposure_map.replace(unit="m2"))
    with pytest.raises(DataValueError, match="GX-IRF-141"):
        psf.containment_radius(1.0)


def test_image_of_the_radius_and_plots():
    psf = with_hole()
    radius = psf.containment_radius_map("1 TeV")
    assert_allclose(radius.data[:, 1:], psf.containment_radius(0.68, "1 TeV", at(2, 1)).value, rtol=1e-9)
    assert np.isnan(radius.data[:, 0]).all()
    assert len(psf.peek().axes) >= 4
    ax = psf.plot_psf_vs_rad(energy_true=[0.1, 1] * u.TeV)
    assert [line.get_label() for line in ax.get_lines()] == ["0.1 TeV", "1 TeV"]
    plt.close("all")
