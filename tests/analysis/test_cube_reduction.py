"""Cubes from the configuration, on the demo's event files."""

import pickle

import numpy as np
import pytest
from demo_cubes import CENTER, cube_config
from regions import CircleSkyRegion

from gammax.analysis import Analysis
from gammax.analysis._backgrounds import with_backgrounds
from gammax.analysis._reduce_cube import make_cube_recipe, source_region
from gammax.data import DataStore
from gammax.datasets import Datasets
from gammax.errors import GammaxError
from gammax.makers import AdaptiveRingBackgroundMaker, FoVBackgroundMaker, MapDatasetMaker, RingBackgroundMaker
from gammax.models import (
    FoVBackgroundModel,
    GaussianSpatialModel,
    Models,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return cube_config(tmp_path_factory.mktemp("cubes") / "demo")


def reduced(config, **datasets):
    analysis = Analysis(config.update({"datasets": datasets}))
    analysis.get_observations()
    analysis.get_datasets()
    return analysis


def source(spatial_model, name="source"):
    return SkyModel(PowerLawSpectralModel(), name=name, spatial_model=spatial_model)


@pytest.fixture(scope="module")
def both(config):
    region = {**CENTER, "radius": "0.2 deg"}
    return tuple(reduced(config, stack=stack, on_region=region) for stack in (False, True))


def test_the_image_is_that_of_the_configuration(config):
    recipe = make_cube_recipe(config)
    geom = recipe.dataset.geom
    assert (geom.npix, geom.proj, geom.frame) == ((20, 16), "CAR", "icrs")
    np.testing.assert_allclose([geom.center_skydir.ra.deg, geom.center_skydir.dec.deg], [83.63, 22.01], atol=1e-9)
    np.testing.assert_allclose(geom.axes["energy"].edges_value("TeV"), np.geomspace(0.5, 20, 5))
    assert recipe.dataset.exposure.geom.axes["energy_true"].nbin == 12
    np.testing.assert_allclose(recipe.dataset.psf.psf_map.geom.pixel_scales.to_value("deg"), 0.4)
    # an observation fills so wide a part of it
    assert recipe.cutout_width.to_value("deg") == 3.0
    galactic = config.update({"datasets": {"geom": {"wcs": {"skydir": {"frame": "galactic", "lon": "0 deg"}}}}})
    assert make_cube_recipe(galactic).dataset.geom.frame == "galactic"


def test_makers_are_those_of_the_background(config):
    def maker(**background):
        return make_cube_recipe(config.update({"datasets": {"background": background}})).makers[2]

    fov = maker(parameters={"method": "fit", "min_counts": 3})
    assert isinstance(fov, FoVBackgroundMaker)
    assert (fov.method, fov.min_counts) == ("fit", 3)
    assert fov.exclusion_mask is not None
    ring = maker(method="ring", parameters={"r_in": "0.5 deg", "width": 0.3})
    assert isinstance(ring, RingBackgroundMaker)
    assert (ring.r_in, ring.width) == (0.5, 0.3)
    growing = maker(method="ring", parameters={"r_in": "0.5 deg", "width": 0.3, "r_out_max": "2 deg"})
    assert isinstance(growing, AdaptiveRingBackgroundMaker)
    assert growing.r_out_max == 2.0
    parts = config.update({"datasets": {"background": {"method": None}, "map_selection": ["counts", "exposure"]}})
    first, *rest = make_cube_recipe(parts).makers
    assert isinstance(first, MapDatasetMaker)
    assert first.selection == ("counts", "exposure")
    assert len(rest) == 2


def test_makers_go_to_worker_processes(config):
    makers = make_cube_recipe(config, Models(source(PointSpatialModel(lon_0="83.63 deg", lat_0="22 deg")))).makers
    copied = pickle.loads(pickle.dumps(makers))
    assert copied[-1].region.center.ra.deg == pytest.approx(83.63)


WRONG = [
    ({"geom": {"wcs": {"skydir": {"lon": None}}}}, "GX-ANALYSIS-070", "datasets.geom.wcs.skydir.lon"),
    ({"geom": {"wcs": {"skydir": {"lat": "95 deg"}}}}, "GX-ANALYSIS-071", "datasets.geom.wcs.skydir.lat"),
    ({"geom": {"wcs": {"binsize": "-0.1 deg"}}}, "GX-MAPS-108", "datasets.geom.wcs"),
    ({"geom": {"wcs": {"binsize_irf": "0 deg"}}}, "GX-MAPS-108", "datasets.geom.wcs.binsize_irf"),
    ({"background": {"method": "reflected"}}, "GX-ANALYSIS-091", "datasets.background.method"),
    ({"background": {"method": "ring"}}, "GX-ANALYSIS-070", "datasets.background.parameters.r_in"),
    (
        {"background": {"method": "ring", "parameters": {"r_in": "0.5 deg", "width": "0.2 deg", "r_out_max": 0.6}}},
        "GX-MAKERS-101",
        "datasets.background.parameters",
    ),
    ({"background": {"parameters": {"methods": "fit"}}}, "GX-ANALYSIS-001", "datasets.background.parameters.methods"),
    ({"map_selection": ["counts", "exposure"]}, "GX-ANALYSIS-090", "datasets.map_selection"),
    ({"map_selection": ["counts", "background"]}, "GX-ANALYSIS-090", "datasets.map_selection"),
    ({"on_region": {"lon": "83 deg"}}, "GX-ANALYSIS-070", "datasets.on_region.frame"),
]


@pytest.mark.parametrize(("datasets", "code", "key"), WRONG, ids=[f"{case[1]} {case[2]}" for case in WRONG])
def test_what_is_wrong_is_said_before_events_are_read(config, tmp_path, monkeypatch, datasets, code, key):
    unset = {"frame": None, "lon": None, "lat": None, "radius": None}
    monkeypatch.setattr(DataStore, "from_dir", lambda *_: pytest.fail("this must be said before"))
    wrong = config.update({"datasets": {"on_region": unset}}).update({"datasets": datasets})
    with pytest.raises(GammaxError) as caught:
        Analysis(wrong).run(tmp_path / "out")
    assert (caught.value.code, caught.value.context["key"]) == (code, key)


def test_a_stack_is_the_sum_of_its_observations(both):
    kept, stacked = both
    assert (kept.datasets.names, stacked.datasets.names) == (["1", "2", "3", "4"], ["stacked"])
    (total,) = stacked.datasets
    geom = total.geom
    counts, background = np.zeros(geom.data_shape), np.zeros(geom.data_shape)
    for part in kept.datasets:
        x, y = geom.to_image().coord_to_idx(part.geom.to_image().pix_to_coord((0, 0))["skycoord"])
        nx, ny = part.geom.npix
        where = np.s_[:, int(y) : int(y) + ny, int(x) : int(x) + nx]
        counts[where] += np.where(part.mask, part.counts.data, 0)
        background[where] += np.where(part.mask, part.background.data, 0)
    np.testing.assert_array_equal(total.counts.data, counts)
    np.testing.assert_allclose(total.background.data, background, rtol=1e-12)
    assert counts.sum() > 1000


def test_every_observation_has_its_line(both):
    kept, _ = both
    for analysis in both:
        assert [run.status for run in analysis.runs.rows] == ["used"] * 4
        # what carried the numbers through stacks is gone
        assert not [name for dataset in analysis.datasets for name in dataset.meta_table.colnames if "LEDGER" in name]
    ours, theirs = (analysis.runs.to_table() for analysis in both)
    assert ours.pformat() == theirs.pformat()
    region = CircleSkyRegion(source_region(kept.config, None).center, 0.2 * ours["RA_PNT"].unit)
    for row, dataset in zip(ours, kept.datasets, strict=True):
        assert row["DATASET"] == dataset.name
        inside = dataset.mask & dataset.geom.to_image().region_mask(region).data
        assert row["COUNTS"] == dataset.counts.data[dataset.mask].sum()
        assert row["ON_COUNTS"] == dataset.counts.data[inside].sum()
        assert row["ON_BACKGROUND"] == pytest.approx(dataset.background.data[inside].sum())
        # simulated with the background of the responses
        assert row["BKG_NORM"] == pytest.approx(1.0, abs=4 * row["BKG_NORM_ERR"])
        # 0.5 deg wobbles
        assert row["OFFSET"] == pytest.approx(0.5, abs=1e-3)
    assert ours["ON_SIGNIFICANCE"].min() > 5


def test_sums_follow_the_fit_range(both):
    runs, dataset = both[0].runs, both[0].datasets[0]
    edges = dataset.energy_axis.edges_value("TeV")
    within = runs.within(f"{0.9 * edges[1]} TeV", f"{edges[3]} TeV")
    np.testing.assert_array_equal(within.bins, [False, True, True, False])
    expected = np.where(dataset.mask, dataset.counts.data, 0)[1:3].sum()
    assert within.numbers(["1"])["counts"] == expected
    assert runs.within(None, None) is runs


def test_observations_that_do_not_see_the_image_are_left_out(config):
    # 3 deg north: pointings differ, none of them within 1 deg of the image
    away = {"geom": {"wcs": {"skydir": {"lat": "26 deg"}}, "selection": {"offset_max": "1 deg"}}}
    with pytest.raises(GammaxError, match="GX-MAKERS-051") as caught:
        reduced(config, **away)
    assert caught.value.context["key"] == "datasets.geom.wcs"


def test_a_ring_makes_on_off_cubes(config):
    ring = {"method": "ring", "parameters": {"r_in": "0.4 deg", "width": "0.2 deg"}}
    (dataset,) = reduced(config.update({"observations": {"obs_ids": [1, 2]}}), stack=True, background=ring).datasets
    assert (dataset.stat_type, dataset.name) == ("wstat", "stacked")
    assert dataset.counts_off.data.sum() > 100


def test_the_region_is_asked_for_or_that_of_a_source(config):
    point = source(PointSpatialModel(lon_0="1 deg", lat_0="2 deg"), "point")
    wide = source(GaussianSpatialModel(lon_0="3 deg", lat_0="4 deg", sigma="0.1 deg"), "demo source")
    models = Models([point, wide])
    region = source_region(config.update({"datasets": {"on_region": {**CENTER, "radius": "0.3 deg"}}}), models)
    assert (region.center.ra.deg, region.radius.to_value("deg")) == (83.63, 0.3)
    free = config.update({"datasets": {"on_region": dict.fromkeys(("frame", "lon", "lat", "radius"))}})
    # that of the flux points, with half of 5 sigma more than a point
    region = source_region(free, models)
    assert (region.center.ra.deg, region.radius.to_value("deg")) == (3.0, pytest.approx(0.15 + 0.25))
    region = source_region(free, Models(point))
    assert (region.center.ra.deg, region.radius.to_value("deg")) == (1.0, 0.15)
    assert source_region(free, None) is None


def test_backgrounds_that_no_model_scales_get_a_norm(both):
    kept = both[0].datasets
    empty = kept[2].replace(mask_fit=kept[2]._to_map(np.zeros(kept[2].mask.shape, bool)))
    datasets = Datasets([kept[0], kept[1], empty, kept[3].replace(background=None)])
    models = Models([source(PointSpatialModel()), FoVBackgroundModel("1")])
    assert with_backgrounds(models, datasets).names == ("source", "1-bkg", "2-bkg")
    assert with_backgrounds(models, datasets[:1]) is models
