"""Safe masks: closed forms, and those of the peer on published runs."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from numpy.testing import assert_array_equal
from regions import CircleSkyRegion
from small_run import AREA, ENERGY, POINTING, SOURCE, TRUE, area, around, empty, observation

from gammax.data import DataStore
from gammax.datasets import SpectrumDataset, SpectrumDatasetOnOff
from gammax.errors import DataValueError, GammaxWarning, SchemaError, UnitError
from gammax.irf import EDispKernel
from gammax.makers import ReflectedRegionsBackgroundMaker, SafeMaskMaker, SpectrumDatasetMaker
from gammax.maps import MapAxis, RegionGeom, RegionNDMap

# Gammapy 2.1, recipe w01 without exclusion mask: first bin of mask_safe in runs 23523 (0.5 deg) and 23559 (1.5 deg)
PEER = [
    ({"methods": ["aeff-default"]}, 10, 9),
    ({"methods": ["aeff-max"]}, 9, 8),
    ({"methods": ["aeff-max"], "aeff_percent": 30}, 11, 10),
    ({"methods": ["edisp-bias"]}, 11, 9),
    ({"methods": ["edisp-bias"], "bias_percent": 2}, 15, 11),
    ({"methods": ["bkg-peak"]}, 8, 7),
    ({"methods": ["offset-max"], "offset_max": "1 deg"}, 0, 27),
    ({"methods": ["aeff-max", "edisp-bias"]}, 11, 9),
]
CRAB = SkyCoord(83.63, 22.01, unit="deg")


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::gammax.errors.GammaxWarning")
@pytest.mark.parametrize("run", [0, 1])
def test_masks_of_gammapy(data_dir, run):
    obs = DataStore.from_dir(data_dir / "hess-dl3-dr1").obs((23523, 23559)[run])
    energy = MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", nbin=10, per_decade=True)
    true = MapAxis.from_energy_bounds("0.05 TeV", "100 TeV", nbin=20, per_decade=True, name="energy_true")
    geom = RegionGeom.create(CircleSkyRegion(CRAB, 0.11 * u.deg), energy)
    dataset = SpectrumDatasetMaker(containment_correction=True).run(SpectrumDataset.create(geom, true, "run"), obs)
    dataset = ReflectedRegionsBackgroundMaker().run(dataset, obs)
    for options, *first in PEER:
        mask = SafeMaskMaker(**options).run(dataset, obs).mask_safe.values()
        assert_array_equal(mask, np.arange(energy.nbin) >= first[run], err_msg=str(options))


def spectrum(exposure=1.0, edisp=None, **changes):
    dataset = empty()
    maps = RegionNDMap(dataset.exposure.geom, np.broadcast_to(exposure, TRUE.nbin), unit="cm2 s")
    return dataset.replace(exposure=maps, edisp=edisp, **{"background": None, **changes})


def first_bin(maker, dataset, obs=None):
    mask = maker.run(dataset, obs).mask_safe.values()
    assert_array_equal(mask, np.arange(ENERGY.nbin) >= np.argmax(mask))
    return int(np.argmax(mask))


def test_header_thresholds():
    # bins of ENERGY: 0.1, 0.316, 1, 3.16, 10 TeV
    obs = observation(aeff=area(LO_THRES=0.3, HI_THRES=3.2))
    assert_array_equal(SafeMaskMaker().run(spectrum(), obs).mask_safe.values(), [False, True, True, False])
    with pytest.warns(GammaxWarning, match="observation 7: the effective area has no LO_THRES"):
        mask = SafeMaskMaker().run(spectrum(), observation(aeff=area(HI_THRES=10.0))).mask_safe
    assert mask.values().all()
    with pytest.raises(DataValueError, match="LO_THRES is no energy"):
        SafeMaskMaker().run(spectrum(), observation(aeff=area(LO_THRES="low")))


def test_area_maximum():
    energy = TRUE.center_value("TeV")
    # proportional to energy^2, interpolated log-log, is 4 % of its maximum at a fifth of the last energy, 1.5 TeV
    power = spectrum(energy**2)
    threshold = energy[-1] / 5
    assert ENERGY.edges_value("TeV")[2] < threshold < ENERGY.edges_value("TeV")[3]
    maker = SafeMaskMaker("aeff-max", aeff_percent=4)
    assert first_bin(maker, power) == 3
    # an area that starts above the threshold and falls below it again has no lower limit but the axis
    falling = spectrum(energy**-2.0)
    assert first_bin(maker, falling) == 1
    with pytest.warns(GammaxWarning, match="no bin is left by the safe mask"):
        assert not maker.run(spectrum(0.0)).mask.any()


def test_area_at_another_offset():
    # all energies at the first node, 0.5 deg; at the second one, 1.5 deg, only above 1 TeV
    table = np.ones((8, 2)) * AREA
    table[:4, 1] = 0
    obs = observation(around(SOURCE, [0.0], [0.5]), aeff=area(table))
    assert first_bin(SafeMaskMaker(["aeff-max"]), SpectrumDatasetMaker().run(empty(), obs)) == 1
    # from 1.15 TeV, the centre of the first true bin above 1 TeV whose table nodes are not all dark
    for where in ({"fixed_offset": 1.5}, {"position": POINTING.directional_offset_by(0 * u.deg, 1.5 * u.deg)}):
        assert first_bin(SafeMaskMaker(["aeff-max"], **where), spectrum(), obs) == 2
        with pytest.raises(SchemaError, match="aeff-max needs the observation"):
            SafeMaskMaker(["aeff-max"], **where).run(spectrum())


def test_energy_bias():
    # the bias falls from 1 by a factor 2 per true bin: 12.5 % at bin 3 and 6.25 % at bin 4
    bias = 0.5 ** np.arange(TRUE.nbin)
    fine = MapAxis.from_energy_bounds("0.05 TeV", "30 TeV", nbin=3000)
    kernel = EDispKernel.from_gauss(TRUE, fine, sigma=0.01, bias=bias)
    dataset = SpectrumDataset.create(RegionGeom.create(empty().geom.region, fine), TRUE, "fine")
    dataset = dataset.replace(edisp=kernel, background=None)
    low = SafeMaskMaker("edisp-bias").run(dataset).energy_range[0].to_value("TeV")
    fraction = np.log(1.25) / np.log(2)
    center = TRUE.center_value("TeV")
    assert low == pytest.approx(1.1 * center[3] * (center[4] / center[3]) ** fraction, rel=5e-3)
    with pytest.raises(SchemaError, match="needs an energy dispersion"):
        SafeMaskMaker("edisp-bias").run(spectrum())


def test_background_peak():
    peaked = RegionNDMap(empty().geom, np.array([1.0, 4.0, 2.0, 0.0]))
    # a bin without background is no bin for cash
    mask = SafeMaskMaker("bkg-peak").run(spectrum(background=peaked)).mask_safe.values()
    assert_array_equal(mask, [False, True, True, False])
    onoff = SpectrumDatasetOnOff.from_spectrum_dataset(spectrum(), 1.0, 4.0, [1.0, 4.0, 2.0, 0.0])
    assert first_bin(SafeMaskMaker("bkg-peak"), onoff) == 1
    # without a source alpha / (1 + alpha) of all counts are background: 0.2, 4 / 17, 0.4, 0
    uneven = SpectrumDatasetOnOff.from_spectrum_dataset(spectrum(), 1.0, [4.0, 16.0, 4.0, 4.0], [1.0, 4.0, 2.0, 0.0])
    assert first_bin(SafeMaskMaker("bkg-peak"), uneven) == 2
    with pytest.raises(SchemaError, match="bkg-peak needs a background"):
        SafeMaskMaker("bkg-peak").run(spectrum())


def test_bins_without_off_acceptance():
    onoff = SpectrumDatasetOnOff.from_spectrum_dataset(spectrum(), 1.0, [0.0, 4.0, 4.0, 4.0], [0.0, 4.0, 2.0, 0.0])
    assert first_bin(SafeMaskMaker([]), onoff) == 1


def test_offset_and_what_was_masked_before():
    obs = observation(around(SOURCE, [0.0], [1.0]))
    before = RegionNDMap(empty().geom, np.array([False, True, True, True]))
    dataset = spectrum(mask_safe=before)
    assert first_bin(SafeMaskMaker("offset-max", offset_max=0.51), dataset, obs) == 1
    with pytest.warns(GammaxWarning, match=r"no bin is left by the safe mask \(offset-max\)"):
        assert not SafeMaskMaker("offset-max", offset_max="0.49 deg").run(dataset, obs).mask.any()


def test_options():
    with pytest.raises(SchemaError, match="did you mean 'aeff-max'"):
        SafeMaskMaker(["aeff-maximum"])
    with pytest.raises(SchemaError, match="exclude each other"):
        SafeMaskMaker(position=POINTING, fixed_offset=1.0)
    with pytest.raises(DataValueError, match="aeff_percent is no percentage"):
        SafeMaskMaker(aeff_percent=150)
    with pytest.raises(UnitError, match="offset_max has the wrong unit"):
        SafeMaskMaker(offset_max="3 TeV")
    with pytest.raises(DataValueError, match="fixed_offset is no angle"):
        SafeMaskMaker(fixed_offset=-1.0)
