"""Cubes on disk: what is written comes back, what the peer writes is read, damage is told; mixed lists of datasets."""

import json

import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose, assert_array_equal
from spectra import make_onoff, make_spectrum

from cubes import CENTER, ENERGY_TRUE, GEOM, assert_same_cube, make_cube, make_onoff_cube, threshold_mask
from gammax.datasets import Datasets, MapDataset, MapDatasetOnOff, SpectrumDataset
from gammax.errors import DataValueError, FileFormatError, GammaxWarning, SchemaError
from gammax.irf import EDispMap, PSFMap
from gammax.maps import RegionNDMap, WcsNDMap


@pytest.fixture(params=[make_cube, make_onoff_cube], ids=["cash", "wstat"])
def make(request):
    """Maker of either kind of cube."""
    return request.param


def test_what_is_written_comes_back_to_the_bit(make, tmp_path):
    dataset = make(threshold=1, mask_fit=threshold_mask(GEOM, 2))
    path = dataset.write(tmp_path / "cube.fits")
    assert_same_cube(dataset, type(dataset).read(path))
    assert type(dataset).read(path, name="other").name == "other"
    assert_same_cube(dataset, type(dataset).from_hdulist(dataset.to_hdulist()))
    with pytest.raises(FileFormatError):
        dataset.write(path)


def test_hdus_are_those_of_the_format_in_its_order(tmp_path):
    # gammapy-formats: order of the HDUs, masks of 64-bit integers, livetime in META of EXPOSURE
    with fits.open(make_cube(mask_fit=threshold_mask(GEOM, 2)).write(tmp_path / "cube.fits")) as hdus:
        names = [hdu.name for hdu in hdus if not hdu.name.endswith("_BANDS")]
        assert names == ["PRIMARY", "COUNTS", "EXPOSURE", "BACKGROUND", "EDISP", "EDISP_EXPOSURE", "PSF",
                         "PSF_EXPOSURE", "MASK_SAFE", "MASK_FIT", "GTI", "META_TABLE"]  # fmt: skip
        assert hdus["MASK_SAFE"].data.dtype == np.dtype(">i8")
        assert json.loads(hdus["EXPOSURE"].header["META"]) == {"is_pointlike": False, "livetime": "1000.0 s"}
        assert hdus["PSF"].header["WCSSHAPE"] == "(6,5,66,6)"
        assert hdus["EDISP"].header["AXCOLS1"] == "E_MIN,E_MAX"
    with fits.open(make_onoff_cube().write(tmp_path / "onoff.fits")) as hdus:
        names = [hdu.name for hdu in hdus if not hdu.name.endswith("_BANDS")]
        assert names[-3:] == ["COUNTS_OFF", "ACCEPTANCE", "ACCEPTANCE_OFF"]
        assert "BACKGROUND" not in names


@pytest.mark.parametrize("part", ["exposure", "psf", "edisp", "background", "mask_safe", "gti", "meta_table"])
def test_every_part_may_be_missing(part, tmp_path):
    changes = {part: None} | ({"livetime": None} if part == "exposure" else {})
    dataset = make_cube().replace(**changes)
    assert_same_cube(dataset, MapDataset.read(dataset.write(tmp_path / "cube.fits")))


def test_a_livetime_without_exposure_has_no_place():
    with pytest.raises(SchemaError, match="GX-DATASETS-271"):
        make_cube().replace(exposure=None).to_hdulist()


def test_responses_of_other_kinds_come_back(tmp_path):
    dataset = make_cube().replace(
        edisp=EDispMap.from_diagonal_response(ENERGY_TRUE), psf=PSFMap.from_gauss(ENERGY_TRUE, sigma="0.1 deg")
    )
    again = MapDataset.read(dataset.write(tmp_path / "cube.fits"))
    assert isinstance(again.edisp, EDispMap)
    assert isinstance(again.psf.psf_map, RegionNDMap)
    assert_same_cube(dataset, again)


