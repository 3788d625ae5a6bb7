"""From the flux_points section to edges, source and options."""

import dataclasses
import re
from typing import get_args

import numpy as np
import pytest

from gammax.analysis import AnalysisConfig
from gammax.analysis._flux import flux_edges, flux_options, flux_source
from gammax.analysis._sections import FluxOptions, FluxQuantity
from gammax.datasets import Datasets
from gammax.errors import DataValueError, FitError, GeometryError, SchemaError
from gammax.estimators import FluxPointsEstimator
from gammax.maps import MapAxis, RegionNDMap
from small_project import ENERGY, make_onoff, true_models

EDGES = ENERGY.edges_value("TeV")


def edges(datasets, **energy):
    config = AnalysisConfig().update({"flux_points": {"energy": energy}})
    return flux_edges(config, Datasets(datasets)).to_value("TeV")


def test_null_energies_are_the_reconstructed_edges_inside_the_mask():
    dataset = make_onoff().with_fit_range("0.1 TeV", "6 TeV")
    # mask_safe leaves out the first bin, the fit range the last
    np.testing.assert_allclose(edges([dataset]), EDGES[1:8], rtol=1e-12)


def test_limits_cut_the_reconstructed_edges():
    np.testing.assert_allclose(edges([make_onoff()], min="300 GeV"), EDGES[2:], rtol=1e-12)
    np.testing.assert_allclose(edges([make_onoff()], min="300 GeV", max="1.000000001 TeV"), EDGES[2:5], rtol=1e-12)


def test_nbins_makes_logarithmic_bins_between_the_limits():
    np.testing.assert_allclose(
        edges([make_onoff()], min="0.2 TeV", max="20 TeV", nbins=2), [0.2, 2.0, 20.0], rtol=1e-12
    )
    np.testing.assert_allclose(edges([make_onoff()], nbins=1), EDGES[[1, -1]], rtol=1e-12)


def test_nbins_alone_takes_the_nearest_reconstructed_edges():
    # eight bins, the first outside mask_safe: thirds of the seven in ln E are at bins 2.33 and 4.67
    np.testing.assert_allclose(edges([make_onoff()], nbins=3), EDGES[[1, 3, 6, 8]], rtol=1e-12)
    np.testing.assert_allclose(edges([make_onoff()], nbins=50), EDGES[1:], rtol=1e-12)


def test_datasets_of_other_axes_share_edges():
    keV = ENERGY.to_unit("keV")
    np.testing.assert_allclose(edges([make_onoff(), make_onoff("b", keV)]), EDGES[1:], rtol=1e-12)
    # bins twice as wide where both have data: only their edges; below them, those of the fine axis
    coarse = MapAxis.from_energy_edges(EDGES[::2], unit="TeV")
    np.testing.assert_allclose(edges([make_onoff(), make_onoff("b", coarse)]), EDGES[[1, 2, 4, 6, 8]], rtol=1e-12)


def test_datasets_without_common_edges_need_nbins():
    one = MapAxis.from_energy_edges([0.1, 1.0, 3.0, 9.0], unit="TeV")
    other = MapAxis.from_energy_edges([0.1, 1.1, 2.0, 4.0], unit="TeV")
    datasets = [make_onoff("a", one), make_onoff("b", other)]
    np.testing.assert_allclose(edges(datasets), [1.0, 9.0])
    with pytest.raises(GeometryError, match="GX-ANALYSIS-023"):
        edges(datasets, max="8 TeV")


def test_nothing_left_and_limits_in_the_wrong_order():
    dataset = make_onoff()
    masked = dataset.replace(mask_safe=RegionNDMap(dataset.geom, np.zeros(ENERGY.nbin, bool)))
    np.testing.assert_allclose(edges([masked, make_onoff("b")]), EDGES[1:], rtol=1e-12)
    with pytest.raises(DataValueError, match="GX-ANALYSIS-024"):
        edges([masked])
    with pytest.raises(DataValueError, match="GX-ANALYSIS-022"):
        edges([dataset], min="3 TeV", max="2 TeV")
    with pytest.raises(GeometryError, match="GX-ANALYSIS-025") as caught:
        edges([dataset], min="20 TeV", max="30 TeV", nbins=2)
    assert caught.value.context["key"] == "flux_points.energy"


def test_a_source_that_does_not_exist_means_the_only_model():
    config = AnalysisConfig()
    assert flux_source(config, true_models("crab")) == "crab"
    two = true_models("crab") + true_models("source")
    assert flux_source(config, two) == "source"
    with pytest.raises(SchemaError, match="did you mean 'crab'") as caught:
        flux_source(config.update("flux_points: {source: carb}"), two)
    assert caught.value.context["key"] == "flux_points.source"


def test_options_are_those_of_the_estimator():
    # the order of the folding is that of the fit before; the covariance of joint points has no place in their files
    own = {"energy_edges", "source", "order", "joint"}
    known = {field.name for field in dataclasses.fields(FluxPointsEstimator)} - own
    assert set(FluxOptions.__struct_fields__) == known
    for name in get_args(FluxQuantity):
        FluxPointsEstimator([1, 2], "crab", selection_optional=name)
    with pytest.raises(FitError, match=f"known: {', '.join(sorted(get_args(FluxQuantity)))}$"):
        FluxPointsEstimator([1, 2], "crab", selection_optional="none of them")
    assert flux_options(AnalysisConfig()) == {"selection_optional": "all"}
    given = {"n_sigma": 2, "selection_optional": ["ul"], "norm_scan": [0.5, 1], "max_steps": 7, "reoptimize": True}
    assert flux_options(AnalysisConfig().update({"flux_points": {"parameters": given}})) == given


@pytest.mark.parametrize(
    ("options", "key", "words"),
    [
        ("reoptimise: true", "reoptimise", "did you mean 'reoptimize'"),
        ("n_sigma: two", "n_sigma", "found: 'two'"),
        ("n_sigma: 0", "n_sigma", "> 0"),
        ("n_sigma_ul: null", "n_sigma_ul", "`float`"),
        ("tolerance: a", "tolerance", "`float`"),
        ("max_steps: a", "max_steps", "`int`"),
        ("max_steps: 0", "max_steps", ">= 1"),
        ("norm_scan: [a]", "norm_scan[0]", "`float`"),
        ("norm_scan: []", "norm_scan", "length >= 1"),
        ("selection_optional: 3", "selection_optional", "known: all, errn-errp"),
        ("selection_optional: uls", "selection_optional", "did you mean 'ul'"),
        ("selection_optional: [ul, scam]", "selection_optional[1]", "did you mean 'scan'"),
        ("reoptimize: yes", "reoptimize", "`bool`"),
    ],
)
def test_wrong_options_are_named(tmp_path, options, key, words):
    path = tmp_path / "config.yaml"
    path.write_text(f"flux_points: {{parameters: {{{options}}}}}")
    with pytest.raises(SchemaError, match=re.escape(words)) as caught:
        flux_options(AnalysisConfig.read(path))
    assert caught.value.context["key"] == f"flux_points.parameters.{key}"
    assert caught.value.context["file"] == path
