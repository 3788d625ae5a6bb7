"""OFF counts: closed forms; no OFF region is no background."""

import astropy.units as u
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from regions import PointSkyRegion
from small_run import POINTING, SOURCE, area, around, dispersion, empty, observation, point, rad_max

from gammax.errors import GammaxWarning, GeometryError
from gammax.makers import (
    ReflectedRegionsBackgroundMaker,
    ReflectedRegionsFinder,
    SpectrumDatasetMaker,
    WobbleRegionsFinder,
)
from gammax.maps import WcsGeom, WcsNDMap

ON = around(SOURCE, [0.05], [0.5])
# the ON region turned by 90, 180, 270 deg
OFF = [POINTING.directional_offset_by(angle * u.deg, 0.5 * u.deg) for angle in (90, 0, 270)]
POINTLIKE = {"aeff": area(pointlike=True), "edisp": dispersion(pointlike=True), "rad_max": rad_max()}


def reduce(dataset, obs, finder=None, mask=None):
    on = SpectrumDatasetMaker().run(dataset, obs)
    return ReflectedRegionsBackgroundMaker(finder, mask).run(on, obs)


def test_wobble_counts():
    obs = observation(ON, *(around(center, [0.05, 0.11], [0.2, 0.2]) for center in OFF))
    dataset = reduce(empty(), obs, WobbleRegionsFinder(3))
    assert_array_equal(dataset.counts.values(), [0, 1, 0, 0])
    assert_array_equal(dataset.counts_off.values(), [3, 0, 0, 0])
    assert_array_equal(dataset.acceptance_off.values(), [3, 3, 3, 3])
    assert_array_equal(dataset.acceptance.values(), [1, 1, 1, 1])
    separations = [region.center.separation(SOURCE).deg for region in dataset.counts_off.geom.regions]
    assert separations == pytest.approx([np.sqrt(0.5), 1, np.sqrt(0.5)], abs=1e-3)


def test_an_event_in_two_regions_counts_once():
    # with pixels of 0.02 deg the step is 0.19 deg on the circle, so that regions of radius 0.1 overlap
    finder = ReflectedRegionsFinder(binsz=0.02)
    plain = empty()
    regions = finder.run(plain.geom.region, POINTING)
    first, second = regions[0].center, regions[1].center
    assert first.separation(second).deg < 0.2
    between = first.directional_offset_by(first.position_angle(second), first.separation(second) / 2)
    dataset = reduce(plain, observation(ON, around(between, [0.0], [0.2])), finder)
    assert dataset.counts_off.values().sum() == 1
    assert dataset.acceptance_off.values()[0] == len(regions)


def test_energy_dependent_cut():
    obs = observation(
        *(around(center, [0.15, 0.15, 0.05], [0.5, 2.0, 2.0]) for center in OFF),
        around(SOURCE, [0.15], [0.5]),
        **POINTLIKE,
    )
    dataset = reduce(point(), obs, WobbleRegionsFinder(3))
    assert_array_equal(dataset.counts.values(), [0, 1, 0, 0])
    assert_array_equal(dataset.counts_off.values(), [0, 3, 3, 0])
    assert_array_equal(dataset.acceptance_off.values(), [3, 3, 3, 3])
    assert all(isinstance(region, PointSkyRegion) for region in dataset.counts_off.geom.regions)
    with pytest.raises(GeometryError, match="for a point use WobbleRegionsFinder"):
        reduce(point(), obs)


def test_cuts_that_overlap():
    # 12 positions on the circle are 0.24 deg apart; the cut is 0.2 deg below 1 TeV
    obs = observation(ON, **POINTLIKE)
    with (
        pytest.warns(GammaxWarning, match="no OFF region found"),
        pytest.warns(GammaxWarning, match="around ON and 12 OFF positions overlap"),
    ):
        dataset = reduce(point(), obs, WobbleRegionsFinder(12))
    assert not dataset.mask.any()


def test_exclusion_of_everything():
    nothing = WcsNDMap(WcsGeom.create(npix=50, binsz=0.1, skydir=POINTING), np.zeros((50, 50), bool))
    with pytest.warns(GammaxWarning, match="observation 7: no OFF region found; dataset 'empty' is masked"):
        dataset = reduce(empty(), observation(ON), mask=nothing)
    assert_array_equal(dataset.acceptance_off.values(), 0)
    assert_array_equal(dataset.mask, False)
    assert_array_equal(dataset.counts.values(), [0, 1, 0, 0])


def test_no_events():
    obs = observation()
    with pytest.warns(GammaxWarning, match="has no events"):
        on = SpectrumDatasetMaker().run(empty(), obs)
    dataset = ReflectedRegionsBackgroundMaker().run(on, obs)
    assert dataset.counts_off.values().sum() == 0
    assert dataset.acceptance_off.values()[0] > 5
