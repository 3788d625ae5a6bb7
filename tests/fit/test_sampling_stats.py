"""How far chains can be trusted: closed forms, another implementation, chains that disagree."""

import numpy as np
import pytest

from gammax.fit.sampling._stats import ess_bulk, ess_tail, judge_chains, r_hat


def autoregressive(phi, rng, chains=4, draws=5000):
    noise = rng.standard_normal((chains, draws))
    x = np.empty_like(noise)
    x[:, 0] = noise[:, 0]
    for i in range(1, draws):
        x[:, i] = phi * x[:, i - 1] + np.sqrt(1 - phi**2) * noise[:, i]
    return x


@pytest.mark.parametrize("phi", [-0.3, 0.0, 0.6, 0.9])
def test_effective_sample_size_of_an_autoregressive_chain(phi, rng):
    """N (1 - phi) / (1 + phi), closed form, within 15 %."""
    draws = autoregressive(phi, rng)
    np.testing.assert_allclose(ess_bulk(draws), draws.size * (1 - phi) / (1 + phi), rtol=0.15)


@pytest.mark.slow
def test_diagnostics_as_blackjax_has_them(rng):
    """An independent implementation of the same paper in 32 bits; rises of the autocorrelation count otherwise."""
    blackjax = pytest.importorskip("blackjax")
    draws = autoregressive(0.5, rng, draws=800) ** 3
    np.testing.assert_allclose(r_hat(draws), blackjax.rhat(draws), rtol=1e-6)
    np.testing.assert_allclose(ess_bulk(draws), blackjax.ess_bulk(draws), rtol=1e-2)
    np.testing.assert_allclose(ess_tail(draws), blackjax.ess_tail(draws), rtol=1e-2)


def test_chains_that_disagree_are_found_out(rng):
    """One chain elsewhere; one chain twice as wide, which means alone do not tell; none of it where all is well."""
    draws = rng.standard_normal((4, 1000))
    assert r_hat(draws) < 1.01
    assert judge_chains({"a": draws}, 0)[0] == "ok"
    status, message = judge_chains({"a": draws + np.array([[0.0], [0.0], [0.0], [1.0]]), "b": draws}, 0)
    assert status == "not_converged"
    assert message.startswith("R-hat 1.")
    assert message.split(" of ")[1].startswith("a")
    assert r_hat(draws * [[1.0], [1.0], [1.0], [2.0]]) > 1.01
    assert judge_chains({"a": draws}, 3) == (
        "not_converged",
        "3 divergences: raise target_acceptance, or bound what must not become negative",
    )
    assert judge_chains({"a": np.ones((4, 1000))}, 0)[0] == "not_converged"
    assert np.isnan([r_hat(np.ones((4, 10))), ess_bulk(np.full((4, 10), np.nan)), ess_tail(draws[:, :3])]).all()
