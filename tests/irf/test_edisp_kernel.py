"""EDispKernel: closed forms, the peer's moments, maps, pictures, refusals."""

import astropy.units as u
import matplotlib.pyplot as plt
import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gammax.errors import DataValueError, GammaxWarning, GeometryError, SchemaError
from gammax.irf import EDispKernel
from gammax.maps import MapAxis, RegionNDMap


@pytest.fixture
def true():
    return MapAxis.from_energy_bounds("0.1 TeV", "100 TeV", nbin=4, per_decade=True, name="energy_true")


@pytest.fixture
def reco():
    return MapAxis.from_energy_bounds("0.1 TeV", "100 TeV", nbin=5, per_decade=True)


@pytest.fixture
def gauss(true, reco):
    return EDispKernel.from_gauss(true, reco, sigma=0.2, bias=0.1)


def test_gauss_against_mpmath(gauss, true, reco):
    center, edges = true.center_value("TeV"), reco.edges_value("TeV")
    for t, k in [(0, 0), (5, 7), (11, 14)]:
        cdf = [mpmath.ncdf((mpmath.mpf(edge) / center[t] - 1 - mpmath.mpf(0.1)) / 0.2) for edge in edges[k : k + 2]]
        assert_allclose(gauss.data[t, k], float(cdf[1] - cdf[0]), rtol=1e-12)


def test_gauss_near_the_peer(gauss):
    # Gammapy 2.1 integrates on a grid in E_reco / E_true from 1/3 on: good to 1e-4, and without the tail below
    row = gauss.data[5][gauss.data[5] > 0][-5:]
    assert_allclose(row, [2.86540295e-04, 1.51253209e-02, 4.03876310e-01, 5.78806696e-01, 1.90513262e-03], atol=1e-4)


def test_moments_are_those_of_the_peer(gauss):
    # Gammapy 2.1 on the same matrix
    energy = [0.3, 3, 30] * u.TeV
    assert_allclose(gauss.get_mean(energy).to_value("TeV"), [0.26655971, 2.66494281, 26.64942809], rtol=1e-7)
    assert_allclose(gauss.get_bias(energy), [0.12407298, 0.12379706, 0.12379706], rtol=1e-7)
    assert_allclose(gauss.get_resolution(energy), [0.25467621, 0.25506254, 0.25506254], rtol=1e-7)


def test_moments_outside_and_in_empty_rows(gauss):
    assert np.isnan(gauss.get_bias("1 GeV"))
    assert np.isnan(gauss.get_mean("200 TeV"))
    data = gauss.data.copy()
    data[5] = 0
    assert np.isnan(EDispKernel(gauss.axes, data).get_resolution("3 TeV"))


def test_gauss_per_true_bin(true, reco):
    sigma = np.linspace(0.1, 0.3, true.nbin)
    kernel = EDispKernel.from_gauss(true, reco, sigma, bias=np.zeros(true.nbin), pdf_threshold=0)
    for t in (0, 7):
        single = EDispKernel.from_gauss(true, reco, float(sigma[t]), 0, pdf_threshold=0)
        assert_array_equal(kernel.data[t], single.data[t])
    with pytest.raises(DataValueError, match="GX-IRF-003"):
        EDispKernel.from_gauss(true, reco, 0.0, 0.0)


def test_diagonal_response_is_the_identity(true):
    kernel = EDispKernel.from_diagonal_response(true)
    assert_array_equal(kernel.data, np.eye(true.nbin))
    assert kernel.energy_axis.name == "energy"


def test_diagonal_response_shares_by_overlap():
    # [1, 3] over [1, 2], [2, 2.5]: 1/2 and 1/4, the last quarter is lost; [3, 5] lies outside
    true = MapAxis.from_energy_edges([1, 3, 5], unit="TeV", name="energy_true")
    reco = MapAxis.from_energy_edges([1e9, 2e9, 2.5e9], unit="keV")
    assert_allclose(EDispKernel.from_diagonal_response(true, reco).data, [[0.5, 0.25], [0, 0]], atol=1e-15)


def test_diagonal_response_conserves(true, reco):
    wide = MapAxis.from_energy_bounds("0.05 TeV", "200 TeV", nbin=20)
    assert_allclose(EDispKernel.from_diagonal_response(true, wide).data.sum(axis=1), 1, rtol=1e-14)
    # first row of Gammapy 2.1 for 4 over 5 bins per decade
    row = EDispKernel.from_diagonal_response(true, reco).data[0]
    assert_allclose(row[:3], [0.75152084, 0.24847916, 0], rtol=1e-7)


