"""Fixed pointing: headers, and positions of a drifting telescope as Gammapy finds them."""

import astropy.units as u
import pytest
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.time import Time
from numpy.testing import assert_allclose

from gammax.data import FixedPointingInfo
from gammax.errors import DataValueError, SchemaError

HAWC = EarthLocation(lon=-97.31 * u.deg, lat=18.99 * u.deg, height=4100 * u.m)
TIMES = Time(["2020-03-01T00:00:00", "2020-03-01T06:00:00"])


def test_every_mode_but_drift_tracks():
    for mode in ({}, {"OBS_MODE": "WOBBLE"}, {"OBS_MODE": "wobble"}, {"OBS_MODE": "POINTING"}):
        pointing = FixedPointingInfo.from_header({"RA_PNT": 83.63, "DEC_PNT": 22.01, **mode})
        assert pointing.mode == "POINTING"
        assert_allclose(pointing.get_icrs().ra.deg, 83.63, rtol=1e-15)


def test_drift_as_gammapy():
    pointing = FixedPointingInfo.from_header({"OBS_MODE": "DRIFT", "ALT_PNT": 70.0, "AZ_PNT": 30.0})
    assert pointing.mode == "DRIFT"
    # Gammapy 2.1: FixedPointingInfo.get_icrs of the same header; 1e-4 deg for other tables of the Earth's rotation
    icrs = pointing.get_icrs(TIMES, HAWC)
    assert_allclose(icrs.ra.deg, [73.795890244703, 164.09140209136055], rtol=0, atol=1e-4)
    assert_allclose(icrs.dec.deg, [35.83183792283341, 35.97197197106697], rtol=0, atol=1e-4)


def test_altitude_of_a_tracking_telescope_as_gammapy():
    pointing = FixedPointingInfo(SkyCoord(83.63, 22.01, unit="deg"))
    altaz = pointing.get_altaz(TIMES[0], HAWC)
    # Gammapy 2.1, as above
    assert_allclose([altaz.alt.deg, altaz.az.deg], [69.20541223383634, 77.83304774528386], rtol=0, atol=1e-4)


def test_header_there_and_back():
    for header in (
        {"OBS_MODE": "POINTING", "RA_PNT": 83.63, "DEC_PNT": 22.01},
        {"OBS_MODE": "DRIFT", "ALT_PNT": 70.0, "AZ_PNT": 30.0},
    ):
        assert FixedPointingInfo.from_header(header).header() == pytest.approx(header)


@pytest.mark.parametrize(
    ("header", "error", "code"),
    [
        ({"DEC_PNT": 22.0}, SchemaError, "keyword RA_PNT is missing"),
        ({"OBS_MODE": "DRIFT", "RA_PNT": 1.0, "DEC_PNT": 2.0}, SchemaError, "keyword ALT_PNT is missing"),
        ({"RA_PNT": 83.6, "DEC_PNT": 100.0}, DataValueError, "GX-DATA-023"),
        ({"RA_PNT": "east", "DEC_PNT": 22.0}, DataValueError, "GX-DATA-025"),
    ],
)
def test_headers_refused(header, error, code):
    with pytest.raises(error, match=code):
        FixedPointingInfo.from_header(header)


def test_drift_needs_time_and_site():
    pointing = FixedPointingInfo.from_header({"OBS_MODE": "DRIFT", "ALT_PNT": 70.0, "AZ_PNT": 30.0})
    with pytest.raises(DataValueError, match="GX-DATA-024"):
        pointing.get_icrs(TIMES)
    with pytest.raises(DataValueError, match="GX-DATA-020"):
        FixedPointingInfo()
