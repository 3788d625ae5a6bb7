"""Spectral models: formulas, composition, error bands, and a user's own in ten lines."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.units import Quantity

from gammax.errors import ModelError
from gammax.models import (
    CompoundSpectralModel,
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    Models,
    Parameter,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    SpectralModel,
    parameter,
)


class PaperParabola(SpectralModel):
    """The log parabola of papers that use log10."""

    amplitude: Parameter = parameter("3.8e-11 TeV-1 s-1 cm-2", is_norm=True)
    reference: Parameter = parameter("1 TeV", frozen=True)
    alpha: Parameter = parameter(2.47)
    beta: Parameter = parameter(0.24)

    @staticmethod
    def evaluate(energy, amplitude, reference, alpha, beta):
        x = energy / reference
        return amplitude * x ** (-alpha - beta * jnp.log10(x))


def test_formulas():
    """By hand: A x^-index exp(-(lambda E)^alpha), A x^(-alpha - beta ln x), with plain numpy."""
    energy = np.array([0.3, 1.0, 7.0])
    amplitude = "2e-12 TeV-1 s-1 cm-2"
    x = energy / 2.0
    cases = [
        (PowerLawSpectralModel(index=2.4, amplitude=amplitude, reference="2 TeV"), 2e-12 * x**-2.4),
        (
            ExpCutoffPowerLawSpectralModel(
                index=2.4, amplitude=amplitude, reference="2 TeV", lambda_="0.2 TeV-1", alpha=0.7
            ),
            2e-12 * x**-2.4 * np.exp(-((0.2 * energy) ** 0.7)),
        ),
        (
            LogParabolaSpectralModel(amplitude=amplitude, reference="2 TeV", alpha=2.4, beta=0.3),
            2e-12 * x ** (-2.4 - 0.3 * np.log(x)),
        ),
    ]
    for model, want in cases:
        np.testing.assert_allclose(model(Quantity(energy, "TeV")).to_value("TeV-1 s-1 cm-2"), want, rtol=1e-13)
    norm = PowerLawNormSpectralModel(norm=1.5, tilt=0.2)
    np.testing.assert_allclose(norm(Quantity(energy, "TeV")).to_value(""), 1.5 * energy**-0.2, rtol=1e-14)


@pytest.mark.parametrize(
    ("alpha", "slope", "bend"),
    [(0.5, -1.0, 1.0), (1.0, -1.0, 1.0), (1.5, 0.0, -2.0), (2.0, 0.0, -2.0), (3.0, 0.0, 0.0)],
)
def test_derivatives_without_a_cutoff(alpha, slope, bend):
    """Of exp(-x^alpha) by x at 0, from above, by hand, alpha traced; x and x^2 are in the place of x^0.5 and x^1.5,
    whose derivatives are infinite."""
    energy = np.array([0.3, 1.0, 7.0])

    def shape(cutoff):
        return ExpCutoffPowerLawSpectralModel.evaluate(energy, 0.0, 1.0, 1.0, *cutoff)

    start = jnp.array([0.0, alpha])
    np.testing.assert_array_equal(shape(start), np.ones(3))
    zero = np.zeros(3)
    for jacobian in (jax.jacfwd, jax.jacrev):
        first = jax.jit(jacobian(shape))(start)
        np.testing.assert_allclose(first, np.stack([slope * energy, zero], axis=1), rtol=1e-14)
    second = jax.jit(jax.hessian(shape))(start)
    want = np.stack([np.stack([bend * energy**2, zero]), np.stack([zero, zero])])
    np.testing.assert_allclose(np.moveaxis(second, 0, -1), want, rtol=1e-14)


def test_a_users_model_gets_everything_for_free():
    """The log10 parabola is a log parabola with beta / ln 10."""
    mine = PaperParabola()
    theirs = LogParabolaSpectralModel.from_log10("3.8e-11 TeV-1 s-1 cm-2", "1 TeV", 2.47, 0.24)
    for method in ("integral", "energy_flux"):
        got, want = (getattr(model, method)("0.5 TeV", "20 TeV") for model in (mine, theirs))
        np.testing.assert_allclose(got.to_value(want.unit), want.value, rtol=1e-12)
    np.testing.assert_allclose(mine("3 TeV").value, theirs("3 TeV").value, rtol=1e-13)
    read = Models.from_dict(Models(SkyModel(mine, "x")).to_dict())["x"].spectral_model
    assert isinstance(read, PaperParabola)


def test_two_models_of_one_name_are_refused():
    with pytest.raises(ModelError, match="GX-MODEL-006"):
        type("PowerLawSpectralModel", (SpectralModel,), {"__module__": "elsewhere"})


def test_composition():
    one, two = PowerLawSpectralModel(index=2.0), LogParabolaSpectralModel(alpha=2.5, beta=0.1)
    norm = PowerLawNormSpectralModel(norm=0.5)
    energy = Quantity([0.5, 5.0], "TeV")
    np.testing.assert_allclose((one + two)(energy).value, one(energy).value + two(energy).value, rtol=1e-14)
    np.testing.assert_allclose((one * norm)(energy).value, 0.5 * one(energy).value, rtol=1e-14)
    flux = (one + two).integral("1 TeV", "10 TeV")
    np.testing.assert_allclose(flux.value, (one.integral("1 TeV", "10 TeV") + two.integral("1 TeV", "10 TeV")).value)
    np.testing.assert_allclose(
        (one * norm).integral("1 TeV", "10 TeV").value, 0.5 * one.integral("1 TeV", "10 TeV").value, rtol=1e-12
    )
    changed = (one * norm).replace(index=3.0)
    assert float(changed.model1.index.value) == 3.0
    for wrong in (
        lambda: one * two,
        lambda: one + norm,
        lambda: CompoundSpectralModel(one, norm, "pow"),
        lambda: (one * norm).replace(reference="2 TeV"),
        lambda: SkyModel(norm, "x"),
    ):
        with pytest.raises(ModelError):
            wrong()


def test_error_band_of_a_power_law():
    """(sigma_F / F)^2 = (sigma_A / A)^2 + (ln E sigma_index)^2 - 2 ln E cov / A: linear propagation in closed form."""
    model = PowerLawSpectralModel(index=2.5, amplitude="3e-12 TeV-1 s-1 cm-2")
    covariance = np.zeros((3, 3))
    covariance[:2, :2] = [[0.01, 2e-15], [2e-15, 4e-26]]
    energy = np.array([0.2, 1.0, 30.0])
    value, error = model.evaluate_error(Quantity(energy, "TeV"), covariance).value
    log_e, a = np.log(energy), 3e-12
    want = np.sqrt(4e-26 / a**2 + 0.01 * log_e**2 - 2 * log_e * 2e-15 / a)
    np.testing.assert_allclose(error / value, want, rtol=1e-12)


def test_spectra_are_pytrees_for_other_codes():
    """jit, grad and vmap over a model, in its own units."""
    model = PowerLawSpectralModel(index=2.5, amplitude="1e-9 m-2 s-1 GeV-1")
    slope = jax.grad(lambda m: m.dnde(2.0))(model)
    np.testing.assert_allclose(slope.index.value, -np.log(2.0) * 1e-10 * 2**-2.5, rtol=1e-12)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), model, model.replace(index=3.0))
    np.testing.assert_allclose(jax.vmap(lambda m: m.dnde(2.0))(stacked), 1e-10 * 2.0 ** -np.array([2.5, 3.0]))