def test_slice(gauss):
    cut = gauss.slice_by_idx({"energy": slice(2, 9), "energy_true": slice(1, 4)})
    assert_array_equal(cut.data, gauss.data[1:4, 2:9])
    assert cut.energy_axis.nbin == 7
    with pytest.raises(SchemaError, match="did you mean 'energy_true'"):
        gauss.slice_by_idx({"energy_tru": slice(1, 2)})


def test_region_map_round_trip(gauss):
    edisp_map = gauss.to_region_map("icrs;circle(83.63, 22.01, 0.11)")
    assert edisp_map.geom.axes.names == ("energy", "energy_true")
    assert edisp_map.data.shape == (12, 15, 1, 1)
    assert_array_equal(EDispKernel.from_region_map(edisp_map).data, gauss.data)
    back = RegionNDMap.from_hdulist(edisp_map.to_hdulist("EDISP"), "EDISP")
    assert gauss.is_allclose(EDispKernel.from_region_map(back), rtol=0)
    other_order = RegionNDMap.create(None, edisp_map.geom.axes[::-1], data=gauss.data.T)
    assert_array_equal(EDispKernel.from_region_map(other_order).data, gauss.data)
    assert gauss.to_region_map().geom.region is None


def test_region_map_with_negative_values(gauss):
    data = gauss.data.copy()
    data[4, 3] = -1e-4
    edisp_map = gauss.to_region_map()
    with pytest.warns(GammaxWarning, match=r"pha.fits: 1 negative values \(smallest -0.0001\) set to 0"):
        kernel = EDispKernel.from_region_map(edisp_map.replace(data=data[..., None, None]), file="pha.fits")
    assert kernel.data[4, 3] == 0
    with pytest.raises(DataValueError, match=r"pha\.fits"):
        EDispKernel.from_region_map(edisp_map.replace(data=edisp_map.data * 2), file="pha.fits")


def test_exposure_map(gauss, true):
    exposure = RegionNDMap.create("icrs;circle(83.63, 22.01, 0.11)", true, unit="m2 s", data=np.arange(12))
    companion = gauss.to_exposure_map(exposure)
    assert companion.data.shape == (12, 1, 1, 1)
    assert companion.unit == "m2 s"
    assert companion.geom.axes["energy"].nbin == 1
    assert_array_equal(companion.data.ravel(), np.arange(12))


@pytest.mark.data
def test_peer_edisp_map(reference_dir):
    # moments printed by Gammapy 2.1 for this file
    kernel = EDispKernel.from_region_map(RegionNDMap.read(reference_dir / "datasets/w01/pha_obs23523.fits", "EDISP"))
    energy = [0.3, 1.2, 30] * u.TeV
    assert_allclose(kernel.get_mean(energy).to_value("TeV"), [0.68167103, 1.32415257, 29.37137274], rtol=1e-7)
    assert_allclose(kernel.get_bias(energy), [1.34927425, 0.04423573, -0.03339321], rtol=1e-6)
    assert_allclose(kernel.get_resolution(energy), [0.5637832, 0.38013971, 0.16201206], rtol=1e-7)
    assert_allclose(kernel.data.sum(), 51.96852330541152, rtol=1e-12)


def test_refusals(gauss, true, reco):
    with pytest.raises(GeometryError, match="GX-IRF-001"):
        EDispKernel((reco, true), gauss.data.T)
    with pytest.raises(GeometryError, match="GX-IRF-002"):
        EDispKernel((true, reco), gauss.data.T)
    for value in (np.nan, np.inf, -1e-6):
        data = gauss.data.copy()
        data[3, 2] = value
        with pytest.raises(DataValueError, match="GX-IRF-005") as info:
            EDispKernel((true, reco), data)
        assert (info.value.context["true_bin"], info.value.context["reco_bin"]) == (3, 2)
    with pytest.raises(DataValueError, match="GX-IRF-006"):
        EDispKernel((true, reco), gauss.data * 1.1)
    with pytest.raises(SchemaError, match="GX-IRF-007"):
        gauss.to_hdulist(format="gtdrm")
    with pytest.raises(ValueError, match="read-only"):
        gauss.data[0, 0] = 1


def test_plots_take_and_return_axes(gauss):
    ax = plt.figure().subplots()
    assert gauss.plot_matrix(ax) is ax
    assert_array_equal(ax.collections[0].get_array(), gauss.data.T)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("True energy [TeV]", "Energy [TeV]")
    ax = gauss.plot_bias()
    assert_allclose(ax.lines[0].get_ydata()[5], 0.12379706, rtol=0.02)
    plt.close("all")