def test_a_dataset_of_one_region_comes_back(make, tmp_path):
    dataset = make().to_region_map_dataset(f"icrs;circle({CENTER.ra.deg}, {CENTER.dec.deg}, 0.2)")
    again = type(dataset).read(dataset.write(tmp_path / "region.fits"))
    assert_allclose(again.counts.data, dataset.counts.data)
    assert_allclose(again.stat_sum(), dataset.stat_sum(), rtol=1e-12)
    assert again.psf.is_allclose(dataset.psf)


def test_the_wrong_class_is_told_the_right_one(tmp_path):
    cube, onoff = make_cube().write(tmp_path / "a.fits"), make_onoff_cube().write(tmp_path / "b.fits")
    with pytest.raises(SchemaError, match="read it as MapDatasetOnOff"):
        MapDataset.read(onoff)
    with pytest.raises(SchemaError, match="read it as MapDataset"):
        SpectrumDataset.read(cube)
    with pytest.raises(SchemaError, match="unknown format 'ogip'"):
        make_cube().write(tmp_path / "c.fits", format="ogip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.fits", "b.fits"]


def test_damage_is_told(tmp_path):
    path = make_cube(threshold=1).write(tmp_path / "cube.fits")
    with fits.open(path) as hdus:
        del hdus["COUNTS"].header["DATASUM"], hdus["COUNTS"].header["CHECKSUM"]
        hdus["COUNTS"].data[2, 4, 5] = -1
        hdus.writeto(tmp_path / "negative.fits")
        hdus["COUNTS"].data[2, 4, 5] = 0
        hdus["COUNTS"].data[0, 4, 5] = -1  # outside of mask_safe
        hdus.writeto(tmp_path / "outside.fits")
        del hdus["PSF_BANDS"]
        hdus.writeto(tmp_path / "bands.fits")
        del hdus["COUNTS"], hdus["COUNTS_BANDS"]
        hdus.writeto(tmp_path / "counts.fits")
    with pytest.raises(DataValueError, match=r"hdu COUNTS, pixel \(5, 4\), energy 2 to 4 TeV"):
        MapDataset.read(tmp_path / "negative.fits")
    assert MapDataset.read(tmp_path / "outside.fits").counts.data[0, 4, 5] == -1
    with pytest.raises(SchemaError, match="PSF_BANDS"):
        MapDataset.read(tmp_path / "bands.fits")
    with pytest.raises(FileFormatError, match="GX-DATASETS-100"):
        MapDataset.read(tmp_path / "counts.fits")


def test_a_mask_that_leaves_nothing_warns(tmp_path):
    path = make_cube(threshold=4).write(tmp_path / "cube.fits")
    with pytest.warns(GammaxWarning, match="leave no bin"):
        MapDataset.read(path)


def test_spectra_and_cubes_in_one_list(tmp_path):
    members = [make_cube("cube"), make_onoff("spectrum", 2), make_onoff_cube("ring"), make_spectrum("cash")]
    path = Datasets(members).write(tmp_path / "datasets.yaml")
    again = Datasets.read(path)
    assert again.names == ["cube", "spectrum", "ring", "cash"]
    assert [type(a) for a in again] == [type(b) for b in members]
    assert_same_cube(members[0], again[0])
    assert_same_cube(members[2], again[2])
    assert "type: MapDatasetOnOff" in path.read_text()
    assert {p.name for p in tmp_path.iterdir()} == {
        "datasets.yaml", "cube.fits", "pha_obsspectrum.fits", "ring.fits", "cash.fits"}  # fmt: skip
    assert_allclose(again.stat_sum(), sum(member.stat_sum() for member in members), rtol=1e-13)
    low, high = again.with_fit_range("1 TeV", "4 TeV").energy_ranges
    assert_allclose(low.to_value("TeV"), [1, 1, 1, 1], rtol=1e-6)
    assert_allclose(high.to_value("TeV")[0], 4, rtol=1e-6)
    table = again.select(["cube", "cash"]).info_table()
    assert_array_equal(table["n_bins"], [1920, 8])
    with pytest.raises(SchemaError, match="different kinds"):
        again.info_table()
    with pytest.raises(SchemaError, match="different kinds"):
        again.stack_reduce()


