"""What the pictures of cubes show: sums over datasets, and residuals in standard deviations."""

import numpy as np
import pytest
from scipy.stats import norm, poisson

from gammax.analysis._sky_images import SkyImages, cubes_of, signed_root
from gammax.datasets import Datasets, MapDataset, SpectrumDataset
from gammax.maps import MapAxis, RegionGeom, WcsGeom, WcsNDMap
from gammax.models import FoVBackgroundModel, Models, PowerLawNormSpectralModel

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=3)
GEOM = WcsGeom.create(npix=(30, 20), binsz=0.1, skydir=(10, 20), frame="icrs", axes=[ENERGY])
REGION, FAR = "icrs;circle(10, 20, 0.31)", "icrs;circle(40, 20, 0.31)"


def cube(name="whole", counts=2.0, background=1.0, geom=GEOM):
    dataset = MapDataset.create(geom, name=name, binsz_irf=0.5)
    shape = geom.data_shape
    return dataset.replace(
        counts=WcsNDMap(geom, np.full(shape, counts)),
        background=WcsNDMap(geom, np.full(shape, background)),
        mask_safe=WcsNDMap(geom, np.ones(shape, bool)),
        exposure=dataset.exposure.replace(data=np.ones(dataset.exposure.geom.data_shape)),
    )


def test_parts_of_one_image_are_added_on_its_pixels():
    whole, corner = cube(), cube("corner").cutout(GEOM.pix_to_coord((2, 3))["skycoord"], 0.5, name="corner")
    # the part first: the sum needs a larger image than its own
    for datasets in ([whole, corner], [corner, whole]):
        (images,) = SkyImages.of(datasets, None, [REGION])
        assert images.names == tuple(dataset.name for dataset in datasets)
        box = images.covered[images.box]
        assert box.shape == GEOM.image_shape
        assert box.all()
        expected = np.full(GEOM.image_shape, 6.0)
        x, y = GEOM.to_image().coord_to_idx(corner.geom.to_image().get_coord()["skycoord"])
        expected[y, x] += 6.0
        np.testing.assert_array_equal(images.counts[images.box], expected)
        np.testing.assert_allclose(images.npred[images.box], expected / 2)


def test_sums_over_a_region_and_its_energies():
    mask = np.ones(GEOM.data_shape, bool)
    mask[0] = False
    dataset = cube().replace(mask_safe=WcsNDMap(GEOM, mask))
    models = Models(FoVBackgroundModel("whole", PowerLawNormSpectralModel(norm=1.5)))
    (images,) = SkyImages.of([dataset], models, [REGION, FAR])
    n = GEOM.to_image().region_mask(REGION).data.sum()
    inside, outside = images.regions
    np.testing.assert_allclose(inside.counts, [0, 2 * n, 2 * n])
    np.testing.assert_allclose(inside.background, [0, 1.5 * n, 1.5 * n])
    np.testing.assert_allclose(inside.npred, inside.background)
    np.testing.assert_array_equal(inside.bins, [False, True, True])
    assert not outside.bins.any()
    np.testing.assert_allclose(images.background, 3.0)


def test_other_pixels_and_other_energies_are_kept_apart():
    shifted = WcsGeom.create(npix=(30, 20), binsz=0.1, skydir=(10.03, 20), frame="icrs", axes=[ENERGY])
    finer = WcsGeom.create(npix=(60, 40), binsz=0.05, skydir=(10, 20), frame="icrs", axes=[ENERGY])
    other = GEOM.replace_axes([MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2)])
    datasets = [cube(str(k), geom=geom) for k, geom in enumerate((GEOM, shifted, finer, other, GEOM))]
    assert [images.names for images in SkyImages.of(datasets, None)] == [("0", "4"), ("1",), ("2",), ("3",)]


def test_spectra_are_no_cubes():
    spectrum = SpectrumDataset.create(RegionGeom.create(REGION, [ENERGY]), ENERGY.rename("energy_true"), "spectrum")
    assert cubes_of(Datasets([spectrum, cube()])).names == ["whole"]


def test_the_significance_is_that_of_all_counts_in_a_disk():
    (images,) = SkyImages.of([cube()], None)
    values = images.significance(0.25)
    # 21 pixels are within 2.5 of one, with 6 counts where 3 are expected
    n, mu = 21 * 6, 21 * 3
    assert values[10, 15] == pytest.approx(np.sqrt(2 * (mu - n + n * np.log(n / mu))))
    # of the prediction above the background, which is all of it here
    assert images.significance(0.25, "npred", "background")[10, 15] == pytest.approx(0.0, abs=1e-6)
    # at the border the disk is cut
    assert values[0, 0] < values[10, 15]
    hole = images.covered.copy()
    hole[5, 5] = False
    assert np.isnan(SkyImages(**{**vars(images), "covered": hole}).significance(0.25)[5, 5])


def test_residuals_follow_the_normal_law():
    # tails of the Poisson law of mean 100, as standard deviations (scipy.stats)
    for counts in (70, 90, 110, 130):
        tail = poisson.sf(counts - 0.5, 100.0) if counts > 100 else poisson.cdf(counts - 0.5, 100.0)
        sigma = -norm.ppf(tail) if counts > 100 else norm.ppf(tail)
        assert signed_root(np.array(float(counts)), np.array(100.0)) == pytest.approx(sigma, abs=0.1)
    np.testing.assert_allclose(signed_root(np.array([0.0, 4.0]), np.array([2.0, 4.0])), [-2.0, 0.0])


def test_smoothed_images_are_flat_where_the_cube_is():
    mask = np.ones(GEOM.data_shape, bool)
    mask[:, :5] = False
    (images,) = SkyImages.of([cube().replace(mask_safe=WcsNDMap(GEOM, mask))], None)
    assert (images.box[0].start, images.box[1].start) == (5, 0)
    counts, npred = images.smoothed(0.2)
    np.testing.assert_allclose(counts.data[5:], 6.0)
    np.testing.assert_allclose(npred.data[5:], 3.0)
    assert not counts.data[:5].any()
