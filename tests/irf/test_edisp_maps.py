"""Energy dispersions in pixels: kernels, kinds, lookups and sums."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from numpy.testing import assert_allclose
from scipy.special import erf

from gammax.errors import GeometryError
from gammax.irf import EDispKernel, EDispKernelMap, EDispMap
from gammax.maps import MapAxis, RegionGeom, RegionNDMap, WcsGeom

TRUE = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=6, name="energy_true")
RECO = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=4)
MIGRA = MapAxis.from_bounds(0.2, 2, 900, "migra")
IMAGE = WcsGeom.create(npix=(4, 3), binsz=0.5, skydir=SkyCoord(83.6, 22.0, unit="deg"))


def gauss_map(sigma=0.1):
    density = np.diff(erf((MIGRA.edges_value("") - 1) / (np.sqrt(2) * sigma))) / 2 / np.diff(MIGRA.edges_value(""))
    geom = RegionGeom(None, (MIGRA, TRUE))
    return EDispMap(RegionNDMap(geom, np.broadcast_to(density, (TRUE.nbin, MIGRA.nbin))))


def test_migra_becomes_the_kernel_of_a_gaussian():
    kernel = gauss_map().get_edisp_kernel(RECO)
    # linear inside bins of migra of 0.002; closed form in EDispKernel.from_gauss
    assert_allclose(kernel.data, EDispKernel.from_gauss(TRUE, RECO, 0.1, 0.0).data, atol=3e-5)
    assert_allclose(gauss_map().to_edisp_kernel_map(RECO).get_edisp_kernel(RECO).data, kernel.data, rtol=1e-12)


def test_probabilities_below_the_threshold_are_dropped():
    wide = gauss_map().to_edisp_kernel_map(RECO, threshold=1e-3).edisp_map.data
    assert wide[wide > 0].min() >= 1e-3


def test_normalize_leaves_empty_rows_empty():
    edisp = gauss_map()
    scale = np.array([3.0, 0, 1, 2, 5, 0.1]).reshape(6, 1, 1, 1)
    edisp = EDispMap(edisp.edisp_map.replace(data=edisp.edisp_map.data * scale)).normalize()
    width = np.diff(MIGRA.edges_value(""))
    assert_allclose(edisp.edisp_map.values() @ width, [1, 0, 1, 1, 1, 1], rtol=1e-12)


@pytest.mark.parametrize("geom", [None, IMAGE])
def test_perfect_resolution(geom):
    expected = EDispKernel.from_diagonal_response(TRUE, RECO).data
    kernels = EDispKernelMap.from_diagonal_response(RECO, TRUE, geom)
    assert_allclose(kernels.get_edisp_kernel(RECO).data, expected)
    # with one migra for all energies of a bin, its centre lies in one reconstructed bin
    sharp = EDispMap.from_diagonal_response(TRUE, geom=geom).get_edisp_kernel(TRUE.rename("energy"))
    assert_allclose(sharp.data, np.eye(6), atol=1e-9)


def test_a_gaussian_at_all_positions():
    edisp = EDispKernelMap.from_gauss(RECO, TRUE, 0.2, 0.1, geom=IMAGE)
    assert edisp.edisp_map.data.shape == (6, 4, 3, 4)
    assert_allclose(edisp.get_edisp_kernel(RECO).data, EDispKernel.from_gauss(TRUE, RECO, 0.2, 0.1).data)
    with pytest.raises(GeometryError, match="GX-IRF-160"):
        edisp.get_edisp_kernel(TRUE.rename("energy"))


def test_the_pixel_that_holds_a_position_is_taken():
    edisp = EDispKernelMap.from_gauss(RECO, TRUE, 0.2, 0.0, geom=IMAGE)
    scale = (np.arange(12) / 20 + 0.1).reshape(3, 4)
    edisp = EDispKernelMap(edisp.edisp_map.replace(data=edisp.edisp_map.data * scale))
    one = EDispKernel.from_gauss(TRUE, RECO, 0.2, 0.0).data
    position = IMAGE.pix_to_coord((1.4, 1.7))["skycoord"]
    assert_allclose(edisp.get_edisp_kernel(position=position).data, one * scale[2, 1], rtol=1e-12)
    mean = 0.3 * (0.6 * scale[1, 1] + 0.4 * scale[1, 2]) + 0.7 * (0.6 * scale[2, 1] + 0.4 * scale[2, 2])
    assert_allclose(edisp.get_edisp_kernel(position=position, method="linear").data, one * mean, rtol=1e-9)


def test_shares_between_pixels_are_those_of_valid_ones_and_end_at_the_border():
    """Pixels with all, a fifth and none of the events of a run that others have masked, 0.5 deg apart."""
    kernel = EDispKernel.from_gauss(TRUE, RECO, 0.1, 0.0)
    edisp = EDispKernelMap.from_edisp_kernel(kernel, IMAGE)
    share = np.array([1.0, 0.2, 0.0, 0.0])
    edisp = edisp._with(edisp.edisp_map.replace(data=edisp.edisp_map.data * share), edisp.exposure_map)
    # half-way between centres, in the outer half of the border pixel, and towards an empty pixel
    for x, expected in ((0.5, 0.6), (-0.4, 1.0), (1.4, 0.2)):
        place = IMAGE.pix_to_coord(np.array([[x], [1.0]]))["skycoord"][0]
        found = edisp.get_edisp_kernel(RECO, place, method="linear").data
        assert_allclose(found, expected * kernel.data, rtol=1e-9)


def test_reconstructed_bins_are_summed():
    edisp = EDispKernelMap.from_gauss(RECO, TRUE, 0.3, 0.0)
    two = MapAxis.from_energy_edges(RECO.edges[[0, 1, 4]])
    data = edisp.resample_energy_axis(two).edisp_map.values()
    assert_allclose(data[:, 1], edisp.edisp_map.values()[:, 1:].sum(axis=1))
    mask = RegionNDMap(RegionGeom(None, (RECO, TRUE.squash())), [[True, False, True, True]])
    image = edisp.to_image(mask)
    assert image.edisp_map.data.shape == (6, 1, 1, 1)
    assert_allclose(image.edisp_map.values()[:, 0], edisp.edisp_map.values()[:, [0, 2, 3]].sum(axis=1))
    with pytest.raises(GeometryError, match="GX-IRF-161"):
        edisp.resample_energy_axis(MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=3))


def test_peek():
    assert len(gauss_map().peek().axes) >= 2
    assert len(EDispKernelMap.from_gauss(RECO, TRUE, 0.3, 0.0).peek().axes) >= 2
    plt.close("all")
