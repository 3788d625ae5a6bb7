"""Published DL3 data: everything loads without a warning, and counts and times are Gammapy's."""

import pickle
import warnings
from dataclasses import replace
from itertools import pairwise

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.time import Time
from numpy.testing import assert_allclose
from small_store import HDU_COLUMNS, write_hdu_index

from gammax.data import GTI, DataStore, EventList, Observation
from gammax.errors import GammaxWarning, SchemaError

pytestmark = pytest.mark.data

HESS, MAGIC, CTA = "hess-dl3-dr1", "magic/rad_max/data", "cta-1dc/index/gps"

# Gammapy 2.1, from DataStore.from_dir(...).obs(...): events; those in 1 to 10 TeV, 0 to 0.5 deg from the pointing,
# 100 to 400 s after the start, start to stop, and in a circle of 0.11 deg placed 0.5 deg off at position angle 30 deg;
# live time [s]; start [MJD TT]; mean offset [deg], which Gammapy computes in 32 bits
GAMMAPY = {
    (HESS, 23523): (7613, 2972, 518, 1403, 7612, 22, 1581.736764695497, 53343.92234009259, 1.7861325),
    (HESS, 33787): (7176, 4020, 567, 1196, 7170, 15, 1645.9436731394428, 53945.85113638889, 1.7424977),
    (HESS, 20136): (11243, 2664, 688, 2041, 11240, 36, 1521.0268800705694, 53090.123451203704, 1.8112414),
    (MAGIC, 5029747): (11189, 86, 3239, 2785, 11189, 116, 1178.0662769214098, 56569.18190531501, 0.7928020),
    (MAGIC, 5029748): (11701, 59, 3421, 2914, 11701, 131, 1174.85374693666, 56569.196064247386, 0.7849833),
    (CTA, 110380): (106217, 4187, 4699, 17610, 106217, 229, 1764.000034326, 59235.5, 1.9492808),
    (CTA, 111140): (106386, 4190, 4683, 17564, 106386, 230, 1764.000034326, 59275.5, 1.9650103),
    (CTA, 111159): (105741, 4318, 4524, 17483, 105741, 240, 1764.000034326, 59276.5, 1.9623888),
}


@pytest.mark.parametrize(("folder", "number"), GAMMAPY)
def test_events_and_times_as_gammapy(data_dir, folder, number):
    observation = DataStore.from_dir(data_dir / folder).obs(number, required_irf=[])
    events, start = observation.events, observation.tstart
    *counts, livetime, mjd, offset = GAMMAPY[folder, number]
    circle = observation.pointing.fixed_icrs.directional_offset_by(30 * u.deg, 0.5 * u.deg)
    found = [
        events,
        events.select_energy([1, 10] * u.TeV),
        events.select_offset([0, 0.5] * u.deg),
        events.select_time(start + [100, 400] * u.s),
        events.select_time(Time([start, observation.tstop])),
        events.select_region(f"icrs;circle({circle.ra.deg}, {circle.dec.deg}, 0.11)"),
    ]
    # in 64 bits one event of 111140 lies inside of 0.5 deg that lies outside in 32
    counts[2] += number == 111140
    assert [len(item) for item in found] == counts
    assert_allclose(observation.livetime.to_value("s"), livetime, rtol=1e-13)
    assert_allclose(start.tt.mjd, mjd, rtol=0, atol=1e-10)
    assert_allclose(events.offset.value.mean(), offset, rtol=1e-6)


def test_all_of_hess_loads_without_a_warning(data_dir):
    store = DataStore.from_dir(data_dir / HESS)
    observations = store.get_observations()
    assert len(observations) == 87
    late = 0
    for observation in (item.unread() for item in observations):
        assert observation.livetime.to_value("s") > 0
        good = observation.gti.contains(observation.events.time_s)
        late += int(np.sum(~good))
        # reliability of the archive: STOP is truncated, by 0.93 s at most
        assert observation.gti.contains(observation.events.time_s, 0.94).all()
    assert late == 256
    strict = store.get_observations([23523], gti="strict")[0]
    assert len(strict.events) == 7612


