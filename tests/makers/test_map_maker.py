"""Cubes of single runs: closed forms, and Gammapy 2.1 on the Crab (H.E.S.S.) and the galactic centre (CTA 1DC)."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from numpy.testing import assert_allclose, assert_array_equal
from small_cube import INDEX, RATE, cube, field, power_law, quarter, reference
from small_run import AREA, ENERGY, LIVETIME, POINTING, SOURCE, area, around, dispersion, observation, psf

from gammax.data import DataStore, FixedPointingInfo, Observation
from gammax.datasets import MapDataset
from gammax.errors import DataValueError, GammaxWarning, GeometryError, SchemaError
from gammax.irf import Background2D, EDispMap
from gammax.makers import MapDatasetMaker
from gammax.makers._background_map import make_map_background
from gammax.maps import MapAxes, MapAxis, WcsGeom

EDGES = ENERGY.edges_value("TeV")
BACKGROUND = MapDatasetMaker(["background"])


def expected_background(dataset, per_sr=1.0):
    """Power law background of the whole live time in each bin."""
    solid_angle = dataset.geom.solid_angle().value
    return RATE * power_law(EDGES)[:, None, None] * solid_angle * LIVETIME * per_sr


def test_parts_of_a_run():
    made = cube(around(SOURCE, [0.0, 0.0], [0.2, 2.0]), around(POINTING, [0.52], [0.5], angle=90))
    assert made.name == "run"
    assert made.counts.data.sum() == 3
    # TAN pixels of 0.1 deg around the pointing, 20 x 20: the source is 0.5 deg south, in the pixel border's upper one
    x, y = (int(k) for k in made.geom.to_image().coord_to_idx(SOURCE))
    assert_array_equal(made.counts.data[:, y, x], [1, 0, 1, 0])
    assert_allclose(made.exposure.values("cm2 s"), AREA * LIVETIME, rtol=1e-12)
    assert_allclose(made.background.values(), expected_background(made), rtol=1e-8)
    assert made.mask_safe.data.all()
    assert made.livetime == LIVETIME
    assert made.meta_table["OBS_ID"][0] == 7
    assert len(made.gti) == 1
    assert_allclose(made.edisp.edisp_map.data[2:6].sum(axis=1), 1, rtol=1e-6)
    contained = made.psf.containment("0.1 deg", made.energy_axis_true.center, POINTING)
    assert_allclose(contained, -np.expm1(-(0.1**2) / (2 * 0.06**2)), atol=2e-3)
    for response in (made.psf, made.edisp):
        assert_allclose(response.exposure_map.values("cm2 s"), AREA * LIVETIME, rtol=1e-12)


def test_selection():
    made = cube(around(SOURCE, [0.0], [0.2]), maker=MapDatasetMaker(["exposure"]))
    assert made.counts.data.sum() == 0
    assert made.exposure.data.all()
    assert made.background is made.psf is made.edisp is None
    with pytest.raises(SchemaError, match=r"unknown part 'backgroud'(.|\n)*background"):
        MapDatasetMaker(["backgroud"])
    with pytest.raises(SchemaError, match=r"no bkg(.|\n)*leave background out"):
        MapDatasetMaker().run(reference(), observation(around(SOURCE, [0.0], [0.2])))
    with pytest.raises(SchemaError, match="GX-MAKERS-085"):
        MapDatasetMaker(["psf"]).run(reference().replace(psf=None), observation())
    with pytest.raises(GeometryError, match="GX-MAKERS-084"):
        MapDatasetMaker(["psf"]).run(reference(reco_psf=True), observation())
    for wrong in ({"background_oversampling": 0}, {"fov_rotation_step": 0}):
        with pytest.raises(DataValueError, match="GX-MAKERS-081"):
            MapDatasetMaker(**wrong)
    with pytest.warns(GammaxWarning, match="observation 7 has no events"):
        MapDatasetMaker(["counts"]).run(reference(), observation())


def test_migra_axis():
    migra = MapAxis.from_edges(np.linspace(0.2, 2, 181), "migra")
    made = MapDatasetMaker(["exposure", "edisp"]).run(reference(migra_axis=migra), observation())
    assert isinstance(made.edisp, EDispMap)
    kernels = MapDatasetMaker(["edisp"]).run(reference(), observation())
    mine = made.edisp.to_edisp_kernel_map(ENERGY).edisp_map.data
    assert_allclose(mine, kernels.edisp.edisp_map.data, atol=1e-12)


@pytest.mark.parametrize("oversampling", [1, 5])
def test_dead_time_is_not_taken_off_the_background(oversampling):
    irfs = {"aeff": area(), "edisp": dispersion(), "bkg": field()}
    obs = Observation.create(POINTING, livetime=LIVETIME * u.s, irfs=irfs, deadtime_fraction=0.3)
    maker = MapDatasetMaker(["background", "exposure"], background_oversampling=oversampling)
    made = maker.run(reference(), obs)
    assert_allclose(made.background.values(), expected_background(made), rtol=1e-8)
    assert_allclose(made.exposure.values("cm2 s"), 0.7 * AREA * LIVETIME, rtol=1e-12)


@pytest.mark.parametrize(("alignment", "sign_lon"), [("RADEC", 1), ("REVERSE_LON_RADEC", -1)])
def test_alignment_with_the_sky(alignment, sign_lon):
    made = BACKGROUND.run(reference(), observation(bkg=quarter(sign_lon, 1, fov_alignment=alignment)))
    seen = made.background.data[0] > 0.5 * expected_background(made)[0]
    # longitude grows to the left: north-west is up and to the right
    assert_array_equal(seen, np.outer(np.arange(20) >= 10, np.arange(20) >= 10))


def test_radial_background_and_beyond_the_table():
    offset = MapAxis.from_edges([0.0, 0.5, 1.0], "offset", unit="deg")
    energy = field().axes["energy"]
    rate = RATE * energy.center_value("TeV")[:, None] ** -INDEX * np.exp(-np.array([0.25, 0.75]))
    bkg = Background2D(MapAxes([energy, offset]), rate, "s-1 TeV-1 sr-1")
    made = BACKGROUND.run(reference(), observation(bkg=bkg))
    distance = made.geom.separation(POINTING).to_value("deg")
    shape = np.where(distance <= 1, np.exp(-np.clip(distance, 0.25, 0.75)), 0)
    assert_allclose(made.background.data, expected_background(made, shape), rtol=1e-6)
    assert (made.background.data == 0).any()


def test_a_lone_cell_at_the_border_does_not_explode():
    shape = np.zeros((40, 40))
    shape[0, 20] = 1.0  # its neighbours have no rate: log-linear continuation would give 1e18 times the rate
    bkg = field(shape)
    edge = bkg.values(energy=1.0, fov_lon=[-2.0, -1.97, -1.95], fov_lat=0.05)
    assert_allclose(edge, RATE, rtol=1e-7)
    made = BACKGROUND.run(reference(npix=46), observation(bkg=bkg))
    assert 0 < made.background.data.max() <= expected_background(made).max()
    # between cells with a rate it goes on as before
    steep = field(np.exp(3 * np.linspace(-1.95, 1.95, 40))[:, None])
    assert_allclose(steep.values(energy=1.0, fov_lon=[-2.0, 2.0], fov_lat=0.0), RATE * np.exp([-6.0, 6.0]), rtol=1e-7)


SITE = EarthLocation.from_geodetic(16.5 * u.deg, -23.3 * u.deg, 1800 * u.m)
START = Time("2024-01-10T20:00:00", scale="utc")


def test_the_sky_turns_in_a_field_of_view_above_the_ground():
    """Against the rate at the altitude and azimuth that astropy gives each pixel, minute by minute."""
    middle = START + 1 * u.h
    zenith = SkyCoord(AltAz(az=10 * u.deg, alt=80 * u.deg, obstime=middle, location=SITE)).icrs
    lon = np.linspace(-1.95, 1.95, 40)
    bkg = field(np.exp(0.5 * lon[:, None] + 0.8 * lon), fov_alignment="ALTAZ")
    obs = Observation.create(
        FixedPointingInfo(zenith), SITE, livetime=2 * u.h, reference_time=START, irfs={"aeff": area(), "bkg": bkg}
    )
    geom = reference(npix=8, binsz=0.3, skydir=zenith).geom
    made = make_map_background(obs, geom, rotation_step=0.2)
    times = START + (np.arange(240) + 0.5) * 30 * u.s
    frame = AltAz(obstime=times[:, None, None], location=SITE)
    there, center = geom.get_coord()["skycoord"][None].transform_to(frame), zenith.transform_to(frame)
    d_az = (there.az - center.az).rad
    right = -np.arctan2(
        np.cos(there.alt) * np.sin(d_az),
        np.cos(center.alt) * np.cos(there.alt) * np.cos(d_az) + np.sin(center.alt) * np.sin(there.alt),
    )
    up = np.arcsin(np.sin(there.alt) * np.cos(center.alt) - np.cos(there.alt) * np.sin(center.alt) * np.cos(d_az))
    mean = np.exp(0.5 * np.degrees(right.value) + 0.8 * up.to_value("deg")).mean(axis=0)
    expected = RATE * power_law(EDGES)[:, None, None] * geom.solid_angle().value * 7200 * mean
    assert_allclose(made.data, expected, rtol=2e-4)
    # at one time alone it is something else
    assert np.max(np.abs(make_map_background(obs, geom, rotation_step=360).data / expected - 1)) > 0.01


def test_a_drifting_telescope():
    irfs = {"aeff": area(), "bkg": field()}
    pointing = FixedPointingInfo(fixed_altaz=AltAz(az=0 * u.deg, alt=70 * u.deg))
    obs = Observation.create(pointing, SITE, livetime=600 * u.s, reference_time=START, irfs=irfs)
    made = make_map_background(obs, reference(npix=4, skydir=obs.get_pointing_icrs()).geom)
    assert_allclose(made.data.sum(axis=(1, 2)), RATE * power_law(EDGES) * 600 * 16 * np.deg2rad(0.1) ** 2, rtol=1e-4)


def test_what_a_cube_cannot_be_made_of():
    region = cube(around(SOURCE, [0.0], [0.2])).to_region_map_dataset("icrs;circle(83.6, 22.5, 0.3)")
    with pytest.raises(GeometryError, match="GX-MAKERS-083"):
        MapDatasetMaker().run(region, observation(bkg=field()))
    nowhere = replace(field(), data=np.zeros((12, 40, 40)))
    assert not BACKGROUND.run(reference(), observation(bkg=nowhere, psf=psf())).background.data.any()


def peer_cube(store, obs_id, geom, true, width):
    obs = store.get_observations([obs_id])[0]
    dataset = MapDataset.create(geom, true).cutout(obs.get_pointing_icrs(), width)
    return MapDatasetMaker().run(dataset, obs)


# Gammapy 2.1, recipe w02 (configuration a1): sums over all bins, exposure at (5, 40, 60), background at (3, 70, 20) and
# (8, 10, 90)
HESS = {
    23523: ([787, 123862049764276.6, 681.8066019500857, 2469192528.2720404, 1256.6882757265344],
            [461092273.2362834, 0.006862367495291831, 0.002110532675829692]),
    23592: ([592, 87246639064436.34, 461.252900398821, 2281483024.199357, 1265.7634404735895],
            [351982109.5123517, 0.0030728803332466473, 0.0018944127626377152]),
}  # fmt: skip


def numbers(made):
    sums = [made.counts.data, made.exposure.values("m2 s"), made.background.data, made.psf.psf_map.values("sr-1")]
    bins = [sums[1][5, 40, 60], sums[2][3, 70, 20], sums[2][8, 10, 90]]
    return [part.sum() for part in (*sums, made.edisp.edisp_map.data)], bins


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::gammax.errors.GammaxWarning")
@pytest.mark.parametrize("obs_id", HESS)
def test_crab_as_the_peer_has_it(data_dir, obs_id):
    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=10)
    true = MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", nbin=20, name="energy_true")
    geom = WcsGeom.create(skydir=(83.633, 22.014), binsz=0.02, width=2, axes=[energy])
    made = peer_cube(DataStore.from_dir(data_dir / "hess-dl3-dr1"), obs_id, geom, true, "5 deg")
    sums, bins = numbers(made)
    assert sums[0] == HESS[obs_id][0][0]
    # the peer interpolates the logarithm of the background in 32 bits
    assert_allclose(sums, HESS[obs_id][0], rtol=1e-7)
    assert_allclose(bins, HESS[obs_id][1], rtol=1e-6)


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::gammax.errors.GammaxWarning")
def test_galactic_centre_as_the_peer_has_it(data_dir):
    """Gammapy 2.1, recipe w03, run 110380; its PSF is compared in test_irf_maps."""
    energy = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=10)
    true = MapAxis.from_energy_bounds("0.08 TeV", "12 TeV", nbin=14, name="energy_true")
    geom = WcsGeom.create(skydir=(0, 0), frame="galactic", binsz=0.02, width=(10, 8), axes=[energy])
    made = peer_cube(DataStore.from_dir(data_dir / "cta-1dc/index/gps"), 110380, geom, true, "7 deg")
    assert made.geom.npix == (350, 310)
    sums, bins = numbers(made)
    assert_allclose(sums[:3], [47736, 2889597267798074.5, 42655.00625752884], rtol=1e-7)
    assert_allclose(sums[4], 14121.826278586712, rtol=1e-10)
    assert_allclose(bins, [678826574.9842833, 0.02316439951650088, 0.0018095574076148748], rtol=1e-6)
