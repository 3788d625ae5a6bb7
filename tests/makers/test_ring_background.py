"""Rings: sums over pixels one by one, and Gammapy 2.1 on a run of H.E.S.S."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from numpy.testing import assert_allclose, assert_array_equal
from regions import CircleSkyRegion
from small_cube import cube
from small_run import POINTING, SOURCE, TRUE, around

from gammax.data import DataStore
from gammax.datasets import MapDataset
from gammax.errors import DataValueError, GeometryError, SchemaError
from gammax.makers import AdaptiveRingBackgroundMaker, MapDatasetMaker, RingBackgroundMaker
from gammax.maps import MapAxis, WcsGeom

CRAB = SkyCoord(83.63, 22.01, unit="deg")


def run():
    rng = np.random.default_rng(3)
    sky = around(POINTING, rng.uniform(0.05, 0.9, 300), np.full(300, 0.5), angle=rng.uniform(0, 360, 300))
    dataset = cube(sky)
    y, x = np.mgrid[:20, :20]
    return dataset.replace(background=dataset.background.replace(data=np.broadcast_to(1 + x + 0.3 * y, (4, 20, 20))))


def by_hand(values, allowed, x, y, r_in, r_out):
    """Sum in the ring of pixels around one."""
    row, column = np.mgrid[:20, :20]
    radius = np.hypot(row - y, column - x) * 0.1
    inside = (radius >= r_in - 1e-9) & (radius <= r_out + 1e-9) & allowed
    return values[:, inside].sum(axis=1)


def test_ring():
    dataset = run()
    mask = dataset.geom.to_image().region_mask([CircleSkyRegion(SOURCE, 0.25 * u.deg)], inside=False)
    made = RingBackgroundMaker("0.3 deg", "0.2 deg", mask).run(dataset)
    for x, y in ((10, 10), (0, 0), (19, 7), (11, 5)):
        for name, values in (("counts_off", dataset.counts.data), ("acceptance_off", dataset.background.data)):
            expected = by_hand(values, mask.data, x, y, 0.3, 0.5)
            assert_allclose(getattr(made, name).data[:, y, x], expected, rtol=1e-12, err_msg=f"{name} {x} {y}")
    # whole numbers, to the last bit
    assert_array_equal(made.counts_off.data, np.rint(made.counts_off.data))
    assert_array_equal(made.acceptance.data, dataset.background.data)
    assert made.mask_safe.data.all()
    assert made.livetime == dataset.livetime


def test_pixels_without_a_ring():
    dataset = run()
    west = np.broadcast_to(np.arange(20) < 5, (20, 20))
    image = dataset.geom.to_image()
    mask = image.region_mask("icrs;circle(0, 0, 0.1)", inside=False).replace(data=west)
    made = RingBackgroundMaker(0.1, 0.2, mask).run(dataset)
    near = np.broadcast_to(np.arange(20) < 8, (4, 20, 20))
    assert_array_equal(made.mask_safe.data, near)
    assert not made.acceptance_off.data[~near].any()
    assert not made.counts_off.data[~near].any()


def test_counts_that_are_no_whole_numbers_stay_so():
    dataset = run()
    half = dataset.replace(counts=dataset.counts.replace(data=dataset.counts.data / 2))
    whole, halved = (RingBackgroundMaker(0.3, 0.2).run(d).counts_off.data for d in (dataset, half))
    assert_allclose(halved, whole / 2, atol=1e-9)


@pytest.mark.parametrize("method", ["fixed_width", "fixed_r_in"])
def test_the_first_ring_with_enough_acceptance(method):
    dataset = run()
    maker = AdaptiveRingBackgroundMaker(
        0.2, r_out_max=0.75, width=0.1, stepsize=0.1, threshold_alpha=0.12, theta=0.15, method=method
    )
    made = maker.run(dataset)
    b, everywhere = dataset.background.data, np.ones((20, 20), bool)
    sizes = set()
    for x, y in ((10, 10), (0, 0), (19, 19), (3, 15), (19, 0)):
        near = by_hand(b, everywhere, x, y, 0, 0.15)
        for k in range(5):
            radii = 0.2 + (0.1 * k if method == "fixed_width" else 0), 0.3 + 0.1 * k
            ring = by_hand(b, everywhere, x, y, *radii)
            if near[0] <= 0.12 * ring[0]:
                sizes.add(k)
                assert_allclose(made.acceptance_off.data[:, y, x], ring, rtol=1e-12)
                expected = by_hand(dataset.counts.data, everywhere, x, y, *radii)
                assert_allclose(made.counts_off.data[:, y, x], expected, atol=1e-9)
                break
        else:
            sizes.add(None)
            assert not made.mask_safe.data[:, y, x].any()
            assert not made.acceptance_off.data[:, y, x].any()
    assert len(sizes) > 1
    assert_array_equal(made.acceptance.data, b)


def test_bad_input():
    with pytest.raises(DataValueError, match="r_in is no angle"):
        RingBackgroundMaker(-1, 0.2)
    with pytest.raises(SchemaError, match=r"unknown method 'fixed_with'(.|\n)*fixed_width"):
        AdaptiveRingBackgroundMaker(0.2, 0.8, 0.1, method="fixed_with")
    with pytest.raises(DataValueError, match="there is no such ring"):
        AdaptiveRingBackgroundMaker(0.2, 0.3, 0.1)
    dataset = run()
    with pytest.raises(SchemaError, match="GX-MAKERS-104"):
        RingBackgroundMaker(0.3, 0.2).run(dataset.replace(background=None))
    with pytest.raises(GeometryError, match="GX-MAKERS-103"):
        RingBackgroundMaker(0.3, 0.2).run(dataset.to_region_map_dataset("icrs;circle(83.6, 22.5, 0.3)"))
    oblong = MapDataset.create(WcsGeom.create(npix=9, binsz=(0.1, 0.2), skydir=POINTING, axes=dataset.geom.axes), TRUE)
    with pytest.raises(GeometryError, match="square pixels"):
        RingBackgroundMaker(0.3, 0.2).run(oblong)


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::gammax.errors.GammaxWarning")
def test_a_run_of_hess_as_the_peer_has_it(data_dir):
    """Gammapy 2.1; radii that are no whole numbers of pixels, so that no rounding decides.

    The peer computes alpha in one pixel whatever theta is (it multiplies theta by the size of a pixel where it should
    divide, so that its disk of 0.22 deg has shape (1, 1)), and where it finds no ring it leaves NaN inside mask_safe:
    1368 pixels here.
    """
    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2)
    geom = WcsGeom.create(skydir=(83.633, 22.014), binsz=0.02, width=2, axes=[energy])
    obs = DataStore.from_dir(data_dir / "hess-dl3-dr1").obs(23523)
    dataset = MapDatasetMaker(["counts", "background", "exposure", "edisp"]).run(MapDataset.create(geom), obs)
    mask = geom.to_image().region_mask([CircleSkyRegion(CRAB, 0.25 * u.deg)], inside=False)
    ring = RingBackgroundMaker("0.305 deg", "0.21 deg", mask).run(dataset)
    assert ring.counts_off.data.sum() == 652733
    assert ring.counts_off.data[[0, 1], [50, 20], [50, 85]].tolist() == [81, 14]
    acceptance_off = ring.acceptance_off.data[[0, 1], [50, 20], [50, 85]]
    assert_allclose(acceptance_off, [83.3227767944336, 13.397181510925293], rtol=1e-6)
    assert_allclose(ring.acceptance_off.data.sum(), 677945.0, rtol=1e-6)
    options = {"r_in": 0.305, "r_out_max": 0.775, "width": 0.11, "stepsize": 0.05, "theta": 0.001}
    fixed_width = AdaptiveRingBackgroundMaker(threshold_alpha=0.002, exclusion_mask=mask, **options)
    image = dataset.to_image()
    made = fixed_width.run(image)
    assert made.counts_off.data.sum() == pytest.approx(329740.9988396574, abs=0.01)
    assert_allclose(made.acceptance_off.data.sum(), 336605.8102274665, rtol=1e-6)
    assert (~made.mask_safe.data).sum() == 1368
    wider = AdaptiveRingBackgroundMaker(threshold_alpha=0.001, method="fixed_r_in", exclusion_mask=mask, **options)
    made = wider.run(image)
    assert made.counts_off.data.sum() == pytest.approx(761865.0014448937, abs=0.01)
    assert_allclose(made.acceptance_off.data[0, [50, 20], [50, 85]], [103.21980563819396, 81.96978635555459], rtol=1e-6)
