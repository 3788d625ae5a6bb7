"""The section observations: which of the demo's runs are taken."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table

from gammax.analysis import Analysis, AnalysisConfig
from gammax.errors import DataValueError, FileFormatError, GammaxError


def chosen(config, **observations):
    analysis = Analysis(config.update({"observations": observations}))
    return [str(observation.obs_id) for observation in analysis.get_observations()]


def test_observations_are_all_or_those_listed(config):
    assert chosen(config) == ["1", "2", "3", "4"]
    assert chosen(config, obs_ids=[3, 1]) == ["3", "1"]


def test_observations_of_a_file(config, tmp_path):
    path = tmp_path / "runs.txt"
    path.write_text("# good ones\n4\n\n2, comment\n")
    assert chosen(config, obs_file=str(path)) == ["4", "2"]
    # the table that a run leaves is such a file
    Table({"OBS_ID": ["2", "3"], "STATUS": ["used", "no OFF region"]}).write(tmp_path / "observations.ecsv")
    assert chosen(config, obs_file=str(tmp_path / "observations.ecsv")) == ["2", "3"]


def test_observations_in_a_cone(config):
    store_table = Analysis(config).get_observations()
    pointing = store_table[0].get_pointing_icrs()
    cone = {"frame": "icrs", "lon": f"{pointing.ra.deg} deg", "lat": f"{pointing.dec.deg} deg", "radius": "0.1 deg"}
    assert chosen(config, obs_cone=cone) == ["1"]
    galactic = {"frame": "galactic", "lon": f"{pointing.galactic.l.deg} deg", "lat": f"{pointing.galactic.b.deg} deg"}
    assert chosen(config, obs_cone={**galactic, "radius": "6 arcmin"}) == ["1"]


def test_time_intervals_cut_observations(config):
    first = Analysis(config).get_observations()[0]
    times = [(first.tstart + shift * u.min).utc.isot for shift in (0, 10, 20)]
    analysis = Analysis(config.update({"observations": {"obs_time": {"start": times[:2], "stop": times[1:]}}}))
    pieces = analysis.get_observations()
    np.testing.assert_allclose([piece.ontime.to_value("min") for piece in pieces], 10, rtol=1e-6)
    assert analysis.get_datasets().names == ["1-0", "1-1"]
    assert [run.name for run in analysis.runs.rows] == ["1-0", "1-1"]
    # one interval without lists
    assert len(chosen(config, obs_time={"start": times[0], "stop": times[1]})) == 1


CHOICES = [
    ({"obs_ids": [1], "obs_file": "runs.txt"}, "GX-ANALYSIS-060", "observations.obs_file"),
    ({"obs_cone": {"lon": "83 deg", "lat": "22 deg"}}, "GX-ANALYSIS-061", "observations.obs_cone.frame"),
    ({"obs_ids": [1, 2, 1]}, "GX-ANALYSIS-069", "observations.obs_ids"),
    ({"obs_file": "none.txt"}, "GX-ANALYSIS-062", "observations.obs_file"),
    ({"obs_time": {"start": "2021-01-01"}}, "GX-ANALYSIS-066", "observations.obs_time"),
    ({"obs_time": {"start": "2021-01-02", "stop": "2021-01-01"}}, "GX-ANALYSIS-067", "observations.obs_time"),
]


NOTHING = [
    ({"obs_ids": [1, 5]}, "GX-DATA-064", "observations.obs_ids"),
    (
        {"obs_cone": {"frame": "icrs", "lon": "0 deg", "lat": "0 deg", "radius": "1 deg"}},
        "GX-ANALYSIS-068",
        "observations.obs_cone",
    ),
    ({"required_irf": ["rad_max"]}, "GX-ANALYSIS-068", "observations.required_irf"),
    ({"obs_time": {"start": "1999-01-01", "stop": "1999-01-02"}}, "GX-ANALYSIS-068", "observations.obs_time"),
    ({"datastore": "nowhere"}, "GX-DATA-090", "observations.datastore"),
]


@pytest.mark.filterwarnings("ignore::gammax.errors.GammaxWarning")
@pytest.mark.parametrize(("observations", "code", "key"), CHOICES + NOTHING)
def test_wrong_choices_name_the_key(config, observations, code, key):
    with pytest.raises(GammaxError) as caught:
        chosen(config, **observations)
    assert (caught.value.code, caught.value.context["key"]) == (code, key)


def test_without_data_store_the_advice_is_on_the_configuration(config):
    with pytest.raises(FileFormatError, match="GX-DATA-090") as caught:
        chosen(config, datastore="nowhere")
    assert "hdu_table_filename" not in str(caught.value)
    assert "folder that holds hdu-index.fits.gz" in caught.value.do
    assert caught.value.context["file"].parent.name == "nowhere"


@pytest.mark.parametrize(("text", "code"), [("1\ntwo\n", "GX-ANALYSIS-063"), ("# none\n", "GX-ANALYSIS-064")])
def test_files_that_list_no_observations(config, tmp_path, text, code):
    (tmp_path / "runs.txt").write_text(text)
    with pytest.raises(DataValueError, match=code):
        chosen(config, obs_file=str(tmp_path / "runs.txt"))


def test_a_variable_that_is_not_set_is_named_with_what_to_do(monkeypatch):
    monkeypatch.delenv("GAMMAPY_DATA", raising=False)
    with pytest.raises(FileFormatError, match="GAMMAPY_DATA is not set") as caught:
        Analysis(AnalysisConfig()).get_observations()
    assert caught.value.context["key"] == "observations.datastore"
    assert "observations.datastore" in caught.value.do
