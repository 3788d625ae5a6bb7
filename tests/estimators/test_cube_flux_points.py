"""Flux points of cubes: against fits of the same bins, one after the other."""

import itertools

import astropy.units as u
import numpy as np
import pytest

from cubes import make_cube, make_onoff_cube
from gammax.estimators import FluxPointsEstimator
from gammax.fit import Fit
from gammax.models import GaussianSpatialModel, Models, PointSpatialModel, PowerLawSpectralModel, SkyModel

EDGES = [0.5, 1.0, 2.0, 8.0]


def source(kind="point", amplitude="2e-10 cm-2 s-1 TeV-1"):
    place = {"lon_0": "83.66 deg", "lat_0": "22.03 deg"}
    shape = PointSpatialModel(**place) if kind == "point" else GaussianSpatialModel(**place, sigma="0.06 deg")
    spectrum = PowerLawSpectralModel(index=2.0, amplitude=amplitude, reference="1 TeV")
    return SkyModel(spectrum, spatial_model=shape, name="source")


def simulated(kind, make=make_cube):
    cube = make(slope=0.02)
    signal = cube.npred_signal(Models([source(kind)])).data
    counts = np.random.default_rng(7).poisson(signal + (cube.background.data if make is make_cube else 3.0))
    return cube.replace(counts=cube.counts.replace(data=counts.astype(float)))


@pytest.mark.parametrize(("kind", "make"), [("point", make_cube), ("gaussian", make_cube), ("point", make_onoff_cube)])
def test_norms_are_those_of_a_fit_in_each_bin(kind, make):
    cube, held = simulated(kind, make), source(kind).freeze("spatial")
    held = held.replace(spectral_model=held.spectral_model.freeze("index"))
    points = FluxPointsEstimator(EDGES * u.TeV, "source", selection_optional="all").run([cube], Models([held]))
    for k, (low, high) in enumerate(itertools.pairwise(EDGES)):
        result = Fit().run(cube.with_fit_range(f"{low} TeV", f"{high} TeV"), held)
        assert points.quantities["norm"][k] == pytest.approx(result.values[0] / 2e-10, rel=1e-6)
        assert points.quantities["norm_err"][k] == pytest.approx(result.errors[0] / 2e-10, rel=1e-5)
        assert points.quantities["stat"][k] == pytest.approx(result.total_stat, rel=1e-9)
    errors = points.quantities["norm_errp"] + points.quantities["norm_errn"]
    assert np.allclose(errors / 2, points.quantities["norm_err"], rtol=0.05)
    assert (points.quantities["norm_ul"] > points.quantities["norm"] + points.quantities["norm_err"]).all()
    assert (points.quantities["norm_sensitivity"] > 0).all()


def test_the_same_cube_twice_is_twice_the_information():
    cube, models = simulated("point"), Models([source()])
    one = FluxPointsEstimator(EDGES * u.TeV, "source").run([cube], models)
    two = FluxPointsEstimator(EDGES * u.TeV, "source").run([cube, cube.replace(name="again")], models)
    # a fit ends within 1e-10 of its minimum in the statistic: 1e-5 of an error
    shift = (two.quantities["norm"] - one.quantities["norm"]) / one.quantities["norm_err"]
    assert np.allclose(shift, 0.0, atol=2e-5)
    assert two.quantities["norm_err"] == pytest.approx(one.quantities["norm_err"] / np.sqrt(2), rel=1e-5)
    assert two.quantities["counts"].shape == (3, 2)


def test_a_bin_without_source_has_a_norm_below_zero_and_a_limit():
    """Background alone: norms scatter around 0 within their errors, and may be negative."""
    cube = make_cube()
    counts = np.random.default_rng(11).poisson(cube.background.data).astype(float)
    cube = cube.replace(counts=cube.counts.replace(data=counts))
    points = FluxPointsEstimator(EDGES * u.TeV, "source", selection_optional=["ul"]).run([cube], Models([source()]))
    norm, error = points.quantities["norm"], points.quantities["norm_err"]
    assert (np.abs(norm) < 3 * error).all()
    assert (norm < 0).any()
    assert (points.quantities["norm_ul"] > 0).all()
