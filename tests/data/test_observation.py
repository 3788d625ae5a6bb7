"""Observations: read when asked for and once, cut, checked, written."""

import pickle
import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.io import fits
from numpy.testing import assert_allclose, assert_array_equal
from small_store import HEADER, Run, hdu_rows, write_hdu_index

from gammax.data import DataStore, EventList, FixedPointingInfo, Observation
from gammax.errors import DataValueError, FileFormatError, GammaxWarning, SchemaError


@pytest.fixture
def observation(store_dir):
    return DataStore.from_dir(store_dir).obs(1, [])


@pytest.fixture
def opened(monkeypatch):
    """Files opened from here on."""
    from gammax.data import _lazy

    paths = []
    original = _lazy.open_fits
    monkeypatch.setattr(_lazy, "open_fits", lambda path: paths.append(path) or original(path))
    return paths


def read(run, tmp_path, **options):
    return Observation.read(run.write(tmp_path / "run.fits"), **options)


def test_numbers(observation):
    assert observation.ontime == 100 * u.s
    assert observation.deadtime_fraction == pytest.approx(0.1)
    assert observation.livetime.to_value("s") == pytest.approx(90)
    assert (observation.tmid - observation.gti.time_ref).to_value("s") == pytest.approx(1050, abs=1e-6)
    assert_allclose(observation.get_pointing_icrs().dec.deg, 22.5, atol=1e-12)
    assert observation.location.height.to_value("m") == pytest.approx(1835)
    assert observation.available_hdus == ["events", "gti"]
    assert (observation.aeff, observation.psf, observation.rad_max, observation.bkg) == (None,) * 4


def test_a_file_is_opened_once_and_only_when_needed(store_dir, opened):
    observation = DataStore.from_dir(store_dir).obs(1, [])
    assert repr(observation) == "Observation(1: events, gti)"
    assert opened == []
    for _ in range(2):
        _ = observation.events, observation.gti, observation.livetime, observation.pointing
    _ = observation.select_time(observation.gti.time_intervals[0]).events
    assert len(opened) == 1
    _ = observation.unread().events
    assert len(opened) == 2


def test_pickle_sends_the_place_and_not_the_data(observation):
    size = len(pickle.dumps(observation.unread()))
    assert len(observation.events) == 20
    text = pickle.dumps(observation)
    assert abs(len(text) - size) < 100
    assert len(pickle.loads(text).events) == 20


def test_time_slices(observation):
    start = observation.tstart
    piece = observation.select_time(start + [10, 30.1] * u.s)
    assert piece.events.columns["EVENT_ID"].tolist() == [2, 3, 4, 5, 6]
    assert piece.livetime.to_value("s") == pytest.approx(20.1 * 0.9)
    nested = piece.select_time(start + [0, 20.1] * u.s)
    assert nested.events.columns["EVENT_ID"].tolist() == [2, 3, 4]
    assert nested.ontime.to_value("s") == pytest.approx(10.1)
    assert len(observation.events) == 20


def test_slices_of_observations(store_dir):
    observations = DataStore.from_dir(store_dir).get_observations(required_irf=[])
    start = observations[0].tstart
    intervals = [start + ends * u.s for ends in ([-51, 49], [49, 1049], [200, 300])]
    pieces = observations.select_time(intervals)
    assert pieces.ids == ["1", "1", "2"]
    assert [len(piece.events) for piece in pieces] == [10, 10, 10]
    assert observations.select_time(intervals[0]).ids == ["1"]
    groups = observations.group_by_label([0, 1, 0])
    assert {name: group.ids for name, group in groups.items()} == {"group_0": ["1", "7"], "group_1": ["2"]}


def test_events_after_stop_are_kept_unless_strict(run, tmp_path):
    # as in H.E.S.S. DL3 DR1: STOP truncated to whole seconds; events 17, 18, 19 come at 1085, 1090, 1095 s
    run.gti = [(1000.0, 1094.1)]
    assert len(read(run, tmp_path).events) == 20
    strict = read(run, tmp_path, gti="strict")
    assert strict.events.columns["EVENT_ID"].tolist() == list(range(19))
    assert strict.select_time(strict.tstart + [84.9, 200] * u.s).events.columns["EVENT_ID"].tolist() == [17, 18]


