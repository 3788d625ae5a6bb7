"""Event lists: cuts against closed forms, files both ways, what is refused and what only warns."""

import pickle

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from numpy.testing import assert_allclose, assert_array_equal
from regions import CircleSkyRegion

from gammax.data import GTI, EventList, TimeReference
from gammax.errors import DataValueError, GammaxWarning, GeometryError, SchemaError, UnitError
from gammax.maps import WcsGeom


@pytest.fixture
def events(run, tmp_path):
    return EventList.read(run.write(tmp_path / "run.fits"))


def ids(events):
    return events.columns["EVENT_ID"].tolist()


def test_what_is_read(events):
    k = np.arange(20)
    assert len(events) == 20
    assert_array_equal(events.energy_tev, 2.0 ** (k / 4))
    assert events.energy.unit == u.TeV
    assert_array_equal(events.time_s, 1000 + 5 * k)
    assert_allclose((events.time - events.time_ref).to_value("s"), events.time_s, atol=1e-6)
    assert_allclose(events.radec.dec.deg, 22.5 + k / 100, atol=1e-12)
    assert_allclose(events.offset.value, k / 100, atol=1e-12)
    assert events.meta["TELESCOP"] == "TEST"
    assert "TTYPE1" not in events.meta
    assert events.location.lat.deg == pytest.approx(-23.27)


def test_nothing_can_be_changed(events):
    with pytest.raises(ValueError, match="read-only"):
        events.energy_tev[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        events.columns["MULTIP"][0] = 1
    with pytest.raises(TypeError):
        events.meta["OBS_ID"] = 2


def test_units_are_converted(run, tmp_path):
    run.units |= {"ENERGY": "GeV", "RA": "arcmin"}
    events = EventList.read(run.write(tmp_path / "run.fits"))
    assert_allclose(events.energy_tev[0], 1e-3, rtol=1e-15)
    assert_allclose(events.ra_deg[0], 83.6 / 60, rtol=1e-15)


def test_cuts(events):
    assert ids(events.select_energy([2, 4] * u.TeV)) == [4, 5, 6, 7]
    assert ids(events.select_energy(["2 TeV", "4000 GeV"])) == [4, 5, 6, 7]
    assert ids(events.select_offset([0.045, 0.075] * u.deg)) == [5, 6, 7]
    assert ids(events.select_time(events.reference.to_time([1009.9, 1025.1]))) == [2, 3, 4, 5]
    assert ids(events.select_gti(GTI([1010, 1050], [1020, 1060], events.reference))) == [2, 3, 10, 11]
    assert ids(events.select_parameter("MULTIP", (2, 4))) == [2, 3, 6, 7, 10, 11, 14, 15, 18, 19]
    assert ids(events.select_mask(events.energy_tev > 20)) == [18, 19]
    assert ids(events.select_rows(slice(0, 3))) == [0, 1, 2]
    assert len(events) == 20


def test_gti_in_another_reference(events):
    day_later = TimeReference(events.reference.mjdrefi + 1, events.reference.mjdreff)
    gti = GTI([1010 - 86400], [1020 - 86400], day_later)
    assert ids(events.select_gti(gti)) == [2, 3]


def test_circles_are_cut_by_separation(events):
    # event k lies k / 100 deg from the centre
    circle = CircleSkyRegion(SkyCoord(83.6, 22.5, unit="deg"), 0.055 * u.deg)
    assert ids(events.select_region(circle)) == [0, 1, 2, 3, 4, 5]
    both = ["icrs;circle(83.6, 22.5, 0.015)", "icrs;circle(83.6, 22.6, 0.015)"]
    assert ids(events.select_region("\n".join(both))) == [0, 1, 9, 10, 11]
    assert ids(events.select_region("icrs;box(83.6, 22.5, 0.2, 0.07)")) == [0, 1, 2, 3]
    with pytest.raises(GeometryError):
        events.select_region("a circle")


def test_map_mask(events):
    # pixels of 0.03 deg, one of them centred on the pointing: two rows of centres lie inside, up to 0.045 deg
    geom = WcsGeom.create(npix=(21, 21), binsz=0.03, skydir=SkyCoord(83.6, 22.5, unit="deg"))
    assert ids(events.select_mask(geom.region_mask("icrs;circle(83.6, 22.5, 0.05)"))) == [0, 1, 2, 3, 4]
    # the map ends 0.315 deg off, so that events outside of it are dropped
    assert (
        len(
            events.select_mask(
                WcsGeom.create(npix=(3, 3), binsz=0.03, skydir=geom.center_skydir).region_mask(
                    "icrs;circle(83.6, 22.5, 1)"
                )
            )
        )
        == 5
    )


@pytest.mark.parametrize(
    ("cut", "error", "code"),
    [
        (lambda e: e.select_energy([1, 2]), UnitError, "GX-UNIT-003"),
        (lambda e: e.select_energy([2, 1] * u.TeV), DataValueError, "GX-DATA-044"),
        (lambda e: e.select_energy(1 * u.TeV), DataValueError, "GX-DATA-044"),
        (lambda e: e.select_parameter("MULTIPL", (1, 2)), SchemaError, "did you mean 'MULTIP'"),
        (lambda e: e.select_parameter("MULTIP", (1, 2) * u.m), UnitError, "GX-UNIT-003"),
        (lambda e: e.select_mask([True]), DataValueError, "GX-DATA-042"),
    ],
)
def test_cuts_refused(events, cut, error, code):
    with pytest.raises(error, match=code):
        cut(events)


def test_write_and_read_to_the_bit(events, tmp_path):
    back = EventList.read(events.write(tmp_path / "back.fits"))
    for name in ("time_s", "energy_tev", "ra_deg", "dec_deg"):
        assert_array_equal(getattr(back, name), getattr(events, name))
    assert back.reference == events.reference
    assert back.columns.keys() == events.columns.keys()
    assert {**back.meta, "HDUVERS": 0} == {
        **events.meta,
        "HDUCLASS": "GADF",
        "HDUCLAS1": "EVENTS",
        "HDUVERS": 0,
        "TIMEREF": "LOCAL",
    }


def test_pickle(events):
    back = pickle.loads(pickle.dumps(events))
    assert_array_equal(back.energy_tev, events.energy_tev)
    assert dict(back.meta) == dict(events.meta)


def test_stack(events, run, tmp_path):
    run.header |= {"MJDREFI": 51911, "RA_PNT": 84.0}
    del run.columns["MULTIP"]
    both = events.stack(EventList.read(run.write(tmp_path / "later.fits")))
    assert len(both) == 40
    assert both.time_s[20] - both.time_s[0] == 86400
    assert list(both.columns) == ["EVENT_ID"]
    assert "RA_PNT" not in both.meta
    assert both.meta["TELESCOP"] == "TEST"


def test_create():
    events = EventList.create([1, 2] * u.s, [1, 2] * u.TeV, SkyCoord([1, 2], [3, 4], unit="deg"))
    assert events.table["TIME"].tolist() == [1, 2]
    assert events.time_ref.iso == "2000-01-01 00:00:00.000"


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("ENERGY", np.nan, "1 with ENERGY"),
        ("ENERGY", 0.0, "1 with ENERGY"),
        ("ENERGY", -1.0, "1 with ENERGY"),
        ("ENERGY", np.inf, "1 with ENERGY"),
        ("RA", np.nan, "1 with RA"),
        ("DEC", 100.0, "1 with DEC"),
        ("DEC", np.nan, "1 with DEC"),
        ("TIME", np.nan, "1 with TIME"),
    ],
)
def test_events_that_cannot_be_right(run, tmp_path, column, value, text):
    run.columns[column][3] = value
    path = run.write(tmp_path / "run.fits")
    with pytest.raises(DataValueError, match="GX-DATA-045") as caught:
        EventList.read(path)
    assert caught.value.context["row"] == 3
    assert text in caught.value.context["found"]
    kept = EventList.read(path, drop_bad_events=True)
    assert (len(kept), kept.meta["NDROPPED"]) == (19, 1)


