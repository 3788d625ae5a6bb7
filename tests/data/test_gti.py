"""Good time intervals: sums, unions and cuts in closed form, files both ways, what is refused."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from gammax.data import GTI, TimeReference
from gammax.errors import DataValueError, GammaxWarning, SchemaError, UnitError

REFERENCE = TimeReference(51910, 0.0)


def gti(*pairs):
    return GTI([a for a, _ in pairs], [b for _, b in pairs], REFERENCE)


def pairs(intervals):
    return list(zip(intervals.start_s.tolist(), intervals.stop_s.tolist(), strict=True))


def test_sum_and_ends():
    intervals = gti((10, 20), (30, 35))
    assert intervals.time_sum == 15 * u.s
    assert_allclose((intervals.time_start - intervals.time_ref).to_value("s"), [10, 30], atol=1e-9)
    assert_allclose((intervals.time_stop - intervals.time_ref).to_value("s"), [20, 35], atol=1e-9)


def test_union():
    intervals = gti((30, 40), (10, 20), (15, 25), (25, 28), (32, 33))
    assert pairs(intervals.union()) == [(10, 28), (30, 40)]
    assert pairs(intervals.union(merge_equal=False)) == [(10, 25), (25, 28), (30, 40)]
    with pytest.raises(DataValueError, match="GX-DATA-034"):
        intervals.union(overlap_ok=False)
    assert pairs(gti((30, 40), (10, 30)).union(overlap_ok=False)) == [(10, 40)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 10)), min_size=1, max_size=8))
def test_union_covers_the_same_moments(spans):
    intervals = gti(*((a, a + length) for a, length in spans))
    union = intervals.union()
    moments = np.arange(-1, 52) + 0.5
    inside = np.any([(moments >= a) & (moments < a + length) for a, length in spans], axis=0)
    assert_array_equal(union.contains(moments), inside)
    assert_array_equal(intervals.contains(moments), inside)
    assert union.time_sum.value == inside.sum()
    assert np.all(union.start_s[1:] > union.stop_s[:-1])


def test_contains_ends():
    assert_array_equal(gti((10, 20)).contains(np.array([9.99, 10, 19.99, 20])), [False, True, True, False])
    assert_array_equal(gti((10, 20)).contains(np.array([8.9, 9.5, 20.5, 21.5]), 1.0), [False, True, True, False])


def test_select_time():
    intervals = gti((10, 20), (30, 40), (50, 60))
    chosen = intervals.select_time(REFERENCE.to_time([15, 50]))
    assert_allclose(pairs(chosen), [(15, 20), (30, 40)], atol=1e-7)
    assert len(intervals.select_time(REFERENCE.to_time([20, 30]))) == 0  # touched, not met
    with pytest.raises(DataValueError, match="GX-DATA-006"):
        intervals.select_time(REFERENCE.to_time([20, 10]))
    with pytest.raises(DataValueError, match="GX-DATA-005"):
        intervals.select_time(REFERENCE.to_time(20))


def test_stack_moves_to_one_reference():
    later = GTI([0.0], [5.0], TimeReference(51911, 0.0))
    assert pairs(gti((10, 20)).stack(later)) == [(10, 20), (86400, 86405)]


def test_create():
    from_times = GTI.create(Time("2020-01-01T00:00:00"), Time("2020-01-01T00:10:00"), "2020-01-01T00:00:00")
    assert_allclose(pairs(from_times), [(0, 600)], atol=1e-7)
    assert pairs(GTI.create([1, 2] * u.min, [90, 150] * u.s)) == [(60, 90), (120, 150)]


def test_write_and_read(tmp_path):
    intervals = gti((10.123456789, 20), (30, 35))
    back = GTI.read(intervals.write(tmp_path / "gti.fits"))
    assert pairs(back) == pairs(intervals)
    assert back.reference == REFERENCE


def test_column_without_unit_takes_timeunit(run, tmp_path):
    # CTA 1DC: START and STOP without TUNIT, TIMEUNIT = 's'
    run.gti_unit = None
    assert GTI.read(run.write(tmp_path / "a.fits")).time_sum == 100 * u.s
    run.gti_header["TIMEUNIT"] = "min"
    assert GTI.read(run.write(tmp_path / "b.fits")).time_sum == 6000 * u.s
    run.gti_header["TIMEUNIT"] = "deg"
    with pytest.raises(UnitError, match="GX-DATA-007"):
        GTI.read(run.write(tmp_path / "c.fits"))
    del run.gti_header["TIMEUNIT"]
    with pytest.raises(UnitError, match="GX-FITS-006"):
        GTI.read(run.write(tmp_path / "d.fits"))


@pytest.mark.parametrize("rows", [[(1100.0, 1000.0)], [(np.nan, 1100.0)], [(1000.0, np.inf)]])
def test_ends_refused(run, tmp_path, rows):
    run.gti = rows
    with pytest.raises(DataValueError, match="GX-DATA-031") as caught:
        GTI.read(run.write(tmp_path / "run.fits"))
    assert caught.value.context["hdu"] == "GTI"


def test_tables_refused(run, tmp_path):
    run.gti = []
    with pytest.raises(DataValueError, match="GX-DATA-032"):
        GTI.read(run.write(tmp_path / "empty.fits"))
    run.gti = [(1000.0, 1100.0)]
    path = run.write(tmp_path / "run.fits")
    with fits.open(path, mode="update") as hdus:
        del hdus["GTI"].header["MJDREFI"]
    with pytest.raises(SchemaError, match="MJDREFI"):
        GTI.read(path)
    with fits.open(path, mode="update") as hdus:
        hdus["GTI"].columns["STOP"].name = "END"
    with pytest.raises(SchemaError, match="column STOP is missing"):
        GTI.read(path)


def test_overlap_warns_and_counts_twice_as_gammapy(run, tmp_path):
    run.gti = [(1000.0, 1060.0), (1050.0, 1100.0)]
    with pytest.warns(GammaxWarning, match="1 good time intervals overlap"):
        intervals = GTI.read(run.write(tmp_path / "run.fits"))
    assert intervals.time_sum == 110 * u.s
    assert intervals.union().time_sum == 100 * u.s


def test_many_intervals():
    # HAWC files hold 39 250
    start = 100.0 * np.arange(39250)
    gti = GTI(start, start + 90)
    assert gti.time_sum.value == 39250 * 90
    assert gti.contains(np.array([95.0, 100.0, 3924989.9, 3924990.0])).tolist() == [False, True, True, False]