def test_events_far_outside_warn_once(run, tmp_path):
    run.gti = [(1000.0, 1050.0)]
    observation = read(run, tmp_path)
    with pytest.warns(GammaxWarning, match=r"9 of 20 events lie more than 1 s outside"):
        assert len(observation.events) == 20
    # warnings are errors from here on
    assert len(observation.select_time(observation.tstart + [-1, 9] * u.s).events) == 2


def test_events_of_another_time(run, tmp_path):
    run.gti_header["MJDREFI"] = 51911
    with pytest.raises(DataValueError, match="GX-DATA-085") as caught:
        _ = read(run, tmp_path).events
    assert "MJDREFI" in str(caught.value)


@pytest.mark.parametrize("deadc", [0.0, 1.7, -0.5, "none"])
def test_deadc_refused(run, tmp_path, deadc):
    run.header["DEADC"] = deadc
    with pytest.raises(DataValueError, match="GX-DATA-011") as caught:
        _ = read(run, tmp_path).livetime
    assert caught.value.context["obs_id"] == 1


def test_deadc_missing(run, tmp_path):
    del run.header["DEADC"]
    observation = read(run, tmp_path)
    assert len(observation.events) == 20
    with pytest.raises(SchemaError, match="keyword DEADC is missing"):
        _ = observation.livetime


def test_livetime_that_does_not_fit_warns(run, tmp_path):
    run.header["LIVETIME"] = 88.5
    observation = read(run, tmp_path)
    with pytest.warns(GammaxWarning, match="LIVETIME = 88.5 s, but ONTIME") as caught:
        assert [observation.livetime.to_value("s") for _ in range(2)] == pytest.approx([90, 90])
    assert len(caught) == 1


def test_number_that_differs_from_the_index_warns(store_dir):
    Run(3).write(store_dir / "data" / "run_1.fits")
    observation = DataStore.from_dir(store_dir).obs(1, [])
    with pytest.warns(GammaxWarning, match="the events say OBS_ID 3, the index says 1"):
        assert observation.meta["OBS_ID"] == 3
    assert observation.obs_id == 1


def test_number_as_text(run, tmp_path):
    # GammaLib writes OBS_ID as text
    run.obs_id = "0001 "
    assert read(run, tmp_path).obs_id == 1


def test_part_that_the_file_lacks(store_dir):
    rows = [*hdu_rows(1), (1, "aeff", "aeff_2d", "data", "run_1.fits", "AEFF")]
    write_hdu_index(store_dir / "hdu-index.fits.gz", rows)
    observation = DataStore.from_dir(store_dir).obs(1, ["aeff"])
    assert len(observation.events) == 20
    with pytest.raises(SchemaError, match=r"HDU AEFF \(aeff_2d\) is missing") as caught:
        _ = observation.aeff
    context = caught.value.context
    assert (context["obs_id"], context["index_row"]) == (1, 2)
    assert context["found"] == "PRIMARY, EVENTS, GTI"


def test_class_that_we_do_not_read(store_dir):
    rows = [*hdu_rows(1), (1, "aeff", "map", "data", "run_1.fits", "GTI")]
    write_hdu_index(store_dir / "hdu-index.fits.gz", rows)
    with pytest.raises(SchemaError, match="class 'map'"):
        _ = DataStore.from_dir(store_dir).obs(1, ["aeff"]).aeff


def test_file_cut_short(store_dir):
    path = store_dir / "data" / "run_1.fits"
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(FileFormatError, match=r"run_1\.fits"):
        _ = DataStore.from_dir(store_dir).obs(1, []).events


