"""DL3 responses of real instruments against Gammapy 2.1 (numbers made with it, see each test)."""

import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from numpy.testing import assert_allclose

from gammax._fits import open_fits
from gammax.datasets import SpectrumDatasetOnOff
from gammax.errors import GammaxWarning
from gammax.irf import (
    DL3_IRFS,
    PSF3D,
    Background3D,
    EffectiveAreaTable2D,
    EnergyDependentMultiGaussPSF,
    EnergyDispersion2D,
    PSFKing,
    RadMax2D,
    hdu_class_of,
)
from gammax.maps import MapAxis

pytestmark = pytest.mark.data
ENERGY, OFFSET = [0.3, 1, 30] * u.TeV, [0.5, 0.3, 2.6] * u.deg
FIELD = {"energy": ENERGY, "fov_lon": [0.5, -1, 0.2] * u.deg, "fov_lat": [0.1, 1.2, -0.3] * u.deg}


@pytest.fixture(scope="module")
def hess(data_dir):
    return data_dir / "hess-dl3-dr1/data/hess_dl3_dr1_obs_id_023523.fits.gz"


@pytest.fixture(scope="module")
def magic(data_dir):
    return data_dir / "magic/rad_max/data/20131004_05029747_DL3_CrabNebula-W0.40+035.fits"


@pytest.fixture(scope="module")
def prod5(data_dir):
    return data_dir / "cta-caldb/Prod5-South-20deg-AverageAz-14MSTs37SSTs.180000s-v0.1.fits.gz"


@pytest.fixture(scope="module")
def cta_1dc(data_dir):
    return data_dir / "cta-1dc/caldb/data/cta/1dc/bcf/South_z20_50h/irf_file.fits"


@pytest.mark.parametrize("run", [23523, 23526, 23559, 23592])
def test_w01_exposure_and_edisp(run, data_dir, reference_dir):
    # datasets/w01 of the reference: effective area x live time x containment in 0.11 deg, and the kernel
    path = data_dir / f"hess-dl3-dr1/data/hess_dl3_dr1_obs_id_0{run}.fits.gz"
    with open_fits(path) as hdus:
        header = hdus["EVENTS"].header
        pointing, livetime = SkyCoord(header["RA_PNT"], header["DEC_PNT"], unit="deg"), header["LIVETIME"]
    offset = pointing.separation(SkyCoord(83.63, 22.01, unit="deg"))
    energy = MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", nbin=10, per_decade=True)
    true = MapAxis.from_energy_bounds("0.05 TeV", "100 TeV", nbin=20, per_decade=True, name="energy_true")
    reference = SpectrumDatasetOnOff.read(reference_dir / f"datasets/w01/pha_obs{run}.fits")
    kernel = EnergyDispersion2D.read(path).to_edisp_kernel(offset, true, energy)
    assert_allclose(kernel.data, reference.edisp.data, atol=1e-12)
    area = EffectiveAreaTable2D.read(path).evaluate(energy_true=true.center, offset=offset)
    contained = PSF3D.read(path).containment("0.11 deg", true.center, offset, method="gammapy")
    exposure = (area * contained * livetime * u.s).to_value("cm2 s")
    assert_allclose(exposure, reference.exposure.quantity.to_value("cm2 s").ravel(), rtol=1e-7)


def test_every_hess_file_loads(data_dir):
    paths = sorted((data_dir / "hess-dl3-dr1/data").glob("*.fits.gz"))
    assert len(paths) >= 87
    clipped = {}
    for path in paths:
        with open_fits(path) as hdus, warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always", GammaxWarning)
            for hdu in hdus[1:]:
                if hdu_class_of(hdu) is not None:
                    DL3_IRFS[hdu_class_of(hdu)].from_hdu(hdu, str(path))
        for warning in seen:
            name = str(warning.message).split("HDU ")[1].split()[0]
            clipped.setdefault(name, []).append(path)
    # counted with numpy alone: files with negative cells, one warning each
    assert {name: len(files) for name, files in clipped.items()} == {"AEFF": 13, "EDISP": 18, "PSF": 18}
    assert all(len(set(files)) == len(files) for files in clipped.values())


