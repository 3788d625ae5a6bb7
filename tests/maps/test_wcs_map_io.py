"""gadf files of images and cubes: the peer's are read, ours come back to the bit, damaged ones are told."""

import gzip

import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose, assert_array_equal

from gammax._fits import open_fits
from gammax.errors import DataValueError, FileFormatError, GeometryError, SchemaError, UnitError
from gammax.maps import MapAxis, WcsGeom, WcsNDMap

AXES = [
    MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=2),
    MapAxis.from_bounds(0, 2, 3, name="rad", unit="deg"),
]
# a reference point that 14 digits do not hold
IMAGE = WcsGeom.create(npix=(4, 3), binsz=1 / 30, skydir=(250 / 3, 200 / 9), proj="TAN")
CUBES = {
    # sums printed by Gammapy 2.1: number of counts, bins inside the safe mask
    "datasets/w02_a1/crab-stacked.fits": ((10, 100, 100), 2485, 100000),
    "datasets/w03_stacked/stacked.fits": ((10, 400, 500), 137137, 1649580),
}


@pytest.fixture
def cube(rng):
    geom = IMAGE.to_cube(AXES)
    return WcsNDMap(geom, rng.normal(size=geom.data_shape), "m2 s", {"livetime": "3 s"})


@pytest.mark.data
def test_exclusion_mask(data_dir):
    mask = WcsNDMap.read(data_dir / "joint-crab/exclusion/exclusion_mask_crab.fits.gz")
    assert mask.is_mask
    assert mask.geom.npix == (250, 250)
    # a circle of 0.3 deg at the Crab nebula: area / 0.02^2 deg^2
    assert np.sum(~mask.data) == pytest.approx(np.pi * 0.3**2 / 0.02**2, rel=0.02)
    assert not mask.get_by_coord(mask.geom.center_skydir)


@pytest.mark.data
@pytest.mark.parametrize("name", CUBES)
def test_peer_cubes(reference_dir, name):
    shape, n_counts, n_safe = CUBES[name]
    with open_fits(reference_dir / name) as hdus:
        counts, safe = WcsNDMap.from_hdulist(hdus, "counts"), WcsNDMap.from_hdulist(hdus, "mask_safe")
        psf = WcsNDMap.from_hdulist(hdus, "psf")
        exposure = WcsNDMap.from_hdulist(hdus, "exposure")
    assert counts.data.shape == shape
    assert (counts.data.sum(), counts.is_mask) == (n_counts, False)
    assert (safe.data.sum(), safe.is_mask) == (n_safe, True)
    assert counts.geom.is_allclose(safe.geom)
    assert (psf.geom.axes.names, psf.unit) == (("rad", "energy_true"), "sr-1")
    assert (exposure.unit, list(exposure.meta)) == ("m2 s", ["livetime"])


@pytest.mark.data
@pytest.mark.parametrize("hdu", ["COUNTS", "MASK_SAFE", "PSF"])
def test_peer_headers_come_out_the_same(reference_dir, hdu):
    with open_fits(reference_dir / "datasets/w02_a1/crab-stacked.fits") as hdus:
        written = WcsNDMap.from_hdulist(hdus, hdu).to_hdulist(hdu)
        assert [item.name for item in written] == ["PRIMARY", hdu, f"{hdu}_BANDS"]
        assert_array_equal(written[hdu].data, hdus[hdu].data)
        bookkeeping = {"CHECKSUM", "DATASUM", "CREATOR", "CREATED", "MJDREF", "BITPIX"}
        for key in set(hdus[hdu].header) - bookkeeping:
            assert written[hdu].header[key] == hdus[hdu].header[key], key


@pytest.mark.parametrize("name", ["map.fits", "map.fits.gz"])
@pytest.mark.parametrize("hdu", ["PRIMARY", "exposure"])
def test_round_trip(tmp_path, cube, name, hdu):
    path = cube.write(tmp_path / name, hdu=hdu)
    for back in (WcsNDMap.read(path), WcsNDMap.read(path, hdu)):
        assert_array_equal(back.data, cube.data)
        assert (back.unit, back.meta) == ("m2 s", {"livetime": "3 s"})
        assert_array_equal(back.geom.wcs.wcs.crval, [250 / 3, 200 / 9])
        assert_array_equal(back.geom.wcs.wcs.cdelt, [-1 / 30, 1 / 30])
        assert back.geom.is_allclose(cube.geom, rtol=1e-15, atol_pix=1e-12)
        assert [axis.interp for axis in back.geom.axes] == ["log", "lin"]


