"""Bin integrals against 50-digit quadrature and closed forms."""

import itertools

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from gammax.models import ExpCutoffPowerLawSpectralModel, LogParabolaSpectralModel, PowerLawSpectralModel, n_panels
from gammax.models._integrate import expm1_over, power_law_integral

mp.mp.dps = 50


def exact(function, lo, hi):
    """Integral in ln E with 50 digits, cut into pieces that the quadrature resolves."""
    pieces = [mp.mpf(x) for x in np.linspace(np.log(lo), np.log(hi), 6)]
    return float(mp.quad(lambda x: function(mp.exp(x)) * mp.exp(x), pieces))


@pytest.mark.parametrize("per_decade", [3, 10, 20])
@pytest.mark.parametrize(("index", "lambda_"), [(2.3, 0.1), (1.0, 1.0), (3.5, 0.0)])
def test_cutoff_power_law_bins(per_decade, index, lambda_):
    """Up to 10 cutoff energies, 1e-10 relative (bound of the 6-node rule on panels of 0.25 in ln E)."""
    model = ExpCutoffPowerLawSpectralModel(index=index, amplitude="1 TeV-1 s-1 cm-2", lambda_=f"{lambda_} TeV-1")
    edges = np.geomspace(0.01, 10.0, 3 * per_decade + 1)
    got = np.asarray(model.integral_values(edges, n_panels(edges)))
    want = [exact(lambda e: e**-index * mp.exp(-lambda_ * e), lo, hi) for lo, hi in itertools.pairwise(edges)]
    np.testing.assert_allclose(got, want, rtol=1e-10)


def test_log_parabola_bins_and_energy_flux():
    model = LogParabolaSpectralModel(amplitude="1 TeV-1 s-1 cm-2", reference="1 TeV", alpha=2.4, beta=0.2)
    edges = np.geomspace(0.1, 50.0, 20)

    def dnde(e):
        return mp.exp(-(mp.mpf(2.4) + mp.mpf(0.2) * mp.log(e)) * mp.log(e))

    pairs = list(itertools.pairwise(edges))
    flux, energy_flux = model.integral_values(edges, n_panels(edges)), model.energy_flux_values(edges, n_panels(edges))
    np.testing.assert_allclose(flux, [exact(dnde, *pair) for pair in pairs], rtol=1e-11)
    np.testing.assert_allclose(energy_flux, [exact(lambda e: e * dnde(e), *pair) for pair in pairs], rtol=1e-11)


@pytest.mark.parametrize("index", [0.0, 1.0 - 1e-7, 1.0, 1.0 + 1e-10, 1.0 + 1e-7, 1.02, 2.0, 2.6, 5.0])
def test_power_law_integral_through_index_one(index):
    """Value, first and second derivative in the index, where textbook forms are 0/0 (mpmath, 50 digits)."""
    lo, hi = 0.7, 19.0

    def flux(x):
        return power_law_integral(jnp.asarray(lo), jnp.asarray(hi), -x)

    def want(x):
        return mp.quad(lambda y: mp.exp((1 - x) * y), [mp.log(mp.mpf(lo)), mp.log(mp.mpf(hi))])

    got = [flux(index), jax.grad(flux)(index), jax.grad(jax.grad(flux))(index)]
    reference = [float(mp.diff(want, mp.mpf(index), n)) for n in range(3)]
    np.testing.assert_allclose(got, reference, rtol=1e-12)


def test_expm1_over_matches_on_both_sides_of_its_switch():
    z = np.array([-0.0501, -0.0499, -1e-9, 0.0, 1e-9, 0.0499, 0.0501])
    want = [float(mp.expm1(mp.mpf(x)) / mp.mpf(x)) if x else 1.0 for x in z]
    np.testing.assert_allclose(expm1_over(jnp.asarray(z)), want, rtol=1e-15)


def test_power_law_energy_flux_through_index_two():
    """Integral of E * E^-2 is ln(E_max / E_min)."""
    model = PowerLawSpectralModel(index=2.0, amplitude="1 TeV-1 s-1 cm-2")
    np.testing.assert_allclose(model.energy_flux_values(jnp.array([1.0, 10.0])), [np.log(10.0)], rtol=1e-15)
    assert np.isfinite(jax.grad(lambda i: model.replace(index=0.0).evaluate_energy_flux(1.0, 10.0, i, 1.0, 1.0))(2.0))