def test_slices_of_the_flare_night_as_gammapy(data_dir):
    store = DataStore.from_dir(data_dir / HESS)
    cone = {"type": "sky_circle", "frame": "icrs", "lon": 329.71693826, "lat": -30.225589, "radius": "2 deg"}
    observations = store.get_observations(store.obs_table.select_observations(cone)["OBS_ID"])
    edges = Time("2006-07-29T20:30") + np.arange(69) * 5 * u.min
    pieces = observations.select_time([Time(pair) for pair in pairwise(edges)])
    # Gammapy 2.1: Observations.select_time of the same intervals
    assert (len(observations), len(pieces)) == (15, 67)
    assert pieces.ids[:6] == ["33787"] * 5 + ["33788"]
    assert [len(piece.events) for piece in pieces[:8]] == [1258, 1274, 1344, 1322, 701, 32, 1420, 1384]
    assert sum(len(piece.events) for piece in pieces) == 110381
    assert sum(piece.ontime.value for piece in pieces) == pytest.approx(18413, abs=1e-4)


def test_selections_as_gammapy(data_dir):
    table = DataStore.from_dir(data_dir / HESS).obs_table
    crab = {"type": "sky_circle", "frame": "icrs", "lon": "83.633 deg", "lat": "22.014 deg", "radius": "2 deg"}
    night = {"type": "time_box", "time_range": Time(["2006-07-29T20:30", "2006-07-30T02:15"])}
    partly = {"type": "time_box", "time_range": Time(["2006-07-29T20:40", "2006-07-30T02:15"]), "partial_overlap": True}
    high = {"type": "par_box", "variable": "ALT_PNT", "value_range": [60, 70] * u.deg}
    numbers = {"type": "par_box", "variable": "OBS_ID", "value_range": [23523, 23559]}
    # Gammapy 2.1: ObservationTable.select_observations of the same mappings
    assert table.select_observations(crab)["OBS_ID"].tolist() == [23523, 23526, 23559, 23592]
    assert len(table.select_observations({**crab, "inverted": True})) == 83
    assert table.select_observations(night)["OBS_ID"].tolist() == list(range(33788, 33798))
    assert table.select_observations(partly)["OBS_ID"].tolist() == list(range(33787, 33799))
    assert len(table.select_observations(high)) == 22
    assert table.select_observations(numbers)["OBS_ID"].tolist() == [23523, 23526]


def test_magic(data_dir):
    store = DataStore.from_dir(data_dir / MAGIC)
    with pytest.raises(SchemaError, match="point-like"):
        store.get_observations()
    for observation in store.get_observations(required_irf="point-like"):
        assert observation.available_irfs == ["aeff", "edisp", "rad_max"]
        assert observation.rad_max.data.shape == (20, 1)
        assert observation.psf is None
        assert observation.events.reference.scale == "utc"