def test_cumulative_info_table_of_cubes():
    datasets = Datasets([make_cube("a", 1), make_cube("b", 2, threshold=1)])
    table = datasets.info_table(cumulative=True)
    assert_array_equal(table["counts"], np.cumsum(datasets.info_table()["counts"]))


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "kind", "shape"),
    [("w02_a1", "EDispKernelMap", (10, 100, 100)), ("w02_a2", "EDispKernelMap", (4, 100, 100)),
     ("w03_stacked", "EDispKernelMap", (10, 400, 500)), ("w04", "EDispKernelMap", (11, 150, 280))],
)  # fmt: skip
def test_cubes_of_the_peer_are_read(reference_dir, folder, kind, shape):
    (dataset,) = Datasets.read(reference_dir / "datasets" / folder / "datasets.yaml")
    assert dataset.counts.data.shape == shape
    assert type(dataset.edisp).__name__ == kind
    # one bin of energy more than the PSF, whose energies are other ones: a region-based response of Fermi
    assert isinstance(dataset.psf.psf_map, RegionNDMap if folder == "w04" else WcsNDMap)
    assert dataset.arrays.exposure.shape[1:] == shape[1:]


@pytest.mark.data
def test_numbers_of_the_peer_for_the_hess_crab_cube(reference_dir):
    # Gammapy 2.1, results/w02_hess_crab_3d.json and info_dict() of the same file (single precision inside)
    peer = json.loads((reference_dir / "results" / "w02_hess_crab_3d.json").read_text())["reduced"]["a1"]
    (dataset,) = Datasets.read(reference_dir / "datasets" / "w02_a1" / "datasets.yaml")
    assert_array_equal(dataset.counts.data.sum(axis=(1, 2)), peer["counts_per_energy"])
    assert_allclose(dataset.background.data.sum(axis=(1, 2)), peer["background_per_energy"], rtol=1e-7)
    assert dataset.mask.sum() == peer["mask_pixels"]
    assert_allclose(dataset.exposure.data.sum(), peer["exposure_sum"], rtol=1e-6)
    info = dataset.info_dict()
    expected = {
        "counts": 2485, "excess": 487.5076904296875, "sqrt_ts": 10.503988311032895, "background": 1997.4923095703125,
        "npred": 1997.4922706456855, "n_bins": 100000, "n_fit_bins": 100000,
    }  # fmt: skip
    assert_allclose([info[key] for key in expected], list(expected.values()), rtol=3e-7)
    expected = {"exposure_min": 272629888.0, "exposure_max": 3516903936.0}
    assert_allclose([info[key].to_value("m2 s") for key in expected], list(expected.values()), rtol=3e-7)
    assert_allclose(info["livetime"].to_value("s"), 6313.811659421768, rtol=1e-15)
    assert_allclose(info["ontime"].to_value("s"), 6741.999999999996, rtol=1e-12)
    assert_allclose(info["excess_rate"].to_value("s-1"), 0.07721289717316884, rtol=3e-7)


@pytest.mark.data
def test_masks_of_the_peer_for_the_galactic_centre(reference_dir):
    # Gammapy 2.1, info_dict() of the file
    (dataset,) = Datasets.read(reference_dir / "datasets" / "w03_stacked" / "datasets.yaml")
    info = dataset.info_dict()
    assert (info["counts"], info["n_bins"], info["n_fit_bins"]) == (137137, 2000000, 1154706)
    assert_allclose(info["npred"], 122626.47977957968, rtol=1e-9)
    assert_allclose(info["exposure_max"].to_value("m2 s"), 19024216064.0, rtol=1e-7)
    assert isinstance(dataset, MapDataset)
    assert not isinstance(dataset, MapDatasetOnOff)
