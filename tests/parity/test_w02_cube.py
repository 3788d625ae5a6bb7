"""Parity with Gammapy 2.1 on the cube of four H.E.S.S. runs of the Crab nebula.

Expected numbers: the peer's best fits (results/w02_hess_crab_3d.json), its fit with pixels five times finer
(results/x1_numerics.json, factor_5), and sums of the table of the PSF over many points per pixel (`exact_cube`).
"""

import json

import astropy.units as u
import numpy as np
import pytest

from exact_cube import ExactFit, ExactPoint, compare, norm_ts
from gammax.datasets import Datasets
from gammax.estimators import FluxPointsEstimator
from gammax.fit import Fit
from gammax.folding import predict_cube
from gammax.likelihood import Likelihood
from gammax.models import (
    ExpCutoffPowerLawSpectralModel,
    FoVBackgroundModel,
    GaussianSpatialModel,
    Models,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
)

pytestmark = pytest.mark.data

COMMON = {"amplitude": "4e-11 cm-2 s-1 TeV-1", "reference": "1 TeV"}
PLACE = {"lon_0": "83.63 deg", "lat_0": "22.014 deg"}
SPECTRA = {
    "pl": PowerLawSpectralModel(index=2.5, **COMMON),
    "ecpl": ExpCutoffPowerLawSpectralModel(index=2.3, lambda_="0.1 TeV-1", **COMMON),
}
SHAPES = {"point": PointSpatialModel(**PLACE), "gauss": GaussianSpatialModel(**PLACE, sigma="0.02 deg")}
# errors of an exponential cutoff by differences of the peer's own statistic, step 0.05 of an error; its HESSE, 0.3035,
# 5.24e-12 and 0.1069 TeV-1, is up to 25 % too small
PEER_DIFFERENCES = {"index": 0.39943, "amplitude": 5.6522e-12, "lambda_": 0.14065, "norm": 0.023215}


@pytest.fixture(scope="module")
def cubes(reference_dir):
    return {
        name: Datasets.read(reference_dir / "datasets" / f"w02_{name}" / "datasets.yaml")[0] for name in ("a1", "a2")
    }


@pytest.fixture(scope="module")
def peer(reference_dir):
    return json.loads((reference_dir / "results" / "w02_hess_crab_3d.json").read_text())


def models(cube, shape, kind):
    source = SkyModel(SPECTRA[kind], spatial_model=SHAPES[shape], name="crab")
    return Models([source, FoVBackgroundModel(cube.name)])


def by_name(result):
    return {row["name"]: (row["value"], row["error"]) for row in result.parameters}


def theirs(fit):
    return {p["name"].split(".")[-1]: (p["value"], p["error"]) for p in fit["parameters"] if p["error"]}


@pytest.mark.parametrize(
    ("name", "shape", "kind"),
    [("a1", "point", "pl"), ("a1", "point", "ecpl"), ("a2", "point", "pl"), ("a1", "gauss", "pl")],
)
def test_fits_are_the_peers(cubes, peer, name, shape, kind):
    result = Fit(order="psf-first").run(cubes[name], models(cubes[name], shape, kind))
    assert result.status == "ok"
    expected = theirs(peer["fits"][f"{name} {shape} {kind}"])
    for parameter, (value, error) in by_name(result).items():
        if parameter in ("lon_0", "lat_0", "sigma"):
            # the peer's statistic has cusps at pixel centres
            assert abs(value - expected[parameter][0]) < 0.5 * error
            continue
        reference = PEER_DIFFERENCES[parameter] if kind == "ecpl" else expected[parameter][1]
        assert abs(value - expected[parameter][0]) < 0.05 * reference, parameter
        assert error == pytest.approx(reference, rel=0.02), parameter


