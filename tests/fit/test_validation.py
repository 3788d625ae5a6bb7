"""Pulls, coverage and test statistics of thousands of simulated fits: the figures of `benchmarks/validation.json`."""

import pytest

import validation

SEED = 20261123
# of four times as many
STRICT = {
    "mean": (-0.05, 0.05),
    "width": (0.965, 1.035),
    "p": (1e-3, 1.0),
    "inside 1": (66.1, 70.5),
    "inside 2": (94.4, 96.5),
    "limit": (97.0, 98.4),
}


@pytest.mark.slow
@pytest.mark.parametrize("number", range(4), ids=["wstat", "cash", "point", "Gaussian"])
def test_pulls_and_coverage(number):
    """Bars of three standard deviations; of 13 parameters with six figures each one may miss them by chance: where one
    does, four times as many must keep half the distance in mean and width."""
    case = validation.cases()[number]
    for row in validation.pulls(case, SEED):
        assert row["lost"] == 0, row
        if validation.missed(row, validation.BARS):
            again = next(r for r in validation.pulls(case, SEED + 1, 4000) if r["parameter"] == row["parameter"])
            assert validation.missed(again, STRICT) == [], (row, again)


@pytest.mark.slow
def test_a_bounded_norm_without_source():
    """Chernoff (1954): TS is zero in half of all cases, and above 2.706 in one of twenty."""
    row = validation.null_tests(SEED)
    assert row["lost"] == 0
    assert row["background counts"] >= 300
    assert validation.missed(row, validation.NULL_BARS) == [], row


@pytest.mark.slow
@pytest.mark.parametrize(("off", "bias", "by"), [(1.0, 0.044, 0.015), (10.0, 0.0, 0.027)])
def test_few_off_counts_bias_wstat_as_an_independent_code_has_it(off, bias, by):
    """+4.4 % at one OFF count per bin and alpha = 1, as in the table of `gammax.fit._warnings`; `by`: 3 sigma."""
    row = validation.thin_bias(SEED, off)
    assert row["compared"] > 0.8 * validation.N_PLAIN
    assert row["apart"] < 1e-5, row
    assert row["bias"] == pytest.approx(bias, abs=by), row