def test_responses(data_dir):
    observation = pickle.loads(pickle.dumps(DataStore.from_dir(data_dir / HESS).obs(23523)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tags = [getattr(observation, name).tag for name in observation.available_irfs]
    assert tags == ["aeff_2d", "edisp_2d", "psf_table", "bkg_3d"]
    assert len({str(item.message) for item in caught}) == len(caught) <= 4
    assert all(item.category is GammaxWarning for item in caught)
    # Gammapy 2.1 reads the alignment of this file so, though its header says RADEC
    assert observation.bkg.fov_alignment == "REVERSE_LON_RADEC"
    assert observation.rad_max is None


def test_wrong_class_in_the_index(data_dir, tmp_path):
    table = DataStore.from_dir(data_dir / HESS).hdu_table
    table = table[(table["OBS_ID"] == 23523) & np.isin(table["HDU_TYPE"], ["events", "gti", "psf"])]
    rows = [tuple(row[name] for name in HDU_COLUMNS) for row in table]
    rows = [(*r[:2], "psf_king" if r[1] == "psf" else r[2], str(data_dir / HESS / "data"), *r[4:]) for r in rows]
    write_hdu_index(tmp_path / "hdu-index.fits.gz", rows)
    observation = DataStore.from_dir(tmp_path).obs(23523, ["psf"])
    with pytest.warns(GammaxWarning, match="psf_king in the index and psf_table by its columns"):
        assert observation.psf.tag == "psf_table"


def test_cut_of_a_point_like_response(data_dir):
    irfs = DataStore.from_dir(data_dir / MAGIC).obs(5029747, "point-like")
    pointing = irfs.pointing
    aeff = replace(irfs.aeff, meta={**irfs.aeff.meta, "RAD_MAX": 0.14})
    fixed = Observation.create(pointing, livetime="1 s", irfs={"aeff": aeff, "edisp": irfs.edisp})
    assert fixed.rad_max.evaluate(energy=1 * u.TeV, offset=0.4 * u.deg) == 0.14 * u.deg
    with pytest.raises(SchemaError, match="without RAD_MAX"):
        _ = Observation.create(pointing, livetime="1 s", irfs={"aeff": irfs.aeff}).rad_max


def test_cta_by_its_event_files(data_dir, monkeypatch):
    path = data_dir / "cta-1dc/data/baseline/gps/gps_baseline_111630.fits"
    irfs = data_dir / "cta-1dc/caldb/data/cta/1dc/bcf/South_z20_50h/irf_file.fits"
    by_path = DataStore.from_events_files([path], irfs)
    assert by_path.hdu_table["HDU_CLASS"].tolist() == ["events", "gti", "aeff_2d", "edisp_2d", "psf_3gauss", "bkg_3d"]
    monkeypatch.setenv("CALDB", str(data_dir / "cta-1dc/caldb"))
    by_keywords = DataStore.from_events_files([path.with_name("gps_baseline_110380.fits")])
    assert by_keywords.obs(110380).psf.tag == "psf_3gauss"
    # its header has OBS_ID as text
    assert by_path.obs_ids == [111630]


def test_swgo_drift(data_dir):
    store = DataStore.from_dir(data_dir / "tests/format/swgo")
    observation = store.obs(0, required_irf=[])
    assert observation.pointing.mode == "DRIFT"
    assert observation.location.height.to_value("m") == pytest.approx(4780, abs=1e-3)
    with pytest.raises(SchemaError, match="column TIME is missing"):
        _ = observation.events
    with pytest.raises(SchemaError, match="class 'map'"):
        _ = store.obs(0, required_irf=["aeff"]).aeff


def test_fermi(data_dir):
    path = data_dir / "joint-crab/dl3/fermi/events.fits.gz"
    events, gti = EventList.read(path), GTI.read(path)
    # Gammapy 2.1: GTI.read(...).time_sum
    assert (len(events), len(gti)) == (10441, 39042)
    assert gti.time_sum.to_value("s") == pytest.approx(183139597.9032163, abs=1e-3)
    assert gti.contains(events.time_s).all()
    assert events.energy_tev.min() == pytest.approx(0.01, rel=1e-2)


def test_observation_written_and_read(data_dir, tmp_path):
    observation = DataStore.from_dir(data_dir / MAGIC).obs(5029747, "point-like")
    back = Observation.read(observation.write(tmp_path / "magic.fits"))
    assert_allclose(back.events.time_s, observation.events.time_s, rtol=0, atol=0)
    assert_allclose(back.livetime.value, observation.livetime.value, rtol=1e-15)
    assert_allclose(back.rad_max.data, observation.rad_max.data)
    assert back.available_hdus == observation.available_hdus
    center = SkyCoord(83.98333, 22.24389, unit="deg")
    assert back.get_pointing_icrs().separation(center).deg < 1e-9


def test_data_that_differ_from_their_datasum(data_dir):
    # H.E.S.S. and Fermi-LAT files that were edited after they were written
    for name in ("tests/pointing_table.fits.gz", "fermi-3fhl-gc/fermi-3fhl-gc-events.fits.gz"):
        with pytest.warns(GammaxWarning, match="HDU EVENTS are not those that its DATASUM") as caught:
            assert len(EventList.read(data_dir / name)) > 8000
        assert len(caught) == 1
    with pytest.warns(GammaxWarning, match="DATASUM") as caught:
        obs = Observation.read(data_dir / "tests/pointing_table.fits.gz")
    # nothing more is told when the parts are read; ONTIME x DEADC of the header
    assert obs.livetime.to_value("s") == pytest.approx(1586 * 0.909490399062634, rel=1e-9)
    assert (len(caught), len(obs.events), obs.pointing.mode) == (1, 8833, "POINTING")
