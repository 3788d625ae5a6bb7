"""OFF regions: those of the peer, on real runs and around exclusions; none where there is no room."""

import math

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from numpy.testing import assert_allclose
from regions import CircleSkyRegion, EllipseSkyRegion, PointSkyRegion

from gammax.errors import DataValueError, GammaxWarning, GeometryError
from gammax.makers import ReflectedRegionsFinder, WobbleRegionsFinder
from gammax.makers._reflected_regions import reference_geom
from gammax.maps import RegionGeom, WcsGeom, WcsNDMap

CRAB = SkyCoord(83.63, 22.01, unit="deg")
POINTING = SkyCoord(10, -60, unit="deg")
ON = CircleSkyRegion(SkyCoord(10.5, -60.6, unit="deg"), 0.2 * u.deg)
# Gammapy 2.1 for this ON region, pointing and exclusion mask
PEER = [
    (8.711822548864852, -60.08730275809636),
    (8.85240285365627, -59.70140603818213),
    (9.402175358857063, -59.42513816526962),
    (10.160525501371334, -59.35595300060327),
    (10.86317187020029, -59.517931546322735),
    (11.262460560465406, -59.85449245133244),
    (11.20611080711493, -60.24576856742969),
]
OPTIONS = {
    "angle_increment": 0.05,
    "min_distance": 0.2 * u.rad,
    "min_distance_input": "0.4 rad",
    "max_region_number": 4,
    "binsz": 0.02 * u.deg,
}
PEER_OPTIONS = [
    (8.737476933118554, -60.157423354198244),
    (8.904246863093114, -59.656361582348666),
    (9.725565507266744, -59.365827265470514),
    (10.707432288981458, -59.4575959691719),
]
PEER_WOBBLE = [(9.517841861941726, -59.39817800653448), (11.192884855834924, -59.74913284410358)]


@pytest.fixture(scope="module")
def exclusion():
    geom = WcsGeom.create(npix=100, binsz=0.02, skydir=(9.5, -60.2), proj="CAR")
    return geom.region_mask(CircleSkyRegion(SkyCoord(9.2, -60.4, unit="deg"), 0.15 * u.deg), inside=False)


def centers(regions):
    return [(region.center.ra.deg, region.center.dec.deg) for region in regions]


@pytest.mark.parametrize(("options", "expected"), [({}, PEER), (OPTIONS, PEER_OPTIONS)])
def test_regions_of_gammapy(exclusion, options, expected):
    found = ReflectedRegionsFinder(**options).run(ON, POINTING, exclusion)
    assert_allclose(centers(found), expected, rtol=0, atol=1e-9)


def test_wobble_regions_of_gammapy(exclusion):
    # three regions a quarter turn apart, the first of them excluded
    found = WobbleRegionsFinder(3).run(ON, POINTING, exclusion)
    assert_allclose(centers(found), PEER_WOBBLE, rtol=0, atol=1e-9)


@pytest.mark.data
@pytest.mark.parametrize("obs_id", [23523, 23526, 23559, 23592])
def test_hess_runs(reference_dir, obs_id):
    """Number and place of the OFF regions of Gammapy's reduction (recipe w01), 0.5 and 1.5 deg off."""
    path = reference_dir / f"datasets/w01/pha_obs{obs_id}.fits"
    with fits.open(path) as hdus:
        meta, table = hdus["META_TABLE"].data[0], hdus["COUNTS_OFF_REGION"]
        pointing = SkyCoord(meta["RA_PNT"], meta["DEC_PNT"], unit="deg")
        expected = np.column_stack([table.data["X"], table.data["Y"]])
        radius, n_off, width = table.data["R"], hdus["ACCEPTANCE_OFF"].data["DATA"].max(), table.header["WCSSHAPE"]
    geom = WcsGeom.create(npix=(150, 150), binsz=0.05, skydir=CRAB.galactic, proj="TAN", frame="icrs")
    exclusion = geom.region_mask("galactic;circle(183.604, -8.708, 0.5)", inside=False)
    on = CircleSkyRegion(CRAB, 0.11 * u.deg)
    found = ReflectedRegionsFinder().run(on, pointing, exclusion)
    assert len(found) == n_off
    image = reference_geom(on, pointing, 0.01)
    assert width == "({},{})".format(*image.npix)
    pixels = np.column_stack([image.coord_to_pix(region.center) for region in found])
    # 1e-4 pixels are 1e-6 deg
    assert_allclose(pixels.T, expected, rtol=0, atol=1e-4)
    assert_allclose([region.radius.to_value("deg") for region in found], 0.11, rtol=5e-4)
    assert_allclose(np.ptp(radius), 0, atol=1e-9)


