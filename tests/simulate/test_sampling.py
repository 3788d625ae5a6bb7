"""Numbers that follow a density: against its closed form."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from gammax.errors import ResourceError
from gammax.simulate import _sampling
from gammax.simulate._sampling import (
    poisson,
    sample_piecewise_linear,
    sample_poisson_process,
    sample_rows,
    stream,
)


class Quantiles:
    """Stands for a generator: even fractions instead of random ones."""

    def random(self, size):
        return (np.arange(size) + 0.5) / size


FRACTIONS = Quantiles().random(1000)


def test_linear_density_is_inverted_exactly():
    # cumulative of 2 x on (0, 1): x^2; of 2 (1 - x): 1 - (1 - x)^2
    rising = sample_piecewise_linear(Quantiles(), np.array([0.0, 1.0]), np.array([0.0, 7.0]), 1000)
    assert_allclose(rising, np.sqrt(FRACTIONS), rtol=1e-13)
    falling = sample_piecewise_linear(Quantiles(), np.array([0.0, 1.0]), np.array([3.0, 0.0]), 1000)
    assert_allclose(falling, 1 - np.sqrt(1 - FRACTIONS), rtol=1e-11)


def test_pieces_flat_empty_and_unequal():
    x, density = np.array([0.0, 1.0, 2.0, 4.0]), np.array([1.0, 1.0, 0.0, 0.0])
    found = sample_piecewise_linear(Quantiles(), x, density, 1000)
    # areas 1, 1/2 and 0
    assert_allclose(found, np.where(FRACTIONS < 2 / 3, 1.5 * FRACTIONS, 2 - np.sqrt(3 - 3 * FRACTIONS)), rtol=1e-11)
    shifted = sample_piecewise_linear(Quantiles(), np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0]), 1000)
    assert_allclose(shifted, 1 + np.sqrt(FRACTIONS), rtol=1e-11)


def test_nearly_flat_density_does_not_cancel():
    found = sample_piecewise_linear(Quantiles(), np.array([0.0, 1.0]), np.array([1.0, 1.0 + 1e-15]), 1000)
    assert_allclose(found, FRACTIONS, rtol=1e-12)


def test_histogram_rows():
    edges = np.array([0.0, 1.0, 3.0, 4.0])
    table = np.array([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0], [0.0, 5.0, 0.0]])
    found = sample_rows(Quantiles(), edges, lambda rows: table[np.arange(999)[rows] % 3], 999)
    fractions = Quantiles().random(999)
    # first kind of row: density 1/4 everywhere; second: empty; third: even from 1 to 3
    assert_allclose(found[::3], 4 * fractions[::3], rtol=1e-12)
    assert np.isnan(found[1::3]).all()
    assert_allclose(found[2::3], 1 + 2 * fractions[2::3], rtol=1e-12)


def test_histogram_rows_do_not_depend_on_their_pieces(monkeypatch):
    table = np.random.default_rng(3).random((50, 8))

    def drawn():
        return sample_rows(np.random.default_rng(4), np.arange(9.0), lambda rows: table[rows], 50)

    whole = drawn()
    monkeypatch.setattr(_sampling, "_CELLS_AT_ONCE", 100)
    assert_array_equal(drawn(), whole)


def test_poisson_process_meets_number_and_places():
    # exp(-x) exp(-2 y) on (0, 3) x (0, 2), and 1e5 times that
    nodes = [np.linspace(0, 3, 7), np.linspace(0, 2, 5)]
    corner = np.exp(-nodes[0][:, None] - 2 * nodes[1])
    rng = np.random.default_rng(11)
    x, y = sample_poisson_process(rng, nodes, corner, lambda x, y: np.exp(-x - 2 * y), 1e5)
    total = 1e5 * (1 - np.exp(-3)) * (1 - np.exp(-4)) / 2
    assert abs(len(x) - total) < 3 * np.sqrt(total)
    assert stats.kstest(x, lambda t: np.expm1(-t) / np.expm1(-3)).pvalue > 0.01
    assert stats.kstest(y, lambda t: np.expm1(-2 * t) / np.expm1(-4)).pvalue > 0.01
    assert abs(stats.pearsonr(x, y).statistic) < 3 / np.sqrt(len(x))


def test_poisson_process_varies_as_poisson_numbers_do():
    nodes, corner = [np.array([0.0, 1.0])], np.array([1.0, 3.0])
    rng = np.random.default_rng(5)
    counts = [len(sample_poisson_process(rng, nodes, corner, lambda x: 1 + 2 * x, 10.0)[0]) for _ in range(2000)]
    # mean and variance 20; error of the mean 0.1, of the variance 0.64
    assert abs(np.mean(counts) - 20) < 0.3
    assert abs(np.var(counts) - 20) < 2


def test_streams_are_their_own():
    first = stream(1, 7, "crab").random(4)
    assert_array_equal(first, stream(1, 7, "crab").random(4))
    others = [stream(*names).random(4) for names in [(2, 7, "crab"), (1, 8, "crab"), (1, 7, ""), (1, 7, "crabs")]]
    assert not any(np.isin(first, other).any() for other in others)
    assert not np.array_equal(stream(1, 1, "23").random(2), stream(1, 12, "3").random(2))


def test_too_many_events_are_refused():
    with pytest.raises(ResourceError, match="GX-SIMULATE-001"):
        poisson(np.random.default_rng(1), 1e12, obs_id=1)
