"""Spectra from cubes, and the pictures."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cubes import CENTER, GEOM, make_cube, make_onoff_cube
from gammax.datasets import Datasets, MapDatasetOnOff, SpectrumDataset, SpectrumDatasetOnOff
from gammax.errors import GeometryError, SchemaError

CIRCLE = f"icrs;circle({CENTER.ra.deg}, {CENTER.dec.deg}, 0.2)"


@pytest.fixture(params=[make_cube, make_onoff_cube], ids=["cash", "wstat"])
def make(request):
    """Maker of either kind of cube."""
    return request.param


def test_spectrum_is_the_sum_over_the_region(make):
    dataset = make(threshold=1, slope=0.01)
    inside = GEOM.to_image().region_mask(CIRCLE).data
    spectrum = dataset.to_spectrum_dataset(CIRCLE, name="on")
    assert isinstance(spectrum, SpectrumDatasetOnOff if dataset.stat_type == "wstat" else SpectrumDataset)
    assert (spectrum.name, spectrum.livetime, spectrum.meta) == ("on", 1000, dataset.meta)
    assert_array_equal(spectrum.mask, [False, True, True, True])
    assert_allclose(spectrum.counts.values()[1:], dataset.counts.data[1:, inside].sum(axis=1))
    assert_allclose(spectrum.excess.values()[1:], dataset.excess.data[1:, inside].sum(axis=1), rtol=1e-10)
    assert_allclose(spectrum.exposure.values(), dataset.exposure.data[:, inside].mean(axis=1), rtol=1e-13)
    assert_allclose(spectrum.edisp.pdf_matrix, dataset.edisp.edisp_map.data[:, :, 2, 2], rtol=1e-13)
    assert_array_equal(spectrum.gti["START"], dataset.gti["START"])
    if dataset.stat_type == "wstat":
        assert_allclose(spectrum.acceptance.values()[1:], dataset.acceptance.data[1:, inside].mean(axis=1), rtol=1e-12)


def test_containment_of_a_gaussian():
    dataset = make_cube()
    ratio = dataset.to_spectrum_dataset(CIRCLE, True).exposure.values()
    ratio = ratio / dataset.to_spectrum_dataset(CIRCLE).exposure.values()
    rng = np.random.default_rng(1)
    # as `make_parts` draws: exposures, weight, then the width of the PSF
    sigma = (
        0.05 + 0.02 * (rng.uniform(0.5, 2, 6), rng.uniform(0.5, 2), rng.poisson(3.0, GEOM.data_shape), rng.random())[-1]
    )
    # closed form of a Gaussian; tables in steps of 0.01 deg
    assert_allclose(ratio, 1 - np.exp(-(0.2**2) / (2 * sigma**2)), rtol=3e-3)


def test_regions_that_cannot_be():
    dataset = make_cube()
    with pytest.raises(GeometryError, match="not inside the image"):
        dataset.to_spectrum_dataset("icrs;circle(83.2, 22.01, 0.3)")
    with pytest.raises(GeometryError, match="holds no pixel"):
        dataset.to_spectrum_dataset("icrs;circle(10, 10, 0.1)")
    cut = dataset.mask_safe.data.copy()
    cut[2, 10, 12] = False
    with pytest.raises(GeometryError, match="GX-DATASETS-262"):
        dataset.replace(mask_safe=dataset.mask_safe.replace(data=cut)).to_spectrum_dataset(CIRCLE)
    with pytest.raises(GeometryError, match="needs a circle"):
        dataset.to_spectrum_dataset("icrs;box(83.63, 22.01, 0.3, 0.3, 0)", containment_correction=True)
    with pytest.raises(SchemaError, match="needs a PSF"):
        dataset.replace(psf=None).to_spectrum_dataset(CIRCLE, containment_correction=True)
    with pytest.raises(SchemaError, match="no exposure"):
        dataset.replace(exposure=None).to_spectrum_dataset(CIRCLE)
    region = dataset.to_region_map_dataset(CIRCLE)
    for act in (lambda: region.cutout(CENTER, "0.2 deg"), lambda: region.pad(1), lambda: region.downsample(2),
                lambda: region.to_spectrum_dataset(CIRCLE)):  # fmt: skip
        with pytest.raises(GeometryError, match="region"):
            act()


def test_a_dataset_of_one_region(make):
    dataset = make(threshold=1)
    region = dataset.to_region_map_dataset(CIRCLE, "on")
    assert "a region, 4 bins" in repr(region)
    assert region.arrays.counts.shape == (4, 1, 1)
    assert region.psf.psf_map.data.shape == (6, 66, 1, 1)
    spectrum = dataset.to_spectrum_dataset(CIRCLE)
    assert_allclose(region.stat_sum(), spectrum.stat_sum(), rtol=1e-12)
    assert_allclose(region.to_image().counts.values(), spectrum.counts.values()[1:].sum())
    again = Datasets([region, region.replace(name="b")]).stack_reduce()
    assert_allclose(again.counts.values()[1:], 2 * region.counts.values()[1:])
    elsewhere = dataset.to_region_map_dataset(f"icrs;circle({CENTER.ra.deg}, {CENTER.dec.deg}, 0.25)", "wide")
    with pytest.raises(GeometryError, match="GX-DATASETS-232"):
        region.stack(elsewhere)
    if isinstance(dataset, MapDatasetOnOff):
        assert_allclose(again.alpha.values()[1:], region.alpha.values()[1:], rtol=1e-12)


@pytest.mark.data
def test_spectra_of_the_peer_from_the_hess_crab_cube(reference_dir):
    # Gammapy 2.1: MapDataset.read(w02_a1).to_spectrum_dataset(circle, containment_correction), to_image()
    # and to_region_map_dataset; single precision inside
    (dataset,) = Datasets.read(reference_dir / "datasets" / "w02_a1" / "datasets.yaml")
    circle = "icrs;circle(83.55, 22.1, 0.15)"
    spectrum = dataset.to_spectrum_dataset(circle)
    assert_array_equal(spectrum.counts.values(), [76, 60, 50, 44, 37, 20, 18, 12, 12, 7])
    assert_allclose(spectrum.background.values()[[0, 9]], [10.403274536132812, 0.8992718458175659], rtol=1e-7)
    exposure = spectrum.exposure.values("m2 s")[[0, 7, 19]]
    assert_allclose(exposure, [465776256.0, 1879973504.0, 3496733696.0], rtol=1e-7)
    contained = dataset.to_spectrum_dataset(circle, True).exposure.values("m2 s")[[0, 7, 19]]
    assert_allclose(contained, [334695392.0, 1430708736.0, 2662881792.0], rtol=1e-7)
    row = [0.027078883722424507, 0.059440623968839645, 0.15873509645462036, 0.39578238129615784]
    assert_allclose(spectrum.edisp.pdf_matrix[8, :4], row, rtol=1e-7)
    image = dataset.to_image()
    rows = [0.06611410202458501, 0.874227371363304, 0.9823880830372218]
    assert_allclose(image.edisp.edisp_map.data[[0, 5, 12], 0, 3, 6], rows, rtol=1e-6)
    assert image.counts.data.max() == 15
    psf = dataset.to_region_map_dataset(circle).psf.psf_map.data[5, [0, 10, 20], 0, 0]
    assert_allclose(psf, [196727.421875, 19672.763671875, 2959.012451171875], rtol=1e-7)


def test_pictures(make):
    dataset = make(threshold=1)
    assert dataset.plot_counts(smooth="0.1 deg").get_title() == "Counts, 1 to 8 TeV"
    ax = dataset.plot_residuals_spatial()
    shown = np.asarray(ax.images[0].get_array())
    assert shown.shape == (20, 24)
    ax = dataset.plot_residuals_spectral(region=CIRCLE, method="diff")
    inside = GEOM.to_image().region_mask(CIRCLE).data
    residuals = (dataset.counts.data - dataset.npred().data)[1:, inside].sum(axis=1)
    # the first line is that at zero
    assert_allclose(ax.lines[1].get_ydata(), residuals, rtol=1e-10)
    assert len(dataset.plot_masks().axes) == 4
    assert len(dataset.plot_residuals(region=CIRCLE).axes) == 3
    assert len(dataset.peek().axes) >= 4
    with pytest.raises(SchemaError, match="unknown residuals"):
        dataset.plot_residuals_spatial(method="sigma")
    plt.close("all")
