"""From observations to cubes: safe masks, cutouts, stacks, workers."""

import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from numpy.testing import assert_allclose, assert_array_equal
from regions import CircleSkyRegion
from small_cube import cube, field, reference
from small_run import LIVETIME, POINTING, SOURCE, area, around, observation

from gammax.data import DataStore
from gammax.datasets import MapDataset, MapDatasetOnOff
from gammax.errors import DataValueError, GammaxWarning, SchemaError
from gammax.makers import DatasetsMaker, FoVBackgroundMaker, MapDatasetMaker, RingBackgroundMaker, SafeMaskMaker
from gammax.maps import MapAxis, WcsGeom, WcsNDMap
from gammax.models import Models, PointSpatialModel, PowerLawSpectralModel, SkyModel

CRAB = SkyCoord(83.63, 22.01, unit="deg")
# Gammapy 2.1, runs 23523 (0.5 deg from the middle of the image) and 23559 (1.5 deg): bins in the mask, and the first
# energy bin that has any
PEER = [
    ({"methods": ["aeff-max"]}, (17100, 8), (14250, 8)),
    ({"methods": ["aeff-max"], "position": CRAB, "aeff_percent": 30}, (15300, 10), (12750, 10)),
    ({"methods": ["aeff-max"], "fixed_offset": 1}, (17100, 8), (15000, 7)),
    ({"methods": ["edisp-bias"]}, (14400, 11), (13500, 9)),
    ({"methods": ["edisp-bias"], "bias_percent": 2, "position": CRAB}, (11700, 14), (12000, 11)),
    ({"methods": ["bkg-peak"]}, (16200, 9), (14250, 8)),
    ({"methods": ["aeff-max"], "irfs": "DL3"}, (17100, 8), (15000, 7)),
    ({"methods": ["aeff-max"], "irfs": "DL3", "position": CRAB, "aeff_percent": 30}, (15300, 10), (12750, 10)),
    ({"methods": ["edisp-bias"], "irfs": "DL3", "fixed_offset": 0.5}, (15300, 10), (13500, 9)),
    ({"methods": ["bkg-peak"], "irfs": "DL3"}, (17100, 8), (14250, 8)),
]


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::gammax.errors.GammaxWarning")
@pytest.mark.parametrize("run", [0, 1])
def test_safe_masks_of_gammapy(data_dir, run):
    obs = DataStore.from_dir(data_dir / "hess-dl3-dr1").obs((23523, 23559)[run])
    energy = MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", nbin=10, per_decade=True)
    true = MapAxis.from_energy_bounds("0.05 TeV", "100 TeV", nbin=20, per_decade=True, name="energy_true")
    geom = WcsGeom.create(skydir=(83.633, 22.014), binsz=0.1, width=3, axes=[energy])
    dataset = MapDatasetMaker().run(MapDataset.create(geom, true), obs)
    for options, *expected in PEER:
        mask = SafeMaskMaker(**options).run(dataset.replace(mask_safe=None), obs).mask_safe.data
        assert (mask.sum(), np.argmax(mask.any(axis=(1, 2)))) == expected[run], options
    # in the first bins the table has no rate, which the peer takes for a background of 1e-36 counts
    mask = SafeMaskMaker("offset-max", offset_max=1).run(dataset.replace(mask_safe=None), obs).mask_safe.data
    assert mask[3:].sum() == 24 * (316, 157)[run]
    assert not mask[:2].any()


def test_safe_mask_of_pixels():
    dataset = cube(around(SOURCE, [0.0], [0.5]))
    obs = observation(aeff=area(LO_THRES=0.3, HI_THRES=4.0))
    distance = dataset.geom.separation(POINTING).to_value("deg")
    made = SafeMaskMaker(["offset-max", "aeff-default"], offset_max="0.55 deg").run(dataset, obs)
    energies = np.array([False, True, True, False])  # bins of 0.1, 0.316, 1, 3.16, 10 TeV
    assert_array_equal(made.mask_safe.data, energies[:, None, None] & (distance < 0.55))
    # what the mask left out stays out, and so do pixels without background
    holes = dataset.background.data.copy()
    holes[0, 3, 4], holes[1, 5, 6] = 0.0, np.nan
    dark = made.replace(background=dataset.background.replace(data=holes), mask_safe=made.mask_safe)
    again = SafeMaskMaker(["offset-max"], offset_max=3).run(dark, obs).mask_safe.data
    assert_array_equal(again, made.mask_safe.data & (np.nan_to_num(holes) > 0))
    with pytest.warns(GammaxWarning, match="no bin is left"):
        SafeMaskMaker(["offset-max"], offset_max=0).run(dataset, obs)
    with pytest.raises(SchemaError, match="unknown irfs 'DL5'"):
        SafeMaskMaker(irfs="DL5")
    with pytest.raises(SchemaError, match="bkg-peak needs the observation"):
        SafeMaskMaker("bkg-peak", irfs="DL3").run(dataset)