def test_the_position_is_nearer_to_the_converged_one_than_the_peers(cubes, peer, reference_dir):
    fine = json.loads((reference_dir / "results" / "x1_numerics.json").read_text())
    converged = dict(zip(fine["gammapy"]["names"], fine["factor_5"]["values"], strict=True))
    found = by_name(Fit(order="psf-first").run(cubes["a1"], models(cubes["a1"], "point", "pl")))
    distances = [
        np.hypot((fit["lon_0"][0] - converged["lon_0"]) * np.cos(np.deg2rad(22)), fit["lat_0"][0] - converged["lat_0"])
        for fit in (found, theirs(peer["fits"]["a1 point pl"]))
    ]
    # 4e-5 deg against 1.2e-3 deg, an error being 3e-3 deg
    assert distances[0] < 1e-4 < distances[1]


@pytest.fixture(scope="module")
def point(cubes):
    """The fit of the cube with a point and a power law."""
    return Fit(order="psf-first").run(cubes["a1"], models(cubes["a1"], "point", "pl"))


@pytest.fixture(scope="module")
def exact(cubes, point):
    source = point.models["crab"]
    return ExactPoint(cubes["a1"], source.position, source.spectral_model)


def test_the_fit_is_that_of_an_exact_psf(cubes, point, exact):
    """Parameters within 0.05 sigma of the brute-force sum over pixels, errors within 2 %."""
    cube = cubes["a1"]
    names = [row["name"] for row in point.parameters]
    likelihood = Likelihood([cube], point.models, order="psf-first")
    found = compare(ExactFit(exact, names, [cube.arrays.background]), likelihood, point.values, point.errors)
    # measured: 0.02 of the longitude, 0.012 of the latitude, else 0.007; errors 1 % of the latitude, else 4e-4
    assert np.abs(found.pulls).max() < 0.05
    assert np.abs(found.ratios - 1).max() < 0.02
    # measured 0.05: Gaussians against the table of the PSF
    assert abs(found.rise) < 0.1


def flux_points(cube, models):
    edges = np.geomspace(1, 10, 6) * u.TeV
    return FluxPointsEstimator(edges, source="crab", order="psf-first").run([cube], models)


def exact_ts(cube, exact, models, points):
    norm = models[f"{cube.name}-bkg"].spectral_model.norm.canonical
    return norm_ts(cube, exact.at(models["crab"]), norm * cube.arrays.background, points)


def test_flux_points_are_those_of_an_exact_psf(cubes, point, exact):
    cube = cubes["a1"]
    points = flux_points(cube, point.models)
    ts = np.ravel(points.quantities["ts"])
    # measured: 2.3e-4, 6e-5, -3e-5, -7.9e-4 and -2.4e-4. Half of the fourth comes from within 0.02 deg, where the table
    # has a cusp that Gaussians round, a third from beyond 0.4 deg, where it is noise and ends
    assert np.allclose(ts, exact_ts(cube, exact, point.models, points), rtol=1e-3)


def test_flux_points_are_nearer_to_those_of_an_exact_psf_than_the_peers(cubes, peer, point, exact):
    """At the peer's best fit, nothing but the signal of the source differing."""
    cube = cubes["a1"]
    values = {p["name"]: p["value"] for p in peer["fits"]["a1 point pl"]["parameters"] if not p["frozen"]}
    models = point.models.with_values(values)
    points = flux_points(cube, models)
    expected = exact_ts(cube, exact, models, points)
    coarse = np.ravel(peer["flux_points"]["a1"]["ts"]["values"]) / expected - 1
    ours = np.ravel(points.quantities["ts"]) / expected - 1
    # its four pixels: -5.1e-4, 1.0e-3, -1.2e-3, 3.2e-3 and 4.6e-4 measured, mean 1.3e-3; ours 3e-4
    assert np.abs(coarse).max() > 3e-3
    assert np.abs(ours).mean() < np.abs(coarse).mean() / 2


def test_predicted_counts_are_those_of_an_exact_psf(cubes, point, exact):
    signal = predict_cube(cubes["a1"], point.models, ["crab"], order="psf-first")
    expected = exact.at(point.models["crab"])
    # measured 1.3e-4: Gaussians and table are both of norm 1, of which the image holds the same to so much
    assert np.allclose(signal.sum(axis=(1, 2)), expected.sum(axis=(1, 2)), rtol=2e-4)
