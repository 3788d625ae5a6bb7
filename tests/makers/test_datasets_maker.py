"""Many observations: names, stacks, workers, faults that name the observation."""

import multiprocessing
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from numpy.testing import assert_allclose, assert_array_equal
from regions import CircleSkyRegion
from small_run import ENERGY, SOURCE, TRUE, area, around, empty, observation

from gammax._fits import open_fits
from gammax.data import DataStore, Observations, _lazy
from gammax.datasets import SpectrumDataset
from gammax.errors import DataValueError, GammaxError, GammaxWarning, ResourceError
from gammax.makers import DatasetsMaker, ReflectedRegionsBackgroundMaker, SafeMaskMaker, SpectrumDatasetMaker
from gammax.makers._gathered import summed_up
from gammax.maps import RegionGeom, WcsGeom

CRAB = SkyCoord(83.63, 22.01, unit="deg")
MAKERS = (SpectrumDatasetMaker(), ReflectedRegionsBackgroundMaker(), SafeMaskMaker(["aeff-max"]))
RUNS = [observation(around(SOURCE, [0.0] * n, [0.5] * n), obs_id=10 + n) for n in (1, 2, 3)]


def test_keep():
    datasets = DatasetsMaker(MAKERS, stack_datasets=False).run(empty(), Observations(RUNS))
    assert datasets.names == ["11", "12", "13"]
    assert [dataset.counts.values().sum() for dataset in datasets] == [1, 2, 3]


def test_stack():
    kept = DatasetsMaker(MAKERS, stack_datasets=False).run(empty(), RUNS)
    (stacked,) = DatasetsMaker(MAKERS).run(empty(), RUNS)
    assert stacked.name == "stacked"
    assert stacked.meta["stacked"] == ["11", "12", "13"]
    assert stacked.counts.values().sum() == 6
    assert stacked.livetime == 3000
    # npred of the stack is the sum of the masked npreds, for any flux
    flux = np.random.default_rng(1).uniform(1, 2, empty().energy_axis_true.nbin)
    expected = sum(np.where(d.mask, d.arrays.response @ flux, 0) for d in kept)
    assert_allclose(stacked.arrays.response @ flux, expected, rtol=1e-10)


def test_pieces_of_one_observation():
    start = RUNS[2].tstart
    cuts = [[start + k * 499 * u.s, start + (k + 1) * 499 * u.s] for k in range(2)]
    pieces = Observations([*(RUNS[2].select_time(cut) for cut in cuts), RUNS[0]])
    datasets = DatasetsMaker(MAKERS, stack_datasets=False).run(empty(), pieces)
    assert datasets.names == ["13-0", "13-1", "11"]
    # events at 1, 500 and 999 s: the last is in no piece
    assert [dataset.counts.values().sum() for dataset in datasets] == [1, 1, 1]
    assert [dataset.livetime for dataset in datasets] == pytest.approx([499, 499, 1000], abs=1e-6)


def half_excluded():
    """An exclusion mask that leaves no OFF region to pointings south of the source."""
    geom = WcsGeom.create(npix=(200, 100), binsz=0.02, skydir=SOURCE.directional_offset_by(180 * u.deg, 1.0 * u.deg))
    return geom.region_mask("icrs;circle(0, 0, 0.1)", inside=False).replace(data=np.zeros(geom.data_shape, bool))


def southern(obs_id=20):
    pointing = SOURCE.directional_offset_by(180 * u.deg, 0.5 * u.deg)
    return observation(around(SOURCE, [0.0], [0.5]), obs_id=obs_id, pointing=pointing)


@pytest.mark.parametrize("stack", [False, True])
def test_no_off_region_is_left_out(stack):
    makers = (MAKERS[0], ReflectedRegionsBackgroundMaker(exclusion_mask=half_excluded()), MAKERS[2])
    maker = DatasetsMaker(makers, stack_datasets=stack)
    with (
        pytest.warns(GammaxWarning, match=r"observations left out: 20 \(no OFF region\)"),
        pytest.warns(GammaxWarning, match="observation 20: no OFF region found"),
    ):
        datasets = maker.run(empty(), [RUNS[0], southern(), RUNS[1]])
    with pytest.warns(GammaxWarning, match="observation 20: no OFF region found"):
        reduction = maker.reduce(empty(), [RUNS[0], southern(), RUNS[1]])
    assert reduction.skipped == {"20": "no OFF region"}
    assert datasets.names == reduction.datasets.names == (["stacked"] if stack else ["11", "12"])
    if stack:
        assert datasets[0].meta == {"stacked": ["11", "12"], "skipped": ["20"]}
        assert datasets[0].counts.values().sum() == 3


