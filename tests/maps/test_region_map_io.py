"""gadf files of region maps: the peer's are read and come out the same; ours come back; damaged ones are told."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from gammax._fits import open_fits
from gammax.errors import DataValueError, FileFormatError, GammaxError, GeometryError, SchemaError, UnitError
from gammax.maps import MapAxis, RegionGeom, RegionNDMap
from gammax.maps._energy_table import ebounds_hdu, read_energy_axis

W01 = "datasets/w01/pha_obs23523.fits"
NAMES = ["COUNTS", "COUNTS_OFF", "ACCEPTANCE", "ACCEPTANCE_OFF", "EXPOSURE", "EDISP", "EDISP_EXPOSURE", "MASK_SAFE"]


def energy_axis(nbin=3):
    return MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", nbin=nbin)


@pytest.fixture
def edisp_map():
    axes = [energy_axis(), MapAxis.from_energy_bounds("50 GeV", "100 TeV", nbin=4, name="energy_true").to_unit("keV")]
    return RegionNDMap.create("icrs;circle(83.63, 22.01, 0.11)", axes, unit="m2 s", data=np.arange(12).reshape(4, 3))


@pytest.mark.data
@pytest.mark.parametrize("name", NAMES)
def test_peer_map_comes_out_the_same(reference_dir, name):
    with open_fits(reference_dir / W01) as hdus:
        written = RegionNDMap.from_hdulist(hdus, name.lower()).to_hdulist(name)
        for suffix in ("", "_BANDS", "_REGION"):
            ours, theirs = written[name + suffix], hdus[name + suffix]
            assert ours.columns.names == theirs.columns.names
            for column in theirs.columns.names:
                if theirs.data[column].dtype.kind in "SU":
                    assert_array_equal(ours.data[column], theirs.data[column])
                elif suffix == "_REGION":
                    assert_allclose(ours.data[column], theirs.data[column], rtol=1e-9, atol=1e-9)
                else:
                    assert_array_equal(ours.data[column], theirs.data[column])
            bookkeeping = ("CHECKSUM", "DATASUM", "CREATOR", "CREATED", "NAXIS1", "TFORM1", "TFORM2", "TUNIT2", "META")
            for key in set(theirs.header) - set(bookkeeping):
                assert ours.header[key] == theirs.header[key], key


@pytest.mark.data
def test_peer_numbers(reference_dir):
    # sums printed by Gammapy 2.1 for this file
    path = reference_dir / W01
    assert RegionNDMap.read(path, "COUNTS").data.sum() == 192
    assert RegionNDMap.read(path, "COUNTS_OFF").data.sum() == 224
    exposure = RegionNDMap.read(path, "EXPOSURE")
    assert exposure.unit == "m2 s"
    assert_allclose(exposure.data.sum(), 26415241962.86257, rtol=1e-12)
    off = RegionNDMap.read(path, "COUNTS_OFF").geom
    assert len(off.regions) == 12
    assert_allclose(off.regions[0].center.ra.deg, 83.9051527, rtol=1e-9)
    # sizes go through the local pixel scale, which versions of the regions package take with 1e-5
    assert_allclose(off.regions[11].radius.to_value("arcsec"), 396.00926873, rtol=2e-5)
    assert RegionNDMap.read(path, "MASK_SAFE").is_mask


@pytest.mark.data
@pytest.mark.parametrize(("low", "high", "per_decade", "hdu"), [(0.1, 40, 10, "COUNTS"), (0.05, 100, 20, "EXPOSURE")])
def test_axes_are_those_of_the_peer(reference_dir, low, high, per_decade, hdu):
    name = "energy" if hdu == "COUNTS" else "energy_true"
    ours = MapAxis.from_energy_bounds(f"{low} TeV", f"{high} TeV", nbin=per_decade, per_decade=True, name=name)
    theirs = RegionNDMap.read(reference_dir / W01, hdu).geom.axes[name]
    assert ours.nbin == theirs.nbin
    assert_allclose(ours.edges_value("TeV"), theirs.edges_value("TeV"), rtol=1e-15)


def test_axes_keep_their_units_and_order(edisp_map):
    hdus = edisp_map.to_hdulist("edisp")
    assert [hdu.name for hdu in hdus] == ["PRIMARY", "EDISP", "EDISP_BANDS", "EDISP_REGION"]
    bands = hdus["EDISP_BANDS"]
    assert bands.header["AXCOLS1"] == "E_MIN,E_MAX"
    assert bands.header["AXCOLS2"] == "ENERGY_TRUE_MIN,ENERGY_TRUE_MAX"
    assert_array_equal(bands.data["E_MIN"][:3], edisp_map.geom.axes[0].edges_value("TeV")[:-1])
    back = RegionNDMap.from_hdulist(hdus, "EDISP")
    assert back.geom.axes["energy_true"].unit == "keV"
    assert back.is_allclose(edisp_map)
    assert_array_equal(back.data, edisp_map.data)


@settings(max_examples=20, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 3)),
    node=st.booleans(),
    interp=st.sampled_from(["lin", "log", "sqrt"]),
    mask=st.booleans(),
    seed=st.integers(0, 2**20),
)
def test_round_trip(shape, node, interp, mask, seed):
    rng = np.random.default_rng(seed)
    first = energy_axis(shape[0])
    nodes = np.cumsum(rng.uniform(0.1, 2, shape[1] + 1))
    second = MapAxis(nodes, "rad", interp, "deg", "center" if node else "edges")
    region_map = RegionNDMap.create(None, [first, second])
    data = rng.normal(size=region_map.data.shape)
    region_map = region_map.replace(data=data > 0 if mask else data, meta={"livetime": 1581.7, "tags": ["a"]})
    back = RegionNDMap.from_hdulist(region_map.to_hdulist("X"), "X")
    assert_array_equal(back.data, region_map.data)
    assert back.meta == region_map.meta
    for ours, theirs in zip(region_map.geom.axes, back.geom.axes, strict=True):
        assert_array_equal(theirs.nodes, ours.nodes)
        assert (theirs.name, theirs.unit, theirs.interp, theirs.node_type) == (
            ours.name, ours.unit, ours.interp, ours.node_type,
        )  # fmt: skip


def test_file_and_meta(edisp_map, tmp_path):
    meta = {"livetime": 1581.7 * u.s, "n": np.int64(3), "text": "x" * 200}
    path = edisp_map.replace(meta=meta).write(tmp_path / "map.fits", hdu="edisp")
    back = RegionNDMap.read(path, "EDISP")
    assert back.meta == {"livetime": "1581.7 s", "n": 3, "text": "x" * 200}
    assert back.is_allclose(edisp_map)
    with pytest.raises(FileFormatError, match="GX-PATH-002"):
        edisp_map.write(path)


def test_map_without_axes():
    region_map = RegionNDMap.create("icrs;point(83.63, 22.01)", data=5.0)
    back = RegionNDMap.from_hdulist(region_map.to_hdulist("X"), "X")
    assert back.data.shape == (1, 1)
    assert back.is_allclose(region_map)


def damage(hdus, case):
    table, bands = hdus["COUNTS"], hdus["COUNTS_BANDS"]
    if case == "no column":
        hdus["COUNTS"] = fits.BinTableHDU.from_columns(table.columns[:1], header=table.header)
    elif case == "no bands":
        del hdus["COUNTS_BANDS"]
    elif case == "no axcols":
        del bands.header["AXCOLS1"]
    elif case == "no band column":
        bands.header["AXCOLS1"] = "F_MIN,F_MAX"
    elif case == "time":
        bands.header["AXCOLS1"] = "TIME_MIN,TIME_MAX"
        bands.columns.change_name("E_MIN", "TIME_MIN")
        bands.columns.change_name("E_MAX", "TIME_MAX")
    elif case in ("deg", ""):
        bands.columns["E_MIN"].unit = case or None
    elif case.startswith("meta"):
        table.header["META"] = case[5:]
    elif case == "rows":
        hdus["COUNTS"] = fits.BinTableHDU(table.data[:2], table.header)
    elif case == "nan":
        bands.data["E_MIN"][1] = np.nan
    elif case == "order":
        bands.data["E_MIN"][1] = 1e-3
    elif case == "zero":
        bands.data["E_MIN"][0] = 0
    elif case == "gap":
        bands.data["E_MIN"][1] *= 1.001
    elif case == "overlap":
        bands.data["E_MAX"][0] *= 1.001
    return hdus


@pytest.mark.parametrize(
    ("case", "error", "code"),
    [
        ("no column", SchemaError, "GX-FITS-005"),
        ("no bands", SchemaError, "GX-FITS-004"),
        ("no axcols", SchemaError, "GX-FITS-009"),
        ("no band column", SchemaError, "GX-FITS-005"),
        ("time", SchemaError, "GX-FITS-009"),
        ("deg", UnitError, "GX-MAPS-071"),
        ("", UnitError, "GX-MAPS-071"),
        ("meta {livetime", SchemaError, "GX-FITS-012"),
        ("meta [1]", SchemaError, "GX-FITS-012"),
        ("rows", GeometryError, "GX-MAPS-080"),
        ("nan", DataValueError, "GX-MAPS-051"),
        ("order", DataValueError, "GX-MAPS-052"),
        ("zero", DataValueError, "GX-MAPS-054"),
        ("gap", DataValueError, "GX-MAPS-053"),
        ("overlap", DataValueError, "GX-MAPS-053"),
    ],
)
def test_damaged_files(case, error, code, tmp_path):
    counts = RegionNDMap.create("icrs;circle(83.63, 22.01, 0.11)", energy_axis(), data=[1, 2, 3])
    path = tmp_path / "damaged.fits"
    damage(counts.to_hdulist(), case).writeto(path)
    with pytest.raises(error, match=code) as info:
        RegionNDMap.read(path)
    assert "damaged.fits" in str(info.value)
    assert isinstance(info.value, GammaxError)


def test_rows_out_of_order_are_refused(edisp_map):
    hdus = edisp_map.to_hdulist("EDISP")
    bands = hdus["EDISP_BANDS"]
    bands.data = bands.data[np.arange(12).reshape(4, 3).T.ravel()]
    with pytest.raises(SchemaError, match="GX-MAPS-072"):
        RegionNDMap.from_hdulist(hdus, "EDISP")


def test_ebounds_round_trip():
    axis = energy_axis(5).to_unit("keV")
    hdu = ebounds_hdu(axis)
    assert_array_equal(hdu.data["CHANNEL"], np.arange(5))
    assert_array_equal(read_energy_axis(hdu, "E_MIN", "E_MAX").nodes, axis.nodes)


def test_small_gaps_of_float32_files_are_no_gaps():
    # 6e-7 between the upper and the next lower edge: the VERITAS files of the joint-Crab release
    hdu = ebounds_hdu(energy_axis(3))
    hdu.data["E_MAX"][:2] *= 1 + 6e-7
    assert_array_equal(read_energy_axis(hdu, "E_MIN", "E_MAX").nodes, energy_axis(3).nodes)


@pytest.mark.parametrize(("unit", "code"), [("deg", "GX-FITS-007"), (None, "GX-FITS-006"), ("GeV", "GX-MAPS-055")])
def test_energy_units_are_checked(unit, code):
    hdu = ebounds_hdu(energy_axis(3))
    hdu.columns["E_MAX"].unit = unit
    with pytest.raises(UnitError, match=code):
        read_energy_axis(hdu, "E_MIN", "E_MAX")


def test_shared_projection_is_written_back():
    wcs = RegionGeom.create("icrs;circle(83.63, 22.01, 1)").wcs
    geom = RegionGeom.create("icrs;point(83.5, 22.1)", energy_axis(), wcs=wcs)
    back = RegionNDMap.from_hdulist(RegionNDMap(geom).to_hdulist()).geom
    assert back.wcs.pixel_shape == (20, 20)
    assert_array_equal(back.wcs.wcs.crval, [83.63, 22.01])
    assert back.difference(geom) == ""