def test_site_as_text(run, tmp_path):
    # H.E.S.S. index and SWGO write texts, the latter with units
    run.header |= {"GEOLON": "-67d40m35.37s", "GEOLAT": "-22.939544", "ALTITUDE": "4779.99 m"}
    site = read(run, tmp_path).location
    assert_allclose([site.lon.deg, site.lat.deg], [-67.676492, -22.939544], atol=1e-6)
    assert site.height.to_value("m") == pytest.approx(4779.99)
    run.header["GEOLAT"] = "south"
    with pytest.raises(DataValueError, match="GX-DATA-012"):
        _ = read(run, tmp_path).location
    del run.header["GEOLAT"]
    assert read(run, tmp_path).location is None


def test_what_is_not_there(tmp_path, run):
    path = run.write(tmp_path / "run.fits")
    with fits.open(path, mode="update") as hdus:
        del hdus["GTI"]
    observation = Observation.read(path)
    with pytest.raises(SchemaError, match="the observation has no gti"):
        _ = observation.gti
    fits.PrimaryHDU().writeto(path, overwrite=True)
    with pytest.raises(SchemaError, match="the file holds no events"):
        Observation.read(path)


def test_write_and_read(observation, tmp_path):
    piece = observation.select_time(observation.tstart + [10, 30.1] * u.s)
    path = piece.write(tmp_path / "piece.fits")
    back = Observation.read(path)
    assert_array_equal(back.events.time_s, piece.events.time_s)
    assert back.livetime == piece.livetime
    assert back.obs_id == 1
    header = fits.getheader(path, "EVENTS")
    assert_allclose([header["TSTART"], header["TSTOP"], header["ONTIME"]], [1010, 1030.1, 20.1], atol=1e-6)
    assert header["RA_PNT"] == HEADER["RA_PNT"]
    with pytest.raises(FileFormatError, match="exists"):
        piece.write(path)


def test_drift(run, tmp_path):
    run.header |= {"OBS_MODE": "DRIFT", "ALT_PNT": 70.0, "AZ_PNT": 30.0}
    observation = read(run, tmp_path)
    assert observation.pointing.mode == "DRIFT"
    altaz = observation.get_pointing_altaz()
    assert_allclose([altaz.alt.deg, altaz.az.deg], [70, 30])
    # the sky turns by 360 deg in 86164 s
    later = observation.get_pointing_icrs(observation.tmid + 60 * u.s)
    assert later.ra.deg - observation.get_pointing_icrs().ra.deg == pytest.approx(60 * 360 / 86164, rel=1e-3)


def test_create():
    site = EarthLocation(lon=16.5 * u.deg, lat=-23.27 * u.deg, height=1835 * u.m)
    pointing = FixedPointingInfo(SkyCoord(83.6, 22.5, unit="deg"))
    observation = Observation.create(pointing, site, 5, livetime="100 s", deadtime_fraction=0.1)
    assert observation.livetime.to_value("s") == pytest.approx(90)
    assert observation.pointing.fixed_icrs.ra.deg == pytest.approx(83.6)
    assert observation.location.lat.deg == pytest.approx(-23.27)
    assert observation.available_hdus == ["gti"]
    assert pickle.loads(pickle.dumps(observation)).ontime == 100 * u.s
    with pytest.raises(SchemaError, match="no events"):
        _ = observation.events
    with pytest.raises(SchemaError, match="did you mean 'aeff'"):
        Observation.create(pointing, irfs={"aef": None}, livetime="1 s")
    with pytest.raises(SchemaError, match="GX-DATA-083"):
        Observation.create(pointing)


def test_create_with_events_and_write(tmp_path):
    events = EventList.create([1, 2] * u.s, [1, 2] * u.TeV, SkyCoord([83, 84], [22, 22], unit="deg"))
    pointing = SkyCoord(83.6, 22.5, unit="deg")
    observation = Observation.create(pointing, obs_id=5, tstart=0 * u.s, tstop=10 * u.s, events=events)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = Observation.read(observation.write(tmp_path / "x.fits"))
        assert_array_equal(back.events.energy_tev, [1, 2])
    assert (back.obs_id, back.livetime.value) == (5, pytest.approx(10))
    assert np.allclose(back.events.offset.value, observation.get_pointing_icrs().separation(events.radec).deg)
