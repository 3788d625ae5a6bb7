"""Errors: a program can read all their parts, and naming the file loses none."""

import pickle

import pytest

from gammax.errors import DataValueError


def test_the_parts_are_attributes():
    error = DataValueError("GX-X-001", "wrong", found=3, expected="2", do="look", hdu="A", file=None)
    assert (error.code, error.what, error.found, error.expected, error.do) == ("GX-X-001", "wrong", 3, "2", "look")
    assert error.context == {"hdu": "A", "found": 3, "expected": "2"}
    assert str(error) == "GX-X-001 wrong\n  where: hdu A\n  found: 3\n  expected: 2\n  do: look"


def test_more_context_keeps_the_hint_and_the_nearer_place():
    error = DataValueError("GX-X-001", "wrong\nin two lines", found=0, do="look", hdu="A")
    named = error.with_context(file="f.fits", hdu="B")
    assert type(named) is DataValueError
    assert named.context == {"file": "f.fits", "hdu": "A", "found": 0}
    assert (named.what, named.do) == (error.what, "look")
    assert "where: file f.fits, hdu A" in str(named)
    with pytest.raises(DataValueError, match="do: look"):
        raise named from error


def test_errors_come_whole_out_of_worker_processes():
    error = DataValueError("GX-X-001", "wrong", found=0, expected="1", do="look", obs_id=23523)
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is DataValueError
    assert str(back) == str(error)
    assert back.context == error.context
