"""The FITS door: damage is named, never read over."""

import gzip
import warnings

import numpy as np
import pytest
from astropy.io import fits

from gammax._fits import get_column, get_hdu, open_fits, write_fits
from gammax.errors import FileFormatError, GammaxError, GammaxWarning, SchemaError, UnitError


@pytest.fixture
def path(tmp_path):
    columns = [
        fits.Column("ENERGY", "E", "GeV", array=[1.0, 2.0, 4.0]),
        fits.Column("NOUNIT", "D", array=[1.0, 2.0, 3.0]),
        fits.Column("NAME", "4A", "GeV", array=["a", "b", "c"]),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="EVENTS")
    image = fits.ImageHDU(np.arange(4000.0), name="MAP")
    return write_fits(fits.HDUList([fits.PrimaryHDU(), table, image]), tmp_path / "file.fits")


def test_columns_come_native_and_converted(path):
    with open_fits(path) as hdus:
        energy = get_column(get_hdu(hdus, "events"), "energy", "TeV")
    assert energy.dtype == np.float64
    assert energy.dtype.isnative
    np.testing.assert_allclose(energy, [1e-3, 2e-3, 4e-3])


def test_gzip_is_told_by_its_first_bytes(path):
    packed = path.with_suffix(".dat")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with open_fits(packed) as hdus:
        assert get_hdu(hdus, "MAP").data.size == 4000


@pytest.mark.parametrize(
    ("name", "unit", "error", "code"),
    [
        ("ENERGYY", "TeV", SchemaError, "GX-FITS-005"),
        ("NOUNIT", "TeV", UnitError, "GX-FITS-006"),
        ("ENERGY", "cm", UnitError, "GX-FITS-007"),
        ("NAME", "TeV", GammaxError, "GX-FITS-008"),
    ],
)
def test_columns_that_cannot_be_read(path, name, unit, error, code):
    with open_fits(path) as hdus, pytest.raises(error) as caught:
        get_column(get_hdu(hdus, "EVENTS"), name, unit, file=str(path))
    assert (caught.value.code, caught.value.context["hdu"]) == (code, "EVENTS")
    assert caught.value.context["file"] == str(path)


def damaged(path, change):
    data = bytearray(path.read_bytes())
    path.write_bytes(bytes(change(data)))
    return path


