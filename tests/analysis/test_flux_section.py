"""From the flux_points section to edges, source and options."""

import numpy as np
import pytest

from gammax.analysis import AnalysisConfig
from gammax.analysis._flux import flux_edges, flux_options, flux_source
from gammax.datasets import Datasets
from gammax.errors import DataValueError, GeometryError, SchemaError
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


def test_a_source_that_does_not_exist_means_the_only_model():
    config = AnalysisConfig()
    assert flux_source(config, true_models("crab")) == "crab"
    two = true_models("crab") + true_models("source")
    assert flux_source(config, two) == "source"
    with pytest.raises(SchemaError, match="did you mean 'crab'") as caught:
        flux_source(config.update("flux_points: {source: carb}"), two)
    assert caught.value.context["key"] == "flux_points.source"


def test_options_are_those_of_the_estimator():
    config = AnalysisConfig().update("flux_points: {parameters: {n_sigma_ul: 3, reoptimise: true}}")
    with pytest.raises(SchemaError, match="did you mean 'reoptimize'") as caught:
        flux_options(config)
    assert caught.value.context["key"] == "flux_points.parameters.reoptimise"
    assert flux_options(AnalysisConfig()) == {"selection_optional": "all"}
