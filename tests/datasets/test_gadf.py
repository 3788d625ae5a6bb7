"""gadf spectra: our own come back to the last bit, the peer's are read."""

import json

import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose, assert_array_equal
from spectra import assert_same_dataset, make_onoff, make_spectrum

from gammax.datasets import Datasets, SpectrumDataset, SpectrumDatasetOnOff, stack
from gammax.errors import DataValueError, FileFormatError, GammaxWarning, SchemaError, UnitError

FIT = np.arange(8) < 7


@pytest.mark.parametrize("edisp", [True, False])
def test_own_files_come_back_to_the_bit(make, tmp_path, edisp):
    dataset = make("run 1", threshold=2, mask_fit=FIT, edisp=edisp)
    path = dataset.write(tmp_path / "run.fits")
    assert_same_dataset(dataset, type(dataset).read(path))
    assert_same_dataset(dataset.replace(name="mine"), type(dataset).read(path, name="mine"))


def test_what_is_not_there_stays_away(make, tmp_path):
    optional = {"edisp", "mask_safe", "mask_fit", "gti", "meta_table", "livetime"}
    optional |= {"background"} if make is make_spectrum else set()
    dataset = make().replace(meta={}, **dict.fromkeys(optional))
    assert_same_dataset(dataset, type(dataset).read(dataset.write(tmp_path / "run.fits")))


def test_a_stack_without_common_off_regions_comes_back(tmp_path):
    other = make_onoff("b", 2, threshold=2)
    other = other.replace(counts_off=other.counts_off.replace(geom=other.counts.geom))
    stacked = stack([make_onoff("a", 1), other])
    assert stacked.counts_off.geom.region is None
    assert_same_dataset(stacked, SpectrumDatasetOnOff.read(stacked.write(tmp_path / "stack.fits")))


def test_the_kind_in_the_file_must_be_the_kind_asked_for(tmp_path):
    path = make_onoff().write(tmp_path / "run.fits")
    with pytest.raises(SchemaError, match="does not hold a SpectrumDataset") as caught:
        SpectrumDataset.read(path)
    assert caught.value.context["found"] == "SpectrumDatasetOnOff"


def test_nothing_is_overwritten_unasked(tmp_path):
    path = make_onoff().write(tmp_path / "run.fits")
    before = path.read_bytes()
    with pytest.raises(FileFormatError, match="exists"):
        make_onoff(seed=2).write(path)
    assert path.read_bytes() == before
    with pytest.raises(SchemaError, match="did you mean 'gadf'"):
        make_onoff().write(tmp_path / "b.fits", format="gadff")


@pytest.mark.parametrize("hdu", ["COUNTS", "EXPOSURE", "ACCEPTANCE", "COUNTS_BANDS"])
def test_missing_hdus_are_named(tmp_path, hdu):
    path = make_onoff().write(tmp_path / "run.fits")
    with fits.open(path) as hdus:
        hdus.pop(hdu)
        hdus.writeto(path, overwrite=True, checksum=True)
    with pytest.raises(SchemaError, match=f"HDU {hdu} is missing") as caught:
        SpectrumDatasetOnOff.read(path, format="gadf")
    assert caught.value.context["file"] == str(path)


@pytest.mark.parametrize(("field", "value"), [("counts", -1.0), ("counts_off", np.nan)])
def test_impossible_counts_are_named(tmp_path, field, value):
    dataset = make_onoff(threshold=2)
    for k, bad in ((1, False), (5, True)):
        data = getattr(dataset, field).values().copy()
        data[k] = value
        broken = dataset.replace(**{field: getattr(dataset, field).replace(data=data)})
        path = broken.write(tmp_path / "run.fits", overwrite=True)
        if bad:
            with pytest.raises(DataValueError) as caught:
                SpectrumDatasetOnOff.read(path)
            assert caught.value.context["hdu"] == field.upper()
            assert caught.value.context["index"] == k
        else:
            SpectrumDatasetOnOff.read(path)


def test_masks_of_numbers_and_a_livetime_in_hours_are_read(tmp_path):
    dataset = make_onoff(threshold=2)
    number = dataset.mask_safe.replace(data=dataset.mask_safe.data.astype(float))
    path = dataset.write(tmp_path / "run.fits")
    with fits.open(path) as hdus:
        hdus["MASK_SAFE"] = number.to_hdulist(hdu="MASK_SAFE")["MASK_SAFE"]
        hdus["EXPOSURE"].header["META"] = json.dumps({"livetime": "0.5 h", "is_pointlike": False})
        hdus.writeto(path, overwrite=True, checksum=True)
    back = SpectrumDatasetOnOff.read(path)
    assert_array_equal(back.mask_safe.values(), np.arange(8) >= 2)
    assert back.mask_safe.is_mask
    assert back.livetime == 1800
    assert back.exposure.meta == {"is_pointlike": False}


def test_a_livetime_that_is_no_time_is_named(tmp_path):
    path = make_onoff().write(tmp_path / "run.fits")
    with fits.open(path) as hdus:
        hdus["EXPOSURE"].header["META"] = json.dumps({"livetime": "3 m"})
        hdus.writeto(path, overwrite=True, checksum=True)
    with pytest.raises(UnitError, match="livetime in META is not a time"):
        SpectrumDatasetOnOff.read(path)


def test_a_map_that_lost_its_name_is_missed(tmp_path):
    path = make_onoff(threshold=2).write(tmp_path / "run.fits")
    with fits.open(path) as hdus:
        hdus["MASK_SAFE"].name = ""
        hdus.writeto(path, overwrite=True, checksum=True)
    with pytest.raises(SchemaError, match="HDU MASK_SAFE is missing") as caught:
        SpectrumDatasetOnOff.read(path)
    assert caught.value.context["file"] == str(path)


def test_parts_that_do_not_fit_are_named_with_the_file(tmp_path):
    path = make_onoff().write(tmp_path / "run.fits")
    with fits.open(path) as hdus:
        counts = make_onoff().mask_safe.to_hdulist(hdu="COUNTS")["COUNTS"]
        hdus["COUNTS"] = counts
        hdus.writeto(path, overwrite=True, checksum=True)
    with pytest.raises(DataValueError, match="counts must hold numbers") as caught:
        SpectrumDatasetOnOff.read(path)
    assert caught.value.context["file"] == path


def test_a_dataset_without_any_bin_is_told(make, tmp_path):
    dataset = make(threshold=8)
    path = dataset.write(tmp_path / "run.fits")
    with pytest.warns(GammaxWarning, match="leave no bin"):
        assert not type(dataset).read(path).mask.any()


@pytest.mark.data
def test_spectra_of_the_peer(reference_dir):
    # w01: H.E.S.S. Crab, 4 runs, as Gammapy 2.1 reduced and wrote them
    peer = json.loads((reference_dir / "results" / "w01_hess_crab_1d.json").read_text())
    datasets = Datasets.read(reference_dir / "datasets" / "w01" / "datasets.yaml")
    assert datasets.names == ["23523", "23526", "23559", "23592"]
    for dataset, run in zip(datasets, peer["reduced"], strict=True):
        for field in ("counts", "counts_off", "acceptance", "acceptance_off", "mask_safe"):
            assert_array_equal(getattr(dataset, field).values(), run[field])
        assert_allclose(dataset.exposure.values(run["exposure_unit"]), run["exposure"], rtol=1e-14)
        assert_allclose(dataset.arrays.energy_true, run["energy_true"]["edges"], rtol=1e-14)
        assert dataset.meta_table["TELESCOP"][0] == "HESS"
        assert dataset.livetime is None
        assert len(dataset.counts_off.geom.regions) > 1
