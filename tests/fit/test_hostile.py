"""Fits that nobody should ask for: each ends in an error of ours or in a status that says what is wrong."""

import jax.numpy as jnp
import numpy as np
import pytest

from derivatives import toy_spectrum
from gammax.errors import GammaxError
from gammax.fit import Fit
from gammax.models import (
    GaussianPrior,
    GeneralizedGaussianPrior,
    LogParabolaSpectralModel,
    Models,
    Parameter,
    PowerLawSpectralModel,
    SkyModel,
)

CASH, WSTAT = toy_spectrum("cash", "a", flux=4e-12), toy_spectrum("wstat", "a", flux=4e-12)
AMPLITUDE = "3e-12 TeV-1 s-1 cm-2"


def source(name="x", **values):
    return SkyModel(PowerLawSpectralModel(**{"index": 2.4, "amplitude": AMPLITUDE, **values}), name=name)


def pair():
    return Models([source("x"), source("y")])


def with_data(dataset, **values):
    """The dataset with other numbers in some of its maps, in all bins."""
    maps = {name: getattr(dataset, name) for name in values}
    return dataset.replace(**{n: m.replace(data=np.full(m.data.shape, values[n])) for n, m in maps.items()})


def one_bin(dataset):
    inside = (np.arange(9) == 3).reshape(dataset.counts.data.shape)
    return dataset.replace(mask_fit=dataset.counts.replace(data=inside))


def not_traced(x):
    return float(np.asarray(x))


ERRORS = {
    "GX-DATASETS-001": lambda: (with_data(CASH, counts=np.nan), source()),
    "GX-DATASETS-002": lambda: (with_data(WSTAT, acceptance_off=0.0), source()),
    "GX-DATASETS-003": lambda: (with_data(CASH, exposure=np.inf), source()),
    "GX-DATASETS-004": lambda: (with_data(CASH, exposure=0.0), source()),
    "GX-FIT-002": lambda: (CASH, []),
    "GX-FIT-003": lambda: (CASH, source(index=np.inf)),
    "GX-FIT-004": lambda: (CASH, source(index=Parameter("index", 2.0, min=np.inf))),
    "GX-FIT-006": lambda: (CASH, Models([source("x"), source("y").replace(datasets_names=["elsewhere"])])),
    "GX-FIT-400": lambda: (None, source()),
    "GX-MODEL-002": lambda: (CASH, source(index=Parameter("index", 2.0, min=3.0, max=1.0))),
    "GX-MODEL-019": lambda: (CASH, Models(source()).link("one", "x.spectral.index", "x.spectral.amplitude")),
    "GX-MODEL-032": lambda: (CASH, None),
    "GX-MODEL-103": lambda: (CASH, Models(source()).with_prior("x.spectral.index", GaussianPrior(2.0, 0.0))),
    "GX-MODEL-108": lambda: (CASH, Models(source()).tie("x.spectral.index", jnp.sqrt, "x.spectral.index")),
    "GX-MODEL-120": lambda: (CASH, pair().tie("x.spectral.index", not_traced, "y.spectral.index")),
}


@pytest.mark.parametrize("code", ERRORS)
def test_what_cannot_be_fitted_is_an_error_of_ours(code):
    with pytest.raises(GammaxError) as caught:
        Fit().run(*ERRORS[code]())
    assert caught.value.code == code


@pytest.mark.parametrize("options", [{"tolerance": np.inf}, {"tolerance": np.nan}, {"max_steps": 0}])
def test_a_fit_that_would_call_anything_a_minimum(options):
    with pytest.raises(GammaxError, match="GX-FIT-010"):
        Fit(**options)


def test_a_tie_that_fails_says_how():
    with pytest.raises(GammaxError, match="ZeroDivisionError: division by zero"):
        pair().tie("x.spectral.index", lambda x: 1 / 0, "y.spectral.index")


def far_prior():
    return Models(source()).with_prior("x.spectral.index", GaussianPrior(1e6, 1.0))


STATUSES = [
    (
        "singular",
        "do not constrain",
        lambda: (one_bin(CASH), SkyModel(LogParabolaSpectralModel(amplitude=AMPLITUDE), "x")),
    ),
    ("not_converged", "edm", lambda: (CASH, far_prior())),
    ("not_converged", "stopped after 2 steps", lambda: (CASH, source(index=200.0))),
    ("invalid_input", "by x.spectral.amplitude", lambda: (with_data(CASH, counts=1e300), source())),
    ("invalid_input", "not finite in a", lambda: (CASH, source(reference="0 TeV"))),
    ("no_data", "no count", lambda: (with_data(CASH, counts=0.0), source())),
    ("at_bound", "x.spectral.index", lambda: (CASH, source(index=Parameter("index", 2.0, min=2.0, max=2.0 + 1e-10)))),
]