@pytest.mark.parametrize("threads", [0, 2])
def test_a_run_that_does_not_see_the_on_region_is_left_out(threads):
    # the effective area of these runs ends at an offset of 2 deg
    far = SOURCE.directional_offset_by(0 * u.deg, 5 * u.deg)
    runs = [RUNS[0], observation(around(SOURCE, [0.0], [0.5]), obs_id=40, pointing=far), RUNS[1]]
    with ThreadPoolExecutor(threads) if threads else nullcontext() as executor:
        reduction = DatasetsMaker(MAKERS, stack_datasets=False, executor=executor).reduce(empty(), runs)
    assert reduction.datasets.names == ["11", "12"]
    assert reduction.skipped == {"40": "ON region outside of the field of view"}
    with pytest.raises(DataValueError, match=r"GX-MAKERS-051(.|\n)*40: ON region outside of the field of view"):
        DatasetsMaker(MAKERS).reduce(empty(), runs[1:2])


def test_nothing_left():
    makers = (MAKERS[0], ReflectedRegionsBackgroundMaker(exclusion_mask=half_excluded()))
    with (
        pytest.warns(GammaxWarning, match="no OFF region found"),
        pytest.raises(DataValueError, match=r"no observation is left(.|\n)*20: no OFF region"),
    ):
        DatasetsMaker(makers).run(empty(), [southern()])
    with pytest.raises(DataValueError, match="no observation to reduce"):
        DatasetsMaker(MAKERS).run(empty(), [])


class Broken:
    def run(self, dataset, observation):
        raise KeyError("x")


def dark():
    return observation(around(SOURCE, [0.0], [0.5]), obs_id=30, aeff=area(0.0))


def test_a_failing_run_is_named():
    with pytest.raises(DataValueError, match="obs 30: the effective area is zero") as error:
        DatasetsMaker(MAKERS).run(empty(), [RUNS[0], dark()])
    assert error.value.context["obs_id"] == 30
    with pytest.raises(GammaxError, match=r"a maker failed: KeyError\('x'\)(.|\n)*obs_id 11") as error:
        DatasetsMaker([*MAKERS, Broken()]).run(empty(), RUNS)
    assert isinstance(error.value.__cause__, KeyError)


def test_threads():
    with ThreadPoolExecutor(2) as executor:
        datasets = DatasetsMaker(MAKERS, stack_datasets=False, executor=executor).run(empty(), RUNS)
        with pytest.raises(DataValueError, match="obs 30"):
            DatasetsMaker(MAKERS, executor=executor).run(empty(), [*RUNS, dark()])
    assert datasets.names == ["11", "12", "13"]
    assert [dataset.counts.values().sum() for dataset in datasets] == [1, 2, 3]


