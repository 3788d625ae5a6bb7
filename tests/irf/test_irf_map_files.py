"""Response maps written and read; the peer's own files."""

import json

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from numpy.testing import assert_allclose

from gammax.errors import GammaxWarning, GeometryError, SchemaError
from gammax.irf import EDispKernelMap, EDispMap, PSFKernel, PSFMap, RecoPSFMap
from gammax.maps import MapAxis, WcsGeom

RECO = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=3)
TRUE = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2, name="energy_true")
RAD = MapAxis.from_bounds(0, 0.3, 5, "rad", unit="deg")
IMAGE = WcsGeom.create(npix=(3, 2), binsz=0.5)
MAPS = [
    PSFMap.from_gauss(TRUE, RAD, "0.1 deg"),
    PSFMap.from_gauss(TRUE, RAD, "0.1 deg", IMAGE),
    RecoPSFMap.from_gauss(RECO, RAD, "0.1 deg", IMAGE),
    EDispKernelMap.from_gauss(RECO, TRUE, 0.2, 0.0, geom=IMAGE),
    EDispKernelMap.from_gauss(RECO, TRUE, 0.2, 0.0),
    EDispMap.from_diagonal_response(TRUE, geom=IMAGE),
    EDispMap(EDispMap.from_diagonal_response(TRUE).edisp_map),
]


@pytest.mark.parametrize("response", MAPS, ids=lambda response: f"{response.tag}-{response.is_region}")
def test_round_trip(response, tmp_path):
    path = response.write(tmp_path / "irf.fits")
    again = type(response).read(path)
    assert again.is_allclose(response, rtol=0)
    assert (again.exposure_map is None) == (response.exposure_map is None)
    with fits.open(path) as hdus:
        names = {hdu.name for hdu in hdus} - {"PRIMARY"}
    assert {response.hdu, f"{response.hdu}_BANDS"} <= names
    assert (f"{response.hdu}_EXPOSURE" in names) == (response.exposure_map is not None)


def test_the_axes_decide_what_is_read(tmp_path):
    for reader, response in ((PSFMap, MAPS[2]), (EDispMap, MAPS[3]), (EDispKernelMap, MAPS[5])):
        path = response.write(tmp_path / "irf.fits", overwrite=True)
        assert type(reader.read(path)) is type(response)
    with pytest.raises(SchemaError, match="GX-FITS-004"):
        PSFMap.read(path)
    with pytest.raises(SchemaError, match="GX-IRF-130"):
        PSFMap.read(path, format="gtspf")
    with pytest.raises(GeometryError, match="GX-IRF-110"):
        PSFMap.read(path, hdu="EDISP")


def test_numbers_that_are_not_finite_are_zero_with_a_warning(tmp_path):
    path = MAPS[1].write(tmp_path / "irf.fits")
    with fits.open(path, mode="update") as hdus:
        hdus["PSF"].data[0, :, 0, 0] = np.nan
    with pytest.warns(GammaxWarning, match="5 of 60"):
        psf = PSFMap.read(path)
    assert not psf.psf_map.data[0, :, 0, 0].any()


def test_gtpsf_round_trip(tmp_path):
    rad = MapAxis.from_nodes([0.0, 0.1, 0.4], "rad", unit="deg")
    energy = MapAxis.from_nodes([1e4, 1e5], "energy_true", "log", "MeV")
    psf = PSFMap.from_gauss(energy, rad, "0.1 deg")
    path = psf.write(tmp_path / "psf.fits", format="gtpsf")
    again = PSFMap.read(path, format="gtpsf")
    assert again.is_allclose(psf, rtol=1e-12)
    assert_allclose(again.rad_axis.center_value("deg"), [0, 0.1, 0.4], atol=0)
    with pytest.raises(GeometryError, match="GX-IRF-145"):
        MAPS[1].to_hdulist("gtpsf")


def test_kernel_round_trip(tmp_path):
    kernel = PSFKernel.from_gauss(WcsGeom.create(npix=3, binsz=0.1, axes=[TRUE]), "0.1 deg")
    again = PSFKernel.read(kernel.write(tmp_path / "kernel.fits"))
    assert_allclose(again.data, kernel.data, rtol=1e-15)


STACKS = [
    ("w02_a1/crab-stacked.fits", "w02_hess_crab_3d", ("reduced", "a1"), SkyCoord(83.633, 22.014, unit="deg")),
    ("w02_a2/crab-stacked.fits", "w02_hess_crab_3d", ("reduced", "a2"), SkyCoord(83.633, 22.014, unit="deg")),
    ("w03_stacked/stacked.fits", "w03_cta_gc_3d", ("reduced_stacked",), SkyCoord(0, 0, unit="deg", frame="galactic")),
    ("w04/fermi-3fhl-gc.fits", "w04_fermi_3fhl_gc", ("reduced",), SkyCoord(0, 0, unit="deg", frame="galactic")),
]


@pytest.mark.data
@pytest.mark.parametrize(("name", "result", "keys", "position"), STACKS, ids=lambda value: str(value)[:6])
def test_the_peer_s_stacks(reference_dir, name, result, keys, position):
    """Gammapy 2.1: containment radii and row sums that it finds in its own files, as its results have them."""
    expected = json.loads((reference_dir / f"results/{result}.json").read_text())
    for key in keys:
        expected = expected[key]
    path = reference_dir / "datasets" / name
    psf, edisp = PSFMap.read(path), EDispKernelMap.read(path)
    for fraction, key in ((0.68, "psf_r68_deg"), (0.95, "psf_r95_deg")):
        radius = psf.containment_radius(fraction, position=position, method="gammapy").to_value("deg")
        assert_allclose(radius, expected[key], rtol=1e-12)
    # 66 rings of 0.01 deg; its rule looks in twentieths of them and adds up densities of their centres
    linear = psf.containment_radius(0.68, position=position).to_value("deg")
    assert_allclose(linear, expected["psf_r68_deg"], atol=1e-3)
    rows = edisp.get_edisp_kernel(position=position).pdf_matrix.sum(axis=1)
    assert_allclose(rows, expected["edisp_row_sum"], rtol=1e-6)


@pytest.mark.data
def test_the_fermi_psf_cube_is_what_the_peer_made_of_it(data_dir, reference_dir):
    """The peer read this cube, cut it to 130 radii and wrote it into its dataset."""
    psf = PSFMap.read(data_dir / "fermi-3fhl-gc/fermi-3fhl-gc-psf-cube.fits.gz", format="gtpsf")
    assert psf.psf_map.data.shape == (11, 300, 1, 1)
    theirs = PSFMap.read(reference_dir / "datasets/w04/fermi-3fhl-gc.fits")
    assert psf.slice_by_idx({"rad": slice(0, 130)}).is_allclose(theirs, rtol=1e-12)