def test_right_ascension_wraps(run, tmp_path):
    # CTA 1DC writes negative right ascensions, MAGIC some above 360 deg
    run.columns["RA"][:2] = [83.6 - 360, 83.6 + 360]
    events = EventList.read(run.write(tmp_path / "run.fits"))
    assert_allclose(events.offset.value[:2], [0, 0.01], atol=1e-9)


def test_order_and_repeated_numbers_are_fine(run, tmp_path):
    # CTA 1DC is not in order of time; EVENT_ID repeats in MAGIC and HAWC
    run.columns["TIME"] = run.columns["TIME"][::-1].copy()
    run.columns["EVENT_ID"][:] = 5
    assert len(EventList.read(run.write(tmp_path / "run.fits"))) == 20


def test_repeated_events_warn(run, tmp_path):
    run.columns = {name: np.concatenate([values, values[:3]]) for name, values in run.columns.items()}
    with pytest.warns(GammaxWarning, match="3 of 23 events repeat"):
        events = EventList.read(run.write(tmp_path / "run.fits"))
    assert len(events) == 23


def test_two_events_at_one_time_are_no_repetition(run, tmp_path):
    run.columns["TIME"][1] = run.columns["TIME"][0]
    assert len(EventList.read(run.write(tmp_path / "run.fits"))) == 20


def test_no_events(run, tmp_path):
    run.columns = {name: values[:0] for name, values in run.columns.items()}
    events = EventList.read(run.write(tmp_path / "run.fits"))
    assert (len(events), repr(events)) == (0, "EventList(0 events)")


@pytest.mark.parametrize("column", ["TIME", "ENERGY", "RA", "DEC"])
def test_missing_column(run, tmp_path, column):
    del run.columns[column]
    with pytest.raises(SchemaError, match=f"column {column} is missing"):
        EventList.read(run.write(tmp_path / "run.fits"))


@pytest.mark.parametrize(("column", "unit"), [("ENERGY", None), ("RA", None), ("ENERGY", "Tev"), ("DEC", "TeV")])
def test_units_refused(run, tmp_path, column, unit):
    run.units[column] = unit
    with pytest.raises(UnitError, match=r"GX-(FITS|UNIT)"):
        EventList.read(run.write(tmp_path / "run.fits"))


def test_missing_keyword_and_hdu(run, tmp_path):
    del run.header["MJDREFI"]
    path = run.write(tmp_path / "run.fits")
    with pytest.raises(SchemaError, match="MJDREFI"):
        EventList.read(path)
    with pytest.raises(SchemaError, match="HDU EVENT is missing") as caught:
        EventList.read(path, hdu="EVENT")
    assert "GTI" in caught.value.context["found"]


def test_columns_of_different_lengths():
    with pytest.raises(DataValueError, match="column RA"):
        EventList([1.0, 2.0], [1.0, 2.0], [1.0], [1.0, 2.0], TimeReference(51544, 0.0))
