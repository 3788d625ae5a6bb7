"""Spectra that carry a PSF: handed on, cut, stacked, written."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cubes import CENTER, make_cube, make_onoff_cube
from gammax.datasets import SpectrumDatasetOnOff, stack
from gammax.errors import GammaxWarning, GeometryError, SchemaError
from gammax.models import PointSpatialModel, PowerLawSpectralModel, SkyModel

CIRCLE = f"icrs;circle({CENTER.ra.deg}, {CENTER.dec.deg}, 0.2)"
SOURCE = SkyModel(
    PowerLawSpectralModel(amplitude="1e-10 cm-2 s-1 TeV-1"),
    name="source",
    spatial_model=PointSpatialModel(lon_0="83.7 deg", lat_0="22.1 deg"),
)


def make(name="a", seed=1, cube=make_cube, **options):
    return cube(name, seed, **options).to_spectrum_dataset(CIRCLE, keep_psf=True)


@pytest.mark.parametrize("cube", [make_cube, make_onoff_cube], ids=["cash", "wstat"])
def test_files_keep_the_psf(cube, tmp_path):
    dataset = make(cube=cube)
    again = type(dataset).read(dataset.write(tmp_path / "spectrum.fits"))
    assert again.psf.is_allclose(dataset.psf, rtol=0)
    assert_allclose(again.npred_signal(SOURCE).values(), dataset.npred_signal(SOURCE).values(), rtol=1e-12)


def test_ogip_has_no_place_for_it(tmp_path):
    dataset = make(cube=make_onoff_cube)
    with pytest.warns(GammaxWarning, match="no place for the PSF"):
        path = dataset.write(tmp_path / "pha.fits", format="ogip")
    assert SpectrumDatasetOnOff.read(path).psf is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset.replace(psf=None).write(tmp_path / "other.fits", format="ogip")


def test_slices():
    dataset = make()
    expected = dataset.npred_signal(SOURCE).values()
    assert_allclose(dataset.slice_by_idx({"energy": slice(1, 3)}).npred_signal(SOURCE).values(), expected[1:3])
    cut = dataset.slice_by_idx({"energy_true": slice(0, 4), "rad": slice(0, 50)})
    assert cut.psf.psf_map.data.shape == (4, 50, 1, 1)
    with pytest.raises(SchemaError, match="no axis 'rad'"):
        dataset.replace(psf=None).slice_by_idx({"rad": slice(0, 5)})


def test_a_stack_predicts_the_sum():
    # exact where the thresholds are the same; the Gaussians of the mean PSF are fitted anew
    parts = [make("a", 1), make("b", 2)]
    stacked = stack(parts)
    total = sum(part.npred_signal(SOURCE).values() for part in parts)
    weights = [part.exposure.values() for part in parts]
    assert not np.allclose(parts[0].psf.psf_map.data, parts[1].psf.psf_map.data, rtol=0.01)
    # the responses are weighted with exposures of their own: make those of the spectra
    parts = [part.replace(psf=weighted(part.psf, weight)) for part, weight in zip(parts, weights, strict=True)]
    assert_allclose(stack(parts).npred_signal(SOURCE).values(), total, rtol=1e-3)
    assert stacked.psf is not None
    with pytest.raises(SchemaError, match="GX-DATASETS-054"):
        stack([parts[0], parts[1].replace(psf=None)])
    elsewhere = make_cube("c", 3).to_spectrum_dataset("icrs;circle(83.6, 22.0, 0.2)", keep_psf=True)
    with pytest.raises(GeometryError, match="GX-DATASETS-055"):
        stack([parts[0], elsewhere])


def weighted(psf, exposure):
    return psf._with(psf.psf_map, psf.exposure_map.replace(data=exposure.reshape(psf.exposure_map.data.shape)))


def test_containment_comes_once():
    with pytest.raises(SchemaError, match="GX-DATASETS-265"):
        make_cube().to_spectrum_dataset(CIRCLE, containment_correction=True, keep_psf=True)


def test_the_other_statistic_keeps_it():
    dataset = make()
    onoff = SpectrumDatasetOnOff.from_spectrum_dataset(dataset, acceptance=1, acceptance_off=2)
    assert onoff.psf is dataset.psf
    assert onoff.to_spectrum_dataset().psf is dataset.psf