def at(angle, distance, n, obs_id):
    """Run that points elsewhere, with n events at the source."""
    pointing = SOURCE.directional_offset_by(angle * u.deg, distance * u.deg)
    return observation(around(SOURCE, np.zeros(n), np.full(n, 0.5)), obs_id=obs_id, pointing=pointing, bkg=field())


RUNS = [at(0, 0.2, 2, 11), at(90, 0.2, 3, 12), at(180, 0.9, 4, 13)]
MAKERS = (MapDatasetMaker(), SafeMaskMaker(["offset-max"], offset_max="0.6 deg"))


def sky_image():
    """Image of 3 deg around the source."""
    return reference(npix=30, skydir=SOURCE)


def test_each_run_on_its_part_of_the_image():
    datasets = DatasetsMaker(MAKERS, stack_datasets=False).run(sky_image(), RUNS)
    assert datasets.names == ["11", "12", "13"]
    for dataset, obs in zip(datasets, RUNS, strict=True):
        assert dataset.geom.npix == (12, 12)
        assert dataset.geom.center_skydir.separation(obs.get_pointing_icrs()).deg < 0.08
    assert [dataset.counts.data.sum() for dataset in datasets] == [2, 3, 0]
    whole = DatasetsMaker(MAKERS[:1], stack_datasets=False).run(sky_image(), RUNS[:1])[0]
    assert whole.geom.npix == (30, 30)
    wide = DatasetsMaker(MAKERS, stack_datasets=False, cutout_width="2 deg", cutout_mode="partial")
    assert wide.run(sky_image(), RUNS[:1])[0].geom.npix == (20, 20)


@pytest.mark.parametrize("executor", [None, "threads"])
def test_stack_is_the_sum_of_its_parts(executor):
    pool = ThreadPoolExecutor(2) if executor else None
    (stacked,) = DatasetsMaker(MAKERS, executor=pool).run(sky_image(), RUNS)
    kept = DatasetsMaker(MAKERS, stack_datasets=False).run(sky_image(), RUNS)
    assert stacked.meta["stacked"] == ["11", "12", "13"]
    assert stacked.livetime == 3 * LIVETIME
    assert len(stacked.meta_table) == 3
    # the third looks at the source from 0.9 deg: it is not on its part of the image
    assert stacked.counts.data.sum() == 5
    counts, background, mask = (np.zeros(stacked.counts.data.shape) for _ in range(3))
    for dataset in kept:
        part = (slice(None), *dataset.geom.cutout_slices(stacked.geom)["parent-slices"])
        counts[part] += dataset.mask * dataset.counts.data
        background[part] += dataset.mask * dataset.background.data
        mask[part] += dataset.mask
    assert_array_equal(stacked.counts.data, counts)
    assert_allclose(stacked.background.data, background, rtol=1e-12)
    assert_array_equal(stacked.mask_safe.data, mask > 0)
    assert 2 in mask
    # so is the prediction of a source that is well inside of the masks of two of them, and far outside of the third
    spectrum = PowerLawSpectralModel(index=2.2, amplitude="1e-9 cm-2 s-1 TeV-1")
    source = Models(SkyModel(spectrum, "source", spatial_model=PointSpatialModel(lon_0=SOURCE.ra, lat_0=SOURCE.dec)))
    predicted = sum(np.sum(d.mask * d.npred_signal(source).data, axis=(1, 2)) for d in kept[:2])
    assert predicted.min() > 1
    assert_allclose(stacked.npred_signal(source).data.sum(axis=(1, 2)), predicted, rtol=1e-3)


