"""Background that the responses expect: closed forms, and what Gammapy 2.1 makes of H.E.S.S. runs."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from numpy.testing import assert_allclose, assert_array_equal
from regions import CircleSkyRegion, PointSkyRegion
from scipy.integrate import quad
from small_run import ENERGY, LIVETIME, POINTING, SOURCE, area, around, dispersion, empty, observation

from gammax.data import DataStore, FixedPointingInfo, Observation
from gammax.data._fov import fov_coordinates
from gammax.datasets import Datasets, SpectrumDataset
from gammax.errors import DataValueError, GeometryError, SchemaError
from gammax.fit import Fit
from gammax.irf import Background2D, Background3D
from gammax.makers import DatasetsMaker, ReflectedRegionsBackgroundMaker, SafeMaskMaker, SpectrumDatasetMaker
from gammax.makers._background import background_counts, filled_in_energy
from gammax.maps import MapAxes, MapAxis, RegionGeom
from gammax.models import Models, PowerLawSpectralModel, SkyModel

INDEX, RATE = 2.7, 3.0
_ENERGY = MapAxis.from_energy_bounds("0.05 TeV", "50 TeV", nbin=12)
_LON, _LAT = (MapAxis.from_bounds(-2, 2, 40, name, unit="deg") for name in ("fov_lon", "fov_lat"))
ALL = ("counts", "exposure", "edisp", "background")


def flat(**changes):
    """Power law of 3 / (s TeV sr) at 1 TeV, the same in the whole field of view."""
    rate = RATE * _ENERGY.center_value("TeV") ** -INDEX
    data = np.broadcast_to(rate[:, None, None], (12, 40, 40))
    return Background3D(MapAxes([_ENERGY, _LON, _LAT]), data, "s-1 TeV-1 sr-1", **changes)


def quadrant(sign_lon, sign_lat, **changes):
    """Rate in one quarter of the field of view alone."""
    bkg = flat(**changes)
    lon, lat = (np.sign(axis.center_value("deg")) for axis in (_LON, _LAT))
    inside = (lon[:, None] == sign_lon) & (lat[None, :] == sign_lat)
    return replace(bkg, data=np.where(inside, bkg.data, 0.0))


def radial(nodes=(0.25, 0.75, 1.25), slope=1.0):
    """Rate exp(-slope offset), 3 / (s TeV sr) on axis at 1 TeV."""
    offset = MapAxis.from_edges(np.append(np.array(nodes) - 0.25, nodes[-1] + 0.25), "offset", unit="deg")
    rate = RATE * _ENERGY.center_value("TeV")[:, None] ** -INDEX * np.exp(-slope * np.array(nodes))
    return Background2D(MapAxes([_ENERGY, offset]), rate, "s-1 TeV-1 sr-1")


def power_law(edges):
    """Integral of E^-2.7 over bins."""
    return np.diff(edges ** (1 - INDEX)) / (1 - INDEX)


CAP = 2 * np.pi * (1 - np.cos(np.deg2rad(0.1)))
EXPECTED = RATE * power_law(ENERGY.edges_value("TeV")) * CAP * LIVETIME


@pytest.mark.parametrize("oversampling", [1, 7])
def test_power_law_background(oversampling):
    maker = SpectrumDatasetMaker(ALL, background_oversampling=oversampling)
    dataset = maker.run(empty(), observation(around(SOURCE, [0.0], [0.2]), bkg=flat()))
    assert_allclose(dataset.background.values(), EXPECTED, rtol=1e-8)
    assert dataset.stat_type == "cash"
    unasked = SpectrumDatasetMaker().run(empty(), observation(around(SOURCE, [0.0], [0.2]), bkg=flat()))
    assert unasked.background is None


def test_dead_time_is_not_taken_off():
    irfs = {"aeff": area(), "edisp": dispersion(), "bkg": flat()}
    obs = Observation.create(POINTING, livetime=LIVETIME * u.s, irfs=irfs, deadtime_fraction=0.3)
    dataset = SpectrumDatasetMaker(["exposure", "background"]).run(empty(), obs)
    assert dataset.livetime == pytest.approx(0.7 * LIVETIME)
    assert_allclose(dataset.background.values(), EXPECTED, rtol=1e-8)


def test_radial_background():
    # the region is 0.5 deg from the pointing; beyond the middle of the last ring the rate stays, and ends with the ring
    maker = SpectrumDatasetMaker(["background"])
    dataset = maker.run(empty(), observation(bkg=radial()))
    assert_allclose(dataset.background.values(), EXPECTED * np.exp(-0.5), rtol=1e-6)
    near = maker.run(empty(), observation(bkg=radial((0.05, 0.1, 0.4))))
    assert_allclose(near.background.values(), EXPECTED * np.exp(-0.4), rtol=1e-6)
    with pytest.raises(DataValueError, match="background rate is zero"):
        maker.run(empty(), observation(bkg=radial((0.05, 0.1, 0.15))))


def test_mean_over_the_region():
    # exp(-s d) over a disk of radius r at distance R, to second order: mean of d is R + r^2 / 8 R, of its square's
    # deviation r^2 / 4
    bkg = radial(slope=8.0)
    obs = observation(bkg=bkg)
    center, mean = (
        SpectrumDatasetMaker(["background"], use_region_center=c).run(empty(), obs).background.values() for c in (1, 0)
    )
    expected = 1 + 8**2 * 0.1**2 / 8 - 8 * 0.1**2 / (8 * 0.5)
    assert_allclose(mean / center, expected, rtol=0.01)


@pytest.mark.parametrize(("alignment", "sign_lon"), [("RADEC", 1), ("REVERSE_LON_RADEC", -1)])
def test_alignment_with_the_sky(alignment, sign_lon):
    # north-west of the pointing
    there = CircleSkyRegion(POINTING.directional_offset_by(-45 * u.deg, 1 * u.deg), 0.1 * u.deg)
    maker = SpectrumDatasetMaker(["background"])
    right = observation(bkg=quadrant(sign_lon, 1, fov_alignment=alignment))
    assert_allclose(maker.run(empty(there), right).background.values(), EXPECTED, rtol=1e-6)
    for wrong in ((-sign_lon, 1), (sign_lon, -1)):
        with pytest.raises(DataValueError, match="zero over the whole"):
            maker.run(empty(there), observation(bkg=quadrant(*wrong, fov_alignment=alignment)))


SITE = EarthLocation.from_geodetic(16.5 * u.deg, -23.3 * u.deg, 1800 * u.m)
START = Time("2024-01-10T20:00:00", scale="utc")


def tracking(pointing, hours, **irfs):
    irfs = {"aeff": area(), "edisp": dispersion(), **irfs}
    tstop = START + hours * u.h
    return Observation.create(pointing, SITE, tstart=START, tstop=tstop, irfs=irfs, reference_time=START)


def test_alignment_with_the_ground():
    # a source 0.7 deg above and 0.7 deg left of the pointing, for ten minutes
    frame = AltAz(obstime=START + 5 * u.min, location=SITE)
    here = POINTING.transform_to(frame)
    alt = here.alt + 0.7 * u.deg
    there = SkyCoord(az=here.az - 0.7 * u.deg / np.cos(alt.rad), alt=alt, frame=frame)
    assert_allclose(fov_coordinates(there, here, "ALTAZ"), [0.7, 0.7], atol=0.02)
    geom = empty(CircleSkyRegion(there.icrs, 0.1 * u.deg)).geom
    observations = {
        signs: tracking(POINTING, 1 / 6, bkg=quadrant(*signs, fov_alignment="ALTAZ"))
        for signs in ((1, 1), (-1, 1), (1, -1), (-1, -1))
    }
    found = background_counts(observations.pop((1, 1)), geom, there.icrs[np.newaxis], 1)
    # longitude grows against the azimuth, as the peer has it
    assert_allclose(found, EXPECTED * 600 / LIVETIME, rtol=1e-6)
    for obs in observations.values():
        with pytest.raises(DataValueError, match="zero over the whole"):
            background_counts(obs, geom, there.icrs[np.newaxis], 1)


@pytest.mark.parametrize("alignment", ["RADEC", "ALTAZ"])
def test_drifting_telescope(alignment):
    # the source crosses the 4 deg of the field of view at 15 deg cos(dec) per hour, in the middle of the hour
    there = POINTING.transform_to(AltAz(obstime=START + 30 * u.min, location=SITE))
    info = FixedPointingInfo(fixed_altaz=AltAz(alt=there.alt, az=there.az))
    obs = tracking(info, 1, bkg=flat(fov_alignment=alignment))
    background = background_counts(obs, empty(CircleSkyRegion(POINTING, 0.1 * u.deg)).geom, POINTING[np.newaxis], 1)
    seconds = 4 / (15.04 * np.cos(POINTING.dec.rad)) * 3600
    # one minute in 17
    assert_allclose(background, EXPECTED * seconds / LIVETIME, rtol=0.07)


def test_integral_between_edges():
    # E^-2.7 over a rate that bends: quadrature of the table itself
    bkg = flat()
    bend = replace(bkg, data=bkg.data * np.exp(-_ENERGY.center_value("TeV") / 5.0)[:, None, None])
    maker = SpectrumDatasetMaker(["background"], background_oversampling=200)
    found = maker.run(empty(), observation(bkg=bend)).background.values() / (CAP * LIVETIME)
    edges = np.log(ENERGY.edges_value("TeV"))
    for k in range(4):
        integral = quad(
            lambda x: np.exp(x) * float(bend.values(energy=np.exp(x), fov_lon=0.3, fov_lat=0.3)),
            *edges[k : k + 2],
            points=np.log(_ENERGY.center_value("TeV")),
            limit=200,
        )[0]
        assert found[k] == pytest.approx(integral, rel=1e-5)


def test_cells_without_rate():
    data = np.array(flat().data)
    data[3:5, 10, 10] = 0.0
    data[:3, 11, 11] = 0.0
    data[:, 12, 12] = 0.0
    filled = filled_in_energy(replace(flat(), data=data))
    # an inner gap of a power law comes back as it was; what is empty at the end stays so
    assert_allclose(filled.data[:, 10, 10], flat().data[:, 10, 10], rtol=1e-12)
    assert_array_equal(filled.data[:, 11:13, 11:13], data[:, 11:13, 11:13])


def test_energies_below_the_table():
    bkg = flat()
    high = replace(bkg, data=np.where((np.arange(12) < 4)[:, None, None], 0.0, bkg.data))
    found = SpectrumDatasetMaker(["background"]).run(empty(), observation(bkg=high)).background.values()
    # ENERGY ends at 10 TeV, the rate begins at 0.5 TeV: 0.3 to 1 TeV is partly covered, 0.1 to 0.3 TeV not at all
    assert found[0] == 0
    assert 0 < found[1] < 0.1 * EXPECTED[1]
    assert_allclose(found[2:], EXPECTED[2:], rtol=1e-8)


def test_what_has_no_background():
    maker = SpectrumDatasetMaker(["background"])
    with pytest.raises(SchemaError, match="has no bkg"):
        maker.run(empty(), observation())
    with pytest.raises(GeometryError, match="no solid angle"):
        maker.run(empty(PointSkyRegion(SOURCE)), observation(bkg=flat()))
    for parts in (0, 2.5):
        with pytest.raises(DataValueError, match="no number of parts"):
            SpectrumDatasetMaker(background_oversampling=parts)


def test_measured_background_replaces_it():
    on = SpectrumDatasetMaker(ALL).run(empty(), observation(around(SOURCE, [0.0], [0.2]), bkg=flat()))
    onoff = ReflectedRegionsBackgroundMaker().run(on, observation(around(SOURCE, [0.0], [0.2]), bkg=flat()))
    assert_array_equal(onoff.background.values(), 0)


def test_safe_mask_stack_and_files(tmp_path):
    bkg = flat()
    steep = replace(bkg, data=np.where((np.arange(12) < 6)[:, None, None], bkg.data * 1e-3, bkg.data))
    observations = [observation(around(SOURCE, [0.0], [2.0]), obs_id=k, bkg=steep) for k in (1, 2)]
    makers = [SpectrumDatasetMaker(ALL), SafeMaskMaker(["bkg-peak"])]
    each = DatasetsMaker(makers, stack_datasets=False).run(empty(), observations)
    peak = int(np.argmax(each[0].background.values()))
    assert peak > 0
    assert_array_equal(each[0].mask_safe.values(), np.arange(4) >= peak)
    stacked = DatasetsMaker(makers).run(empty(), observations)[0]
    expected = np.where(np.arange(4) >= peak, 2 * each[0].background.values(), 0)
    assert_allclose(stacked.background.values(), expected, rtol=1e-12)
    Datasets([stacked]).write(tmp_path / "d.yaml")
    back = Datasets.read(tmp_path / "d.yaml")[0]
    assert_array_equal(back.background.values(), stacked.background.values())
    assert back.stat_type == "cash"


# Gammapy 2.1: SpectrumDatasetMaker(["counts", "background", "exposure", "edisp"], containment_correction=True),
# SafeMaskMaker(["aeff-max", "bkg-peak"]), circle of 0.11 deg at (83.633, 22.014), axes as below
PEER = {
    23523: (
        [0.0, 1.1001366130963321e-05, 0.6105955212850723, 5.166100097139896, 3.459456869182605, 1.7792419030826876,
         0.9110633940537218, 0.3691810787326454, 0.1097113050174913, 0.01837756298217695],
        4,
    ),
    23526: (
        [0.0, 0.00628221437134703, 2.474130165504746, 5.337055942383273, 2.5020472708202943, 1.3295126204481877,
         0.7161019938563283, 0.32584932503869096, 0.09931579116896636, 0.015977747615301897],
        3,
    ),
}  # fmt: skip
OVERSAMPLED = [6.170423018268006e-06, 1.5943935513498324, 6.619301888763216, 3.3784847847779074, 1.7879528892936285,
               0.9288475784702899, 0.3786370799418905, 0.11563585036710937, 0.02106263931195852]  # fmt: skip
# make_map_background_irf of the same rates with fov_alignment="ALTAZ", fov_rotation_step=0.1 deg, for a circle of
# 0.3 deg at (84.6, 22.9)
ALTAZ = [0.0, 0.00026854944602436304, 4.384643688411892, 26.376077987363995, 14.4460325169774, 7.676902065809661,
         4.9692776778687175, 3.0875075076614165, 1.7076195036356263, 0.9006442599459022]  # fmt: skip
# the same with "RADEC"
RADEC = [23.31210062544281, 18.128510473414277, 8.126206341118408, 4.430496714686722, 2.4592435504512205]
# joint fit of runs 23523, 23526, 23559, 23592: amplitude at 1 TeV, its error, index, its error, statistic
FIT = (4.2871073752302817e-11, 2.517495513622244e-12, 2.6448587362778206, 0.06968959238539964, -2250.615848753824)
HESS = (
    MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", nbin=10),
    MapAxis.from_energy_bounds("0.05 TeV", "100 TeV", nbin=40, name="energy_true"),
)


@pytest.fixture(scope="module")
def crab():
    region = CircleSkyRegion(SkyCoord(83.633, 22.014, unit="deg"), 0.11 * u.deg)
    return SpectrumDataset.create(RegionGeom.create(region, [HESS[0]]), HESS[1], "crab")


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::gammax.errors.GammaxWarning")
def test_hess_runs(data_dir, crab):
    store = DataStore.from_dir(data_dir / "hess-dl3-dr1")
    observations = store.get_observations([23523, 23526, 23559, 23592])
    makers = [SpectrumDatasetMaker(ALL, containment_correction=True), SafeMaskMaker(["aeff-max", "bkg-peak"])]
    datasets = DatasetsMaker(makers, stack_datasets=False).run(crab, observations)
    for run, (background, first) in PEER.items():
        assert_allclose(datasets[str(run)].background.values(), background, rtol=2e-6)
        assert_array_equal(datasets[str(run)].mask_safe.values(), np.arange(10) >= first)
    finer = SpectrumDatasetMaker(["background"], background_oversampling=10).run(crab, observations[0])
    assert_allclose(finer.background.values()[1:], OVERSAMPLED, rtol=2e-6)
    result = Fit().run(datasets, Models(SkyModel(PowerLawSpectralModel(amplitude="3e-11 cm-2 s-1 TeV-1"), "crab")))
    rows = {row["name"]: row for row in result.parameters}
    assert result.success
    assert result.total_stat == pytest.approx(FIT[4], abs=1e-4)
    assert rows["amplitude"]["value"] == pytest.approx(FIT[0], abs=1e-3 * FIT[1])
    assert rows["index"]["value"] == pytest.approx(FIT[2], abs=1e-3 * FIT[3])
    assert rows["amplitude"]["error"] == pytest.approx(FIT[1], rel=2e-3)
    assert rows["index"]["error"] == pytest.approx(FIT[3], rel=2e-3)


@pytest.mark.data
@pytest.mark.parametrize(("alignment", "expected", "rtol"), [("ALTAZ", ALTAZ[2:], 1e-4), ("RADEC", RADEC, 1e-5)])
def test_hess_alignments(data_dir, alignment, expected, rtol):
    obs = DataStore.from_dir(data_dir / "hess-dl3-dr1").obs(23523)
    obs.__dict__["bkg"] = replace(obs.bkg, fov_alignment=alignment)
    center = SkyCoord(84.6, 22.9, unit="deg")
    geom = RegionGeom.create(CircleSkyRegion(center, 0.3 * u.deg), [HESS[0]])
    found = background_counts(obs, geom, center[np.newaxis], 1)
    first = 10 - len(expected) if alignment == "ALTAZ" else 3
    assert_allclose(found[first : first + len(expected)], expected, rtol=rtol)
