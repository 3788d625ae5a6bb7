"""datasets.yaml: names, relative files, a closed schema."""

import pytest
from spectra import assert_same_dataset, make_onoff, make_spectrum

from gammax._yaml import read_yaml
from gammax.datasets import Datasets
from gammax.errors import FileFormatError, GammaxError, SchemaError, UnsafeInputError


@pytest.fixture
def folder(tmp_path):
    make_onoff("run").write(tmp_path / "run.fits")
    make_spectrum("sim").write(tmp_path / "sim.fits")
    return tmp_path


def write(folder, text):
    path = folder / "datasets.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("format", ["gadf", "ogip"])
def test_round_trip(tmp_path, format):
    datasets = Datasets([make_onoff("a/1", 1), make_onoff("a 1", 2), make_onoff("Crab + PSR", 3), make_onoff("007", 4)])
    path = datasets.write(tmp_path / "out" / "datasets.yaml", format=format)
    files = [entry["filename"] for entry in read_yaml(path)["datasets"]]
    assert files == ["pha_obsa_1.fits", "pha_obsa_1_2.fits", "pha_obsCrab_+_PSR.fits", "pha_obs007.fits"]
    for mine, theirs in zip(datasets, Datasets.read(path), strict=True):
        assert_same_dataset(mine, theirs, rtol=4e-16)


def test_no_two_files_of_a_set_have_one_name(tmp_path):
    one, two = make_onoff("a", 1), make_onoff("b", 2)
    datasets = Datasets([one, two.replace(name="a_bkg"), one.replace(name="A_BKG_arf"), two.replace(name="A")])
    path = datasets.write(tmp_path / "pha_obsA_2.fits", format="ogip", overwrite=True)
    files = [entry["filename"] for entry in read_yaml(path)["datasets"]]
    assert files == ["pha_obsa.fits", "pha_obsa_bkg_2.fits", "pha_obsA_BKG_arf.fits", "pha_obsA_3.fits"]
    for mine, theirs in zip(datasets, Datasets.read(path), strict=True):
        assert_same_dataset(mine, theirs, rtol=4e-16)
    # one PHA file, ARF, RMF and background each, and the list
    assert len(list(tmp_path.iterdir())) == 17


def test_nothing_is_written_where_one_dataset_cannot_be(tmp_path):
    for second in (make_onoff("b").replace(livetime=None), make_onoff("b" * 250), make_spectrum("b")):
        with pytest.raises(GammaxError):
            Datasets([make_onoff("a"), second]).write(tmp_path / "datasets.yaml", format="ogip")
    (tmp_path / "pha_obsb_rmf.fits").write_text("mine")
    with pytest.raises(FileFormatError, match="exists"):
        Datasets([make_onoff("a"), make_onoff("b")]).write(tmp_path / "datasets.yaml", format="ogip")
    assert [path.name for path in tmp_path.iterdir()] == ["pha_obsb_rmf.fits"]


def test_names_that_fits_cannot_hold_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(SchemaError, match="printable ASCII"):
        Datasets([make_onoff("a"), make_spectrum("β")]).write(tmp_path / "datasets.yaml")
    assert not list(tmp_path.iterdir())


def test_both_kinds_in_one_list(tmp_path):
    datasets = Datasets([make_onoff("a"), make_spectrum("b")])
    back = Datasets.read(datasets.write(tmp_path / "datasets.yaml"))
    assert [type(dataset) for dataset in back] == [type(dataset) for dataset in datasets]


def test_nothing_is_overwritten_unasked(tmp_path):
    (tmp_path / "b.fits").write_text("mine")
    with pytest.raises(FileFormatError, match="exists"):
        Datasets([make_onoff("a"), make_spectrum("b")]).write(tmp_path / "datasets.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["b.fits"]


def test_the_name_in_the_list_wins_and_files_are_relative_to_it(folder, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    monkeypatch.setenv("GX_TEST_RUNS", str(folder))
    path = write(
        folder,
        "datasets:\n- {name: 23523, type: SpectrumDatasetOnOff, filename: run.fits}\n"
        "- {type: SpectrumDataset, filename: $GX_TEST_RUNS/sim.fits}\n"
        "metadata: {creator: another}\nchecksum: 123\n",
    )
    assert Datasets.read(path).names == ["23523", "sim"]


ENTRY = "{name: a, type: SpectrumDatasetOnOff, filename: run.fits}"


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (f"datasts:\n- {ENTRY}\n", SchemaError, "did you mean 'datasets'"),
        (f"datasets:\n- {ENTRY[:-1]}, models: m.yaml}}\n", SchemaError, "unknown key 'models'"),
        ("datasets:\n- {name: a, type: SpectrumDatasetOnOff}\n", SchemaError, "key 'filename' is missing"),
        ("metadata: {}\n", SchemaError, "key 'datasets' is missing"),
        ("datasets: []\n", SchemaError, "at least one entry"),
        ("datasets: run.fits\n", SchemaError, "must be a list"),
        ("datasets:\n- run.fits\n", SchemaError, "must be a mapping"),
        (
            "datasets:\n- {type: SpectrumDatasetOnOf, filename: run.fits}\n",
            SchemaError,
            "mean 'SpectrumDatasetOnOff'",
        ),
        ("datasets:\n- {type: [1], filename: run.fits}\n", SchemaError, "unknown dataset type"),
        ("datasets:\n- {type: SpectrumDataset, filename: run.fits}\n", SchemaError, "does not hold a SpectrumDataset"),
        ("datasets:\n- {type: SpectrumDataset, filename: no.fits}\n", FileFormatError, "no such file"),
        (
            "datasets:\n- {type: SpectrumDataset, filename: $GX_UNSET/a.fits}\n",
            FileFormatError,
            "GX_UNSET",
        ),
        ("datasets:\n- {name: 1e5, type: SpectrumDatasetOnOff, filename: run.fits}\n", SchemaError, "put it in quotes"),
        ("datasets:\n- {name: true, type: SpectrumDatasetOnOff, filename: run.fits}\n", SchemaError, "must be text"),
        ("datasets:\n- {type: SpectrumDatasetOnOff, filename: 5}\n", SchemaError, "a filename must be text"),
        (f"datasets:\n- {ENTRY}\n- {ENTRY}\n", SchemaError, "names must be unique"),
        ("", SchemaError, "nothing"),
        ("datasets: !!python/object/apply:os.system ['true']\n", UnsafeInputError, "run code"),
    ],
)
def test_what_is_wrong_is_told(folder, text, error, message):
    with pytest.raises(error, match=message):
        Datasets.read(write(folder, text))
