"""OGIP spectra: our own come back to the last bit, the published ones are read, damaged ones are told apart."""

import shutil

import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose, assert_array_equal
from spectra import assert_same_dataset, make_onoff, make_spectrum

from gammax.datasets import Datasets, SpectrumDataset, SpectrumDatasetOnOff
from gammax.errors import DataValueError, FileFormatError, GammaxError, GammaxWarning, GeometryError, SchemaError

FIT = np.arange(8) < 7


@pytest.fixture
def pha(tmp_path):
    return make_onoff(threshold=1, mask_fit=FIT).write(tmp_path / "pha.fits", format="ogip")


def edit(path, change):
    """Apply `change` to the open HDUs of a file and save it."""
    with fits.open(path) as hdus:
        change(hdus)
        hdus.writeto(path, overwrite=True, checksum=True)


def set_key(name, key, value):
    return lambda hdus: hdus[name].header.set(key, value)


def del_key(name, key):
    return lambda hdus: hdus[name].header.remove(key)


def set_cell(name, column, row, value):
    def change(hdus):
        data = np.array(hdus[name].data[column], dtype=float)
        data[row] = value
        replace_column(hdus, name, column, fits.Column(column, "D", unit=hdus[name].columns[column].unit, array=data))

    return change


def replace_column(hdus, name, column, new=None):
    old = hdus[name]
    columns = [new if c.name == column else c for c in old.columns if c.name != column or new is not None]
    keep = [card for card in old.header.cards if not card.keyword.startswith(("TTYPE", "TFORM", "TUNIT"))]
    hdus[name] = fits.BinTableHDU.from_columns(columns, header=fits.Header(keep), name=name)


def del_column(name, column):
    return lambda hdus: replace_column(hdus, name, column)


def del_unit(name, column):
    return lambda hdus: replace_column(hdus, name, column, fits.Column(column, "D", array=hdus[name].data[column]))


def cut_rows(name, n):
    def change(hdus):
        hdus[name] = fits.BinTableHDU(hdus[name].data[:n], header=hdus[name].header, name=name)

    return change


def test_own_files_come_back_to_the_bit(tmp_path):
    dataset = make_onoff("run 1", threshold=2, mask_fit=FIT)
    path = dataset.write(tmp_path / "run.fits", format="ogip")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.fits", "run_arf.fits", "run_bkg.fits", "run_rmf.fits"]
    # exposure goes through the effective area: one division and one product
    assert_same_dataset(dataset, SpectrumDatasetOnOff.read(path), rtol=4e-16)


def test_without_off_and_edisp_it_is_a_spectrum_without_background(tmp_path):
    dataset = make_spectrum(edisp=False).replace(background=None)
    path = dataset.write(tmp_path / "run.fits", format="ogip")
    assert_same_dataset(dataset, SpectrumDataset.read(path), rtol=4e-16)
    with pytest.raises(SchemaError, match="does not hold a SpectrumDatasetOnOff"):
        SpectrumDatasetOnOff.read(path)


def test_fractional_counts_are_not_cut(tmp_path):
    dataset = make_onoff()
    asimov = dataset.replace(counts=dataset.counts.replace(data=np.linspace(0.1, 7.3, 8)))
    back = SpectrumDatasetOnOff.read(asimov.write(tmp_path / "a.fits", format="ogip"))
    assert_array_equal(back.counts.values(), np.linspace(0.1, 7.3, 8))


def test_whole_counts_and_quality_have_the_standard_types(pha):
    with fits.open(pha) as hdus:
        formats = {column.name: column.format for column in hdus["SPECTRUM"].columns}
        assert_array_equal(hdus["SPECTRUM"].data["QUALITY"], [1, 0, 0, 0, 0, 0, 0, 0])
        assert hdus["SPECTRUM"].header["DETCHANS"] == 8
        assert hdus["SPECTRUM"].header["ANCRFILE"] == "pha_arf.fits"
    assert formats == {"CHANNEL": "I", "COUNTS": "J", "QUALITY": "I", "BACKSCAL": "D", "MASK_FIT": "L"}


def test_nothing_is_overwritten_unasked(tmp_path):
    dataset = make_onoff()
    (tmp_path / "run_bkg.fits").write_text("mine")
    with pytest.raises(FileFormatError, match="exists"):
        dataset.write(tmp_path / "run.fits", format="ogip")
    assert [p.name for p in tmp_path.iterdir()] == ["run_bkg.fits"]
    dataset.write(tmp_path / "run.fits", format="ogip", overwrite=True)


