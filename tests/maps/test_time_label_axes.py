"""Axes of time intervals and of labels."""

from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.time import Time
from numpy.testing import assert_allclose, assert_array_equal

from gammax.errors import DataValueError, GeometryError, SchemaError, UnitError
from gammax.maps import LabelMapAxis, MapAxes, MapAxis, TimeMapAxis, WcsGeom, WcsNDMap

START = Time("2020-03-19", scale="utc")
TIMES = TimeMapAxis([0, 1, 5] * u.d, [0.5, 2, 6.25] * u.d, START)
LABELS = LabelMapAxis(["gamma", "proton"], name="type")


def test_times():
    assert (TIMES.nbin, TIMES.unit, TIMES.name, TIMES.is_contiguous) == (3, "d", "time", False)
    # Gammapy 2.1: the middles
    assert list(TIMES.time_mid.isot) == [
        "2020-03-19T06:00:00.000",
        "2020-03-20T12:00:00.000",
        "2020-03-24T15:00:00.000",
    ]
    assert_allclose(TIMES.center.to_value("h"), [6, 36, 135])
    assert_allclose(TIMES.bin_width.to_value("d"), [0.5, 1, 1.25])
    assert_allclose(TIMES.time_delta.to_value("d"), [0.5, 1, 1.25])
    assert_allclose(TIMES.bounds.to_value("d"), [0, 6.25])
    with pytest.raises(GeometryError, match="has gaps"):
        _ = TIMES.edges
    days = TimeMapAxis.from_time_bounds(START, START + 3 * u.d, 3)
    assert days.is_contiguous
    assert_allclose(days.edges.to_value("d"), [0, 1, 2, 3])


def test_bins_of_times():
    times = START + [-1, 0, 0.25, 0.5, 0.7, 1.5, 7] * u.d
    # intervals are half open: 0 belongs to the first, 0.5 to none
    assert_array_equal(TIMES.coord_to_idx(times), [-1, 0, 0, -1, -1, 1, -1])
    assert_array_equal(TIMES.coord_to_idx(times, clip=True), [0, 0, 0, -1, -1, 1, 2])
    assert_array_equal(TIMES.coord_to_idx(times - START), [-1, 0, 0, -1, -1, 1, -1])
    assert_allclose(TIMES.coord_to_pix(times), [np.nan, -0.5, 0, np.nan, np.nan, 1, np.nan], atol=1e-9)
    back = TIMES.pix_to_coord([-0.5, 0, 2.25])
    assert_allclose((back - START).to_value("d"), [0, 0.25, 5 + 0.75 * 1.25])
    with pytest.raises(GeometryError, match="no such bin"):
        TIMES.pix_to_coord(3)


def test_other_axes_of_times():
    assert TIMES.slice(slice(1, 3)).nbin == 2
    assert TIMES.squash().bin_width.to_value("d") == 6.25
    assert TIMES.rename("phase").name == "phase"
    gti = SimpleNamespace(start_s=np.array([0.0, 100.0]), stop_s=np.array([50.0, 160.0]), time_ref=START)
    assert_allclose(TimeMapAxis.from_gti(gti).bin_width.to_value("s"), [50, 60])
    later = TimeMapAxis([1] * u.h, [2] * u.h, START + 10 * u.d)
    joined = TimeMapAxis.from_stack([TIMES, later])
    assert_allclose(joined.center.to_value("d"), [0.25, 1.5, 5.625, 10.0625])
    edges = TimeMapAxis.from_time_edges(TIMES.time_min, TIMES.time_max, unit="h")
    assert edges.unit == "h"
    assert edges.is_allclose(TIMES)
    for refused in (lambda: TIMES.upsample(2), lambda: TIMES.downsample(3), lambda: TIMES.resample(TIMES)):
        with pytest.raises(GeometryError, match="cannot"):
            refused()


def test_differences_of_times():
    # the same moments from another reference, in another scale and unit
    other = TimeMapAxis([-24, 0, 96] * u.h, [-12, 24, 126] * u.h, (START + 1 * u.d).tt)
    assert TIMES.is_allclose(other)
    assert "interval 2" in TIMES.difference(TimeMapAxis([0, 1, 5] * u.d, [0.5, 2, 6.26] * u.d, START))
    assert TIMES.difference(TIMES.slice(slice(0, 2))) == "3 intervals against 2"
    assert "name" in TIMES.difference(TIMES.rename("t"))
    assert not TIMES.is_allclose(LABELS)
    axes = MapAxes([TIMES])
    assert "a TimeMapAxis against a MapAxis" in axes.difference(MapAxes([MapAxis.from_bounds(0, 1, 3, name="time")]))


@pytest.mark.parametrize(
    ("low", "high", "error"),
    [
        ([0, 1] * u.m, [1, 2] * u.m, UnitError),
        ([0, 1] * u.d, [1] * u.d, GeometryError),
        ([0, 1] * u.d, [1.5, 2] * u.d, DataValueError),
        ([1, 0] * u.d, [1.5, 0.5] * u.d, DataValueError),
        ([0] * u.d, [0] * u.d, DataValueError),
        ([np.nan] * u.d, [1] * u.d, DataValueError),
    ],
)
def test_wrong_times_are_told(low, high, error):
    with pytest.raises(error):
        TimeMapAxis(low, high, START)
    with pytest.raises(SchemaError):
        TimeMapAxis([0] * u.d, [1] * u.d, START, interp="log")


def test_labels():
    assert (LABELS.nbin, list(LABELS.center)) == (2, ["gamma", "proton"])
    assert_array_equal(LABELS.coord_to_idx(["proton", "muon", "gamma"]), [1, -1, 0])
    assert_allclose(LABELS.coord_to_pix(["proton", "muon"]), [1, np.nan])
    assert list(LABELS.pix_to_coord([0.4, 1])) == ["gamma", "proton"]
    assert list(LABELS.squash().labels) == ["gamma...proton"]
    assert list(LABELS.slice(slice(1, 2)).labels) == ["proton"]
    assert list(LabelMapAxis.from_stack([LABELS, LabelMapAxis(["muon"])]).labels) == ["gamma", "proton", "muon"]
    assert LABELS.difference(LABELS.rename("kind")) == "name 'type' against 'kind'"
    assert not LABELS.is_allclose(LabelMapAxis(["gamma", "muon"], "type"))
    for wrong in (["a", "a"], [], [["a", "b"]]):
        with pytest.raises(GeometryError, match="different texts"):
            LabelMapAxis(wrong)
    with pytest.raises(GeometryError, match="no such bin"):
        LABELS.pix_to_coord(2)


def test_maps_over_times_and_labels():
    geom = WcsGeom.create(npix=(3, 2), binsz=1, axes=[TIMES, LABELS])
    assert geom.data_shape == (2, 3, 2, 3)
    position = SkyCoord([0, 0], [0.1, 0.1], unit="deg")
    coords = {"skycoord": position, "time": START + [0.1, 3] * u.d, "type": np.array(["proton", "gamma"])}
    counts = WcsNDMap(geom).fill_by_coord(coords)
    assert_array_equal(counts.data.sum(axis=(2, 3)), [[0, 0, 0], [1, 0, 0]])
    assert counts.geom.bin_volume().unit.is_equivalent("sr d")
    drawn = counts.sample_coord(2, 0)
    assert list(drawn["type"]) == ["proton"] * 2
    assert (drawn["time"] < START + 0.5 * u.d).all()
    assert counts.sum_over_axes().geom.axes["type"].labels[0] == "gamma...proton"