def test_regions_lie_on_the_circle_and_turn_left():
    found = ReflectedRegionsFinder().run(ON, POINTING)
    offset = [POINTING.separation(region.center).deg for region in found]
    assert_allclose(offset, POINTING.separation(ON.center).deg, rtol=1e-10)
    angle = np.unwrap([POINTING.position_angle(region.center).rad for region in [ON, *found]])
    assert np.all(np.diff(angle) > 0)
    assert angle[-1] - angle[0] < 2 * math.pi
    # the peer's rule: 0.1 rad more than the step next to the ON region
    assert np.diff(angle)[0] - np.diff(angle)[1] == pytest.approx(0.1, abs=1e-9)


def test_what_lies_outside_the_mask_is_allowed():
    everything = WcsNDMap(WcsGeom.create(npix=10, binsz=0.02, skydir=(200, 30)), np.zeros((10, 10), bool))
    assert len(ReflectedRegionsFinder().run(ON, POINTING, everything)) == len(
        ReflectedRegionsFinder().run(ON, POINTING)
    )
    over_all = WcsNDMap(WcsGeom.create(npix=50, binsz=0.1, skydir=POINTING), np.zeros((50, 50), bool))
    assert ReflectedRegionsFinder().run(ON, POINTING, over_all) == []
    assert WobbleRegionsFinder(2).run(ON, POINTING, over_all) == []


def test_no_room():
    assert ReflectedRegionsFinder().run(ON, ON.center) == []
    assert ReflectedRegionsFinder(min_distance_input=3.0).run(ON, POINTING) == []
    with pytest.warns(GammaxWarning, match="40 OFF regions overlap"):
        assert WobbleRegionsFinder(40).run(ON, POINTING) == []


def test_points_and_other_shapes():
    point = PointSkyRegion(ON.center)
    found = WobbleRegionsFinder(3).run(point, POINTING)
    assert [type(region) for region in found] == [PointSkyRegion] * 3
    # a quarter turn each: the second is opposite
    separation = found[1].center.separation(ON.center)
    assert separation.deg == pytest.approx(2 * POINTING.separation(ON.center).deg, rel=1e-10)
    with pytest.raises(GeometryError, match="use WobbleRegionsFinder"):
        ReflectedRegionsFinder().run(point, POINTING)
    with pytest.raises(GeometryError, match="no extent in pixels"):
        ReflectedRegionsFinder(binsz=0.3).run(CircleSkyRegion(ON.center, 0.01 * u.deg), POINTING)
    ellipse = EllipseSkyRegion(CRAB, 0.3 * u.deg, 0.1 * u.deg, 30 * u.deg)
    # Gammapy 2.1: 7 regions, the first of them here
    found = ReflectedRegionsFinder().run(ellipse, SkyCoord(83.98, 22.2, unit="deg"))
    assert len(found) == 7
    assert_allclose(centers(found)[0], (83.58857584, 22.30003638), atol=1e-7)


def test_wrong_input_is_told(exclusion):
    numbers = exclusion.replace(data=exclusion.data.astype(float))
    with pytest.raises(DataValueError, match="not bool"):
        ReflectedRegionsFinder().run(ON, POINTING, numbers)
    with pytest.raises(GeometryError, match="one shape"):
        ReflectedRegionsFinder().run(RegionGeom.create([ON, ON]).region, POINTING)
    with pytest.raises(GeometryError, match="90 deg or more"):
        WobbleRegionsFinder(2, binsz=1).run(ON, SkyCoord(190, 60, unit="deg"))
    wrong = {"angle_increment": 0, "min_distance": -0.1, "binsz": "0 deg", "min_distance_input": math.nan}
    for name, value in wrong.items():
        with pytest.raises(DataValueError, match="out of range"):
            ReflectedRegionsFinder(**{name: value})
    with pytest.raises(DataValueError, match="must be an OFF region"):
        WobbleRegionsFinder(0)