def test_what_the_format_cannot_hold_is_refused(tmp_path):
    with pytest.raises(SchemaError, match="need a livetime"):
        make_onoff().replace(livetime=None).write(tmp_path / "a.fits", format="ogip")
    with pytest.raises(SchemaError, match="no place for a background"):
        make_spectrum().write(tmp_path / "a.fits", format="ogip")
    with pytest.raises(SchemaError, match="meta cannot be written"):
        make_onoff().replace(meta={"x": object()}).write(tmp_path / "a.fits", format="ogip")
    assert not list(tmp_path.iterdir())


def test_names(pha):
    assert SpectrumDatasetOnOff.read(pha).name == "a"
    assert SpectrumDatasetOnOff.read(pha, name="mine").name == "mine"
    edit(pha, set_key("SPECTRUM", "OBS_ID", 23523))
    assert SpectrumDatasetOnOff.read(pha).name == "23523"
    edit(pha, del_key("SPECTRUM", "OBS_ID"))
    assert SpectrumDatasetOnOff.read(pha).name == "pha"


def test_background_of_another_exposure_is_scaled(pha):
    # OGIP/92-007: the background scales with BACKSCAL x EXPOSURE; acceptance_off of make_onoff(seed=1) is 3
    edit(pha.with_name("pha_bkg.fits"), set_key("SPECTRUM", "EXPOSURE", 2500.0))
    assert_allclose(SpectrumDatasetOnOff.read(pha).acceptance_off.values(), 7.5, rtol=1e-15)


def test_keywords_may_stand_for_columns(pha):
    edit(pha, del_column("SPECTRUM", "BACKSCAL"))
    edit(pha, del_column("SPECTRUM", "QUALITY"))
    edit(pha, lambda hdus: hdus["SPECTRUM"].header.update({"BACKSCAL": 0.5, "QUALITY": 0}))
    dataset = SpectrumDatasetOnOff.read(pha)
    assert_array_equal(dataset.acceptance.values(), np.full(8, 0.5))
    assert dataset.mask_safe.values().all()
    edit(pha, set_key("SPECTRUM", "BACKSCAL", "none"))
    with pytest.raises(DataValueError, match="keyword BACKSCAL is not a number"):
        SpectrumDatasetOnOff.read(pha)


def test_without_ebounds_the_energies_come_from_the_matrix(pha):
    expected = SpectrumDatasetOnOff.read(pha)
    edit(pha, lambda hdus: hdus.pop("EBOUNDS"))
    assert_same_dataset(expected, SpectrumDatasetOnOff.read(pha))


def test_all_channels_bad_is_told(pha):
    edit(pha, set_cell("SPECTRUM", "QUALITY", slice(None), 5))
    with pytest.warns(GammaxWarning, match=r"pha\.fits: the masks leave no bin of 'a'"):
        SpectrumDatasetOnOff.read(pha)


