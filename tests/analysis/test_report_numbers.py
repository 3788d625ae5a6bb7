"""Numbers as papers write them: two significant digits of the error."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammax.analysis._html import common_exponent, rounded, unit_html

NAN = math.nan


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        # the published joint-crab fit
        (3.849e-11, 0.114e-11, "(3.85 ± 0.11)e-11"),
        (2.5054, 0.0257, "2.505 ± 0.026"),
        (-2.5054, 0.0257, "-2.505 ± 0.026"),
        # rounding the error up to the next power of ten keeps two digits
        (1.23456, 0.0996, "1.23 ± 0.10"),
        (9.9999e-12, 1e-15, "(9.9999 ± 0.0010)e-12"),
        (12341.0, 678.0, "12340 ± 680"),
        (0.0, 0.03, "0.000 ± 0.030"),
        (1e-13, 4e-12, "(0.1 ± 4.0)e-12"),
        # no error: four digits of the value
        (2.50537, NAN, "2.505 ± –"),
        (3.84841e-11, NAN, "(3.848 ± –)e-11"),
        (NAN, NAN, "– ± –"),
    ],
)
def test_a_value_is_rounded_to_two_digits_of_its_error(value, error, text):
    assert rounded(value, error).text == text


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_rounding_moves_nothing_by_more_than_half_a_digit(value, error):
    found = rounded(value, error)
    scale = 10.0**found.exponent
    step = 0.1 * 10 ** math.floor(math.log10(error))
    assert abs(float(found.value) * scale - value) <= 0.51 * 10 * step
    assert float(found.errors[0]) * scale == pytest.approx(error, rel=0.051)


def test_html_sets_two_different_errors_above_each_other():
    assert rounded(1.5, 0.2, 0.2, exponent=0).mantissa_html == "1.50 ± 0.20"
    asymmetric = rounded(-1.5e-12, 0.25e-12, 0.21e-12).html
    assert asymmetric == '(−1.50<span class="asym"><span>+0.25</span><span>−0.21</span></span>) × 10<sup>−12</sup>'
    assert "<span>+0.30</span><span>–</span>" in rounded(0.0, 0.3, NAN, exponent=0).mantissa_html


def test_a_column_has_the_exponent_of_its_median():
    assert common_exponent([1.2e-10, 4e-11, 2e-11, 1e-13, NAN, 0.0]) == -11
    assert common_exponent([0.2, 30.0, 4.0]) == 0
    assert common_exponent([NAN]) == 0


def test_units_have_raised_powers():
    assert unit_html("TeV-1 s-1 cm-2") == "TeV<sup>−1</sup> s<sup>−1</sup> cm<sup>−2</sup>"
    assert unit_html("<m2>") == "&lt;m<sup>2</sup>&gt;"
