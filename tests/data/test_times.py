"""Reference times: headers as instruments write them, scales, leap seconds."""

import pytest
from astropy.time import Time
from numpy.testing import assert_allclose

from gammax.data import TimeReference
from gammax.errors import DataValueError, SchemaError

HESS = TimeReference(51910, 0.000742870370370241)


def test_header_with_text_and_without_time_system():
    # some files have MJDREFF as text; Gammapy takes TT where TIMESYS is missing
    assert TimeReference.from_header({"MJDREFI": 51910.0, "MJDREFF": "0.000742870370370241"}) == HESS


def test_date_in_one_keyword():
    assert TimeReference.from_header({"MJDREFI": 51544.5, "MJDREFF": 0.0}) == TimeReference(51544, 0.5)


@pytest.mark.parametrize("name", ["TT", "tt", "TDT", "ET"])
def test_names_of_terrestrial_time(name):
    assert TimeReference.from_header({"MJDREFI": 1, "MJDREFF": 0, "TIMESYS": name}).scale == "tt"


@pytest.mark.parametrize(
    ("header", "error", "code"),
    [
        ({"MJDREFF": 0.0}, SchemaError, "GX-DATA-001"),
        ({"MJDREFI": 51910}, SchemaError, "GX-DATA-001"),
        ({"MJDREFI": 51910, "MJDREFF": 0.0, "TIMESYS": "LOCALTIME"}, DataValueError, "GX-DATA-002"),
        ({"MJDREFI": 51910, "MJDREFF": "noon"}, DataValueError, "GX-DATA-004"),
    ],
)
def test_headers_refused(header, error, code):
    with pytest.raises(error, match=code) as caught:
        TimeReference.from_header(header, "run.fits", "EVENTS")
    assert caught.value.context["file"] == "run.fits"


def test_seconds_there_and_back():
    seconds = [0.0, 0.123456789, 123890826.0]
    assert_allclose(HESS.to_seconds(HESS.to_time(seconds)), seconds, rtol=0, atol=1e-7)


def test_utc_counts_leap_seconds():
    # leap seconds at the ends of 2005, 2008 and June 2012 (IERS bulletin C): ten years are 3653 days and 3 seconds
    reference = TimeReference.from_time(Time("2004-01-01", scale="utc"))
    assert reference.to_seconds(Time("2014-01-01", scale="utc")) == pytest.approx(3653 * 86400 + 3, abs=1e-6)


def test_shift_between_references():
    # 1 day + 0.5 day; both in TT, so the arithmetic is exact
    assert TimeReference(51910, 0.5).shift_from(TimeReference(51911, 0.0)) == 43200.0
    # TT is 32.184 s ahead of TAI
    tai, tt = TimeReference(51910, 0.0, "tai"), TimeReference(51910, 0.0, "tt")
    assert tt.shift_from(tai) == pytest.approx(32.184, abs=1e-6)
    utc = TimeReference(53736, 0.0, "utc")  # 2006-01-01, 33 leap seconds
    assert TimeReference(53736, 0.0, "tt").shift_from(utc) == pytest.approx(33 + 32.184, abs=1e-6)


def test_reference_from_time_keeps_digits():
    time = Time(51910, 0.000742870370370241, format="mjd", scale="tt")
    assert TimeReference.from_time(time) == TimeReference(51910, pytest.approx(0.000742870370370241, abs=1e-16))
