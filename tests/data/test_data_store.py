"""Data stores: which observations are given out, and what is said when one cannot be."""

import os
import shutil

import numpy as np
import pytest
from small_store import Run, event_columns

from gammax.data import DataStore
from gammax.errors import DataValueError, GammaxWarning, SchemaError, UnsafeInputError


@pytest.fixture
def store(store_dir):
    return DataStore.from_dir(store_dir)


def test_all_in_order_of_number(store):
    observations = store.get_observations(required_irf="all-optional")
    assert observations.ids == ["1", "2", "7"]
    assert observations["7"].obs_id == 7
    assert observations[1:].ids == ["2", "7"]
    assert (observations[:1] + observations[2:]).ids == ["1", "7"]
    assert repr(observations) == "Observations(3: 1, 2, 7)"


def test_in_the_order_asked_for(store):
    assert store.get_observations(np.array([7, 1]), []).ids == ["7", "1"]
    assert store.get_observations(7, []).ids == ["7"]
    assert store.get_observations([], []).ids == []


def test_unknown(store):
    with pytest.raises(DataValueError, match="nearest observations: 2, 1, 7") as caught:
        store.get_observations([1, 3], [])
    assert caught.value.context["obs_id"] == 3
    with pytest.warns(GammaxWarning, match=r"1 of 2 observations are skipped.*\(3\)"):
        observations = store.get_observations([1, 3], [], skip_missing=True)
    assert observations.ids == ["1"]


@pytest.mark.parametrize("wanted", [["1"], [1.0], [True], "1"])
def test_whole_numbers_only(store, wanted):
    with pytest.raises(DataValueError, match="GX-DATA-093"):
        store.get_observations(wanted, [])


def test_repeated(store):
    with pytest.raises(DataValueError, match="GX-DATA-091"):
        store.get_observations([1, 2, 1], [])
    assert store.get_observations([1, 2, 1], [], allow_duplicates=True).ids == ["1", "2", "1"]


def test_missing_responses(store):
    with pytest.raises(SchemaError, match="3 of 3 observations lack a required part") as caught:
        store.get_observations()
    assert caught.value.context["found"] == "no aeff, edisp, psf, bkg"
    with pytest.warns(GammaxWarning, match="3 of 3 observations are skipped"):
        assert len(store.get_observations(skip_missing=True)) == 0
    with pytest.raises(SchemaError, match="did you mean 'point-like'"):
        store.get_observations(required_irf="pointlike")
    with pytest.raises(SchemaError, match="did you mean 'rad_max'"):
        store.get_observations(required_irf=["radmax"])
    with pytest.raises(SchemaError, match="did you mean 'strict'"):
        store.get_observations(required_irf=[], gti="stric")


def test_info(store, capsys):
    store.info()
    text = capsys.readouterr().out
    assert "3 observations" in text
    assert "Crab" in text
    assert store.info(show=False) + "\n" == text
    assert "3 observations" in repr(store)


def test_confined(store_dir, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "run_1.fits"
    shutil.move(store_dir / "data" / "run_1.fits", outside)
    os.symlink(outside, store_dir / "data" / "run_1.fits")
    assert len(DataStore.from_dir(store_dir).obs(1, []).events) == 20
    with pytest.raises(UnsafeInputError, match="GX-DATA-097"):
        DataStore.from_dir(store_dir, confine=True).obs(1, [])
    assert len(DataStore.from_dir(store_dir, confine=True).obs(2, []).events) == 20


def test_a_pipe_is_not_opened(store_dir):
    path = store_dir / "data" / "run_1.fits"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UnsafeInputError, match="GX-DATA-054"):
        _ = DataStore.from_dir(store_dir).obs(1, []).events


def test_bad_events_dropped_on_demand(store_dir):
    columns = event_columns()
    columns["ENERGY"][:2] = np.nan
    Run(columns=columns).write(store_dir / "data" / "run_1.fits")
    with pytest.raises(DataValueError, match="2 of 20 events"):
        _ = DataStore.from_dir(store_dir).obs(1, []).events
    observation = DataStore.from_dir(store_dir, drop_bad_events=True).obs(1, [])
    assert observation.events.meta["NDROPPED"] == 2


def test_from_events_files_refused(store_dir, tmp_path):
    run = store_dir / "data" / "run_1.fits"
    with pytest.raises(SchemaError, match="GX-DATA-100"):
        DataStore.from_events_files([])
    with pytest.raises(DataValueError, match="GX-DATA-101"):
        DataStore.from_events_files([run, run])
    with pytest.raises(DataValueError, match="GX-DATA-102"):
        DataStore.from_events_files([run], [run, run])
    no_number = Run()
    path = no_number.write(tmp_path / "x.fits")
    from astropy.io import fits

    with fits.open(path, mode="update") as hdus:
        del hdus["EVENTS"].header["OBS_ID"]
    with pytest.raises(SchemaError, match="OBS_ID"):
        DataStore.from_events_files([path])
