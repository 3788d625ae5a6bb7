"""Layouts of map files beside the plain image: times, labels, nodes, sparse tables, Fermi-LAT cubes, several maps."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from numpy.testing import assert_allclose, assert_array_equal

from gammax._fits import open_fits
from gammax.errors import DataValueError, GeometryError, SchemaError, UnitError
from gammax.maps import (
    LabelMapAxis,
    Map,
    MapAxis,
    Maps,
    RegionGeom,
    RegionNDMap,
    TimeMapAxis,
    WcsGeom,
    WcsNDMap,
)

ENERGY = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=2)
NODES = MapAxis.from_nodes([1, 10, 100] * u.GeV, name="energy_true", interp="log")
TIMES = TimeMapAxis([0, 1, 5] * u.d, [0.5, 2, 6.25] * u.d, Time("2020-03-19", scale="utc"))
# not in the order of the alphabet, in which Gammapy 2.1 reads them
LABELS = LabelMapAxis(["source", "background"], name="dataset")
IMAGE = WcsGeom.create(npix=(3, 2), binsz=0.5, skydir=(10, 20))
CUBE = IMAGE.to_cube([ENERGY, TIMES, LABELS])


@pytest.fixture
def cube(rng):
    return WcsNDMap(CUBE, rng.normal(size=CUBE.data_shape), "s")


def spectra(rng):
    geom = RegionGeom.create("icrs;circle(10, 20, 1)", [ENERGY, TIMES, LABELS])
    return RegionNDMap(geom, rng.normal(size=geom.data_shape), "s")


def test_times_and_labels(tmp_path, cube, rng):
    for item in (cube, spectra(rng)):
        back = Map.read(item.write(tmp_path / "map.fits", overwrite=True))
        assert type(back) is type(item)
        assert_array_equal(back.data, item.data)
        assert back.is_allclose(item)
        assert list(back.geom.axes["dataset"].labels) == ["source", "background"]
        shift = back.geom.axes["time"].time_min - TIMES.time_min
        assert_allclose(shift.to_value("s"), 0, atol=1e-6)


def test_header_of_times(cube):
    header = cube.to_hdulist()["PRIMARY_BANDS"].header
    # Gammapy 2.1 on the same axes
    assert (header["MJDREFI"], header["TIMESYS"]) == (58927, "tt")
    assert header["MJDREFF"] == pytest.approx(0.000800740737759042, abs=1e-11)
    cards = [header.get(f"{word}{k}") for k in (1, 2, 3) for word in ("AXCOLS", "INTERP")]
    assert cards == ["E_MIN,E_MAX", "log", "TIME_MIN,TIME_MAX", "lin", "DATASET", None]


def test_rows_in_the_order_of_gammapy(cube):
    # Gammapy 2.1 writes the rows of three axes with the second slowest, then the first, then the third
    hdus = cube.to_hdulist()
    bands = hdus["PRIMARY_BANDS"]
    order = np.arange(12).reshape(2, 3, 2).transpose(1, 2, 0).ravel()
    bands.data = bands.data[order]
    assert WcsNDMap.from_hdulist(hdus).is_allclose(cube)
    bands.data = bands.data[[1, 0, *range(2, 12)]]
    with pytest.raises(SchemaError, match="not a grid"):
        WcsNDMap.from_hdulist(hdus)


def test_damaged_times_are_told(cube):
    for card, value in (("MJDREFI", None), ("TIMESYS", "moon"), ("MJDREFF", "soon")):
        hdus = cube.to_hdulist()
        header = hdus["PRIMARY_BANDS"].header
        header.remove(card)
        if value is not None:
            header[card] = value
        with pytest.raises(SchemaError, match=r"MJDREFI is missing|no reference time"):
            WcsNDMap.from_hdulist(hdus)


def test_nodes(tmp_path):
    nodes = WcsNDMap(IMAGE.to_cube([NODES]), np.arange(18.0).reshape(3, 2, 3), "cm2")
    back = WcsNDMap.read(nodes.write(tmp_path / "map.fits"))
    assert back.geom.axes["energy_true"].node_type == "center"
    assert_array_equal(back.geom.axes["energy_true"].nodes, NODES.nodes)


@pytest.mark.parametrize("axes", [(), (ENERGY,), (ENERGY, LABELS)])
@pytest.mark.parametrize("hdu", ["PRIMARY", "counts"])
def test_sparse(tmp_path, rng, axes, hdu):
    geom = IMAGE.to_cube(axes)
    data = rng.poisson(0.4, geom.data_shape) * 0.1
    sparse = WcsNDMap(geom, data, "s")
    path = sparse.write(tmp_path / "map.fits", hdu, sparse=True)
    with fits.open(path) as hdus:
        name = "SKYMAP" if hdu == "PRIMARY" else "COUNTS"
        assert len(hdus[name].data) == np.count_nonzero(data)
    back = WcsNDMap.read(path)
    assert_array_equal(back.data, data)
    assert back.unit == "s"
    assert back.geom.is_allclose(geom)
    mask = sparse > 0.05 * u.s
    assert_array_equal(WcsNDMap.read(mask.write(tmp_path / "mask.fits", sparse=True)).data, mask.data)
    assert WcsNDMap.read(tmp_path / "mask.fits").is_mask


def test_damaged_sparse_files_are_told(cube):
    hdus = cube.to_hdulist(sparse=True)
    hdus["SKYMAP"].data["PIX"][2] = 6
    with pytest.raises(DataValueError, match="outside of the image"):
        WcsNDMap.from_hdulist(hdus)
    hdus["SKYMAP"].header["WCSSHAPE"] = "(3)"
    with pytest.raises(SchemaError, match="no shape"):
        WcsNDMap.from_hdulist(hdus)


def test_fermi_formats(tmp_path):
    counts = WcsNDMap(IMAGE.to_cube([ENERGY]), np.arange(12.0).reshape(2, 2, 3))
    path = counts.write(tmp_path / "ccube.fits", format="fgst-ccube")
    with fits.open(path) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "EBOUNDS"]
    assert WcsNDMap.read(path).is_allclose(counts)
    template = WcsNDMap(IMAGE.to_cube([NODES]), np.arange(18.0).reshape(3, 2, 3), "cm2 s")
    path = template.write(tmp_path / "template.fits", format="fgst-template")
    back = WcsNDMap.read(path)
    assert back.is_allclose(template)
    assert back.geom.axes["energy_true"].node_type == "center"
    for wrong, format in ((template, "fgst-ccube"), (counts, "fgst-template"), (WcsNDMap(IMAGE), "fgst-ccube")):
        with pytest.raises(GeometryError, match="one axis of energy alone"):
            wrong.to_hdulist(format=format)
    with pytest.raises(UnitError, match="needs a unit"):
        template.replace(unit="").to_hdulist(format="fgst-template")
    with pytest.raises(SchemaError, match="unknown format"):
        counts.to_hdulist(format="galprop")


@pytest.mark.data
def test_fermi_cubes(data_dir):
    folder = data_dir / "fermi-3fhl-gc"
    counts = Map.read(folder / "fermi-3fhl-gc-counts-cube.fits.gz")
    # Gammapy 2.1: names, units, node types, sums
    assert (counts.geom.axes.names, counts.geom.axes[0].unit) == (("energy",), "keV")
    assert counts.data.sum() == 32684
    exposure = Map.read(folder / "fermi-3fhl-gc-exposure-cube.fits.gz")
    axis = exposure.geom.axes["energy_true"]
    assert (axis.nbin, axis.unit, axis.node_type, axis.interp) == (12, "MeV", "center", "log")
    assert (exposure.unit, exposure.data.sum()) == ("cm2 s", pytest.approx(3.129498700654838e17, rel=1e-12))
    diffuse = Map.read(folder / "gll_iem_v06_gc.fits.gz")
    assert (diffuse.geom.axes.names, diffuse.geom.axes[0].interp) == (("energy_true",), "log")
    assert diffuse.values("MeV-1 s-1 sr-1 cm-2").sum() == pytest.approx(0.11803847, rel=1e-6)
    with open_fits(folder / "fermi-3fhl-gc.fits.gz") as hdus:
        # an older layout: one row of the data for each row of the bands table
        psf = Map.from_hdulist(hdus, "psf")
        assert psf.geom.data_shape == (11, 130, 1, 1)
        assert Map.from_hdulist(hdus, "mask_safe").is_mask
    rad = psf.geom.axes["rad"].center_value("rad")
    # a probability over the sky, at 600 GeV, from a table with 130 nodes
    assert np.trapezoid(2 * np.pi * rad * psf.values("sr-1")[-1], rad) == pytest.approx(1, abs=0.02)


@pytest.mark.data
def test_peer_dataset_with_nodes(data_dir):
    with open_fits(data_dir / "fermi-3fhl-crab/Fermi-LAT-3FHL_data_Fermi-LAT.fits") as hdus:
        psf = WcsNDMap.from_hdulist(hdus, "psf")
        edisp = WcsNDMap.from_hdulist(hdus, "edisp")
    assert [axis.node_type for axis in psf.geom.axes] == ["center", "center"]
    # every true energy is seen at some energy: most of it within these bins
    assert_allclose(edisp.sum_over_axes(["energy"]).data[1:-1].mean(), 1, atol=0.02)


def test_wrong_fermi_tables_are_told(tmp_path):
    template = WcsNDMap(IMAGE.to_cube([NODES]), unit="cm2 s")
    hdus = template.to_hdulist(format="fgst-template")
    hdus["ENERGIES"].columns["Energy"].unit = "m"
    with pytest.raises(UnitError):
        WcsNDMap.from_hdulist(hdus)


def test_fermi_tables_without_units():
    # the Fermi-LAT tools leave the unit out of ENERGIES: it is MeV
    hdus = WcsNDMap(IMAGE.to_cube([NODES]), unit="cm2 s").to_hdulist(format="fgst-template")
    hdus["ENERGIES"].columns["Energy"].unit = None
    hdus["PRIMARY"].header["BUNIT"] = ""
    template = WcsNDMap.from_hdulist(hdus)
    assert (template.geom.axes[0].unit, template.unit) == ("MeV", "MeV-1 s-1 sr-1 cm-2")
    hdus.append(fits.BinTableHDU.from_columns([fits.Column("START", "D")], name="GTI"))
    assert WcsNDMap.from_hdulist(hdus).unit == "cm2 s"


def test_factory(tmp_path, rng):
    assert isinstance(Map.create(npix=3, axes=[ENERGY], unit="s"), WcsNDMap)
    assert isinstance(Map.create("region", region=None, axes=[ENERGY]), RegionNDMap)
    assert isinstance(Map.from_geom(IMAGE), WcsNDMap)
    region = Map.from_geom(RegionGeom.create(None, [ENERGY]), [1, 2], "s")
    assert isinstance(region, RegionNDMap)
    assert isinstance(Map.read(region.write(tmp_path / "map.fits"), "counts"), RegionNDMap)
    with pytest.raises(SchemaError, match="unknown map type"):
        Map.create("hpx")
    hdus = region.to_hdulist()
    with pytest.raises(SchemaError, match="HDU counts_bands is no map"):
        Map.from_hdulist(hdus, "counts_bands")
    with pytest.raises(SchemaError, match="there is no map"):
        Map.from_hdulist(fits.HDUList([fits.PrimaryHDU()]))


def test_several_maps(tmp_path, cube, rng):
    maps = Maps(flux=cube, ts=cube * 2)
    assert (list(maps), maps.geom) == (["flux", "ts"], cube.geom)
    assert maps["ts"].data.sum() == pytest.approx(2 * cube.data.sum())
    path = maps.write(tmp_path / "maps.fits")
    with fits.open(path) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "FLUX", "BANDS", "TS"]
    back = Maps.read(path)
    assert all(back[name].is_allclose(maps[name]) for name in maps)
    regions = Maps(flux=spectra(rng), ts=spectra(rng))
    path = regions.write(tmp_path / "regions.fits")
    assert all(item.is_allclose(regions[name]) for name, item in Maps.read(path).items())
    zeros = Maps.from_geom(IMAGE, ["a", "b"], ["s", "m"])
    assert [item.unit for item in zeros.values()] == ["s", "m"]
    assert len(zeros.replace(c=WcsNDMap(IMAGE))) == 3
    assert Maps().geom is None
    assert "flux, ts" in repr(maps)
    for other in (cube.crop((1, 0)), spectra(rng)):
        with pytest.raises(GeometryError, match="another geometry"):
            Maps(flux=cube, other=other)