def test_stack_does_not_depend_on_the_order():
    one, other = (DatasetsMaker(MAKERS).run(sky_image(), runs)[0] for runs in (RUNS, RUNS[::-1]))
    assert_allclose(one.exposure.data, other.exposure.data, rtol=1e-12)
    assert_allclose(one.psf.psf_map.data, other.psf.psf_map.data, rtol=1e-10, atol=1e-10)
    assert_allclose(one.edisp.edisp_map.data, other.edisp.edisp_map.data, atol=1e-12)


def test_runs_elsewhere_are_left_out():
    far = at(0, 5, 1, 14)
    with pytest.warns(GammaxWarning, match=r"observations left out: 14 \(outside the image\)"):
        (stacked,) = DatasetsMaker(MAKERS).run(sky_image(), [RUNS[0], far])
    assert stacked.meta == {"stacked": ["11"], "skipped": ["14"]}
    with pytest.raises(DataValueError, match=r"no observation is left(.|\n)*14: outside the image"):
        DatasetsMaker(MAKERS).run(sky_image(), [far])
    masked = (*MAKERS[:1], SafeMaskMaker(["offset-max"], offset_max=0.6), SafeMaskMaker(["offset-max"], offset_max=0))
    with pytest.raises(DataValueError, match=r"no bin of any dataset(.|\n)*11, 12, 13"):
        DatasetsMaker(masked).run(sky_image(), RUNS)


def test_fit_range_of_the_image_is_that_of_the_stack():
    image = sky_image()
    ranged = image.replace(mask_fit=image.geom.energy_mask("0.3 TeV", "10 TeV"))
    stacked = DatasetsMaker(MAKERS).run(ranged, RUNS)[0]
    assert stacked.mask_fit is ranged.mask_fit
    assert_array_equal(stacked.mask_safe.data, DatasetsMaker(MAKERS).run(image, RUNS)[0].mask_safe.data)
    kept = DatasetsMaker(MAKERS, stack_datasets=False).run(ranged, RUNS)[0]
    assert_array_equal(kept.mask_fit.data.any(axis=(1, 2)), [False, True, True, True])


def test_selected_parts_and_rings_stack():
    counts_only = (MapDatasetMaker(["counts", "background"]), MAKERS[1], FoVBackgroundMaker())
    stacked = DatasetsMaker(counts_only).run(sky_image(), RUNS[:2])[0]
    assert stacked.exposure is stacked.psf is stacked.edisp is None
    assert stacked.background.data.sum() == pytest.approx(5)
    rings = DatasetsMaker([*MAKERS, RingBackgroundMaker(0.25, 0.2)]).run(sky_image(), RUNS)[0]
    assert isinstance(rings, MapDatasetOnOff)
    kept = DatasetsMaker([*MAKERS, RingBackgroundMaker(0.25, 0.2)], stack_datasets=False).run(sky_image(), RUNS)
    assert_allclose(rings.background.data.sum(), sum((d.background.data * d.mask).sum() for d in kept), rtol=1e-10)


@pytest.mark.data
def test_processes(data_dir):
    """Two runs in two spawned workers, to the bit as in one process."""
    store = DataStore.from_dir(data_dir / "hess-dl3-dr1")
    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=3)
    true = MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", nbin=5, name="energy_true")
    geom = WcsGeom.create(skydir=(83.633, 22.014), binsz=0.1, width=3, axes=[energy])
    mask = geom.to_image().region_mask([CircleSkyRegion(CRAB, 0.3 * u.deg)], inside=False)
    makers = (MapDatasetMaker(), SafeMaskMaker(["offset-max"], offset_max=2), FoVBackgroundMaker("fit", mask))
    runs, image = store.get_observations([23523, 23559]), MapDataset.create(geom, true)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GammaxWarning)
        one = DatasetsMaker(makers).run(image, runs)[0]
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
            two = DatasetsMaker(makers, executor=executor).run(image, runs)[0]
    for name in ("counts", "background", "exposure", "mask_safe"):
        mine, theirs = getattr(one, name), getattr(two, name)
        assert isinstance(mine, WcsNDMap)
        assert_array_equal(mine.data, theirs.data)
    assert_array_equal(one.psf.psf_map.data, two.psf.psf_map.data)
    assert_array_equal(one.edisp.edisp_map.data, two.edisp.edisp_map.data)