@pytest.mark.parametrize(("proj", "frame"), [("CAR", "galactic"), ("AIT", "icrs"), ("TAN", "fk5")])
def test_round_trip_of_projections(tmp_path, proj, frame):
    geom = WcsGeom.create(npix=(4, 3), binsz=(0.5, 0.3), skydir=(20 / 3, -70), proj=proj, frame=frame)
    back = WcsNDMap.read(WcsNDMap(geom).write(tmp_path / "map.fits"))
    assert (back.geom.frame, back.geom.proj) == (frame, proj)
    sky, expected = back.geom.get_coord()["skycoord"], geom.get_coord()["skycoord"]
    assert_array_equal(sky.spherical.lon.deg, expected.spherical.lon.deg)


def test_masks(tmp_path, cube):
    mask = cube > cube.quantity.mean()
    path = mask.write(tmp_path / "mask.fits")
    with fits.open(path) as hdus:
        assert (hdus[0].header["BITPIX"], hdus[0].data.sum()) == (64, mask.data.sum())
    assert_array_equal(WcsNDMap.read(path).data, mask.data)
    assert WcsNDMap.read(path).is_mask
    numbers = WcsNDMap.read(path, mask=False)
    assert not numbers.is_mask
    assert_array_equal(numbers.data, mask.data)


def test_counts_of_0_and_1_are_no_mask(tmp_path):
    # the field writes counts as float32 or 32-bit integers
    for dtype, expected in [(np.float32, False), (np.int32, False), (np.int64, True)]:
        hdu = fits.PrimaryHDU(np.eye(3, 4, dtype=dtype), IMAGE.to_header())
        hdu.writeto(tmp_path / "map.fits", overwrite=True)
        assert WcsNDMap.read(tmp_path / "map.fits").is_mask is expected
        assert WcsNDMap.read(tmp_path / "map.fits", mask=True).is_mask


def test_packed_files_are_packed(tmp_path, cube):
    path = cube.write(tmp_path / "map.fits.gz")
    again = cube.write(tmp_path / "other.fits.gz")
    assert gzip.decompress(path.read_bytes())[:6] == b"SIMPLE"
    assert path.read_bytes() == again.read_bytes()
    with pytest.raises(FileFormatError, match="the file exists"):
        cube.write(path)


def damage(cube, change):
    hdus = cube.to_hdulist("flux")
    change(hdus)
    return hdus


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda h: h["FLUX"].header.update(CTYPE1="X", CTYPE2="Y"), SchemaError, "not an image of the sky"),
        (
            lambda h: h["FLUX"].header.update(CTYPE1="DEC--TAN", CTYPE2="RA---TAN"),
            SchemaError,
            "not an image of the sky",
        ),
        (lambda h: h["FLUX"].header.update(CTYPE1="RA---XXX", CTYPE2="DEC--XXX"), SchemaError, "projection"),
        (lambda h: h["FLUX"].header.update(BUNIT="parrot"), UnitError, "parrot"),
        (lambda h: h["FLUX"].header.update(META="[1"), SchemaError, "META is not JSON"),
        (lambda h: h["FLUX"].header.update(BANDSHDU="NOWHERE"), SchemaError, "HDU NOWHERE is missing"),
        (lambda h: h.pop("FLUX_BANDS"), SchemaError, "HDU FLUX_BANDS is missing"),
        (lambda h: setattr(h["FLUX"], "data", h["FLUX"].data[:2]), GeometryError, "different shapes"),
        (lambda h: h.pop("FLUX"), SchemaError, "HDU FLUX is missing"),
    ],
)
def test_damage_is_told(cube, change, error, words):
    with pytest.raises(error, match=words):
        WcsNDMap.from_hdulist(damage(cube, change), "flux")


def test_files_without_images_are_told(cube):
    hdus = cube.to_hdulist("flux")
    with pytest.raises(SchemaError, match="not an image"):
        WcsNDMap.from_hdulist(hdus, "flux_bands")
    hdus.pop("FLUX")
    with pytest.raises(SchemaError, match="holds no image"):
        WcsNDMap.from_hdulist(hdus)
    with pytest.raises(DataValueError, match="no mask"):
        WcsNDMap.from_hdulist(cube.to_hdulist(), mask=True)


def test_spectral_axes_of_the_projection_are_left_out():
    # Fermi cubes count the energy among the axes of the projection
    header = WcsGeom.create(npix=(4, 3), binsz=0.5, frame="galactic").to_header()
    header.update(WCSAXES=3, CTYPE3="Energy", CRPIX3=1.0, CRVAL3=100.0, CDELT3=50.0, CUNIT3="MeV")
    header.update(NAXIS1=4, NAXIS2=3)
    geom = WcsGeom.from_header(header)
    assert_allclose(geom.pixel_scales.to_value("deg"), 0.5)
    assert geom.frame == "galactic"
