"""Good time intervals of a dataset: checked when they come in, kept whole on disk."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, Table
from astropy.time import Time
from numpy.testing import assert_allclose
from spectra import make_onoff

from gammax.datasets._tables import stack_gti
from gammax.errors import DataValueError, GammaxError, SchemaError, UnitError


@pytest.mark.parametrize(
    ("table", "error", "code"),
    [
        ({"START": [0.0]}, SchemaError, "GX-DATASETS-061"),
        (Table({"START": [0.0] * u.s}), SchemaError, "GX-DATASETS-062"),
        (Table(), SchemaError, "GX-DATASETS-062"),
        (Table({"START": [0.0], "STOP": [1.0]}), UnitError, "GX-DATASETS-063"),
        (Table({"START": [0.0] * u.m, "STOP": [1.0] * u.m}), UnitError, "GX-DATASETS-063"),
        (Table({"START": Time([51910.0], format="mjd"), "STOP": [1.0] * u.s}), UnitError, "GX-DATASETS-063"),
        (Table({"START": ["a"], "STOP": ["b"]}, units=["s", "s"]), DataValueError, "GX-DATASETS-065"),
    ],
)
def test_what_is_no_gti(table, error, code):
    with pytest.raises(error, match=code) as caught:
        make_onoff().replace(gti=table)
    assert caught.value.context["dataset"] == "a"


def test_other_units_of_time_are_converted_and_the_users_table_is_left_alone():
    table = QTable({"START": [0.0] * u.h, "STOP": [0.5] * u.h, "QUALITY": [1]})
    dataset = make_onoff().replace(gti=table)
    assert_allclose(np.asarray(dataset.gti["STOP"]), 1800)
    assert str(dataset.gti["STOP"].unit) == "s"
    assert_allclose(dataset.info_dict()["ontime"].to_value("s"), 1800)
    assert table["STOP"].unit == "h"
    assert make_onoff().replace(gti=dataset.gti).gti is dataset.gti
    seconds = QTable({"START": [0.0] * u.s, "STOP": [0.5] * u.s})
    assert_allclose(stack_gti([make_onoff().replace(gti=seconds).gti] * 2)["STOP"], 0.5)


@pytest.mark.parametrize("format", ["gadf", "ogip"])
def test_all_of_the_table_comes_back(tmp_path, format):
    gti = make_onoff().gti.copy()
    gti["ZENITH"], gti["NOTE"], gti["RATE"] = [20.0] * u.deg, ["low"], [np.nan]
    gti.meta.update({"TELESCOP": "TEST", "a long keyword": 3})
    dataset = make_onoff().replace(gti=gti)
    back = type(dataset).read(dataset.write(tmp_path / "run.fits", format=format)).gti
    assert back.colnames == ["START", "STOP", "ZENITH", "NOTE", "RATE"]
    assert (str(back["ZENITH"].unit), back["ZENITH"][0], back["NOTE"][0]) == ("deg", 20, "low")
    assert np.isnan(back["RATE"][0])
    assert dict(back.meta) == dict(gti.meta)


def test_what_fits_cannot_hold_is_refused_not_left_out(tmp_path):
    for meta in ({"A": object()}, {"NAXIS2": 7}, {"TFORM1": "x"}):
        gti = make_onoff().gti.copy()
        gti.meta.update(meta)
        with pytest.raises(GammaxError, match="GX-DATASETS-064"):
            make_onoff().replace(gti=gti).write(tmp_path / "run.fits")
    assert not list(tmp_path.iterdir())