def flip_bits_of_both(data):
    for place in (2880 * 2 + 1, -20000):
        data[place] ^= 1
    return data


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda data: data[: len(data) * 99 // 100], "GX-FITS-003"),
        (lambda data: data[: len(data) // 2], "GX-FITS-003"),
        (lambda data: data[:1000], "GX-FITS-003"),
        (lambda data: b"", "GX-FITS-002"),
        (lambda data: b"<html>not found</html>", "GX-FITS-002"),
        (lambda data: gzip.compress(bytes(data))[:-2000], "GX-FITS-003"),
    ],
    ids=["99 %", "half", "first header", "empty", "html", "cut gzip"],
)
def test_damage(path, change, code):
    with pytest.raises(FileFormatError) as caught, open_fits(damaged(path, change)) as hdus:
        [hdu.data for hdu in hdus]
    assert caught.value.code == code
    assert str(path) in str(caught.value)


def test_data_that_differ_from_their_datasum_are_told_once(path):
    told = pytest.warns(GammaxWarning, match="data of HDU EVENTS, MAP are not those")
    with told as caught, open_fits(damaged(path, flip_bits_of_both)) as hdus:
        assert [hdu.data is None for hdu in hdus] == [True, False, False]
    assert len(caught) == 1
    assert str(path) in str(caught[0].message)


def test_edited_headers_are_read(path):
    def rename(data):
        return data.replace(b"EXTNAME = 'MAP     '", b"EXTNAME = 'MAPS    '")

    with open_fits(damaged(path, rename)) as hdus:
        assert get_hdu(hdus, "MAPS").data[-1] == 3999


@pytest.mark.parametrize("name", ["a.fits", "a.fits.gz"])
def test_the_same_content_gives_the_same_bytes(tmp_path, name, monkeypatch):
    def write(folder):
        column = fits.Column("A", "PJ()", array=np.array([np.arange(3), np.arange(5)], dtype=object))
        table = fits.BinTableHDU.from_columns([column], name="T")
        return write_fits(fits.HDUList([fits.PrimaryHDU(), table]), tmp_path / folder / name)

    first = write("one").read_bytes()
    monkeypatch.setattr(fits.BinTableHDU, "_get_timestamp", lambda self: "1999-12-31T23:59:59")
    monkeypatch.setattr("time.time", lambda: 1e9)
    assert write("two").read_bytes() == first
    assert first.startswith(b"\x1f\x8b" if name.endswith("gz") else b"SIMPLE")
    with open_fits(tmp_path / "one" / name) as hdus:
        assert hdus["T"].header["DATASUM"]
        assert hdus["T"].verify_checksum() == 1
        assert hdus["T"].data["A"][1].tolist() == [0, 1, 2, 3, 4]


def test_whatever_is_raised_while_reading_is_damage(path):
    for error in (AttributeError, KeyError, AssertionError, OverflowError, MemoryError):
        with pytest.raises(FileFormatError, match="GX-FITS-003") as caught, open_fits(path):
            raise error("astropy stumbles")
        assert isinstance(caught.value.__cause__, error)
    with pytest.raises(UnitError, match="GX-FITS-007") as caught, open_fits(path) as hdus:
        get_column(get_hdu(hdus, "EVENTS"), "ENERGY", "cm")
    assert caught.value.context["file"] == path
    with pytest.raises(KeyboardInterrupt), open_fits(path):
        raise KeyboardInterrupt
    with pytest.warns(GammaxWarning), open_fits(path):
        warnings.warn("told, and read on", GammaxWarning, stacklevel=1)


def set_card(key, value):
    """Change to the bytes of the first card of that name."""

    def change(data):
        start = bytes(data).index(key.ljust(8).encode() + b"=")
        data[start : start + 80] = f"{key:8}= {value}".encode().ljust(80)
        return data

    return change


@pytest.mark.parametrize(
    "change",
    [
        set_card("TFORM1", "'99999999J'"),
        set_card("TFORM1", "'GARBAGE'"),
        set_card("TFORM1", "-1"),
        set_card("TTYPE1", "5"),
        set_card("TFIELDS", "'x'"),
        set_card("NAXIS2", "1.5"),
        set_card("TUNIT1", "'\xe9'"),
    ],
)
def test_damaged_columns(path, change):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy tells of each
        with pytest.raises(GammaxError) as caught, open_fits(damaged(path, change)) as hdus:
            get_column(get_hdu(hdus, "EVENTS"), "ENERGY", "TeV", str(path))
    assert str(path) in str(caught.value)


def test_images_have_no_columns(path):
    with open_fits(path) as hdus, pytest.raises(SchemaError, match="GX-FITS-011"):
        get_column(get_hdu(hdus, "MAP"), "ENERGY")


def test_folders_are_called_folders(tmp_path):
    with pytest.raises(FileFormatError, match="GX-FITS-001 is a folder"), open_fits(tmp_path):
        pass


def test_missing_files_hdus_and_variables(tmp_path, path, monkeypatch):
    with pytest.raises(FileFormatError, match="GX-FITS-001"), open_fits(tmp_path / "no.fits"):
        pass
    with open_fits(path) as hdus, pytest.raises(SchemaError, match="found: PRIMARY, EVENTS, MAP"):
        get_hdu(hdus, "GTI")
    monkeypatch.delenv("NOSUCHVAR", raising=False)
    with pytest.raises(FileFormatError, match="NOSUCHVAR is not set"), open_fits("$NOSUCHVAR/a.fits"):
        pass


def test_writing_replaces_whole_files_or_nothing(path):
    before = path.read_bytes()
    with pytest.raises(FileFormatError, match="GX-PATH-002"):
        write_fits(fits.HDUList([fits.PrimaryHDU()]), path)
    broken = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros(3))])
    broken.writeto = lambda *args, **kwargs: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    with pytest.raises(GammaxError, match="No space left"):
        write_fits(broken, path, overwrite=True)
    broken.writeto = lambda *args, **kwargs: (_ for _ in ()).throw(fits.VerifyError("a bad card"))
    with pytest.raises(SchemaError, match="GX-FITS-014"):
        write_fits(broken, path, overwrite=True)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
