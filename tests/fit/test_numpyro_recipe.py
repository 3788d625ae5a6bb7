"""The lines for NumPyro in the docstring of the sampler, as they stand there."""

import textwrap

import jax
import numpy as np
import pytest

from derivatives import toy_spectrum
from gammax.fit import Fit, Sampler
from gammax.likelihood import Likelihood
from gammax.models import Parameter, PowerLawSpectralModel, SkyModel


@pytest.mark.slow
@pytest.mark.parametrize("bounded", [False, True])
def test_the_recipe_for_numpyro(bounded):
    """The lines of the docstring as they stand there: the same posterior, and none of it beyond a bound that cuts off a
    third."""
    numpyro = pytest.importorskip("numpyro")
    from numpyro import distributions, infer

    datasets = [toy_spectrum("wstat", flux=2e-11)]

    def power_law(index, amplitude):
        return SkyModel(PowerLawSpectralModel(index=index, amplitude=f"{amplitude} TeV-1 s-1 cm-2"), name="x")

    fit = Fit().run(datasets, power_law(2.4, 2e-12))
    names = {name: getattr(infer, name) for name in ("MCMC", "NUTS", "init_to_value")}
    names |= {"numpyro": numpyro, "dist": distributions, "jax": jax, "jnp": jax.numpy, "Likelihood": Likelihood}
    lowest = fit.values[0] - 0.4 * fit.errors[0] if bounded else -np.inf
    low = Parameter("index", fit.values[0], min=lowest)
    best = Fit().run(datasets, power_law(low, fit.values[1]))
    names |= {"datasets": datasets, "fit": best}
    exec(textwrap.dedent(Sampler.__doc__.split("divergence::")[1]), names)
    found = np.asarray(names["values"])
    assert found[:, 0].min() >= lowest
    expected, widths = fit.values, fit.errors
    if bounded:
        draws = Sampler().run(datasets, best).values.reshape(-1, 2)
        expected, widths = draws.mean(axis=0), draws.std(axis=0)
    np.testing.assert_allclose((found.mean(axis=0) - expected) / fit.errors, 0.0, atol=0.15)
    np.testing.assert_allclose(found.std(axis=0), widths, rtol=0.1)