FAULTS = {
    "no COUNTS column": ("pha", del_column("SPECTRUM", "COUNTS"), SchemaError, {"column": "COUNTS", "hdu": "SPECTRUM"}),
    "no QUALITY": ("pha", del_column("SPECTRUM", "QUALITY"), SchemaError, {"column": "QUALITY"}),
    "no BACKSCAL": ("pha_bkg", del_column("SPECTRUM", "BACKSCAL"), SchemaError, {"column": "BACKSCAL"}),
    "no EXPOSURE": ("pha", del_key("SPECTRUM", "EXPOSURE"), SchemaError, {"keyword": "EXPOSURE", "hdu": "SPECTRUM"}),
    "EXPOSURE 0": ("pha", set_key("SPECTRUM", "EXPOSURE", 0.0), DataValueError, {"keyword": "EXPOSURE"}),
    "no ANCRFILE": ("pha", del_key("SPECTRUM", "ANCRFILE"), SchemaError, {"keyword": "ANCRFILE"}),
    "negative counts": ("pha", set_cell("SPECTRUM", "COUNTS", 3, -1), DataValueError, {"column": "COUNTS", "index": 3}),
    "NaN counts": (
        "pha_bkg",
        set_cell("SPECTRUM", "COUNTS", 4, np.nan),
        DataValueError,
        {"column": "COUNTS", "index": 4},
    ),
    "AREASCAL": ("pha", set_key("SPECTRUM", "AREASCAL", 2.0), DataValueError, {"column": "AREASCAL"}),
    "META no JSON": ("pha", set_key("SPECTRUM", "META", "{"), SchemaError, {"keyword": "META"}),
    "no SPECRESP": ("pha_arf", lambda hdus: hdus.pop("SPECRESP"), SchemaError, {"hdu": "SPECRESP"}),
    "SPECRESP without unit": ("pha_arf", del_unit("SPECRESP", "SPECRESP"), GammaxError, {"column": "SPECRESP"}),
    "ENERG_LO without unit": ("pha_arf", del_unit("SPECRESP", "ENERG_LO"), GammaxError, {"column": "ENERG_LO"}),
    "energies fall": ("pha_arf", set_cell("SPECRESP", "ENERG_LO", 3, 1e-3), DataValueError, {"hdu": "SPECRESP"}),
    "short ARF": ("pha_arf", cut_rows("SPECRESP", 12), GeometryError, {"hdu": "MATRIX"}),
    "short background": ("pha_bkg", cut_rows("SPECTRUM", 7), GeometryError, {}),
    "short spectrum": ("pha", cut_rows("SPECTRUM", 7), GeometryError, {"hdu": "EBOUNDS"}),
    "short matrix": ("pha_rmf", cut_rows("MATRIX", 12), GeometryError, {"hdu": "MATRIX"}),
    "no MATRIX": ("pha_rmf", lambda hdus: hdus.pop("MATRIX"), SchemaError, {"hdu": "MATRIX"}),
    "E_MIN without unit": ("pha", del_unit("EBOUNDS", "E_MIN"), GammaxError, {"column": "E_MIN", "hdu": "EBOUNDS"}),
    "channels out of order": (
        "pha",
        set_cell("SPECTRUM", "CHANNEL", 3, 9),
        DataValueError,
        {"column": "CHANNEL", "row": 3},
    ),
    "channels turned round": (
        "pha_bkg",
        set_cell("SPECTRUM", "CHANNEL", slice(None), np.arange(8)[::-1]),
        DataValueError,
        {"column": "CHANNEL", "hdu": "SPECTRUM"},
    ),
    "EBOUNDS out of order": ("pha", set_cell("EBOUNDS", "CHANNEL", 1, 0), DataValueError, {"hdu": "EBOUNDS", "row": 1}),
    "a channel NaN": ("pha", set_cell("SPECTRUM", "CHANNEL", 0, np.nan), DataValueError, {"column": "CHANNEL"}),
    "META a number": ("pha", set_key("SPECTRUM", "META", 5), SchemaError, {"keyword": "META", "hdu": "SPECTRUM"}),
    "GTI without STOP": ("pha", del_column("GTI", "STOP"), SchemaError, {"column": "STOP", "hdu": "GTI"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named_with_file_hdu_and_column(pha, fault):
    stem, change, error, context = FAULTS[fault]
    path = pha.with_name(f"{stem}.fits")
    edit(path, change)
    with pytest.raises(error) as caught:
        SpectrumDatasetOnOff.read(pha)
    assert str(path) in str(caught.value)
    for key, value in context.items():
        assert caught.value.context[key] == value


def test_channels_may_start_anywhere(pha):
    expected = SpectrumDatasetOnOff.read(pha)
    edit(pha, set_cell("SPECTRUM", "CHANNEL", slice(None), np.arange(1, 9)))
    assert_same_dataset(expected, SpectrumDatasetOnOff.read(pha))


def test_siblings_that_no_file_can_be(pha):
    for value, words in (
        (".", "is a folder"),
        ("~nosuchuser/x", "no file can have this path"),
        ("x" * 300, "too long"),
    ):
        edit(pha, set_key("SPECTRUM", "ANCRFILE", value))
        with pytest.raises(FileFormatError, match=words):
            SpectrumDatasetOnOff.read(pha)


@pytest.mark.parametrize("suffix", ["arf", "bkg", "rmf"])
def test_missing_siblings_are_named_with_the_keyword(pha, suffix):
    pha.with_name(f"pha_{suffix}.fits").unlink()
    keyword = {"arf": "ANCRFILE", "bkg": "BACKFILE", "rmf": "RESPFILE"}[suffix]
    with pytest.raises(FileFormatError, match="missing") as caught:
        SpectrumDatasetOnOff.read(pha)
    assert caught.value.context["keyword"] == keyword
    assert str(caught.value.context["file"]).endswith(f"pha_{suffix}.fits")


def test_siblings_are_found_beside_the_file_not_in_the_working_folder(pha, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("pha_arf.fits", "pha_bkg.fits", "pha_rmf.fits"):
        (other / name).write_text("a decoy")
    monkeypatch.chdir(other)
    assert SpectrumDatasetOnOff.read("../pha.fits").counts.values().sum() > 0


def test_other_energies_in_the_background_are_refused(pha):
    edit(pha.with_name("pha_bkg.fits"), set_cell("EBOUNDS", "E_MIN", 4, 1.00005))
    with pytest.raises(GeometryError, match="different energies") as caught:
        SpectrumDatasetOnOff.read(pha)
    assert caught.value.context["found"].startswith("edge 4")


def test_not_a_spectrum_at_all(tmp_path):
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(name="MAP")]).writeto(tmp_path / "map.fits")
    with pytest.raises(FileFormatError, match="not a dataset file"):
        SpectrumDatasetOnOff.read(tmp_path / "map.fits")
    with pytest.raises(SchemaError, match="did you mean 'ogip'"):
        SpectrumDatasetOnOff.read(tmp_path / "map.fits", format="ogipp")


# bins that enter the fits of the joint-Crab paper (Nigro et al. 2019, its published code): joint range, own ranges
JOINT = [36, 51, 51, 45, 45, 36, 30, 32, 32, 30]
SINGLE = [36, 50, 50, 45, 45, 36, 30, 32, 32, 30]
RANGES = {
    "fermi": ("0.03 TeV", "2 TeV"),
    "magic": ("0.08 TeV", "30 TeV"),
    "veritas": ("0.15 TeV", "30 TeV"),
    "fact": ("0.4 TeV", "30 TeV"),
    "hess": ("0.66 TeV", "30 TeV"),
}


@pytest.mark.data
def test_published_spectra(data_dir):
    datasets = Datasets.read(data_dir / "joint-crab" / "datasets.yaml")
    assert [int(d.mask.sum()) for d in datasets.with_fit_range("0.03 TeV", "30 TeV")] == JOINT
    assert sum(JOINT) == 388
    assert [int(d.with_fit_range(*RANGES[d.name.split("-")[0]]).mask.sum()) for d in datasets] == SINGLE
    # Table 1 of the paper: counts inside the safe ranges
    table = datasets.info_table()
    counts = {key: sum(table["counts"][[name.startswith(key) for name in table["name"]]]) for key in RANGES}
    assert counts == {"fermi": 578, "magic": 784, "veritas": 289, "fact": 691, "hess": 459}
    # true energies are those of the ARF (float64), not those of the RMF (float32); response is finite and positive
    fermi = datasets["fermi"]
    with fits.open(data_dir / "joint-crab" / "spectra" / "fermi" / "arf_obs0.fits") as hdus:
        assert_allclose(fermi.arrays.energy_true[:-1], hdus["SPECRESP"].data["ENERG_LO"] * 1e-9, rtol=1e-15)
    assert fermi.energy_axis.unit == "keV"


@pytest.mark.data
def test_published_spectra_survive_both_formats(data_dir, tmp_path):
    datasets = Datasets.read(data_dir / "joint-crab" / "datasets.yaml").with_fit_range("0.03 TeV", "30 TeV")
    for format in ("gadf", "ogip"):
        path = datasets.write(tmp_path / format / "datasets.yaml", format=format)
        for mine, theirs in zip(datasets, Datasets.read(path), strict=True):
            assert_same_dataset(mine, theirs, rtol=4e-16)


@pytest.mark.data
def test_several_observation_numbers_are_no_name(data_dir, tmp_path):
    # the FACT file stacks 130 runs and has as many OBS_ID cards
    folder = data_dir / "joint-crab" / "spectra" / "fact"
    for path in folder.iterdir():
        shutil.copy(path, tmp_path)
    assert SpectrumDatasetOnOff.read(tmp_path / "pha_stacked.fits").name == "pha_stacked"