def test_hess(hess):
    area = EffectiveAreaTable2D.read(hess).evaluate(energy_true=ENERGY, offset=OFFSET)
    assert_allclose(area.to_value("m2"), [0, 229747.378560483, 345558.0029471116], rtol=1e-12)
    density = EnergyDispersion2D.read(hess).evaluate(energy_true=ENERGY, offset=OFFSET, migra=[0.9, 1, 1.1])
    assert_allclose(density.value, [0, 2.063490207626, 1.158018680588], rtol=1e-11)
    psf = PSF3D.read(hess)
    density = psf.evaluate(energy_true=ENERGY, offset=OFFSET, rad=[0.05, 0.1, 0.2] * u.deg)
    assert_allclose(density.to_value("sr-1"), [49527.48620566039, 25847.24954757719, 2774.276534077737], rtol=1e-12)
    rad, offset = [0.005, 0.11, 0.667] * u.deg, [0.5, 0.5, 1.2] * u.deg
    contained = psf.containment(rad, ENERGY, offset, method="gammapy")
    assert_allclose(contained, [0, 0.629398966367, 0.9993928452], rtol=1e-9)
    rate = Background3D.read(hess).evaluate(**FIELD).to_value("s-1 TeV-1 sr-1")
    assert_allclose(rate, [1.335334595020e-10, 3.899661015309e02, 4.489841249774e-02], rtol=1e-5)


def test_hess_background_is_aligned_with_the_events(hess):
    with open_fits(hess) as hdus:
        header = hdus["EVENTS"].header
    bkg = Background3D.read(hess)
    assert bkg.fov_alignment == "RADEC"
    assert bkg.with_events_header(header).fov_alignment == "REVERSE_LON_RADEC"


def test_default_containment_of_hess_differs_little(hess):
    psf, energy = PSF3D.read(hess), np.geomspace(0.6, 50, 12) * u.TeV
    peer, own = (psf.containment("0.11 deg", energy, "0.5 deg", method=m) for m in ("gammapy", "normalized"))
    assert_allclose(own, peer, rtol=2e-3)


def test_magic(magic):
    area = EffectiveAreaTable2D.read(magic)
    assert area.is_pointlike
    value = area.evaluate(energy_true=ENERGY, offset=0.4 * u.deg).to_value("m2")
    assert_allclose(value, [56605.2331320606, 93296.97118332876, 16334.18703903258], rtol=1e-12)
    cut = RadMax2D.read(magic).evaluate(energy=[0.05, 0.3, 3] * u.TeV, offset=0.4 * u.deg)
    assert_allclose(cut.to_value("deg"), [0.26457512, 0.14142135, 0.1], rtol=1e-7)


def test_prod5(prod5):
    psf, offset = EnergyDependentMultiGaussPSF.read(prod5), [0.3, 0.7, 2.6] * u.deg
    rad = [0.02, 0.05, 0.1] * u.deg
    density = psf.evaluate(rad, ENERGY, offset).to_value("sr-1")
    assert_allclose(density, [1.535745239180e05, 1.530790633042e05, 1.009114519029e01], rtol=1e-11)
    assert_allclose(psf.containment(rad, ENERGY, offset), [0.06066589446, 0.596798043123, 0.99999174982], rtol=1e-9)


def test_king(data_dir):
    psf = PSFKing.read(data_dir / "tests/hess_psf_king_023523.fits.gz")
    place = [0.02, 0.05, 0.1] * u.deg, [1, 3, 30] * u.TeV, [0.5, 0.7, 1.6] * u.deg
    density = psf.evaluate(*place).to_value("sr-1")
    assert_allclose(density, [121084.25221222393, 75782.28671235863, 11758.145766568206], rtol=1e-7)
    assert_allclose(psf.containment(*place), [0.049190694097, 0.351100288084, 0.814723907717], rtol=1e-7)


def test_cta_1dc(cta_1dc):
    # HDUCLAS4 = '2D' and '3GAUSS', ETRUE, BGD in 1/s/MeV/sr, a dispersion that integrates to 3000
    rate = Background3D.read(cta_1dc).evaluate(**FIELD).to_value("s-1 TeV-1 sr-1")
    assert_allclose(rate, [2.684398147902e03, 1.253257743540e02, 4.139568147120e-02], rtol=1e-5)
    edisp = EnergyDispersion2D.read(cta_1dc)
    assert edisp.norms().max() > 2900
    true = MapAxis.from_energy_bounds("0.1 TeV", "50 TeV", nbin=4, name="energy_true")
    kernel = edisp.to_edisp_kernel("0.4 deg", true, MapAxis.from_energy_bounds("0.01 TeV", "200 TeV", nbin=8))
    assert_allclose(kernel.data.sum(axis=1), 1, rtol=1e-6)
    assert EnergyDependentMultiGaussPSF.read(cta_1dc).containment_radius(0.68, "1 TeV", "0 deg") < 0.1 * u.deg
