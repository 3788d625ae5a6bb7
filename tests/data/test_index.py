"""Index tables: rows checked, paths as GADF says, and selections against the rows and against Gammapy's rules."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from small_store import OBS_ROWS, hdu_rows, write_hdu_index, write_obs_index

from gammax.data import DataStore, HDUIndexTable, ObservationTable, TimeReference
from gammax.errors import DataValueError, FileFormatError, GammaxWarning, SchemaError, UnitError

REFERENCE = TimeReference(51910, 0.000742870370370241)


@pytest.fixture
def table(store_dir):
    return ObservationTable.read(store_dir / "obs-index.fits.gz")


def ids(table):
    return table["OBS_ID"].tolist()


def test_cone(table):
    # pointings 0.5 deg north and south of (83.6, 22); the border is open, as Gammapy's
    center = SkyCoord(83.6, 22.0, unit="deg")
    assert ids(table.select_sky_circle(center, "1 deg")) == [1, 2]
    assert ids(table.select_sky_circle(center, 0.4 * u.deg)) == []
    assert ids(table.select_sky_circle(center, "1 deg", inverted=True)) == [7]
    cone = {"type": "sky_circle", "frame": "icrs", "lon": "83.6 deg", "lat": 22, "radius": "0.3 deg", "border": 0.3}
    assert ids(table.select_observations(cone)) == [1, 2]
    galactic = {"type": "sky_circle", "frame": "galactic", "lon": "184.5 deg", "lat": "-5.8 deg", "radius": "2 deg"}
    assert ids(table.select_observations(galactic)) == [1, 2]


def test_times(table):
    box = REFERENCE.to_time([999, 2050])
    assert ids(table.select_time_range(box)) == [1]
    assert ids(table.select_time_range(box, partial_overlap=True)) == [1, 2]
    assert ids(table.select_observations({"type": "time_box", "time_range": box, "inverted": True})) == [2, 7]


def test_ranges(table):
    assert ids(table.select_range("N_TELS", [3, 4])) == [2]
    assert ids(table.select_range("N_TELS", [4, 4])) == [1, 7]
    assert ids(table.select_range("DEC_PNT", [20, 22] * u.deg)) == [2]
    boxes = [{"type": "par_box", "variable": name, "value_range": [4, 8]} for name in ("N_TELS", "OBS_ID")]
    assert ids(table.select_observations(boxes)) == [7]
    assert ids(table.select_obs_id([7, 1])) == [7, 1]


@pytest.mark.parametrize(
    ("select", "error", "text"),
    [
        (lambda t: t.select_observations({"type": "sky_circl"}), SchemaError, "did you mean 'sky_circle'"),
        (lambda t: t.select_observations({"type": "time_box"}), SchemaError, "lacks 'time_range'"),
        (
            lambda t: t.select_observations(
                {"type": "par_box", "variable": "N_TELS", "value_range": [1, 2], "unit": ""}
            ),
            SchemaError,
            "does not take 'unit'",
        ),
        (lambda t: t.select_range("N_TEL", [1, 2]), SchemaError, "did you mean 'N_TELS'"),
        (lambda t: t.select_range("DEC_PNT", [1, 2]), UnitError, "GX-UNIT-003"),
        (lambda t: t.select_range("OBJECT", [1, 2]), DataValueError, "does not hold numbers"),
        (lambda t: t.select_obs_id([3]), DataValueError, "nearest observations: 2, 1, 7"),
        (lambda t: t.select_obs_id(["x"]), DataValueError, "GX-DATA-052"),
    ],
)
def test_selections_refused(table, select, error, text):
    with pytest.raises(error, match=text):
        select(table)


def test_times_without_reference(store_dir):
    # MAGIC's index has TSTART, but no MJDREFI: it loads, and only a choice by time is refused
    path = store_dir / "obs-index.fits.gz"
    with fits.open(path, mode="update") as hdus:
        del hdus[1].header["MJDREFI"]
    table = ObservationTable.read(path)
    with pytest.raises(SchemaError, match="MJDREFI"):
        table.select_time_range(REFERENCE.to_time([0, 1]))


def test_repeated_rows(store_dir):
    write_hdu_index(store_dir / "hdu-index.fits.gz", hdu_rows(1) + hdu_rows(2) + hdu_rows(2))
    write_obs_index(store_dir / "obs-index.fits.gz", [*OBS_ROWS, OBS_ROWS[0]])
    with pytest.warns(GammaxWarning) as caught:
        store = DataStore.from_dir(store_dir)
    assert [str(warning.message).partition(": ")[2][:6] for warning in caught] == ["1 rows", "2 rows"]
    assert ids(store.obs_table) == [1, 2, 7]
    assert len(store.get_observations(required_irf="all-optional")) == 2


def test_rows_that_differ(store_dir):
    write_obs_index(store_dir / "obs-index.fits.gz", [*OBS_ROWS, (1, 0.0, *OBS_ROWS[0][2:])])
    with pytest.raises(DataValueError, match="GX-DATA-060"):
        DataStore.from_dir(store_dir)
    write_obs_index(store_dir / "obs-index.fits.gz", OBS_ROWS)
    write_hdu_index(store_dir / "hdu-index.fits.gz", [*hdu_rows(1), *hdu_rows(1, name="other.fits")])
    with pytest.raises(DataValueError, match="GX-DATA-055") as caught:
        DataStore.from_dir(store_dir).obs(1, [])
    assert "run_1.fits" in caught.value.context["found"]


def test_first_of_several_classes_of_one_type(store_dir):
    # old H.E.S.S. exports list the PSF as table and as three Gaussians
    psfs = [(1, "psf", name, "data", "run_1.fits", name) for name in ("psf_3gauss", "psf_table")]
    write_hdu_index(store_dir / "hdu-index.fits.gz", hdu_rows(1) + psfs)
    index = HDUIndexTable.read(store_dir / "hdu-index.fits.gz")
    assert index.hdu_location(1, "psf").hdu_class == "psf_3gauss"
    assert index.hdu_location(1, "psf", "psf_table").hdu_name == "psf_table"
    assert index.hdu_location(1, "aeff") is None


def test_columns_and_numbers(store_dir):
    path = store_dir / "hdu-index.fits.gz"
    with fits.open(path, mode="update") as hdus:
        hdus[1].columns["HDU_CLASS"].name = "HDU_CLAS"
    with pytest.raises(SchemaError, match="lacks HDU_CLASS") as caught:
        DataStore.from_dir(store_dir)
    assert "did you mean 'HDU_CLAS'" in str(caught.value)
    write_hdu_index(path, [(number + 0.5, *rest) for number, *rest in hdu_rows(1)])
    with pytest.raises(DataValueError, match="GX-DATA-052"):
        DataStore.from_dir(store_dir)
    fits.PrimaryHDU().writeto(path, overwrite=True)
    with pytest.raises(SchemaError, match="GX-DATA-050"):
        DataStore.from_dir(store_dir)


def test_names_of_hdus_and_numbers_as_text(store_dir):
    # the published MAGIC HDU index is named OBS_INDEX; that of SWGO has no name
    path = store_dir / "hdu-index.fits.gz"
    write_hdu_index(path, [(f"{number} ", *rest) for number, *rest in hdu_rows(1)], EXTNAME="OBS_INDEX")
    store = DataStore.from_dir(store_dir)
    assert store.obs_ids == [1]
    assert len(store.obs(1, []).events) == 20


def test_paths_count_from_the_index(store_dir, tmp_path, monkeypatch):
    index = store_dir / "index" / "gps"
    write_hdu_index(index / "hdu-index.fits.gz", hdu_rows(1, "../../data"))
    assert len(DataStore.from_dir(index).obs(1, []).events) == 20
    # the index in a folder below the one that is named
    store = DataStore.from_dir(store_dir, "index/gps/hdu-index.fits.gz")
    assert len(store.obs(1, []).events) == 20
    write_hdu_index(index / "hdu-index.fits.gz", hdu_rows(1, str(store_dir / "data")))
    assert len(DataStore.from_dir(index).obs(1, []).events) == 20
    write_hdu_index(index / "hdu-index.fits.gz", hdu_rows(1, "."), BASE_DIR="../../data")
    assert len(DataStore.from_dir(index).obs(1, []).events) == 20
    monkeypatch.setenv("SMALL_STORE", str(store_dir))
    write_hdu_index(index / "hdu-index.fits.gz", hdu_rows(1, "data"), BASE_DIR="$SMALL_STORE")
    assert len(DataStore.from_dir("$SMALL_STORE/index/gps").obs(1, []).events) == 20
    write_hdu_index(index / "hdu-index.fits.gz", hdu_rows(1, "${SMALL_STORE}/data"))
    assert len(DataStore.from_dir(index).obs(1, []).events) == 20


def test_undefined_variable_names_the_row(store_dir):
    write_hdu_index(store_dir / "hdu-index.fits.gz", hdu_rows(1) + hdu_rows(2, "$NO_SUCH_VARIABLE"))
    store = DataStore.from_dir(store_dir)
    assert len(store.obs(1, []).events) == 20
    with pytest.raises(FileFormatError, match="NO_SUCH_VARIABLE is not set") as caught:
        store.obs(2, [])
    assert caught.value.context["index_row"] == 2


def test_working_directory_is_never_looked_at(store_dir, tmp_path, monkeypatch):
    (store_dir / "data" / "run_1.fits").rename(store_dir / "run_1.fits")
    monkeypatch.chdir(store_dir)
    with pytest.raises(FileFormatError, match="does not exist") as caught:
        _ = DataStore.from_dir(store_dir).obs(1, []).events
    assert caught.value.context["obs_id"] == 1
    (store_dir / "empty").mkdir()
    with pytest.raises(FileFormatError, match="GX-DATA-090"):
        DataStore.from_dir(store_dir / "empty")
    with pytest.raises(FileFormatError, match="GX-DATA-092"):
        DataStore.from_dir(store_dir / "empty", "hdu-index.fits.gz")


def test_index_written_by_us(store_dir, tmp_path):
    store = DataStore.from_events_files(sorted((store_dir / "data").glob("*.fits")))
    assert store.obs_ids == [1, 2, 7]
    store.write(store_dir / "new")
    back = DataStore.from_dir(store_dir / "new")
    assert set(back.hdu_table["FILE_DIR"]) == {"../data"}
    assert ids(back.obs_table.select_time_range(REFERENCE.to_time([999, 2101]))) == [1, 2]
    assert len(back.obs(7, []).events) == 20
    np.testing.assert_allclose(back.obs_table["GLON_PNT"][0], 184.14, atol=0.1)