@pytest.mark.parametrize("case", STATUSES, ids=lambda case: f"{case[0]}: {case[1]}")
def test_what_is_no_success_says_why(case):
    status, words, make = case
    result = Fit().run(*make())
    assert (result.status, result.success) == (status, False)
    assert words in result.message
    assert np.isnan(result.errors).any()


def test_what_is_odd_but_in_order():
    """No background where counts are, a norm of zero or below, a link to itself, a million million counts."""
    linked = Models(source()).link("self", "x.spectral.index", "x.spectral.index")
    unbounded = source(index=Parameter("index", 2.4, min=np.nan, max=np.nan))
    best = Fit().run(CASH, source())
    for models in (source(amplitude="0 TeV-1 s-1 cm-2"), source(amplitude=f"-{AMPLITUDE}"), linked, unbounded):
        found = Fit().run(CASH, models)
        assert found.status == "ok"
        np.testing.assert_allclose((found.values - best.values) / best.errors, 0.0, atol=1e-4)
    for dataset in (with_data(CASH, background=0.0), with_data(CASH, counts=1e12)):
        found = Fit().run(dataset, source())
        assert found.status == "ok"
        assert np.all(found.errors > 0)


def test_nothing_with_room_to_move_is_where_it_starts():
    held = {"index": Parameter("index", 2.4, min=2.4, max=2.4)}
    held["amplitude"] = Parameter("amplitude", 3e-12, "TeV-1 s-1 cm-2", min=3e-12, max=3e-12)
    for method in ("L-BFGS-B", "trust-constr", "Nelder-Mead"):
        result = Fit("scipy", backend_options={"method": method}).run(CASH, source(**held))
        np.testing.assert_array_equal(result.values, [2.4, 3e-12])
        assert (result.status, *result.errors) == ("ok", 0.0, 0.0)


@pytest.mark.parametrize(
    ("backend", "status", "words"),
    [
        ("minuit", "not_converged", "at a saddle, from which the statistic falls"),
        ("scipy", "invalid_input", "by x.spectral.amplitude, y.spectral.index, y.spectral.amplitude"),
    ],
)
def test_other_minimisers_where_there_is_no_derivative(backend, status, words):
    """A cusp with a slope of NaN where the fit starts: scipy stays there, MIGRAD ends beside it, where the statistic
    bends down; a saddle between two sources of the same place and shape."""
    bent = pair().tie("x.spectral.index", lambda x: jnp.sqrt(jnp.abs(x - 2.4)) + 2.0, "y.spectral.index")
    result = Fit(backend).run(CASH, bent)
    assert result.status == status
    assert result.message.endswith(words)
    assert np.isnan(result.errors).all()
    saddle = Fit(backend).run(CASH, pair())
    assert saddle.status == "not_converged"
    assert saddle.message.endswith("at a saddle, from which the statistic falls")


def test_a_curvature_that_is_not_finite_is_said():
    tight = Models(source()).with_prior("x.spectral.index", GaussianPrior(2.4, 1e-200))
    result = Fit().run(CASH, tight)
    assert result.status == "not_converged"
    assert result.message.endswith("where the curvature of the statistic is not finite")


@pytest.mark.parametrize("eta", [0.99, 1.0, 2.0])
@pytest.mark.parametrize("start", [2.4, -3.0])
def test_a_prior_with_a_kink_holds_what_the_data_do_not_touch(eta, start):
    """The kink is found in the 3 to 10 steps of ordinary fits, and said; it has no curvature to take an error from."""
    faint = source("y", amplitude="1e-30 TeV-1 s-1 cm-2", index=start)
    models = Models([source("x"), faint]).freeze("y.spectral.amplitude")
    models = models.with_prior("y.spectral.index", GeneralizedGaussianPrior(1.9, 0.12, eta))
    for backend in ("newton", "scipy") if eta == 1.0 else ("newton",):
        result = Fit(backend).run(CASH, models)
        assert (result.status, result.message) == ("at_bound", "in a corner of its prior: y.spectral.index")
        np.testing.assert_allclose(result.values[-1], 1.9, atol=1e-8)
        np.testing.assert_array_equal(np.isnan(result.errors), [False, False, True])
        assert backend != "newton" or result.n_steps <= 10
