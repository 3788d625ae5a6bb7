"""Damage by chance, always the same: whatever it hits, the answer is a dataset or an error of ours."""

import random
import shutil
import warnings

import pytest
from astropy.io import fits
from spectra import make_onoff

from gammax._yaml import read_yaml
from gammax.datasets import Datasets, SpectrumDatasetOnOff
from gammax.errors import GammaxError

KEYS = (
    "TFORM1",
    "NAXIS2",
    "TNULL1",
    "TZERO1",
    "TSCAL2",
    "TDIM2",
    "TUNIT2",
    "TTYPE1",
    "PCOUNT",
    "TLMIN4",
    "EXTNAME",
    "META",
)
VALUES = ("'abc'", "'keV'", "''", "-1", "0", "99999999999", "T", "'PE(3)'", "'99999999J'", "1.5", "NaN", "", "'2A'",
          "'GARBAGE", "1e400", "(1,2)", "'\xff'")  # fmt: skip
BLOCK = 2880


def cards(data):
    """Places of the header cards of a FITS file."""
    start = 0
    while start < len(data):
        if data[start : start + 8] in (b"SIMPLE  ", b"XTENSION"):
            while data[start : start + 8] not in (b"END     ", b""):
                yield start
                start += 80
            start += 80
        start = -(-max(start, 1) // BLOCK) * BLOCK if start % BLOCK else start + BLOCK


def damage(data, rng):
    data, kind = bytearray(data), rng.choice(("bits", "end", "card", "card", "key", "key", "block"))
    if kind == "bits":
        for _ in range(rng.choice((1, 3, 30))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "end":
        del data[rng.randrange(len(data)) :]
    elif kind == "block":
        start = rng.randrange(len(data) // BLOCK) * BLOCK
        data[start : start + BLOCK] = bytes(BLOCK)
    else:
        start = rng.choice(list(cards(data)))
        key = bytes(data[start : start + 8]) if kind == "card" else rng.choice(KEYS).ljust(8).encode()
        data[start : start + 80] = (key + b"= " + rng.choice(VALUES).encode("latin-1")).ljust(80)
    return bytes(data)


@pytest.fixture
def spectra(tmp_path):
    """A dataset in both formats, without check sums, so that damage gets past them."""
    dataset = make_onoff(threshold=1)
    for format in ("gadf", "ogip"):
        dataset.write(tmp_path / f"{format}.fits", format=format)
    for path in tmp_path.iterdir():
        with fits.open(path) as hdus:
            hdus.writeto(path, overwrite=True)
    return tmp_path


def test_damaged_spectra(spectra, tmp_path_factory):
    rng, refused = random.Random(1), 0
    work = tmp_path_factory.mktemp("work")
    for _ in range(100):
        victim = rng.choice(sorted(spectra.iterdir()))
        shutil.copytree(spectra, work, dirs_exist_ok=True)
        (work / victim.name).write_bytes(damage(victim.read_bytes(), rng))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # astropy warns of many of them
            try:
                dataset = SpectrumDatasetOnOff.read(work / f"{victim.name.split('.')[0].split('_')[0]}.fits")
                assert dataset.arrays.counts.shape == dataset.mask.shape
            except GammaxError:
                refused += 1
    # the rest hits what no reader looks at, or says the same in other words
    assert refused > 50


INDEX = "datasets:\n- {name: a, type: SpectrumDatasetOnOff, filename: gadf.fits}\nmetadata: {creator: x, n: [1, 2.5]}\n"
TOKENS = ("null", "[]", "-1", ".nan", "1e400", '"\\0"', "2024-01-01", "!!int x", "!!set {a}", "!!omap [a: 1]",
          "9" * 5000, "? [1,2]\n: 3", "*x", "&x 1", "!!map [1]", "{[1,2]: 3}", "{1: 2}", "<<: {a: 1}", "!foo bar",
          "%TAG", "@x", "- - -", "\x00", "\ufeff", "{", "]", "'", "\t", "#", "~nosuchuser/x")  # fmt: skip


def test_damaged_lists(spectra):
    rng, refused = random.Random(2), 0
    path = spectra / "datasets.yaml"
    for _ in range(300):
        start = rng.randrange(len(INDEX))
        text = INDEX[:start] + rng.choice(TOKENS) + INDEX[start + rng.choice((0, 0, 1, 5)) :]
        path.write_text(text)
        try:
            read_yaml(path)
            if rng.random() < 0.2:
                Datasets.read(path)
        except GammaxError:
            refused += 1
    assert refused > 150