def test_spawned_processes():
    """Results to the bit, warnings and errors as in one process."""
    makers = (MAKERS[0], ReflectedRegionsBackgroundMaker(exclusion_mask=half_excluded()), MAKERS[2])
    runs = [*RUNS, southern()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        serial = DatasetsMaker(makers, stack_datasets=False).run(empty(), runs)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        maker = DatasetsMaker(makers, stack_datasets=False, executor=executor)
        with (
            pytest.warns(GammaxWarning, match="left out: 20"),
            pytest.warns(GammaxWarning, match="observation 20: no OFF region found"),
        ):
            datasets = maker.run(empty(), runs)
        with pytest.raises(DataValueError, match="obs 30: the effective area is zero") as error:
            DatasetsMaker(MAKERS, executor=executor).run(empty(), [dark()])
        with pytest.raises(ResourceError, match=r"a worker failed(.|\n)*obs_id 11"):
            DatasetsMaker([lambda: None], executor=executor).run(empty(), RUNS[:1])
    assert error.value.context["obs_id"] == 30
    assert datasets.names == serial.names
    for mine, theirs in zip(datasets, serial, strict=True):
        for name in ("counts", "counts_off", "exposure", "mask_safe"):
            assert_array_equal(getattr(mine, name).values(), getattr(theirs, name).values())
        assert_array_equal(mine.edisp.pdf_matrix, theirs.edisp.pdf_matrix)


def test_all_that_is_skipped_is_recorded():
    """A run without OFF region, and one that the safe mask leaves no bin."""
    far = observation(
        around(SOURCE, [0.0], [0.5]), obs_id=21, pointing=SOURCE.directional_offset_by(0 * u.deg, 0.6 * u.deg)
    )
    background = ReflectedRegionsBackgroundMaker(exclusion_mask=half_excluded())
    makers = (MAKERS[0], background, SafeMaskMaker("offset-max", offset_max=0.55))
    with (
        pytest.warns(GammaxWarning, match="no OFF region found"),
        pytest.warns(GammaxWarning, match="'21': no bin is left"),
    ):
        reduction = DatasetsMaker(makers).reduce(empty(), [southern(), far, RUNS[0]])
    assert reduction.datasets[0].meta == {"stacked": ["11"], "skipped": ["21", "20"]}


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::gammax.errors.GammaxWarning")
def test_files_are_read_once_and_nothing_stays_in_memory(data_dir, monkeypatch):
    obs = DataStore.from_dir(data_dir / "hess-dl3-dr1").obs(23523)
    middle = obs.unread().tmid
    pieces = [obs.select_time([middle - 1 * u.h, middle]), obs.select_time([middle, middle + 1 * u.h])]
    opened = []
    monkeypatch.setattr(_lazy, "open_fits", lambda path: opened.append(path) or open_fits(path))
    maker = DatasetsMaker([SpectrumDatasetMaker()], stack_datasets=False)
    first, second = maker.run(empty(CircleSkyRegion(CRAB, 0.1 * u.deg)), pieces)
    assert first.livetime + second.livetime == pytest.approx(1581.7367646954, rel=1e-9)
    assert len(opened) == 1
    assert obs.parts._read == obs.parts._raw == {}


def test_warnings_are_summed_up():
    texts = [f"/data/run_{k}.fits.gz: HDU {name} has {k} negative of 576 cells (smallest -{k}.5e-3), set to 0"
             for k in (3, 1, 2) for name in ("AEFF", "EDISP")]  # fmt: skip
    late = "/data/run_1.fits.gz: 2 of 99 events lie more than 1 s outside of the good time intervals"
    masked = ["observation 20: no OFF region found; dataset '20' is masked",
              "observation 7: no OFF region found; dataset '7' is masked"]  # fmt: skip
    summary = summed_up([*texts, late, late, *masked])
    assert sorted(summary) == [
        late,
        "in 2 observations (first: observation 20: no OFF region found; dataset '20' is masked)",
        "in 3 files (first: /data/run_1.fits.gz: HDU AEFF has 1 negative of 576 cells (smallest -1.5e-3), set to 0)",
    ]
    assert summed_up([*texts[::-1], late, *masked[::-1]]) == summary


@pytest.mark.parametrize("executor", [None, "threads"])
def test_one_warning_of_each_kind(executor):
    silent = [observation(around(SOURCE, [0.0], [1.0]), obs_id=k, aeff=area(pointlike=True)) for k in (1, 2, 3)]
    pool = ThreadPoolExecutor(2) if executor else None
    with pytest.warns(GammaxWarning, match="say no RAD_MAX") as caught:
        DatasetsMaker([SpectrumDatasetMaker()], stack_datasets=False, executor=pool).run(empty(), silent)
    assert [str(w.message)[:42] for w in caught] == ["in 3 observations (first: observation 1: t"]
    assert caught[0].filename.endswith("_datasets_maker.py")


class Careless:
    """A maker of somebody else, who warns."""

    def run(self, dataset, observation):
        warnings.warn("mind the gap", RuntimeWarning, stacklevel=1)
        return dataset


def test_warnings_of_others_come_through():
    with pytest.warns(RuntimeWarning, match="mind the gap"):
        DatasetsMaker([Careless()], stack_datasets=False).run(empty(), [observation(around(SOURCE, [0.0], [1.0]))])


@pytest.mark.data
def test_what_hess_runs_warn_of(data_dir):
    store = DataStore.from_dir(data_dir / "hess-dl3-dr1")
    on = CircleSkyRegion(SkyCoord(83.63, 22.01, unit="deg"), 0.11 * u.deg)
    dataset = SpectrumDataset.create(RegionGeom.create(on, [ENERGY]), TRUE, "crab")
    chosen = store.get_observations([23523, 23526, 23559, 23592])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        DatasetsMaker([SpectrumDatasetMaker(containment_correction=True)]).run(dataset, chosen)
    kinds = [str(w.message) for w in seen]
    assert len(kinds) <= 1
    assert all("negative of" in text for text in kinds)
